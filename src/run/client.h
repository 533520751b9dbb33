// SPDX-License-Identifier: Apache-2.0
//
// The client's side of a transfer, from ssh's start to the verdict. Implemented in run/client.c.
#ifndef LH_RUN_CLIENT_H
#define LH_RUN_CLIENT_H

#include "run/lhcp_options.h"
#include "run/status.h"

// Carries `options` out (LHCP_TRANSFER, LHCP_DRY_RUN, LHCP_CHECK) and blocks until the end. Calls
// `report` from this thread only. Fills `out_result`; its exit_code is the return value too.
// SIGINT, SIGTERM and SIGHUP end the transfer in good order: exit code 28 and result.resumable.
int lh_client_run(const struct lhcp_options *options,
                  const struct lhcp_report *report,
                  struct lhcp_result *out_result);

#endif
