// SPDX-License-Identifier: Apache-2.0
//
// What a peer may say about packets that a lane has sent. The first byte picks the controller; then
// steps follow, a byte each and what it needs: packets leave or are left out, time passes, timers
// fire, the policy changes, and FEEDBACK arrives, whose fields are near to what would be true or far
// from it.
//
// What must hold after every step, whatever was reported: a packet is in one state alone; flight
// and counts are the sums over the ring; content is told lost only while it is outstanding and
// acknowledged once at most, and none is told that was never sent; pace and window stay within what
// a controller may answer.
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/math.h"
#include "crypto/aead.h"
#include "transport/lane.h"
#include "transport/random.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

#define PACKETS_MAX 4000u
#define STEPS_MAX   600u
#define OVERHEAD    28u

enum fate { FATE_NONE, FATE_SENT, FATE_LOST, FATE_ACKED };

struct world {
    struct lh_lane *lane;
    lh_ns now;
    uint32_t contents;              // numbered in the order they left
    uint8_t fates[2 * PACKETS_MAX]; // enum fate
    struct lh_frame_feedback was;   // the newest that was near the truth
    struct lh_loss_sink sink;
};

static lh_err on_acked(void *ctx, const struct lh_content *content)
{
    struct world *world = ctx;
    LH_ASSERT(content->block < world->contents);
    LH_ASSERT(world->fates[content->block] == FATE_SENT ||
              world->fates[content->block] == FATE_LOST);
    world->fates[content->block] = FATE_ACKED;
    return 0;
}

static lh_err on_lost(void *ctx, const struct lh_content *content)
{
    struct world *world = ctx;
    LH_ASSERT(content->block < world->contents);
    LH_ASSERT(world->fates[content->block] == FATE_SENT);
    world->fates[content->block] = FATE_LOST;
    return 0;
}

static const struct lh_cc_type *controller(unsigned choice)
{
    static const struct lh_cc_type *const types[] = {
        &lh_cc_fair, &lh_cc_high, &lh_cc_low, &lh_cc_fixed, &lh_cc_lt,
    };
    return types[choice % LH_ARRAY_LEN(types)];
}

static void start(struct world *world, unsigned choice, struct lh_random *random)
{
    const struct lh_transport_config session = {
        .is_client = true,
        .aead = &lh_aead_null,
        .epoch_shift = LH_EPOCH_SHIFT,
        .has_ecn = (choice & 64) != 0,
    };
    const struct lh_lane_config config = {
        .lane = 1,
        .cc = controller(choice),
        .limits = {.rate_target = controller(choice) == &lh_cc_fixed ? 12500000 : 0},
        .payload_max = 1472,
        .ip_overhead = OVERHEAD,
    };
    lh_err err = lh_random_init(random, 9);
    if (err == 0)
        err = lh_lane_new(&config, &session, random, world->now, &world->lane);
    LH_ASSERT(err == 0);
    world->lane->state = LH_LANE_UP;
    world->lane->group = 1;
    world->sink = (struct lh_loss_sink){world, on_acked, on_lost};
}

// As assemble.c does it: numbers are left out, some packets expect no acknowledgement, some carry
// two pieces of content.
static void leave(struct world *world, unsigned count)
{
    struct lh_lane *lane = world->lane;
    for (unsigned i = 0; i < count && lane->sent.next < PACKETS_MAX; i++) {
        uint32_t pieces = lane->sent.next % 5 == 4 ? 2 : 1;
        bool is_tracked = lane->sent.next % 11 != 10;
        if (!lh_sent_reserve(&lane->sent, 2) || !lh_lane_may_number(lane))
            return;
        if (lane->sent.next == lane->skip_at) {
            lh_sent_skip(&lane->sent);
            lane->skip_at += 13;
            continue;
        }
        for (uint32_t n = 0; is_tracked && n < pieces; n++) {
            const struct lh_content content = {.block = world->contents, .len = 1000};
            world->fates[world->contents++] = FATE_SENT;
            lh_sent_add_content(&lane->sent, &content);
        }
        lh_sent_push(&lane->sent, world->now, 1000 + OVERHEAD, is_tracked ? pieces : 0, is_tracked);
        lh_lane_on_sent(lane, 1000 + OVERHEAD, is_tracked, world->now);
        lane->stats.packets_sent++;
        lane->stats.bytes_sent += 1000;
    }
}

static uint64_t near(struct lh_reader *reader, uint64_t truth)
{
    uint8_t how = lh_read_u8(reader);
    if (how < 128)
        return lh_sub_sat(truth, how);
    if (how < 250)
        return truth + (how & 15);
    return how < 253 ? lh_read_u64(reader) : 0;
}

