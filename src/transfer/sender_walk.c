// SPDX-License-Identifier: Apache-2.0
//
// How it works. One task at a time walks a stretch of the current source and brings up to
// LH_WALK_BATCH entries; they wait in sender->announce and become ENTRY messages as the bounds
// allow. The walk numbers directories as it meets them; dir_ids turns such a number into the id
// under which the directory was announced (parents are always announced first). Synthetic sources
// need no task.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"
#include "transfer/reason.h"
#include "transfer/sender_internal.h"

// --- On a worker ---

static struct lh_outgoing *problem_of(const struct lh_walking *walking,
                                      const char *name,
                                      enum lh_problem_severity severity,
                                      uint16_t code,
                                      const char *text)
{
    struct lh_outgoing *found = lh_outgoing_new(walking->source, LH_ENTRY_N_, name);
    if (found == NULL)
        return NULL;
    found->severity = severity;
    found->code = code;
    found->text = strdup(text);
    return found;
}

static struct lh_outgoing *outgoing_of(const struct lh_walking *walking,
                                       const struct lh_walk_entry *entry)
{
    const char *name = entry->name == NULL ? "" : entry->name;
    struct lh_outgoing *found = NULL;
    bool skip_symlinks = (walking->sender->job->flags & LH_JOB_SKIP_SYMLINKS) != 0;
    switch (entry->kind) {
    case LH_WALK_DIR:
        found = lh_outgoing_new(walking->source, LH_ENTRY_DIRECTORY, name);
        break;
    case LH_WALK_FILE:
        found = lh_outgoing_new(walking->source, LH_ENTRY_FILE, name);
        break;
    case LH_WALK_SYMLINK:
        if (skip_symlinks)
            return problem_of(walking, name, LH_PROBLEM_SKIPPED, 0, "symbolic link left out");
        found = lh_outgoing_new(walking->source, LH_ENTRY_SYMLINK, name);
        if (found != NULL)
            found->text = strdup(entry->link_target);
        break;
    case LH_WALK_SPECIAL:
        return problem_of(walking, name, LH_PROBLEM_SKIPPED, LH_CODE_NOT_REGULAR,
                          "neither file, directory nor symbolic link; left out");
    case LH_WALK_ERROR:
        return problem_of(walking, name, LH_PROBLEM_FAILED,
                          lh_reason_code(entry->info.code, &entry->info, LH_CODE_DISK_READ),
                          lh_reason_text(entry->info.code, &entry->info));
    }
    return found;
}

static lh_err walk_one(struct lh_walking *walking)
{
    struct lh_walk_entry entry = {0};
    lh_err err = lh_walk_next(walking->walk, &entry);
    if (err != LH_OK)
        return err;
    struct lh_outgoing *found = outgoing_of(walking, &entry);
    if (found == NULL)
        return LH_E_NOMEM;
    found->dir = entry.parent == NULL ? NULL : lh_dir_ref(entry.parent);
    found->id = lh_stat_id_of(&entry.stat);
    found->parent_number = entry.parent_number;
    found->is_root = entry.parent_number == 0;
    found->dir_number = entry.dir_number;
    lh_list_append(&walking->found, &found->link);
    walking->found_count++;
    return LH_OK;
}

static void walk_run(struct lh_task *task)
{
    struct lh_walking *walking = LH_CONTAINER_OF(task, struct lh_walking, task);
    lh_err err = LH_OK;
    walking->info = (struct lh_errinfo){0};
    if (walking->walk == NULL) {
        const char *path = walking->sender->job->sources[walking->source].path;
        err = lh_walk_open(path[0] == '\0' ? "." : path, &walking->walk, &walking->info);
        walking->failed_open = err != LH_OK;
        if (err == LH_E_PATH && walking->info.exit_code == 0)
            walking->info.exit_code = LH_CODE_NOT_REGULAR;
    }
    while (err == LH_OK && walking->found_count < LH_WALK_BATCH)
        err = walk_one(walking);
    walking->source_ended = err != LH_OK;
    if (err < 0 && walking->info.code == 0)
        walking->info.code = err;
}

// --- On the loop ---

static void next_source(struct lh_walking *walking)
{
    lh_walk_free(walking->walk);
    walking->walk = NULL;
    walking->source++;
    walking->source_ended = false;
    walking->failed_open = false;
    walking->faux_next = 0;
}

