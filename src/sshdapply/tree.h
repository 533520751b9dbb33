// SPDX-License-Identifier: Apache-2.0
//
// Reads sshd_config with everything that it includes, below a root.
#ifndef LH_SSHDAPPLY_TREE_H
#define LH_SSHDAPPLY_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>

#include "base/err.h"
#include "sshdcfg/document.h"

// Reads a whole file below `root` ("/" is this machine); symbolic links do not lead out of it.
// `*out_text` is zero-terminated besides and the caller's. LH_E_SYS (`info` says why), LH_E_LIMIT
// beyond `limit` bytes, LH_E_NOMEM.
lh_err lh_root_read(const char *root,
                    const char *path,
                    size_t limit,
                    char **out_text,
                    size_t *out_len,
                    struct lh_errinfo *info) LH_MUST_CHECK;

// What is known of a file below `root` without reading it; the last part of `path` is not followed
// if it is a symbolic link. False where there is none or it cannot be looked at (errno says why).
bool lh_root_stat(const char *root, const char *path, struct stat *out);

// Names in a directory below `root`, sorted; `*out_names` and each name are the caller's. Returns
// how many; 0 where there is no such directory.
size_t lh_root_list(const char *root, const char *path, char ***out_names);

// Reads `path` ("/etc/ssh/sshd_config") and what it includes, relative patterns below
// `ssh_directory` ("/etc/ssh"). The documents are named by their paths below `root`. LH_E_SYS where
// a file cannot be read, LH_E_INVALID for a zero byte in one, LH_E_LIMIT for too many or too deep,
// LH_E_NOMEM; `info` names the file.
lh_err lh_sshd_tree_read(const char *root,
                         const char *path,
                         const char *ssh_directory,
                         struct lh_sshd_doc **out_doc,
                         struct lh_errinfo *info) LH_MUST_CHECK;

#endif
