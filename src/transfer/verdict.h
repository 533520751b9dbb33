// SPDX-License-Identifier: Apache-2.0
//
// The ledger of a job and its end. Inside src/transfer only; see job_internal.h.
#ifndef LH_TRANSFER_VERDICT_H
#define LH_TRANSFER_VERDICT_H

#include <stdint.h>

struct lh_job;

// The peer said that it cannot go on.
void lh_job_end_by_peer(struct lh_job *job, uint16_t code, const char *text);

// Calls on_finished where there is a verdict that was not delivered.
void lh_job_deliver_verdict(struct lh_job *job);

#endif
