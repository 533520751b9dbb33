// SPDX-License-Identifier: Apache-2.0
#include "job/message.h"

#include "base/cleanup.h"
#include "base/prng.h"
#include "check.h"
#include "job/code.h"
#include "job/inbox.h"

#define TEXT(literal) ((struct lh_text){.data = (literal), .len = sizeof(literal) - 1})

static const struct lh_run some_runs[] = {{0, 3}, {9, 1}, {UINT32_MAX - 1, 1}};
static const struct lh_have_item some_items[] = {{1, {1, 2}}, {7, {3}}};

// One of each, with all fields set.
static const struct lh_message samples[] = {
    {LH_MESSAGE_JOB,
     {.job = {LH_JOB_DOWNLOAD, LH_OVERWRITE_OLDER, 5, 20, 2, TEXT("d/e"), 1ull << 40 | 7}}},
    {LH_MESSAGE_SOURCE, {.source = {1, TEXT("/x/y\n"), TEXT("y/z")}}},
    {LH_MESSAGE_JOB_READY, {.job_ready = {16, TEXT("no journal")}}},
    {LH_MESSAGE_ENTRY,
     {.entry = {9,
                LH_PARENT_ENTRY,
                8,
                LH_ENTRY_FILE,
                1,
                0644,
                1u << 30,
                -1,
                2,
                3,
                TEXT("\xff\n-"),
                {"", 0}}}},
    {LH_MESSAGE_ENTRY,
     {.entry =
          {3, LH_PARENT_SOURCE, 0, LH_ENTRY_SYMLINK, 0, 0777, 0, 1, 2, 3, {"", 0}, TEXT("../t")}}},
    {LH_MESSAGE_PROBLEM, {.problem = {LH_PROBLEM_FAILED, 5, TEXT("a/b"), TEXT("denied")}}},
    {LH_MESSAGE_LIST_END, {.list_end = {1, 2, 3, 4}}},
    {LH_MESSAGE_DECIDE, {.decide = {LH_DECIDE_SKIP, {3, some_runs, {0}}}}},
    {LH_MESSAGE_HAVE, {.have = {4, 8, {2, some_items, {0}}}}},
    {LH_MESSAGE_SAME, {.same = {4, {3, some_runs, {0}}}}},
    {LH_MESSAGE_FILE_END, {.file_end = {4, LH_FILE_END_AGAIN, 7, {9}, 5, TEXT("why")}}},
    {LH_MESSAGE_RESULT, {.result = {LH_RESULT_REPLACED, {3, some_runs, {0}}}}},
    {LH_MESSAGE_FAILED, {.failed = {4, 25, TEXT("full")}}},
    {LH_MESSAGE_WRITTEN, {.written = UINT64_MAX}},
    {LH_MESSAGE_UDP_HEARD, {.udp_heard = 3}},
    {LH_MESSAGE_PACE, {.pace = {LH_PACE_FIXED, 12500000, 125000}}},
    {LH_MESSAGE_TRACE, {.trace = {50000}}},
    {LH_MESSAGE_TRACED, {.traced = {1234567, TEXT("\"event\":\"sent\",\"lane\":1")}}},
    {LH_MESSAGE_HELD, {.held = {1, 2, 3, 4, 5, 6, 7}}},
    {LH_MESSAGE_PACED, {.paced = {{LH_PACE_FIXED, 12500000, 125000}, 6250000, 1}}},
    {LH_MESSAGE_JOB_END, {.job_end = {27, {1, 2, 3, 4, 5, 6, 7, 8}, TEXT("some")}}},
};

static size_t encode(const struct lh_message *message, uint8_t *out)
{
    struct lh_writer writer = lh_writer_of(out, LH_MESSAGE_MAX);
    lh_message_write(&writer, message);
    assert_false(writer.bad);
    return lh_writer_used(&writer);
}

