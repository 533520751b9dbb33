// SPDX-License-Identifier: Apache-2.0
//
// linkemu: a wide-area link between two network namespaces of this machine, for real sockets.
//
// How it works
//
// Two TUN devices, one in each namespace; one thread that reads packets from either, keeps them for
// as long as the link would, and writes them to the other. The files here, bottom up:
//     link.c    what happens to a packet (pure, virtual time)
//     frame.c   packets in super-packets: cutting, merging, checksums (pure)
//     queue.c   what is under way
//     path.c    one direction: read, decide, deliver, count
//     spec.c    "rate=1g,delay=50ms"
//     tun.c     namespaces and devices
//     report.c  counters as JSON
//
// Time. Each packet has an exact time of delivery. Under load the loop wakes once a tick (250 us by
// default, less on short links) and delivers what has become due: packets are late by half a tick
// on average, never early, and order and rate are exact over any longer time. Lateness is measured
// and reported; a run in which it is large, or in which emulator_full or emulator_slow count
// anything, is worth nothing.
//
// DIR holds what scripts need: ns-a and ns-b (for nsenter --net=DIR/ns-a), control (a FIFO that
// takes "ab|ba|both SPEC", "stats [FILE]", "on-time" (forget lateness) and "quit" by the line),
// stats.json, and at last ready.
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/math.h"
#include "base/text.h"
#include "bench/linkemu/path.h"
#include "bench/linkemu/report.h"
#include "bench/linkemu/spec.h"
#include "bench/linkemu/tun.h"
#include "sys/clock.h"

#define READ_BATCH   256 // frames of one direction before the other has its turn
#define CONTROL_LINE 512

struct options {
    const char *dir;
    struct lh_emu_params params[2]; // a to b, b to a
    struct lh_emu_end_options ends[2];
    uint64_t seed;
    lh_ns tick; // 0 = by the delay
    bool coalesce;
    bool realtime;
};

struct emulator {
    struct options options;
    struct lh_emu_end ends[2];
    struct lh_emu_path paths[2]; // 0: a to b, 1: b to a
    int signal_fd;
    int control_fd;
    lh_ns started;
    lh_ns tick;
    bool quit;
    char line[CONTROL_LINE]; // of the control FIFO, so far
    size_t line_len;
};

enum option_id {
    OPT_DIR = 256,
    OPT_AB,
    OPT_BA,
    OPT_BOTH,
    OPT_SEED,
    OPT_MTU,
    OPT_TICK,
    OPT_NS_A,
    OPT_NS_B,
    OPT_NO_OFFLOAD,
    OPT_NO_COALESCE,
    OPT_NO_REALTIME,
    OPT_HELP
};

static const struct option long_options[] = {
    {"dir", required_argument, NULL, OPT_DIR},
    {"ab", required_argument, NULL, OPT_AB},
    {"ba", required_argument, NULL, OPT_BA},
    {"both", required_argument, NULL, OPT_BOTH},
    {"seed", required_argument, NULL, OPT_SEED},
    {"mtu", required_argument, NULL, OPT_MTU},
    {"tick-us", required_argument, NULL, OPT_TICK},
    {"ns-a", required_argument, NULL, OPT_NS_A},
    {"ns-b", required_argument, NULL, OPT_NS_B},
    {"no-offload", no_argument, NULL, OPT_NO_OFFLOAD},
    {"no-coalesce", no_argument, NULL, OPT_NO_COALESCE},
    {"no-realtime", no_argument, NULL, OPT_NO_REALTIME},
    {"help", no_argument, NULL, OPT_HELP},
    {0},
};

static void print_help(void)
{
    puts("usage: linkemu --dir DIR [--both SPEC] [--ab SPEC] [--ba SPEC] [OPTION...]\n"
         "  --seed N         of all random decisions (1)\n"
         "  --mtu N          of both devices (1500)\n"
         "  --ns-a PATH      an existing namespace for end a (10.99.0.1, fd99::1); else a new one\n"
         "  --ns-b PATH      for end b (10.99.0.2, fd99::2)\n"
         "  --tick-us N      wake at most so often under load\n"
         "  --no-offload     let the kernel cut super-packets before they come\n"
         "  --no-coalesce    write every packet by itself\n"
         "  --no-realtime    no real-time priority\n"
         "SPEC is a list of these, separated by commas:");
    for (size_t i = 0; lh_emu_spec_help(i) != NULL; i++)
        printf("  %s\n", lh_emu_spec_help(i));
}

