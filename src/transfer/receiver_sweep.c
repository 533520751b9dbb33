// SPDX-License-Identifier: Apache-2.0
//
// How it works. A receiver that is killed between making a temporary file and recording it leaves a
// file that no journal knows. So the names of temporary files begin with a mark of their job and
// one of their session. A directory that was there before this session is swept when it is first
// entered: files of this job that are neither of this session nor known to the journal go. Without
// a journal nothing is swept, since only its lock says that no other session of the job is alive.
//
// When a whole job has succeeded, the partials that the journal still knew are of no use either (of
// files that have gone from the source since): the directories they may lie in are swept once more.
#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"
#include "sys/clock.h"
#include "transfer/receiver_internal.h"

#define JOB_PART     6 // characters of the mark that stand for the job: 36 bits
#define SESSION_PART (LH_TEMP_MARK_MAX - JOB_PART)

static void put_digits(const uint8_t *bytes, size_t count, char *out)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    for (size_t i = 0; i < count; i++)
        out[i] = digits[bytes[i] & 63];
    out[count] = '\0';
}

static int by_name(const void *a, const void *b)
{
    const struct lh_known_partial *left = a, *right = b;
    return strcmp(left->name, right->name);
}

static void remember(void *context, const char *path, const struct lh_journal_partial *partial)
{
    struct lh_sweeping *sweeping = context;
    (void)path;
    if (sweeping->failed)
        return;
    if (sweeping->known_count == sweeping->known_room) {
        size_t room = sweeping->known_room == 0 ? 64 : 2 * sweeping->known_room;
        struct lh_known_partial *known = realloc(sweeping->known, room * sizeof *known);
        if (known == NULL) {
            sweeping->failed = true;
            return;
        }
        sweeping->known = known;
        sweeping->known_room = room;
    }
    struct lh_known_partial *known = &sweeping->known[sweeping->known_count++];
    *known = (struct lh_known_partial){.dev = partial->dev, .ino = partial->ino};
    memcpy(known->name, partial->name, sizeof known->name);
}

void lh_sweeping_init(struct lh_receiver *receiver, const struct lh_digest *identity)
{
    struct lh_sweeping *sweeping = &receiver->sweeping;
    uint8_t session[SESSION_PART];
    char mark[LH_TEMP_MARK_MAX + 1];
    lh_entropy_fill(session, sizeof session);
    put_digits(identity->bytes, JOB_PART, sweeping->job_mark);
    put_digits(session, SESSION_PART, sweeping->session_mark);
    memcpy(mark, sweeping->job_mark, JOB_PART);
    memcpy(mark + JOB_PART, sweeping->session_mark, SESSION_PART + 1);
    lh_tree_mark_temps(receiver->tree, mark);
    lh_journal_each_partial(receiver->journal, remember, sweeping);
    if (sweeping->known_count > 0)
        qsort(sweeping->known, sweeping->known_count, sizeof *sweeping->known, by_name);
    sweeping->active = !sweeping->failed && !receiver->is_dry;
}

static bool keep(void *context, const char *name, const struct stat *found)
{
    const struct lh_sweeping *sweeping = context;
    if (strncmp(name + 4 + JOB_PART, sweeping->session_mark, SESSION_PART) == 0)
        return true;
    struct lh_known_partial wanted = {0};
    snprintf(wanted.name, sizeof wanted.name, "%s", name);
    const struct lh_known_partial *known =
        sweeping->known_count == 0 ? NULL
                                   : bsearch(&wanted, sweeping->known, sweeping->known_count,
                                             sizeof *sweeping->known, by_name);
    if (known == NULL)
        return false;
    // Somebody may have put a file of his own in a partial's place: that one stays for ever.
    bool is_the_partial = known->dev == found->st_dev && known->ino == found->st_ino;
    return !sweeping->job_is_done || !is_the_partial;
}

void lh_sweep(struct lh_receiver *receiver, struct lh_dir *dir)
{
    struct lh_errinfo ignored = {0};
    struct lh_sweeping *sweeping = &receiver->sweeping;
    if (!sweeping->active)
        return;
    // A directory that cannot be listed keeps what lies in it.
    if (lh_dir_sweep(dir, sweeping->job_mark, keep, sweeping, &ignored) != LH_OK)
        return;
}

void lh_sweep_at_end(struct lh_receiver *receiver)
{
    struct lh_sweeping *sweeping = &receiver->sweeping;
    if (!sweeping->active || sweeping->known_count == 0 || receiver->job->counts.files_failed > 0)
        return;
    sweeping->job_is_done = true;
    LH_LIST_FOR_EACH(link, &receiver->dirs)
    {
        struct lh_in_dir *dir = LH_CONTAINER_OF(link, struct lh_in_dir, link);
        if (dir->dir != NULL && !dir->made)
            lh_sweep(receiver, dir->dir);
    }
}

void lh_sweeping_fini(struct lh_receiver *receiver)
{
    free(receiver->sweeping.known);
}
