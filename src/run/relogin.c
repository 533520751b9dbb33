// SPDX-License-Identifier: Apache-2.0
//
// How it works. A state machine, moved by descriptors of ssh and by time:
//
//   IDLE    nothing to do
//   PAUSE   until `next_at`; then ssh is started -> LOGIN
//   LOGIN   our HELLO goes out, the server's comes in. Whole and with the right proof: on_channel,
//           IDLE. ssh ended: ENDING. Too late: ssh is stopped, ENDING
//   ENDING  ssh is waited for (looked at, that is); then its reason is known: another host-key
//           family -> LOGIN, worth another try -> PAUSE with twice the pause, else IDLE
//
// ssh processes that are of no use any more are stopped and looked at until they are gone: to wait
// for them would stop the transfer.
#include "run/relogin.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/text.h"
#include "base/wipe.h"
#include "control/hello.h"
#include "job/code.h"
#include "run/connect.h"

#define LOOK_EVERY  (50 * LH_MS)
#define GENTLE_TIME LH_SECOND // from SIGTERM to SIGKILL
#define OLD_MAX     4
#define WATCHED     4

enum state { IDLE, PAUSE, LOGIN, ENDING };

struct old_ssh {
    struct lh_ssh *ssh; // NULL = free
    lh_ns hard_at;
};

struct lh_relogin {
    struct lh_relogin_config config;
    struct lh_secret secret;
    enum state state;
    lh_ns next_at; // PAUSE: the next login; LOGIN: when it is too late; ENDING: when to kill
    lh_ns pause;
    uint32_t count;  // of the logins so far
    bool has_missed; // this login took too long
    struct lh_ssh *ssh;
    struct lh_hello hello;
    uint8_t expected[LH_ATTACH_PROOF_LEN];
    int watched[WATCHED]; // descriptors of ssh that are in the loop
    size_t watched_count;
    bool is_writing; // the last of them is the one that HELLO goes out by
    struct old_ssh old[OLD_MAX];
};

lh_err lh_relogin_new(const struct lh_relogin_config *config, struct lh_relogin **out_relogin)
{
    struct lh_relogin *relogin = calloc(1, sizeof *relogin);
    lh_err err;

    if (relogin == NULL)
        return LH_E_NOMEM;
    relogin->config = *config;
    relogin->config.master = NULL;
    relogin->pause = LH_RELOGIN_PAUSE_FIRST;
    err = lh_attach_secret(config->master, &relogin->secret);
    if (err != 0) {
        lh_relogin_free(relogin);
        return err;
    }
    *out_relogin = relogin;
    return 0;
}

// --- What ended or is to end ---

static void unwatch(struct lh_relogin *relogin)
{
    for (size_t i = 0; i < relogin->watched_count; i++)
        lh_loop_remove(relogin->config.loop, relogin->watched[i]);
    relogin->watched_count = 0;
    relogin->is_writing = false;
}

// Stops an ssh and looks after it from now on. Where there are too many, the oldest is waited for.
static void discard(struct lh_relogin *relogin, struct lh_ssh *ssh, lh_ns now)
{
    struct old_ssh *place = &relogin->old[0];

    if (ssh == NULL)
        return;
    for (size_t i = 0; i < OLD_MAX && place->ssh != NULL; i++)
        place = &relogin->old[i];
    if (place->ssh != NULL) {
        lh_ssh_stop(place->ssh, true);
        lh_ssh_close(place->ssh, 0);
    }
    lh_ssh_stop(ssh, false);
    *place = (struct old_ssh){.ssh = ssh, .hard_at = now + GENTLE_TIME};
}

static lh_ns look_after_old(struct lh_relogin *relogin, lh_ns now)
{
    lh_ns deadline = LH_NEVER;

    for (size_t i = 0; i < OLD_MAX; i++) {
        struct old_ssh *old = &relogin->old[i];
        if (old->ssh == NULL)
            continue;
        if (now >= old->hard_at)
            lh_ssh_stop(old->ssh, true);
        if (lh_ssh_has_ended(old->ssh)) {
            lh_ssh_close(old->ssh, 0);
            old->ssh = NULL;
        } else {
            deadline = now + LOOK_EVERY;
        }
    }
    return deadline;
}

static void rest(struct lh_relogin *relogin)
{
    unwatch(relogin);
    lh_hello_fini(&relogin->hello);
    relogin->state = IDLE;
}

static void pause_login(struct lh_relogin *relogin, lh_ns now)
{
    rest(relogin);
    relogin->state = PAUSE;
    relogin->next_at = now + relogin->pause;
    relogin->pause = lh_ns_min(2 * relogin->pause, LH_RELOGIN_PAUSE_MAX);
}

