// SPDX-License-Identifier: Apache-2.0
//
// How it works. Each message has one function that visits its fields in wire order. The visitor
// either writes a field or reads it, so that both ends cannot disagree on the layout. What has to
// hold beyond single fields is checked by a second function of the same table row, on reading only.
#include "job/message.h"

#include "base/assert.h"
#include "base/cleanup.h"
#include "base/name.h"
#include "job/dest.h"

// One of the two is NULL.
struct codec {
    struct lh_reader *in;
    struct lh_writer *out;
};

static uint64_t field(struct codec *codec, uint64_t value, size_t width)
{
    if (codec->out == NULL)
        return lh_read_le(codec->in, width);
    lh_write_le(codec->out, value, width);
    return value;
}

static void field_u8(struct codec *codec, uint8_t *value)
{
    *value = (uint8_t)field(codec, *value, 1);
}

static void field_u16(struct codec *codec, uint16_t *value)
{
    *value = (uint16_t)field(codec, *value, 2);
}

static void field_u32(struct codec *codec, uint32_t *value)
{
    *value = (uint32_t)field(codec, *value, 4);
}

static void field_u64(struct codec *codec, uint64_t *value)
{
    *value = field(codec, *value, 8);
}

static void field_i64(struct codec *codec, int64_t *value)
{
    *value = (int64_t)field(codec, (uint64_t)*value, 8);
}

static void field_digest(struct codec *codec, uint8_t digest[LH_JOB_DIGEST])
{
    if (codec->out != NULL) {
        lh_write_bytes(codec->out, digest, LH_JOB_DIGEST);
        return;
    }
    const uint8_t *bytes = lh_read_bytes(codec->in, LH_JOB_DIGEST);
    if (bytes != NULL)
        memcpy(digest, bytes, LH_JOB_DIGEST);
}

// A 16-bit length and that many bytes, at most `len_max`, no NUL among them.
static void field_text(struct codec *codec, struct lh_text *text, size_t len_max)
{
    if (codec->out != NULL) {
        LH_ASSERT(text->len <= len_max);
        lh_write_u16(codec->out, (uint16_t)text->len);
        lh_write_bytes(codec->out, text->data, text->len);
        return;
    }
    size_t len = lh_read_u16(codec->in);
    const uint8_t *bytes = lh_read_bytes(codec->in, len);
    if (bytes == NULL || len > len_max || (len > 0 && memchr(bytes, '\0', len) != NULL)) {
        codec->in->bad = true;
        *text = (struct lh_text){.data = ""};
        return;
    }
    *text = (struct lh_text){.data = (const char *)bytes, .len = len};
}

static void field_runs(struct codec *codec, struct lh_runs *runs)
{
    field_u16(codec, &runs->count);
    if (codec->out != NULL) {
        for (size_t i = 0; i < runs->count; i++) {
            lh_write_u32(codec->out, runs->array[i].first);
            lh_write_u32(codec->out, runs->array[i].count);
        }
        return;
    }
    const uint8_t *bytes = lh_read_bytes(codec->in, (size_t)runs->count * 8);
    runs->wire = lh_reader_of(bytes, bytes == NULL ? 0 : (size_t)runs->count * 8);
    struct lh_reader check = runs->wire;
    while (lh_reader_left(&check) > 0) {
        uint32_t first = lh_read_u32(&check);
        uint32_t count = lh_read_u32(&check);
        if (LH_GUARD(JOB_RUN_RANGE, count == 0 || count > UINT32_MAX - first))
            codec->in->bad = true;
    }
}

static void field_have(struct codec *codec, struct lh_have_items *items)
{
    const size_t width = 4 + LH_JOB_DIGEST;
    field_u16(codec, &items->count);
    if (codec->out != NULL) {
        for (size_t i = 0; i < items->count; i++) {
            lh_write_u32(codec->out, items->array[i].block);
            lh_write_bytes(codec->out, items->array[i].digest, LH_JOB_DIGEST);
        }
        return;
    }
    const uint8_t *bytes = lh_read_bytes(codec->in, items->count * width);
    items->wire = lh_reader_of(bytes, bytes == NULL ? 0 : items->count * width);
}

