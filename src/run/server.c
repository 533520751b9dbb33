// SPDX-License-Identifier: Apache-2.0
//
// How it works. sshd has authenticated the user and started us with the channel on descriptors 0
// and 1. We answer the client's HELLO, bind the shared UDP port (a port that is not to be had only
// means that the data goes over SSH), and then run one session until its end. Nothing of what the
// client says is used before it has been checked, and nothing here runs with more rights than the
// user has.
//
// Where the client says that this login is for a session which lives already, the channel goes to
// that session's lhserver (run/attach.h), and we only stay until it is used no more.
#include "run/server.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/math.h"
#include "base/text.h"
#include "base/wipe.h"
#include "file/digest.h"
#include "file/state.h"
#include "lh_version.h"
#include "run/attach.h"
#include "run/cipher.h"
#include "run/handshake.h"
#include "run/session.h"
#include "sys/clock.h"
#include "sys/harden.h"

#define SESSION_ID_TRIES 16

struct server {
    struct lh_loop *loop;
    struct lh_hello hello;
    struct lh_handshake handshake;
    struct lh_port *port;
    struct lh_session session;
    struct lh_attach_point *attach_point; // where the client's next login arrives; NULL = nowhere
    int attached_to;                  // connection to the lhserver that took our channel; -1 = none
    char client_address[64];          // escaped
    char server_address[64];          // as SSH_CONNECTION has it, "" = unknown
    char user[64];                    // escaped
    char shown_peer[136];             // "user from address"
    char state_dir[LH_PATH_TEXT_MAX]; // the session borrows it
};

// Standard descriptors are the session's; whatever else we open must not land on 0, 1 or 2.
static void reserve_standard_descriptors(void)
{
    int fd;
    do {
        fd = open("/dev/null", O_RDWR);
    } while (fd >= 0 && fd <= 2);
    if (fd > 2)
        (void)close(fd);
}

static void learn_who_is_there(struct server *server)
{
    // "client-ip client-port server-ip server-port", set by sshd (ssh(1)).
    const char *connection = getenv("SSH_CONNECTION");
    const struct passwd *account = getpwuid(getuid());
    char client[64] = "";
    char local[64] = "";

    if (connection != NULL && sscanf(connection, "%63s %*s %63s", client, local) == 2)
        (void)snprintf(server->server_address, sizeof server->server_address, "%s", local);
    if (account == NULL)
        (void)snprintf(server->user, sizeof server->user, "uid %u", (unsigned)getuid());
    else
        lh_escape(account->pw_name, strlen(account->pw_name), server->user, sizeof server->user);
    lh_escape(client, strlen(client), server->client_address, sizeof server->client_address);
    if (client[0] == '\0')
        (void)snprintf(server->client_address, sizeof server->client_address, "unknown");
    (void)snprintf(server->shown_peer, sizeof server->shown_peer, "%s from %s", server->user,
                   server->client_address);
}

static struct lh_hello_info make_offer(void)
{
    struct lh_hello_info offer = {
        .digests = {LH_DIGEST_XXH3128},
        .digest_count = 1,
        .features = LH_FEATURE_ATTACH | LH_FEATURE_ECN,
        .lanes_max = LH_LANES_MAX,
        .block_log2_max = LH_BLOCK_LOG2_MAX,
        .epoch_shift_max = LH_EPOCH_SHIFT,
        .packet_max = LH_PACKET_MAX,
        .receive_budget = LH_MEMORY_DEFAULT,
    };
    lh_cipher_accept(&offer);
    (void)snprintf(offer.software, sizeof offer.software, "longhaul %s", LH_VERSION);
    lh_entropy_fill(offer.secret, sizeof offer.secret);
    return offer;
}

