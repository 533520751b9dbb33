// SPDX-License-Identifier: Apache-2.0
//
// How it works. Both ends note, turn by turn of the loop, what keeps data from flowing. Time spent
// asleep goes to the cause noted before; but a program that is hardly ever asleep is held back by
// the processor, whatever it waits for in the moments between. So each step of 600 ms goes to the
// processor as a whole
//   - if one of our threads was running, or ready and waiting for a processor, for most of it (the
//     kernel counts both, in schedstat; CPU time alone would miss a machine that is busy with
//     something else), or
//   - if the processors that we may use had no time left and we wanted a good part of it: then
//     threads wait for each other, sender and receiver on one machine too, and none of them seems
//     busy by itself.
//
// A step in which the source ran dry, or the window was shut, was theirs also while the last of it
// was paced out: the path has carried all that it was given.
//
// Joining both ends: only the sender knows whether network, policy or window holds it; only the
// receiver knows why its window is shut. What the sender waited for the window, the receiver's disk
// takes as far as blocks waited there to be written; the rest is the window: too little memory for
// the path. A receiver that has no processor time to spare shows at the sender as loss or a shut
// window, so its time is taken from those two.
#include "run/held.h"

#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/math.h"
#include "base/text.h"

#define BUSY_PERCENT     85            // of a step, one thread: the processor's
#define OURS_PERCENT     40            // of a step, all threads, where the machine is full
#define FULL_PERCENT     90            // of the processors that we may use
#define DRY_PERCENT      5             // of a step
#define KNOWN_PERCENT    25            // of the time must have a cause for one to be named
#define MACHINE_TEXT_MAX 16384         // of /proc/stat: a line a processor comes first
#define KNOWN_MIN        (500 * LH_MS) // in all

// --- Processor time ------------------------------------------------------------------------------

static bool read_text(int dir_fd, const char *name, char *out, size_t room)
{
    int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    ssize_t len = read(fd, out, room - 1);
    (void)close(fd);
    out[len > 0 ? len : 0] = '\0';
    return len > 0;
}

static struct lh_held_thread *find_thread(struct lh_held *held, uint32_t id)
{
    struct lh_held_thread *unused = NULL;
    for (size_t i = 0; i < LH_HELD_THREADS; i++) {
        if (held->threads[i].id == id)
            return &held->threads[i];
        if (held->threads[i].id == 0)
            unused = &held->threads[i];
    }
    if (unused != NULL)
        *unused = (struct lh_held_thread){.id = id, .busy = UINT64_MAX}; // no difference yet
    return unused;
}

// Busy time of the busiest thread and of all since the last call, in nanoseconds; 0 where the
// kernel does not tell.
static void read_threads(struct lh_held *held, uint64_t *out_most, uint64_t *out_sum)
{
    DIR *dir = opendir("/proc/self/task");
    *out_most = *out_sum = 0;
    for (size_t i = 0; i < LH_HELD_THREADS; i++)
        held->threads[i].is_seen = false;
    for (struct dirent *entry; dir != NULL && (entry = readdir(dir)) != NULL;) {
        char name[64], text[96];
        unsigned long long ran = 0, waited = 0;
        uint64_t id;
        (void)snprintf(name, sizeof name, "%.20s/schedstat", entry->d_name);
        struct lh_held_thread *thread = lh_parse_number(entry->d_name, 1, UINT32_MAX, &id) == 0
                                            ? find_thread(held, (uint32_t)id)
                                            : NULL;
        if (thread == NULL || !read_text(dirfd(dir), name, text, sizeof text) ||
            sscanf(text, "%llu %llu", &ran, &waited) != 2)
            continue;
        uint64_t busy = lh_sub_sat(ran + waited, thread->busy);
        thread->busy = ran + waited;
        thread->is_seen = true;
        *out_most = LH_MAX(*out_most, busy);
        *out_sum += busy;
    }
    for (size_t i = 0; i < LH_HELD_THREADS; i++) {
        if (!held->threads[i].is_seen)
            held->threads[i].id = 0;
    }
    if (dir != NULL)
        (void)closedir(dir);
}

