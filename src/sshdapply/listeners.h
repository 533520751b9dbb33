// SPDX-License-Identifier: Apache-2.0
//
// Who listens on TCP in the kernel, and the sshd that runs.
#ifndef LH_SSHDAPPLY_LISTENERS_H
#define LH_SSHDAPPLY_LISTENERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

struct lh_listener {
    uint16_t port;
    bool ipv6;
    bool loopback_only;
    uint64_t inode;
    pid_t pid;     // who holds it; 0 where that could not be found out
    char name[32]; // of that process ("sshd"), "" where unknown
};

struct lh_listeners {
    struct lh_listener *items;
    size_t count;
    bool owners_seen; // the owners of all sockets could be found out
};

// Reads `proc` ("/proc"). LH_E_SYS where the kernel shows no sockets; LH_E_NOMEM.
lh_err lh_listeners_read(const char *proc,
                         struct lh_listeners *out_listeners,
                         struct lh_errinfo *info) LH_MUST_CHECK;
void lh_listeners_fini(struct lh_listeners *listeners); // idempotent

// A process whose name is `name`, the lowest id; 0 where there is none.
pid_t lh_process_find(const char *proc, const char *name);
// When it began, in seconds since 1970; 0 where that is not to be seen.
int64_t lh_process_started(const char *proc, pid_t pid);

#define LH_SSHD_ARGUMENTS_MAX 64

// The sshd that listens: the one that holds a listening socket.
struct lh_sshd_process {
    pid_t pid;
    int64_t started;       // seconds since 1970; 0 where unknown
    bool program_replaced; // its program on disk is another one by now
    char text[4096];       // its arguments, one after the other, each with its zero byte
    const char *arguments[LH_SSHD_ARGUMENTS_MAX + 1]; // without the program; NULL-terminated
    size_t count;
};

// LH_NONE where no sshd listens or its owner is not to be seen.
lh_err lh_sshd_process_find(const char *proc,
                            const struct lh_listeners *listeners,
                            struct lh_sshd_process *out_process) LH_MUST_CHECK;

#endif
