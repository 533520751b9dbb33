// SPDX-License-Identifier: Apache-2.0
//
// How it works. Before anything is let in, one task looks at DEST, applies the destination rule
// (job/dest.h), makes DEST where -d asks for it, opens it as the root of everything that follows,
// and opens the journal. DEST itself is the user's own word, so symlinks in it are followed;
// nothing below is.
//
// The journal's identity says which job this is: the place (device, inode and name), the sources as
// they were asked for, the direction and the peer. The same command again finds it.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/assert.h"
#include "base/math.h"
#include "base/text.h"
#include "file/faux.h"
#include "job/dest.h"
#include "transfer/reason.h"
#include "transfer/receiver_internal.h"

// The session before this one may have been killed a moment ago: its server notices within seconds
// and lets go of the journal. Longer than that, somebody is really at work.
#define BUSY_PAUSE_MS 100
#define BUSY_TRIES    100

struct lh_in_dir *
lh_in_dir_new(struct lh_receiver *receiver, struct lh_in_dir *parent, const char *name)
{
    size_t len = strlen(name);
    struct lh_in_dir *dir = calloc(1, sizeof *dir + len + 1);
    if (dir == NULL)
        return NULL;
    memcpy(dir->name, name, len + 1);
    dir->parent = parent;
    dir->depth = parent == NULL ? 0 : parent->depth + 1;
    lh_list_append(&receiver->dirs, &dir->link);
    receiver->dir_count++;
    return dir;
}

static lh_err
is_directory(const char *path, bool *out_is, bool *out_exists, struct lh_errinfo *info)
{
    struct stat stat_now;
    if (stat(path, &stat_now) == 0) {
        *out_exists = true;
        *out_is = S_ISDIR(stat_now.st_mode);
        return LH_OK;
    }
    if (errno != ENOENT && errno != ENOTDIR)
        return lh_fail_errno(info, errno, 0, "%.160s", path);
    *out_exists = *out_is = false;
    return LH_OK;
}

static lh_err refuse(enum lh_dest_plan plan, const char *dest, struct lh_errinfo *info)
{
    switch (plan) {
    case LH_DEST_NO_PARENT:
        return lh_fail(info, LH_E_PATH, LH_CODE_NO_SUCH_FILE,
                       "the directory of the destination %.120s does not exist; -d makes it", dest);
    case LH_DEST_NOT_THERE:
        return lh_fail(info, LH_E_PATH, LH_CODE_NO_SUCH_FILE,
                       "several sources need a directory, and %.120s does not exist; -d makes it",
                       dest);
    default:
        return lh_fail(info, LH_E_PATH, LH_CODE_NOT_A_DIRECTORY,
                       "the destination %.120s is not a directory", dest);
    }
}

// mkdir -p, for a path of the user's own.
static lh_err make_directories(const char *path, struct lh_errinfo *info)
{
    char part[LH_PATH_TEXT_MAX + LH_NAME_MAX + 2];
    size_t len = strlen(path);
    LH_ASSERT(len < sizeof part);
    for (size_t i = 1; i <= len; i++) {
        if (i < len && path[i] != '/')
            continue;
        memcpy(part, path, i);
        part[i] = '\0';
        if (mkdir(part, 0777) != 0 && errno != EEXIST)
            return lh_fail_errno(info, errno, 0, "making the directory %.160s", part);
    }
    return LH_OK;
}

static void join(const struct lh_dest_split *split, char *out, size_t room)
{
    if (split->name[0] == '\0')
        snprintf(out, room, "%s", split->parent);
    else if (strcmp(split->parent, ".") == 0)
        snprintf(out, room, "%s", split->name);
    else if (strcmp(split->parent, "/") == 0)
        snprintf(out, room, "/%s", split->name);
    else
        snprintf(out, room, "%s/%s", split->parent, split->name);
}

// --- The journal ---