// Binds the port that the client asked for. No port is no failure: the data then goes over SSH.
static uint32_t open_port(struct server *server, uint16_t wished)
{
    struct lh_port_config config = {.port = wished, .ecn = 0};
    uint32_t id = 0;

    if (server->server_address[0] != '\0' &&
        lh_udp_addr_parse(server->server_address, wished, &config.locals[0]) == 0)
        config.local_count = 1;
    for (int try = 0; try < SESSION_ID_TRIES; try++) {
        struct lh_errinfo info = {0};
        lh_err err;
        do {
            lh_entropy_fill(&id, sizeof id);
        } while (id == 0);
        if (wished == 0)
            return id;
        config.session_id = id;
        err = lh_port_open(&config, lh_clock_now(), &server->port, &info);
        if (err == LH_AGAIN)
            continue;
        if (err != 0)
            syslog(LOG_WARNING, "UDP port %u is not to be had, data goes over SSH: %s", wished,
                   info.text);
        return id;
    }
    return id;
}

static void
own_address(const struct server *server, struct lh_hello_address *out_address, size_t *out_count)
{
    struct lh_udp_addr addr;

    *out_count = 0;
    if (server->server_address[0] == '\0' ||
        lh_udp_addr_parse(server->server_address, 1, &addr) != 0)
        return;
    *out_count = 1;
    if (lh_udp_addr_family(&addr) == AF_INET) {
        out_address->family = 4;
        memcpy(out_address->bytes, &addr.v4.sin_addr, 4);
    } else {
        out_address->family = 6;
        memcpy(out_address->bytes, &addr.v6.sin6_addr, 16);
    }
}

// Hands the channel to the session that the client names.
static lh_err hand_over(struct server *server, struct lh_errinfo *info)
{
    static const int channel[] = {STDIN_FILENO, STDOUT_FILENO};
    const struct lh_hello_attach *attach = &lh_hello_peer(&server->hello)->attach;
    uint8_t proof[LH_ATTACH_PROOF_LEN];
    lh_err err;

    if (server->handshake.leftover_len > 0) // it has to wait for the answer
        err = lh_fail(info, LH_E_PROTO, LH_CODE_PROTOCOL, "the client speaks out of turn");
    else
        err =
            lh_attach_offer_channel(attach, channel, geteuid(), &server->attached_to, proof, info);
    if (err != 0) {
        struct lh_errinfo ignored = {0};
        lh_hello_refuse(&server->hello, info->text);
        lh_err told = lh_handshake_flush(&server->handshake, &ignored);
        (void)told; // the client may be gone; our own error says what happened
        return err;
    }
    lh_hello_attached(&server->hello, proof);
    lh_hello_answer(&server->hello, attach->session_id, 0, NULL, 0);
    return lh_handshake_flush(&server->handshake, info);
}

// Our channel is another process's: sshd would close it if we ended, and would not notice its end
// if we held it open.
static void keep_channel(struct server *server)
{
    int nothing = open("/dev/null", O_RDWR | O_CLOEXEC);

    syslog(LOG_INFO, "session attach user=%s address=%s id=%08x", server->user,
           server->client_address, lh_hello_peer(&server->hello)->attach.session_id);
    if (nothing >= 0 && dup2(nothing, STDIN_FILENO) >= 0 && dup2(nothing, STDOUT_FILENO) >= 0)
        lh_attach_keep(server->attached_to);
    (void)close(server->attached_to);
}

static lh_err greet(struct server *server, struct lh_errinfo *info)
{
    struct lh_hello_info offer = make_offer();
    struct lh_hello_address address = {0};
    size_t address_count;
    uint32_t session_id;
    lh_err err;

    lh_hello_init(&server->hello, LH_ROLE_SERVER, &offer);
    lh_wipe(offer.secret, sizeof offer.secret);
    server->handshake.hello = &server->hello;
    server->handshake.in_fd = STDIN_FILENO;
    server->handshake.out_fd = STDOUT_FILENO;
    server->handshake.stop_fd = -1;
    server->handshake.deadline = lh_clock_now() + LH_SETUP_TIMEOUT;
    err = lh_handshake_run(&server->handshake, info);
    if (err != 0) {
        struct lh_errinfo ignored = {0};
        lh_err told = lh_handshake_flush(&server->handshake, &ignored);
        (void)told; // the client may be gone; our own error says what happened
        return err;
    }
    if (lh_hello_peer(&server->hello)->attach.session_id != 0)
        return hand_over(server, info);
    session_id = open_port(server, lh_hello_peer(&server->hello)->udp_port);
    own_address(server, &address, &address_count);
    lh_hello_answer(&server->hello, session_id,
                    server->port == NULL ? 0 : lh_hello_peer(&server->hello)->udp_port, &address,
                    address_count);
    return lh_handshake_flush(&server->handshake, info);
}

