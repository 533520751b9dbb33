// SPDX-License-Identifier: Apache-2.0
#include "udp/paths.h"

#include "base/assert.h"

void lh_udp_paths_init(struct lh_udp_paths *paths)
{
    *paths = (struct lh_udp_paths){0};
    for (size_t i = 0; i < LH_PATHS_PINS; i++)
        paths->pins[i] = -1;
}

static bool is_pinned(const struct lh_udp_paths *paths, uint32_t slot)
{
    for (size_t i = 0; i < LH_PATHS_PINS; i++) {
        if (paths->pins[i] == (int)slot)
            return true;
    }
    return false;
}

static bool
slot_holds(const struct lh_udp_paths *paths, uint32_t slot, const struct lh_udp_path *path)
{
    return paths->used_at[slot] != 0 && lh_udp_path_equal(&paths->slots[slot], path);
}

// The unpinned slot that was used longest ago; free slots first.
static uint32_t oldest_slot(const struct lh_udp_paths *paths)
{
    uint32_t oldest = LH_PATHS_SLOTS;

    for (uint32_t i = 0; i < LH_PATHS_SLOTS; i++) {
        if (is_pinned(paths, i))
            continue;
        if (oldest == LH_PATHS_SLOTS || paths->used_at[i] < paths->used_at[oldest])
            oldest = i;
    }
    LH_ASSERT(oldest < LH_PATHS_SLOTS); // there are more slots than pins
    return oldest;
}

uint32_t lh_udp_paths_number(struct lh_udp_paths *paths, const struct lh_udp_path *path)
{
    uint32_t slot = paths->newest;

    paths->lookups++;
    if (!slot_holds(paths, slot, path)) {
        for (slot = 0; slot < LH_PATHS_SLOTS; slot++) {
            if (slot_holds(paths, slot, path))
                break;
        }
        if (slot == LH_PATHS_SLOTS) {
            slot = oldest_slot(paths);
            paths->slots[slot] = *path;
        }
    }
    paths->used_at[slot] = paths->lookups;
    paths->newest = slot;
    return slot;
}

const struct lh_udp_path *lh_udp_paths_get(const struct lh_udp_paths *paths, uint32_t number)
{
    if (number >= LH_PATHS_SLOTS || paths->used_at[number] == 0)
        return NULL;
    return &paths->slots[number];
}

void lh_udp_paths_pin(struct lh_udp_paths *paths, size_t pin, uint32_t number)
{
    LH_ASSERT(pin < LH_PATHS_PINS);
    LH_ASSERT(lh_udp_paths_get(paths, number) != NULL);
    paths->pins[pin] = (int)number;
}