bool lh_run_next(struct lh_runs *runs, struct lh_run *out_run)
{
    if (lh_reader_left(&runs->wire) == 0)
        return false;
    out_run->first = lh_read_u32(&runs->wire);
    out_run->count = lh_read_u32(&runs->wire);
    return true;
}

bool lh_have_next(struct lh_have_items *items, struct lh_have_item *out_item)
{
    if (lh_reader_left(&items->wire) == 0)
        return false;
    out_item->block = lh_read_u32(&items->wire);
    const uint8_t *digest = lh_read_bytes(&items->wire, LH_JOB_DIGEST);
    LH_ASSERT(digest != NULL);
    memcpy(out_item->digest, digest, LH_JOB_DIGEST);
    return true;
}

// --- The messages ---

static void job_fields(struct codec *codec, struct lh_message *message)
{
    struct lh_msg_job *job = &message->as.job;
    field_u8(codec, &job->direction);
    field_u8(codec, &job->overwrite);
    field_u16(codec, &job->flags);
    field_u8(codec, &job->block_log2);
    field_u16(codec, &job->source_count);
    field_text(codec, &job->dest, LH_PATH_TEXT_MAX);
    field_u64(codec, &job->run_id);
}

static lh_err job_check(const struct lh_message *message)
{
    const struct lh_msg_job *job = &message->as.job;
    if (job->direction > LH_JOB_DOWNLOAD || job->overwrite >= LH_OVERWRITE_N_)
        return LH_E_PROTO;
    if ((job->flags & ~LH_JOB_FLAGS) != 0)
        return LH_E_PROTO;
    if (job->block_log2 < LH_BLOCK_LOG2_MIN || job->block_log2 > LH_BLOCK_LOG2_MAX)
        return LH_E_PROTO;
    if (job->source_count == 0 || job->source_count > LH_SOURCES_MAX)
        return LH_E_PROTO;
    return LH_OK;
}

static void source_fields(struct codec *codec, struct lh_message *message)
{
    struct lh_msg_source *source = &message->as.source;
    field_u16(codec, &source->index);
    field_text(codec, &source->path, LH_PATH_TEXT_MAX);
    field_text(codec, &source->name, LH_PATH_TEXT_MAX);
}

static lh_err source_check(const struct lh_message *message)
{
    const struct lh_msg_source *source = &message->as.source;
    if (source->index >= LH_SOURCES_MAX)
        return LH_E_PROTO;
    if (LH_GUARD(JOB_SOURCE_NAME, !lh_relative_path_ok(source->name.data, source->name.len)))
        return LH_E_PATH;
    return LH_OK;
}

static void job_ready_fields(struct codec *codec, struct lh_message *message)
{
    field_u8(codec, &message->as.job_ready.block_log2);
    field_text(codec, &message->as.job_ready.notice, LH_REASON_MAX);
}

static lh_err job_ready_check(const struct lh_message *message)
{
    uint8_t block_log2 = message->as.job_ready.block_log2;
    return block_log2 < LH_BLOCK_LOG2_MIN || block_log2 > LH_BLOCK_LOG2_MAX ? LH_E_PROTO : LH_OK;
}

static void entry_fields(struct codec *codec, struct lh_message *message)
{
    struct lh_msg_entry *entry = &message->as.entry;
    field_u32(codec, &entry->id);
    field_u8(codec, &entry->parent_kind);
    field_u32(codec, &entry->parent);
    field_u8(codec, &entry->kind);
    field_u8(codec, &entry->again);
    field_u16(codec, &entry->mode);
    field_u64(codec, &entry->size);
    field_i64(codec, &entry->mtime_ns);
    field_i64(codec, &entry->ctime_ns);
    field_i64(codec, &entry->atime_ns);
    field_text(codec, &entry->name, UINT16_MAX); // its own rule is in entry_check
    field_text(codec, &entry->target, LH_SYMLINK_MAX - 1);
}