// Adds one processor's line of /proc/stat, where it is one of ours: "cpu3 17 0 ...".
static void add_processor(const char *line, const cpu_set_t *ours, uint64_t *all, uint64_t *idle)
{
    unsigned number;
    unsigned long long ticks[8] = {0};
    if (sscanf(line, "cpu%u %llu %llu %llu %llu %llu %llu %llu %llu", &number, &ticks[0], &ticks[1],
               &ticks[2], &ticks[3], &ticks[4], &ticks[5], &ticks[6], &ticks[7]) != 9 ||
        number >= CPU_SETSIZE || !CPU_ISSET(number, ours))
        return;
    for (size_t i = 0; i < sizeof ticks / sizeof *ticks; i++)
        *all += ticks[i];
    *idle += ticks[3] + ticks[4]; // idle, and idle while a disk works
}

// Have the processors that we may run on been busy since the last call?
static bool read_machine(struct lh_held *held)
{
    char text[MACHINE_TEXT_MAX];
    uint64_t all = 0, idle = 0;
    cpu_set_t ours;
    ssize_t len = held->machine_fd < 0 ? -1 : pread(held->machine_fd, text, sizeof text - 1, 0);
    if (len <= 0 || sched_getaffinity(0, sizeof ours, &ours) != 0)
        return false;
    text[len] = '\0';
    char *rest = text;
    for (char *line; (line = strsep(&rest, "\n")) != NULL;)
        add_processor(line, &ours, &all, &idle);
    uint64_t passed = lh_sub_sat(all, held->machine_all);
    uint64_t idled = lh_sub_sat(idle, held->machine_idle);
    held->machine_all = all;
    held->machine_idle = idle;
    return passed > 0 && idled <= passed * (100 - FULL_PERCENT) / 100;
}

void lh_held_init(struct lh_held *held, lh_ns now)
{
    uint64_t most, sum;
    *held = (struct lh_held){.accounted = now, .cause = LH_HELD_IDLE, .step_began = now};
    held->machine_fd = open("/proc/stat", O_RDONLY | O_CLOEXEC);
    read_threads(held, &most, &sum);
    (void)read_machine(held);
}

void lh_held_fini(struct lh_held *held)
{
    if (held->machine_fd >= 0)
        (void)close(held->machine_fd);
    held->machine_fd = -1;
}

// --- One end -------------------------------------------------------------------------------------

static void blame_the_dry(lh_ns *waited, lh_ns whole)
{
    enum lh_held_cause cause =
        waited[LH_HELD_DISK] > waited[LH_HELD_WINDOW] ? LH_HELD_DISK : LH_HELD_WINDOW;
    if (waited[cause] < whole / 100 * DRY_PERCENT)
        return;
    waited[cause] += waited[LH_HELD_NETWORK];
    waited[LH_HELD_NETWORK] = 0;
    if (cause == LH_HELD_DISK) {
        waited[cause] += waited[LH_HELD_POLICY];
        waited[LH_HELD_POLICY] = 0;
    }
}

static void end_step(struct lh_held *held, lh_ns now)
{
    lh_ns whole = now - held->step_began;
    bool is_full = read_machine(held);
    uint64_t most, sum;
    read_threads(held, &most, &sum);
    bool is_busy =
        most >= whole / 100 * BUSY_PERCENT || (is_full && sum >= whole / 100 * OURS_PERCENT);
    bool is_idle = held->step_waited[LH_HELD_IDLE] > whole / 2;

    blame_the_dry(held->step_waited, whole);
    for (int i = 0; i < LH_HELD_N_; i++) {
        held->total[is_busy && !is_idle ? LH_HELD_CPU : i] += held->step_waited[i];
        held->step_waited[i] = 0;
    }
    held->step_began = now;
}

