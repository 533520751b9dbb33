// SPDX-License-Identifier: Apache-2.0
//
// An intrusive doubly linked list: the links live inside the elements, nothing is allocated.
// A list head is a link that points to itself when empty. Every call is O(1).
#ifndef LH_BASE_LIST_H
#define LH_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

#include "base/cleanup.h"

struct lh_link {
    struct lh_link *next;
    struct lh_link *prev;
};

static inline void lh_list_init(struct lh_link *head)
{
    head->next = head->prev = head;
}

static inline bool lh_list_empty(const struct lh_link *head)
{
    return head->next == head;
}

static inline void lh_list_append(struct lh_link *head, struct lh_link *link)
{
    link->prev = head->prev;
    link->next = head;
    head->prev->next = link;
    head->prev = link;
}

static inline void lh_list_prepend(struct lh_link *head, struct lh_link *link)
{
    lh_list_append(head->next, link);
}

// Takes `link` out of its list; it then is a list of its own, so removing it again does no harm.
static inline void lh_list_remove(struct lh_link *link)
{
    link->prev->next = link->next;
    link->next->prev = link->prev;
    lh_list_init(link);
}

static inline struct lh_link *lh_list_first(const struct lh_link *head)
{
    return lh_list_empty(head) ? NULL : head->next;
}

#define LH_LIST_FOR_EACH(link, head)                                                               \
    for (struct lh_link *link = (head)->next, *link##_next_ = link->next; link != (head);          \
         link = link##_next_, link##_next_ = link->next)

#endif
