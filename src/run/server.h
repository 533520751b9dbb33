// SPDX-License-Identifier: Apache-2.0
//
// The server's side of a transfer. Implemented in run/server.c.
#ifndef LH_RUN_SERVER_H
#define LH_RUN_SERVER_H

// Speaks the session on standard input and output until it ends, writes one line to the system log
// at its start and one at its stop. Returns the program's exit status: 0, or 1 where the session
// failed.
int lh_server_run(void);

#endif
