// SPDX-License-Identifier: Apache-2.0
//
// How it works. Two questions may be open at a time, each with a token of its own: one to the
// candidate, one to the path that it wants to replace. A token proves that the path which it was
// sent to reaches the peer, whichever way the answer comes: a copier answers from its own address.
//
//   old answers                      stay there, or go back there; the other one is refused
//   candidate answers, old does not  the lane moves; the question to the old one stays open
//   neither                          nothing changes
#include "transport/path.h"
#include "base/assert.h"
#include "base/math.h"

#define WAIT_MIN (10 * LH_MS)
#define WAIT_MAX (500 * LH_MS)
#define NOBODY   ((struct lh_path_question){.path = LH_PATH_NONE, .next_at = LH_NEVER})

void lh_path_init(struct lh_path *path)
{
    *path = (struct lh_path){.current = LH_PATH_NONE,
                             .candidate = NOBODY,
                             .old = NOBODY,
                             .move_at = LH_NEVER,
                             .refused = LH_PATH_NONE};
}

static void settle(struct lh_path *path, uint32_t to, bool validated)
{
    path->current = to;
    path->validated = validated;
    path->current_budget = (struct lh_path_budget){0};
}

static void drop_candidate(struct lh_path *path)
{
    path->candidate = NOBODY;
    path->candidate_answered = false;
    path->move_at = LH_NEVER;
}

void lh_path_set(struct lh_path *path, uint32_t to, bool validated)
{
    settle(path, to, validated);
    drop_candidate(path);
    path->old = NOBODY;
}

static struct lh_path_question ask(uint32_t whom, struct lh_random *random, lh_ns now)
{
    return (struct lh_path_question){
        .path = whom, .token = lh_random_next(random), .asked_at = now, .next_at = now};
}

void lh_path_on_packet(struct lh_path *path,
                       uint32_t from,
                       bool is_newest,
                       size_t bytes,
                       struct lh_random *random,
                       lh_ns now)
{
    if (path->current == LH_PATH_NONE)
        settle(path, from, false);
    if (from == path->current) {
        path->current_budget.received += bytes;
        return;
    }
    if (from == path->candidate.path) {
        path->candidate_budget.received += bytes;
        return;
    }
    if (!is_newest || (from == path->refused && now < path->refused_until))
        return;
    drop_candidate(path);
    path->candidate = ask(from, random, now);
    path->candidate_budget = (struct lh_path_budget){.received = bytes};
    if (path->validated && path->old.path == LH_PATH_NONE)
        path->old = ask(path->current, random, now);
}

void lh_path_on_echo(struct lh_path *path)
{
    path->validated = true;
}

void lh_path_on_silence(struct lh_path *path)
{
    path->refused = LH_PATH_NONE;
    path->old = NOBODY;
}

void lh_path_on_challenge(struct lh_path *path, uint32_t from, uint64_t token)
{
    if (path->response_count < LH_PATH_RESPONSES)
        path->responses[path->response_count++] = (struct lh_path_response){from, token};
}

static bool is_answer(const struct lh_path_question *question, uint64_t token)
{
    if (question->path == LH_PATH_NONE || question->tries == 0)
        return false;
    return !LH_GUARD(PATH_TOKEN, token != question->token);
}

static void move(struct lh_path *path)
{
    settle(path, path->candidate.path, true);
    drop_candidate(path);
}

// The old path lives: whoever sent from elsewhere had copies only.
static bool keep_old(struct lh_path *path, lh_ns now)
{
    bool has_left = path->current != path->old.path;

    path->refused = has_left ? path->current : path->candidate.path;
    path->refused_until = now + LH_PATH_REFUSED;
    if (has_left)
        settle(path, path->old.path, true);
    path->old = NOBODY;
    drop_candidate(path);
    return has_left;
}

bool lh_path_on_response(struct lh_path *path, uint64_t token, lh_ns now)
{
    if (LH_GUARD(PATH_COPIER, is_answer(&path->old, token)))
        return keep_old(path, now);
    if (!is_answer(&path->candidate, token))
        return false;
    path->candidate_answered = true;
    path->candidate.next_at = LH_NEVER;
    return lh_path_on_deadline(path, now);
}

bool lh_path_on_deadline(struct lh_path *path, lh_ns now)
{
    bool is_contested = path->old.path == path->current;

    if (!path->candidate_answered || (is_contested && now < path->move_at))
        return false;
    move(path);
    return true;
}

static uint64_t left(const struct lh_path_budget *budget)
{
    return lh_sub_sat(LH_PATH_AMPLIFY * budget->received, budget->sent);
}

static bool may_ask_candidate(struct lh_path *path, size_t bytes, lh_ns now)
{
    struct lh_path_question *candidate = &path->candidate;

    if (candidate->next_at > now)
        return false;
    if (candidate->tries >= LH_PATH_TRIES) {
        drop_candidate(path);
        return false;
    }
    if (LH_GUARD(PATH_AMPLIFY, left(&path->candidate_budget) < bytes)) {
        candidate->next_at = now + WAIT_MIN;
        candidate->tries++;
        return false;
    }
    return true;
}

bool lh_path_challenge_due(
    struct lh_path *path, size_t bytes, lh_ns now, uint32_t *out_to, uint64_t *out_token)
{
    const struct lh_path_question *question = &path->old;

    if (path->old.next_at > now || path->old.tries >= LH_PATH_TRIES) {
        if (path->old.next_at <= now)
            path->old = NOBODY; // it had its time
        if (!may_ask_candidate(path, bytes, now))
            return false;
        question = &path->candidate;
    }
    *out_to = question->path;
    *out_token = question->token;
    return true;
}

void lh_path_challenge_sent(struct lh_path *path, uint32_t to, size_t bytes, lh_ns rtt, lh_ns now)
{
    lh_ns wait = LH_CLAMP(rtt, WAIT_MIN, WAIT_MAX);

    if (to == path->candidate.path) {
        path->candidate_budget.sent += bytes;
        path->candidate.tries++;
        path->candidate.next_at = now + wait;
        return;
    }
    // Twice in a row, so that one loss does not decide; then ever less often.
    path->old.tries++;
    path->old.next_at = now + (path->old.tries < 2 ? wait / 2 : wait << (path->old.tries - 2));
    if (path->move_at == LH_NEVER)
        path->move_at = now + 2 * LH_MAX(rtt, WAIT_MIN);
}

lh_ns lh_path_deadline(const struct lh_path *path)
{
    lh_ns at = lh_ns_min(path->candidate.next_at, path->old.next_at);
    if (!path->candidate_answered)
        return at;
    return path->old.path == path->current ? lh_ns_min(at, path->move_at) : 0;
}

uint64_t lh_path_allowance(const struct lh_path *path)
{
    if (path->current == LH_PATH_NONE)
        return 0;
    return path->validated ? UINT64_MAX : left(&path->current_budget);
}

void lh_path_sent(struct lh_path *path, size_t bytes)
{
    if (!path->validated)
        path->current_budget.sent += bytes;
}