static void fail_login(struct lh_relogin *relogin, const char *why, bool is_final, lh_ns now)
{
    unwatch(relogin); // before its descriptors are closed
    discard(relogin, relogin->ssh, now);
    relogin->ssh = NULL;
    if (is_final)
        rest(relogin);
    else
        pause_login(relogin, now);
    relogin->config.on_failure(relogin->config.user, why, is_final);
}

// --- One login ---

static void on_ssh(void *user, uint32_t events, lh_ns now);

static void watch(struct lh_relogin *relogin, int fd, uint32_t events)
{
    if (fd >= 0 && lh_loop_add(relogin->config.loop, fd, events, on_ssh, relogin) == 0)
        relogin->watched[relogin->watched_count++] = fd;
}

static void watch_all(struct lh_relogin *relogin)
{
    size_t left;

    unwatch(relogin);
    watch(relogin, lh_ssh_output_fd(relogin->ssh), EPOLLIN);
    watch(relogin, lh_ssh_messages_fd(relogin->ssh), EPOLLIN);
    watch(relogin, lh_ssh_askpass_fd(relogin->ssh), EPOLLIN);
    (void)lh_hello_output(&relogin->hello, &left);
    relogin->is_writing = left > 0;
    if (left > 0)
        watch(relogin, lh_ssh_input_fd(relogin->ssh), EPOLLOUT);
}

// HELLO for the ssh that was just started.
static lh_err begin_hello(struct lh_relogin *relogin, lh_ns now)
{
    struct lh_hello_info offer = lh_connect_offer(relogin->config.options);
    lh_err err;

    offer.attach.session_id = relogin->config.session_id;
    offer.attach.count = ++relogin->count;
    err = lh_attach_name(&relogin->secret, offer.attach.name);
    if (err == 0)
        err = lh_attach_proof(&relogin->secret, true, relogin->count, offer.attach.proof);
    if (err == 0)
        err = lh_attach_proof(&relogin->secret, false, relogin->count, relogin->expected);
    lh_hello_fini(&relogin->hello);
    lh_hello_init(&relogin->hello, LH_ROLE_CLIENT, &offer);
    lh_wipe(&offer, sizeof offer);
    relogin->state = LOGIN;
    relogin->has_missed = false;
    relogin->next_at = now + LH_RELOGIN_PATIENCE;
    watch_all(relogin);
    return err;
}

static void start_login(struct lh_relogin *relogin, lh_ns now)
{
    struct lh_errinfo info = {0};
    lh_err err = lh_connect_start_ssh(relogin->config.options, relogin->config.password,
                                      &relogin->ssh, &info);

    if (err == 0)
        err = begin_hello(relogin, now);
    if (err != 0)
        fail_login(relogin, info.text, true, now);
}

// The server's HELLO is whole. Is it the session's?
static void finish_login(struct lh_relogin *relogin, const uint8_t *rest_of, size_t len, lh_ns now)
{
    const struct lh_hello_info *peer = lh_hello_peer(&relogin->hello);
    struct lh_relogin_channel channel = {
        .ssh = relogin->ssh, .leftover = rest_of, .leftover_len = len};

    if (LH_GUARD(ATTACH_SERVER, !peer->is_attached || !lh_attach_proof_equal(peer->attach_proof,
                                                                             relogin->expected))) {
        fail_login(relogin, "the server is not the one that the session is with", true, now);
        return;
    }
    channel.in_fd = fcntl(lh_ssh_output_fd(relogin->ssh), F_DUPFD_CLOEXEC, 3);
    channel.out_fd = fcntl(lh_ssh_input_fd(relogin->ssh), F_DUPFD_CLOEXEC, 3);
    if (channel.in_fd < 0 || channel.out_fd < 0) {
        if (channel.in_fd >= 0)
            (void)close(channel.in_fd);
        fail_login(relogin, "no descriptors for the SSH channel", false, now);
        return;
    }
    unwatch(relogin);
    lh_ssh_end_input(relogin->ssh); // ours is the one that counts
    lh_ssh_login_done(relogin->ssh);
    relogin->ssh = NULL;
    relogin->pause = LH_RELOGIN_PAUSE_FIRST;
    relogin->config.on_channel(relogin->config.user, &channel, now);
    rest(relogin);
}

static void end_login(struct lh_relogin *relogin, lh_ns now)
{
    unwatch(relogin);
    relogin->state = ENDING;
    relogin->next_at = now + GENTLE_TIME;
}

