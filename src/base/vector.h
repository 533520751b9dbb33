// SPDX-License-Identifier: Apache-2.0
#ifndef LH_BASE_VECTOR_H
#define LH_BASE_VECTOR_H

// To be called after a library's AVX code that does not do it itself (ipsec-mb, libxxhash's
// dispatch): while the upper halves of the vector registers hold something, all SSE code of the
// thread, and of threads that it starts, runs up to five times slower on some processors.
static inline void lh_vector_rest(void)
{
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx"))
        __asm__ volatile("vzeroupper");
#endif
}

#endif
