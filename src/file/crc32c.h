// SPDX-License-Identifier: Apache-2.0
//
// CRC32C (Castagnoli, RFC 3720 B.4), which guards the journal's records against torn writes.
#ifndef LH_FILE_CRC32C_H
#define LH_FILE_CRC32C_H

#include <stddef.h>
#include <stdint.h>

// Continues `crc` (0 to begin with) over `len` more bytes.
uint32_t lh_crc32c(uint32_t crc, const void *data, size_t len);
// The same by the table only, on every machine: for the tests.
uint32_t lh_crc32c_table(uint32_t crc, const void *data, size_t len);

#endif
