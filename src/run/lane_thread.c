// SPDX-License-Identifier: Apache-2.0
//
// How it works. The thread goes round: orders, runs to seal, runs to send, strays to open, packets
// to receive; when there is nothing of all that it sleeps in poll() on its socket and its eventfd.
// Before it sleeps it arms the mailboxes it takes from, so that it is woken for what comes, and not
// while it works.
//
// Why here, and not in the engine: of what a packet costs, system calls and the AEAD are four
// fifths (docs/performance.md), and both are the lane's alone: its keys, its packet numbers, its
// socket. Frames, losses, windows and blocks are the session's, and stay in one thread without any
// lock. (WireGuard cuts at the same place, and so does MsQuic, which has threads for sockets and
// threads for connections; H2O, picoquic and ngtcp2 leave a connection to one thread.)
//
// The lane's socket belongs to the session's thread, which opens, connects and replaces it; the
// thread gets another descriptor of it (lh_udp_twin). So neither ever waits for the other to let go
// of it: while a lane moves, the thread may read the old one a moment longer, as the kernel would.
//
// Locks: each mailbox its own, and `order_lock`. None is held while another is taken or while the
// thread works.
#include "run/lane_thread.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/math.h"
#include "base/wipe.h"
#include "sys/clock.h"

#define RUN_RETRY LH_MS // a full device queue does not show in poll()

struct lh_lane_thread {
    struct lh_lane_run *all_runs[LH_LANE_RUNS];
    struct lh_lane_catch catches[LH_LANE_CATCHES], strays[LH_LANE_STRAYS];
    struct lh_link free_strays; // the session's thread alone
    pthread_t id;
    bool is_running;

    struct lh_wake wake;                         // the lane's thread
    struct lh_mailbox runs, returned, lost_ones; // it takes from these
    struct lh_mailbox free_runs, handed, caught; // the session's thread from these

    pthread_mutex_t order_lock; // guards these:
    bool must_end, has_socket_order, has_key_order;
    struct lh_udp_socket *ordered; // to be used from now on
    struct lh_sealing ordered_keys;

    // The lane's thread alone.
    struct lh_sealing sealing;
    struct lh_udp_socket *socket; // owned
    struct lh_link out;           // sealed runs, to be sent by `socket`
    lh_ns retry_at;               // the socket was full; LH_NEVER = it is not
    struct lh_lane_catch *net;    // empty, for the next packets
    lh_ns pto;
    uint64_t drops; // of sockets that are closed
};

// --- The lane's thread ---------------------------------------------------------------------------

static uint64_t socket_drops(const struct lh_udp_socket *socket)
{
    struct lh_udp_stats stats = {0};
    if (socket != NULL)
        lh_udp_get_stats(socket, &stats);
    return stats.socket_drops;
}

static void change_socket(struct lh_lane_thread *thread, struct lh_udp_socket *socket)
{
    thread->drops += socket_drops(thread->socket);
    lh_udp_close(thread->socket);
    thread->socket = socket;
    thread->retry_at = LH_NEVER;
}

// False: the thread must end.
static bool obey(struct lh_lane_thread *thread)
{
    pthread_mutex_lock(&thread->order_lock);
    bool has_socket_order = thread->has_socket_order, must_end = thread->must_end;
    struct lh_udp_socket *ordered = thread->ordered;
    if (thread->has_key_order) {
        thread->sealing = thread->ordered_keys;
        lh_wipe(&thread->ordered_keys, sizeof thread->ordered_keys);
    }
    thread->has_socket_order = thread->has_key_order = false;
    thread->ordered = NULL;
    pthread_mutex_unlock(&thread->order_lock);
    if (has_socket_order)
        change_socket(thread, ordered);
    return !must_end;
}

static void hand_back(struct lh_lane_thread *thread, struct lh_lane_run *run, lh_err err)
{
    run->err = err;
    lh_mailbox_put(&thread->handed, &run->link);
}

