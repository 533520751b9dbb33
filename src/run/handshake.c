// SPDX-License-Identifier: Apache-2.0
//
// How it works. There is no event loop yet: one poll waits for the channel (its writing end only
// while something of our HELLO is left), for signals, and for the sides, which are ssh's own
// doings. Three clocks end the wait: `deadline`, which begins with the first byte where it was not
// given; silence on every descriptor; and, once, the moment to tell a person that it takes long.
// What the peer sends before its HELLO is noise (a banner, a login script's words): hello.h keeps
// some of it, and it is shown when the dialogue fails, because it is usually the reason. Bytes
// behind the HELLO belong to the session and are handed over as `leftover`. The keys come from both
// secrets and from every byte of both HELLOs, so that nobody between the ends can have changed one.
#include "run/handshake.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/math.h"
#include "base/text.h"
#include "job/code.h"
#include "sys/clock.h"

static lh_err describe_noise(const struct lh_hello *hello, lh_err err, struct lh_errinfo *info)
{
    size_t len;
    const uint8_t *noise = lh_hello_noise(hello, &len);
    char shown[100];

    return lh_fail(info, err, LH_CODE_PROTOCOL,
                   "the other side did not answer as lhserver does; it said: \"%s\". Is lhserver "
                   "installed there, and does the login shell print nothing?",
                   lh_escape(noise, len, shown, sizeof shown));
}

static lh_err describe_failure(const struct lh_hello *hello, lh_err err, struct lh_errinfo *info)
{
    const struct lh_hello_failure *failure = lh_hello_failure(hello);
    char shown[160];

    switch (failure->why) {
    case LH_HELLO_NOISE:
        return describe_noise(hello, err, info);
    case LH_HELLO_VERSION:
        return lh_fail(info, err, LH_CODE_PROTOCOL,
                       "no common protocol version: this side speaks %u to %u, the other %u to %u; "
                       "upgrade longhaul on %s side",
                       failure->own_major_min, failure->own_major_max, failure->peer_major_min,
                       failure->peer_major_max,
                       lh_hello_peer_is_older(failure) ? "the other" : "this");
    case LH_HELLO_REFUSED:
        return lh_fail(info, err, LH_CODE_PROTOCOL, "the server refused the session: %s",
                       lh_escape(failure->text, strlen(failure->text), shown, sizeof shown));
    case LH_HELLO_AEAD:
        return lh_fail(info, err, LH_CODE_PROTOCOL,
                       "the two sides have no common cipher; leave -c out");
    default:
        return lh_fail(info, err, LH_CODE_PROTOCOL,
                       "the other side's HELLO is malformed (reason %d, field %u); is something "
                       "changing the bytes of the SSH channel?",
                       (int)failure->why, failure->tag);
    }
}

static lh_err write_some(struct lh_handshake *handshake, struct lh_errinfo *info)
{
    size_t len;
    const uint8_t *bytes = lh_hello_output(handshake->hello, &len);
    ssize_t sent = write(handshake->out_fd, bytes, len);

    if (sent >= 0)
        lh_hello_sent(handshake->hello, (size_t)sent);
    else if (errno == EPIPE)
        return lh_fail(info, LH_E_CLOSED, LH_CODE_NO_CONNECTION,
                       "the SSH channel closed during set-up");
    else if (errno != EAGAIN && errno != EINTR)
        return lh_fail_errno(info, errno, LH_CODE_NO_CONNECTION,
                             "writing to the SSH channel failed");
    return 0;
}

// LH_AGAIN: the peer's HELLO is not complete yet.
static lh_err read_some(struct lh_handshake *handshake, struct lh_errinfo *info)
{
    uint8_t buffer[sizeof handshake->leftover];
    ssize_t got = read(handshake->in_fd, buffer, sizeof buffer);
    size_t used;
    size_t noise_len;
    lh_err err;

    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return LH_AGAIN;
    if (got < 0)
        return lh_fail_errno(info, errno, LH_CODE_NO_CONNECTION,
                             "reading from the SSH channel failed");
    if (got == 0) {
        (void)lh_hello_noise(handshake->hello, &noise_len);
        if (noise_len > 0)
            return describe_noise(handshake->hello, LH_E_CLOSED, info);
        return lh_fail(info, LH_E_CLOSED, LH_CODE_NO_CONNECTION,
                       "the SSH channel closed during set-up");
    }
    err = lh_hello_feed(handshake->hello, buffer, (size_t)got, &used);
    if (err == LH_AGAIN)
        return LH_AGAIN;
    if (err != 0)
        return describe_failure(handshake->hello, err, info);
    handshake->leftover_len = (size_t)got - used;
    memcpy(handshake->leftover, buffer + used, handshake->leftover_len);
    return 0;
}

enum { POLL_IN, POLL_OUT, POLL_STOP, POLL_SIDES, POLLS = POLL_SIDES + LH_HANDSHAKE_SIDES };

static void fill_polls(struct lh_handshake *handshake, struct pollfd polls[POLLS])
{
    size_t to_send;

    (void)lh_hello_output(handshake->hello, &to_send);
    polls[POLL_IN] = (struct pollfd){.fd = handshake->in_fd, .events = POLLIN};
    polls[POLL_OUT] =
        (struct pollfd){.fd = to_send > 0 ? handshake->out_fd : -1, .events = POLLOUT};
    polls[POLL_STOP] = (struct pollfd){.fd = handshake->stop_fd, .events = POLLIN};
    for (size_t i = 0; i < LH_HANDSHAKE_SIDES; i++) {
        const struct lh_handshake_side *side = &handshake->sides[i];
        int fd = i < handshake->side_count ? side->fd(side->user) : -1;
        polls[POLL_SIDES + i] = (struct pollfd){.fd = fd, .events = POLLIN};
    }
}

