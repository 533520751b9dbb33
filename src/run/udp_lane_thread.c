// SPDX-License-Identifier: Apache-2.0
//
// How it works. A lane with a thread has its keys there (lane_thread.h). Packets that the engine
// made go to it as they are; it seals them, and sends them where they go to the peer that its
// socket is connected to. All others come back sealed and leave by the session's sockets: a
// client's probes to several addresses, challenges of a new path, everything while a lane looks for
// its peer. The other way round, what the session's sockets bring for the lane goes to the thread
// to be opened. So each key is in one thread for all of the lane's life, and sockets stay where
// they are made and replaced.
//
// Times: packets bear the time at which the thread received them, so that the engine's delay does
// not look like the path's; but a lane's time never goes back, and the engine may have sent
// something meanwhile.
#include "run/udp_lane_internal.h"

#include <sys/epoll.h>

#include "base/math.h"

void lh_udp_lane_start_thread(struct lh_udp_lane *lane)
{
    struct lh_udp_lanes *lanes = lane->all;
    struct lh_sealing sealing;

    lh_list_init(&lane->handed);
    if (lanes->wake.fd < 0 && lh_wake_init(&lanes->wake) != 0)
        return;
    if (lh_lane_thread_new(lane->id, &lanes->wake, &lane->thread) != 0)
        return;
    lh_transport_take_keys(lanes->transport, lane->id, &sealing);
    lh_lane_thread_take_keys(lane->thread, &sealing);
}

void lh_udp_lane_end_thread(struct lh_udp_lane *lane)
{
    lh_lane_thread_free(lane->thread); // `spare` and what was handed back are its
    lane->thread = NULL;
}

// --- Sockets -------------------------------------------------------------------------------------

void lh_udp_lane_lend(struct lh_udp_lane *lane)
{
    struct lh_udp_socket *socket = lane->all->io->socket(lane), *twin = NULL;

    if (lane->thread == NULL || socket == lane->lent)
        return;
    if (socket != NULL && lh_udp_twin(socket, &twin) != 0)
        socket = NULL; // out of descriptors: the session's thread does it
    lane->lent = socket;
    if (socket != NULL) // it was just connected to this path
        lane->lent_path = *lh_udp_paths_get(&lane->all->paths, lane->settled_path);
    lh_lane_thread_use(lane->thread, twin);
    lane->all->changes++;
}

bool lh_udp_lane_has_lent(const struct lh_udp_lane *lane, int fd)
{
    return lane->lent != NULL && lh_udp_fd(lane->lent) == fd;
}

// --- What the thread says ------------------------------------------------------------------------

static void take_catch(struct lh_udp_lane *lane, struct lh_lane_catch *catch, lh_ns now)
{
    struct lh_transport *transport = lane->all->transport;

    lane->caught_at = LH_MAX(lane->caught_at, LH_MIN(catch->arrived, now));
    lane->thread_drops = LH_MAX(lane->thread_drops, catch->drops);
    lh_transport_note_forged(transport, lane->id, catch->forged, catch->strange);
    lh_udp_lane_deliver(lane, catch->dgrams, catch->count, lane->caught_at);
    catch->pto = lh_transport_lane_pto(transport, lane->id);
    lh_lane_thread_return(lane->thread, catch);
}

static void take_back(struct lh_udp_lane *lane, struct lh_lane_run *run)
{
    const struct lh_udp_path *path;

    if (run->err == 0) {
        lh_list_append(&lane->handed, &run->link);
        return;
    }
    if (run->err < 0)
        lh_transport_fail(lane->all->transport, run->err);
    path = lh_udp_paths_get(&lane->all->paths, run->batch.path);
    if (run->err == LH_TOO_LARGE && path != NULL)
        lh_udp_lane_size_packets(lane, path, run->too_large);
    lh_lane_thread_done(lane->thread, run);
}