static lh_err apply_spec(struct lh_emu_params *ab,
                         struct lh_emu_params *ba,
                         const char *spec,
                         struct lh_errinfo *info)
{
    lh_err err = ab != NULL ? lh_emu_spec_apply(ab, spec, info) : 0;
    if (err == 0 && ba != NULL)
        err = lh_emu_spec_apply(ba, spec, info);
    return err;
}

static lh_err parse_option(struct options *options, int id, struct lh_errinfo *info)
{
    struct lh_emu_params *params = options->params;
    uint64_t number = 0;
    lh_err err = 0;
    switch (id) {
    case OPT_DIR:
        options->dir = optarg;
        break;
    case OPT_AB:
        return apply_spec(&params[0], NULL, optarg, info);
    case OPT_BA:
        return apply_spec(NULL, &params[1], optarg, info);
    case OPT_BOTH:
        return apply_spec(&params[0], &params[1], optarg, info);
    case OPT_SEED:
        err = lh_parse_number(optarg, 0, UINT64_MAX, &options->seed);
        break;
    case OPT_MTU:
        err = lh_parse_number(optarg, 576, 65000, &number);
        options->ends[0].mtu = options->ends[1].mtu = (uint32_t)number;
        break;
    case OPT_TICK:
        err = lh_parse_number(optarg, 1, 100000, &number);
        options->tick = number * LH_US;
        break;
    case OPT_NS_A:
    case OPT_NS_B:
        options->ends[id - OPT_NS_A].ns_path = optarg;
        break;
    case OPT_NO_OFFLOAD:
        options->ends[0].offload = options->ends[1].offload = false;
        break;
    case OPT_NO_COALESCE:
        options->coalesce = false;
        break;
    case OPT_NO_REALTIME:
        options->realtime = false;
        break;
    default:
        return lh_fail(info, LH_E_INVALID, 0, "see linkemu --help");
    }
    return err == 0 ? 0 : lh_fail(info, err, 0, "'%s': not a number in range", optarg);
}

static lh_err parse_options(struct options *options, int argc, char **argv, struct lh_errinfo *info)
{
    for (;;) {
        int id = getopt_long(argc, argv, "", long_options, NULL);
        if (id < 0)
            break;
        if (id == OPT_HELP) {
            print_help();
            exit(0);
        }
        lh_err err = parse_option(options, id, info);
        if (err != 0)
            return err;
    }
    if (optind != argc || options->dir == NULL)
        return lh_fail(info, LH_E_INVALID, 0, "--dir is needed; see linkemu --help");
    return 0;
}

// Makes the parameters those of the link, and sizes what depends on them.
static void apply_params(struct emulator *emulator)
{
    struct options *options = &emulator->options;
    lh_ns round_trip = options->params[0].delay + options->params[1].delay;
    emulator->tick = options->tick;
    if (emulator->tick == 0)
        emulator->tick = LH_CLAMP(round_trip / 40, 50 * LH_US, 250 * LH_US);
    for (int i = 0; i < 2; i++) {
        const struct lh_emu_params *params = &options->params[i];
        struct lh_emu_path *path = &emulator->paths[i];
        lh_emu_link_change(&path->link, params, round_trip);
        uint64_t rate = params->rate_bps == 0 ? 20000000000u : params->rate_bps;
        lh_ns longest = params->delay + params->jitter + params->reorder_by + 20 * LH_MS;
        uint64_t queue = params->rate_bps == 0 ? 0 : path->link.queue_limit;
        uint64_t bytes = lh_muldiv(rate / 8, longest, LH_SECOND) + queue;
        // A frame stays whole while one of its packets is under way, so losses need room too.
        lh_emu_queue_size(&path->queue, 2 * bytes + (32u << 20));
    }
}

static lh_err open_link(struct emulator *emulator, struct lh_errinfo *info)
{
    struct options *options = &emulator->options;
    for (int i = 0; i < 2; i++) {
        lh_err err = lh_emu_end_open(&emulator->ends[i], &options->ends[i], info);
        if (err != 0)
            return err;
    }
    emulator->started = lh_clock_now();
    for (int i = 0; i < 2; i++) {
        struct lh_emu_path *path = &emulator->paths[i];
        if (!lh_emu_queue_init(&path->queue))
            return lh_fail_errno(info, errno, 0, "no memory");
        lh_emu_link_init(&path->link, &options->params[i], 0, options->seed * 2 + (uint64_t)i,
                         emulator->started);
        path->in_fd = emulator->ends[i].tun_fd;
        path->out_fd = emulator->ends[1 - i].tun_fd;
        path->coalesce = options->coalesce;
        path->coalesce_udp = options->coalesce && emulator->ends[1 - i].has_uso;
    }
    apply_params(emulator);
    return 0;
}