// When to look at the clock again; LH_NEVER where only a descriptor can end the wait.
static lh_ns next_deadline(const struct lh_handshake *handshake)
{
    lh_ns deadline = handshake->deadline;

    if (handshake->silence_max != 0)
        deadline = lh_ns_min(deadline, handshake->stirred_at + handshake->silence_max);
    if (handshake->notice_after != 0 && !handshake->is_heard && !handshake->is_slow_told)
        deadline = lh_ns_min(deadline, handshake->began + handshake->notice_after);
    return deadline;
}

static lh_err watch_clock(struct lh_handshake *handshake, lh_ns now, struct lh_errinfo *info)
{
    if (now >= handshake->deadline ||
        (handshake->silence_max != 0 && now >= handshake->stirred_at + handshake->silence_max))
        return lh_fail(info, LH_E_TIMEOUT, LH_CODE_TIMEOUT,
                       "the other side did not answer in time");
    if (handshake->notice_after != 0 && !handshake->is_heard && !handshake->is_slow_told &&
        now >= handshake->began + handshake->notice_after) {
        handshake->is_slow_told = true;
        handshake->on_slow(handshake->user);
    }
    return 0;
}

// Waits for whichever of the descriptors can go on.
static lh_err
wait_for_any(struct lh_handshake *handshake, struct pollfd polls[POLLS], struct lh_errinfo *info)
{
    lh_ns now = lh_clock_now();
    lh_err err = watch_clock(handshake, now, info);
    lh_ns deadline = next_deadline(handshake);
    int wait_ms = -1;

    if (err != 0)
        return err;
    fill_polls(handshake, polls);
    if (deadline != LH_NEVER)
        wait_ms = (int)lh_ns_min(lh_ns_since(deadline, now) / LH_MS + 1, 60000);
    if (poll(polls, POLLS, wait_ms) < 0 && errno != EINTR)
        return lh_fail_errno(info, errno, LH_CODE_NO_CONNECTION,
                             "waiting for the SSH channel failed");
    if (polls[POLL_STOP].revents != 0)
        return lh_fail(info, LH_E_CANCELED, LH_CODE_CANCELED, "stopped before the session began");
    for (size_t i = 0; i < handshake->side_count; i++) {
        if (polls[POLL_SIDES + i].revents != 0) {
            handshake->stirred_at = lh_clock_now();
            handshake->sides[i].ready(handshake->sides[i].user);
        }
    }
    return 0;
}

lh_err lh_handshake_run(struct lh_handshake *handshake, struct lh_errinfo *info)
{
    handshake->began = handshake->stirred_at = lh_clock_now();
    for (;;) {
        struct pollfd polls[POLLS] = {0};
        lh_err err = wait_for_any(handshake, polls, info);
        if (err == 0 && polls[POLL_OUT].revents != 0)
            err = write_some(handshake, info);
        if (err != 0)
            return err;
        if (polls[POLL_IN].revents == 0)
            continue;
        handshake->is_heard = true;
        handshake->stirred_at = lh_clock_now();
        if (handshake->deadline == LH_NEVER && handshake->answer_time != 0)
            handshake->deadline = handshake->stirred_at + handshake->answer_time;
        err = read_some(handshake, info);
        if (err != LH_AGAIN)
            return err;
    }
}

lh_err lh_handshake_flush(struct lh_handshake *handshake, struct lh_errinfo *info)
{
    for (;;) {
        size_t left;
        struct pollfd out = {.fd = handshake->out_fd, .events = POLLOUT};
        lh_err err;
        (void)lh_hello_output(handshake->hello, &left);
        if (left == 0)
            return 0;
        if (lh_clock_now() >= handshake->deadline)
            return lh_fail(info, LH_E_TIMEOUT, LH_CODE_TIMEOUT,
                           "the SSH channel does not take our answer");
        if (poll(&out, 1, 1000) <= 0)
            continue;
        err = write_some(handshake, info);
        if (err != 0)
            return err;
    }
}

lh_err lh_handshake_master(const struct lh_hello *hello,
                           struct lh_secret *out_master,
                           struct lh_errinfo *info)
{
    uint8_t transcript[32];
    struct lh_secret secrets[2];
    size_t client_len, server_len;
    const uint8_t *client = lh_hello_bytes(hello, LH_ROLE_CLIENT, &client_len);
    const uint8_t *server = lh_hello_bytes(hello, LH_ROLE_SERVER, &server_len);
    lh_err err;

    static_assert(LH_HELLO_SECRET_LEN == LH_SECRET_LEN,
                  "the secrets of HELLO feed the key schedule");
    memcpy(secrets[0].bytes, lh_hello_secret(hello, LH_ROLE_CLIENT), LH_SECRET_LEN);
    memcpy(secrets[1].bytes, lh_hello_secret(hello, LH_ROLE_SERVER), LH_SECRET_LEN);
    err = lh_keys_transcript(client, client_len, server, server_len, transcript);
    if (err == 0)
        err = lh_keys_master(transcript, &secrets[0], &secrets[1], out_master);
    lh_secret_fini(&secrets[0]);
    lh_secret_fini(&secrets[1]);
    if (err != 0)
        return lh_fail(info, err, LH_CODE_INTERNAL, "cannot derive the session's keys");
    return 0;
}