static void
job_identity(const struct lh_receiver *receiver, dev_t dev, ino_t ino, struct lh_digest *out)
{
    const struct lh_job *job = receiver->job;
    struct lh_digest parts[3] = {0};
    char place[512];
    int len = snprintf(place, sizeof place, "longhaul job 1|%d|%llu|%llu|%s|%.128s",
                       (int)job->direction, (unsigned long long)dev, (unsigned long long)ino,
                       receiver->rename == NULL ? "/" : receiver->rename,
                       job->host.peer == NULL ? "" : job->host.peer);
    lh_digest_block(place, (size_t)LH_MIN(len, (int)sizeof place - 1), &parts[0]);
    for (size_t i = 0; i < job->source_count; i++) {
        const struct lh_job_source *source = &job->sources[i];
        lh_digest_block(source->path, strlen(source->path) + 1, &parts[2]);
        lh_digest_block(parts, sizeof parts, &parts[1]);
        lh_digest_block(source->name, strlen(source->name) + 1, &parts[2]);
        lh_digest_block(parts, sizeof parts, &parts[1]);
    }
    lh_digest_block(parts, sizeof parts, out);
}

struct journal_place {
    char directory[LH_PATH_TEXT_MAX + 16];
    struct lh_journal_config config;
    struct lh_digest identity;
};

static void find_journal(const struct lh_receiver *receiver, struct journal_place *out)
{
    const struct lh_job *job = receiver->job;
    struct lh_dir *root = lh_tree_root(receiver->tree);
    dev_t dev;
    ino_t ino;
    lh_dir_identity(root, &dev, &ino);
    lh_dir_unref(root);
    job_identity(receiver, dev, ino, &out->identity);
    snprintf(out->directory, sizeof out->directory, "%s/journal", job->host.state_dir);
    out->config = (struct lh_journal_config){.directory = out->directory,
                                             .block_size = job->host.block_size,
                                             .read_only = receiver->is_dry};
    memcpy(out->config.job_id, out->identity.bytes, sizeof out->config.job_id);
}

static lh_err open_journal(struct lh_receiver *receiver, struct lh_errinfo *info)
{
    struct journal_place place;
    struct lh_errinfo why = {0};
    if (receiver->job->host.state_dir == NULL && receiver->is_dry)
        return LH_OK;
    if (receiver->job->host.state_dir == NULL) {
        snprintf(receiver->notice, sizeof receiver->notice,
                 "no directory for the journal; an interrupted transfer will begin anew");
        return LH_OK;
    }
    find_journal(receiver, &place);
    lh_err err = LH_OK;
    if (receiver->journal == NULL)
        err = lh_journal_open(&place.config, &receiver->journal, receiver->notice,
                              sizeof receiver->notice, &why);
    if (receiver->is_dry)
        return LH_OK; // without a journal that can be read, more would be sent
    if (err == LH_E_BUSY)
        return lh_fail(info, err, LH_CODE_BUSY,
                       "another session is at work on the same transfer to this place");
    if (err != LH_OK) {
        receiver->journal = NULL;
        snprintf(receiver->notice, sizeof receiver->notice,
                 "the journal cannot be used (%.160s); an interrupted transfer will begin anew",
                 lh_reason_text(err, &why));
        return LH_OK;
    }
    lh_sweeping_init(receiver, &place.identity);
    lh_sweep(receiver, receiver->root->dir);
    return LH_OK;
}

// --- DEST ---

static bool journal_exists(const struct journal_place *place)
{
    char id[2 * sizeof place->config.job_id + 1], path[sizeof place->directory + 64];
    struct stat ignored;
    lh_format_hex(place->config.job_id, sizeof place->config.job_id, id);
    snprintf(path, sizeof path, "%s/%s.journal", place->directory, id);
    return stat(path, &ignored) == 0;
}

static void forget_rename(struct lh_receiver *receiver)
{
    lh_journal_free(receiver->journal);
    receiver->journal = NULL;
    lh_tree_free(receiver->tree);
    receiver->tree = NULL;
    free(receiver->rename);
    receiver->rename = NULL;
}