void lh_held_note(struct lh_held *held, enum lh_held_cause cause, lh_ns now)
{
    LH_DASSERT(cause < LH_HELD_N_);
    held->step_waited[held->cause] += lh_ns_since(now, held->accounted);
    held->accounted = LH_MAX(held->accounted, now);
    held->cause = cause;
    if (now >= held->step_began + LH_HELD_STEP)
        end_step(held, now);
}

void lh_held_say(const struct lh_held *held, struct lh_msg_held *out_said)
{
    uint64_t *const out[LH_HELD_N_] = {
        [LH_HELD_NETWORK] = &out_said->network, [LH_HELD_POLICY] = &out_said->policy,
        [LH_HELD_WINDOW] = &out_said->window,   [LH_HELD_DISK] = &out_said->disk,
        [LH_HELD_CPU] = &out_said->cpu,         [LH_HELD_IDLE] = &out_said->idle,
    };
    for (int i = 0; i < LH_HELD_N_; i++)
        *out[i] = (held->total[i] + held->step_waited[i]) / LH_US;
}

// --- Both ends -----------------------------------------------------------------------------------

// Moves at most `most` from one to the other and gives what is left of it.
static uint64_t move(uint64_t *from, uint64_t *to, uint64_t most)
{
    uint64_t part = LH_MIN(*from, most);
    *from -= part;
    *to += part;
    return most - part;
}

static void add(struct lh_held_shares *shares, enum lh_bottleneck which, uint64_t micros)
{
    shares->time[which] = lh_add_sat(shares->time[which], micros * LH_US);
}

void lh_held_join(struct lh_held_shares *shares,
                  const struct lh_msg_held *sender,
                  const struct lh_msg_held *receiver)
{
    struct lh_msg_held left = *sender;
    uint64_t receiver_disk = 0;
    // The peer may say anything: sums must not wrap.
    const uint64_t most = UINT64_MAX / LH_US / 1024;
    uint64_t *const numbers[] = {&left.network, &left.policy, &left.window,
                                 &left.disk,    &left.cpu,    &left.idle};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        *numbers[i] = LH_MIN(*numbers[i], most);

    (void)move(&left.window, &receiver_disk, receiver->disk);
    (void)move(&left.network, &left.cpu, move(&left.window, &left.cpu, receiver->cpu));
    add(shares, LH_BOTTLENECK_NETWORK, left.network);
    add(shares, LH_BOTTLENECK_POLICY, left.policy);
    add(shares, LH_BOTTLENECK_SENDER_DISK, left.disk);
    add(shares, LH_BOTTLENECK_RECEIVER_DISK, receiver_disk);
    add(shares, LH_BOTTLENECK_CPU, left.cpu);
    add(shares, LH_BOTTLENECK_WINDOW, left.window);
    add(shares, LH_BOTTLENECK_NONE, left.idle);
}

enum lh_bottleneck lh_held_bottleneck(const struct lh_held_shares *shares)
{
    enum lh_bottleneck longest = LH_BOTTLENECK_NETWORK;
    lh_ns known = 0;
    for (int i = 0; i < LH_BOTTLENECK_NONE; i++) {
        known = lh_add_sat(known, shares->time[i]);
        if (shares->time[i] > shares->time[longest])
            longest = (enum lh_bottleneck)i;
    }
    lh_ns whole = lh_add_sat(known, shares->time[LH_BOTTLENECK_NONE]);
    if (known < KNOWN_MIN || known < whole / 100 * KNOWN_PERCENT)
        return LH_BOTTLENECK_NONE;
    return longest;
}

const char *lh_bottleneck_name(enum lh_bottleneck bottleneck)
{
    static const char *const names[LH_BOTTLENECK_N_] = {
        [LH_BOTTLENECK_NETWORK] = "network",
        [LH_BOTTLENECK_POLICY] = "policy",
        [LH_BOTTLENECK_SENDER_DISK] = "sender disk",
        [LH_BOTTLENECK_RECEIVER_DISK] = "receiver disk",
        [LH_BOTTLENECK_CPU] = "CPU",
        [LH_BOTTLENECK_WINDOW] = "window",
        [LH_BOTTLENECK_NONE] = "none",
    };
    return names[bottleneck];
}
