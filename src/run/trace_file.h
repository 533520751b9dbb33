// SPDX-License-Identifier: Apache-2.0
//
// A file that the events of a run go to, as JSON lines (transport/events.def), of both sides and of
// all sessions of one lhcp.
//
// The file has a largest size, and no run is too long for it: whenever half of the room that was
// left is used, samples are taken half as often. Only what is not a sample may use the last part.
#ifndef LH_RUN_TRACE_FILE_H
#define LH_RUN_TRACE_FILE_H

#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "transport/trace.h"

#define LH_TRACE_BYTES_MAX ((uint64_t)64 << 20)
#define LH_TRACE_RESERVE   ((uint64_t)65536) // of that, for what is not a sample
#define LH_TRACE_INTERVAL  (10 * LH_MS)      // between samples of a lane, at first

struct lh_trace_file;

// Makes (or empties) the file, for its owner alone. `bytes_max`: LH_TRACE_BYTES_MAX; tests use
// less.
lh_err lh_trace_file_open(const char *path,
                          uint64_t bytes_max,
                          lh_ns now,
                          struct lh_trace_file **out_file,
                          struct lh_errinfo *info) LH_MUST_CHECK;
// Writes what waits. LH_E_SYS or LH_E_NOSPC where anything could not be written: `info` says why.
lh_err lh_trace_file_close(struct lh_trace_file *file, struct lh_errinfo *info) LH_MUST_CHECK;
void lh_trace_file_free(struct lh_trace_file *file); // accepts NULL; what went wrong is forgotten
LH_DEFINE_FREEP(struct lh_trace_file, lh_trace_file_free)

// For lh_transport_set_trace: events of this side. Valid until the file is closed.
const struct lh_trace *lh_trace_file_sink(const struct lh_trace_file *file);
// An event of ours that no transport knows.
void lh_trace_file_event(struct lh_trace_file *file,
                         enum lh_event_kind kind,
                         const void *event,
                         lh_ns now);
// One of the other side's, as fields; `at` by our clock.
void lh_trace_file_other(struct lh_trace_file *file, const char *fields, size_t len, lh_ns at);

#endif
