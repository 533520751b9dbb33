// SPDX-License-Identifier: Apache-2.0
//
// The ceiling of this machine: a bare loop of seal + one GSO send in one process, and recvmmsg with
// GRO + open in another, over loopback, with packets of a 1,500-byte MTU. No congestion control, no
// loss recovery, no files. What Longhaul reaches memory to memory is to be seen beside this, in the
// same minute: a busy machine is slower for both. Prints a line for each AEAD implementation.
//
//   bench_floor [SECONDS [SUITE [LIBRARY]]]      e.g. bench_floor 2 aes128 ipsec-mb
//
// The sender stays at most WINDOW bytes ahead of the receiver (told through shared memory), so
// nothing is dropped. Content is what a full DATA packet carries: 1,440 bytes of 1,472.
#include <arpa/inet.h>
#include <netinet/udp.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/math.h"
#include "base/text.h"
#include "crypto/aead.h"
#include "transport/packet.h"

#define SEGMENT  1472 // UDP payload at an MTU of 1,500
#define SEGMENTS 44   // of one GSO send: 64 KiB
#define CONTENT  (SEGMENT - LH_PACKET_HEADER - LH_PACKET_TAG - LH_FRAME_DATA_HEADER)
#define WINDOW   ((uint64_t)4 << 20)
#define MESSAGES 16
#define MESSAGE  65536

struct shared {
    _Atomic uint64_t received; // packets
    _Atomic bool stop;
};

struct rig {
    const struct lh_aead_type *type;
    struct shared *shared;
    int fd;
    lh_ns seconds;
};

static lh_ns clock_now(void)
{
    struct timespec time;
    (void)clock_gettime(CLOCK_MONOTONIC, &time);
    return (lh_ns)time.tv_sec * LH_SECOND + (lh_ns)time.tv_nsec;
}

static lh_ns cpu_of(const struct rusage *usage)
{
    return ((lh_ns)usage->ru_utime.tv_sec + (lh_ns)usage->ru_stime.tv_sec) * LH_SECOND +
           ((lh_ns)usage->ru_utime.tv_usec + (lh_ns)usage->ru_stime.tv_usec) * LH_US;
}

static struct lh_aead_ctx *context(const struct rig *rig, bool is_seal)
{
    static const uint8_t key[LH_AEAD_KEY_MAX] = {1};
    struct lh_aead_ctx *ctx = NULL;
    lh_err err = rig->type->new (rig->type, &ctx, key, is_seal);
    return err == 0 ? ctx : NULL;
}

static void nonce_of(uint64_t pn, uint8_t nonce[LH_AEAD_IV_LEN])
{
    memset(nonce, 0, LH_AEAD_IV_LEN);
    memcpy(nonce + 4, &pn, sizeof pn);
}

// The number stands in the header, so that a packet can be opened by itself.
static void seal_packet(const struct rig *rig, struct lh_aead_ctx *ctx, uint64_t pn, uint8_t *at)
{
    static const uint8_t plain[SEGMENT];
    uint8_t nonce[LH_AEAD_IV_LEN];
    memcpy(at, &pn, sizeof pn);
    nonce_of(pn, nonce);
    lh_err err =
        rig->type->seal(ctx, &(struct lh_aead_text){nonce, at, LH_PACKET_HEADER, plain,
                                                    SEGMENT - LH_PACKET_HEADER - LH_PACKET_TAG,
                                                    at + LH_PACKET_HEADER});
    LH_ASSERT(err == 0);
}

static void send_loop(const struct rig *rig)
{
    static uint8_t buffer[SEGMENTS * SEGMENT];
    struct lh_aead_ctx *ctx = context(rig, true);
    lh_ns end = clock_now() + rig->seconds * LH_SECOND;
    uint64_t pn = 0;
    LH_ASSERT(ctx != NULL);
    while (clock_now() < end) {
        if ((pn - atomic_load(&rig->shared->received)) * SEGMENT > WINDOW) {
            sched_yield();
            continue;
        }
        for (size_t i = 0; i < SEGMENTS; i++)
            seal_packet(rig, ctx, pn++, buffer + i * SEGMENT);
        if (send(rig->fd, buffer, sizeof buffer, 0) < 0)
            break;
    }
    rig->type->free(ctx);
}

static size_t open_message(const struct rig *rig, struct lh_aead_ctx *ctx, uint8_t *at, size_t len)
{
    size_t count = 0;
    for (; len >= SEGMENT; len -= SEGMENT, at += SEGMENT, count++) {
        uint8_t nonce[LH_AEAD_IV_LEN];
        uint64_t pn;
        memcpy(&pn, at, sizeof pn);
        nonce_of(pn, nonce);
        lh_err err = rig->type->open(
            ctx, &(struct lh_aead_text){nonce, at, LH_PACKET_HEADER, at + LH_PACKET_HEADER,
                                        SEGMENT - LH_PACKET_HEADER, at + LH_PACKET_HEADER});
        LH_ASSERT(err == 0);
    }
    return count;
}

