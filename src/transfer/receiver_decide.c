// SPDX-License-Identifier: Apache-2.0
//
// How it works. Entries are checked as they arrive and wait in `arrived`. One deciding task at a
// time takes up to LH_DECIDE_BATCH of them, in order, so that a directory is always made before
// what lies in it is looked at. It makes directories and links, looks at what has the name of each
// file now, and chooses by the overwrite policy. Its answers are sent as runs of ids.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"
#include "base/name.h"
#include "transfer/reason.h"
#include "transfer/receiver_internal.h"

// --- Arrival ---

static lh_err add_directory(struct lh_receiver *receiver,
                            struct lh_in_dir *parent,
                            const char *name,
                            struct lh_in_dir **out_dir)
{
    if (receiver->dir_count >= receiver->dirs_max)
        return LH_E_LIMIT;
    // The source's own depth is limited by its walk; names of sources add a few.
    if (parent != NULL && parent->depth >= 2 * LH_DEPTH_MAX)
        return LH_E_LIMIT;
    struct lh_in_dir *dir = lh_in_dir_new(receiver, parent, name);
    if (dir == NULL)
        return LH_E_NOMEM;
    *out_dir = dir;
    return LH_OK;
}

// A directory that a source's name implies ("a" of "a/b"), of which no entry will speak.
static lh_err implied_directory(struct lh_receiver *receiver,
                                struct lh_in_dir *parent,
                                const char *name,
                                size_t len,
                                struct lh_in_dir **out_dir)
{
    for (struct lh_in_dir *dir = parent->implied_first; dir != NULL; dir = dir->implied_next)
        if (strlen(dir->name) == len && memcmp(dir->name, name, len) == 0) {
            *out_dir = dir;
            return LH_OK;
        }
    char component[LH_NAME_MAX + 1];
    LH_ASSERT(len <= LH_NAME_MAX);
    memcpy(component, name, len);
    component[len] = '\0';
    lh_err err = add_directory(receiver, parent, component, out_dir);
    if (err != LH_OK)
        return err;
    (*out_dir)->implied_next = parent->implied_first;
    parent->implied_first = *out_dir;
    return LH_OK;
}

// Where a source goes: the directory, and its name there ("": it is the directory's content).
static lh_err locate_source(struct lh_receiver *receiver,
                            const struct lh_msg_entry *entry,
                            struct lh_in_dir **out_parent,
                            const char **out_name)
{
    const struct lh_job *job = receiver->job;
    if (LH_GUARD(RECEIVER_SOURCE, entry->parent >= job->source_count))
        return LH_E_PROTO;
    if (!entry->again && lh_bit(receiver->roots_seen, entry->parent))
        return LH_E_PROTO;
    lh_bit_set(receiver->roots_seen, entry->parent);
    struct lh_in_dir *parent = receiver->root;
    const char *name = receiver->rename;
    if (name == NULL)
        name = job->sources[entry->parent].name;
    for (const char *slash; (slash = strchr(name, '/')) != NULL; name = slash + 1) {
        lh_err err = implied_directory(receiver, parent, name, (size_t)(slash - name), &parent);
        if (err != LH_OK)
            return err;
    }
    if (name[0] == '\0' && entry->kind != LH_ENTRY_DIRECTORY)
        return LH_E_PROTO;
    *out_parent = parent;
    *out_name = name;
    return LH_OK;
}

static lh_err locate(struct lh_receiver *receiver,
                     const struct lh_msg_entry *entry,
                     struct lh_in_dir **out_parent,
                     const char **out_name)
{
    if (entry->parent_kind == LH_PARENT_SOURCE)
        return locate_source(receiver, entry, out_parent, out_name);
    struct lh_idnode *node = lh_idmap_find(&receiver->dir_ids, entry->parent);
    if (LH_GUARD(RECEIVER_PARENT, node == NULL))
        return LH_E_PROTO;
    *out_parent = LH_CONTAINER_OF(node, struct lh_in_dir, node);
    memcpy(receiver->name, entry->name.data, entry->name.len);
    receiver->name[entry->name.len] = '\0';
    *out_name = receiver->name;
    return LH_OK;
}

