// SPDX-License-Identifier: Apache-2.0
#include "check.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/prng.h"
#include "file/crc32c.h"
#include "file/journal.h"
#include "file/journal_internal.h"
#include "file/state.h"
#include "tempdir.h"

#define BLOCK_SIZE 65536
#define JOB_NAME   "6a6f622d6964000000000000000000ff.journal"

struct fixture {
    struct tempdir temp;
    char directory[300]; // "state" in temp
    struct lh_journal_config config;
};

static int set_up(void **state)
{
    struct fixture *fix = calloc(1, sizeof *fix);
    assert_non_null(fix);
    tempdir_make(&fix->temp);
    (void)tempdir_path(&fix->temp, "state", fix->directory, sizeof fix->directory);
    fix->config = (struct lh_journal_config){.directory = fix->directory, .block_size = BLOCK_SIZE};
    memcpy(fix->config.job_id, "job-id", 6);
    fix->config.job_id[15] = 0xff;
    *state = fix;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fix = *state;
    tempdir_remove(&fix->temp);
    free(fix);
    return 0;
}

static struct lh_journal *open_journal(struct fixture *fix)
{
    struct lh_journal *journal = NULL;
    struct lh_errinfo info = {0};
    char notice[200];
    lh_err err = lh_journal_open(&fix->config, &journal, notice, sizeof notice, &info);
    if (err != 0)
        fail_msg("open: %s", info.text);
    assert_string_equal(notice, "");
    return journal;
}

static struct lh_journal_partial partial_of(uint64_t blocks, unsigned salt)
{
    struct lh_journal_partial partial = {
        .dev = 7,
        .ino = 1000 + salt,
        .source = {.size = blocks * BLOCK_SIZE - salt % 100, .mtime_ns = -5, .ctime_ns = salt},
        .block_count = blocks,
    };
    (void)snprintf(partial.name, sizeof partial.name, ".lh-%022u", salt);
    return partial;
}

static struct lh_digest digest_of(uint64_t number)
{
    struct lh_digest digest;
    lh_digest_block(&number, sizeof number, &digest);
    return digest;
}

// --- CRC ---

static void test_crc32c_matches_the_standard_and_itself(void **state)
{
    uint8_t data[300];
    struct lh_prng prng = {1};
    (void)state;
    check_uint(lh_crc32c(0, "123456789", 9), 0xe3069283);
    check_uint(lh_crc32c_table(0, "123456789", 9), 0xe3069283);
    memset(data, 0, 32);
    check_uint(lh_crc32c(0, data, 32), 0x8a9136aa); // RFC 3720, B.4
    lh_prng_fill(&prng, data, sizeof data);
    for (size_t len = 0; len < sizeof data; len++) {
        uint32_t whole = lh_crc32c(0, data, len);
        check_uint(whole, lh_crc32c_table(0, data, len));
        check_uint(whole, lh_crc32c(lh_crc32c(0, data, len / 3), data + len / 3, len - len / 3));
    }
}

// --- What is written comes back ---

static void test_files_under_way_and_complete_come_back(void **state)
{
    struct fixture *fix = *state;
    struct lh_journal *journal = open_journal(fix);
    struct lh_journal_partial partial = partial_of(20, 3);
    struct lh_journal_complete complete = {{1, 2, 3}, {4, -5, 6}, digest_of(9), 7};
    struct lh_journal_partial found;
    struct lh_journal_complete done;
    struct lh_digest digest = digest_of(17);
    check_ok(lh_journal_begin(journal, "a/b", &partial, NULL));
    check_ok(lh_journal_block(journal, "a/b", 17, &digest, NULL));
    check_ok(lh_journal_block(journal, "a/b", 17, &digest, NULL)); // twice is once
    check_ok(lh_journal_block(journal, "unknown", 1, &digest, NULL));
    check_ok(lh_journal_complete_file(journal, "c\xff\n", &complete, NULL));
    for (int round = 0; round < 2; round++) {
        check_ok(lh_journal_find_partial(journal, "a/b", &found));
        assert_string_equal(found.name, partial.name);
        check_uint(found.dev, 7);
        check_uint(found.ino, 1003);
        assert_true(lh_source_id_equal(&found.source, &partial.source));
        check_uint(found.block_count, 20);
        for (unsigned i = 0; i < 20; i++)
            check_int(found.have[i / 8] >> (i % 8) & 1, i == 17);
        assert_true(lh_digest_equal(&found.digests[17], &digest));
        check_err(lh_journal_find_complete(journal, "a/b", &done), LH_NONE);
        check_err(lh_journal_find_partial(journal, "a", &found), LH_NONE);
        check_err(lh_journal_find_partial(journal, "unknown", &found), LH_NONE);
        check_ok(lh_journal_find_complete(journal, "c\xff\n", &done));
        assert_true(lh_source_id_equal(&done.source, &complete.source));
        assert_true(lh_source_id_equal(&done.target, &complete.target));
        assert_true(lh_digest_equal(&done.digest, &complete.digest));
        check_uint(done.run_id, 7);
        lh_journal_free(journal);
        journal = open_journal(fix);
    }
    lh_journal_free(journal);
}

