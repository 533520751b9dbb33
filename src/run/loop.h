// SPDX-License-Identifier: Apache-2.0
//
// The event loop: descriptors, one deadline, nothing else. It reads the clock once per wake-up and
// hands that `now` to everybody (after passt's main loop), so that all decisions of one turn agree
// on the time. Only what has just been received needs a newer one: see lh_loop_refresh.
//
// One turn: wait for descriptors or the deadline; call the handlers of ready descriptors; call
// `turn(user, now)`, which moves what can be moved and returns the next deadline. Single-threaded.
#ifndef LH_RUN_LOOP_H
#define LH_RUN_LOOP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/time.h"

#define LH_LOOP_FDS_MAX 64

typedef void (*lh_loop_handler)(void *user, uint32_t events, lh_ns now);
typedef lh_ns (*lh_loop_turn)(void *user, lh_ns now);

struct lh_loop;

lh_err lh_loop_new(struct lh_loop **out_loop, struct lh_errinfo *info) LH_MUST_CHECK;
void lh_loop_free(struct lh_loop *loop); // closes no descriptor but its own

// For LH_CLEANUP.
LH_DEFINE_FREEP(struct lh_loop, lh_loop_free)

// Watches `fd` for `events` (EPOLLIN, EPOLLOUT); level-triggered. A descriptor is watched once.
// LH_E_LIMIT while LH_LOOP_FDS_MAX are watched, LH_E_SYS when epoll refuses it. Removing makes room
// at once, also within a turn. Nobody hears of what is not watched: who adds must try again later,
// or do without.
lh_err lh_loop_add(struct lh_loop *loop,
                   int fd,
                   uint32_t events,
                   lh_loop_handler handler,
                   void *user) LH_MUST_CHECK;
// Should be called before `fd` is closed, and must be before its number is added again. Safe from
// inside any handler, for any descriptor: an event of it that waits to be handled is dropped.
void lh_loop_remove(struct lh_loop *loop, int fd);
// Is what was added under this number still watched? Not where it was closed without being removed,
// though the number was given out again.
bool lh_loop_has(struct lh_loop *loop, int fd);

// Runs turns until lh_loop_stop. Returns LH_E_SYS only when waiting itself fails.
lh_err lh_loop_run(struct lh_loop *loop, lh_loop_turn turn, void *user, struct lh_errinfo *info)
    LH_MUST_CHECK;
void lh_loop_stop(struct lh_loop *loop); // the current turn is the last

// Leaves descriptors alone until `until`, or until the deadline that the turn names if that is
// sooner: events gather, and one turn deals with many. For the wait behind this turn only; the
// longest rest asked for holds.
void lh_loop_rest(struct lh_loop *loop, lh_ns until);

// The time of the turn under way, for callbacks that are not given one.
lh_ns lh_loop_now(const struct lh_loop *loop);

// Reads the clock again, for the rest of the turn, and returns it. To be called when datagrams have
// been taken from a socket: a process that waited for the processor between waking up and receiving
// would stamp them earlier than they came. Their age in feedback would be too large, the peer's
// round trip too short, and its smallest one is what windows are made of.
lh_ns lh_loop_refresh(struct lh_loop *loop);

#endif
