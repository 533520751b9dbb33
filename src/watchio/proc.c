// SPDX-License-Identifier: Apache-2.0
#include "watchio/proc.h"

#include <stdio.h>

#include "watchio/lines.h"
#include "watchio/logs.h"

struct filter {
    struct lh_look *look;
    const uint16_t *ports;
    size_t port_count;
};

static lh_err take_line(void *context, struct lh_span line, uint64_t number)
{
    const struct filter *filter = context;
    struct lh_socket socket;
    (void)number;
    if (!lh_socket_parse(line, &socket) || socket.state == LH_TCP_LISTEN)
        return 0;
    for (size_t i = 0; i < filter->port_count; i++) {
        if (socket.local.port == filter->ports[i])
            return lh_look_add(filter->look, &socket);
    }
    return 0;
}

lh_err lh_proc_look(const char *folder,
                    const uint16_t *ports,
                    size_t port_count,
                    struct lh_look *look,
                    struct lh_errinfo *info)
{
    struct filter filter = {look, ports, port_count};
    struct lh_line_sink sink = {take_line, &filter};
    char path[256];

    (void)snprintf(path, sizeof path, "%s/tcp", folder);
    lh_err err = lh_log_read(path, &sink, info);
    if (err != 0)
        return err;
    (void)snprintf(path, sizeof path, "%s/tcp6", folder);
    (void)!lh_log_read(path, &sink, NULL); // a kernel without IPv6 has none
    lh_look_sort(look);
    return 0;
}