static void seal_runs(struct lh_lane_thread *thread)
{
    for (struct lh_link *link; (link = lh_mailbox_take(&thread->runs)) != NULL;) {
        struct lh_lane_run *run = LH_CONTAINER_OF(link, struct lh_lane_run, link);
        lh_err err =
            lh_sealing_run(&thread->sealing, run->memory, run->batch.len, run->batch.segment_size);
        if (err == 0 && run->is_direct && thread->socket != NULL)
            lh_list_append(&thread->out, link);
        else
            hand_back(thread, run, err);
    }
}

// False: the socket is full.
static bool send_run(struct lh_lane_thread *thread, struct lh_lane_run *run)
{
    lh_udp_set_ecn(thread->socket, run->batch.ecn);
    lh_udp_set_gso(thread->socket, run->has_gso);
    while (run->sent < run->batch.len) {
        struct lh_udp_run rest = {.data = run->memory + run->sent,
                                  .len = run->batch.len - run->sent,
                                  .segment_size = run->batch.segment_size};
        struct lh_udp_sent sent = {0};
        lh_err err = lh_udp_send(thread->socket, &rest, &sent);
        run->sent = LH_MIN(run->batch.len, run->sent + sent.segments * rest.segment_size);
        if (err == LH_AGAIN)
            return false;
        if (err == LH_TOO_LARGE) {
            run->too_large = sent.too_large;
            lh_list_remove(&run->link);
            hand_back(thread, run, LH_TOO_LARGE);
            return true;
        }
        if (err != 0)
            break; // lost; loss detection repairs it
    }
    lh_list_remove(&run->link);
    lh_mailbox_put(&thread->free_runs, &run->link);
    return true;
}

static void send_runs(struct lh_lane_thread *thread)
{
    if (thread->retry_at != LH_NEVER && lh_clock_now() < thread->retry_at)
        return;
    thread->retry_at = LH_NEVER;
    for (struct lh_link *link; (link = lh_list_first(&thread->out)) != NULL;) {
        struct lh_lane_run *run = LH_CONTAINER_OF(link, struct lh_lane_run, link);
        if (thread->socket == NULL) {
            lh_list_remove(link);
            hand_back(thread, run, 0);
        } else if (!send_run(thread, run)) {
            thread->retry_at = lh_clock_now() + RUN_RETRY;
            return;
        }
    }
}

// Opens what `catch` holds and hands it over. Nothing in it: false, and it stays here.
static bool open_catch(struct lh_lane_thread *thread, struct lh_lane_catch *catch)
{
    size_t opened = 0;

    catch->forged = catch->strange = 0;
    for (size_t i = 0; i < catch->count; i++) {
        struct lh_udp_dgram *dgram = &catch->dgrams[i];
        lh_err err =
            lh_sealing_open(&thread->sealing, dgram->data, dgram->len, catch->arrived, thread->pto);
        catch->strange += err == LH_NONE;
        catch->forged += err < 0;
        if (err != 0)
            continue;
        if (opened != i)
            catch->dgrams[opened] = *dgram;
        opened++;
    }
    catch->count = opened;
    catch->drops = thread->drops + socket_drops(thread->socket);
    if (opened + catch->forged + catch->strange == 0)
        return false;
    lh_mailbox_put(&thread->caught, &catch->link);
    return true;
}

static void open_strays(struct lh_lane_thread *thread)
{
    for (struct lh_link *link; (link = lh_mailbox_take(&thread->lost_ones)) != NULL;)
        (void)open_catch(thread, LH_CONTAINER_OF(link, struct lh_lane_catch, link));
}

static bool has_net(struct lh_lane_thread *thread)
{
    struct lh_link *link = thread->net != NULL ? NULL : lh_mailbox_take(&thread->returned);

    if (link != NULL) {
        thread->net = LH_CONTAINER_OF(link, struct lh_lane_catch, link);
        thread->pto = thread->net->pto;
    }
    return thread->net != NULL;
}