static void walk_done(struct lh_task *task)
{
    struct lh_walking *walking = LH_CONTAINER_OF(task, struct lh_walking, task);
    struct lh_sender *sender = walking->sender;
    struct lh_job *job = sender->job;
    walking->running = false;
    for (struct lh_link *link; (link = lh_list_first(&walking->found)) != NULL;) {
        lh_list_remove(link);
        lh_list_append(&sender->announce, link);
        sender->announce_count++;
    }
    walking->found_count = 0;
    if (walking->info.code == LH_E_NOMEM && !walking->failed_open)
        lh_job_abort(job, 0, LH_CODE_NO_MEMORY, "out of memory");
    else if (walking->info.code != 0)
        lh_job_tell_problem(
            job, &(struct lh_job_problem){
                     .severity = LH_PROBLEM_FAILED,
                     .code = lh_reason_code(walking->info.code, &walking->info, LH_CODE_DISK_READ),
                     .path = job->sources[walking->source].path,
                     .text = lh_reason_text(walking->info.code, &walking->info)});
    walking->info = (struct lh_errinfo){0};
    if (walking->source_ended)
        next_source(walking);
    lh_job_turn(job);
}

static void find_faux(struct lh_sender *sender, const struct lh_faux *faux)
{
    struct lh_walking *walking = &sender->walking;
    uint64_t index = walking->faux_next++;
    char name[LH_NAME_MAX + 1] = "";
    bool is_root = index == 0;
    if (!is_root)
        snprintf(name, sizeof name, "%.230s_%llu", faux->base, (unsigned long long)(index - 1));
    bool is_directory = is_root && faux->is_directory;
    struct lh_outgoing *found =
        lh_outgoing_new(walking->source, is_directory ? LH_ENTRY_DIRECTORY : LH_ENTRY_FILE, name);
    if (found == NULL) {
        lh_job_abort(sender->job, 0, LH_CODE_NO_MEMORY, "out of memory");
        return;
    }
    found->id = (struct lh_stat_id){.size = is_directory ? 0 : faux->size,
                                    .mode = is_directory ? 0755 : 0644};
    found->faux_index = is_root ? 0 : index - 1;
    found->dir_number = is_directory ? 1 : 0;
    found->parent_number = is_root ? 0 : 1;
    found->is_root = is_root;
    lh_list_append(&sender->announce, &found->link);
    sender->announce_count++;
    if (index == (faux->is_directory ? faux->count : 0))
        next_source(walking);
}

static void find(struct lh_sender *sender)
{
    struct lh_walking *walking = &sender->walking;
    while (!walking->running && walking->source < sender->job->source_count &&
           sender->announce_count < LH_WALK_QUEUE && !lh_job_ended(sender->job)) {
        const struct lh_faux *faux = &sender->faux[walking->source];
        if (faux->count > 0) {
            find_faux(sender, faux);
            continue;
        }
        walking->running = true;
        lh_ioq_submit(sender->job->host.ioq, &walking->task);
    }
}

// Remembers under which id a directory goes.
static lh_err note_directory(struct lh_walking *walking, const struct lh_outgoing *file)
{
    if (file->kind != LH_ENTRY_DIRECTORY)
        return LH_OK;
    if (file->dir_number >= LH_DIRECTORIES_MAX)
        return LH_E_LIMIT;
    if (file->dir_number >= walking->dir_ids_room) {
        size_t room = walking->dir_ids_room == 0 ? 256 : 2 * walking->dir_ids_room;
        while (room <= file->dir_number)
            room *= 2;
        uint32_t *ids = realloc(walking->dir_ids, room * sizeof *ids);
        if (ids == NULL)
            return LH_E_NOMEM;
        walking->dir_ids = ids;
        walking->dir_ids_room = room;
    }
    walking->dir_ids[file->dir_number] = file->node.id;
    return LH_OK;
}

static void count_entry(struct lh_sender *sender, const struct lh_outgoing *file)
{
    if (file->again)
        return;
    uint64_t *counts[] = {[LH_ENTRY_FILE] = &sender->totals.files,
                          [LH_ENTRY_DIRECTORY] = &sender->totals.directories,
                          [LH_ENTRY_SYMLINK] = &sender->totals.symlinks};
    ++*counts[file->kind];
    sender->totals.bytes += file->size;
    sender->job->status.files_total = sender->totals.files;
    sender->job->status.bytes_total = sender->totals.bytes;
}

static void say_entry(struct lh_sender *sender, struct lh_outgoing *file)
{
    struct lh_message message = {.type = LH_MESSAGE_ENTRY};
    struct lh_msg_entry *entry = &message.as.entry;
    entry->id = file->node.id;
    entry->parent_kind = file->is_root ? LH_PARENT_SOURCE : LH_PARENT_ENTRY;
    entry->parent = file->is_root ? (uint32_t)file->source : file->parent_id;
    entry->kind = file->kind;
    entry->again = file->again;
    entry->mode = (uint16_t)(file->id.mode & 07777);
    entry->size = file->size;
    entry->mtime_ns = file->id.mtime_ns;
    entry->ctime_ns = file->id.ctime_ns;
    entry->atime_ns = file->id.atime_ns;
    entry->name = lh_text_of(file->is_root ? "" : file->name, LH_NAME_MAX);
    entry->target = lh_text_of(file->text == NULL ? "" : file->text, LH_SYMLINK_MAX - 1);
    lh_job_say(sender->job, &message);
}