static lh_err in_dir(const struct emulator *emulator,
                     const char *name,
                     char *out,
                     size_t room,
                     struct lh_errinfo *info)
{
    int len = snprintf(out, room, "%s/%s", emulator->options.dir, name);
    if (len < 0 || (size_t)len >= room)
        return lh_fail(info, LH_E_INVALID, 0, "--dir is too long");
    return 0;
}

static lh_err publish(struct emulator *emulator, struct lh_errinfo *info)
{
    static const char *const names[] = {"ns-a", "ns-b"};
    char path[PATH_MAX], target[64];
    for (int i = 0; i < 2; i++) {
        lh_err err = in_dir(emulator, names[i], path, sizeof path, info);
        if (err != 0)
            return err;
        snprintf(target, sizeof target, "/proc/%d/fd/%d", (int)getpid(), emulator->ends[i].ns_fd);
        if ((unlink(path) < 0 && errno != ENOENT) || symlink(target, path) < 0)
            return lh_fail_errno(info, errno, 0, "cannot make %s", path);
    }
    lh_err err = in_dir(emulator, "control", path, sizeof path, info);
    if (err != 0)
        return err;
    if (mkfifo(path, 0600) < 0 && errno != EEXIST)
        return lh_fail_errno(info, errno, 0, "cannot make %s", path);
    emulator->control_fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (emulator->control_fd < 0)
        return lh_fail_errno(info, errno, 0, "cannot open %s", path);
    err = in_dir(emulator, "ready", path, sizeof path, info);
    if (err != 0)
        return err;
    FILE *ready = fopen(path, "we");
    if (ready == NULL)
        return lh_fail_errno(info, errno, 0, "cannot write %s", path);
    fprintf(ready, "%d\n", (int)getpid());
    fclose(ready);
    return 0;
}

static void write_stats(struct emulator *emulator, const char *where)
{
    struct lh_errinfo info = {0};
    char path[PATH_MAX];
    const struct lh_emu_report report = {
        .ab = &emulator->paths[0],
        .ba = &emulator->paths[1],
        .a = &emulator->ends[0],
        .b = &emulator->ends[1],
        .seed = emulator->options.seed,
        .started = emulator->started,
    };
    lh_err err = 0;
    if (where == NULL) {
        err = in_dir(emulator, "stats.json", path, sizeof path, &info);
        where = path;
    }
    if (err == 0)
        err = lh_emu_report_write(&report, where, &info);
    if (err != 0)
        fprintf(stderr, "linkemu: %s\n", info.text);
}

// What was late so far is forgotten: one long measurement does not spoil the next one's figures.
static void forget_lateness(struct emulator *emulator)
{
    for (size_t i = 0; i < 2; i++)
        emulator->paths[i].late = (struct lh_emu_histogram){.total = 0};
}

static void obey(struct emulator *emulator, char *line)
{
    struct lh_errinfo info = {0};
    struct lh_emu_params *params = emulator->options.params;
    char *argument = strchr(line, ' ');
    if (argument != NULL)
        *argument++ = '\0';
    lh_err err = 0;
    if (strcmp(line, "quit") == 0)
        emulator->quit = true;
    else if (strcmp(line, "stats") == 0)
        write_stats(emulator, argument);
    else if (strcmp(line, "on-time") == 0)
        forget_lateness(emulator);
    else if (argument != NULL && strcmp(line, "both") == 0)
        err = apply_spec(&params[0], &params[1], argument, &info);
    else if (argument != NULL && strcmp(line, "ab") == 0)
        err = apply_spec(&params[0], NULL, argument, &info);
    else if (argument != NULL && strcmp(line, "ba") == 0)
        err = apply_spec(NULL, &params[1], argument, &info);
    else
        err = lh_fail(&info, LH_E_INVALID, 0, "'%s': not a command", line);
    if (err != 0)
        fprintf(stderr, "linkemu: %s\n", info.text);
    apply_params(emulator);
}

