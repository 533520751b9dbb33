// SPDX-License-Identifier: Apache-2.0
//
// How it works
//
// With TUN_F_TSO and TUN_F_USO a device gives up to 64 KiB at once with a virtio-net header that
// says how the kernel would have cut it: gso_size bytes of payload a packet, the same headers
// before each. The emulator decides about every one of these packets on its own, yet copies
// nothing: a segment is a pair (frame, index). What survives and leaves together is written as one
// frame again, with one header of ours and the payloads by reference. The receiving kernel treats
// that as what GRO would have made of the single packets; it is cut again for sockets that do not
// take it whole.
//
// Checksums: such frames carry a partial checksum (that of the pseudo header; the device would
// complete it). It contains the length, so it is made anew for each frame written. The kernel
// trusts frames marked so, as it trusts its own loopback; damage is therefore written as a plain
// packet with a complete checksum, which the kernel verifies.
//
// Invariant: what comes out for all segments of a frame, in order and without loss, is the frame.
#include "bench/linkemu/frame.h"

#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <string.h>

#include "base/assert.h"
#include "base/math.h"

#define UDP_CHECK_AT 6
#define TCP_CHECK_AT 16
#define TCP_FLAGS_AT 13
#define TCP_FIN_PSH  (TH_FIN | TH_PUSH)
#define TCP_CWR      0x80

static uint16_t get16(const uint8_t *at)
{
    return (uint16_t)(at[0] << 8 | at[1]);
}

static void put16(uint8_t *at, uint32_t value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

static uint32_t get32(const uint8_t *at)
{
    return (uint32_t)get16(at) << 16 | get16(at + 2);
}

static void put32(uint8_t *at, uint32_t value)
{
    put16(at, value >> 16);
    put16(at + 2, value);
}

static uint64_t sum_bytes(const uint8_t *data, size_t len, uint64_t sum)
{
    for (; len >= 2; data += 2, len -= 2)
        sum += get16(data);
    if (len > 0)
        sum += (uint32_t)data[0] << 8;
    return sum;
}

static uint16_t fold(uint64_t sum)
{
    while (sum >> 16 != 0)
        sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)sum;
}

static uint64_t pseudo_sum(const uint8_t *ip, bool is_v6, uint8_t protocol, uint32_t transport_len)
{
    uint64_t sum = is_v6 ? sum_bytes(ip + 8, 32, 0) : sum_bytes(ip + 12, 8, 0);
    return sum + protocol + transport_len;
}

static bool parse_ip(struct lh_emu_frame *frame)
{
    const uint8_t *ip = frame->data;
    if (frame->len < sizeof(struct ip))
        return false;
    frame->is_v6 = ip[0] >> 4 == 6;
    if (frame->is_v6) {
        if (frame->len < sizeof(struct ip6_hdr))
            return false;
        frame->protocol = ip[6];
        frame->transport_at = sizeof(struct ip6_hdr);
        return true;
    }
    frame->protocol = ip[9];
    frame->transport_at = (uint16_t)((ip[0] & 0xf) * 4);
    return ip[0] >> 4 == 4 && frame->transport_at >= sizeof(struct ip) &&
           frame->transport_at <= frame->len;
}

// Whether the transport header can be rewritten: complete, not a fragment, checksum left to us.
static bool parse_transport(struct lh_emu_frame *frame)
{
    const uint8_t *transport = frame->data + frame->transport_at;
    size_t left = frame->len - frame->transport_at;
    size_t header;
    if (!(frame->vnet.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) ||
        frame->vnet.csum_start != frame->transport_at)
        return false;
    if (!frame->is_v6 && (get16(frame->data + 6) & (IP_MF | IP_OFFMASK)) != 0)
        return false;
    if (frame->protocol == IPPROTO_UDP && left > sizeof(struct udphdr))
        header = sizeof(struct udphdr);
    else if (frame->protocol == IPPROTO_TCP && left >= sizeof(struct tcphdr))
        header = (size_t)(transport[12] >> 4) * 4;
    else
        return false;
    if (frame->protocol == IPPROTO_TCP && (header < sizeof(struct tcphdr) || header >= left))
        return false;
    frame->header_len = (uint16_t)(frame->transport_at + header);
    frame->payload_max = (uint16_t)(frame->len - frame->header_len);
    return frame->header_len <= LH_EMU_HEADER_MAX;
}

