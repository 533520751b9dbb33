// SPDX-License-Identifier: Apache-2.0
#ifndef LH_SSH_CONNECTION_H
#define LH_SSH_CONNECTION_H

#include <stdint.h>

#include "base/err.h"
#include "control/hello.h"

// sshd's view of the connection: SSH_CONNECTION = "client-address port server-address port".
struct lh_ssh_connection {
    struct lh_hello_address client;
    uint16_t client_port;
    struct lh_hello_address server; // where UDP is tried first
    uint16_t server_port;
};

// LH_E_INVALID for anything else. A zone ("%eth0") is dropped, mapped IPv4 becomes IPv4.
lh_err lh_ssh_connection_parse(const char *text,
                               struct lh_ssh_connection *out_connection) LH_MUST_CHECK;

#endif
