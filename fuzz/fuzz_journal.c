// SPDX-License-Identifier: Apache-2.0
//
// Arbitrary bytes as a journal. The first byte says how: even, the rest is the file as it is; odd,
// the rest is a row of (type u8, length u8, body) that become records with sound CRCs behind a
// sound header, so that the fuzzer gets past them. What was read must be read again the same, after
// an append.
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/assert.h"
#include "file/crc32c.h"
#include "file/journal.h"
#include "file/journal_internal.h"

#define FILE_NAME "00000000000000000000000000000000.journal"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

// The journal's directory, made once and removed at exit.
static char directory[64];

static void remove_directory(void)
{
    static const char *const names[] = {FILE_NAME, FILE_NAME ".aside", FILE_NAME ".new"};
    char path[192];
    for (size_t i = 0; i < 3; i++) {
        (void)snprintf(path, sizeof path, "%s/%s", directory, names[i]);
        (void)unlink(path);
    }
    (void)rmdir(directory);
}

static void make_directory(void)
{
    if (directory[0] != '\0')
        return;
    bool in_memory = access("/dev/shm", W_OK) == 0;
    (void)snprintf(directory, sizeof directory, "%s/lh-fuzz-XXXXXX",
                   in_memory ? "/dev/shm" : "/tmp");
    LH_ASSERT(mkdtemp(directory) != NULL);
    LH_ASSERT(atexit(remove_directory) == 0);
}

static size_t seal(const struct lh_journal_config *config,
                   const uint8_t *data,
                   size_t size,
                   uint8_t *out,
                   size_t room)
{
    struct lh_writer writer = lh_writer_of(out, room);
    struct lh_reader reader = lh_reader_of(data, size);
    lh_journal_header_encode(config, out);
    (void)lh_write_reserve(&writer, LH_JOURNAL_HEADER);
    while (lh_reader_left(&reader) >= 2) {
        uint16_t type = lh_read_u8(&reader);
        size_t len = lh_read_u8(&reader);
        len = len < lh_reader_left(&reader) ? len : lh_reader_left(&reader);
        const uint8_t *body = lh_read_bytes(&reader, len);
        uint8_t *start = writer.at;
        lh_write_u16(&writer, type);
        lh_write_u16(&writer, (uint16_t)len);
        if (!writer.bad)
            lh_write_u32(&writer, lh_crc32c(lh_crc32c(0, start, 4), body, len));
        lh_write_bytes(&writer, body, len);
        if (writer.bad)
            break;
    }
    return lh_writer_used(&writer);
}

static void write_file(const uint8_t *bytes, size_t len)
{
    char path[192];
    (void)snprintf(path, sizeof path, "%s/%s", directory, FILE_NAME);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    LH_ASSERT(fd >= 0);
    LH_ASSERT(write(fd, bytes, len) == (ssize_t)len);
    LH_ASSERT(close(fd) == 0);
}

struct seen {
    const struct lh_journal *journal;
    uint64_t files;
    uint64_t blocks;
};

static void look(void *context, const char *path, const struct lh_journal_partial *partial)
{
    struct seen *seen = context;
    struct lh_journal_partial found;
    LH_ASSERT(lh_journal_find_partial(seen->journal, path, &found) == LH_OK);
    LH_ASSERT(found.have == partial->have);
    LH_ASSERT(strlen(partial->name) < sizeof partial->name);
    seen->files++;
    for (uint64_t i = 0; i < partial->block_count; i++)
        seen->blocks += partial->have[i / 8] >> (i % 8) & 1;
}

static struct seen look_at(const struct lh_journal *journal)
{
    struct seen seen = {.journal = journal};
    lh_journal_each_partial(journal, look, &seen);
    return seen;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t sealed[65536];
    struct lh_journal_complete complete = {.source.size = 7};
    struct lh_journal *journal = NULL;
    char notice[200];

    make_directory();
    struct lh_journal_config config = {.directory = directory, .block_size = 65536};
    if (size < 1)
        return 0;
    if (data[0] % 2 == 0)
        write_file(data + 1, size - 1);
    else
        write_file(sealed, seal(&config, data + 1, size - 1, sealed, sizeof sealed));
    lh_err err = lh_journal_open(&config, &journal, notice, sizeof notice, NULL);
    if (err == LH_E_AUTH) // the file says that it is another job's
        return 0;
    LH_ASSERT(err == LH_OK);
    struct seen before = look_at(journal);
    LH_ASSERT(lh_journal_complete_file(journal, "a/path of ours", &complete, NULL) == LH_OK);
    lh_journal_free(journal);
    LH_ASSERT(lh_journal_open(&config, &journal, notice, sizeof notice, NULL) == LH_OK);
    LH_ASSERT(notice[0] == '\0');
    LH_ASSERT(lh_journal_find_complete(journal, "a/path of ours", &complete) == LH_OK);
    LH_ASSERT(complete.source.size == 7);
    LH_ASSERT(lh_journal_forget(journal, "a/path of ours", NULL) == LH_OK);
    struct seen after = look_at(journal);
    LH_ASSERT(after.files == before.files && after.blocks == before.blocks);
    lh_journal_free(journal);
    return 0;
}
