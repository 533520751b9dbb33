// SPDX-License-Identifier: Apache-2.0
#include "udp/route.h"

#include <assert.h>
#include <string.h>

#include "base/assert.h"
#include "base/bytes.h"

#define FORWARD_MAGIC 0x3146484cu // "LHF1"

bool lh_route_parse(const uint8_t *data, size_t len, struct lh_route_header *out_header)
{
    struct lh_reader reader = lh_reader_of(data, len);
    struct lh_route_header header;

    static_assert(LH_LANES_MAX == 16, "four bits name a lane");
    if (LH_GUARD(ROUTE_LENGTH, len < LH_ROUTE_PACKET_MIN || len > LH_PACKET_MAX))
        return false;
    header.lane = lh_route_lane(data, len);
    (void)lh_read_u8(&reader); // the rest of it is the transport's
    header.session_id = lh_read_u32(&reader);
    if (header.lane == 0 || reader.bad)
        return false;
    *out_header = header;
    return true;
}

static void write_ip(struct lh_writer *writer, const struct lh_udp_addr *addr)
{
    if (lh_udp_addr_family(addr) == AF_INET)
        lh_write_bytes(writer, &addr->v4.sin_addr, sizeof addr->v4.sin_addr);
    else
        lh_write_bytes(writer, &addr->v6.sin6_addr, sizeof addr->v6.sin6_addr);
}

size_t lh_route_forward_header(const struct lh_udp_dgram *dgram,
                               uint8_t out_header[LH_ROUTE_HEADER_MAX])
{
    struct lh_writer writer = lh_writer_of(out_header, LH_ROUTE_HEADER_MAX);
    int family = lh_udp_addr_family(&dgram->path.peer);

    if (family == AF_UNSPEC || family != lh_udp_addr_family(&dgram->path.local))
        return 0;
    lh_write_u32(&writer, FORWARD_MAGIC);
    lh_write_u8(&writer, family == AF_INET ? 4 : 6);
    lh_write_u8(&writer, dgram->ecn);
    lh_write_u16(&writer, lh_udp_addr_port(&dgram->path.peer));
    write_ip(&writer, &dgram->path.peer);
    write_ip(&writer, &dgram->path.local);
    if (family == AF_INET6)
        lh_write_u32(&writer, dgram->path.peer.v6.sin6_scope_id);
    LH_ASSERT(!writer.bad);
    return lh_writer_used(&writer);
}

static void read_ip(struct lh_reader *reader, struct lh_udp_addr *addr)
{
    bool v4 = lh_udp_addr_family(addr) == AF_INET;
    size_t len = v4 ? sizeof addr->v4.sin_addr : sizeof addr->v6.sin6_addr;
    const uint8_t *bytes = lh_read_bytes(reader, len);

    if (bytes == NULL)
        return;
    if (v4)
        memcpy(&addr->v4.sin_addr, bytes, len);
    else
        memcpy(&addr->v6.sin6_addr, bytes, len);
}

static void read_path(struct lh_reader *reader, int family, struct lh_udp_path *path)
{
    path->peer = lh_udp_addr_any(family, lh_read_u16(reader));
    path->local = lh_udp_addr_any(family, 0);
    read_ip(reader, &path->peer);
    read_ip(reader, &path->local);
    if (family == AF_INET)
        return;
    // One scope does for both ends: they are on one link.
    path->peer.v6.sin6_scope_id = lh_read_u32(reader);
    if (IN6_IS_ADDR_LINKLOCAL(&path->local.v6.sin6_addr))
        path->local.v6.sin6_scope_id = path->peer.v6.sin6_scope_id;
}

// Addresses that a packet can come from and be answered to.
static bool path_is_plausible(const struct lh_udp_path *path)
{
    struct lh_udp_addr local = path->local;

    lh_udp_addr_set_port(&local, 1); // any: a local address is kept without its port
    return lh_udp_addr_is_unicast(&path->peer) && lh_udp_addr_is_unicast(&local);
}

bool lh_route_forward_parse(uint8_t *message,
                            size_t len,
                            uint32_t session_id,
                            struct lh_udp_dgram *out_dgram)
{
    struct lh_reader reader = lh_reader_of(message, len);
    struct lh_route_header header;
    struct lh_udp_dgram dgram = {0};
    uint32_t magic = lh_read_u32(&reader);
    uint8_t family = lh_read_u8(&reader);

    dgram.ecn = lh_read_u8(&reader);
    if (magic != FORWARD_MAGIC || (family != 4 && family != 6) || dgram.ecn > 3)
        return false;
    read_path(&reader, family == 4 ? AF_INET : AF_INET6, &dgram.path);
    if (reader.bad || LH_GUARD(ROUTE_ADDRESS, !path_is_plausible(&dgram.path)))
        return false;
    dgram.len = lh_reader_left(&reader);
    dgram.data = message + (len - dgram.len);
    if (!lh_route_parse(dgram.data, dgram.len, &header))
        return false;
    // A session passes on what the network brought, never what another session passed on: no loops.
    if (LH_GUARD(ROUTE_OWNER, header.session_id != session_id))
        return false;
    dgram.lane = header.lane;
    *out_dgram = dgram;
    return true;
}
