// SPDX-License-Identifier: Apache-2.0
#include <inttypes.h>
#include <string.h>

#include "base/math.h"
#include "base/text.h"
#include "cmd/progress.h"

static const char *plural(uint64_t count)
{
    return count == 1 ? "" : "s";
}

static void print_way(const struct lhcp_result *result, FILE *out)
{
    const struct lhcp_status *status = &result->status;
    char note[LH_ERRINFO_TEXT * 4];
    char udp[24];
    char ssh[24];

    if (status->bytes_udp == 0 && status->bytes_ssh == 0)
        return;
    (void)fprintf(out, "  way: %s over UDP%s%s%s, %s over SSH",
                  lh_format_bytes(status->bytes_udp, udp, sizeof udp),
                  result->cipher[0] != '\0' ? " (" : "", result->cipher,
                  result->cipher[0] != '\0' ? ")" : "",
                  lh_format_bytes(status->bytes_ssh, ssh, sizeof ssh));
    if (result->udp_note[0] != '\0')
        (void)fprintf(out, " (%s)",
                      lh_escape(result->udp_note, strlen(result->udp_note), note, sizeof note));
    (void)fputc('\n', out);
}

// Which of them held the data back longest, and next to that, as far as it is worth a word: a line
// of a terminal has room for two.
static void print_bottleneck(const struct lhcp_result *result, FILE *out)
{
    static const char *const names[LH_BOTTLENECK_NONE] = {
        [LH_BOTTLENECK_NETWORK] = "the network",
        [LH_BOTTLENECK_POLICY] = "the target rate or policy",
        [LH_BOTTLENECK_SENDER_DISK] = "the sender's disk",
        [LH_BOTTLENECK_RECEIVER_DISK] = "the receiver's disk",
        [LH_BOTTLENECK_CPU] = "the processor",
        [LH_BOTTLENECK_WINDOW] = "the window (memory)",
    };
    const lh_ns *time = result->held.time;
    enum lh_bottleneck first = lh_held_bottleneck(&result->held);
    lh_ns whole = 0;

    if (first == LH_BOTTLENECK_NONE)
        return;
    for (size_t i = 0; i < LH_BOTTLENECK_N_; i++)
        whole = lh_add_sat(whole, time[i]);
    enum lh_bottleneck second = LH_BOTTLENECK_NONE;
    for (size_t i = 0; i < LH_BOTTLENECK_NONE; i++) {
        bool is_longer = second == LH_BOTTLENECK_NONE || time[i] > time[second];
        if (i != first && time[i] >= whole / 10 && is_longer)
            second = (enum lh_bottleneck)i;
    }
    (void)fprintf(out, "  held back by: %s (%u %%)", names[first],
                  (unsigned)lh_muldiv(time[first], 100, whole));
    if (second != LH_BOTTLENECK_NONE)
        (void)fprintf(out, ", %s (%u %%)", names[second],
                      (unsigned)lh_muldiv(time[second], 100, whole));
    (void)fputc('\n', out);
}

void lh_summary_print(const struct lhcp_result *result, unsigned verbose, FILE *out)
{
    const struct lhcp_status *status = &result->status;
    uint64_t micros = LH_MAX(status->elapsed / LH_US, (lh_ns)1);
    uint64_t rate = lh_muldiv(status->bytes_sent, 8 * (uint64_t)1000000, micros);
    char bytes[24];
    char sent[24];
    char again[24];
    char time[24];
    char speed[24];

    (void)fprintf(out, "%" PRIu64 " file%s (%s) in place and verified", status->files_done,
                  plural(status->files_done),
                  lh_format_bytes(status->bytes_verified, bytes, sizeof bytes));
    if (status->files_skipped > 0)
        (void)fprintf(out, ", %" PRIu64 " of them unchanged", status->files_skipped);
    (void)fprintf(out, ", in %s\n", lh_format_duration(status->elapsed, time, sizeof time));
    (void)fprintf(out, "  sent: %s, %s", lh_format_bytes(status->bytes_sent, sent, sizeof sent),
                  lh_format_rate(rate, speed, sizeof speed));
    if (status->bytes_retransmitted > 0)
        (void)fprintf(out, "; %s sent again after loss",
                      lh_format_bytes(status->bytes_retransmitted, again, sizeof again));
    if (status->retries > 0)
        (void)fprintf(out, "; connected again %u time%s", status->retries, plural(status->retries));
    (void)fputc('\n', out);
    print_way(result, out);
    print_bottleneck(result, out);
    if (status->brakes > 0)
        (void)fprintf(out,
                      "  The way did not carry the target rate: policy fixed slowed down %u "
                      "time%s.\n",
                      status->brakes, plural(status->brakes));
    if (status->files_failed > 0)
        (void)fprintf(out, "  failed: %" PRIu64 " file%s (named above)\n", status->files_failed,
                      plural(status->files_failed));
    if (result->exit_code != 0 && result->resumable)
        (void)fprintf(out, "  The same command again goes on from here.\n");
    if (verbose > 0)
        (void)fprintf(out,
                      "  Verified: every file by XXH3-128 against the sender's digest. Resume is "
                      "proved against kill -9;\n  power cuts: not yet proved.\n");
}

void lh_summary_print_dry(const struct lhcp_result *result, FILE *out)
{
    const struct lhcp_status *status = &result->status;
    uint64_t left = status->files_skipped + status->files_failed;
    char bytes[24];

    (void)fprintf(out,
                  "Nothing was changed. Of %" PRIu64 " file%s (%s), %" PRIu64 " would be sent or "
                  "compared, %" PRIu64 " are unchanged, %" PRIu64 " cannot be sent.\n",
                  status->files_total, plural(status->files_total),
                  lh_format_bytes(status->bytes_total, bytes, sizeof bytes),
                  lh_sub_sat(status->files_total, left), status->files_skipped,
                  status->files_failed);
}
