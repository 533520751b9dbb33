// SPDX-License-Identifier: Apache-2.0
//
// cmocka and what our tests add to it: every test includes this first.
#ifndef LH_TESTS_CHECK_H
#define LH_TESTS_CHECK_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"

// Fails with both values in decimal, of any integer type.
#define check_int(actual, expected)                                                                \
    do {                                                                                           \
        long long actual_ = (long long)(actual);                                                   \
        long long expected_ = (long long)(expected);                                               \
        if (actual_ != expected_)                                                                  \
            fail_msg("%s: got %lld, expected %lld (%s)", #actual, actual_, expected_, #expected);  \
    } while (0)

#define check_uint(actual, expected)                                                               \
    do {                                                                                           \
        unsigned long long actual_ = (unsigned long long)(actual);                                 \
        unsigned long long expected_ = (unsigned long long)(expected);                             \
        if (actual_ != expected_)                                                                  \
            fail_msg("%s: got %llu, expected %llu (%s)", #actual, actual_, expected_, #expected);  \
    } while (0)

// An lh_err that must be 0; says its name where it is not.
#define check_ok(call)                                                                             \
    do {                                                                                           \
        lh_err err_ = (call);                                                                      \
        if (err_ != 0)                                                                             \
            fail_msg("%s: %d (%s)", #call, err_, err_ < 0 ? lh_err_name(err_) : "outcome");        \
    } while (0)

#define check_err(call, expected) check_int(call, expected)

// The seed of a random test: LH_TEST_SEED from the environment, else the given one. Printed, so
// that a failure can be replayed.
static inline uint64_t check_seed(uint64_t usual)
{
    const char *given = getenv("LH_TEST_SEED");
    uint64_t seed = given != NULL ? strtoull(given, NULL, 0) : usual;
    print_message("# seed %llu (replay: LH_TEST_SEED=%llu)\n", (unsigned long long)seed,
                  (unsigned long long)seed);
    return seed;
}

#endif