// One batch from the socket. True: there may be more.
static bool receive(struct lh_lane_thread *thread)
{
    struct lh_udp_batch batch;

    if (thread->socket == NULL || !has_net(thread))
        return false;
    lh_err err = lh_udp_recv(thread->socket, thread->net->rx, &batch);
    if (err < 0) // broken: the session finds out by its silence
        change_socket(thread, NULL);
    if (err != 0)
        return false;
    thread->net->dgrams = batch.dgrams;
    thread->net->count = batch.count;
    thread->net->arrived = lh_clock_now();
    if (open_catch(thread, thread->net))
        thread->net = NULL;
    return batch.more;
}

// How long poll() may sleep, in its milliseconds.
static int patience(const struct lh_lane_thread *thread, lh_ns now)
{
    const struct lh_lane_keys *keys = &thread->sealing.open;
    lh_ns at = thread->retry_at;

    if (keys->previous.ctx != NULL)
        at = lh_ns_min(at, keys->previous_until);
    if (at == LH_NEVER)
        return -1;
    return (int)lh_ns_min((lh_ns_since(at, now) + LH_MS - 1) / LH_MS, 60000);
}

static void rest(struct lh_lane_thread *thread)
{
    struct pollfd fds[] = {{.fd = thread->wake.fd, .events = POLLIN}, {.fd = -1}};
    lh_ns now = lh_clock_now();

    lh_lane_keys_expire(&thread->sealing.open, now);
    if (!lh_mailbox_arm(&thread->runs) || !lh_mailbox_arm(&thread->lost_ones))
        return;
    if (!has_net(thread) && !lh_mailbox_arm(&thread->returned))
        return;
    if (thread->socket != NULL && thread->net != NULL)
        fds[1] = (struct pollfd){.fd = lh_udp_fd(thread->socket), .events = POLLIN};
    if (poll(fds, LH_ARRAY_LEN(fds), patience(thread, now)) < 0)
        LH_ASSERT(errno == EINTR || errno == ENOMEM);
    if (fds[0].revents != 0)
        lh_wake_clear(&thread->wake);
}

static void *work(void *context)
{
    struct lh_lane_thread *thread = context;
    bool goes_on = true;

    while (goes_on) {
        goes_on = obey(thread);
        seal_runs(thread); // what came before the order to end still goes out
        send_runs(thread);
        open_strays(thread);
        if (goes_on && !receive(thread))
            rest(thread);
    }
    return NULL;
}

// --- Life ----------------------------------------------------------------------------------------

lh_err lh_lane_run_new(struct lh_lane_run **out_run)
{
    struct lh_lane_run *run = calloc(1, sizeof *run);

    if (run == NULL)
        return LH_E_NOMEM;
    run->memory = malloc(LH_UDP_RUN_BYTES);
    if (run->memory == NULL) {
        free(run);
        return LH_E_NOMEM;
    }
    lh_list_init(&run->link);
    lh_lane_run_reset(run);
    *out_run = run;
    return 0;
}

void lh_lane_run_free(struct lh_lane_run *run)
{
    if (run == NULL)
        return;
    free(run->memory);
    free(run);
}

void lh_lane_run_reset(struct lh_lane_run *run)
{
    run->batch = (struct lh_batch){
        .buffer = run->memory, .room = LH_UDP_RUN_BYTES, .segments_max = LH_UDP_RUN_SEGMENTS};
    run->sent = 0;
    run->err = 0;
    run->too_large = 0;
}

