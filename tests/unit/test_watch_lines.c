// SPDX-License-Identifier: Apache-2.0
#include "base/math.h"
#include "base/prng.h"
#include "check.h"
#include "watchio/lines.h"

struct seen {
    uint64_t count;
    size_t lens[16];
    char firsts[16];
};

static lh_err see(void *context, struct lh_span line, uint64_t number)
{
    struct seen *seen = context;
    check_uint(number, seen->count + 1);
    assert_true(seen->count < 16);
    seen->lens[seen->count] = line.len;
    seen->firsts[seen->count++] = line.len > 0 ? line.at[0] : '\0';
    return 0;
}

// Whatever the pieces in which the bytes come: the same lines, and every byte is counted.
static void lines_do_not_depend_on_how_their_bytes_come(void **state)
{
    static const size_t lens[] = {
        3, 0, LH_LINES_ROOM - 1, LH_LINES_ROOM, LH_LINES_ROOM + 1, 5, 3 * LH_LINES_ROOM, 1};
    enum { LINES = sizeof lens / sizeof *lens };
    struct lh_prng prng = {check_seed(3)};
    struct lh_lines *lines = malloc(sizeof *lines);
    size_t total = 0;
    (void)state;
    for (size_t i = 0; i < LINES; i++)
        total += lens[i] + 1;
    char *bytes = malloc(total);
    assert_non_null(lines);
    assert_non_null(bytes);
    char *to = bytes;
    for (size_t i = 0; i < LINES; i++) {
        memset(to, 'a' + (int)i, lens[i]);
        to[lens[i]] = '\n';
        to += lens[i] + 1;
    }
    for (unsigned round = 0; round < 20; round++) {
        struct seen seen = {0};
        struct lh_line_sink sink = {see, &seen};
        size_t most = round == 0 ? SIZE_MAX : 1 + lh_prng_below(&prng, 100000);
        lh_lines_init(lines);
        // The newline at the very end is missing in every other round.
        for (size_t at = 0, end = total - round % 2; at < end;) {
            size_t room;
            char *out = lh_lines_room(lines, &room);
            size_t part = LH_MIN(LH_MIN(room, most), end - at);
            memcpy(out, bytes + at, part);
            at += part;
            check_ok(lh_lines_take(lines, part, &sink));
        }
        check_ok(lh_lines_end(lines, &sink));
        check_uint(seen.count, LINES);
        for (size_t i = 0; i < LINES; i++) {
            check_uint(seen.lens[i], LH_MIN(lens[i], LH_LINES_ROOM));
            check_int(seen.firsts[i], lens[i] > 0 ? 'a' + (int)i : '\0');
        }
        check_uint(lines->offset, total - round % 2);
        check_uint(lines->number, LINES);
    }
    free(bytes);
    free(lines);
}

static lh_err refuse_second(void *context, struct lh_span line, uint64_t number)
{
    (void)context;
    (void)line;
    return number == 2 ? LH_E_INVALID : 0;
}

static void what_the_sink_returns_ends_the_reading(void **state)
{
    struct lh_line_sink sink = {refuse_second, NULL};
    struct lh_lines *lines = malloc(sizeof *lines);
    size_t room;
    (void)state;
    assert_non_null(lines);
    lh_lines_init(lines);
    memcpy(lh_lines_room(lines, &room), "a\nb\nc\n", 6);
    check_err(lh_lines_take(lines, 6, &sink), LH_E_INVALID);
    check_uint(lines->offset, 4);
    free(lines);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_do_not_depend_on_how_their_bytes_come),
        cmocka_unit_test(what_the_sink_returns_ends_the_reading),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