static void read_hello(struct lh_relogin *relogin, lh_ns now)
{
    uint8_t buffer[65536];
    ssize_t got = read(lh_ssh_output_fd(relogin->ssh), buffer, sizeof buffer);
    char shown[160];
    size_t used;
    lh_err err;

    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (got <= 0) {
        end_login(relogin, now);
        return;
    }
    err = lh_hello_feed(&relogin->hello, buffer, (size_t)got, &used);
    if (err == 0) {
        finish_login(relogin, buffer + used, (size_t)got - used, now);
    } else if (err != LH_AGAIN) {
        const struct lh_hello_failure *failure = lh_hello_failure(&relogin->hello);
        const char *text =
            failure->why == LH_HELLO_REFUSED ? failure->text : "its answer makes no sense here";
        char why[200];
        (void)snprintf(why, sizeof why, "the server refused: %s",
                       lh_escape(text, strlen(text), shown, sizeof shown));
        fail_login(relogin, why, true, now);
    }
}

static void write_hello(struct lh_relogin *relogin)
{
    size_t len;
    const uint8_t *bytes = lh_hello_output(&relogin->hello, &len);
    ssize_t sent = len == 0 ? 0 : write(lh_ssh_input_fd(relogin->ssh), bytes, len);

    if (sent > 0)
        lh_hello_sent(&relogin->hello, (size_t)sent);
    if (len == 0 || sent == (ssize_t)len || (sent < 0 && errno != EAGAIN && errno != EINTR))
        watch_all(relogin); // a broken pipe shows at the output, too
}

// One of ssh's descriptors is ready; which one is looked up by trying, they never block.
static void on_ssh(void *user, uint32_t events, lh_ns now)
{
    struct lh_relogin *relogin = user;
    const char *text;
    size_t len;
    int messages = lh_ssh_messages_fd(relogin->ssh);

    if (relogin->is_writing && (events & EPOLLOUT) != 0)
        write_hello(relogin);
    if (messages >= 0 && lh_ssh_messages_ready(relogin->ssh, &text, &len) == LH_EOF)
        watch_all(relogin);
    lh_ssh_askpass_ready(relogin->ssh);
    read_hello(relogin, now);
}

// ssh has ended, or will not do so by itself.
static void judge_login(struct lh_relogin *relogin, lh_ns now)
{
    struct lh_errinfo info = {0};
    lh_err err;

    if (relogin->has_missed) {
        fail_login(relogin, "the server did not answer", false, now);
        return;
    }
    err = lh_ssh_again(relogin->ssh, &info);
    if (err == 0)
        err = begin_hello(relogin, now);
    if (err != 0)
        fail_login(relogin, info.text, !lh_ssh_retry_helps(relogin->ssh), now);
}

// --- From outside ---

void lh_relogin_begin(struct lh_relogin *relogin, struct lh_ssh *old, lh_ns now)
{
    discard(relogin, old, now);
    LH_ASSERT(relogin->state == IDLE);
    relogin->state = PAUSE;
    relogin->next_at = now;
    relogin->pause = LH_RELOGIN_PAUSE_FIRST;
}

void lh_relogin_stop(struct lh_relogin *relogin, lh_ns now)
{
    unwatch(relogin); // before its descriptors are closed
    discard(relogin, relogin->ssh, now);
    relogin->ssh = NULL;
    rest(relogin);
}

bool lh_relogin_is_busy(const struct lh_relogin *relogin)
{
    return relogin->state != IDLE;
}

static void look_at_time(struct lh_relogin *relogin, lh_ns now)
{
    switch (relogin->state) {
    case IDLE:
        break;
    case PAUSE:
        if (now >= relogin->next_at)
            start_login(relogin, now);
        break;
    case LOGIN:
        if (now >= relogin->next_at) {
            relogin->has_missed = true;
            end_login(relogin, now);
            lh_ssh_stop(relogin->ssh, false);
        }
        break;
    case ENDING:
        if (now >= relogin->next_at)
            lh_ssh_stop(relogin->ssh, true);
        if (lh_ssh_has_ended(relogin->ssh))
            judge_login(relogin, now);
        break;
    }
}

lh_ns lh_relogin_turn(struct lh_relogin *relogin, lh_ns now)
{
    lh_ns deadline = look_after_old(relogin, now);

    look_at_time(relogin, now);
    if (relogin->state == ENDING)
        return lh_ns_min(deadline, now + LOOK_EVERY);
    return relogin->state == IDLE ? deadline : lh_ns_min(deadline, relogin->next_at);
}

void lh_relogin_free(struct lh_relogin *relogin)
{
    if (relogin == NULL)
        return;
    unwatch(relogin);
    for (size_t i = 0; i <= OLD_MAX; i++) {
        struct lh_ssh *ssh = i < OLD_MAX ? relogin->old[i].ssh : relogin->ssh;
        if (ssh != NULL)
            lh_ssh_stop(ssh, true);
        lh_ssh_close(ssh, 0);
    }
    lh_hello_fini(&relogin->hello);
    lh_secret_fini(&relogin->secret);
    free(relogin);
}