static lh_err make_buffers(struct lh_lane_thread *thread)
{
    for (size_t i = 0; i < LH_LANE_RUNS; i++) {
        if (lh_lane_run_new(&thread->all_runs[i]) != 0)
            return LH_E_NOMEM;
        lh_mailbox_put(&thread->free_runs, &thread->all_runs[i]->link);
    }
    for (size_t i = 0; i < LH_LANE_CATCHES; i++) {
        struct lh_lane_catch *catch = &thread->catches[i];
        if (lh_udp_rx_new(LH_UDP_RX_LONG, &catch->rx) != 0)
            return LH_E_NOMEM;
        catch->pto = thread->pto;
        lh_mailbox_put(&thread->returned, &catch->link);
    }
    for (size_t i = 0; i < LH_LANE_STRAYS; i++) {
        struct lh_lane_catch *stray = &thread->strays[i];
        stray->bytes = malloc(LH_STRAY_BYTES);
        stray->dgrams = calloc(LH_STRAY_DGRAMS_MAX, sizeof *stray->dgrams);
        if (stray->bytes == NULL || stray->dgrams == NULL)
            return LH_E_NOMEM;
        lh_list_append(&thread->free_strays, &stray->link);
    }
    return 0;
}

static lh_err start(struct lh_lane_thread *thread, uint8_t lane)
{
    sigset_t all, old;
    char name[16]; // what the kernel keeps

    (void)sigfillset(&all);
    LH_ASSERT(pthread_sigmask(SIG_BLOCK, &all, &old) == 0); // signals are the session's thread's
    thread->is_running = pthread_create(&thread->id, NULL, work, thread) == 0;
    LH_ASSERT(pthread_sigmask(SIG_SETMASK, &old, NULL) == 0);
    if (!thread->is_running)
        return LH_E_SYS;
    (void)snprintf(name, sizeof name, "lane %u", (unsigned)lane);
    (void)pthread_setname_np(thread->id, name);
    return 0;
}

lh_err
lh_lane_thread_new(uint8_t lane, const struct lh_wake *wake, struct lh_lane_thread **out_thread)
{
    struct lh_lane_thread *thread = calloc(1, sizeof *thread);

    if (thread == NULL)
        return LH_E_NOMEM;
    thread->wake.fd = -1;
    thread->retry_at = LH_NEVER;
    thread->pto = LH_SECOND;
    lh_list_init(&thread->out);
    lh_list_init(&thread->free_strays);
    lh_mailbox_init(&thread->runs, &thread->wake);
    lh_mailbox_init(&thread->returned, &thread->wake);
    lh_mailbox_init(&thread->lost_ones, &thread->wake);
    lh_mailbox_init(&thread->free_runs, wake);
    lh_mailbox_init(&thread->handed, wake);
    lh_mailbox_init(&thread->caught, wake);
    LH_ASSERT(pthread_mutex_init(&thread->order_lock, NULL) == 0);
    lh_err err = lh_wake_init(&thread->wake);
    if (err == 0)
        err = make_buffers(thread);
    if (err == 0)
        err = start(thread, lane);
    if (err != 0) {
        lh_lane_thread_free(thread);
        return err;
    }
    *out_thread = thread;
    return 0;
}

static void end(struct lh_lane_thread *thread)
{
    if (!thread->is_running)
        return;
    pthread_mutex_lock(&thread->order_lock);
    thread->must_end = true;
    pthread_mutex_unlock(&thread->order_lock);
    lh_wake_signal(&thread->wake);
    LH_ASSERT(pthread_join(thread->id, NULL) == 0);
}

void lh_lane_thread_free(struct lh_lane_thread *thread)
{
    if (thread == NULL)
        return;
    end(thread);
    lh_udp_close(thread->ordered);
    lh_udp_close(thread->socket);
    lh_sealing_fini(&thread->sealing);
    lh_sealing_fini(&thread->ordered_keys);
    for (size_t i = 0; i < LH_LANE_RUNS; i++)
        lh_lane_run_free(thread->all_runs[i]);
    for (size_t i = 0; i < LH_LANE_CATCHES; i++)
        lh_udp_rx_free(thread->catches[i].rx);
    for (size_t i = 0; i < LH_LANE_STRAYS; i++) {
        free(thread->strays[i].bytes);
        free(thread->strays[i].dgrams);
    }
    struct lh_mailbox *const boxes[] = {&thread->runs,      &thread->returned, &thread->lost_ones,
                                        &thread->free_runs, &thread->handed,   &thread->caught};
    for (size_t i = 0; i < LH_ARRAY_LEN(boxes); i++)
        lh_mailbox_fini(boxes[i]);
    (void)pthread_mutex_destroy(&thread->order_lock);
    lh_wake_fini(&thread->wake);
    free(thread);
}

