// SPDX-License-Identifier: Apache-2.0
//
// Changes of a running session's pace, the account of what held it back, and its trace file.
#include <fcntl.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "check.h"
#include "run/held.h"
#include "run/live.h"
#include "run/trace_file.h"
#include "sys/clock.h"

#define MB UINT64_C(1000000)

// --- Pace ----------------------------------------------------------------------------------------

static void a_server_may_slow_down_and_never_push(void **state)
{
    (void)state;
    const struct {
        struct lh_msg_pace own, asked, expected;
    } cases[] = {
        // own target: the lower one holds
        {{LH_PACE_FAIR, 10 * MB, 0}, {LH_PACE_FAIR, 5 * MB, 0}, {LH_PACE_FAIR, 5 * MB, 0}},
        {{LH_PACE_FAIR, 10 * MB, 0}, {LH_PACE_FAIR, 50 * MB, 0}, {LH_PACE_FAIR, 10 * MB, 0}},
        {{LH_PACE_FAIR, 10 * MB, 0}, {LH_PACE_FAIR, 0, 0}, {LH_PACE_FAIR, 10 * MB, 0}},
        {{LH_PACE_FAIR, 0, 0}, {LH_PACE_FAIR, 5 * MB, 0}, {LH_PACE_FAIR, 5 * MB, 0}},
        // minimum: never more than one's own, never above the target
        {{LH_PACE_FAIR, 0, 2 * MB}, {LH_PACE_FAIR, 0, 9 * MB}, {LH_PACE_FAIR, 0, 2 * MB}},
        {{LH_PACE_FAIR, 0, 2 * MB}, {LH_PACE_FAIR, MB, MB}, {LH_PACE_FAIR, MB, MB}},
        {{LH_PACE_FAIR, 0, 0}, {LH_PACE_FAIR, 0, MB}, {LH_PACE_FAIR, 0, 0}},
        // policy: the one that leaves more to others
        {{LH_PACE_FAIR, MB, 0}, {LH_PACE_LOW, MB, 0}, {LH_PACE_LOW, MB, 0}},
        {{LH_PACE_FAIR, MB, 0}, {LH_PACE_HIGH, MB, 0}, {LH_PACE_FAIR, MB, 0}},
        {{LH_PACE_FAIR, MB, 0}, {LH_PACE_FIXED, MB, 0}, {LH_PACE_FAIR, MB, 0}},
        {{LH_PACE_FIXED, MB, 0}, {LH_PACE_FAIR, 0, 0}, {LH_PACE_FAIR, MB, 0}},
    };
    for (size_t i = 0; i < LH_ARRAY_LEN(cases); i++) {
        struct lh_msg_pace pace = lh_pace_within(&cases[i].own, &cases[i].asked);
        if (pace.policy != cases[i].expected.policy ||
            pace.rate_target != cases[i].expected.rate_target ||
            pace.rate_min != cases[i].expected.rate_min)
            fail_msg("case %zu: policy %u, target %llu, minimum %llu", i, pace.policy,
                     (unsigned long long)pace.rate_target, (unsigned long long)pace.rate_min);
    }
}

static void a_change_must_make_sense_as_a_whole(void **state)
{
    (void)state;
    const struct lh_msg_pace now = {LH_PACE_FAIR, 10 * MB, MB};
    struct lh_msg_pace pace;
    struct lh_errinfo info = {0};
    struct lh_local_request request = {.has_rate = true, .rate = 80 * MB};
    check_ok(lh_pace_change(&now, &request, &pace, &info));
    check_uint(pace.rate_target, 10 * MB);
    check_uint(pace.rate_min, MB);
    request.rate = 4 * MB; // half a megabyte a second: below the minimum
    check_err(lh_pace_change(&now, &request, &pace, &info), LH_E_INVALID);
    request.rate = 0;
    check_ok(lh_pace_change(&now, &request, &pace, &info));
    check_uint(pace.rate_target, 0);
    request = (struct lh_local_request){.has_policy = true, .policy = "low"};
    check_ok(lh_pace_change(&now, &request, &pace, &info));
    check_uint(pace.policy, LH_PACE_LOW);
    request = (struct lh_local_request){.has_policy = true, .policy = "greedy"};
    check_err(lh_pace_change(&now, &request, &pace, &info), LH_E_INVALID);
    request = (struct lh_local_request){.has_rate = true, .has_policy = true, .policy = "fixed"};
    check_err(lh_pace_change(&now, &request, &pace, &info), LH_E_INVALID);
}