static lh_err entry_check(const struct lh_message *message)
{
    const struct lh_msg_entry *entry = &message->as.entry;
    if (entry->parent_kind > LH_PARENT_ENTRY || entry->kind >= LH_ENTRY_N_)
        return LH_E_PROTO;
    if (entry->parent_kind == LH_PARENT_SOURCE && entry->parent >= LH_SOURCES_MAX)
        return LH_E_PROTO;
    if (entry->parent_kind == LH_PARENT_ENTRY && entry->parent >= entry->id)
        return LH_E_PROTO;
    if (entry->again > (entry->kind == LH_ENTRY_FILE))
        return LH_E_PROTO;
    if (entry->mode > 07777 || entry->size > INT64_MAX)
        return LH_E_PROTO;
    if (entry->kind != LH_ENTRY_FILE && entry->size != 0)
        return LH_E_PROTO;
    if ((entry->kind == LH_ENTRY_SYMLINK) != (entry->target.len > 0))
        return LH_E_PROTO;
    if (entry->parent_kind == LH_PARENT_SOURCE && entry->name.len > 0)
        return LH_E_PATH;
    if (entry->parent_kind == LH_PARENT_ENTRY &&
        LH_GUARD(JOB_ENTRY_NAME, !lh_component_ok(entry->name.data, entry->name.len)))
        return LH_E_PATH;
    return LH_OK;
}

static void problem_fields(struct codec *codec, struct lh_message *message)
{
    struct lh_msg_problem *problem = &message->as.problem;
    field_u8(codec, &problem->severity);
    field_u16(codec, &problem->code);
    field_text(codec, &problem->where, LH_PATH_TEXT_MAX);
    field_text(codec, &problem->reason, LH_REASON_MAX);
}

static lh_err problem_check(const struct lh_message *message)
{
    return message->as.problem.severity >= LH_PROBLEM_N_ ? LH_E_PROTO : LH_OK;
}

static void list_end_fields(struct codec *codec, struct lh_message *message)
{
    struct lh_msg_list_end *end = &message->as.list_end;
    field_u64(codec, &end->files);
    field_u64(codec, &end->directories);
    field_u64(codec, &end->symlinks);
    field_u64(codec, &end->bytes);
}

static void decide_fields(struct codec *codec, struct lh_message *message)
{
    field_u8(codec, &message->as.decide.decision);
    field_runs(codec, &message->as.decide.ids);
}

static lh_err decide_check(const struct lh_message *message)
{
    return message->as.decide.decision >= LH_DECIDE_N_ ? LH_E_PROTO : LH_OK;
}

static void have_fields(struct codec *codec, struct lh_message *message)
{
    field_u32(codec, &message->as.have.id);
    field_u32(codec, &message->as.have.known);
    field_have(codec, &message->as.have.items);
}

static lh_err have_check(const struct lh_message *message)
{
    const struct lh_msg_have *have = &message->as.have;
    struct lh_have_items items = have->items;
    struct lh_have_item item;
    for (uint64_t least = 0; lh_have_next(&items, &item); least = (uint64_t)item.block + 1)
        if (item.block < least || item.block >= have->known)
            return LH_E_PROTO;
    return LH_OK;
}

static void same_fields(struct codec *codec, struct lh_message *message)
{
    field_u32(codec, &message->as.same.id);
    field_runs(codec, &message->as.same.blocks);
}

static void file_end_fields(struct codec *codec, struct lh_message *message)
{
    struct lh_msg_file_end *end = &message->as.file_end;
    field_u32(codec, &end->id);
    field_u8(codec, &end->status);
    field_u32(codec, &end->blocks_sent);
    field_digest(codec, end->digest);
    field_u16(codec, &end->code);
    field_text(codec, &end->reason, LH_REASON_MAX);
}

static lh_err file_end_check(const struct lh_message *message)
{
    return message->as.file_end.status >= LH_FILE_END_N_ ? LH_E_PROTO : LH_OK;
}

static void result_fields(struct codec *codec, struct lh_message *message)
{
    field_u8(codec, &message->as.result.outcome);
    field_runs(codec, &message->as.result.ids);
}

static lh_err result_check(const struct lh_message *message)
{
    return message->as.result.outcome >= LH_RESULT_N_ ? LH_E_PROTO : LH_OK;
}