// True: there is more.
static bool hear(struct lh_udp_lane *lane, lh_ns now)
{
    struct lh_lane_catch *catch;
    struct lh_lane_run *run;

    if (lane->thread == NULL)
        return false;
    while ((run = lh_lane_thread_handed(lane->thread)) != NULL)
        take_back(lane, run);
    for (int turn = 0; turn < LH_LANE_BATCHES_PER_EVENT; turn++) {
        catch = lh_lane_thread_caught(lane->thread);
        if (catch == NULL)
            break;
        take_catch(lane, catch, now);
    }
    return !lh_lane_thread_arm(lane->thread);
}

static void on_wake(void *user, uint32_t events, lh_ns now)
{
    struct lh_udp_lanes *lanes = user;
    bool more = false;

    (void)events;
    lh_wake_clear(&lanes->wake);
    now = lh_loop_refresh(lanes->loop);
    for (size_t i = 0; i < lanes->count; i++)
        more |= hear(&lanes->lanes[i], now);
    lh_udp_lanes_after_receiving(lanes, now);
    if (more)
        lh_wake_signal(&lanes->wake);
}

lh_err lh_udp_lanes_watch_threads(struct lh_udp_lanes *lanes)
{
    if (lanes->wake.fd < 0)
        return 0;
    lh_wake_signal(&lanes->wake); // to arm the mailboxes
    return lh_loop_add(lanes->loop, lanes->wake.fd, EPOLLIN, on_wake, lanes);
}

// --- What goes to the thread ---------------------------------------------------------------------

void lh_udp_lane_pass(struct lh_udp_lane *lane,
                      const struct lh_udp_dgram *dgrams,
                      size_t count,
                      lh_ns now)
{
    while (count > 0) {
        size_t part = 0, bytes = 0;
        while (part < count && part < LH_STRAY_DGRAMS_MAX &&
               bytes + dgrams[part].len <= LH_STRAY_BYTES)
            bytes += dgrams[part++].len;
        // The lane's thread is behind: as if the kernel's buffer had been full.
        if (!lh_lane_thread_open(lane->thread, dgrams, part, now))
            lane->own_drops += part;
        dgrams += part;
        count -= part;
    }
}

// Runs that came back sealed, first. False: they must wait.
static bool push_handed(struct lh_udp_lane *lane, lh_ns now)
{
    for (struct lh_link *link; (link = lh_list_first(&lane->handed)) != NULL;) {
        struct lh_lane_run *run = LH_CONTAINER_OF(link, struct lh_lane_run, link);
        if (!lh_udp_lane_push(lane, run, now))
            return false;
        lh_list_remove(link);
        lh_lane_thread_done(lane->thread, run);
    }
    return true;
}

static bool is_direct(const struct lh_udp_lane *lane, uint32_t number)
{
    const struct lh_udp_path *path = lh_udp_paths_get(&lane->all->paths, number);
    return lane->lent != NULL && path != NULL && lh_udp_path_equal(path, &lane->lent_path);
}

bool lh_udp_lane_flush_thread(struct lh_udp_lane *lane, lh_ns now)
{
    struct lh_transport *transport = lane->all->transport;

    lane->caught_at = LH_MAX(lane->caught_at, now); // what comes now came later
    if (!push_handed(lane, now))
        return false;
    if (lane->run == NULL)
        lane->run = lh_lane_thread_run(lane->thread);
    lh_transport_set_blocked(transport, lane->id, lane->run == NULL);
    if (lane->run == NULL)
        return false;
    struct lh_lane_run *run = lane->run;
    lh_lane_run_reset(run);
    lh_transport_send(transport, lane->id, &run->batch, now);
    if (run->batch.segments == 0)
        return false;
    lane->run = NULL;
    run->is_direct = is_direct(lane, run->batch.path);
    run->has_gso = lane->has_gso;
    lh_lane_thread_send(lane->thread, run);
    return true;
}
