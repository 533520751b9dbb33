// SPDX-License-Identifier: Apache-2.0
//
// The records of a FEEDBACK frame: which packet numbers arrived, as consecutive spans. A span is
// all received, all missing, a list of the missing ones, or a bitmap - whichever is smallest.
//
//   record   varint (span length << 2 | coding), then
//     ALL, NONE   nothing
//     LIST        u8 count, then per missing number a varint: distance from the one before
//                 (the first: from the start of the span)
//     BITMAP      ceil(length / 8) bytes, bit i of the span: received
//
// LIST and BITMAP spans hold at most LH_REPORT_SPAN numbers, so a report costs at most one bit a
// packet and some percent, whatever is lost.
#ifndef LH_TRANSPORT_REPORT_H
#define LH_TRANSPORT_REPORT_H

#include <stdint.h>

#include "base/bytes.h"
#include "base/err.h"
#include "crypto/replay.h"

#define LH_REPORT_SPAN       512
#define LH_REPORT_WORDS      (LH_REPORT_SPAN / 64)
#define LH_REPORT_RECORD_MAX 80 // bytes of the largest record

// Writes records for packet numbers from *cursor (a multiple of 64) up to `end` as far as they fit,
// and moves *cursor behind the last number reported (a multiple of 64, or `end`).
void lh_report_write(struct lh_writer *writer,
                     const struct lh_replay *replay,
                     uint64_t *cursor,
                     uint64_t end);

struct lh_report_span {
    uint64_t start, len;
    enum lh_report_kind {
        LH_REPORT_NONE,
        LH_REPORT_ALL,
        LH_REPORT_SOME // see `bits`: bit i of the span at bits[i / 64] >> i % 64
    } kind;
    uint64_t bits[LH_REPORT_WORDS];
};

// Reads the next record, which begins at packet number `start`. LH_EOF at the end; LH_E_PROTO.
lh_err lh_report_read(struct lh_reader *reader,
                      uint64_t start,
                      struct lh_report_span *out_span) LH_MUST_CHECK;

#endif