// --- What held it back ---------------------------------------------------------------------------

static enum lh_bottleneck joined(struct lh_msg_held sender, struct lh_msg_held receiver)
{
    struct lh_held_shares shares = {{0}};
    lh_held_join(&shares, &sender, &receiver);
    return lh_held_bottleneck(&shares);
}

#define S UINT64_C(1000000) // microseconds

static void both_ends_together_name_the_bottleneck(void **state)
{
    (void)state;
    const struct {
        struct lh_msg_held sender, receiver;
        enum lh_bottleneck expected;
    } cases[] = {
        {{.network = 9 * S, .cpu = S}, {.network = 10 * S}, LH_BOTTLENECK_NETWORK},
        {{.policy = 9 * S, .network = S}, {.network = 10 * S}, LH_BOTTLENECK_POLICY},
        {{.disk = 9 * S, .network = S}, {.network = 10 * S}, LH_BOTTLENECK_SENDER_DISK},
        {{.window = 9 * S, .network = S}, {.disk = 10 * S}, LH_BOTTLENECK_RECEIVER_DISK},
        {{.window = 9 * S, .network = S}, {.network = 10 * S}, LH_BOTTLENECK_WINDOW},
        {{.cpu = 9 * S, .network = S}, {.network = 10 * S}, LH_BOTTLENECK_CPU},
        {{.network = 10 * S}, {.cpu = 9 * S}, LH_BOTTLENECK_CPU},
        // a busy receiver does not explain what a target does
        {{.policy = 10 * S}, {.cpu = 9 * S}, LH_BOTTLENECK_POLICY},
        // nothing was to be done, or too little to tell
        {{.idle = 9 * S, .network = S}, {.network = S}, LH_BOTTLENECK_NONE},
        {{.network = S / 4}, {0}, LH_BOTTLENECK_NONE},
        // whatever the other side says, sums do not wrap
        {{.network = UINT64_MAX, .policy = UINT64_MAX, .idle = 1},
         {.cpu = 0},
         LH_BOTTLENECK_NETWORK},
    };
    for (size_t i = 0; i < LH_ARRAY_LEN(cases); i++) {
        enum lh_bottleneck found = joined(cases[i].sender, cases[i].receiver);
        if (found != cases[i].expected)
            fail_msg("case %zu: %s", i, lh_bottleneck_name(found));
    }
}

// One after another in turns of `each`, until `whole` is over. No time passes in truth, and this
// test hardly computes, so no step is the processor's.
static struct lh_msg_held
alternate(enum lh_held_cause one, enum lh_held_cause other, lh_ns each, lh_ns whole)
{
    struct lh_held held;
    struct lh_msg_held said = {0};
    lh_ns now = LH_SECOND;
    lh_held_init(&held, now);
    for (lh_ns end = now + whole; now < end;) {
        lh_held_note(&held, one, now);
        lh_held_note(&held, other, now += each);
        lh_held_note(&held, one, now += each);
    }
    lh_held_say(&held, &said);
    lh_held_fini(&held);
    return said;
}

static void time_goes_to_the_cause_noted_before(void **state)
{
    (void)state;
    struct lh_msg_held said =
        alternate(LH_HELD_NETWORK, LH_HELD_POLICY, 50 * LH_MS, 10 * LH_SECOND);
    check_uint(said.network, 5000000);
    check_uint(said.policy, 5000000);
    check_uint(said.disk + said.window + said.cpu + said.idle, 0);
}

