// SPDX-License-Identifier: Apache-2.0
//
// How it works. Every file that was announced is settled once (complete, skipped, failed), and
// every problem that stands for something that was asked for and not delivered counts as one more
// failed file. Both sides keep this ledger on their own; JOB_END compares them. The verdict's code
// is the one that all failures share, else 27 ("some files"), so that a full disk ends with 25.
#include "transfer/verdict.h"

#include <stdio.h>

#include "base/assert.h"
#include "transfer/job_internal.h"

void lh_job_problem(struct lh_job *job, const struct lh_job_problem *problem)
{
    if (problem->severity == LH_PROBLEM_FAILED) {
        uint16_t code = problem->code == 0 ? LH_CODE_SOME_FILES : problem->code;
        job->counts.files_failed++;
        if (job->failed_code == 0)
            job->failed_code = code;
        else if (job->failed_code != code)
            job->failed_code = LH_CODE_SOME_FILES;
    }
    job->host.events->on_problem(job->host.user, problem);
}

void lh_job_tell_problem(struct lh_job *job, const struct lh_job_problem *problem)
{
    lh_job_problem(job, problem);
    lh_job_say(job, &(struct lh_message){
                        .type = LH_MESSAGE_PROBLEM,
                        .as.problem = {.severity = (uint8_t)problem->severity,
                                       .code = problem->code,
                                       .where = lh_text_of(problem->path, LH_PATH_TEXT_MAX),
                                       .reason = lh_text_of(problem->text, LH_REASON_MAX)}});
}

static void
tell_file(struct lh_job *job, enum lh_job_outcome outcome, const char *path, uint64_t size)
{
    struct lh_job_file file = {.outcome = outcome, .path = path, .size = size};
    if (job->host.events->on_file != NULL)
        job->host.events->on_file(job->host.user, &file);
}

void lh_job_settle(struct lh_job *job, enum lh_job_outcome outcome, const char *path, uint64_t size)
{
    LH_ASSERT(outcome != LH_JOB_FAILED);
    if (outcome == LH_JOB_SKIPPED) {
        job->counts.files_skipped++;
        job->counts.bytes_skipped += size;
    } else {
        job->counts.files_complete++;
        job->counts.bytes_complete += size;
    }
    tell_file(job, outcome, path, size);
}

void lh_job_settle_failed(struct lh_job *job, const char *path, uint16_t code, const char *text)
{
    lh_job_problem(job,
                   &(struct lh_job_problem){
                       .severity = LH_PROBLEM_FAILED, .code = code, .path = path, .text = text});
    tell_file(job, LH_JOB_FAILED, path, 0);
}

static void set_verdict(struct lh_job *job, lh_err err, uint16_t code, const char *text)
{
    job->verdict_err = err;
    job->verdict_code = code;
    snprintf(job->verdict_text, sizeof job->verdict_text, "%s", text);
    job->state = LH_JOB_STATE_ENDED;
}

void lh_job_abort(struct lh_job *job, lh_err err, uint16_t code, const char *text)
{
    if (lh_job_ended(job))
        return;
    if (err == LH_OK)
        lh_job_say(job,
                   &(struct lh_message){.type = LH_MESSAGE_JOB_END,
                                        .as.job_end = {.code = code,
                                                       .counts = job->counts,
                                                       .reason = lh_text_of(text, LH_REASON_MAX)}});
    set_verdict(job, err, code, text);
}

void lh_job_breach(struct lh_job *job, lh_err err, const char *what)
{
    char text[LH_ERRINFO_TEXT];
    if (lh_job_ended(job))
        return;
    if (err == LH_E_NOMEM)
        snprintf(text, sizeof text, "out of memory");
    else if (err == LH_E_PATH)
        snprintf(text, sizeof text, "the other side sent a name that is not allowed");
    else if (err == LH_E_CORRUPT)
        snprintf(text, sizeof text, "data arrived that contradicts its digest");
    else
        snprintf(text, sizeof text, "the other side broke the protocol: %s was not acceptable (%s)",
                 what, lh_err_name(err));
    lh_job_abort(job, err, err == LH_E_NOMEM ? LH_CODE_NO_MEMORY : LH_CODE_PROTOCOL, text);
}

void lh_job_end_by_peer(struct lh_job *job, uint16_t code, const char *text)
{
    if (!lh_job_ended(job))
        set_verdict(job, LH_OK, code, text);
}

void lh_job_conclude(struct lh_job *job)
{
    if (lh_job_ended(job))
        return;
    unsigned long long failed = job->counts.files_failed;
    char text[LH_ERRINFO_TEXT] = "";
    if (failed > 0)
        snprintf(text, sizeof text, "%llu %s not transferred (%s)", failed,
                 failed == 1 ? "item was" : "items were", lh_code_info(job->failed_code)->text);
    set_verdict(job, LH_OK, job->failed_code, text);
}

void lh_job_deliver_verdict(struct lh_job *job)
{
    if (!lh_job_ended(job) || job->verdict_delivered)
        return;
    job->verdict_delivered = true;
    struct lh_job_verdict verdict = {.code = job->verdict_code,
                                     .err = job->verdict_err,
                                     .resumable = job->status.started &&
                                                  (job->flags & LH_JOB_NO_RESUME) == 0,
                                     .text = job->verdict_text,
                                     .counts = job->counts};
    job->host.events->on_finished(job->host.user, &verdict);
}