static void on_problem(void *user, const struct lh_job_problem *problem)
{
    (void)user;
    (void)problem; // the client tells the person; the log has the counts
}

static void on_finished(void *user, const struct lh_job_verdict *verdict)
{
    (void)user;
    (void)verdict; // the session keeps it
}

static const struct lh_job_events job_events = {on_problem, NULL, on_finished};

static lh_ns turn(void *user, lh_ns now)
{
    struct server *server = user;
    lh_ns deadline = lh_session_turn(&server->session, now);

    if (lh_session_is_over(&server->session))
        lh_loop_stop(server->loop);
    if (server->attach_point == NULL)
        return deadline;
    if (server->session.orphaned_since != 0)
        lh_attach_point_dismiss(server->attach_point);
    lh_attach_point_on_deadline(server->attach_point, now);
    return lh_ns_min(deadline, lh_attach_point_deadline(server->attach_point));
}

static void on_channel(void *user, int in_fd, int out_fd, lh_ns now)
{
    struct server *server = user;
    lh_err err = lh_session_attach(&server->session, in_fd, out_fd, NULL, 0, now);

    if (err != 0)
        syslog(LOG_WARNING, "cannot use the client's next login: %s", lh_err_name(err));
}

// Waits for further logins of this session's client. Without UDP a session does not outlive its
// first one.
static void await_logins(struct server *server, const struct lh_secret *master)
{
    struct lh_secret secret = {0};
    struct lh_attach_config config = {.loop = server->loop,
                                      .secret = &secret,
                                      .session_id = lh_hello_params(&server->hello)->session_id,
                                      .owner = geteuid(),
                                      .on_channel = on_channel,
                                      .user = server};
    struct lh_errinfo info = {0};

    if (server->port == NULL ||
        (lh_hello_params(&server->hello)->features & LH_FEATURE_ATTACH) == 0)
        return;
    if (lh_attach_secret(master, &secret) != 0 ||
        lh_attach_point_open(&config, &server->attach_point, &info) != 0)
        syslog(LOG_WARNING, "the client cannot log in again while the session lives: %s",
               info.text);
    lh_secret_fini(&secret);
}

static lh_err start_session(struct server *server, struct lh_errinfo *info)
{
    const struct lh_session_params *params = lh_hello_params(&server->hello);
    const struct lh_hello_pace *heard = &lh_hello_peer(&server->hello)->pace;
    struct lh_msg_pace pace = {
        .policy = heard->policy, .rate_target = heard->rate_target, .rate_min = heard->rate_min};
    struct lh_secret master = {0};
    struct lh_errinfo no_state = {0};
    lh_err err;

    err = lh_handshake_master(&server->hello, &master, info);
    if (err != 0)
        return err;
    await_logins(server, &master);
    bool has_state = lh_state_dir(server->state_dir, sizeof server->state_dir, &no_state) == 0;
    struct lh_session_config config = {
        .loop = server->loop,
        .params = params,
        .master = &master,
        .pipe_in = STDIN_FILENO,
        .pipe_out = STDOUT_FILENO,
        .leftover = server->handshake.leftover,
        .leftover_len = server->handshake.leftover_len,
        .udp_port = server->port,
        .cc = lh_pace_controller(pace.policy),
        .limits = {.rate_target = LH_MIN(pace.rate_target, LH_CC_RATE_MAX),
                   .rate_min = LH_MIN(pace.rate_min, LH_CC_RATE_MAX)},
        .live = {.pace = pace,
                 .own = pace,
                 .peer = server->shown_peer,
                 .state_dir = has_state ? server->state_dir : NULL},
        .state_dir = has_state ? server->state_dir : NULL,
        .events = &job_events,
        .user = server,
    };
    server->port = NULL; // the session's now
    err = lh_session_init(&server->session, &config, lh_clock_now(), info);
    lh_secret_fini(&master);
    return err;
}

