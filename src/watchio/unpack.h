// SPDX-License-Identifier: Apache-2.0
//
// A stream of bytes from a descriptor, unpacked where it is packed: gzip, xz and zstd, told by
// their first bytes, whatever the file is called. Files made of several packed parts are read to
// their end.
#ifndef LH_WATCHIO_UNPACK_H
#define LH_WATCHIO_UNPACK_H

#include <stddef.h>

#include "base/err.h"

struct lh_unpack;

// Reads from `fd`, which stays the caller's. `name` is for messages and must live as long.
lh_err lh_unpack_new(int fd, const char *name, struct lh_unpack **out, struct lh_errinfo *info)
    LH_MUST_CHECK;
void lh_unpack_free(struct lh_unpack *unpack); // accepts NULL

// Up to `room` bytes into `out`. LH_EOF at the end (a plain file that grows may be read on later),
// LH_E_CORRUPT for a packed file that is damaged or cut off, LH_E_LIMIT for one that needs more
// memory than LH_UNPACK_MEMORY, LH_E_SYS.
lh_err lh_unpack_read(struct lh_unpack *unpack,
                      void *out,
                      size_t room,
                      size_t *out_len,
                      struct lh_errinfo *info) LH_MUST_CHECK;

#define LH_UNPACK_MEMORY ((size_t)20 << 20) // of xz and zstd: up to xz -7, zstd --long=24

#endif
