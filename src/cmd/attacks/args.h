// SPDX-License-Identifier: Apache-2.0
//
// The command line of lhctl attacks.
#ifndef LH_CMD_ATTACKS_ARGS_H
#define LH_CMD_ATTACKS_ARGS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/err.h"
#include "watchio/guards.h"

enum lh_attacks_format { LH_FORMAT_TEXT, LH_FORMAT_JSON, LH_FORMAT_CSV, LH_FORMAT_HTML };

enum lh_attacks_block {
    LH_BLOCK_NONE,
    LH_BLOCK_NFT,
    LH_BLOCK_FAIL2BAN,
    LH_BLOCK_CROWDSEC,
    LH_BLOCK_PENALTIES
};

struct lh_attacks_args {
    bool help;
    bool journal;
    bool json, csv, html;
    bool all, harmless, ascii;
    bool follow, connections, xarf, mask, lookup;
    uint16_t port;
    bool port_given;
    uint16_t top;
    int block;            // enum lh_attacks_block
    int64_t since, until; // seconds since 1970; 0: no border
    uint64_t block_hours;
    uint64_t interval; // seconds
    const char *output;
    const char *evidence; // directory
    const char *abuse;    // address
    const char *from;     // who reports: an address for mail
    const char *state;    // file
    struct lh_guards guards;
    int64_t now;
    const char **files; // owned array of argv's words
    size_t file_count;
};

// LH_E_INVALID with a whole message in `info`.
lh_err lh_attacks_args_parse(int argc,
                             char **argv,
                             int64_t now,
                             struct lh_attacks_args *out,
                             struct lh_errinfo *info) LH_MUST_CHECK;
void lh_attacks_args_fini(struct lh_attacks_args *args);
void lh_attacks_args_help(FILE *out);

// "2026-11-23", "2026-11-23 04:34[:01]", with Z for UTC else local time, or "90m", "12h", "7d"
// before `now`. LH_E_INVALID.
lh_err lh_attacks_parse_time(const char *text, int64_t now, int64_t *out_time) LH_MUST_CHECK;

#endif
