// SPDX-License-Identifier: Apache-2.0
#include "run/mailbox.h"

#include <errno.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/assert.h"

lh_err lh_wake_init(struct lh_wake *wake)
{
    wake->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return wake->fd >= 0 ? 0 : LH_E_SYS;
}

void lh_wake_fini(struct lh_wake *wake)
{
    if (wake->fd >= 0)
        (void)close(wake->fd);
    wake->fd = -1;
}

void lh_wake_signal(const struct lh_wake *wake)
{
    uint64_t one = 1;
    LH_ASSERT(write(wake->fd, &one, sizeof one) == sizeof one);
}

void lh_wake_clear(const struct lh_wake *wake)
{
    uint64_t count;
    if (read(wake->fd, &count, sizeof count) < 0)
        LH_ASSERT(errno == EAGAIN || errno == EINTR);
}

void lh_mailbox_init(struct lh_mailbox *box, const struct lh_wake *wake)
{
    *box = (struct lh_mailbox){.wake = wake};
    lh_list_init(&box->things);
    LH_ASSERT(pthread_mutex_init(&box->lock, NULL) == 0);
}

void lh_mailbox_fini(struct lh_mailbox *box)
{
    (void)pthread_mutex_destroy(&box->lock);
}

void lh_mailbox_put(struct lh_mailbox *box, struct lh_link *thing)
{
    pthread_mutex_lock(&box->lock);
    lh_list_append(&box->things, thing);
    bool was_armed = box->is_armed;
    box->is_armed = false;
    pthread_mutex_unlock(&box->lock);
    if (was_armed)
        lh_wake_signal(box->wake);
}

struct lh_link *lh_mailbox_take(struct lh_mailbox *box)
{
    pthread_mutex_lock(&box->lock);
    struct lh_link *thing = lh_list_first(&box->things);
    if (thing != NULL)
        lh_list_remove(thing);
    pthread_mutex_unlock(&box->lock);
    return thing;
}

bool lh_mailbox_arm(struct lh_mailbox *box)
{
    pthread_mutex_lock(&box->lock);
    box->is_armed = lh_list_empty(&box->things);
    bool is_armed = box->is_armed;
    pthread_mutex_unlock(&box->lock);
    return is_armed;
}
