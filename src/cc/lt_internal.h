// SPDX-License-Identifier: Apache-2.0
//
// Shared by the files of the LT core alone.
#ifndef LH_CC_LT_INTERNAL_H
#define LH_CC_LT_INTERNAL_H

#include "cc/lt.h"

#define LT_INITIAL_PACKETS 32u
#define LT_WINDOW_PACKETS  4u

// Both answers are asked for with every packet, and change with events only: made anew here.
void lt_refresh(struct lh_lt *lt);
// The rate is at the target and the path delivers it: there is nothing more to find out.
bool lt_has_reached_target(const struct lh_lt *lt);

// More was lost than twice what may be taken for the path's own: that is none of it.
bool lt_is_flood(const struct lh_lt *lt, const struct lh_lt_interval *seen);

// In flight when what we pushed into the queue has left it. A report has waited for half an
// interval on average; to count all of it would leave as much in the queue, which may look like
// company.
uint64_t lt_drained(const struct lh_lt *lt);

// --- lt_startup.c ---
void lt_startup_begin(struct lh_lt *lt);
uint32_t lt_startup_gain(const struct lh_lt *lt); // of pacing, per thousand
// A feedback. Gives the path's rate where a train has shown it: startup is over; else 0.
uint64_t lt_startup_report(struct lh_lt *lt, const struct lh_cc_feedback *feedback);
// A round has ended. True where there is nothing to be gained by more of them.
bool lt_startup_round(struct lh_lt *lt, const struct lh_lt_interval *seen);
// A queue stands that was not there before.
bool lt_startup_has_queue(const struct lh_lt *lt);

#endif
