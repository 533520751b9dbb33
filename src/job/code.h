// SPDX-License-Identifier: Apache-2.0
//
// The numbered error codes that scripts around `ascp` know: what a job, a file or a session ends
// with, on the wire, in the last line of stderr and in --json. (The retry column is the opinion of
// the vendor's own command line: errors that a new try can cure.)
#ifndef LH_JOB_CODE_H
#define LH_JOB_CODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LH_CODE_MAX 69

// The codes that Longhaul itself gives; the table knows all of them.
enum lh_code {
    LH_CODE_NONE = 0,
    LH_CODE_PROTOCOL = 1,
    LH_CODE_BUSY = 2, // another session has the same job
    LH_CODE_NO_SUCH_FILE = 4,
    LH_CODE_NO_PERMISSION = 5,
    LH_CODE_NOT_A_DIRECTORY = 6,
    LH_CODE_IS_A_DIRECTORY = 7,
    LH_CODE_USAGE = 8,
    LH_CODE_INTERNAL = 11,
    LH_CODE_NO_CONNECTION = 12, // the control connection could not be set up
    LH_CODE_TIMEOUT = 13,       // nor answered in time
    LH_CODE_UDP_SETUP = 14,
    LH_CODE_UDP_TIMEOUT = 15,
    LH_CODE_CONNECTION_LOST = 16,
    LH_CODE_CANNOT_SEND = 17,
    LH_CODE_CANNOT_RECEIVE = 18,
    LH_CODE_NOT_REGULAR = 21,
    LH_CODE_TOO_BIG = 24,
    LH_CODE_NO_SPACE = 25,
    LH_CODE_READ_ONLY = 26,
    LH_CODE_SOME_FILES = 27,
    LH_CODE_CANCELED = 28,
    LH_CODE_SOCKET = 31,
    LH_CODE_NO_MEMORY = 32,
    LH_CODE_DISK_READ = 35,
    LH_CODE_DISK_WRITE = 36,
    LH_CODE_PEER_ABORTED = 39,
    LH_CODE_DATA_TIMEOUT = 40,
    LH_CODE_BAD_PATH = 41,
    LH_CODE_ALREADY_EXISTS = 42,
    LH_CODE_STAT_FAILED = 43,
    LH_CODE_PMTU = 44,
    LH_CODE_BANDWIDTH = 45,
    LH_CODE_PATH_TOO_LONG = 55,
    LH_CODE_RENAME_FAILED = 64
};

struct lh_code_info {
    uint16_t code;
    bool retryable;
    const char *mnemonic; // "NO_SPACE_LEFT"
    const char *text;     // "No space left on the disk"; for people
};

// Never NULL: an unknown code is described as such, with its number 0.
const struct lh_code_info *lh_code_info(uint16_t code);

#endif