static void test_what_a_path_was_is_replaced(void **state)
{
    struct fixture *fix = *state;
    struct lh_journal *journal = open_journal(fix);
    struct lh_journal_partial partial = partial_of(2, 0);
    struct lh_journal_complete complete = {0};
    struct lh_journal_partial found;
    struct lh_journal_complete done;
    struct lh_digest digest = digest_of(1);
    check_ok(lh_journal_complete_file(journal, "f", &complete, NULL));
    check_ok(lh_journal_begin(journal, "f", &partial, NULL));
    check_ok(lh_journal_block(journal, "f", 1, &digest, NULL));
    check_err(lh_journal_find_complete(journal, "f", &done), LH_NONE);
    check_ok(lh_journal_begin(journal, "f", &partial, NULL)); // anew: without blocks
    check_ok(lh_journal_find_partial(journal, "f", &found));
    check_int(found.have[0], 0);
    check_ok(lh_journal_complete_file(journal, "f", &complete, NULL));
    check_err(lh_journal_find_partial(journal, "f", &found), LH_NONE);
    check_ok(lh_journal_forget(journal, "f", NULL));
    check_ok(lh_journal_forget(journal, "never known", NULL));
    lh_journal_free(journal);
    journal = open_journal(fix);
    check_err(lh_journal_find_partial(journal, "f", &found), LH_NONE);
    check_err(lh_journal_find_complete(journal, "f", &done), LH_NONE);
    lh_journal_free(journal);
}

static void count_partial(void *context, const char *path, const struct lh_journal_partial *partial)
{
    size_t *count = context;
    assert_non_null(path);
    assert_int_equal(strlen(partial->name), 26);
    *count += 1;
}

static void test_begin_may_name_blocks_that_are_there_already(void **state)
{
    enum { BLOCKS = 9000 }; // more than one RUN record holds
    struct fixture *fix = *state;
    struct lh_journal *journal = open_journal(fix);
    struct lh_journal_partial partial = partial_of(BLOCKS, 0);
    struct lh_journal_partial found;
    struct lh_digest *digests = calloc(BLOCKS, sizeof *digests);
    uint8_t have[BLOCKS / 8 + 1];
    size_t count = 0;
    assert_non_null(digests);
    memset(have, 0xff, sizeof have);
    have[3] = 0x5a;
    for (unsigned i = 0; i < BLOCKS; i++)
        digests[i] = digest_of(i);
    partial.have = have;
    partial.digests = digests;
    check_ok(lh_journal_begin(journal, "f", &partial, NULL));
    lh_journal_free(journal);
    journal = open_journal(fix);
    check_ok(lh_journal_find_partial(journal, "f", &found));
    for (unsigned i = 0; i < BLOCKS; i++) {
        bool expected = (have[i / 8] >> (i % 8) & 1) != 0;
        check_int(found.have[i / 8] >> (i % 8) & 1, expected);
        if (expected)
            assert_true(lh_digest_equal(&found.digests[i], &digests[i]));
    }
    lh_journal_each_partial(journal, count_partial, &count);
    check_uint(count, 1);
    lh_journal_free(journal);
    free(digests);
}

