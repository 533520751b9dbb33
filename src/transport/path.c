// SPDX-License-Identifier: Apache-2.0
#include "transport/path.h"
#include "base/assert.h"
#include "base/math.h"

void lh_path_init(struct lh_path *path)
{
    *path = (struct lh_path){
        .current = LH_PATH_NONE, .candidate = LH_PATH_NONE, .challenge_at = LH_NEVER};
}

void lh_path_set(struct lh_path *path, uint32_t to, bool validated)
{
    path->current = to;
    path->validated = validated;
    path->current_budget = (struct lh_path_budget){0};
}

static void drop_candidate(struct lh_path *path)
{
    path->candidate = LH_PATH_NONE;
    path->challenge_at = LH_NEVER;
}

void lh_path_on_packet(struct lh_path *path,
                       uint32_t from,
                       bool is_newest,
                       size_t bytes,
                       struct lh_random *random,
                       lh_ns now)
{
    if (path->current == LH_PATH_NONE)
        lh_path_set(path, from, false);
    if (from == path->current) {
        path->current_budget.received += bytes;
        return;
    }
    if (from == path->candidate) {
        path->candidate_budget.received += bytes;
        return;
    }
    if (!is_newest)
        return;
    path->candidate = from;
    path->candidate_budget = (struct lh_path_budget){.received = bytes};
    path->token = lh_random_next(random);
    path->tries = 0;
    path->challenge_at = now;
}

void lh_path_on_echo(struct lh_path *path)
{
    path->validated = true;
}

void lh_path_on_challenge(struct lh_path *path, uint32_t from, uint64_t token)
{
    if (path->response_count < LH_PATH_RESPONSES)
        path->responses[path->response_count++] = (struct lh_path_response){from, token};
}

bool lh_path_on_response(struct lh_path *path, uint64_t token)
{
    if (path->candidate == LH_PATH_NONE || path->tries == 0)
        return false;
    if (LH_GUARD(PATH_TOKEN, token != path->token))
        return false;
    lh_path_set(path, path->candidate, true);
    drop_candidate(path);
    return true;
}

static uint64_t left(const struct lh_path_budget *budget)
{
    return lh_sub_sat(LH_PATH_AMPLIFY * budget->received, budget->sent);
}

bool lh_path_challenge_due(struct lh_path *path, size_t bytes, lh_ns now)
{
    if (path->candidate == LH_PATH_NONE || path->challenge_at > now)
        return false;
    if (path->tries >= LH_PATH_TRIES) {
        drop_candidate(path);
        return false;
    }
    if (LH_GUARD(PATH_AMPLIFY, left(&path->candidate_budget) < bytes)) {
        path->challenge_at = now + 10 * LH_MS;
        path->tries++;
        return false;
    }
    return true;
}

void lh_path_challenge_sent(struct lh_path *path, size_t bytes, lh_ns rtt, lh_ns now)
{
    path->candidate_budget.sent += bytes;
    path->tries++;
    path->challenge_at = now + LH_CLAMP(rtt, 10 * LH_MS, 500 * LH_MS);
}

lh_ns lh_path_deadline(const struct lh_path *path)
{
    return path->challenge_at;
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
