// SPDX-License-Identifier: Apache-2.0
//
// Events: their form as JSON, when they come, and that looking changes nothing.
#include <jansson.h>

#include "check.h"
#include "transport_pair.h"

#define RATE_100M 12500000

// The last line that was rendered, parsed; the caller frees it.
static json_t *parse(const char *line, size_t len)
{
    json_error_t error;
    check_uint(strlen(line), len);
    check_uint(strcspn(line, "\n"), len - 1);
    json_t *object = json_loadb(line, len, JSON_REJECT_DUPLICATES, &error);
    if (object == NULL)
        fail_msg("not JSON: %s in %s", error.text, line);
    return object;
}

static void the_largest_event_fits_its_line_and_is_json(void **state)
{
    (void)state;
    char line[LH_EVENT_LINE];
#define LH_NUMBER(name, unit, meaning) .name = INT64_MAX,
#define LH_WORD(name, meaning)         .name = "the-longest-word-that-is-likely",
#define LH_EVENT(name, meaning, fields)                                                            \
    {                                                                                              \
        struct lh_event_##name event = {fields};                                                   \
        size_t len =                                                                               \
            lh_event_render(LH_EVENT_##name, &event, UINT64_MAX, "client", line, sizeof line);     \
        json_t *object = parse(line, len);                                                         \
        assert_string_equal(json_string_value(json_object_get(object, "event")), #name);           \
        assert_string_equal(json_string_value(json_object_get(object, "side")), "client");         \
        json_decref(object);                                                                       \
    }
#include "transport/events.def"
#undef LH_EVENT
#undef LH_WORD
#undef LH_NUMBER
}

static void an_event_says_its_fields_in_order(void **state)
{
    (void)state;
    char line[LH_EVENT_LINE];
    struct lh_event_timeout event = {.lane = 1, .count = 3};
    lh_event_render(LH_EVENT_timeout, &event, 2 * LH_SECOND + 34567 * LH_US, "server", line,
                    sizeof line);
    assert_string_equal(line,
                        "{\"t\":2.034567,\"side\":\"server\",\"event\":\"timeout\",\"lane\":1,"
                        "\"count\":3}\n");
    assert_string_equal(lh_event_name(LH_EVENT_held), "held");
}

struct seen {
    unsigned count[LH_EVENT_N_];
    struct lh_event_sent sent;
    struct lh_event_received received;
    lh_ns sent_at, gap_min;
    const char *last_state;
    const char *controller;
    uint64_t target;
};

static void see(void *user, enum lh_event_kind kind, const void *event, lh_ns now)
{
    struct seen *seen = user;
    assert_true(seen->count[LH_EVENT_begin] == 1 || kind == LH_EVENT_begin);
    seen->count[kind]++;
    if (kind == LH_EVENT_sent) {
        const struct lh_event_sent *sent = event;
        if (seen->count[kind] > 1 && now - seen->sent_at < seen->gap_min)
            fail_msg("samples %llu ns apart", (unsigned long long)(now - seen->sent_at));
        assert_true(sent->packets >= seen->sent.packets && sent->content >= seen->sent.content);
        seen->sent = *sent;
        seen->sent_at = now;
    } else if (kind == LH_EVENT_received) {
        seen->received = *(const struct lh_event_received *)event;
    } else if (kind == LH_EVENT_state) {
        seen->last_state = ((const struct lh_event_state *)event)->state;
    } else if (kind == LH_EVENT_limits) {
        seen->controller = ((const struct lh_event_limits *)event)->controller;
        seen->target = ((const struct lh_event_limits *)event)->target;
    }
}

// A transfer over 20 ms and 1 % loss; `traces` NULL: nobody looks. Gives what was sent.
static uint64_t run(const struct lh_trace *traces)
{
    struct pair pair;
    pair_init(&pair, &(struct pair_options){.seed = 7});
    for (int i = 0; traces != NULL && i < 2; i++)
        lh_transport_set_trace(pair.ends[i].transport, &traces[i]);
    pair_add_lane(&pair, 1, 10 * LH_MS, RATE_100M);
    pair.links[1].loss_ppm = 10000;
    pair.ends[0].blocks_wanted = 300;
    assert_true(pair_run(&pair, pair_all_done, 30 * LH_SECOND));
    lh_transport_set_limits(pair.ends[0].transport,
                            &(struct lh_cc_limits){.rate_target = RATE_100M / 2}, pair.now);
    lh_transport_close(pair.ends[0].transport, 0, "", pair.now);
    (void)pair_run(&pair, pair_any_closed, 10 * LH_SECOND);
    uint64_t digest = pair.digest;
    pair_fini(&pair);
    return digest;
}

static void a_transfer_is_sampled_at_both_ends(void **state)
{
    (void)state;
    struct seen seen[2] = {{.gap_min = 5 * LH_MS}, {.gap_min = 0}};
    struct lh_trace traces[2] = {{see, &seen[0], 5 * LH_MS}, {see, &seen[1], 5 * LH_MS}};
    (void)run(traces);
    assert_true(seen[0].count[LH_EVENT_sent] > 20);
    assert_true(seen[1].count[LH_EVENT_received] > 20);
    check_uint(seen[1].count[LH_EVENT_sent], 0);
    check_uint(seen[1].count[LH_EVENT_end], 1);
    assert_string_equal(seen[0].last_state, "up");
    assert_string_equal(seen[0].controller, "fixed");
    check_uint(seen[0].target, RATE_100M / 2);
    assert_true(seen[0].sent.lost > 0 && seen[0].sent.again > 0);
    check_uint((seen[0].sent.rtt_min + LH_MS / 2) / LH_MS, 20); // the receiver's clock counts in us
    assert_true(seen[0].sent.pace > 0 && seen[0].sent.delivered > RATE_100M / 4);
    assert_true(seen[1].received.content > 1000000);
}

static void looking_changes_nothing(void **state)
{
    (void)state;
    struct seen seen[2] = {{.gap_min = 0}, {.gap_min = 0}};
    struct lh_trace traces[2] = {{see, &seen[0], 0}, {see, &seen[1], 0}};
    assert_true(run(NULL) == run(traces));
}

// --- What holds back -----------------------------------------------------------------------------

static enum lh_held_by held_by(const struct pair *pair)
{
    return lh_transport_held_by(pair->ends[0].transport);
}

static void what_holds_back_is_named(void **state)
{
    (void)state;
    struct pair pair;
    pair_init(&pair, &(struct pair_options){.seed = 3, .receive_budget = 1 << 20});
    pair_add_lane(&pair, 1, 10 * LH_MS, RATE_100M);
    pair.ends[0].blocks_wanted = 4;
    check_int(held_by(&pair), LH_HELD_BY_SOURCE);
    pair_push(&pair.ends[0]);
    check_int(held_by(&pair), LH_HELD_BY_NETWORK); // no lane is up yet
    assert_true(pair_run(&pair, pair_all_done, 5 * LH_SECOND));
    check_int(held_by(&pair), LH_HELD_BY_SOURCE);

    pair.ends[1].hold = true; // a receiver that does not get on
    pair.ends[0].blocks_wanted = 100;
    (void)pair_run(&pair, pair_never, LH_SECOND);
    check_int(held_by(&pair), LH_HELD_BY_WINDOW);
    pair_fini(&pair);
}

static void a_pace_at_the_target_is_policy_and_any_other_the_network(void **state)
{
    (void)state;
    struct pair pair;
    pair_init(&pair, &(struct pair_options){.seed = 4});
    pair_add_lane(&pair, 1, 10 * LH_MS, 125000); // lh_cc_fixed: the target is the pace
    pair.ends[0].blocks_wanted = 100;
    (void)pair_run(&pair, pair_never, LH_SECOND);
    check_int(held_by(&pair), LH_HELD_BY_POLICY);
    lh_transport_set_blocked(pair.ends[0].transport, 1, true);
    check_int(held_by(&pair), LH_HELD_BY_SOCKET);
    pair_fini(&pair);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_largest_event_fits_its_line_and_is_json),
        cmocka_unit_test(an_event_says_its_fields_in_order),
        cmocka_unit_test(a_transfer_is_sampled_at_both_ends),
        cmocka_unit_test(looking_changes_nothing),
        cmocka_unit_test(what_holds_back_is_named),
        cmocka_unit_test(a_pace_at_the_target_is_policy_and_any_other_the_network),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