// Encodes what was decoded, lists taken out element by element.
static size_t encode_again(struct lh_message *message, uint8_t *out)
{
    static struct lh_run runs[LH_RUNS_MAX];
    static struct lh_have_item items[LH_HAVE_MAX];
    size_t count = 0;
    struct lh_runs *list = message->type == LH_MESSAGE_DECIDE   ? &message->as.decide.ids
                           : message->type == LH_MESSAGE_SAME   ? &message->as.same.blocks
                           : message->type == LH_MESSAGE_RESULT ? &message->as.result.ids
                                                                : NULL;
    if (list != NULL) {
        while (lh_run_next(list, &runs[count]))
            count++;
        check_uint(count, list->count);
        list->array = runs;
    }
    if (message->type == LH_MESSAGE_HAVE) {
        while (lh_have_next(&message->as.have.items, &items[count]))
            count++;
        check_uint(count, message->as.have.items.count);
        message->as.have.items.array = items;
    }
    return encode(message, out);
}

static lh_err decode(const uint8_t *bytes, size_t len, struct lh_message *out)
{
    return lh_message_read(bytes[0], bytes[1], bytes + LH_MESSAGE_HEADER, len - LH_MESSAGE_HEADER,
                           out);
}

static void what_is_written_reads_back_the_same(void **state)
{
    (void)state;
    static uint8_t first[LH_MESSAGE_MAX], second[LH_MESSAGE_MAX];
    for (size_t i = 0; i < LH_ARRAY_LEN(samples); i++) {
        size_t len = encode(&samples[i], first);
        struct lh_message message;
        check_ok(decode(first, len, &message));
        check_uint(encode_again(&message, second), len);
        assert_memory_equal(first, second, len);
    }
}

static void a_message_cut_or_lengthened_by_a_byte_is_refused(void **state)
{
    (void)state;
    static uint8_t bytes[LH_MESSAGE_MAX];
    for (size_t i = 0; i < LH_ARRAY_LEN(samples); i++) {
        size_t len = encode(&samples[i], bytes);
        struct lh_message message;
        for (size_t cut = LH_MESSAGE_HEADER; cut < len; cut++)
            assert_true(decode(bytes, cut, &message) < 0);
        bytes[len] = 0;
        assert_true(decode(bytes, len + 1, &message) < 0);
    }
}

static void unknown_messages_are_skipped_unless_critical(void **state)
{
    (void)state;
    struct lh_message message;
    check_err(lh_message_read(0, 0, NULL, 0, &message), LH_NONE);
    check_err(lh_message_read(LH_MESSAGE_N_, 0, NULL, 0, &message), LH_NONE);
    check_err(lh_message_read(255, 0xfe, NULL, 0, &message), LH_NONE);
    check_err(lh_message_read(255, LH_MESSAGE_CRITICAL, NULL, 0, &message), LH_E_PROTO);
}

static lh_err read_entry(const struct lh_msg_entry *entry)
{
    static uint8_t bytes[LH_MESSAGE_MAX];
    struct lh_message message = {.type = LH_MESSAGE_ENTRY, .as.entry = *entry};
    size_t len = encode(&message, bytes);
    return decode(bytes, len, &message);
}

static void names_that_are_not_plain_components_are_refused(void **state)
{
    (void)state;
    static char longest[LH_NAME_MAX + 1];
    memset(longest, 'n', sizeof longest);
    const struct {
        struct lh_text name;
        lh_err expected;
    } cases[] = {
        {TEXT("a"), LH_OK},
        {{longest, LH_NAME_MAX}, LH_OK},
        {TEXT("\xff\xfe\n"), LH_OK},
        {TEXT("..."), LH_OK},
        {{longest, LH_NAME_MAX + 1}, LH_E_PATH},
        {TEXT(""), LH_E_PATH},
        {TEXT("."), LH_E_PATH},
        {TEXT(".."), LH_E_PATH},
        {TEXT("/"), LH_E_PATH},
        {TEXT("a/b"), LH_E_PATH},
        {TEXT("../x"), LH_E_PATH},
        {TEXT("/etc/passwd"), LH_E_PATH},
        {TEXT("a\0b"), LH_E_PROTO},
    };
    for (size_t i = 0; i < LH_ARRAY_LEN(cases); i++)
        check_int(read_entry(&(struct lh_msg_entry){
                      .id = 1, .parent_kind = LH_PARENT_ENTRY, .name = cases[i].name}),
                  cases[i].expected);
    // A source's own name is the receiver's to know.
    check_err(read_entry(&(struct lh_msg_entry){.name = TEXT("x")}), LH_E_PATH);
}