// DEST is a directory now. Was it made by an interrupted run of this very command, under the rule
// that gives a single source the name DEST? Then the command goes on where it stopped, and does not
// begin anew below it. LH_NONE: it was not.
static lh_err continue_rename(struct lh_receiver *receiver,
                              const struct lh_dest_split *split,
                              const char *whole,
                              struct lh_errinfo *info)
{
    const struct lh_job *job = receiver->job;
    struct stat there;
    struct journal_place place;
    struct lh_journal_partial begun;
    uint16_t without = LH_JOB_MAKE_DIRECTORY | LH_JOB_NO_RESUME;
    if (job->source_count != 1 || (job->flags & without) != 0 || job->host.state_dir == NULL)
        return LH_NONE;
    if (split->name[0] == '\0' || lstat(whole, &there) != 0 || !S_ISDIR(there.st_mode))
        return LH_NONE;
    receiver->rename = strdup(split->name);
    if (receiver->rename == NULL)
        return LH_E_NOMEM;
    lh_err err = lh_tree_open(split->parent, &receiver->tree, info);
    if (err != LH_OK)
        return err;
    find_journal(receiver, &place);
    if (!journal_exists(&place)) {
        forget_rename(receiver);
        return LH_NONE;
    }
    err = lh_journal_open(&place.config, &receiver->journal, receiver->notice,
                          sizeof receiver->notice, info);
    if (err == LH_E_BUSY)
        return lh_fail(info, err, LH_CODE_BUSY,
                       "another session is at work on the same transfer to this place");
    if (err != LH_OK)
        receiver->journal = NULL;
    if (err != LH_OK || lh_journal_find_partial(receiver->journal, LH_JOURNAL_TREE, &begun) != 0) {
        *info = (struct lh_errinfo){0};
        forget_rename(receiver);
        return LH_NONE;
    }
    receiver->tree_begun = true;
    return LH_OK;
}

static lh_err look_at_dest(const struct lh_receiver *receiver,
                           const struct lh_dest_split *split,
                           const char *whole,
                           enum lh_dest_plan *out_plan,
                           struct lh_errinfo *info)
{
    const struct lh_job *job = receiver->job;
    struct lh_dest_facts facts = {.source_count = job->source_count,
                                  .make_directory = (job->flags & LH_JOB_MAKE_DIRECTORY) != 0};
    bool dest_is_directory = false, exists = false, parent_exists;
    lh_err err = is_directory(whole, &dest_is_directory, &exists, info);
    if (err == LH_OK)
        err = is_directory(split->parent, &facts.parent_is_directory, &parent_exists, info);
    if (err != LH_OK)
        return err;
    facts.dest = dest_is_directory ? LH_DEST_IS_DIRECTORY
                 : exists          ? LH_DEST_IS_OTHER
                                   : LH_DEST_IS_MISSING;
    *out_plan = lh_dest_plan(&facts);
    return LH_OK;
}

// DEST gives the single source its name. Where a symlink to a file has that name, the data goes to
// the link's target, as it would with cp: DEST is the user's own word. One that leads nowhere is
// replaced.
static lh_err follow_dest(const char *whole, struct lh_dest_split *split, struct lh_errinfo *info)
{
    struct stat link;
    if (lstat(whole, &link) != 0 || !S_ISLNK(link.st_mode))
        return LH_OK;
    char *target = realpath(whole, NULL);
    if (target == NULL && errno == ENOENT)
        return LH_OK;
    if (target == NULL)
        return lh_fail_errno(info, errno, 0, "%.160s", whole);
    lh_err err = lh_dest_split(target, strlen(target), split);
    free(target);
    if (err != LH_OK)
        return lh_fail(info, LH_E_PATH, LH_CODE_PATH_TOO_LONG,
                       "the destination %.160s leads to a path that is too long", whole);
    return LH_OK;
}