static struct lh_incoming *
incoming_new(const struct lh_msg_entry *entry, struct lh_in_dir *parent, const char *name)
{
    size_t len = strlen(name);
    struct lh_incoming *file = calloc(1, sizeof *file + len + 1);
    if (file == NULL)
        return NULL;
    lh_list_init(&file->link);
    memcpy(file->name, name, len + 1);
    file->node.id = entry->id;
    file->kind = entry->kind;
    file->again = entry->again != 0;
    file->parent = parent;
    file->mode = entry->mode;
    file->source = (struct lh_source_id){
        .size = entry->size, .mtime_ns = entry->mtime_ns, .ctime_ns = entry->ctime_ns};
    file->atime_ns = entry->atime_ns;
    if (entry->kind != LH_ENTRY_SYMLINK)
        return file;
    file->target_text = strndup(entry->target.data, entry->target.len);
    if (file->target_text == NULL) {
        free(file);
        return NULL;
    }
    return file;
}

static lh_err note_directory(struct lh_receiver *receiver, struct lh_incoming *file)
{
    bool is_content = file->name[0] == '\0'; // of DEST itself, which is open
    struct lh_in_dir *dir;
    lh_err err = add_directory(receiver, is_content ? NULL : file->parent, file->name, &dir);
    if (err != LH_OK)
        return err;
    if (is_content && receiver->root->dir != NULL)
        dir->dir = lh_dir_ref(receiver->root->dir);
    dir->announced = true;
    dir->mode = file->mode;
    dir->mtime_ns = file->source.mtime_ns;
    dir->atime_ns = file->atime_ns;
    dir->node.id = file->node.id;
    lh_idmap_add(&receiver->dir_ids, &dir->node);
    file->self = dir;
    return LH_OK;
}

static void count_entry(struct lh_receiver *receiver, const struct lh_msg_entry *entry)
{
    struct lh_job_status *status = &receiver->job->status;
    if (entry->kind == LH_ENTRY_FILE) {
        status->files_total++;
        status->bytes_total += entry->size;
    }
    if (entry->again)
        return;
    uint64_t *counts[] = {[LH_ENTRY_FILE] = &receiver->announced.files,
                          [LH_ENTRY_DIRECTORY] = &receiver->announced.directories,
                          [LH_ENTRY_SYMLINK] = &receiver->announced.symlinks};
    ++*counts[entry->kind];
    receiver->announced.bytes += entry->size;
}

lh_err lh_receiver_on_entry(struct lh_receiver *receiver, const struct lh_msg_entry *entry)
{
    struct lh_in_dir *parent;
    const char *name;
    if (LH_GUARD(RECEIVER_ENTRY_ID, entry->id != receiver->next_id))
        return LH_E_PROTO;
    if (entry->again ? receiver->again_due == 0 : receiver->list_ended)
        return LH_E_PROTO;
    // The sender counts without those whose blocks are late: it cannot know when they come.
    if (LH_GUARD(RECEIVER_INFLIGHT,
                 receiver->ids.count - receiver->trailing >= LH_INFLIGHT_FILES_MAX))
        return LH_E_LIMIT;
    if (LH_GUARD(RECEIVER_TRAILING, receiver->trailing >= LH_LOST_FILES_MAX))
        return LH_E_LIMIT;
    if (entry->kind == LH_ENTRY_FILE &&
        lh_block_count(entry->size, receiver->job->host.block_size) > LH_FILE_BLOCKS_MAX)
        return LH_E_LIMIT;
    lh_err err = locate(receiver, entry, &parent, &name);
    if (err != LH_OK)
        return err;
    struct lh_incoming *file = incoming_new(entry, parent, name);
    if (file == NULL)
        return LH_E_NOMEM;
    if (file->kind == LH_ENTRY_DIRECTORY) {
        err = note_directory(receiver, file);
        if (err != LH_OK) {
            free(file);
            return err;
        }
    }
    receiver->next_id++;
    if (entry->again)
        receiver->again_due--;
    lh_idmap_add(&receiver->ids, &file->node);
    lh_list_append(&receiver->arrived, &file->link);
    count_entry(receiver, entry);
    return LH_OK;
}

// --- On a worker ---

