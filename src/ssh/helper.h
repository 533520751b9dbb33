// SPDX-License-Identifier: Apache-2.0
//
// The two programs that ssh runs for us, both of them our own binary under another name:
//   lh-known-hosts INVOCATION TYPE KEY PIN...   ssh's KnownHostsCommand: see ssh/pin.h
//   lh-askpass PROMPT                           ssh's SSH_ASKPASS: see ssh/askpass.h
// They are links in a private folder (0700) that lh_ssh_start makes; the folder is found from
// argv[0].
#ifndef LH_SSH_HELPER_H
#define LH_SSH_HELPER_H

#include <stdbool.h>

#define LH_HELPER_KNOWN_HOSTS "lh-known-hosts"
#define LH_HELPER_ASKPASS     "lh-askpass"

// The first call in the main of every program that may start ssh. True where the process is such a
// helper: it has done its work and main returns `*out_status`.
bool lh_ssh_helper_main(int argc, char **argv, int *out_status);

#endif