static void test_many_files_are_found_again(void **state)
{
    enum { FILES = 20000 };
    struct fixture *fix = *state;
    struct lh_journal *journal = open_journal(fix);
    struct lh_journal_complete done;
    char path[700];
    for (int round = 0; round < 2; round++) {
        for (unsigned i = 0; i < FILES; i++) {
            struct lh_journal_complete complete = {.source.size = i};
            (void)snprintf(path, sizeof path, "dir/%0*u", i % 100 == 0 ? 600 : 6, i);
            if (round == 0)
                check_ok(lh_journal_complete_file(journal, path, &complete, NULL));
            else if (i % 7 == 0)
                check_ok(lh_journal_forget(journal, path, NULL));
        }
    }
    for (int round = 0; round < 2; round++) {
        for (unsigned i = 0; i < FILES; i++) {
            (void)snprintf(path, sizeof path, "dir/%0*u", i % 100 == 0 ? 600 : 6, i);
            check_err(lh_journal_find_complete(journal, path, &done), i % 7 == 0 ? LH_NONE : 0);
            if (i % 7 != 0)
                check_uint(done.source.size, i);
        }
        lh_journal_free(journal);
        journal = open_journal(fix);
    }
    lh_journal_free(journal);
}

static void test_limits_are_refused(void **state)
{
    struct fixture *fix = *state;
    struct lh_journal *journal = open_journal(fix);
    struct lh_journal_partial partial = partial_of(4, 0);
    struct lh_journal_complete complete = {0};
    char *path = calloc(1, LH_JOURNAL_PATH_MAX + 2);
    assert_non_null(path);
    memset(path, 'p', LH_JOURNAL_PATH_MAX + 1);
    check_err(lh_journal_begin(journal, path, &partial, NULL), LH_E_LIMIT);
    check_err(lh_journal_begin(journal, "", &partial, NULL), LH_E_LIMIT);
    path[LH_JOURNAL_PATH_MAX] = '\0';
    check_ok(lh_journal_complete_file(journal, path, &complete, NULL));
    lh_journal_free(journal);
    journal = open_journal(fix);
    check_ok(lh_journal_find_complete(journal, path, &complete));
    partial.block_count = 5;
    check_err(lh_journal_begin(journal, "f", &partial, NULL), LH_E_INVALID);
    partial.block_count = LH_JOURNAL_BLOCKS_MAX + 1;
    partial.source.size = partial.block_count * BLOCK_SIZE;
    check_err(lh_journal_begin(journal, "f", &partial, NULL), LH_E_LIMIT);
    lh_journal_free(journal);
    free(path);
}

static void test_full_disk_is_told_and_the_journal_stays_whole(void **state)
{
    struct fixture *fix = *state;
    struct lh_journal *journal = open_journal(fix);
    struct lh_journal_complete complete = {0};
    struct rlimit old;
    struct rlimit small;
    unsigned failures = 0;
    char path[32];
    (void)signal(SIGXFSZ, SIG_IGN); // the limit on a file's size stands in for a full disk
    check_int(getrlimit(RLIMIT_FSIZE, &old), 0);
    small = (struct rlimit){.rlim_cur = 1000, .rlim_max = old.rlim_max};
    check_ok(lh_journal_complete_file(journal, "before", &complete, NULL));
    check_ok(lh_journal_flush(journal, NULL));
    check_int(setrlimit(RLIMIT_FSIZE, &small), 0);
    for (unsigned i = 0; i < 3000; i++) {
        (void)snprintf(path, sizeof path, "f%u", i);
        failures += lh_journal_complete_file(journal, path, &complete, NULL) < 0;
    }
    assert_true(failures > 0);
    assert_true(lh_journal_flush(journal, NULL) < 0);
    check_int(setrlimit(RLIMIT_FSIZE, &old), 0);
    check_ok(lh_journal_flush(journal, NULL)); // space again
    check_ok(lh_journal_complete_file(journal, "after", &complete, NULL));
    lh_journal_free(journal);
    journal = open_journal(fix);
    check_ok(lh_journal_find_complete(journal, "before", &complete));
    check_ok(lh_journal_find_complete(journal, "f0", &complete));
    check_ok(lh_journal_find_complete(journal, "after", &complete));
    lh_journal_free(journal);
}

// --- Torn and damaged files ---
//
// A script of operations on a few paths; `model` is what is known after the first of them.

enum { SCRIPT = 40, PATHS = 5, BLOCKS = 9 };

struct known {
    int kind; // 0 nothing, 1 under way, 2 complete
    unsigned salt;
    uint16_t have;
};

static void script_path(unsigned step, char out[8])
{
    (void)snprintf(out, 8, "p/%u", step * 7 % PATHS);
}