static void failed_fields(struct codec *codec, struct lh_message *message)
{
    field_u32(codec, &message->as.failed.id);
    field_u16(codec, &message->as.failed.code);
    field_text(codec, &message->as.failed.reason, LH_REASON_MAX);
}

static void udp_heard_fields(struct codec *codec, struct lh_message *message)
{
    field_u64(codec, &message->as.udp_heard);
}

static void fields_of_pace(struct codec *codec, struct lh_msg_pace *pace)
{
    field_u8(codec, &pace->policy);
    field_u64(codec, &pace->rate_target);
    field_u64(codec, &pace->rate_min);
}

static lh_err check_of_pace(const struct lh_msg_pace *pace)
{
    bool is_wrong = pace->policy >= LH_PACE_N_ ||
                    (pace->policy == LH_PACE_FIXED && pace->rate_target == 0) ||
                    (pace->rate_target != 0 && pace->rate_min > pace->rate_target);
    if (LH_GUARD(JOB_PACE, is_wrong))
        return LH_E_PROTO;
    return LH_OK;
}

static void pace_fields(struct codec *codec, struct lh_message *message)
{
    fields_of_pace(codec, &message->as.pace);
}

static lh_err pace_check(const struct lh_message *message)
{
    return check_of_pace(&message->as.pace);
}

static void paced_fields(struct codec *codec, struct lh_message *message)
{
    fields_of_pace(codec, &message->as.paced.pace);
    field_u64(codec, &message->as.paced.braked_to);
    field_u8(codec, &message->as.paced.is_detoured);
}

static lh_err paced_check(const struct lh_message *message)
{
    return message->as.paced.is_detoured > 1 ? LH_E_PROTO : check_of_pace(&message->as.paced.pace);
}

static void trace_fields(struct codec *codec, struct lh_message *message)
{
    field_u32(codec, &message->as.trace.interval_us);
}

static void traced_fields(struct codec *codec, struct lh_message *message)
{
    field_u64(codec, &message->as.traced.at_us);
    field_text(codec, &message->as.traced.text, LH_TRACED_MAX);
}

// What would end a line, hide text in a terminal or leave the object is not allowed.
static lh_err traced_check(const struct lh_message *message)
{
    const struct lh_text *text = &message->as.traced.text;
    for (size_t i = 0; i < text->len; i++) {
        char byte = text->data[i];
        if (LH_GUARD(JOB_TRACED, byte < ' ' || byte > '~' || byte == '{' || byte == '}'))
            return LH_E_PROTO;
    }
    return LH_OK;
}

static void held_fields(struct codec *codec, struct lh_message *message)
{
    struct lh_msg_held *held = &message->as.held;
    field_u64(codec, &held->network);
    field_u64(codec, &held->policy);
    field_u64(codec, &held->window);
    field_u64(codec, &held->disk);
    field_u64(codec, &held->cpu);
    field_u64(codec, &held->idle);
    field_u64(codec, &held->socket_drops);
}

static void written_fields(struct codec *codec, struct lh_message *message)
{
    field_u64(codec, &message->as.written);
}

static void job_end_fields(struct codec *codec, struct lh_message *message)
{
    struct lh_msg_job_end *end = &message->as.job_end;
    field_u16(codec, &end->code);
    field_u64(codec, &end->counts.files_complete);
    field_u64(codec, &end->counts.files_skipped);
    field_u64(codec, &end->counts.files_failed);
    field_u64(codec, &end->counts.directories);
    field_u64(codec, &end->counts.symlinks);
    field_u64(codec, &end->counts.bytes_complete);
    field_u64(codec, &end->counts.bytes_skipped);
    field_u64(codec, &end->counts.bytes_sent);
    field_text(codec, &end->reason, LH_REASON_MAX);
}