static void steps_in_which_the_source_or_the_window_ran_dry_are_theirs(void **state)
{
    (void)state;
    struct lh_msg_held said = alternate(LH_HELD_DISK, LH_HELD_NETWORK, 100 * LH_MS, 12 * LH_SECOND);
    assert_true(said.disk >= 11000000 && said.network <= 1000000);
    said = alternate(LH_HELD_WINDOW, LH_HELD_NETWORK, 100 * LH_MS, 12 * LH_SECOND);
    assert_true(said.window >= 11000000 && said.network <= 1000000);
    // A target is not what a window is short of.
    said = alternate(LH_HELD_WINDOW, LH_HELD_POLICY, 100 * LH_MS, 12 * LH_SECOND);
    check_uint(said.policy, 6000000);
}

static void a_thread_that_never_sleeps_is_held_back_by_the_processor(void **state)
{
    (void)state;
    struct lh_held held;
    struct lh_msg_held said = {0};
    if (access("/proc/self/schedstat", R_OK) != 0)
        skip();
    lh_held_init(&held, lh_clock_now());
    for (lh_ns end = lh_clock_now() + 1300 * LH_MS, now = 0; now < end;)
        lh_held_note(&held, LH_HELD_NETWORK, now = lh_clock_now());
    lh_held_say(&held, &said);
    lh_held_fini(&held);
    assert_true(said.cpu >= 1100000 && said.network < 200000);
}

// --- The file ------------------------------------------------------------------------------------

static void a_trace_never_outgrows_its_size_and_keeps_the_end(void **state)
{
    (void)state;
    char path[] = "/tmp/lh-test-trace.XXXXXX";
    const uint64_t most = 4 * LH_TRACE_RESERVE;
    struct lh_trace_file *file;
    struct lh_errinfo info = {0};
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    check_ok(lh_trace_file_open(path, most, LH_SECOND, &file, &info));
    const struct lh_trace *sink = lh_trace_file_sink(file);
    struct lh_event_sent sent = {.lane = 1, .phase = "cruise", .held_by = "network"};
    for (int i = 0; i < 5000; i++)
        sink->on_event(sink->user, LH_EVENT_sent, &sent, 2 * LH_SECOND);
    assert_true(sink->interval >= 2 * LH_TRACE_INTERVAL);
    lh_trace_file_other(file, "\"event\":\"sent\"", 14, 3 * LH_SECOND);
    sink->on_event(sink->user, LH_EVENT_end, &(struct lh_event_end){0}, 3 * LH_SECOND);
    check_ok(lh_trace_file_close(file, &info));
    off_t size = lseek(fd, 0, SEEK_END);
    assert_true(size > (off_t)(most / 2) && size <= (off_t)most);
    char tail[80] = "";
    assert_int_equal(pread(fd, tail, 60, size - 60), 60);
    assert_non_null(
        strstr(tail, "{\"t\":2.000000,\"side\":\"client\",\"event\":\"end\",\"failed\":0}\n"));
    (void)close(fd);
    (void)unlink(path);
}

static void a_full_disk_is_said_at_the_end(void **state)
{
    (void)state;
    struct lh_trace_file *file;
    struct lh_errinfo info = {0};
    if (access("/dev/full", W_OK) != 0)
        skip();
    check_ok(lh_trace_file_open("/dev/full", LH_TRACE_BYTES_MAX, 0, &file, &info));
    lh_trace_file_other(file, "\"event\":\"x\"", 11, 0);
    check_err(lh_trace_file_close(file, &info), LH_E_NOSPC);
    assert_non_null(strstr(info.text, "the trace is incomplete"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_server_may_slow_down_and_never_push),
        cmocka_unit_test(a_change_must_make_sense_as_a_whole),
        cmocka_unit_test(both_ends_together_name_the_bottleneck),
        cmocka_unit_test(time_goes_to_the_cause_noted_before),
        cmocka_unit_test(steps_in_which_the_source_or_the_window_ran_dry_are_theirs),
        cmocka_unit_test(a_thread_that_never_sleeps_is_held_back_by_the_processor),
        cmocka_unit_test(a_trace_never_outgrows_its_size_and_keeps_the_end),
        cmocka_unit_test(a_full_disk_is_said_at_the_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