static void receive_loop(const struct rig *rig)
{
    static uint8_t memory[MESSAGES][MESSAGE];
    struct lh_aead_ctx *ctx = context(rig, false);
    LH_ASSERT(ctx != NULL);
    while (!atomic_load(&rig->shared->stop)) {
        struct mmsghdr messages[MESSAGES] = {0};
        struct iovec iovs[MESSAGES];
        for (size_t i = 0; i < MESSAGES; i++) {
            iovs[i] = (struct iovec){memory[i], MESSAGE};
            messages[i].msg_hdr = (struct msghdr){.msg_iov = &iovs[i], .msg_iovlen = 1};
        }
        int got = recvmmsg(rig->fd, messages, MESSAGES, MSG_WAITFORONE, NULL);
        for (int i = 0; i < got; i++)
            atomic_fetch_add(&rig->shared->received,
                             open_message(rig, ctx, memory[i], messages[i].msg_len));
    }
    rig->type->free(ctx);
}

static int open_socket(int option, int value, int buffer_option)
{
    int fd = socket(AF_INET, SOCK_DGRAM, 0), bytes = (int)(2 * WINDOW);
    struct timeval patience = {.tv_usec = 100000};
    LH_ASSERT(fd >= 0);
    LH_ASSERT(setsockopt(fd, SOL_UDP, option, &value, sizeof value) == 0);
    (void)setsockopt(fd, SOL_SOCKET, buffer_option, &bytes, sizeof bytes);
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    return fd;
}

// Connects `from` to `to`, which gets a port of the kernel's choice.
static void connect_sockets(int from, int to)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    LH_ASSERT(bind(to, (struct sockaddr *)&address, sizeof address) == 0);
    LH_ASSERT(getsockname(to, (struct sockaddr *)&address, &len) == 0);
    LH_ASSERT(connect(from, (struct sockaddr *)&address, sizeof address) == 0);
}

static void measure(struct rig *rig)
{
    struct rusage sender = {0}, receiver = {0};
    int to = open_socket(UDP_GRO, 1, SO_RCVBUFFORCE);
    int from = open_socket(UDP_SEGMENT, SEGMENT, SO_SNDBUFFORCE);
    connect_sockets(from, to);
    atomic_store(&rig->shared->received, 0);
    atomic_store(&rig->shared->stop, false);
    lh_ns began = clock_now();
    pid_t pids[2];
    for (int i = 0; i < 2; i++) {
        pids[i] = fork();
        LH_ASSERT(pids[i] >= 0);
        if (pids[i] != 0)
            continue;
        rig->fd = i == 0 ? to : from;
        if (i == 0)
            receive_loop(rig);
        else
            send_loop(rig);
        _exit(0);
    }
    LH_ASSERT(wait4(pids[1], NULL, 0, &sender) == pids[1]);
    lh_ns took = clock_now() - began;
    atomic_store(&rig->shared->stop, true);
    LH_ASSERT(wait4(pids[0], NULL, 0, &receiver) == pids[0]);
    (void)close(from);
    (void)close(to);
    uint64_t content = LH_MAX(atomic_load(&rig->shared->received), (uint64_t)1) * CONTENT;
    printf("%-9s %-10s %8llu Mbit/s  sender %.2f, receiver %.2f s of processor a gigabyte\n",
           rig->type->name, rig->type->library,
           (unsigned long long)lh_muldiv(content, 8 * LH_SECOND, took) / 1000000,
           (double)cpu_of(&sender) / (double)content, (double)cpu_of(&receiver) / (double)content);
    (void)fflush(stdout);
}

int main(int argc, char **argv)
{
    struct rig rig = {.seconds = 2};
    const struct lh_aead_type *type;
    if (argc > 1 && lh_parse_number(argv[1], 1, 60, &rig.seconds) != 0)
        return 2;
    rig.shared =
        mmap(NULL, sizeof *rig.shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (rig.shared == MAP_FAILED)
        return 1;
    for (size_t i = 0; (type = lh_aead_implementation(i)) != NULL; i++) {
        if ((argc > 2 && strcmp(argv[2], type->name) != 0) ||
            (argc > 3 && strcmp(argv[3], type->library) != 0))
            continue;
        rig.type = type;
        struct lh_aead_ctx *ctx = context(&rig, true);
        if (ctx == NULL)
            continue;
        type->free(ctx);
        measure(&rig);
    }
    return 0;
}
