// SPDX-License-Identifier: Apache-2.0
#ifndef LH_WATCH_WATCH_INTERNAL_H
#define LH_WATCH_WATCH_INTERNAL_H

#include "watch/watch.h"

// One connection: a process of sshd's on one host.
struct lh_connection {
    struct lh_slot slot;
    struct lh_endpoint peer;
    bool has_peer;
    bool counted; // as a connection of its source
    bool logged_in;
    bool named_user; // its user was counted
    bool invalid;
    bool bare;                     // counted as one that said nothing
    bool silent;                   // only "Connection from" is known of it
    uint64_t user;                 // hash of the user last named
    uint32_t failed;               // half tries by lines "Failed"
    uint32_t key_halves;           // of which keys of a user who exists
    uint32_t pam;                  // half tries by PAM
    uint32_t other;                // half tries that other lines imply
    uint32_t booked;               // half tries already counted
    uint32_t waiting[LH_COUNT_N_]; // counted here until the address is known
    char name[LH_WATCH_NAME_MAX];  // the user, cut
    struct lh_place place;         // of the first line, until the address is known
};

// Books `halves` half tries, and that the user `name` was tried, on source, network and user.
struct lh_booking {
    int64_t time;
    struct lh_watch_addr addr;
    struct lh_place place;
    struct lh_span user; // empty: none, or already counted
    uint64_t user_hash;
    uint64_t guessed; // hash of the user whose password was guessed; 0: none
    uint64_t tried;   // hash of the user tried; 0: not known
    bool invalid;
    uint32_t halves;
};
struct lh_source *lh_book_source(struct lh_watch *watch,
                                 const struct lh_watch_addr *addr,
                                 int64_t time,
                                 const struct lh_place *place);
void lh_book_tries(struct lh_watch *watch, const struct lh_booking *booking);
void lh_book_connection(struct lh_source *source, int64_t time, uint16_t port);
void lh_book_success(struct lh_watch *watch,
                     const struct lh_booking *booking,
                     const struct lh_watch_event *event,
                     uint32_t own_key_halves);
struct lh_network *lh_book_network(struct lh_watch *watch,
                                   const struct lh_watch_addr *addr,
                                   int64_t time,
                                   const struct lh_place *place);

uint64_t lh_watch_addr_key(const struct lh_watch *watch, const struct lh_watch_addr *addr);
uint64_t lh_watch_user_key(const struct lh_watch *watch, struct lh_span name);

#endif