static lh_err open_one(struct lh_receiver *receiver, struct lh_in_dir *dir, struct lh_errinfo *info)
{
    bool make = !receiver->is_dry;
    lh_err err = lh_dir_open(dir->parent->dir, dir->name, make, &dir->dir, &dir->made, info);
    if (err != LH_OK && receiver->is_dry && info->sys_errno == ENOENT) {
        *info = (struct lh_errinfo){0};
        return LH_OK;
    }
    if (err != LH_OK)
        return err;
    if (!dir->made) {
        lh_sweep(receiver, dir->dir);
        return LH_OK;
    }
    // As it will be, but open to us until the end; should we be killed, it stays usable.
    mode_t mode = dir->announced ? dir->mode & 0777 : 0777;
    mode = (mode & ~lh_dir_umask(dir->dir)) | 0700;
    return lh_dir_set_attributes(dir->dir, NULL, &mode, NULL, info);
}

// Opens `dir` and what leads to it; those above it were announced before, or are implied by a name.
static lh_err
open_directory(struct lh_receiver *receiver, struct lh_in_dir *dir, struct lh_errinfo *info)
{
    while (dir->dir == NULL && dir->parent != NULL && !dir->failed) {
        struct lh_in_dir *top = dir;
        while (top->parent->dir == NULL && top->parent->parent != NULL && !top->parent->failed)
            top = top->parent;
        if (top->parent->failed)
            return lh_fail(info, LH_E_PATH, LH_CODE_NO_SUCH_FILE,
                           "its directory could not be made");
        if (top->parent->dir == NULL)
            return LH_OK; // dry run: nothing is there
        lh_err err = open_one(receiver, top, info);
        if (err != LH_OK) {
            top->failed = true;
            return err;
        }
        if (top->dir == NULL)
            return LH_OK; // dry run
    }
    if (dir->failed)
        return lh_fail(info, LH_E_PATH, LH_CODE_NO_SUCH_FILE, "its directory could not be made");
    return LH_OK;
}

static lh_err refuse_type(const struct stat *there, struct lh_errinfo *info)
{
    if (S_ISDIR(there->st_mode))
        return lh_fail(info, LH_E_PATH, LH_CODE_IS_A_DIRECTORY,
                       "a directory has this name at the destination; remove it or choose "
                       "another name");
    if (!S_ISREG(there->st_mode) && !S_ISLNK(there->st_mode))
        return lh_fail(info, LH_E_PATH, LH_CODE_NOT_REGULAR,
                       "a special file has this name at the destination; remove it or choose "
                       "another name");
    return LH_OK;
}

static lh_err decide_symlink(const struct lh_receiver *receiver, struct lh_deciding *deciding)
{
    struct lh_incoming *file = deciding->file;
    struct lh_dir *dir = file->parent->dir;
    struct stat there;
    struct timespec times[2];
    char target[LH_SYMLINK_MAX];
    deciding->decision = LH_IN_COMPLETE;
    if (receiver->is_sink || receiver->is_dry)
        return LH_OK;
    bool is_there = false;
    lh_err err = lh_dir_stat(dir, file->name, &there, &deciding->info);
    if (err < 0)
        return err;
    if (err == LH_OK) {
        err = refuse_type(&there, &deciding->info);
        if (err != LH_OK)
            return err;
        if (receiver->job->overwrite == LH_OVERWRITE_NEVER)
            return LH_OK;
        struct lh_errinfo ignored = {0};
        is_there = S_ISLNK(there.st_mode) &&
                   lh_dir_read_link(dir, file->name, target, sizeof target, &ignored) == LH_OK &&
                   strcmp(target, file->target_text) == 0;
    }
    if (!is_there)
        err = lh_dir_symlink(dir, file->name, file->target_text, &deciding->info);
    if (err != LH_OK || !receiver->preserve)
        return err;
    if (is_there && lh_source_id_of(&there).mtime_ns == file->source.mtime_ns)
        return LH_OK;
    lh_times_of(file->atime_ns, file->source.mtime_ns, times);
    return lh_dir_set_attributes(dir, file->name, NULL, times, &deciding->info);
}

