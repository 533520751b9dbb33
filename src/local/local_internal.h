// SPDX-License-Identifier: Apache-2.0
//
// What the files of src/local share.
#ifndef LH_LOCAL_LOCAL_INTERNAL_H
#define LH_LOCAL_LOCAL_INTERNAL_H

#include <sys/un.h>

#include "local/local.h"

// Opens a directory that is `uid`'s and that nobody else may write to. LH_E_SYS (errno), LH_E_PATH.
lh_err lh_local_open_dir(const char *path, uid_t uid, int *out_fd) LH_MUST_CHECK;
// False where `name` is too long.
bool lh_local_address(int dir_fd, const char *name, struct sockaddr_un *out_address);
// A connected, non-blocking socket; -1 with errno.
int lh_local_connect(int dir_fd, const char *name);
// A name that we make: hexadecimal digits and dots, not a dot at first.
bool lh_local_name_ok(const char *name);
// Names of sockets in the directory at which somebody listens, sorted; dead ones are removed where
// they are ours. `*out_names` is the caller's to free.
size_t lh_local_names(int dir_fd, bool is_ours, char (**out_names)[LH_LOCAL_NAME_MAX + 1]);
// Who is at the other end, as the kernel says. LH_E_SYS.
lh_err lh_local_peer(int fd, uid_t *out_uid) LH_MUST_CHECK;

#endif