static void read_control(struct emulator *emulator)
{
    char byte;
    while (read(emulator->control_fd, &byte, 1) == 1) {
        if (byte != '\n') {
            if (emulator->line_len + 1 < sizeof emulator->line)
                emulator->line[emulator->line_len++] = byte;
            continue;
        }
        emulator->line[emulator->line_len] = '\0';
        emulator->line_len = 0;
        obey(emulator, emulator->line);
    }
}

static void read_signal(struct emulator *emulator)
{
    struct signalfd_siginfo got;
    while (read(emulator->signal_fd, &got, sizeof got) == (ssize_t)sizeof got) {
        if (got.ssi_signo == SIGUSR1)
            write_stats(emulator, NULL);
        else
            emulator->quit = true;
    }
}

// Sleeps until `until`, a signal or a command; with `devices`, until a packet as well.
static void wait_for_work(struct emulator *emulator, lh_ns until, bool devices)
{
    struct pollfd fds[4] = {
        {.fd = emulator->signal_fd, .events = POLLIN},
        {.fd = emulator->control_fd, .events = POLLIN},
        {.fd = emulator->ends[0].tun_fd, .events = POLLIN},
        {.fd = emulator->ends[1].tun_fd, .events = POLLIN},
    };
    lh_ns left = lh_ns_since(until, lh_clock_now());
    struct timespec timeout = {
        .tv_sec = (time_t)(left / LH_SECOND),
        .tv_nsec = (long)(left % LH_SECOND),
    };
    if (ppoll(fds, devices ? 4 : 2, until == LH_NEVER ? NULL : &timeout, NULL) <= 0)
        return;
    if (fds[0].revents != 0)
        read_signal(emulator);
    if (fds[1].revents != 0)
        read_control(emulator);
}

static void run(struct emulator *emulator)
{
    struct lh_emu_path *ab = &emulator->paths[0], *ba = &emulator->paths[1];
    while (!emulator->quit) {
        lh_ns began = lh_clock_now();
        uint32_t most = 0, work = 0;
        for (int i = 0; i < 2; i++) {
            uint32_t frames = lh_emu_path_read(&emulator->paths[i], READ_BATCH);
            most = LH_MAX(most, frames);
            work += frames + lh_emu_path_deliver(&emulator->paths[i]);
        }
        if (most == READ_BATCH)
            continue;
        lh_ns next = lh_ns_min(lh_emu_path_next(ab), lh_emu_path_next(ba));
        if (work > 0)
            wait_for_work(emulator, began + emulator->tick, false);
        else
            wait_for_work(emulator, next, true);
    }
}

// Late packets are a false measurement: ask for the CPU before the programs under test.
static void raise_priority(bool realtime)
{
    struct sched_param param = {.sched_priority = 1};
    prctl(PR_SET_TIMERSLACK, 1ul);
    if (!realtime)
        return;
    if (sched_setscheduler(0, SCHED_RR | SCHED_RESET_ON_FORK, &param) < 0 &&
        setpriority(PRIO_PROCESS, 0, -20) < 0)
        fprintf(stderr, "linkemu: no priority; see the lateness in the report\n");
}

static int open_signals(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGHUP);
    sigaddset(&set, SIGUSR1);
    sigprocmask(SIG_BLOCK, &set, NULL);
    return signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
}

int main(int argc, char **argv)
{
    static struct emulator emulator = {
        .options =
            {
                .ends = {{.ipv4 = "10.99.0.1", .ipv6 = "fd99::1", .mtu = 1500, .offload = true},
                         {.ipv4 = "10.99.0.2", .ipv6 = "fd99::2", .mtu = 1500, .offload = true}},
                .seed = 1,
                .coalesce = true,
                .realtime = true,
            },
    };
    struct lh_errinfo info = {0};
    lh_err err = parse_options(&emulator.options, argc, argv, &info);
    prctl(PR_SET_PDEATHSIG, SIGTERM); // no namespaces left behind by a script that was killed
    emulator.signal_fd = open_signals();
    if (err == 0)
        err = open_link(&emulator, &info);
    if (err == 0)
        err = publish(&emulator, &info);
    if (err != 0) {
        fprintf(stderr, "linkemu: %s\n", info.text);
        return 1;
    }
    raise_priority(emulator.options.realtime);
    run(&emulator);
    write_stats(&emulator, NULL);
    return 0;
}
