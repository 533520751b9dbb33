// SPDX-License-Identifier: Apache-2.0
//
// lhctl sshd COMMAND: the SSH server's configuration. A table of commands, each a function of its
// arguments.
#ifndef LH_CMD_SSHD_SSHD_H
#define LH_CMD_SSHD_SSHD_H

// argv[0] is "sshd". Returns the exit status.
int lh_sshd_main(int argc, char **argv);

#endif
