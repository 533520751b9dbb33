// SPDX-License-Identifier: Apache-2.0
//
// Two jobs joined by a channel in memory, over real directories: for the tests of src/transfer. The
// channel delivers stream bytes in random pieces and blocks in random order, with small windows, so
// that every LH_AGAIN and every overtaking that a transport may do happens here too.
#ifndef LH_TESTS_TRANSFER_PAIR_H
#define LH_TESTS_TRANSFER_PAIR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"
#include "base/prng.h"
#include "file/ioq.h"
#include "job/block.h"
#include "transfer/job.h"

struct pair_options {
    uint64_t seed;
    uint32_t block_size;                     // 0 = 64 KiB
    size_t stream_window;                    // 0 = 1 MiB
    uint64_t block_window;                   // 0 = 16 blocks
    uint64_t read_ahead;                     // 0 = the default
    unsigned early_percent;                  // of blocks that are offered early
    unsigned unload_percent;                 // of attempts that succeed
    bool damage;                             // one byte of an early block, in its content
    const char *client_state, *server_state; // NULL = none
};

struct pair_link { // one direction
    uint8_t *stream;
    size_t stream_len, stream_room;
    size_t stream_unconsumed;
    struct lh_link blocks; // sent, not delivered
    struct lh_link held;   // delivered, not released
    struct lh_link early;  // taken early, runs still to be delivered
    uint64_t early_count, early_taken, runs_unreleased;
    uint64_t unloaded, supplied;
    struct lh_link acks; // delivered, not acknowledged
    size_t block_count;
    uint64_t unreleased; // bytes
    uint32_t next_block;
    bool was_full;
    uint64_t block_bytes; // delivered, content and headers
    uint64_t blocks_delivered;
};

struct pair_end {
    struct pair *pair;
    struct pair_end *peer;
    struct lh_channel channel;
    struct lh_job_host host;
    struct lh_ioq *ioq;
    struct lh_job *job;
    struct pair_link out;
    bool finished;
    struct lh_job_verdict verdict;
    char verdict_text[1024];
    char *log; // every problem: "severity code path: text\n"
    size_t log_len;
    size_t files_complete, files_skipped, files_failed, files_would;
};

struct pair {
    struct pair_options options;
    struct lh_prng prng;
    struct pair_end client, server;
    uint64_t stop_after; // block bytes delivered; 0 = never
    // Called between steps where not NULL; returning true ends pair_run early.
    bool (*step)(struct pair *pair, void *ctx);
    void *step_ctx;
};

void pair_init(struct pair *pair, const struct pair_options *options);
// Starts a job and runs it to both verdicts, to `stop_after`, or to the end that step asks for.
void pair_run(struct pair *pair, const struct lh_job_request *request);
void pair_start(struct pair *pair, const struct lh_job_request *request);
void pair_loop(struct pair *pair);
// lh_job_status.bytes_held of that end.
uint64_t pair_held(const struct pair_end *end);
// Destroys both ends as they stand, as a kill would. Idempotent.
void pair_fini(struct pair *pair);

// For rogue peers: only one end is a job, the other is scripted by the test.
void pair_inject_stream(struct pair_end *to, const void *data, size_t len);
void pair_inject_block(struct pair_end *to, const void *data, size_t len);

// --- Trees ---

char *tree_temp(void); // a new directory; free with tree_remove
void tree_remove(char *path);
void tree_path(char *out, size_t room, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void tree_mkdir(const char *path);
void tree_write(const char *path, uint64_t seed, size_t len);
void tree_write_text(const char *path, const char *text);
char *tree_read(const char *path, size_t *out_len); // NULL where it cannot be
// Fails the test where the trees differ in names, types, content or link targets; with `attributes`
// in modes and times too.
void tree_check_same(const char *a, const char *b, bool attributes);
size_t tree_count(const char *path); // everything below, partials included
// A random tree: `files` files, some directories, symlinks, empty ones, odd names.
void tree_random(const char *path, struct lh_prng *prng, size_t files, size_t size_max);

#endif