// Does step `step` on the journal (where not NULL) and the model.
static void do_step(unsigned step, struct lh_journal *journal, struct known model[PATHS])
{
    struct known *known = &model[step * 7 % PATHS];
    struct lh_journal_partial partial = partial_of(BLOCKS, step);
    struct lh_journal_complete complete = {.source.size = step, .digest = digest_of(step)};
    unsigned block = step % BLOCKS;
    struct lh_digest digest = digest_of(block + known->salt);
    char path[8];
    script_path(step, path);
    switch (known->kind == 1 && step % 6 != 0 ? 3 : step % 4) {
    case 0:
        *known = (struct known){2, step, 0};
        if (journal != NULL)
            check_ok(lh_journal_complete_file(journal, path, &complete, NULL));
        break;
    case 1:
        *known = (struct known){0};
        if (journal != NULL)
            check_ok(lh_journal_forget(journal, path, NULL));
        break;
    case 2:
        *known = (struct known){1, step, 0};
        if (journal != NULL)
            check_ok(lh_journal_begin(journal, path, &partial, NULL));
        break;
    default:
        if (known->kind == 1)
            known->have |= (uint16_t)(1u << block);
        if (journal != NULL)
            check_ok(lh_journal_block(journal, path, block, &digest, NULL));
    }
}

static void check_model(const struct lh_journal *journal, const struct known model[PATHS])
{
    for (unsigned i = 0; i < PATHS; i++) {
        struct lh_journal_partial partial;
        struct lh_journal_complete complete;
        char path[8];
        (void)snprintf(path, sizeof path, "p/%u", i);
        check_int(lh_journal_find_partial(journal, path, &partial),
                  model[i].kind == 1 ? 0 : LH_NONE);
        check_int(lh_journal_find_complete(journal, path, &complete),
                  model[i].kind == 2 ? 0 : LH_NONE);
        if (model[i].kind == 2)
            check_uint(complete.source.size, model[i].salt);
        if (model[i].kind != 1)
            continue;
        check_uint(partial.ino, 1000 + model[i].salt);
        check_uint(partial.have[0] | partial.have[1] << 8, model[i].have);
        for (unsigned b = 0; b < BLOCKS; b++) {
            struct lh_digest digest = digest_of(b + model[i].salt);
            if (model[i].have >> b & 1)
                assert_true(lh_digest_equal(&partial.digests[b], &digest));
        }
    }
}

struct recorded {
    uint8_t bytes[8192];
    size_t len;
    size_t ends[SCRIPT]; // length of the file after each step
    struct known models[SCRIPT + 1][PATHS];
};

static void record_script(struct fixture *fix, struct recorded *recorded)
{
    struct lh_journal *journal = open_journal(fix);
    struct stat found;
    memset(recorded, 0, sizeof *recorded);
    for (unsigned step = 0; step < SCRIPT; step++) {
        memcpy(recorded->models[step + 1], recorded->models[step], sizeof recorded->models[0]);
        do_step(step, journal, recorded->models[step + 1]);
        check_ok(lh_journal_flush(journal, NULL));
        check_int(fstatat(fix->temp.fd, "state/" JOB_NAME, &found, 0), 0);
        recorded->ends[step] = (size_t)found.st_size;
    }
    check_model(journal, recorded->models[SCRIPT]);
    lh_journal_free(journal);
    recorded->len =
        tempdir_read(&fix->temp, "state/" JOB_NAME, recorded->bytes, sizeof recorded->bytes);
    assert_true(recorded->len < sizeof recorded->bytes);
    check_uint(recorded->len, recorded->ends[SCRIPT - 1]);
}

// How many steps are wholly in the first `len` bytes.
static unsigned steps_in(const struct recorded *recorded, size_t len)
{
    unsigned steps = 0;
    while (steps < SCRIPT && recorded->ends[steps] <= len)
        steps++;
    return steps;
}

static void test_file_cut_at_any_byte_reads_as_a_prefix_and_goes_on(void **state)
{
    struct fixture *fix = *state;
    struct recorded *recorded = calloc(1, sizeof *recorded);
    assert_non_null(recorded);
    record_script(fix, recorded);
    for (size_t len = 0; len <= recorded->len; len++) {
        struct known model[PATHS];
        unsigned steps = steps_in(recorded, len);
        tempdir_write_bytes(&fix->temp, "state/" JOB_NAME, recorded->bytes, len);
        struct lh_journal *journal = open_journal(fix);
        check_model(journal, recorded->models[steps]);
        memcpy(model, recorded->models[steps], sizeof model);
        for (unsigned step = steps; step < SCRIPT; step++)
            do_step(step, journal, model);
        lh_journal_free(journal);
        journal = open_journal(fix);
        check_model(journal, recorded->models[SCRIPT]);
        lh_journal_free(journal);
    }
    free(recorded);
}

