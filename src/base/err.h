// SPDX-License-Identifier: Apache-2.0
//
// Errors.
//
// How it works. Every function that can fail returns `lh_err`:
//   0          done
//   negative   failure. Callers forward it unchanged and never branch on its value.
//   positive   a documented outcome of that one function (LH_AGAIN, LH_EOF, ...). The caller must
//              handle it and may not forward it.
// What a person needs to know (which file, which errno, what to do) travels beside the code in
// `struct lh_errinfo`, filled once, where the failure happened, by host code. Pure code has no
// errno and no texts; its codes say enough. Reference: dbus-broker src/util/error.c, the essay at
// its top.
#ifndef LH_BASE_ERR_H
#define LH_BASE_ERR_H

#include <stdbool.h>
#include <stdint.h>

typedef int lh_err;

#define LH_MUST_CHECK __attribute__((warn_unused_result))

enum lh_error {
    LH_OK = 0,

    // Failures.
    LH_E_SYS = -1,      // a system call failed; errinfo holds errno and what was tried
    LH_E_NOMEM = -2,    // an allocation failed
    LH_E_INVALID = -3,  // an argument or option is out of range
    LH_E_PROTO = -4,    // the peer broke the protocol; the session ends
    LH_E_LIMIT = -5,    // a named limit of base/limits.h was exceeded
    LH_E_AUTH = -6,     // a packet, tag or identity did not verify
    LH_E_VERSION = -7,  // no common protocol or format version
    LH_E_CORRUPT = -8,  // stored or received data contradicts its digest or checksum
    LH_E_CRYPTO = -9,   // the crypto library failed
    LH_E_PATH = -10,    // a name or path is not acceptable, or would leave its root
    LH_E_CLOSED = -11,  // the session or channel is closed
    LH_E_TIMEOUT = -12, // a deadline passed
    LH_E_BUSY = -13,    // someone else holds the lock
    LH_E_NOSPC = -14,   // no space left for the data
    LH_E_CHANGED = -15, // a source changed while it was read
    LH_E_CANCELED = -16 // a person or the peer asked to stop
};

// Outcomes. Which of them a function can return is said in its header.
enum lh_outcome {
    LH_AGAIN = 1,    // not now; try again after the event the header names
    LH_EOF = 2,      // the input is at its end
    LH_NONE = 3,     // there is no such thing
    LH_TOO_LARGE = 4 // what was given does not fit; smaller would
};

#define LH_ERRINFO_TEXT 384

// One failure, told once. Fixed size, no ownership.
struct lh_errinfo {
    lh_err code;
    int sys_errno;              // errno where code is LH_E_SYS or LH_E_NOSPC, else 0
    uint16_t exit_code;         // ascp-compatible code (hsts: "Exit codes"), 0 = not decided here
    char text[LH_ERRINFO_TEXT]; // one line for a person: what failed, why, what to do; not escaped
};

// Fills `info` (which may be NULL) and returns `code`, so that a failing function can end with
// `return lh_fail(info, LH_E_PATH, 0, "...")`. Over-long texts are cut. Keeps an earlier fill.
lh_err lh_fail(struct lh_errinfo *info, lh_err code, uint16_t exit_code, const char *format, ...)
    __attribute__((format(printf, 4, 5), cold));

// The same for a failed system call: appends ": " and the text of `saved_errno`.
// ENOSPC and EDQUOT become LH_E_NOSPC, everything else LH_E_SYS.
lh_err
lh_fail_errno(struct lh_errinfo *info, int saved_errno, uint16_t exit_code, const char *format, ...)
    __attribute__((format(printf, 4, 5), cold));

// Short English name of a code ("protocol error"), never NULL.
const char *lh_err_name(lh_err code);

#endif
