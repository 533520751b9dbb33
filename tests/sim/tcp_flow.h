// SPDX-License-Identifier: Apache-2.0
//
// A TCP connection without end, as a neighbour on the simulated path: sender and receiver. It does
// what decides how TCP shares a link: a window in packets of 1,500 bytes, delayed
// acknowledgements (every second packet, 40 ms; at once while there is a hole), selective
// acknowledgements, loss after three later packets (a repetition too: RACK), proportional rate
// reduction in recovery, retransmission timeouts of 200 ms and more. The window itself comes from a
// controller (cc/cc.h): CUBIC sends by acknowledgements, BBR by its pace.
//
// Packets carry no content. Acknowledgements name transmissions, each of the last few again, so
// that a lost one costs nothing: what SACK blocks do.
#ifndef LH_SIM_TCP_FLOW_H
#define LH_SIM_TCP_FLOW_H

#include <stdalign.h>
#include <stdbool.h>
#include <stdint.h>

#include "cc/cc.h"
#include "transport/rtt.h"

#define TCP_PACKET_IP   1500u // bytes, headers included
#define TCP_PAYLOAD     1448u // of it
#define TCP_ACK_REPEATS 8u
#define TCP_RECORDS     65536u // transmissions outstanding at most

struct tcp_packet {
    uint64_t number; // of the transmission
    uint64_t place;  // of its content: counts packets
};

struct tcp_ack {
    uint64_t first_missing; // place: all before have arrived
    uint32_t count;
    uint64_t numbers[TCP_ACK_REPEATS]; // newest first
};

enum tcp_fate { TCP_GONE, TCP_OUTSTANDING };

struct tcp_record {
    uint64_t place;
    lh_ns sent_at;
    uint64_t delivered;  // bytes, when it was sent
    lh_ns delivered_at;  // and when the newest of them was acknowledged
    lh_ns first_sent_at; // when what was acknowledged then was sent
    enum tcp_fate fate;
};

struct tcp_flow {
    const struct lh_cc_type *cc;
    alignas(16) uint8_t cc_state[LH_CC_STATE_MAX];
    bool is_paced; // by the controller; then it also decides alone how to recover
    struct lh_rtt rtt;

    struct tcp_record *records; // TCP_RECORDS, by number
    uint64_t next_number, oldest, largest_acked;
    uint64_t next_place;
    uint64_t done_place; // all content before it is acknowledged
    uint64_t *lost;      // places to send again, a ring of TCP_RECORDS
    uint64_t lost_first, lost_end;
    uint64_t inflight; // packets
    uint64_t delivered;
    lh_ns delivered_at, first_sent_at;
    uint64_t round, round_end, round_resolved, round_lost;
    uint64_t sent, lost_total;

    bool is_recovering;
    uint64_t recovery_end;                                   // place
    uint64_t prr_delivered, prr_out, prr_flight, prr_window; // packets

    lh_ns timeout_at, pace_at;
    uint32_t backoff;

    // The receiver.
    uint8_t *arrived; // a ring of flags by place
    uint64_t first_missing, highest;
    uint64_t received_bytes; // of content, each once
    uint64_t recent[TCP_ACK_REPEATS];
    uint32_t recent_count, unacknowledged;
    lh_ns ack_at; // the delayed one
};

void tcp_flow_init(struct tcp_flow *flow, const struct lh_cc_type *cc, bool is_paced, lh_ns now);
void tcp_flow_fini(struct tcp_flow *flow);
// Sender: the next packet, false where none may leave now.
bool tcp_flow_send(struct tcp_flow *flow, struct tcp_packet *out_packet, lh_ns now);
void tcp_flow_on_ack(struct tcp_flow *flow, const struct tcp_ack *ack, lh_ns now);
// Receiver: true when an acknowledgement leaves at once.
bool tcp_flow_on_packet(struct tcp_flow *flow,
                        const struct tcp_packet *packet,
                        struct tcp_ack *out_ack,
                        lh_ns now);
// Both: when something is due by itself, and what. True with an acknowledgement to send.
lh_ns tcp_flow_next(const struct tcp_flow *flow);
bool tcp_flow_on_timer(struct tcp_flow *flow, struct tcp_ack *out_ack, lh_ns now);

#endif
