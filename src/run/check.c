// SPDX-License-Identifier: Apache-2.0
#include "run/check.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"

bool lh_check_is_done(const struct lh_session *session, lh_ns started, lh_ns now)
{
    struct lh_lane_stats stats;

    if (!session->has_udp || now >= started + LH_CHECK_UDP_WAIT)
        return true;
    lh_udp_lanes_stats(&session->udp, &stats);
    return stats.state == LH_LANE_UP && stats.rtt_smoothed != 0;
}

static void say(const struct lhcp_report *report, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void say(const struct lhcp_report *report, const char *format, ...)
{
    char text[LH_ERRINFO_TEXT + 128];
    struct lhcp_problem line = {.kind = LHCP_PROBLEM_NOTICE, .text = text};
    va_list args;

    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    report->problem(report->user, &line);
}

static void report_blocked(const struct lh_session *session,
                           const struct lh_lane_stats *stats,
                           uint16_t port,
                           const struct lhcp_report *report)
{
    unsigned long long sent = (unsigned long long)stats->packets_sent;

    if (!session->is_udp_known)
        say(report, "UDP: %llu packets to port %u and no answer", sent, port);
    else if (session->udp_heard == 0)
        say(report,
            "UDP to the server: blocked: none of %llu packets to port %u arrived. Open UDP/%u "
            "towards the server (its firewall, yours, what lies between), or name the address that "
            "reaches it with --udp-host",
            sent, port, port);
    else
        say(report,
            "UDP to the server: works (%llu of %llu packets arrived). UDP back: blocked: none of "
            "its "
            "answers came. Let answers from UDP port %u in",
            (unsigned long long)session->udp_heard, sent, port);
    say(report, "Until then transfers go over SSH, slower");
}

static void report_udp(const struct lh_session *session,
                       const struct lh_connection *connection,
                       const struct lhcp_report *report)
{
    const struct lh_session_params *params = lh_hello_params(&connection->hello);
    struct lh_lane_stats stats;
    char peer[LH_UDP_ADDR_TEXT];

    if (!session->has_udp) {
        say(report, "UDP: none: %s", connection->udp_note);
        return;
    }
    lh_udp_lanes_stats(&session->udp, &stats);
    if (stats.state != LH_LANE_UP) {
        report_blocked(session, &stats, params->udp_port, report);
        return;
    }
    const struct lh_udp_path *path = lh_udp_paths_get(
        &session->udp.paths, lh_transport_lane_path(session->transport, LH_LANE_UDP));
    say(report, "UDP: works both ways, to %s, round trip %.1f ms",
        path == NULL ? "?" : lh_udp_addr_format(&path->peer, peer, sizeof peer),
        (double)stats.rtt_smoothed / (double)LH_MS);
    say(report, "path MTU: packets of %u bytes of UDP payload", stats.payload_max);
}

void lh_check_report(const struct lh_session *session,
                     const struct lh_connection *connection,
                     const struct lhcp_options *options,
                     const struct lhcp_report *report)
{
    const struct lh_session_params *params = lh_hello_params(&connection->hello);
    char software[64];
    char host_key[160];

    lh_escape(params->peer_software, strlen(params->peer_software), software, sizeof software);
    lh_escape(connection->host_key, strlen(connection->host_key), host_key, sizeof host_key);
    say(report, "SSH: TCP port %u answers, login works", options->ssh_port);
    say(report, "host key: %s, %s", host_key[0] == '\0' ? "not shown by ssh" : host_key,
        options->fingerprint_count > 0 ? "the expected one"
                                       : "accepted by known_hosts; pin it with --check-sshfp");
    say(report, "lhserver: %s, protocol %u.%u, cipher %s", software, params->major, params->minor,
        lh_aead_by_id(params->aead)->name);
    report_udp(session, connection, report);
}
