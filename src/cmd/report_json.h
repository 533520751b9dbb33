// SPDX-License-Identifier: Apache-2.0
//
// The same figures for machines: one JSON object a line (lhcp(1), "JSON"). Names and texts that are
// not plain UTF-8 come escaped as on a terminal, since JSON has no bytes. jansson stays behind this
// header.
#ifndef LH_CMD_REPORT_JSON_H
#define LH_CMD_REPORT_JSON_H

#include <stdio.h>

#include "run/status.h"

// {"type":"progress", ...}
void lh_json_status(const struct lhcp_status *status, FILE *out);
// {"type":"problem", ...}
void lh_json_problem(const struct lhcp_problem *problem, FILE *out);
// {"type":"summary", "exit_code":0, ...}: the last line of every run.
void lh_json_result(const struct lhcp_result *result, FILE *out);

#endif
