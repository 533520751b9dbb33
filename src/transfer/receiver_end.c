// SPDX-License-Identifier: Apache-2.0
//
// The end of a job at the receiver: when the list has ended and every entry is settled, one task
// sets the attributes of directories, the deepest first (what is put into a directory changes its
// times, and a directory without write permission takes nothing more). Then JOB_END tells the
// counts, and the sender's own JOB_END, with the same counts, ends the job.
#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"
#include "transfer/receiver_internal.h"

lh_err lh_receiver_on_list_end(struct lh_receiver *receiver, const struct lh_msg_list_end *end)
{
    if (receiver->list_ended)
        return LH_E_PROTO;
    if (LH_GUARD(RECEIVER_LIST_COUNTS, memcmp(end, &receiver->announced, sizeof *end) != 0))
        return LH_E_PROTO;
    receiver->list_ended = true;
    receiver->job->status.totals_known = true;
    return LH_OK;
}

// --- On a worker ---

static void note_failure(struct lh_receiver *receiver, const struct lh_in_dir *dir)
{
    if (receiver->end_failure_count == LH_ARRAY_LEN(receiver->end_failures)) {
        receiver->end_failures_untold++;
        return;
    }
    char *path =
        lh_incoming_path(dir->parent == NULL ? dir : dir->parent, dir->name, LH_PATH_TEXT_MAX);
    if (path == NULL)
        path = strdup(dir->name);
    receiver->end_failures[receiver->end_failure_count++] = path;
}

static bool needs_attributes(const struct lh_receiver *receiver, const struct lh_in_dir *dir)
{
    if (!dir->announced || dir->dir == NULL || dir->failed)
        return false;
    bool is_ours = dir->made || dir->was_begun;
    return receiver->preserve || (is_ours && lh_in_dir_is_closed(dir));
}

static void end_run(struct lh_task *task)
{
    struct lh_receiver *receiver = LH_CONTAINER_OF(task, struct lh_receiver, end_task);
    lh_sweep_at_end(receiver);
    for (struct lh_link *link = receiver->dirs.prev; link != &receiver->dirs; link = link->prev) {
        struct lh_in_dir *dir = LH_CONTAINER_OF(link, struct lh_in_dir, link);
        struct lh_errinfo ignored = {0};
        struct timespec times[2];
        if (!needs_attributes(receiver, dir))
            continue;
        mode_t mode = dir->mode & 0777;
        if (!receiver->preserve)
            mode &= ~lh_dir_umask(dir->dir);
        lh_times_of(dir->atime_ns, dir->mtime_ns, times);
        if (lh_dir_set_attributes(dir->dir, NULL, &mode, receiver->preserve ? times : NULL,
                                  &ignored) != LH_OK)
            note_failure(receiver, dir);
    }
}

// --- On the loop ---

static void tell_failures(struct lh_receiver *receiver)
{
    for (size_t i = 0; i < receiver->end_failure_count; i++) {
        const char *path = receiver->end_failures[i];
        lh_job_tell_problem(receiver->job,
                            &(struct lh_job_problem){.severity = LH_PROBLEM_FAILED,
                                                     .code = LH_CODE_NO_PERMISSION,
                                                     .path = path == NULL ? "" : path,
                                                     .text = "the directory's mode or times could "
                                                             "not be set"});
    }
    if (receiver->end_failures_untold == 0)
        return;
    char text[LH_REASON_MAX];
    snprintf(text, sizeof text, "mode or times of %zu more directories could not be set",
             receiver->end_failures_untold);
    lh_job_tell_problem(receiver->job, &(struct lh_job_problem){.severity = LH_PROBLEM_FAILED,
                                                                .code = LH_CODE_NO_PERMISSION,
                                                                .path = "",
                                                                .text = text});
}

static void end_done(struct lh_task *task)
{
    struct lh_receiver *receiver = LH_CONTAINER_OF(task, struct lh_receiver, end_task);
    struct lh_job *job = receiver->job;
    tell_failures(receiver);
    LH_LIST_FOR_EACH(link, &receiver->dirs)
    {
        lh_journaling_end_directory(receiver, LH_CONTAINER_OF(link, struct lh_in_dir, link));
    }
    if (job->counts.files_failed == 0)
        lh_journaling_complete_tree(receiver);
    lh_journaling_flush(receiver);
    lh_receiver_flush_runs(receiver);
    lh_job_say(job, &(struct lh_message){.type = LH_MESSAGE_JOB_END,
                                         .as.job_end = {.counts = job->counts}});
    if (!lh_job_ended(job))
        job->state = LH_JOB_STATE_ENDING;
    lh_job_turn(job);
}

void lh_receiver_end_when_over(struct lh_receiver *receiver)
{
    if (receiver->ending || !receiver->list_ended || receiver->ids.count > 0 ||
        receiver->again_due > 0)
        return;
    receiver->ending = true;
    receiver->end_task = (struct lh_task){.run = end_run, .done = end_done};
    lh_ioq_submit(receiver->job->host.ioq, &receiver->end_task);
}

lh_err lh_receiver_on_job_end(struct lh_receiver *receiver, const struct lh_msg_job_end *end)
{
    struct lh_job *job = receiver->job;
    if (job->state != LH_JOB_STATE_ENDING)
        return LH_E_PROTO;
    if (LH_GUARD(RECEIVER_COUNTS, memcmp(&end->counts, &job->counts, sizeof end->counts) != 0))
        return LH_E_PROTO;
    lh_job_conclude(job);
    return LH_OK;
}
