// SPDX-License-Identifier: Apache-2.0
#ifndef LH_WATCHIO_PROC_H
#define LH_WATCHIO_PROC_H

#include "watch/sockets.h"

// Adds the connections of `ports` from FOLDER/tcp and FOLDER/tcp6 ("/proc/net"), without listeners,
// and sorts them. LH_E_SYS where the first cannot be read, LH_E_NOMEM.
lh_err lh_proc_look(const char *folder,
                    const uint16_t *ports,
                    size_t port_count,
                    struct lh_look *look,
                    struct lh_errinfo *info) LH_MUST_CHECK;

#endif