static bool is_unchanged(const struct lh_incoming *file, const struct stat *there)
{
    struct lh_source_id now = lh_source_id_of(there);
    return file->done != NULL && S_ISREG(there->st_mode) &&
           lh_source_id_equal(&file->done->source, &file->source) &&
           lh_source_id_equal(&file->done->target, &now);
}

static bool may_stay(const struct lh_receiver *receiver,
                     const struct lh_incoming *file,
                     const struct stat *there)
{
    enum lh_overwrite policy = receiver->job->overwrite;
    bool is_older = lh_source_id_of(there).mtime_ns < file->source.mtime_ns;
    switch (policy) {
    case LH_OVERWRITE_NEVER:
        return true;
    case LH_OVERWRITE_OLDER:
        return !is_older;
    case LH_OVERWRITE_DIFF_OLDER:
        return !is_older || is_unchanged(file, there);
    case LH_OVERWRITE_DIFF:
        return is_unchanged(file, there);
    case LH_OVERWRITE_ALWAYS: // once
        return receiver->job->run_id != 0 && is_unchanged(file, there) &&
               file->done->run_id == receiver->job->run_id;
    case LH_OVERWRITE_N_:
        break;
    }
    return false;
}

// The content need not come: it is what an earlier run put there. But that run may have been one
// without -p, so that the attributes are still others.
static lh_err
retouch(const struct lh_receiver *receiver, struct lh_deciding *deciding, const struct stat *there)
{
    const struct lh_incoming *file = deciding->file;
    struct lh_dir *dir = file->parent->dir;
    struct timespec times[2];
    mode_t mode = file->mode & 0777;
    bool is_wanted = receiver->preserve && !receiver->is_dry && is_unchanged(file, there) &&
                     (receiver->job->overwrite == LH_OVERWRITE_DIFF ||
                      receiver->job->overwrite == LH_OVERWRITE_DIFF_OLDER);
    bool is_right =
        (there->st_mode & 0777) == mode && lh_source_id_of(there).mtime_ns == file->source.mtime_ns;
    if (!is_wanted || is_right)
        return LH_OK;
    lh_times_of(file->atime_ns, file->source.mtime_ns, times);
    lh_err err = lh_dir_set_attributes(dir, file->name, &mode, times, &deciding->info);
    if (err == LH_OK)
        err = lh_dir_stat(dir, file->name, &deciding->placed, &deciding->info);
    if (err == LH_NONE)
        return lh_fail(&deciding->info, LH_E_CHANGED, LH_CODE_SOME_FILES,
                       "the file at the destination was removed meanwhile; run the command again");
    deciding->retouched = err == LH_OK;
    return err;
}

// A partial of an earlier run that cannot be continued is removed, where it is ours.
static void discard_known(struct lh_deciding *deciding)
{
    struct lh_incoming *file = deciding->file;
    struct lh_partial partial = LH_PARTIAL_NULL;
    struct lh_errinfo ignored = {0};
    if (lh_partial_reopen(&partial, file->parent->dir, file->known->name, file->known->dev,
                          file->known->ino, &ignored) == LH_OK)
        lh_partial_discard(&partial);
    deciding->forget = true;
}

static lh_err
prepare_file(struct lh_receiver *receiver, struct lh_deciding *deciding, const struct stat *there)
{
    struct lh_incoming *file = deciding->file;
    const struct lh_job *job = receiver->job;
    bool is_small = lh_incoming_is_small(receiver, file);
    bool may_compare =
        there != NULL && S_ISREG(there->st_mode) && there->st_size > 0 &&
        (job->overwrite == LH_OVERWRITE_DIFF || job->overwrite == LH_OVERWRITE_DIFF_OLDER) &&
        (job->flags & LH_JOB_NO_RESUME) == 0;
    if (is_small && (!may_compare || (uint64_t)there->st_size != file->source.size))
        return LH_OK;
    if (file->large == NULL) {
        lh_err err = lh_large_in_new(receiver, file);
        if (err != LH_OK)
            return err;
    }
    struct lh_large_in *large = file->large;
    if (file->known != NULL && file->known->usable) {
        lh_err err = lh_large_resume(large, &deciding->forget, &deciding->info);
        if (err != LH_OK)
            return err;
    }
    if (may_compare) {
        large->has_target = true;
        large->target = *there;
    }
    if (is_small)
        lh_comparing_hash_small(large);
    if (is_small ? lh_bit(large->target_has, 0) : may_compare || large->resumed)
        deciding->decision = LH_IN_COMPARE;
    return LH_OK;
}

