// SPDX-License-Identifier: Apache-2.0
//
// `lhcp --check user@host`: a session without a job, which only finds out what works.
#ifndef LH_RUN_CHECK_H
#define LH_RUN_CHECK_H

#include "base/err.h"
#include "run/connect.h"
#include "run/lhcp_options.h"
#include "run/session.h"
#include "run/status.h"

#define LH_CHECK_UDP_WAIT (3 * LH_SECOND) // for the first UDP echo

// Looks at a session that stands and reports each finding as a notice: versions, cipher, address,
// UDP each way, path MTU. True when all is known (or the wait is over): close the session then.
bool lh_check_is_done(const struct lh_session *session, lh_ns started, lh_ns now);
void lh_check_report(const struct lh_session *session,
                     const struct lh_connection *connection,
                     const struct lhcp_options *options,
                     const struct lhcp_report *report);

#endif