static void entries_that_contradict_themselves_are_refused(void **state)
{
    (void)state;
    const struct lh_msg_entry cases[] = {
        {.id = 1, .parent_kind = LH_PARENT_ENTRY, .parent = 1, .name = TEXT("own-parent")},
        {.id = 1, .parent_kind = LH_PARENT_ENTRY, .parent = 2, .name = TEXT("later-parent")},
        {.parent_kind = 2},
        {.parent = LH_SOURCES_MAX},
        {.kind = LH_ENTRY_N_},
        {.mode = 010000},
        {.again = 2},
        {.kind = LH_ENTRY_DIRECTORY, .again = 1},
        {.size = (uint64_t)INT64_MAX + 1},
        {.kind = LH_ENTRY_DIRECTORY, .size = 1},
        {.kind = LH_ENTRY_SYMLINK},
        {.kind = LH_ENTRY_FILE, .target = TEXT("t")},
    };
    for (size_t i = 0; i < LH_ARRAY_LEN(cases); i++)
        check_err(read_entry(&cases[i]), LH_E_PROTO);
}

static void numbers_out_of_range_are_refused(void **state)
{
    (void)state;
    static const struct lh_run empty = {5, 0}, wraps = {2, UINT32_MAX - 1};
    static const struct lh_have_item twice[] = {{3, {0}}, {3, {0}}};
    const struct lh_message cases[] = {
        {LH_MESSAGE_JOB, {.job = {2, 0, 0, 20, 1, {"", 0}}}},
        {LH_MESSAGE_JOB, {.job = {0, LH_OVERWRITE_N_, 0, 20, 1, {"", 0}}}},
        {LH_MESSAGE_JOB, {.job = {0, 0, LH_JOB_FLAGS + 1, 20, 1, {"", 0}}}},
        {LH_MESSAGE_JOB, {.job = {0, 0, 0, LH_BLOCK_LOG2_MIN - 1, 1, {"", 0}}}},
        {LH_MESSAGE_JOB, {.job = {0, 0, 0, LH_BLOCK_LOG2_MAX + 1, 1, {"", 0}}}},
        {LH_MESSAGE_JOB, {.job = {0, 0, 0, 20, 0, {"", 0}}}},
        {LH_MESSAGE_JOB, {.job = {0, 0, 0, 20, LH_SOURCES_MAX + 1, {"", 0}}}},
        {LH_MESSAGE_SOURCE, {.source = {LH_SOURCES_MAX, {"", 0}, {"", 0}}}},
        {LH_MESSAGE_SOURCE, {.source = {0, {"", 0}, TEXT("../x")}}},
        {LH_MESSAGE_SOURCE, {.source = {0, {"", 0}, TEXT("/x")}}},
        {LH_MESSAGE_JOB_READY, {.job_ready = {23, {"", 0}}}},
        {LH_MESSAGE_PROBLEM, {.problem = {LH_PROBLEM_N_, 0, {"", 0}, {"", 0}}}},
        {LH_MESSAGE_DECIDE, {.decide = {LH_DECIDE_N_, {0}}}},
        {LH_MESSAGE_DECIDE, {.decide = {0, {1, &empty, {0}}}}},
        {LH_MESSAGE_SAME, {.same = {0, {1, &wraps, {0}}}}},
        {LH_MESSAGE_HAVE, {.have = {0, 4, {2, twice, {0}}}}},
        {LH_MESSAGE_HAVE, {.have = {0, 3, {1, twice, {0}}}}},
        {LH_MESSAGE_FILE_END, {.file_end = {0, LH_FILE_END_N_, 0, {0}, 0, {"", 0}}}},
        {LH_MESSAGE_RESULT, {.result = {LH_RESULT_N_, {0}}}},
        {LH_MESSAGE_PACE, {.pace = {LH_PACE_N_, 0, 0}}},
        {LH_MESSAGE_PACE, {.pace = {LH_PACE_FIXED, 0, 0}}},
        {LH_MESSAGE_PACE, {.pace = {LH_PACE_FAIR, 5, 6}}},
        {LH_MESSAGE_PACED, {.paced = {{LH_PACE_FIXED, 0, 0}, 0, 0}}},
        {LH_MESSAGE_PACED, {.paced = {{LH_PACE_FAIR, 0, 0}, 0, 2}}},
        {LH_MESSAGE_TRACED, {.traced = {0, TEXT("two\nlines")}}},
        {LH_MESSAGE_TRACED, {.traced = {0, TEXT("\"x\":1},{\"y\":2")}}},
        {LH_MESSAGE_TRACED, {.traced = {0, TEXT("\x1b[2J")}}},
        {LH_MESSAGE_TRACED, {.traced = {0, TEXT("\xc3\xa4")}}},
    };
    static uint8_t bytes[LH_MESSAGE_MAX];
    for (size_t i = 0; i < LH_ARRAY_LEN(cases); i++) {
        struct lh_message message;
        size_t len = encode(&cases[i], bytes);
        if (decode(bytes, len, &message) >= 0)
            fail_msg("case %zu was accepted", i);
    }
}