static lh_err decide_file(struct lh_receiver *receiver, struct lh_deciding *deciding)
{
    struct lh_incoming *file = deciding->file;
    struct stat stat_there;
    const struct stat *there = NULL;
    deciding->decision = receiver->is_dry ? LH_IN_WOULD_SEND : LH_IN_SEND;
    if (receiver->is_sink)
        return lh_incoming_is_small(receiver, file) ? LH_OK : lh_large_in_new(receiver, file);
    if (file->parent->dir == NULL)
        return LH_OK; // dry run
    lh_err err = lh_dir_stat(file->parent->dir, file->name, &stat_there, &deciding->info);
    if (err < 0)
        return err;
    if (err == LH_OK) {
        there = &stat_there;
        err = refuse_type(there, &deciding->info);
        if (err != LH_OK)
            return err;
    }
    if (there != NULL && may_stay(receiver, file, there)) {
        deciding->decision = LH_IN_SKIP;
        return retouch(receiver, deciding, there);
    }
    if (receiver->is_dry)
        return LH_OK;
    if (file->known != NULL && !file->known->usable)
        discard_known(deciding);
    return prepare_file(receiver, deciding, there);
}

static lh_err decide(struct lh_receiver *receiver, struct lh_deciding *deciding)
{
    struct lh_incoming *file = deciding->file;
    lh_err err = LH_OK;
    if (!receiver->is_sink)
        err = open_directory(receiver, file->self != NULL ? file->self : file->parent,
                             &deciding->info);
    if (err != LH_OK)
        return err;
    if (file->kind == LH_ENTRY_SYMLINK)
        return decide_symlink(receiver, deciding);
    if (file->kind == LH_ENTRY_FILE)
        return decide_file(receiver, deciding);
    deciding->decision = LH_IN_COMPLETE;
    return LH_OK;
}

static void decide_run(struct lh_task *task)
{
    struct lh_receiver *receiver = LH_CONTAINER_OF(task, struct lh_receiver, decide_task);
    for (size_t i = 0; i < receiver->batch_count; i++) {
        struct lh_deciding *deciding = &receiver->batch[i];
        if (deciding->decision == LH_IN_FAILED)
            continue; // found out before
        lh_err err = decide(receiver, deciding);
        if (err == LH_OK)
            continue;
        deciding->decision = LH_IN_FAILED;
        if (deciding->info.code == 0)
            deciding->info.code = err;
        if (deciding->file->self != NULL)
            deciding->file->self->failed = true;
    }
}

// --- On the loop ---

static void add_run(struct lh_run *runs, size_t *count, uint32_t id)
{
    if (*count > 0 && runs[*count - 1].first + runs[*count - 1].count == id)
        runs[*count - 1].count++;
    else
        runs[(*count)++] = (struct lh_run){.first = id, .count = 1};
}

// Tells the sender what it need not or may send, in runs of ids.
static void tell_decisions(struct lh_receiver *receiver)
{
    static const enum lh_in_decision told[] = {[LH_DECIDE_SEND] = LH_IN_SEND,
                                               [LH_DECIDE_SKIP] = LH_IN_SKIP,
                                               [LH_DECIDE_WOULD_SEND] = LH_IN_WOULD_SEND};
    struct lh_run runs[LH_DECIDE_BATCH];
    for (uint8_t decision = 0; decision < LH_DECIDE_N_; decision++) {
        size_t count = 0;
        for (size_t i = 0; i < receiver->batch_count; i++)
            if (receiver->batch[i].decision == told[decision])
                add_run(runs, &count, receiver->batch[i].file->node.id);
        if (count > 0)
            lh_job_say(receiver->job,
                       &(struct lh_message){
                           .type = LH_MESSAGE_DECIDE,
                           .as.decide = {.decision = decision,
                                         .ids = {.count = (uint16_t)count, .array = runs}}});
    }
}

