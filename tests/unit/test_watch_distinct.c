// SPDX-License-Identifier: Apache-2.0
#include "watch/distinct.h"

#include "base/cleanup.h"
#include "check.h"
#include "watch/feed.h"
#include "watch/judge.h"

#define SEEDS 2000
#define T     INT64_C(1773168482)

// The hash of the `n`th name under the `seed`th key, as the rolling state makes it of users.
static uint64_t hash_of(unsigned seed, unsigned n)
{
    char name[16];
    int len = snprintf(name, sizeof name, "user%u", n);
    uint64_t key = lh_watch_hash(&seed, sizeof seed, 7);
    return lh_watch_hash(name, (size_t)len, key);
}

static void sixteen_are_sixteen_under_every_key(void **state)
{
    (void)state;
    for (unsigned seed = 0; seed < SEEDS; seed++) {
        struct lh_distinct set = {0};
        check_uint(lh_distinct_count(&set), 0);
        for (unsigned n = 0; n < LH_DISTINCT_EXACT; n++) {
            for (unsigned again = 0; again <= n; again++)
                lh_distinct_add(&set, hash_of(seed, again));
            check_uint(lh_distinct_count(&set), n + 1);
        }
    }
}

static void more_are_estimated_and_never_become_less(void **state)
{
    (void)state;
    uint64_t sum = 0;
    for (unsigned seed = 0; seed < 50; seed++) {
        struct lh_distinct set = {0};
        uint32_t before = 0;
        for (unsigned n = 0; n < 6000; n++) {
            lh_distinct_add(&set, hash_of(seed, n));
            uint32_t count = lh_distinct_count(&set);
            assert_true(count >= before);
            assert_true(lh_distinct_is_sane(&set));
            before = count;
            if (n + 1 == LH_DISTINCT_EXACT + 1)
                check_uint(count, LH_DISTINCT_EXACT + 1);
            if (n + 1 == 500) {
                assert_true(count > 400 && count < 600); // five deviations
                sum += count;
            }
        }
        assert_true(before > 1000 && before <= 3490);
    }
    sum /= 50;
    assert_true(sum > 490 && sum < 510);
}

// Everything but the upper half is ignored; of that every bit counts.
static void only_equal_upper_halves_are_taken_for_each_other(void **state)
{
    uint64_t hash = hash_of(1, 1);
    struct lh_distinct set = {0};
    struct lh_known known = {0};
    (void)state;
    lh_distinct_add(&set, hash);
    lh_known_add(&known, hash);
    for (unsigned bit = 0; bit < 64; bit++) {
        struct lh_distinct two = set;
        uint64_t other = hash ^ UINT64_C(1) << bit;
        lh_distinct_add(&two, other);
        check_uint(lh_distinct_count(&two), bit < 32 ? 1 : 2);
        check_int(lh_known_has(&known, other), bit < 32);
    }
}