static void texts_have_a_longest_length(void **state)
{
    (void)state;
    static uint8_t body[LH_MESSAGE_MAX];
    const size_t fixed = 4 + 2; // id, code
    struct lh_message message;
    memset(body, 'x', sizeof body);
    body[fixed] = LH_REASON_MAX & 0xff;
    body[fixed + 1] = LH_REASON_MAX >> 8;
    check_ok(lh_message_read(LH_MESSAGE_FAILED, 1, body, fixed + 2 + LH_REASON_MAX, &message));
    body[fixed]++;
    check_err(lh_message_read(LH_MESSAGE_FAILED, 1, body, fixed + 3 + LH_REASON_MAX, &message),
              LH_E_PROTO);
}

static void the_largest_lists_fit_one_message(void **state)
{
    (void)state;
    static uint8_t bytes[LH_MESSAGE_MAX];
    static struct lh_run runs[LH_RUNS_MAX];
    static struct lh_have_item items[LH_HAVE_MAX];
    for (size_t i = 0; i < LH_RUNS_MAX; i++)
        runs[i] = (struct lh_run){(uint32_t)i * 2, 1};
    for (size_t i = 0; i < LH_HAVE_MAX; i++)
        items[i].block = (uint32_t)i;
    struct lh_message decide = {LH_MESSAGE_DECIDE, {.decide = {0, {LH_RUNS_MAX, runs, {0}}}}};
    struct lh_message have = {LH_MESSAGE_HAVE,
                              {.have = {0, LH_HAVE_MAX, {LH_HAVE_MAX, items, {0}}}}};
    assert_true(encode(&decide, bytes) <= LH_MESSAGE_MAX);
    assert_true(encode(&have, bytes) <= LH_MESSAGE_MAX);
}

struct seen {
    size_t count;
    uint8_t types[64];
    uint64_t written;
};

static lh_err note(void *ctx, const struct lh_message *message)
{
    struct seen *seen = ctx;
    assert_true(seen->count < sizeof seen->types);
    seen->types[seen->count++] = message->type;
    if (message->type == LH_MESSAGE_WRITTEN)
        seen->written = message->as.written;
    return LH_OK;
}

static void the_inbox_yields_the_same_messages_however_the_bytes_arrive(void **state)
{
    (void)state;
    struct lh_prng prng = {check_seed(1)};
    static uint8_t stream[8 * LH_MESSAGE_MAX];
    size_t len = 0;
    for (size_t i = 0; i < LH_ARRAY_LEN(samples); i++) {
        len += encode(&samples[i], stream + len);
        // An unknown optional message between any two.
        static const uint8_t unknown[] = {200, 0, 3, 0, 1, 2, 3};
        memcpy(stream + len, unknown, sizeof unknown);
        len += sizeof unknown;
    }
    static struct lh_inbox inbox;
    for (size_t round = 0; round < 200; round++) {
        struct seen seen = {0};
        lh_inbox_init(&inbox);
        for (size_t at = 0; at < len;) {
            size_t most = round == 0 ? 1 : len - at;
            size_t part = 1 + (size_t)lh_prng_below(&prng, most < 99 ? most : 99);
            // A copy of exact size, so that the sanitizer sees reading beyond it.
            uint8_t *copy = malloc(part);
            memcpy(copy, stream + at, part);
            check_ok(lh_inbox_take(&inbox, copy, part, note, &seen));
            free(copy);
            at += part;
        }
        check_uint(seen.count, LH_ARRAY_LEN(samples));
        for (size_t i = 0; i < seen.count; i++)
            check_uint(seen.types[i], samples[i].type);
        check_uint(seen.written, UINT64_MAX);
    }
}

