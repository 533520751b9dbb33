// SPDX-License-Identifier: Apache-2.0
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"
#include "watch/feed.h"
#include "watch/judge.h"
#include "watch/state.h"
#include "watch/watch_internal.h"
#include "watchio/statefile.h"

static struct lh_feed feed;

static void fill(struct lh_watch *watch)
{
    struct lh_watch_zone zone = {.latest = 1779250000};
    check_ok(lh_watch_init(watch, 42));
    feed.watch = watch;
    lh_feed_begin(&feed, &zone, 0);
    for (unsigned i = 0; i < 500; i++) {
        char line[256];
        int len = snprintf(line, sizeof line,
                           "%u.0 ftp1 sshd[%u]: Failed password for invalid user u%u from "
                           "198.51.100.%u port 9 ssh2",
                           1779250000 + i, 100 + i, i % 40, i % 50);
        (void)lh_feed_line(&feed, lh_span_of(line, (size_t)len), i + 1);
    }
}

// A state in memory.
struct bytes {
    uint8_t *data;
    size_t len, at, most;
};

static lh_err put(void *context, const void *data, size_t len)
{
    struct bytes *bytes = context;
    bytes->data = realloc(bytes->data, bytes->len + len);
    assert_non_null(bytes->data);
    memcpy(bytes->data + bytes->len, data, len);
    bytes->len += len;
    bytes->most = len > bytes->most ? len : bytes->most;
    return 0;
}

static size_t get(void *context, void *out, size_t len)
{
    struct bytes *bytes = context;
    size_t part = len < bytes->len - bytes->at ? len : bytes->len - bytes->at;
    memcpy(out, bytes->data + bytes->at, part);
    bytes->at += part;
    return part;
}

static struct bytes pack(const struct lh_watch *watch, const struct lh_progress *progress)
{
    struct bytes bytes = {0};
    struct lh_state_sink sink = {put, &bytes};
    check_ok(lh_state_pack(watch, progress, &sink));
    return bytes;
}

static lh_err unpack(struct lh_watch *watch,
                     struct lh_progress *out_progress,
                     const struct bytes *from,
                     size_t len)
{
    struct bytes bytes = {.data = from->data, .len = len};
    struct lh_state_source source = {get, &bytes};
    return lh_state_unpack(watch, out_progress, &source);
}

static void what_was_saved_is_as_before(void **state)
{
    struct lh_watch watch;
    struct lh_watch other;
    struct lh_progress progress = {.inode = 7, .offset = 99, .cursor = "c"};
    struct lh_progress read;
    struct lh_judgement before;
    struct lh_judgement after;
    (void)state;
    fill(&watch);
    struct bytes bytes = pack(&watch, &progress);
    // No piece is larger than an entry: whoever writes them needs no room for the whole.
    assert_true(bytes.most <= sizeof(struct lh_watch_totals) + sizeof(struct lh_source));
    check_ok(lh_watch_init(&other, 77));
    check_ok(unpack(&other, &read, &bytes, bytes.len));
    assert_memory_equal(&read, &progress, sizeof read);
    check_ok(lh_judge(&watch, &before));
    check_ok(lh_judge(&other, &after));
    check_uint(after.count, before.count);
    assert_true(after.count > 0);
    for (size_t i = 0; i < after.count; i++) {
        check_int(after.verdicts[i].kinds, before.verdicts[i].kinds);
        check_uint(after.verdicts[i].tries, before.verdicts[i].tries);
    }
    lh_judgement_fini(&before);
    lh_judgement_fini(&after);
    lh_watch_fini(&watch);
    lh_watch_fini(&other);
    free(bytes.data);
}

static void a_damaged_or_cut_state_is_refused(void **state)
{
    struct lh_watch watch;
    struct lh_progress progress = {0};
    (void)state;
    fill(&watch);
    struct bytes bytes = pack(&watch, &progress);
    for (size_t at = 0; at < bytes.len; at += bytes.len / 97) {
        bytes.data[at] ^= 0x40;
        assert_true(unpack(&watch, &progress, &bytes, bytes.len) < 0);
        bytes.data[at] ^= 0x40;
        assert_true(unpack(&watch, &progress, &bytes, at) < 0);
        check_uint(watch.totals.messages, 0);
    }
    check_ok(unpack(&watch, &progress, &bytes, bytes.len));
    size_t len = bytes.len;
    check_ok(put(&bytes, "x", 1));
    check_err(unpack(&watch, &progress, &bytes, len + 1), LH_E_CORRUPT);
    lh_watch_fini(&watch);
    free(bytes.data);
}

// With a right digest, but counts that would lead out of their arrays.
static void values_that_lead_astray_are_refused(void **state)
{
    (void)state;
    for (unsigned which = 0; which < 8; which++) {
        struct lh_watch watch;
        struct lh_progress progress = {0};
        struct lh_watch_addr addr;
        fill(&watch);
        assert_true(lh_watch_addr_parse(LH_SPAN("198.51.100.7"), &addr));
        struct lh_source *source = lh_watch_source(&watch, &addr);
        struct lh_watch_addr net = lh_watch_addr_network(&addr);
        struct lh_network *network =
            lh_slots_find(&watch.networks, lh_watch_addr_key(&watch, &net));
        struct lh_user *user = lh_watch_user(&watch, LH_SPAN("u7"));
        if (which == 0)
            source->names_count = LH_WATCH_NAMES + 1;
        else if (which == 1)
            source->recent_at = LH_WATCH_RECENT;
        else if (which == 2)
            memset(source->names[0], 'x', sizeof source->names[0]);
        else if (which == 3)
            source->evidence_at = LH_WATCH_EVIDENCE_MAX;
        else if (which == 4)
            source->users.count = LH_DISTINCT_EXACT + 2;
        else if (which == 5)
            source->logged_in.count = LH_KNOWN_MAX + 1;
        else if (which == 6)
            network->sources.count = LH_DISTINCT_EXACT + 2;
        else
            user->sources.count = LH_DISTINCT_EXACT + 2;
        struct bytes bytes = pack(&watch, &progress);
        check_err(unpack(&watch, &progress, &bytes, bytes.len), LH_E_CORRUPT);
        lh_watch_fini(&watch);
        free(bytes.data);
    }
}

static void a_file_that_others_may_write_is_not_believed(void **state)
{
    char path[] = "/tmp/lh-state-XXXXXX";
    struct lh_watch watch;
    struct lh_progress progress = {.line = 5};
    struct lh_progress read;
    (void)state;
    fill(&watch);
    uint64_t messages = watch.totals.messages;
    check_int(close(mkstemp(path)), 0);
    check_ok(lh_statefile_write(path, &watch, &progress, NULL));
    check_ok(lh_statefile_read(path, &watch, &read, NULL));
    check_uint(read.line, 5);
    check_uint(watch.totals.messages, messages);
    check_int(chmod(path, 0620), 0);
    check_err(lh_statefile_read(path, &watch, &read, NULL), LH_E_INVALID);
    check_int(unlink(path), 0);
    check_err(lh_statefile_read(path, &watch, &read, NULL), LH_NONE);
    lh_watch_fini(&watch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_saved_is_as_before),
        cmocka_unit_test(a_damaged_or_cut_state_is_refused),
        cmocka_unit_test(values_that_lead_astray_are_refused),
        cmocka_unit_test(a_file_that_others_may_write_is_not_believed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