static void test_file_damaged_at_any_byte_reads_as_a_prefix(void **state)
{
    struct fixture *fix = *state;
    struct recorded *recorded = calloc(1, sizeof *recorded);
    assert_non_null(recorded);
    record_script(fix, recorded);
    for (size_t at = 0; at < recorded->len; at++) {
        struct lh_journal *journal = NULL;
        char notice[300];
        recorded->bytes[at] ^= (uint8_t)(1u << at % 8);
        tempdir_write_bytes(&fix->temp, "state/" JOB_NAME, recorded->bytes, recorded->len);
        recorded->bytes[at] ^= (uint8_t)(1u << at % 8);
        check_ok(lh_journal_open(&fix->config, &journal, notice, sizeof notice, NULL));
        assert_true((notice[0] != '\0') == (at < LH_JOURNAL_HEADER));
        check_model(journal, recorded->models[at < LH_JOURNAL_HEADER ? 0 : steps_in(recorded, at)]);
        lh_journal_free(journal);
    }
    free(recorded);
}

static void append_until_killed(struct fixture *fix, int pipe_fd)
{
    struct lh_journal *journal = NULL;
    struct lh_journal_complete complete = {0};
    char path[32];
    if (lh_journal_open(&fix->config, &journal, NULL, 0, NULL) != 0)
        _exit(1);
    for (unsigned i = 0;; i++) {
        complete.source.size = i;
        (void)snprintf(path, sizeof path, "file%u", i);
        if (lh_journal_complete_file(journal, path, &complete, NULL) != 0 ||
            (i % 5 == 4 && lh_journal_flush(journal, NULL) != 0))
            _exit(1);
        if (i % 5 == 4 && write(pipe_fd, &i, sizeof i) != sizeof i)
            _exit(1);
    }
}

static void test_what_was_flushed_survives_kill_9(void **state)
{
    struct fixture *fix = *state;
    struct lh_prng prng = {check_seed(5)};
    for (unsigned round = 0; round < 10; round++) {
        struct lh_journal_complete complete;
        unsigned flushed = 0;
        unsigned next;
        int ends[2];
        int status;
        char path[32];
        check_int(pipe(ends), 0);
        pid_t child = fork();
        if (child == 0)
            append_until_killed(fix, ends[1]);
        check_int(close(ends[1]), 0);
        assert_true(read(ends[0], &flushed, sizeof flushed) == sizeof flushed);
        (void)usleep((useconds_t)lh_prng_below(&prng, 8000));
        check_int(kill(child, SIGKILL), 0);
        check_int(waitpid(child, &status, 0), child);
        assert_true(WIFSIGNALED(status));
        while (read(ends[0], &next, sizeof next) == sizeof next)
            flushed = next;
        check_int(close(ends[0]), 0);
        struct lh_journal *journal = open_journal(fix);
        for (unsigned i = 0; i <= flushed; i++) {
            (void)snprintf(path, sizeof path, "file%u", i);
            check_ok(lh_journal_find_complete(journal, path, &complete));
            check_uint(complete.source.size, i);
        }
        lh_journal_free(journal);
    }
}

// --- Other people's and other times' files ---

static void write_file(struct fixture *fix,
                       const uint8_t header[LH_JOURNAL_HEADER],
                       const void *records,
                       size_t len)
{
    uint8_t bytes[4096];
    assert_true(LH_JOURNAL_HEADER + len <= sizeof bytes);
    memcpy(bytes, header, LH_JOURNAL_HEADER);
    if (len > 0)
        memcpy(bytes + LH_JOURNAL_HEADER, records, len);
    (void)mkdirat(fix->temp.fd, "state", 0700);
    tempdir_write_bytes(&fix->temp, "state/" JOB_NAME, bytes, LH_JOURNAL_HEADER + len);
}

