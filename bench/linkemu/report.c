// SPDX-License-Identifier: Apache-2.0
#include "bench/linkemu/report.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <sys/resource.h>

#include "sys/clock.h"

static void write_counts(FILE *out, const char *name, const struct lh_emu_count *counts)
{
    static const char *const names[LH_EMU_PROTOCOLS_] = {"tcp", "udp", "other"};
    struct lh_emu_count total = {0};
    fprintf(out, "\"%s\": {", name);
    for (int i = 0; i < LH_EMU_PROTOCOLS_; i++) {
        fprintf(out, "\"%s\": {\"packets\": %llu, \"bytes\": %llu}, ", names[i],
                (unsigned long long)counts[i].packets, (unsigned long long)counts[i].bytes);
        total.packets += counts[i].packets;
        total.bytes += counts[i].bytes;
    }
    fprintf(out, "\"packets\": %llu, \"bytes\": %llu},\n", (unsigned long long)total.packets,
            (unsigned long long)total.bytes);
}

static void write_drops(FILE *out,
                        const struct lh_emu_path *path,
                        const struct lh_emu_end *from,
                        const struct lh_emu_end *to)
{
    const struct {
        const char *name;
        uint64_t value;
    } drops[] = {
        {"loss", path->fates[LH_EMU_DROP_LOSS]},
        {"queue", path->fates[LH_EMU_DROP_QUEUE]},
        {"outage", path->fates[LH_EMU_DROP_OUTAGE]},
        {"udp_block", path->fates[LH_EMU_DROP_UDP]},
        {"mtu_hole", path->fates[LH_EMU_DROP_HOLE]},
        {"emulator_full", path->dropped_full.packets},
        {"emulator_slow", lh_emu_end_drops(from).tx},
        {"receiver_refused", lh_emu_end_drops(to).rx},
        {"malformed", path->malformed},
        {"write_errors", path->write_errors},
    };
    fprintf(out, "    \"drops\": {");
    for (size_t i = 0; i < sizeof drops / sizeof *drops; i++)
        fprintf(out, "%s\"%s\": %llu", i > 0 ? ", " : "", drops[i].name,
                (unsigned long long)drops[i].value);
    fprintf(out, "},\n");
}

static void write_path(FILE *out,
                       const char *name,
                       const struct lh_emu_path *path,
                       const struct lh_emu_end *from,
                       const struct lh_emu_end *to)
{
    fprintf(out, "  \"%s\": {\n    ", name);
    write_counts(out, "offered", path->offered);
    fprintf(out, "    ");
    write_counts(out, "forwarded", path->forwarded);
    write_drops(out, path, from, to);
    fprintf(out,
            "    \"corrupted\": %llu, \"corrupted_hidden\": %llu, \"duplicated\": %llu, "
            "\"reordered\": %llu, \"marked_ce\": %llu,\n",
            (unsigned long long)path->corrupted, (unsigned long long)path->corrupted_hidden,
            (unsigned long long)path->duplicated, (unsigned long long)path->reordered,
            (unsigned long long)path->marked_ce);
    fprintf(out, "    \"queue_peak_bytes\": %llu, \"frames_in\": %llu, \"frames_out\": %llu,\n",
            (unsigned long long)path->link.queue_peak, (unsigned long long)path->frames_in,
            (unsigned long long)path->frames_out);
    fprintf(out, "    \"queue_waits\": [");
    for (size_t i = 0; i < LH_EMU_WAITS; i++)
        fprintf(out, "%s%llu", i > 0 ? "," : "", (unsigned long long)path->link.waits[i]);
    fprintf(out, "],\n    \"lateness_us\": {\"p50\": %.1f, \"p99\": %.1f, \"max\": %.1f}\n  },\n",
            (double)lh_emu_histogram_at(&path->late, 500) / 1000,
            (double)lh_emu_histogram_at(&path->late, 990) / 1000, (double)path->late.max / 1000);
}

static void write_all(FILE *out, const struct lh_emu_report *report)
{
    struct rusage usage;
    double seconds = 0;
    if (getrusage(RUSAGE_SELF, &usage) == 0)
        seconds = (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
                  (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
    fprintf(out, "{\n  \"seed\": %llu,\n", (unsigned long long)report->seed);
    write_path(out, "ab", report->ab, report->a, report->b);
    write_path(out, "ba", report->ba, report->b, report->a);
    fprintf(out, "  \"udp_offload\": %s,\n  \"cpu_seconds\": %.3f,\n  \"seconds\": %.3f\n}\n",
            report->a->has_uso ? "true" : "false", seconds,
            (double)(lh_clock_now() - report->started) / 1e9);
}

lh_err
lh_emu_report_write(const struct lh_emu_report *report, const char *path, struct lh_errinfo *info)
{
    char partial[PATH_MAX];
    int len = snprintf(partial, sizeof partial, "%s.new", path);
    if (len < 0 || (size_t)len >= sizeof partial)
        return lh_fail(info, LH_E_INVALID, 0, "%s: the path is too long", path);
    FILE *out = fopen(partial, "we");
    if (out == NULL)
        return lh_fail_errno(info, errno, 0, "cannot write %s", partial);
    write_all(out, report);
    bool failed = ferror(out) != 0;
    failed |= fclose(out) != 0;
    if (failed || rename(partial, path) < 0)
        return lh_fail_errno(info, errno, 0, "cannot write %s", path);
    return 0;
}
