// SPDX-License-Identifier: Apache-2.0
//
// What is in force: an ordered list of "keyword value" as `sshd -T` prints it, each with the place
// it comes from.
#ifndef LH_SSHDCFG_VALUES_H
#define LH_SSHDCFG_VALUES_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "sshdcfg/document.h"

struct lh_sshd_value {
    const char *keyword;           // lower case, the name that sshd -T prints
    char *text;                    // the value
    const struct lh_sshd_doc *doc; // where it was set; NULL: nowhere, it is the default
    size_t line;                   // index in that document
};

struct lh_sshd_values {
    struct lh_sshd_value *items;
    size_t count;
    size_t room;
};

void lh_sshd_values_fini(struct lh_sshd_values *values); // idempotent

// Appends a copy of both texts. LH_E_NOMEM.
lh_err lh_sshd_values_add(struct lh_sshd_values *values,
                          const char *keyword,
                          const char *text,
                          const struct lh_sshd_doc *doc,
                          size_t line) LH_MUST_CHECK;

// Appends what `sshd -T` printed: one "keyword value" a line; keywords are made lower case.
// LH_E_NOMEM.
lh_err
lh_sshd_values_read(struct lh_sshd_values *values, const char *text, size_t len) LH_MUST_CHECK;

// The `index`th value of a keyword (from 0), NULL where there are fewer.
const struct lh_sshd_value *
lh_sshd_values_find(const struct lh_sshd_values *values, const char *keyword, size_t index);

// The text of the first value, "" where there is none.
const char *lh_sshd_values_text(const struct lh_sshd_values *values, const char *keyword);

// Whether two lists give every keyword of `want` the same values in the same order, whatever the
// case of letters. `*out_keyword` names the first that differs (it belongs to `want`).
bool lh_sshd_values_cover(const struct lh_sshd_values *have,
                          const struct lh_sshd_values *want,
                          const char **out_keyword);

#endif