// A file too large for this block size is a problem of that file alone.
static bool is_too_large(struct lh_sender *sender, const struct lh_outgoing *file)
{
    return file->kind == LH_ENTRY_FILE &&
           lh_block_count(file->id.size, sender->job->host.block_size) > LH_FILE_BLOCKS_MAX;
}

static void tell(struct lh_sender *sender,
                 const struct lh_outgoing *file,
                 enum lh_problem_severity severity,
                 uint16_t code,
                 const char *text)
{
    char path[LH_PATH_TEXT_MAX + 1];
    lh_outgoing_path(sender, file, path, sizeof path);
    lh_job_tell_problem(
        sender->job,
        &(struct lh_job_problem){.severity = severity, .code = code, .path = path, .text = text});
}

static void announce_one(struct lh_sender *sender, struct lh_outgoing *file)
{
    struct lh_walking *walking = &sender->walking;
    if (file->kind == LH_ENTRY_N_ || is_too_large(sender, file)) {
        if (file->kind == LH_ENTRY_N_)
            tell(sender, file, file->severity, file->code, file->text == NULL ? "" : file->text);
        else
            tell(sender, file, LH_PROBLEM_FAILED, LH_CODE_TOO_BIG,
                 "too large for this block size; use a larger one");
        lh_outgoing_free(file);
        return;
    }
    if (file->kind == LH_ENTRY_SYMLINK && (file->text == NULL || file->text[0] == '\0')) {
        lh_outgoing_free(file);
        lh_job_abort(sender->job, 0, LH_CODE_NO_MEMORY, "out of memory");
        return;
    }
    file->node.id = sender->next_id++;
    file->size = file->kind == LH_ENTRY_FILE ? file->id.size : 0;
    if (!file->again && !file->is_root)
        file->parent_id = walking->dir_ids[file->parent_number];
    lh_idmap_add(&sender->ids, &file->node);
    sender->unsettled++;
    lh_err err = note_directory(walking, file);
    if (err != LH_OK)
        lh_job_abort(sender->job, 0, LH_CODE_TOO_BIG, "too many directories for one job");
    count_entry(sender, file);
    file->state = LH_OUTGOING_ANNOUNCED;
    say_entry(sender, file);
}

static void announce(struct lh_sender *sender)
{
    struct lh_job *job = sender->job;
    for (struct lh_link *link; (link = lh_list_first(&sender->announce)) != NULL;) {
        if (lh_job_ended(job) || sender->unsettled >= LH_INFLIGHT_FILES_MAX ||
            lh_outbox_waiting(&job->outbox) >= LH_ANNOUNCE_WAITING)
            return;
        lh_list_remove(link);
        sender->announce_count--;
        announce_one(sender, LH_CONTAINER_OF(link, struct lh_outgoing, link));
    }
    if (sender->walking.source < job->source_count || sender->list_ended)
        return;
    sender->list_ended = true;
    job->status.totals_known = true;
    lh_job_say(job,
               &(struct lh_message){.type = LH_MESSAGE_LIST_END, .as.list_end = sender->totals});
}

void lh_walking_pump(struct lh_sender *sender)
{
    // Two rounds: what is announced makes room for finding more.
    for (int round = 0; round < 2; round++) {
        find(sender);
        announce(sender);
    }
}

lh_err lh_walking_init(struct lh_sender *sender)
{
    struct lh_job *job = sender->job;
    struct lh_walking *walking = &sender->walking;
    walking->sender = sender;
    walking->task = (struct lh_task){.run = walk_run, .done = walk_done};
    lh_list_init(&walking->found);
    sender->faux = calloc(job->source_count, sizeof *sender->faux);
    if (sender->faux == NULL)
        return LH_E_NOMEM;
    for (size_t i = 0; i < job->source_count; i++) {
        struct lh_errinfo info = {0};
        if (!lh_faux_is(job->sources[i].path))
            continue;
        lh_err err = lh_faux_parse(job->sources[i].path, &sender->faux[i], &info);
        if (err != LH_OK) { // walking it as a path will say that it is not there
            lh_job_problem(job, &(struct lh_job_problem){.severity = LH_PROBLEM_NOTICE,
                                                         .path = job->sources[i].path,
                                                         .text = lh_reason_text(err, &info)});
            sender->faux[i].count = 0;
        }
    }
    return LH_OK;
}

void lh_walking_fini(struct lh_sender *sender)
{
    struct lh_walking *walking = &sender->walking;
    if (walking->sender != NULL)
        LH_LIST_FOR_EACH(link, &walking->found)
    lh_outgoing_free(LH_CONTAINER_OF(link, struct lh_outgoing, link));
    lh_walk_free(walking->walk);
    free(walking->dir_ids);
}
