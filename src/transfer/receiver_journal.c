// SPDX-License-Identifier: Apache-2.0
//
// The journal as the receiver uses it: by paths below DEST. All of this is on the loop's thread. A
// journal that fails costs resume and nothing else: it is told once and then left alone, but stays
// open, because its lock is what keeps another session of the job from our partials. Paths
// longer than LH_PATH_TEXT_MAX are not journalled, so that a short message cannot make us keep long
// text.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "transfer/reason.h"
#include "transfer/receiver_internal.h"

static void give_up(struct lh_receiver *receiver, lh_err err, const struct lh_errinfo *info)
{
    char text[LH_REASON_MAX];
    if (err == LH_OK || err == LH_E_LIMIT)
        return;
    snprintf(text, sizeof text, "the journal cannot be written (%.200s); %s",
             lh_reason_text(err, info), "an interrupted transfer may send more than is missing");
    receiver->journal_failed = true;
    lh_job_tell_problem(
        receiver->job,
        &(struct lh_job_problem){.severity = LH_PROBLEM_NOTICE, .path = "", .text = text});
}

static bool is_usable(const struct lh_receiver *receiver)
{
    return receiver->journal != NULL && !receiver->journal_failed;
}

static char *path_of(const struct lh_receiver *receiver, const struct lh_incoming *file)
{
    if (!is_usable(receiver))
        return NULL;
    return lh_incoming_path(file->parent, file->name, LH_PATH_TEXT_MAX);
}

// The partial of a path that is no file's: a form only.
static const struct lh_journal_partial no_partial = {.name = ".lh-AAAAAAAAAAAAAAAAAAAAAA"};

void lh_journaling_begin_tree(struct lh_receiver *receiver)
{
    struct lh_errinfo info = {0};
    if (!is_usable(receiver) || receiver->tree_begun)
        return;
    receiver->tree_begun = true;
    lh_err err = lh_journal_begin(receiver->journal, LH_JOURNAL_TREE, &no_partial, &info);
    if (err == LH_OK)
        err = lh_journal_flush(receiver->journal, &info);
    give_up(receiver, err, &info);
}

void lh_journaling_complete_tree(struct lh_receiver *receiver)
{
    struct lh_errinfo info = {0};
    struct lh_journal_complete tree = {0};
    if (!is_usable(receiver) || !receiver->tree_begun || receiver->is_dry)
        return;
    give_up(receiver, lh_journal_complete_file(receiver->journal, LH_JOURNAL_TREE, &tree, &info),
            &info);
}

// Owned by the caller; NULL where it has no place in the journal.
static char *path_of_directory(const struct lh_receiver *receiver, const struct lh_in_dir *dir)
{
    char path[LH_PATH_TEXT_MAX + 2];
    if (!is_usable(receiver) || dir->parent == NULL)
        return NULL;
    char *plain = lh_incoming_path(dir->parent, dir->name, LH_PATH_TEXT_MAX);
    if (plain == NULL)
        return NULL;
    snprintf(path, sizeof path, "%s/", plain);
    free(plain);
    return strdup(path);
}

void lh_journaling_begin_directory(struct lh_receiver *receiver, struct lh_in_dir *dir)
{
    struct lh_errinfo info = {0};
    struct lh_journal_partial known;
    char *path = path_of_directory(receiver, dir);
    if (path == NULL)
        return;
    dir->begun = dir->was_begun = lh_journal_find_partial(receiver->journal, path, &known) == LH_OK;
    if (!dir->begun) {
        lh_err err = lh_journal_begin(receiver->journal, path, &no_partial, &info);
        dir->begun = err == LH_OK;
        give_up(receiver, err, &info);
    }
    free(path);
}

void lh_journaling_end_directory(struct lh_receiver *receiver, struct lh_in_dir *dir)
{
    struct lh_errinfo info = {0};
    char *path = dir->begun ? path_of_directory(receiver, dir) : NULL;
    dir->begun = false;
    if (path == NULL)
        return;
    give_up(receiver, lh_journal_forget(receiver->journal, path, &info), &info);
    free(path);
}