static void the_inbox_takes_the_longest_message_and_no_longer_one(void **state)
{
    (void)state;
    static struct lh_inbox inbox;
    static uint8_t message[LH_MESSAGE_MAX] = {200, 0, 0xfc, 0xff};
    struct seen seen = {0};
    lh_inbox_init(&inbox);
    check_ok(lh_inbox_take(&inbox, message, 10, note, &seen));
    check_ok(lh_inbox_take(&inbox, message + 10, sizeof message - 10, note, &seen));
    check_uint(inbox.used, 0);
    message[2] = 0xfd;
    check_err(lh_inbox_take(&inbox, message, sizeof message, note, &seen), LH_E_PROTO);
    lh_inbox_init(&inbox);
    for (size_t i = 0; i < 3; i++)
        check_ok(lh_inbox_take(&inbox, message + i, 1, note, &seen));
    check_err(lh_inbox_take(&inbox, message + 3, 2, note, &seen), LH_E_PROTO);
}

static void random_bodies_never_read_past_their_end(void **state)
{
    (void)state;
    struct lh_prng prng = {check_seed(2)};
    for (size_t round = 0; round < 20000; round++) {
        size_t len = (size_t)lh_prng_below(&prng, 120);
        uint8_t *body = malloc(len + 1); // + 1: malloc(0) may be NULL
        lh_prng_fill(&prng, body, len);
        for (size_t i = 0; i < len; i++)
            if (lh_prng_below(&prng, 2) == 0)
                body[i] = (uint8_t)lh_prng_below(&prng, 4);
        struct lh_message message;
        lh_err err = lh_message_read((uint8_t)lh_prng_below(&prng, LH_MESSAGE_N_ + 2), 1, body, len,
                                     &message);
        assert_true(err <= 0);
        free(body);
    }
}

static void the_code_table_is_complete_and_knows_what_to_try_again(void **state)
{
    (void)state;
    static const uint8_t retryable[] = {12, 13, 14, 15, 16, 17, 18, 23, 32, 33,
                                        35, 36, 37, 39, 40, 44, 45, 61, 69};
    size_t found = 0;
    for (uint16_t code = 0; code <= LH_CODE_MAX; code++) {
        check_uint(lh_code_info(code)->code, code);
        assert_true(strlen(lh_code_info(code)->text) > 3);
        if (lh_code_info(code)->retryable)
            check_uint(code, retryable[found++]);
    }
    check_uint(found, sizeof retryable);
    assert_string_equal(lh_code_info(25)->mnemonic, "NO_SPACE_LEFT");
    assert_string_equal(lh_code_info(51)->text, "Remote host is not who we expected");
    check_uint(lh_code_info(LH_CODE_MAX + 1)->code, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_reads_back_the_same),
        cmocka_unit_test(a_message_cut_or_lengthened_by_a_byte_is_refused),
        cmocka_unit_test(unknown_messages_are_skipped_unless_critical),
        cmocka_unit_test(names_that_are_not_plain_components_are_refused),
        cmocka_unit_test(entries_that_contradict_themselves_are_refused),
        cmocka_unit_test(numbers_out_of_range_are_refused),
        cmocka_unit_test(texts_have_a_longest_length),
        cmocka_unit_test(the_largest_lists_fit_one_message),
        cmocka_unit_test(the_inbox_yields_the_same_messages_however_the_bytes_arrive),
        cmocka_unit_test(the_inbox_takes_the_longest_message_and_no_longer_one),
        cmocka_unit_test(random_bodies_never_read_past_their_end),
        cmocka_unit_test(the_code_table_is_complete_and_knows_what_to_try_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