static int compare(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a;
    uint32_t y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

// Of n halves n * (n - 1) / 2^33 pairs agree: of a million, 128.
static void halves_agree_as_seldom_as_said(void **state)
{
    unsigned count = 1u << 20;
    uint32_t *halves = calloc(count, sizeof *halves);
    unsigned pairs = 0;
    (void)state;
    assert_non_null(halves);
    for (unsigned n = 0; n < count; n++)
        halves[n] = (uint32_t)(hash_of(3, n) >> 32);
    qsort(halves, count, sizeof *halves, compare);
    for (unsigned n = 1; n < count; n++)
        pairs += halves[n] == halves[n - 1];
    free(halves);
    assert_true(pairs > 128 - 64 && pairs < 128 + 64);
}

static void the_last_sixteen_are_known(void **state)
{
    (void)state;
    for (unsigned seed = 0; seed < SEEDS; seed++) {
        struct lh_known set = {0};
        for (unsigned n = 0; n < 40; n++) {
            lh_known_add(&set, hash_of(seed, 0)); // who comes between all others stays
            lh_known_add(&set, hash_of(seed, n));
            lh_known_add(&set, hash_of(seed, n));
            check_uint(set.count, n < LH_KNOWN_MAX ? n + 1 : LH_KNOWN_MAX);
        }
        for (unsigned n = 0; n < 100; n++) {
            bool lately = n == 0 || (n >= 40 - (LH_KNOWN_MAX - 1) && n < 40);
            check_int(lh_known_has(&set, hash_of(seed, n)), lately);
        }
        assert_true(lh_known_is_sane(&set));
    }
}

static struct lh_feed feed;

static void say(unsigned second, unsigned pid, const char *user, const char *address)
{
    char line[256];
    int len = snprintf(line, sizeof line,
                       "%lld.0 ftp1 sshd[%u]: Failed password for %s from %s port 9 ssh2",
                       (long long)T + second, pid, user, address);
    (void)lh_feed_line(&feed, lh_span_of(line, (size_t)len), pid);
}

// Eight users of one source, five of another, three sources of one network, eight of one user's.
static void tell(struct lh_watch *watch)
{
    struct lh_watch_zone zone = {.latest = T};
    char user[32];
    char address[32];
    feed.watch = watch;
    lh_feed_begin(&feed, &zone, 0);
    for (unsigned n = 0; n < 8; n++) {
        (void)snprintf(user, sizeof user, "invalid user a%u", n);
        say(900 * n, 100 + n, user, "198.51.100.1");
        if (n < 5)
            say(900 * n, 200 + n, user, "2001:db8::1");
        (void)snprintf(address, sizeof address, "10.0.0.%u", n % 3 + 1);
        for (unsigned k = 0; k < 2; k++)
            say(900 * n, 300 + 10 * n + k, "bob", address);
        (void)snprintf(address, sizeof address, "10.%u.1.1", n + 1);
        for (unsigned k = 0; k < 2; k++)
            say(900 * n, 400 + 10 * n + k, "eve", address);
    }
}

static const struct lh_verdict *of(const struct lh_judgement *judgement, const void *subject)
{
    for (size_t i = 0; i < judgement->count; i++) {
        const struct lh_verdict *v = &judgement->verdicts[i];
        if (v->source == subject || v->network == subject || v->user == subject)
            return v;
    }
    return NULL;
}

static struct lh_watch_addr addr_of(struct lh_span text)
{
    struct lh_watch_addr addr;
    assert_true(lh_watch_addr_parse(text, &addr));
    return addr;
}

// What a report says hangs on no key.
static void a_report_is_the_same_under_every_key(void **state)
{
    struct lh_watch_addr eight = addr_of(LH_SPAN("198.51.100.1"));
    struct lh_watch_addr five = addr_of(LH_SPAN("2001:db8::1"));
    struct lh_watch_addr net = addr_of(LH_SPAN("10.0.0.0"));
    (void)state;
    for (unsigned seed = 0; seed < 200; seed++) {
        struct lh_watch watch;
        struct lh_judgement judgement;
        uint64_t key = lh_watch_hash(&seed, sizeof seed, 5);
        check_ok(lh_watch_init(&watch, key));
        tell(&watch);
        check_ok(lh_judge(&watch, &judgement));
        const struct lh_verdict *v = of(&judgement, lh_watch_source(&watch, &eight));
        assert_non_null(v);
        check_uint(v->users, 8);
        check_int(v->kind, LH_ATTACK_DICTIONARY);
        v = of(&judgement, lh_watch_source(&watch, &five));
        assert_non_null(v);
        check_uint(v->users, 5);
        check_int(v->kind, LH_ATTACK_DICTIONARY);
        v = of(&judgement,
               lh_slots_find(&watch.networks, lh_watch_hash(net.bytes, sizeof net.bytes, key)));
        assert_non_null(v);
        check_uint(v->sources, 3);
        v = of(&judgement, lh_watch_user(&watch, LH_SPAN("eve")));
        assert_non_null(v);
        check_uint(v->sources, 8);
        lh_judgement_fini(&judgement);
        lh_watch_fini(&watch);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sixteen_are_sixteen_under_every_key),
        cmocka_unit_test(more_are_estimated_and_never_become_less),
        cmocka_unit_test(only_equal_upper_halves_are_taken_for_each_other),
        cmocka_unit_test(halves_agree_as_seldom_as_said),
        cmocka_unit_test(the_last_sixteen_are_known),
        cmocka_unit_test(a_report_is_the_same_under_every_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