static const char *end_name(const struct lh_session *session)
{
    if (session->end == LH_SESSION_FINISHED)
        return session->verdict_code == 0 ? "complete" : "incomplete";
    if (session->end == LH_SESSION_CLOSED)
        return "closed";
    return session->end == LH_SESSION_BROKEN ? "lost" : "failed";
}

static void log_end(const struct server *server, lh_ns began)
{
    const struct lh_session *session = &server->session;
    struct lh_job_status status = {0};
    struct lh_lane_stats udp = {0};
    struct lh_lane_stats ssh = {0};
    struct lh_held_shares held = {{0}};
    char reason[160];

    lh_live_add_shares(&session->live, &held);
    if (session->job != NULL)
        lh_job_status(session->job, &status);
    if (session->has_udp)
        lh_udp_lanes_stats(&session->udp, &udp);
    lh_transport_lane_stats(session->transport, LH_LANE_SSH, &ssh);
    lh_escape(session->reason, strlen(session->reason), reason, sizeof reason);
    syslog(LOG_INFO,
           "session stop user=%s address=%s result=%s code=%d files=%llu failed=%llu bytes=%llu "
           "udp_bytes=%llu ssh_bytes=%llu lane=%s seconds=%.1f held_by=\"%s\" reason=\"%s\"",
           server->user, server->client_address, end_name(session),
           session->is_finished ? session->verdict_code : session->close_code,
           (unsigned long long)status.files_done, (unsigned long long)status.files_failed,
           (unsigned long long)status.bytes_verified,
           (unsigned long long)(udp.bytes_sent + udp.bytes_received),
           (unsigned long long)(ssh.bytes_sent + ssh.bytes_received),
           session->was_udp_up ? "udp" : "ssh",
           (double)lh_ns_since(lh_clock_now(), began) / (double)LH_SECOND,
           lh_bottleneck_name(lh_held_bottleneck(&held)), reason);
}

static lh_err serve(struct server *server, struct lh_errinfo *info)
{
    lh_ns began = lh_clock_now();
    lh_err err = greet(server, info);

    if (err == 0 && server->attached_to >= 0) {
        keep_channel(server);
        return 0;
    }
    if (err == 0)
        err = start_session(server, info);
    if (err != 0)
        return err;
    syslog(LOG_INFO, "session start user=%s address=%s id=%08x udp=%s", server->user,
           server->client_address, lh_hello_params(&server->hello)->session_id,
           server->session.has_udp ? "yes" : "no");
    err = lh_loop_run(server->loop, turn, server, info);
    log_end(server, began);
    if (err == 0 &&
        (server->session.end == LH_SESSION_BROKEN || server->session.end == LH_SESSION_FAILED))
        err = LH_E_CLOSED;
    return err;
}

int lh_server_run(void)
{
    LH_CLEANUP(lh_loop_freep) struct lh_loop *loop = NULL;
    struct server *server = calloc(1, sizeof *server);
    struct lh_errinfo info = {0};
    lh_err err;

    if (server == NULL)
        return 1;
    server->attached_to = -1;
    reserve_standard_descriptors();
    lh_secrets_harden();
    (void)signal(SIGPIPE, SIG_IGN);
    (void)signal(SIGHUP, SIG_IGN); // the end of the SSH connection shows as end of file
    openlog("lhserver", LOG_PID, LOG_LOCAL2);
    learn_who_is_there(server);
    if (getuid() == 0)
        syslog(LOG_WARNING, "running as root for %s: give transfer users accounts of their own",
               server->client_address);
    err = lh_loop_new(&loop, &info);
    if (err == 0) {
        server->loop = loop;
        err = serve(server, &info);
    }
    if (err != 0 && info.text[0] != '\0') {
        syslog(LOG_ERR, "session failed user=%s address=%s: %s", server->user,
               server->client_address, info.text);
        (void)fprintf(stderr, "lhserver: %s\n", info.text);
    }
    lh_attach_point_close(server->attach_point);
    lh_session_fini(&server->session);
    lh_port_close(server->port);
    lh_hello_fini(&server->hello);
    free(server);
    return err == 0 ? 0 : 1;
}