static void seal_header(uint8_t header[LH_JOURNAL_HEADER])
{
    uint32_t crc = lh_crc32c(0, header, 44);
    for (int i = 0; i < 4; i++)
        header[44 + i] = (uint8_t)(crc >> (8 * i));
}

static void test_unusable_journal_is_set_aside_with_a_message(void **state)
{
    static const struct {
        size_t at;
        const char *says;
        bool sealed;
    } cases[] = {
        {0, "not a journal", true},         {8, "version", true},     {10, "byte order", true},
        {13, "block size or digest", true}, {16, "block size", true}, {37, "damaged", false},
    };
    struct fixture *fix = *state;
    for (size_t i = 0; i < LH_ARRAY_LEN(cases); i++) {
        uint8_t header[LH_JOURNAL_HEADER];
        uint8_t aside[LH_JOURNAL_HEADER];
        struct lh_journal *journal = NULL;
        struct lh_journal_partial partial = partial_of(1, 1);
        char notice[300];
        lh_journal_header_encode(&fix->config, header);
        header[cases[i].at] ^= 2;
        if (cases[i].sealed)
            seal_header(header);
        write_file(fix, header, NULL, 0);
        check_ok(lh_journal_open(&fix->config, &journal, notice, sizeof notice, NULL));
        assert_non_null(strstr(notice, cases[i].says));
        assert_non_null(strstr(notice, JOB_NAME ".aside"));
        check_uint(tempdir_read(&fix->temp, "state/" JOB_NAME ".aside", aside, sizeof aside),
                   LH_JOURNAL_HEADER);
        assert_memory_equal(aside, header, sizeof header);
        check_ok(lh_journal_begin(journal, "f", &partial, NULL)); // a new one is there
        lh_journal_free(journal);
        lh_journal_free(open_journal(fix));
    }
}

static void test_journal_of_another_job_is_refused(void **state)
{
    struct fixture *fix = *state;
    struct lh_journal *journal = NULL;
    struct lh_errinfo info = {0};
    uint8_t header[LH_JOURNAL_HEADER];
    lh_journal_header_encode(&fix->config, header);
    header[20] ^= 1;
    seal_header(header);
    write_file(fix, header, NULL, 0);
    check_err(lh_journal_open(&fix->config, &journal, NULL, 0, &info), LH_E_AUTH);
    assert_non_null(strstr(info.text, "another job"));
}

static size_t encode(uint8_t *out, size_t room, const struct lh_record *record)
{
    struct lh_writer writer = lh_writer_of(out, room);
    lh_record_encode(&writer, record);
    assert_false(writer.bad);
    return lh_writer_used(&writer);
}

// A record of any type and body with a sound CRC.
static size_t encode_raw(uint8_t *out, uint16_t type, const void *body, uint16_t len)
{
    struct lh_writer writer = lh_writer_of(out, LH_RECORD_HEADER + (size_t)len);
    lh_write_u16(&writer, type);
    lh_write_u16(&writer, len);
    uint32_t crc = lh_crc32c(lh_crc32c(0, out, 4), body, len);
    lh_write_u32(&writer, crc);
    lh_write_bytes(&writer, body, len);
    return lh_writer_used(&writer);
}