// Finds, and with -d makes, the directory that everything goes into.
static lh_err open_dest(struct lh_receiver *receiver, struct lh_errinfo *info)
{
    const struct lh_job *job = receiver->job;
    struct lh_dest_split split;
    char whole[LH_PATH_TEXT_MAX + LH_NAME_MAX + 2];
    enum lh_dest_plan plan;
    if (lh_dest_split(job->dest, strlen(job->dest), &split) != LH_OK)
        return lh_fail(info, LH_E_PATH, LH_CODE_PATH_TOO_LONG,
                       "the destination path is not possible");
    join(&split, whole, sizeof whole);
    lh_err err = look_at_dest(receiver, &split, whole, &plan, info);
    if (err != LH_OK)
        return err;
    switch (plan) {
    case LH_DEST_RENAME:
        if (split.name[0] == '\0')
            return refuse(LH_DEST_NOT_A_DIRECTORY, job->dest, info);
        err = follow_dest(whole, &split, info);
        if (err != LH_OK)
            return err;
        receiver->rename = strdup(split.name);
        if (receiver->rename == NULL)
            return LH_E_NOMEM;
        return lh_tree_open(split.parent, &receiver->tree, info);
    case LH_DEST_MAKE_AND_INTO:
        if (receiver->is_dry)
            return LH_OK; // everything would be new
        err = make_directories(whole, info);
        return err != LH_OK ? err : lh_tree_open(whole, &receiver->tree, info);
    case LH_DEST_INTO:
        err = continue_rename(receiver, &split, whole, info);
        return err != LH_NONE ? err : lh_tree_open(whole, &receiver->tree, info);
    default:
        return refuse(plan, job->dest, info);
    }
}

// --- The task ---

static lh_err set_up(struct lh_receiver *receiver, struct lh_errinfo *info)
{
    if (lh_faux_is(receiver->job->dest)) {
        lh_err err = lh_faux_parse_sink(receiver->job->dest, &receiver->sink_pace, info);
        if (err != LH_OK)
            info->exit_code = LH_CODE_USAGE;
        return err;
    }
    lh_err err = open_dest(receiver, info);
    if (err != LH_OK || receiver->tree == NULL)
        return err;
    receiver->root->dir = lh_tree_root(receiver->tree);
    return open_journal(receiver, info);
}

static void setup_run(struct lh_task *task)
{
    struct lh_receiver *receiver = LH_CONTAINER_OF(task, struct lh_receiver, setup_task);
    receiver->setup_info = (struct lh_errinfo){0};
    receiver->setup_err = set_up(receiver, &receiver->setup_info);
    if (receiver->setup_err != LH_E_BUSY)
        return;
    const struct timespec pause = {.tv_nsec = BUSY_PAUSE_MS * 1000000};
    (void)nanosleep(&pause, NULL);
}

// Undoes an attempt that found the journal held.
static void back_out(struct lh_receiver *receiver)
{
    lh_dir_unref(receiver->root->dir);
    receiver->root->dir = NULL;
    forget_rename(receiver);
}

static void setup_done(struct lh_task *task)
{
    struct lh_receiver *receiver = LH_CONTAINER_OF(task, struct lh_receiver, setup_task);
    struct lh_job *job = receiver->job;
    lh_err err = receiver->setup_err;
    const struct lh_errinfo *info = &receiver->setup_info;
    if (err == LH_E_BUSY && receiver->busy_count++ < BUSY_TRIES && !lh_job_ended(job)) {
        back_out(receiver);
        lh_ioq_submit(job->host.ioq, &receiver->setup_task);
        return;
    }
    if (err == LH_OK)
        lh_job_prepared(job, receiver->notice);
    else
        lh_job_abort(job, 0, lh_reason_code(err, info, LH_CODE_DISK_WRITE),
                     lh_reason_text(err, info));
    lh_job_turn(job);
}

void lh_receiver_setup(struct lh_receiver *receiver)
{
    receiver->setup_task = (struct lh_task){.run = setup_run, .done = setup_done};
    lh_ioq_submit(receiver->job->host.ioq, &receiver->setup_task);
}