static void apply(struct lh_receiver *receiver, struct lh_deciding *deciding)
{
    struct lh_incoming *file = deciding->file;
    if (deciding->forget)
        lh_journaling_forget(receiver, file);
    switch (deciding->decision) {
    case LH_IN_SEND:
        file->state = LH_INCOMING_WAITING;
        break;
    case LH_IN_COMPARE:
        if (lh_incoming_is_small(receiver, file)) {
            file->state = LH_INCOMING_WAITING;
            lh_comparing_tell_small(receiver, file);
        } else {
            file->state = LH_INCOMING_COMPARING;
            lh_list_append(&receiver->to_compare, &file->link);
        }
        break;
    case LH_IN_SKIP:
        // Its change time is another now: without a new record it would not be known again.
        if (deciding->retouched)
            lh_journaling_complete(receiver, file, &file->done->digest, &deciding->placed);
        lh_incoming_skipped(receiver, file);
        break;
    case LH_IN_WOULD_SEND:
        lh_incoming_would_send(receiver, file);
        break;
    case LH_IN_COMPLETE:
        // A directory that was there is not ours to change: it was only taken for a new one.
        if (file->self != NULL && !file->self->made && !file->self->was_begun)
            lh_journaling_end_directory(receiver, file->self);
        lh_incoming_complete(receiver, file);
        break;
    case LH_IN_FAILED:
        lh_incoming_failed(receiver, file, deciding->info.code, &deciding->info,
                           LH_CODE_DISK_WRITE);
        break;
    }
}

static void decide_done(struct lh_task *task)
{
    struct lh_receiver *receiver = LH_CONTAINER_OF(task, struct lh_receiver, decide_task);
    receiver->deciding = false;
    if (!lh_job_ended(receiver->job)) {
        tell_decisions(receiver);
        for (size_t i = 0; i < receiver->batch_count; i++)
            apply(receiver, &receiver->batch[i]);
    }
    receiver->batch_count = 0;
    lh_job_turn(receiver->job);
}

// Fills the next place of the batch. What only the loop's thread may ask is asked here.
static lh_err take(struct lh_receiver *receiver, struct lh_incoming *file)
{
    struct lh_deciding *deciding = &receiver->batch[receiver->batch_count++];
    *deciding = (struct lh_deciding){.file = file};
    bool is_twice = false;
    lh_err err = LH_OK;
    if (file->kind != LH_ENTRY_DIRECTORY && !file->again && receiver->job->source_count > 1)
        err = lh_seen_add(receiver, file, &is_twice);
    if (is_twice) {
        deciding->decision = LH_IN_FAILED;
        (void)lh_fail(&deciding->info, LH_E_PATH, LH_CODE_ALREADY_EXISTS,
                      "another source has the same name; transfer them one by one");
    }
    if (file->self != NULL && receiver->rename != NULL && file->parent == receiver->root &&
        !receiver->is_dry)
        lh_journaling_begin_tree(receiver);
    if (file->self != NULL && lh_in_dir_is_closed(file->self) && !receiver->is_dry)
        lh_journaling_begin_directory(receiver, file->self);
    if (err == LH_OK && file->kind == LH_ENTRY_FILE && !is_twice)
        err = lh_journaling_look_up(receiver, file);
    return err;
}

void lh_deciding_pump(struct lh_receiver *receiver)
{
    if (receiver->deciding || lh_list_empty(&receiver->arrived))
        return;
    for (struct lh_link *link; receiver->batch_count < LH_DECIDE_BATCH &&
                               (link = lh_list_first(&receiver->arrived)) != NULL;) {
        lh_list_remove(link);
        if (take(receiver, LH_CONTAINER_OF(link, struct lh_incoming, link)) != LH_OK) {
            lh_job_abort(receiver->job, 0, LH_CODE_NO_MEMORY, "out of memory");
            return;
        }
    }
    lh_journaling_flush(receiver); // of directories: before they are made
    receiver->deciding = true;
    receiver->decide_task = (struct lh_task){.run = decide_run, .done = decide_done};
    lh_ioq_submit(receiver->job->host.ioq, &receiver->decide_task);
}