bool lh_emu_frame_parse(struct lh_emu_frame *frame, uint32_t len)
{
    frame->len = len;
    frame->segments = 1;
    frame->payload_max = 0;
    frame->header_len = 0;
    frame->mergeable = false;
    if (len > LH_EMU_FRAME_MAX || !parse_ip(frame))
        return false;
    if ((frame->vnet.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) &&
        (uint32_t)frame->vnet.csum_start + frame->vnet.csum_offset + 2 > len)
        return false;
    frame->mergeable = parse_transport(frame);
    uint8_t kind = frame->vnet.gso_type & (uint8_t)~VIRTIO_NET_HDR_GSO_ECN;
    if (kind == VIRTIO_NET_HDR_GSO_NONE)
        return true;
    bool is_known = kind == VIRTIO_NET_HDR_GSO_TCPV4 || kind == VIRTIO_NET_HDR_GSO_TCPV6 ||
                    kind == LH_EMU_GSO_UDP_L4;
    if (!is_known || !frame->mergeable || frame->vnet.gso_size == 0)
        return false;
    uint32_t payload = len - frame->header_len;
    uint32_t segments = (payload + frame->vnet.gso_size - 1) / frame->vnet.gso_size;
    frame->segments = (uint16_t)segments;
    frame->payload_max = (uint16_t)LH_MIN(frame->vnet.gso_size, payload);
    return true;
}

uint8_t lh_emu_frame_ecn(const struct lh_emu_frame *frame)
{
    return frame->is_v6 ? frame->data[1] >> 4 & 3 : frame->data[1] & 3;
}

void lh_emu_frame_set_ecn(struct lh_emu_frame *frame, uint8_t ecn)
{
    uint8_t *ip = frame->data;

    if (frame->is_v6) {
        ip[1] = (uint8_t)((ip[1] & 0xcf) | ecn << 4);
        return;
    }
    ip[1] = (uint8_t)((ip[1] & 0xfc) | ecn);
    put16(ip + 10, 0);
    put16(ip + 10, (uint16_t)~fold(sum_bytes(ip, frame->transport_at, 0)));
}

static uint32_t payload_of(const struct lh_emu_frame *frame, uint32_t index)
{
    uint32_t before = index * frame->payload_max;
    return LH_MIN(frame->payload_max, frame->len - frame->header_len - before);
}

uint32_t lh_emu_segment_len(const struct lh_emu_frame *frame, uint32_t index)
{
    LH_DASSERT(index < frame->segments);
    return frame->segments == 1 ? frame->len : frame->header_len + payload_of(frame, index);
}

static bool is_last(const struct lh_emu_frame *frame, uint32_t index)
{
    return index + 1u == frame->segments;
}

static void
add_payload(struct lh_emu_merge *merge, const struct lh_emu_frame *frame, uint32_t index)
{
    uint8_t *payload = (uint8_t *)frame->data + frame->header_len + index * frame->payload_max;
    uint32_t len = payload_of(frame, index);
    struct iovec *last = &merge->iov[merge->iov_len - 1];
    if (merge->iov_len > 2 && (uint8_t *)last->iov_base + last->iov_len == payload)
        last->iov_len += len;
    else
        merge->iov[merge->iov_len++] = (struct iovec){.iov_base = payload, .iov_len = len};
    merge->payload += len;
    merge->segments++;
    merge->next_index = index + 1;
    if (len < merge->payload_each)
        merge->closed = true;
}

void lh_emu_merge_start(struct lh_emu_merge *merge,
                        const struct lh_emu_frame *frame,
                        uint32_t index)
{
    merge->first = frame;
    merge->first_index = index;
    merge->segments = 0;
    merge->payload = 0;
    merge->closed = !frame->mergeable;
    merge->iov_len = 2;
    if (!frame->mergeable) { // goes as it came
        merge->vnet = frame->vnet;
        merge->segments = 1;
        merge->iov[1] = (struct iovec){.iov_base = (uint8_t *)frame->data, .iov_len = frame->len};
        return;
    }
    merge->iov[1] = (struct iovec){.iov_base = merge->header, .iov_len = frame->header_len};
    merge->payload_each = payload_of(frame, index);
    add_payload(merge, frame, index);
}

// The same flow and the same header but for lengths, checksums and the IPv4 identification.
static bool same_udp_flow(const struct lh_emu_frame *a, const struct lh_emu_frame *b)
{
    if (a->is_v6 != b->is_v6 || a->header_len != b->header_len || b->protocol != IPPROTO_UDP)
        return false;
    const uint8_t *x = a->data, *y = b->data;
    if (a->is_v6)
        return memcmp(x, y, 4) == 0 && memcmp(x + 6, y + 6, 38) == 0;
    return a->transport_at == sizeof(struct ip) && memcmp(x, y, 2) == 0 &&
           memcmp(x + 6, y + 6, 4) == 0 && memcmp(x + 12, y + 12, 12) == 0;
}

bool lh_emu_merge_add(struct lh_emu_merge *merge, const struct lh_emu_frame *frame, uint32_t index)
{
    const struct lh_emu_frame *first = merge->first;
    if (merge->closed || !frame->mergeable || merge->segments == LH_EMU_MERGE_MAX)
        return false;
    uint32_t len = payload_of(frame, index);
    if (len > merge->payload_each || merge->payload + len + first->header_len > UINT16_MAX)
        return false;
    bool continues = first->protocol == IPPROTO_TCP ? frame == first && index == merge->next_index
                                                    : same_udp_flow(first, frame);
    if (!continues)
        return false;
    add_payload(merge, frame, index);
    return true;
}

