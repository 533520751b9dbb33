// SPDX-License-Identifier: Apache-2.0
//
// Synthetic sources and sinks for measurements without disks:
//   faux:///name?SIZE                        one file of SIZE bytes (suffix k m g t p e, powers of
//   two) faux:///dir?count=N&size=S[&file=BASE]   a directory of N files of S bytes, BASE_0 ..
//   BASE_N-1 faux://                                  as destination: digested, then dropped
// Content is incompressible and differs from file to file: SplitMix64 keyed by file and offset, so
// any range can be made on its own. It crosses the wire and is digested like any other.
#ifndef LH_FILE_FAUX_H
#define LH_FILE_FAUX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/limits.h"

struct lh_faux {
    bool is_directory;
    char name[LH_NAME_MAX + 1]; // of the file or directory
    char base[LH_NAME_MAX + 1]; // file= (default "file"); a directory's files are base_INDEX
    uint64_t count;             // files; 1 for a single file
    uint64_t size;              // bytes of each
};

bool lh_faux_is(const char *url);      // begins with "faux://"
bool lh_faux_is_sink(const char *url); // "faux://" exactly
lh_err
lh_faux_parse(const char *url, struct lh_faux *out_faux, struct lh_errinfo *info) LH_MUST_CHECK;
// Bytes [offset, offset + len) of file `index`.
void lh_faux_read(
    const struct lh_faux *faux, uint64_t index, uint64_t offset, void *data, size_t len);

#endif
