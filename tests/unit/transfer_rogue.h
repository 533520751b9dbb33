// SPDX-License-Identifier: Apache-2.0
//
// What scripts of peers that break the protocol are made of: one end of transfer_pair is a job, the
// other is the script.
#ifndef LH_TESTS_TRANSFER_ROGUE_H
#define LH_TESTS_TRANSFER_ROGUE_H

#include "transfer/receiver_internal.h"
#include "transfer_pair.h"

#define BLOCK         65536u
#define TEXT(literal) ((struct lh_text){.data = (literal), .len = sizeof(literal) - 1})
#define MESSAGE(kind, member, ...)                                                                 \
    (&(struct lh_message){.type = LH_MESSAGE_##kind, .as.member = {__VA_ARGS__}})

// The job of rogue_receiver: a directory and three files, all asked for.
#define DIR_ID     0
#define SMALL_ID   1 // 5 bytes
#define LARGE_ID   2 // LARGE_SIZE bytes, 3 blocks and a bit
#define EMPTY_ID   3
#define LARGE_SIZE (5 * (uint64_t)BLOCK + 10)
#define NEXT_ID    4

// A job to send: id 0 the directory, 1 "large" (3 blocks), 2 "small".
#define OUT_DIR   0
#define OUT_LARGE 1
#define OUT_SMALL 2

struct rogue {
    char *root;
    char to[256], from[256];
    struct pair pair;
};

void rogue_say(struct pair_end *to, const struct lh_message *message);
void rogue_say_entry(
    struct pair_end *to, uint32_t id, uint8_t kind, uint64_t size, struct lh_text name);
void rogue_settle(struct rogue *rogue);
void rogue_start(struct rogue *rogue, enum lh_job_direction direction, const char *dest);
struct pair_end *rogue_receiver(struct rogue *rogue);
void rogue_send_block(struct pair_end *to, uint32_t id, uint32_t index, size_t len, bool good);
void rogue_send_bundle(
    struct pair_end *to, const uint32_t *ids, size_t count, size_t len, bool good);
void rogue_end_file(struct pair_end *to, uint32_t id, uint8_t status, uint32_t blocks);
void rogue_list_end(struct pair_end *to);
void rogue_check_canaries(struct rogue *rogue, const char *script);
struct pair_end *rogue_sender(struct rogue *rogue);
void rogue_decide(struct pair_end *to, uint8_t decision, uint32_t first, uint32_t count);
void rogue_result(struct pair_end *to, uint8_t outcome, uint32_t first, uint32_t count);
void rogue_have(struct pair_end *to, uint32_t id, uint32_t known);
int rogue_set_up(void **state);
int rogue_tear_down(void **state);

#endif