static void finish_ip(uint8_t *ip, const struct lh_emu_frame *frame, uint32_t index, uint32_t len)
{
    if (frame->is_v6) {
        put16(ip + 4, len - sizeof(struct ip6_hdr));
        return;
    }
    put16(ip + 2, len);
    put16(ip + 4, get16(ip + 4) + index);
    put16(ip + 10, 0);
    put16(ip + 10, (uint16_t)~fold(sum_bytes(ip, frame->transport_at, 0)));
}

// Headers of segments [index, index + segments) of `frame`, with the partial checksum.
static void make_header(uint8_t *header,
                        const struct lh_emu_frame *frame,
                        uint32_t index,
                        uint32_t segments,
                        uint32_t payload)
{
    uint32_t len = frame->header_len + payload;
    uint32_t transport_len = len - frame->transport_at;
    uint8_t *transport = header + frame->transport_at;
    memcpy(header, frame->data, frame->header_len);
    finish_ip(header, frame, index, len);
    uint16_t partial = fold(pseudo_sum(header, frame->is_v6, frame->protocol, transport_len));
    if (frame->protocol == IPPROTO_UDP) {
        put16(transport + 4, transport_len);
        put16(transport + UDP_CHECK_AT, partial);
        return;
    }
    put32(transport + 4, get32(transport + 4) + index * frame->payload_max);
    if (!is_last(frame, index + segments - 1))
        transport[TCP_FLAGS_AT] &= (uint8_t)~TCP_FIN_PSH;
    if (index > 0)
        transport[TCP_FLAGS_AT] &= (uint8_t)~TCP_CWR;
    put16(transport + TCP_CHECK_AT, partial);
}

static uint8_t gso_type_of(const struct lh_emu_frame *frame)
{
    if (frame->protocol == IPPROTO_UDP)
        return LH_EMU_GSO_UDP_L4;
    uint8_t ecn = frame->vnet.gso_type & VIRTIO_NET_HDR_GSO_ECN;
    return ecn | (frame->is_v6 ? VIRTIO_NET_HDR_GSO_TCPV6 : VIRTIO_NET_HDR_GSO_TCPV4);
}

void lh_emu_merge_finish(struct lh_emu_merge *merge)
{
    const struct lh_emu_frame *first = merge->first;
    merge->iov[0] = (struct iovec){.iov_base = &merge->vnet, .iov_len = sizeof merge->vnet};
    if (!first->mergeable)
        return;
    // Segments merged across UDP frames count as a run for the identification only; nobody reads
    // it.
    make_header(merge->header, first, merge->first_index, merge->segments, merge->payload);
    bool several = merge->segments > 1;
    merge->vnet = (struct virtio_net_hdr){
        .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
        .gso_type = several ? gso_type_of(first) : VIRTIO_NET_HDR_GSO_NONE,
        .hdr_len = first->header_len,
        .gso_size = (uint16_t)(several ? merge->payload_each : 0),
        .csum_start = first->transport_at,
        .csum_offset = first->protocol == IPPROTO_UDP ? UDP_CHECK_AT : TCP_CHECK_AT,
    };
}

size_t lh_emu_corrupt(const struct lh_emu_frame *frame,
                      uint32_t index,
                      uint64_t random,
                      bool hidden,
                      uint8_t *out,
                      size_t room)
{
    struct virtio_net_hdr vnet = {.gso_type = VIRTIO_NET_HDR_GSO_NONE};
    uint8_t *packet = out + sizeof vnet;
    uint32_t len = lh_emu_segment_len(frame, index);
    LH_ASSERT(sizeof vnet + len <= room);
    if (frame->mergeable) {
        uint32_t payload = payload_of(frame, index);
        make_header(packet, frame, index, 1, payload);
        memcpy(packet + frame->header_len,
               frame->data + frame->header_len + index * frame->payload_max, payload);
    } else {
        memcpy(packet, frame->data, len);
    }
    hidden = hidden && frame->mergeable;
    uint32_t from = hidden ? frame->header_len : frame->transport_at;
    uint8_t *victim = len > from ? packet + from + (random >> 3) % (len - from) : packet;
    if (hidden)
        *victim ^= (uint8_t)(1u << (random & 7));
    if (frame->vnet.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) {
        uint32_t start = frame->vnet.csum_start;
        uint16_t sum = (uint16_t)~fold(sum_bytes(packet + start, len - start, 0));
        put16(packet + start + frame->vnet.csum_offset, sum == 0 ? 0xffff : sum);
    }
    if (!hidden)
        *victim ^= (uint8_t)(1u << (random & 7));
    memcpy(out, &vnet, sizeof vnet);
    return sizeof vnet + len;
}
