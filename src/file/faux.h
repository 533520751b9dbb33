// SPDX-License-Identifier: Apache-2.0
//
// Synthetic sources and sinks for measurements without disks:
//   faux:///name?SIZE[&rate=R]   one file of SIZE bytes (suffix k m g t p e, powers of two)
//   faux:///dir?count=N&size=S[&file=BASE][&rate=R]
//                                a directory of N files of S bytes, BASE_0 .. BASE_N-1
//   faux://[?rate=R]             as destination: digested, then dropped
// Content is incompressible and differs from file to file: SplitMix64 keyed by file and offset, so
// any range can be made on its own. It crosses the wire and is digested like any other. With a rate
// (bits/s, as for -l) the source gives, or the sink takes, no more than that: a disk that is slow.
#ifndef LH_FILE_FAUX_H
#define LH_FILE_FAUX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/limits.h"

// How fast content is given or taken. Threads may share one.
#define LH_FAUX_RATE_MIN ((uint64_t)8000000) // bits/s: a worker thread never sleeps for long
struct lh_faux_pace {
    uint64_t rate;    // bytes/s, 0 = as fast as it goes
    uint64_t free_at; // when what was given or taken so far is through
};

struct lh_faux {
    bool is_directory;
    char name[LH_NAME_MAX + 1]; // of the file or directory
    char base[LH_NAME_MAX + 1]; // file= (default "file"); a directory's files are base_INDEX
    uint64_t count;             // files; 1 for a single file
    uint64_t size;              // bytes of each
    struct lh_faux_pace pace;
};

bool lh_faux_is(const char *url);      // begins with "faux://"
bool lh_faux_is_sink(const char *url); // "faux://", or with parameters behind it
// LH_E_INVALID.
lh_err lh_faux_parse_sink(const char *url,
                          struct lh_faux_pace *out_pace,
                          struct lh_errinfo *info) LH_MUST_CHECK;
lh_err
lh_faux_parse(const char *url, struct lh_faux *out_faux, struct lh_errinfo *info) LH_MUST_CHECK;
// Sleeps until `len` more bytes are through, where there is a rate. For worker threads.
void lh_faux_wait(struct lh_faux_pace *pace, size_t len);
// Bytes [offset, offset + len) of file `index`.
void lh_faux_read(
    const struct lh_faux *faux, uint64_t index, uint64_t offset, void *data, size_t len);

#endif
