// SPDX-License-Identifier: Apache-2.0
//
// The figures of sharing a link: every row of the table with its goal, its seeds and the worst of
// them.
#ifndef LH_SIM_COMPANY_TABLE_H
#define LH_SIM_COMPANY_TABLE_H

#include <stdbool.h>
#include <stdint.h>

struct company_choice {
    const char *rows; // only rows whose name contains it; NULL: all
    const char *cc;   // this controller instead of the row's; NULL: the row's
    bool is_quick;    // only rows that `make test` asserts, the shorter way
    bool is_traced;
    uint64_t seed, seeds;
};

// Prints the table; gives the number of rows that miss their goal.
unsigned company_table(const struct company_choice *choice);
// The same as TAP, numbered after `*number`; gives the number of failures.
unsigned company_test(const struct company_choice *choice, unsigned *number);

#endif
