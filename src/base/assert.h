// SPDX-License-Identifier: Apache-2.0
//
// Assertions check the programmer, never the input: what comes from the network, a file or a person
// is validated and refused with an error.
//   LH_ASSERT       always on; aborts with the expression
//   LH_DASSERT      on in debug, test and CI builds; free otherwise
//   LH_UNREACHABLE  a place no execution may reach
#ifndef LH_BASE_ASSERT_H
#define LH_BASE_ASSERT_H

_Noreturn void lh_assert_fail(const char *expression, const char *file, int line)
    __attribute__((cold));

#define LH_ASSERT(expression)                                                                      \
    ((expression) ? (void)0 : lh_assert_fail(#expression, __FILE__, __LINE__))

#ifdef LH_DEBUG_ASSERTS
#define LH_DASSERT(expression) LH_ASSERT(expression)
#else
#define LH_DASSERT(expression) ((void)sizeof(!(expression)))
#endif

#define LH_UNREACHABLE() lh_assert_fail("unreachable", __FILE__, __LINE__)

// Guards that `make test-guards` removes one at a time, to prove that a test fails without them:
//     if (LH_GUARD(REPLAY, packet_number_is_old(window, pn)))
//         return LH_E_AUTH;
// reads as the plain condition in every normal build, and as `false` in a build with that guard off
// (meson -Ddrop_guards=replay defines LH_DROP_GUARD_REPLAY). The list is tests/guards.
#define LH_GUARD(name, condition) (!LH_GUARD_OFF_(LH_DROP_GUARD_##name) && (condition))

// LH_GUARD_OFF_(X) is 1 where X is defined as 1, else 0 (the way Linux's IS_ENABLED does it).
#define LH_GUARD_PLACEHOLDER_1                0,
#define LH_GUARD_SECOND_(ignored, value, ...) value
#define LH_GUARD_OFF_(flag)                   LH_GUARD_OFF__(flag)
#define LH_GUARD_OFF__(value)                 LH_GUARD_OFF___(LH_GUARD_PLACEHOLDER_##value)
#define LH_GUARD_OFF___(maybe_comma)          LH_GUARD_SECOND_(maybe_comma 1, 0, 0)

#endif