static void test_unknown_and_contradictory_records_change_nothing(void **state)
{
    struct fixture *fix = *state;
    struct lh_journal_partial found;
    struct lh_digest digests[3] = {digest_of(1), digest_of(2), digest_of(3)};
    uint8_t header[LH_JOURNAL_HEADER];
    uint8_t bytes[2048];
    size_t len = 0;
    struct lh_record begin = {
        .type = LH_RECORD_BEGIN, .path = "f", .path_len = 1, .partial = partial_of(4, 1)};
    struct lh_record wrong = begin;
    struct lh_record run = {
        .type = LH_RECORD_RUN, .block = 2, .count = 3, .digests = digests[0].bytes};
    struct lh_record block = {
        .type = LH_RECORD_BLOCK, .block = 1, .count = 1, .digests = digests[1].bytes};
    len += encode_raw(bytes + len, 99, "future", 6);
    len += encode_raw(bytes + len, 0, "", 0);
    wrong.number = 7; // not the next
    len += encode(bytes + len, sizeof bytes - len, &wrong);
    wrong.number = 0;
    wrong.partial.block_count = 5; // does not follow from the size
    len += encode(bytes + len, sizeof bytes - len, &wrong);
    len += encode(bytes + len, sizeof bytes - len, &begin);
    len += encode(bytes + len, sizeof bytes - len, &run); // one block too many
    run.block = UINT64_MAX;
    len += encode(bytes + len, sizeof bytes - len, &run);
    block.number = 1; // never begun
    len += encode(bytes + len, sizeof bytes - len, &block);
    len += encode_raw(bytes + len, LH_RECORD_FORGET,
                      "\x01\x00"
                      "f!",
                      4); // a byte too many
    len += encode_raw(bytes + len, LH_RECORD_FORGET,
                      "\x05\x00"
                      "f",
                      3);                                            // too few
    len += encode_raw(bytes + len, LH_RECORD_FORGET, "\x00\x00", 2); // no path
    len += encode_raw(bytes + len, LH_RECORD_FORGET,
                      "\x02\x00"
                      "f\0",
                      4); // NUL in it
    block.number = 0;
    len += encode(bytes + len, sizeof bytes - len, &block);
    lh_journal_header_encode(&fix->config, header);
    write_file(fix, header, bytes, len);
    struct lh_journal *journal = open_journal(fix);
    check_ok(lh_journal_find_partial(journal, "f", &found));
    check_uint(found.block_count, 4);
    check_int(found.have[0], 2); // block 1, and nothing else
    assert_true(lh_digest_equal(&found.digests[1], &digests[1]));
    lh_journal_free(journal);
}

static void test_second_session_on_the_job_is_refused(void **state)
{
    struct fixture *fix = *state;
    struct lh_journal *journal = open_journal(fix);
    struct lh_journal *second = NULL;
    struct lh_errinfo info = {0};
    check_err(lh_journal_open(&fix->config, &second, NULL, 0, &info), LH_E_BUSY);
    fix->config.job_id[0] ^= 1; // another job is another file
    check_ok(lh_journal_open(&fix->config, &second, NULL, 0, NULL));
    lh_journal_free(second);
    fix->config.job_id[0] ^= 1;
    lh_journal_free(journal);
    lh_journal_free(open_journal(fix));
}

// --- Compaction ---

static size_t file_size(struct fixture *fix)
{
    struct stat found;
    check_int(fstatat(fix->temp.fd, "state/" JOB_NAME, &found, 0), 0);
    return (size_t)found.st_size;
}

static void test_superseded_records_go_on_open(void **state)
{
    struct fixture *fix = *state;
    struct lh_journal *journal = open_journal(fix);
    struct lh_journal *second = NULL;
    struct lh_journal_partial partial = partial_of(900, 0);
    struct lh_journal_partial found;
    struct lh_journal_complete complete = {.source.size = 77};
    struct lh_digest digest = digest_of(1);
    for (unsigned i = 0; i < 900; i++) {
        if (i % 300 == 0)
            check_ok(lh_journal_begin(journal, "done", &partial, NULL));
        check_ok(lh_journal_block(journal, "done", i, &digest, NULL));
    }
    check_ok(lh_journal_complete_file(journal, "done", &complete, NULL));
    check_ok(lh_journal_begin(journal, "half", &partial, NULL));
    for (unsigned i = 0; i < 500; i += i % 50 == 0 ? 3 : 1)
        check_ok(lh_journal_block(journal, "half", i, &digest, NULL));
    lh_journal_free(journal);
    size_t before = file_size(fix);
    tempdir_write(&fix->temp, "state/" JOB_NAME ".new", "left by a compaction that was killed");
    for (int round = 0; round < 3; round++) {
        journal = open_journal(fix);
        check_err(lh_journal_open(&fix->config, &second, NULL, 0, NULL), LH_E_BUSY);
        check_ok(lh_journal_find_complete(journal, "done", &complete));
        check_uint(complete.source.size, 77);
        check_ok(lh_journal_find_partial(journal, "half", &found));
        for (unsigned i = 0; i < 500; i++)
            check_int(found.have[i / 8] >> (i % 8) & 1, i % 50 == 0 || i % 50 > 2);
        check_ok(lh_journal_block(journal, "half", 0, &digest, NULL)); // numbers still fit
        lh_journal_free(journal);
    }
    assert_true(file_size(fix) < before / 3);
    check_uint(tempdir_count(&fix->temp, "state"), 1);
}

// --- The state directory ---

