// SPDX-License-Identifier: Apache-2.0
//
// `lhctl sessions` and `lhctl session`: the running transfers of this user (of root: of all), and
// changes to one of them, through the private sockets of the sessions (local/local.h).
#ifndef LH_CMD_SESSIONS_H
#define LH_CMD_SESSIONS_H

// argv[0] is the command's name; return the exit status: 0, 1 (no such session, or it refused), 64
// (usage).
int lh_sessions_main(int argc, char **argv);
int lh_session_main(int argc, char **argv);

#endif