static const struct {
    void (*fields)(struct codec *codec, struct lh_message *message);
    lh_err (*check)(const struct lh_message *message); // NULL = nothing more to check
    uint8_t flags;
} kinds[LH_MESSAGE_N_] = {
    [LH_MESSAGE_JOB] = {job_fields, job_check, LH_MESSAGE_CRITICAL},
    [LH_MESSAGE_SOURCE] = {source_fields, source_check, LH_MESSAGE_CRITICAL},
    [LH_MESSAGE_JOB_READY] = {job_ready_fields, job_ready_check, LH_MESSAGE_CRITICAL},
    [LH_MESSAGE_ENTRY] = {entry_fields, entry_check, LH_MESSAGE_CRITICAL},
    [LH_MESSAGE_PROBLEM] = {problem_fields, problem_check, LH_MESSAGE_CRITICAL},
    [LH_MESSAGE_LIST_END] = {list_end_fields, NULL, LH_MESSAGE_CRITICAL},
    [LH_MESSAGE_DECIDE] = {decide_fields, decide_check, LH_MESSAGE_CRITICAL},
    [LH_MESSAGE_HAVE] = {have_fields, have_check, LH_MESSAGE_CRITICAL},
    [LH_MESSAGE_SAME] = {same_fields, NULL, LH_MESSAGE_CRITICAL},
    [LH_MESSAGE_FILE_END] = {file_end_fields, file_end_check, LH_MESSAGE_CRITICAL},
    [LH_MESSAGE_RESULT] = {result_fields, result_check, LH_MESSAGE_CRITICAL},
    [LH_MESSAGE_FAILED] = {failed_fields, NULL, LH_MESSAGE_CRITICAL},
    [LH_MESSAGE_WRITTEN] = {written_fields, NULL, 0},
    [LH_MESSAGE_JOB_END] = {job_end_fields, NULL, LH_MESSAGE_CRITICAL},
    [LH_MESSAGE_UDP_HEARD] = {udp_heard_fields, NULL, 0},
    [LH_MESSAGE_PACE] = {pace_fields, pace_check, 0},
    [LH_MESSAGE_TRACE] = {trace_fields, NULL, 0},
    [LH_MESSAGE_TRACED] = {traced_fields, traced_check, 0},
    [LH_MESSAGE_HELD] = {held_fields, NULL, 0},
    [LH_MESSAGE_PACED] = {paced_fields, paced_check, 0},
};

static bool is_known(uint8_t type)
{
    return type < LH_MESSAGE_N_ && kinds[type].fields != NULL;
}

void lh_message_write(struct lh_writer *writer, const struct lh_message *message)
{
    LH_ASSERT(is_known(message->type));
    uint8_t *start = lh_write_reserve(writer, LH_MESSAGE_HEADER);
    if (start == NULL)
        return;
    struct lh_message copy = *message; // the visitor may write, the caller's message stays
    struct codec codec = {.out = writer};
    kinds[message->type].fields(&codec, &copy);
    if (writer->bad)
        return;
    size_t len = (size_t)(writer->at - start) - LH_MESSAGE_HEADER;
    LH_ASSERT(len <= LH_MESSAGE_MAX - LH_MESSAGE_HEADER);
    struct lh_writer header = lh_writer_of(start, LH_MESSAGE_HEADER);
    lh_write_u8(&header, message->type);
    lh_write_u8(&header, kinds[message->type].flags);
    lh_write_u16(&header, (uint16_t)len);
}

lh_err lh_message_read(
    uint8_t type, uint8_t flags, const uint8_t *body, size_t len, struct lh_message *out_message)
{
    if (!is_known(type))
        return (flags & LH_MESSAGE_CRITICAL) != 0 ? LH_E_PROTO : LH_NONE;
    if (len > LH_MESSAGE_MAX - LH_MESSAGE_HEADER)
        return LH_E_PROTO;

    struct lh_message message = {.type = type};
    struct lh_reader reader = lh_reader_of(body, len);
    struct codec codec = {.in = &reader};
    kinds[type].fields(&codec, &message);
    if (LH_GUARD(JOB_MESSAGE_LENGTH, reader.bad || lh_reader_left(&reader) > 0))
        return LH_E_PROTO;
    lh_err err = kinds[type].check == NULL ? LH_OK : kinds[type].check(&message);
    if (err != LH_OK)
        return err;
    *out_message = message;
    return LH_OK;
}
