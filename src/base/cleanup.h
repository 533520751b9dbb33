// SPDX-License-Identifier: Apache-2.0
//
// Ownership helpers: locals that free themselves, and handing one over.
//     LH_CLEANUP(lh_thing_freep) struct lh_thing *thing = NULL;
//     ...
//     *out_thing = lh_steal(&thing);
#ifndef LH_BASE_CLEANUP_H
#define LH_BASE_CLEANUP_H

#include <stddef.h>

#define LH_CLEANUP(function) __attribute__((cleanup(function)))

// Takes the pointer out of `*slot`, leaving NULL behind.
#define lh_steal(slot)                                                                             \
    ({                                                                                             \
        __typeof__(slot) steal_slot_ = (slot);                                                     \
        __typeof__(*steal_slot_) steal_value_ = *steal_slot_;                                      \
        *steal_slot_ = NULL;                                                                       \
        steal_value_;                                                                              \
    })

// Defines `name##p`, the form LH_CLEANUP wants, for `void name(type *)`.
#define LH_DEFINE_FREEP(type, name)                                                                \
    static inline void name##p(type **slot)                                                        \
    {                                                                                              \
        name(*slot);                                                                               \
        *slot = NULL;                                                                              \
    }

#define LH_ARRAY_LEN(array) (sizeof(array) / sizeof *(array))

// The struct that embeds `member` at `pointer`.
#define LH_CONTAINER_OF(pointer, type, member)                                                     \
    ((type *)(void *)((char *)(pointer)-offsetof(type, member)))

#endif