void lh_journaling_begin(struct lh_receiver *receiver, const struct lh_incoming *file)
{
    const struct lh_large_in *large = file->large;
    char *path = path_of(receiver, file);
    if (path == NULL)
        return;
    struct lh_errinfo info = {0};
    struct lh_journal_partial partial = {.dev = large->partial.dev,
                                         .ino = large->partial.ino,
                                         .source = file->source,
                                         .block_count = large->block_count};
    memcpy(partial.name, large->partial.name, LH_PARTIAL_NAME_LEN + 1);
    give_up(receiver, lh_journal_begin(receiver->journal, path, &partial, &info), &info);
    free(path);
}

void lh_journaling_block(struct lh_receiver *receiver,
                         const struct lh_incoming *file,
                         uint32_t index)
{
    char *path = path_of(receiver, file);
    if (path == NULL)
        return;
    struct lh_errinfo info = {0};
    lh_err err =
        lh_journal_block(receiver->journal, path, index, &file->large->digests[index], &info);
    give_up(receiver, err, &info);
    free(path);
}

void lh_journaling_complete(struct lh_receiver *receiver,
                            const struct lh_incoming *file,
                            const struct lh_digest *digest,
                            const struct stat *placed)
{
    char *path = path_of(receiver, file);
    if (path == NULL)
        return;
    struct lh_errinfo info = {0};
    struct lh_journal_complete complete = {.source = file->source,
                                           .target = lh_source_id_of(placed),
                                           .digest = *digest,
                                           .run_id = receiver->job->run_id};
    give_up(receiver, lh_journal_complete_file(receiver->journal, path, &complete, &info), &info);
    free(path);
}

void lh_journaling_forget(struct lh_receiver *receiver, const struct lh_incoming *file)
{
    char *path = path_of(receiver, file);
    if (path == NULL)
        return;
    struct lh_errinfo info = {0};
    give_up(receiver, lh_journal_forget(receiver->journal, path, &info), &info);
    free(path);
}

void lh_journaling_flush(struct lh_receiver *receiver)
{
    if (!is_usable(receiver) || receiver->is_dry)
        return;
    struct lh_errinfo info = {0};
    give_up(receiver, lh_journal_flush(receiver->journal, &info), &info);
}

static lh_err
look_up_partial(const struct lh_receiver *receiver, struct lh_incoming *file, const char *path)
{
    struct lh_journal_partial partial;
    if (lh_journal_find_partial(receiver->journal, path, &partial) != LH_OK)
        return LH_OK;
    struct lh_known_partial *known = calloc(1, sizeof *known);
    if (known == NULL)
        return LH_E_NOMEM;
    file->known = known;
    snprintf(known->name, sizeof known->name, "%s", partial.name);
    known->dev = partial.dev;
    known->ino = partial.ino;
    bool may_resume = (receiver->job->flags & (LH_JOB_NO_RESUME | LH_JOB_DRY_RUN)) == 0;
    if (!may_resume || !lh_source_id_equal(&partial.source, &file->source) ||
        lh_incoming_is_small(receiver, file))
        return LH_OK;
    lh_err err = lh_large_in_new((struct lh_receiver *)receiver, file);
    if (err != LH_OK)
        return err;
    struct lh_large_in *large = file->large;
    if (partial.block_count != large->block_count)
        return LH_OK;
    known->usable = true;
    for (uint32_t i = 0; i < large->block_count; i++) {
        if (!lh_bit(partial.have, i))
            continue;
        lh_bit_set(large->kept, i);
        large->digests[i] = partial.digests[i];
    }
    return LH_OK;
}

// What an earlier command completed may be of no interest; what this one did always is.
static bool may_use_complete(const struct lh_receiver *receiver,
                             const struct lh_journal_complete *complete)
{
    const struct lh_job *job = receiver->job;
    bool is_of_this_run = job->run_id != 0 && complete->run_id == job->run_id;
    return is_of_this_run || (job->flags & LH_JOB_NO_RESUME) == 0;
}

lh_err lh_journaling_look_up(struct lh_receiver *receiver, struct lh_incoming *file)
{
    char *path = path_of(receiver, file);
    if (path == NULL)
        return LH_OK;
    lh_err err = look_up_partial(receiver, file, path);
    struct lh_journal_complete complete;
    if (err == LH_OK && lh_journal_find_complete(receiver->journal, path, &complete) == LH_OK &&
        may_use_complete(receiver, &complete)) {
        file->done = malloc(sizeof *file->done);
        if (file->done == NULL)
            err = LH_E_NOMEM;
        else
            *file->done = complete;
    }
    free(path);
    return err;
}
