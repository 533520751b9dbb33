// SPDX-License-Identifier: Apache-2.0
//
// How it works. Counters of the session only grow; readings of them are taken a fifth of a second
// apart and kept for a little more than a second, and a rate is the difference between the newest
// and the oldest that is a second old. A session that broke leaves its totals in `before`: those of
// the next begin at zero and are added, so that a run's figures never fall back. Which side's
// counters count depends on who sends: loss is seen by the sender alone, repetitions by both,
// differently.
#include "run/meter.h"

#include "base/math.h"

static void add_reading(struct lh_meter *meter, const struct lh_meter_reading *reading)
{
    if (meter->count == LH_METER_SLOTS) {
        for (size_t i = 1; i < LH_METER_SLOTS; i++)
            meter->readings[i - 1] = meter->readings[i];
        meter->count--;
    }
    meter->readings[meter->count++] = *reading;
}

// Rates between the newest reading and the oldest that is not much more than a second old.
static void fill_rates(const struct lh_meter *meter, struct lhcp_status *status)
{
    const struct lh_meter_reading *newest = &meter->readings[meter->count - 1];
    const struct lh_meter_reading *oldest = newest;

    for (size_t i = meter->count; i > 0; i--) {
        oldest = &meter->readings[i - 1];
        if (newest->at - oldest->at >= LH_SECOND)
            break;
    }
    uint64_t sent = newest->packets_sent - oldest->packets_sent;
    if (newest->at > oldest->at)
        status->rate = lh_muldiv(8 * lh_sub_sat(newest->bytes, oldest->bytes), LH_SECOND,
                                 newest->at - oldest->at);
    status->loss_known = sent > 0;
    if (sent > 0)
        status->loss_ppm = (uint32_t)LH_MIN(
            lh_muldiv(lh_sub_sat(newest->packets_lost, oldest->packets_lost), 1000000, sent),
            (uint64_t)1000000);
}

static void fill_from_job(const struct lh_session *session, struct lhcp_status *status)
{
    struct lh_job_status job;

    if (session->job == NULL)
        return;
    lh_job_status(session->job, &job);
    status->totals_known = job.totals_known;
    status->files_total = job.files_total;
    status->files_done = job.files_done;
    status->files_skipped = job.files_skipped;
    status->files_failed = job.files_failed;
    status->bytes_total = job.bytes_total;
    status->bytes_done = job.bytes_held;
    status->bytes_verified = job.bytes_verified;
    status->name = job.name;
}

static enum lhcp_lane data_lane(const struct lh_session *session)
{
    switch (lh_session_data_lane(session)) {
    case LH_LANE_UDP:
        return LHCP_LANE_UDP;
    case LH_LANE_SSH:
        return LHCP_LANE_SSH;
    default:
        return LHCP_LANE_NONE;
    }
}

void lh_meter_read(struct lh_meter *meter,
                   const struct lh_session *session,
                   bool is_sender,
                   lh_ns now,
                   struct lhcp_status *out_status)
{
    struct lh_lane_stats udp = {0};
    struct lh_lane_stats ssh = {0};
    struct lh_transport_stats transport;
    struct lh_meter_reading reading = {.at = now};
    const struct lhcp_status *before = &meter->before;

    lh_transport_lane_stats(session->transport, LH_LANE_SSH, &ssh);
    if (session->has_udp)
        lh_udp_lanes_stats(&session->udp, &udp);
    lh_transport_stats(session->transport, &transport);
    fill_from_job(session, out_status);
    reading.bytes = is_sender ? transport.block_bytes_acked : transport.block_bytes_delivered;
    reading.packets_sent = is_sender ? udp.packets_sent : 0; // a receiver sends feedback only
    reading.packets_lost = is_sender ? udp.packets_lost : 0;
    if (meter->count == 0 || now - meter->readings[meter->count - 1].at >= LH_METER_STEP / 2)
        add_reading(meter, &reading);
    fill_rates(meter, out_status);

    out_status->lane = data_lane(session);
    out_status->rtt = out_status->lane == LHCP_LANE_UDP ? udp.rtt_smoothed : ssh.rtt_smoothed;
    out_status->bytes_sent = before->bytes_sent + reading.bytes;
    out_status->bytes_retransmitted =
        before->bytes_retransmitted + (is_sender ? udp.retransmitted_bytes + ssh.retransmitted_bytes
                                                 : transport.duplicate_block_bytes);
    out_status->bytes_udp =
        before->bytes_udp + (is_sender ? udp.block_bytes_sent : udp.block_bytes_received);
    out_status->bytes_ssh =
        before->bytes_ssh + (is_sender ? ssh.block_bytes_sent : ssh.block_bytes_received);
    out_status->ce_packets = before->ce_packets + (is_sender ? udp.ce_reported : udp.ce_packets);
}

void lh_meter_end_session(struct lh_meter *meter, const struct lhcp_status *last)
{
    meter->before = *last;
    meter->count = 0;
}
