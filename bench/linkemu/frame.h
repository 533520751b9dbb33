// SPDX-License-Identifier: Apache-2.0
//
// What a TUN device with offloads hands over, cut into the packets a wire would carry, and put
// together again for the device at the other end. Only what the kernel's own segmentation would
// touch is read: IP, UDP and TCP headers.
#ifndef LH_BENCH_LINKEMU_FRAME_H
#define LH_BENCH_LINKEMU_FRAME_H

#include <linux/virtio_net.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

// <linux/virtio_net.h> and <linux/if_tun.h> of Debian 12 are older than these.
#define LH_EMU_GSO_UDP_L4 5
#define LH_EMU_TUN_USO4   0x20
#define LH_EMU_TUN_USO6   0x40

#define LH_EMU_FRAME_MAX  65536 // IP bytes of one frame
#define LH_EMU_MERGE_MAX  64    // segments of one frame written
#define LH_EMU_HEADER_MAX 128   // IP and transport header of a frame that is cut

// One frame read from a device; `data` follows it in memory.
struct lh_emu_frame {
    struct virtio_net_hdr vnet;
    uint32_t room;        // bytes it takes in its arena, this struct included
    uint32_t references;  // segments not yet delivered
    uint32_t len;         // IP bytes
    uint16_t segments;    // packets on the wire, 1 for most
    uint16_t payload_max; // transport payload of all segments but the last
    uint16_t header_len;  // IP and transport headers, repeated in each segment
    uint16_t transport_at;
    uint8_t protocol; // of the IP header: IPPROTO_TCP, IPPROTO_UDP, ...
    bool is_v6;
    bool mergeable; // UDP or TCP with a checksum left to us: may be cut and put together
    uint8_t data[];
};

// Reads the headers of `len` IP bytes in `frame->data`, whose vnet header is filled in.
// False when the device gave something that cannot be cut as the vnet header says.
bool lh_emu_frame_parse(struct lh_emu_frame *frame, uint32_t len);

// IP bytes of segment `index` on the wire.
uint32_t lh_emu_segment_len(const struct lh_emu_frame *frame, uint32_t index);

// The ECN field of the frame's packets; setting it keeps the header's checksum right.
#define LH_EMU_CE 3
uint8_t lh_emu_frame_ecn(const struct lh_emu_frame *frame);
void lh_emu_frame_set_ecn(struct lh_emu_frame *frame, uint8_t ecn);

// Segments that leave together, as one frame where the receiving kernel would have merged them.
struct lh_emu_merge {
    const struct lh_emu_frame *first;
    uint32_t first_index;
    uint32_t segments;
    uint32_t next_index;   // TCP: the segment that would continue the run
    uint32_t payload;      // transport payload bytes so far
    uint32_t payload_each; // of every segment but the last
    bool closed;           // a short segment ended the run
    struct virtio_net_hdr vnet;
    uint8_t header[LH_EMU_HEADER_MAX];
    int iov_len;
    struct iovec iov[LH_EMU_MERGE_MAX + 2];
};

void lh_emu_merge_start(struct lh_emu_merge *merge,
                        const struct lh_emu_frame *frame,
                        uint32_t index);

// True when the segment has been added. UDP: the same flow and size, across frames (any one may be
// missing: datagrams stand alone). TCP: the next segment of the same frame.
bool lh_emu_merge_add(struct lh_emu_merge *merge, const struct lh_emu_frame *frame, uint32_t index);

// Completes headers; merge->iov is then what to write to the device.
void lh_emu_merge_finish(struct lh_emu_merge *merge);

// Builds one segment as plain bytes with complete checksums and flips the bit that `random` picks:
// anywhere behind the IP header, or in the UDP payload with the checksum made to fit (`hidden`).
// `out` takes vnet header and packet; returns the bytes to write.
size_t lh_emu_corrupt(const struct lh_emu_frame *frame,
                      uint32_t index,
                      uint64_t random,
                      bool hidden,
                      uint8_t *out,
                      size_t room);

#endif
