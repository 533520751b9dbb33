// SPDX-License-Identifier: Apache-2.0
#include "ssh/connection.h"

#include <arpa/inet.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"

static lh_err parse_address(char *text, struct lh_hello_address *out_address)
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    struct lh_hello_address address = {.family = 4};
    char *zone = strchr(text, '%');

    if (zone != NULL)
        *zone = '\0';
    if (inet_pton(AF_INET, text, address.bytes) != 1) {
        address.family = 6;
        if (inet_pton(AF_INET6, text, address.bytes) != 1)
            return LH_E_INVALID;
        if (memcmp(address.bytes, mapped, sizeof mapped) == 0) {
            address.family = 4;
            memmove(address.bytes, address.bytes + 12, 4);
            memset(address.bytes + 4, 0, 12);
        }
    }
    *out_address = address;
    return 0;
}

lh_err lh_ssh_connection_parse(const char *text, struct lh_ssh_connection *out_connection)
{
    struct lh_ssh_connection connection;
    char copy[256];
    char *words[4];
    char *rest = copy;
    uint64_t ports[2];

    if (strlen(text) >= sizeof copy)
        return LH_E_INVALID;
    memcpy(copy, text, strlen(text) + 1);
    for (size_t i = 0; i < LH_ARRAY_LEN(words); i++) {
        words[i] = strsep(&rest, " ");
        if (words[i] == NULL)
            return LH_E_INVALID;
    }
    if (rest != NULL || parse_address(words[0], &connection.client) != 0 ||
        parse_address(words[2], &connection.server) != 0 ||
        lh_parse_number(words[1], 0, UINT16_MAX, &ports[0]) != 0 ||
        lh_parse_number(words[3], 0, UINT16_MAX, &ports[1]) != 0)
        return LH_E_INVALID;
    connection.client_port = (uint16_t)ports[0];
    connection.server_port = (uint16_t)ports[1];
    *out_connection = connection;
    return 0;
}