static void test_state_directory_is_made_private(void **state)
{
    struct fixture *fix = *state;
    struct stat found;
    char path[4096];
    char base[300];
    check_int(setenv("XDG_STATE_HOME", tempdir_path(&fix->temp, "x/y", base, sizeof base), 1), 0);
    check_ok(lh_state_dir(path, sizeof path, NULL));
    assert_non_null(strstr(path, "/x/y/longhaul"));
    check_int(stat(path, &found), 0);
    check_int(found.st_mode & 07777, 0700);
    check_int(unsetenv("XDG_STATE_HOME"), 0);
    check_int(setenv("HOME", fix->temp.path, 1), 0);
    check_ok(lh_state_dir(path, sizeof path, NULL));
    assert_non_null(strstr(path, "/.local/state/longhaul"));
    check_int(chmod(path, 0777), 0);
    check_ok(lh_state_dir(path, sizeof path, NULL));
    check_int(stat(path, &found), 0);
    check_int(found.st_mode & 022, 0);
    check_err(lh_state_dir(path, 10, NULL), LH_E_PATH);
}

static void test_own_symlink_on_the_way_is_followed(void **state)
{
    struct fixture *fix = *state;
    struct lh_errinfo info = {0};
    char path[300];
    int fd;
    tempdir_mkdir(&fix->temp, "real", 0700);
    tempdir_symlink(&fix->temp, "real", "link");
    tempdir_symlink(&fix->temp, "loop", "loop");
    tempdir_write(&fix->temp, "file", "x");
    check_ok(lh_owned_dir_open(tempdir_path(&fix->temp, "link/sub", path, sizeof path), &fd, NULL));
    check_int(close(fd), 0);
    check_uint(tempdir_count(&fix->temp, "real"), 1);
    check_err(
        lh_owned_dir_open(tempdir_path(&fix->temp, "loop/sub", path, sizeof path), &fd, &info),
        LH_E_SYS);
    check_int(info.sys_errno, ELOOP);
    check_err(lh_owned_dir_open(tempdir_path(&fix->temp, "file/sub", path, sizeof path), &fd, NULL),
              LH_E_SYS);
    check_err(lh_owned_dir_open("relative", &fd, NULL), LH_E_PATH);
}

static void test_what_another_user_owns_is_refused(void **state)
{
    struct fixture *fix = *state;
    char path[300];
    int fd;
    if (geteuid() != 0) { // cannot make files of another user, but there are some
        check_err(lh_owned_dir_open("/usr", &fd, NULL), LH_E_PATH);
        skip();
    }
    tempdir_mkdir(&fix->temp, "theirs", 0777);
    check_int(fchownat(fix->temp.fd, "theirs", 12345, 12345, 0), 0);
    check_err(lh_owned_dir_open(tempdir_path(&fix->temp, "theirs", path, sizeof path), &fd, NULL),
              LH_E_PATH);
    tempdir_mkdir(&fix->temp, "ours", 0700);
    tempdir_symlink(&fix->temp, "ours", "link");
    check_int(fchownat(fix->temp.fd, "link", 12345, 12345, AT_SYMLINK_NOFOLLOW), 0);
    check_err(lh_owned_dir_open(tempdir_path(&fix->temp, "link/sub", path, sizeof path), &fd, NULL),
              LH_E_PATH);
    check_uint(tempdir_count(&fix->temp, "ours"), 0);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        CASE(test_crc32c_matches_the_standard_and_itself),
        CASE(test_files_under_way_and_complete_come_back),
        CASE(test_what_a_path_was_is_replaced),
        CASE(test_begin_may_name_blocks_that_are_there_already),
        CASE(test_many_files_are_found_again),
        CASE(test_limits_are_refused),
        CASE(test_full_disk_is_told_and_the_journal_stays_whole),
        CASE(test_file_cut_at_any_byte_reads_as_a_prefix_and_goes_on),
        CASE(test_file_damaged_at_any_byte_reads_as_a_prefix),
        CASE(test_what_was_flushed_survives_kill_9),
        CASE(test_unusable_journal_is_set_aside_with_a_message),
        CASE(test_journal_of_another_job_is_refused),
        CASE(test_unknown_and_contradictory_records_change_nothing),
        CASE(test_second_session_on_the_job_is_refused),
        CASE(test_superseded_records_go_on_open),
        CASE(test_state_directory_is_made_private),
        CASE(test_own_symlink_on_the_way_is_followed),
        CASE(test_what_another_user_owns_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