// --- The session's thread ------------------------------------------------------------------------

void lh_lane_thread_take_keys(struct lh_lane_thread *thread, struct lh_sealing *sealing)
{
    pthread_mutex_lock(&thread->order_lock);
    thread->ordered_keys = *sealing;
    thread->has_key_order = true;
    pthread_mutex_unlock(&thread->order_lock);
    lh_wipe(sealing, sizeof *sealing);
    lh_wake_signal(&thread->wake);
}

void lh_lane_thread_use(struct lh_lane_thread *thread, struct lh_udp_socket *socket)
{
    pthread_mutex_lock(&thread->order_lock);
    struct lh_udp_socket *unused = thread->ordered; // an order that was not followed yet
    thread->ordered = socket;
    thread->has_socket_order = true;
    pthread_mutex_unlock(&thread->order_lock);
    lh_udp_close(unused);
    lh_wake_signal(&thread->wake);
}

static struct lh_lane_run *run_of(struct lh_link *link)
{
    return link == NULL ? NULL : LH_CONTAINER_OF(link, struct lh_lane_run, link);
}

struct lh_lane_run *lh_lane_thread_run(struct lh_lane_thread *thread)
{
    struct lh_link *link = lh_mailbox_take(&thread->free_runs);

    if (link == NULL && !lh_mailbox_arm(&thread->free_runs))
        link = lh_mailbox_take(&thread->free_runs);
    return run_of(link);
}

void lh_lane_thread_send(struct lh_lane_thread *thread, struct lh_lane_run *run)
{
    lh_mailbox_put(&thread->runs, &run->link);
}

struct lh_lane_run *lh_lane_thread_handed(struct lh_lane_thread *thread)
{
    return run_of(lh_mailbox_take(&thread->handed));
}

void lh_lane_thread_done(struct lh_lane_thread *thread, struct lh_lane_run *run)
{
    lh_mailbox_put(&thread->free_runs, &run->link);
}

struct lh_lane_catch *lh_lane_thread_caught(struct lh_lane_thread *thread)
{
    struct lh_link *link = lh_mailbox_take(&thread->caught);
    return link == NULL ? NULL : LH_CONTAINER_OF(link, struct lh_lane_catch, link);
}

void lh_lane_thread_return(struct lh_lane_thread *thread, struct lh_lane_catch *catch)
{
    if (catch->rx != NULL)
        lh_mailbox_put(&thread->returned, &catch->link);
    else
        lh_list_append(&thread->free_strays, &catch->link);
}

bool lh_lane_thread_open(struct lh_lane_thread *thread,
                         const struct lh_udp_dgram *dgrams,
                         size_t count,
                         lh_ns now)
{
    struct lh_link *link = lh_list_first(&thread->free_strays);
    size_t used = 0;

    if (link == NULL)
        return false;
    struct lh_lane_catch *stray = LH_CONTAINER_OF(link, struct lh_lane_catch, link);
    LH_ASSERT(count <= LH_STRAY_DGRAMS_MAX);
    for (size_t i = 0; i < count; i++) {
        if (dgrams[i].len > LH_STRAY_BYTES - used)
            return false;
        stray->dgrams[i] = dgrams[i];
        stray->dgrams[i].data = stray->bytes + used;
        memcpy(stray->bytes + used, dgrams[i].data, dgrams[i].len);
        used += dgrams[i].len;
    }
    lh_list_remove(link);
    stray->count = count;
    stray->arrived = now;
    lh_mailbox_put(&thread->lost_ones, link);
    return true;
}

bool lh_lane_thread_arm(struct lh_lane_thread *thread)
{
    return lh_mailbox_arm(&thread->handed) && lh_mailbox_arm(&thread->caught);
}
