// SPDX-License-Identifier: Apache-2.0
//
// How threads of a session talk: a list of things under a lock, and a descriptor that wakes whoever
// takes them. What is put in belongs to the taker from then on, so nothing else is ever shared. The
// lock is held for the moves of a list only.
//
// A taker that is busy is not woken: it says so (lh_mailbox_arm) before it goes to sleep, and only
// then the next thing put in writes to its descriptor.
#ifndef LH_RUN_MAILBOX_H
#define LH_RUN_MAILBOX_H

#include <pthread.h>
#include <stdbool.h>

#include "base/err.h"
#include "base/list.h"

// An eventfd. One may serve many mailboxes of the same taker.
struct lh_wake {
    int fd; // to poll for reading
};
lh_err lh_wake_init(struct lh_wake *wake) LH_MUST_CHECK; // LH_E_SYS: out of descriptors
void lh_wake_fini(struct lh_wake *wake);                 // harmless twice
void lh_wake_signal(const struct lh_wake *wake);         // by any thread
void lh_wake_clear(const struct lh_wake *wake);          // by the one that was woken

struct lh_mailbox {
    pthread_mutex_t lock; // guards the rest
    struct lh_link things;
    const struct lh_wake *wake; // the taker's
    bool is_armed;
};

void lh_mailbox_init(struct lh_mailbox *box, const struct lh_wake *wake);
void lh_mailbox_fini(struct lh_mailbox *box); // what is still in it is the caller's

void lh_mailbox_put(struct lh_mailbox *box, struct lh_link *thing);
// The oldest thing, or NULL.
struct lh_link *lh_mailbox_take(struct lh_mailbox *box);
// Wishes to be woken by the next thing. False where there is one already: take it.
bool lh_mailbox_arm(struct lh_mailbox *box) LH_MUST_CHECK;

#endif
