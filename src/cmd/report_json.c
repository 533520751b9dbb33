// SPDX-License-Identifier: Apache-2.0
//
// How it works. A status becomes a jansson object by one table of members, and is dumped compactly
// as one line. Where memory is short the line is left out: a display never ends a transfer.
#include "cmd/report_json.h"

#include <jansson.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/limits.h"
#include "base/math.h"
#include "base/text.h"

static json_t *text_of(const char *text)
{
    char escaped[4 * LH_PATH_TEXT_MAX + 1];
    return json_string(lh_escape(text, strlen(text), escaped, sizeof escaped));
}

// jansson's integers are signed.
static json_t *number_of(uint64_t number)
{
    return json_integer((json_int_t)LH_MIN(number, (uint64_t)INT64_MAX));
}

static const char *phase_name(enum lhcp_phase phase)
{
    static const char *const names[LHCP_PHASE_N_] = {
        [LHCP_PHASE_CONNECTING] = "connecting", [LHCP_PHASE_TRANSFERRING] = "transferring",
        [LHCP_PHASE_FINISHING] = "finishing",   [LHCP_PHASE_RETRYING] = "retrying",
        [LHCP_PHASE_ENDED] = "ended",
    };
    return names[phase];
}

static const char *lane_name(enum lhcp_lane lane)
{
    static const char *const names[LHCP_LANE_N_] = {
        [LHCP_LANE_NONE] = "none", [LHCP_LANE_SSH] = "ssh", [LHCP_LANE_UDP] = "udp"};
    return names[lane];
}

static void dump_line(json_t *object, FILE *out)
{
    if (object != NULL && json_dumpf(object, out, JSON_COMPACT) == 0)
        (void)fputc('\n', out);
    json_decref(object);
    (void)fflush(out);
}

static void add_figures(json_t *object, const struct lhcp_status *status)
{
    const struct {
        const char *key;
        uint64_t value;
    } figures[] = {
        {"elapsed_ms", status->elapsed / LH_MS},
        {"files_total", status->files_total},
        {"files_done", status->files_done},
        {"files_skipped", status->files_skipped},
        {"files_failed", status->files_failed},
        {"bytes_total", status->bytes_total},
        {"bytes_done", status->bytes_done},
        {"bytes_verified", status->bytes_verified},
        {"bytes_sent", status->bytes_sent},
        {"bytes_retransmitted", status->bytes_retransmitted},
        {"bytes_udp", status->bytes_udp},
        {"bytes_ssh", status->bytes_ssh},
        {"rate_bits_per_second", status->rate},
        {"rtt_us", status->rtt / LH_US},
        {"ce_packets", status->ce_packets},
        {"braked_to_bits_per_second", status->braked_to},
        {"brakes", status->brakes},
        {"retries", status->retries},
        {"ssh_logins", status->ssh_logins},
    };

    for (size_t i = 0; i < LH_ARRAY_LEN(figures); i++)
        (void)json_object_set_new(object, figures[i].key, number_of(figures[i].value));
    (void)json_object_set_new(object, "loss_ppm",
                              status->loss_known ? number_of(status->loss_ppm) : json_null());
    (void)json_object_set_new(object, "totals_known", json_boolean(status->totals_known));
    (void)json_object_set_new(object, "lane", json_string(lane_name(status->lane)));
    (void)json_object_set_new(object, "phase", json_string(phase_name(status->phase)));
    (void)json_object_set_new(object, "name",
                              status->name != NULL ? text_of(status->name) : json_null());
}

void lh_json_status(const struct lhcp_status *status, FILE *out)
{
    json_t *object = json_object();
    (void)json_object_set_new(object, "type", json_string("progress"));
    add_figures(object, status);
    dump_line(object, out);
}

void lh_json_problem(const struct lhcp_problem *problem, FILE *out)
{
    static const char *const kinds[] = {[LHCP_PROBLEM_FAILED] = "failed",
                                        [LHCP_PROBLEM_SKIPPED] = "skipped",
                                        [LHCP_PROBLEM_NOTICE] = "notice"};
    json_t *object = json_object();

    (void)json_object_set_new(object, "type", json_string("problem"));
    (void)json_object_set_new(object, "kind", json_string(kinds[problem->kind]));
    (void)json_object_set_new(object, "name",
                              problem->name != NULL ? text_of(problem->name) : json_null());
    (void)json_object_set_new(object, "code", number_of(problem->exit_code));
    (void)json_object_set_new(object, "text", text_of(problem->text));
    dump_line(object, out);
}

void lh_json_result(const struct lhcp_result *result, FILE *out)
{
    json_t *object = json_object();

    (void)json_object_set_new(object, "type", json_string("summary"));
    (void)json_object_set_new(object, "complete", json_boolean(result->exit_code == 0));
    (void)json_object_set_new(object, "error_code", number_of(result->exit_code));
    (void)json_object_set_new(object, "error", text_of(result->text));
    (void)json_object_set_new(object, "resumable", json_boolean(result->resumable));
    (void)json_object_set_new(object, "udp_note", text_of(result->udp_note));
    (void)json_object_set_new(object, "cipher", text_of(result->cipher));
    (void)json_object_set_new(object, "peer_version", text_of(result->peer_version));
    (void)json_object_set_new(object, "bottleneck",
                              json_string(lh_bottleneck_name(lh_held_bottleneck(&result->held))));
    json_t *held = json_object();
    for (int i = 0; i < LH_BOTTLENECK_N_; i++)
        (void)json_object_set_new(
            held, i == LH_BOTTLENECK_NONE ? "idle" : lh_bottleneck_name((enum lh_bottleneck)i),
            number_of(result->held.time[i] / LH_MS));
    (void)json_object_set_new(object, "held_ms", held);
    add_figures(object, &result->status);
    dump_line(object, out);
}