// Fields near the truth, so that reports get beyond the first check; records as they come.
static void report(struct world *world, struct lh_reader *reader)
{
    struct lh_lane *lane = world->lane;
    struct lh_frame_feedback feedback = world->was;
    feedback.number = (uint32_t)near(reader, lane->feedback_next);
    feedback.top = near(reader, lane->sent.next);
    feedback.clock_us = near(reader, world->now / LH_US);
    feedback.top_age_us = near(reader, 127);
    feedback.last_age_us = near(reader, 127);
    feedback.packets = near(reader, lane->stats.packets_sent);
    feedback.bytes = near(reader, feedback.packets * 1000);
    feedback.ce = near(reader, 0);
    feedback.socket_drops = near(reader, 0);
    feedback.start = near(reader, lane->sent.floor) / 64 * 64;
    feedback.records_len = lh_read_u8(reader);
    feedback.records_len = (uint16_t)LH_MIN(feedback.records_len, lh_reader_left(reader));
    feedback.records = lh_read_bytes(reader, feedback.records_len);
    uint64_t next = lane->sent.next, sent = lane->stats.packets_sent;
    lh_err err = lh_lane_on_feedback(lane, &feedback, &world->sink, world->now);
    LH_ASSERT(err == 0 || err == LH_E_PROTO);
    LH_ASSERT(err != 0 || (feedback.top <= next && feedback.packets <= sent));
}

static void check(const struct world *world)
{
    const struct lh_lane *lane = world->lane;
    const struct lh_sent *sent = &lane->sent;
    uint64_t inflight = 0, count = 0;
    LH_ASSERT(sent->floor <= lh_sent_oldest(sent) && lh_sent_oldest(sent) <= sent->next);
    for (uint64_t pn = sent->floor; pn < sent->next; pn++) {
        const struct lh_sent_record *record = lh_sent_record(sent, pn);
        bool is_outstanding = lh_sent_bit(sent, sent->outstanding, pn);
        bool is_lost = lh_sent_bit(sent, sent->lost, pn);
        LH_ASSERT(is_outstanding + is_lost + lh_sent_bit(sent, sent->skipped, pn) <= 1);
        LH_ASSERT(!is_outstanding || pn >= lh_sent_oldest(sent));
        inflight += is_outstanding ? record->bytes : 0;
        count += is_outstanding;
        for (uint32_t i = 0; (is_outstanding || is_lost) && i < record->content_count; i++)
            LH_ASSERT(world->fates[lh_sent_content(sent, record, i)->block] ==
                      (is_outstanding ? FATE_SENT : FATE_LOST));
    }
    LH_ASSERT(inflight == sent->inflight && count == sent->count_outstanding);
    LH_ASSERT(lane->loss.largest <= sent->next);
    LH_ASSERT(lane->drops_to_forgive <= sent->next);
    LH_ASSERT(lh_lane_rate(lane) > 0 && lh_lane_rate(lane) <= LH_CC_RATE_MAX);
    LH_ASSERT(lane->config.cc->cwnd(lane->cc_state) >= 4 * 1000);
    (void)lh_lane_window(lane);
    (void)lh_lane_timer(lane);
}

static lh_err step(struct world *world, struct lh_reader *reader)
{
    uint8_t what = lh_read_u8(reader);
    switch (what >> 5) {
    case 0:
    case 1:
        leave(world, (what & 31) + 1u);
        return 0;
    case 2:
        world->now += (what & 31) * LH_MS;
        return 0;
    case 3:
        world->now += (what & 31) * 100 * LH_MS;
        return lh_lane_on_timers(world->lane, &world->sink, world->now);
    case 4:
        if (what & 1)
            lh_lane_set_policy(world->lane, controller(what >> 1 & 7),
                               &(struct lh_cc_limits){.rate_target = 1000000}, world->now);
        else if (what & 2)
            lh_lane_on_path_change(world->lane, world->now);
        else if (what & 4)
            return lh_lane_give_up_all(world->lane, &world->sink);
        else
            lh_lane_note_late(world->lane, (what & 8) != 0);
        return 0;
    default:
        report(world, reader);
        return 0;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct lh_reader reader = lh_reader_of(data, len);
    static struct world world;
    struct lh_random random;
    world = (struct world){.now = 10 * LH_SECOND};
    start(&world, lh_read_u8(&reader), &random);
    for (unsigned i = 0; i < STEPS_MAX && lh_reader_left(&reader) > 0; i++) {
        lh_err err = step(&world, &reader);
        LH_ASSERT(err == 0);
        check(&world);
    }
    lh_lane_free(world.lane);
    lh_random_fini(&random);
    return 0;
}
