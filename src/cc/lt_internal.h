// SPDX-License-Identifier: Apache-2.0
//
// Shared by the files of the LT core alone.
#ifndef LH_CC_LT_INTERNAL_H
#define LH_CC_LT_INTERNAL_H

#include "cc/lt.h"

#define LT_GAIN_STARTUP    2770u // per thousand
#define LT_INITIAL_PACKETS 64u
#define LT_WINDOW_PACKETS  4u

// Both answers are asked for with every packet, and change with events only: made anew here.
void lt_refresh(struct lh_lt *lt);
// The rate is at the target and the path delivers it: there is nothing more to find out.
bool lt_has_reached_target(const struct lh_lt *lt);

#endif
