// SPDX-License-Identifier: Apache-2.0
#ifndef LH_SYS_HARDEN_H
#define LH_SYS_HARDEN_H

// No core file of this process, no ptrace and no /proc/PID/mem or environ for others of the same
// user: what it holds in memory stays there (threat T7). First thing in every program that sees
// secrets.
void lh_secrets_harden(void);

#endif
