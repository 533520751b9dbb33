// SPDX-License-Identifier: Apache-2.0
//
// How it works. ssh is started and spoken to through its pipes. Where its output ends before HELLO
// was agreed, ssh/spawn.h either starts it anew (another family of host keys) or explains the
// failure in a person's words; HELLO then begins afresh. After the server's HELLO the possible
// addresses for UDP are put in order: what the person said, the one that sshd itself was reached
// at, what ssh's configuration says. Which of them works is found out by probing (run/udp_lane.c).
#include "run/connect.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "base/wipe.h"
#include "file/digest.h"
#include "job/code.h"
#include "lh_version.h"
#include "run/cipher.h"
#include "sys/clock.h"

#define ANSWER_TIME    (30 * LH_SECOND) // from the first byte of the server to its whole HELLO
#define CLOSE_PATIENCE 2000             // ms that ssh gets to end by itself

struct lh_hello_info lh_connect_offer(const struct lhcp_options *options)
{
    static const uint8_t only[] = {
        [LHCP_CIPHER_AES128_GCM] = LH_AEAD_AES128_GCM,
        [LHCP_CIPHER_AES256_GCM] = LH_AEAD_AES256_GCM,
        [LHCP_CIPHER_CHACHA20_POLY1305] = LH_AEAD_CHACHA20_POLY1305,
        [LHCP_CIPHER_AES128_OCB] = LH_AEAD_AES128_OCB,
    };
    static const uint8_t policies[] = {
        [LHCP_POLICY_FAIR] = LH_HELLO_FAIR,
        [LHCP_POLICY_HIGH] = LH_HELLO_HIGH,
        [LHCP_POLICY_LOW] = LH_HELLO_LOW,
        [LHCP_POLICY_FIXED] = LH_HELLO_FIXED,
    };
    struct lh_hello_info offer = {
        .digests = {LH_DIGEST_XXH3128},
        .digest_count = 1,
        .features = LH_FEATURE_ATTACH | LH_FEATURE_ECN,
        .lanes_max = (uint8_t)(options->lanes + 1), // and SSH
        .block_log2_max = options->block_log2,
        .epoch_shift_max = LH_EPOCH_SHIFT,
        .packet_max = LH_PACKET_MAX,
        .receive_budget = options->memory,
        .udp_port = options->udp == LHCP_UDP_OFF ? 0 : options->udp_port,
    };

    offer.pace = (struct lh_hello_pace){
        .policy = policies[options->policy],
        .rate_target = options->rate_target / 8,
        .rate_min = options->rate_min / 8,
    };
    if (options->cipher != LHCP_CIPHER_AUTO) {
        offer.aeads[0] = only[options->cipher];
        offer.aead_count = 1;
    } else {
        lh_cipher_offer(&offer);
    }
    (void)snprintf(offer.software, sizeof offer.software, "longhaul %s", LH_VERSION);
    lh_entropy_fill(offer.secret, sizeof offer.secret);
    return offer;
}

// --- ssh ---

static int messages_fd(void *user)
{
    const struct lh_connection *connection = user;
    return lh_ssh_messages_fd(connection->ssh);
}

// A check names the key that the server showed, as ssh -v does.
static void note_host_key(struct lh_connection *connection, const char *text, size_t len)
{
    static const char mark[] = "Server host key: ";
    const char *at = len == 0 ? NULL : memmem(text, len, mark, sizeof mark - 1);
    size_t used = 0;

    if (at == NULL)
        return;
    for (at += sizeof mark - 1; at < text + len && *at != '\r' && *at != '\n'; at++) {
        if (used + 1 < sizeof connection->host_key)
            connection->host_key[used++] = *at;
    }
    connection->host_key[used] = '\0';
}

static void messages_ready(void *user)
{
    struct lh_connection *connection = user;
    const char *text;
    size_t len;
    lh_err err = lh_ssh_messages_ready(connection->ssh, &text, &len);
    (void)err; // LH_EOF: the descriptor is -1 from now on
    note_host_key(connection, text, len);
}

static int askpass_fd(void *user)
{
    const struct lh_connection *connection = user;
    return lh_ssh_askpass_fd(connection->ssh);
}

static void askpass_ready(void *user)
{
    struct lh_connection *connection = user;
    lh_ssh_askpass_ready(connection->ssh);
}

enum occasion {
    FIRST, // connection of this command
    AGAIN, // after a session that broke
    BESIDE // a session that lives: nobody may be asked, and nothing may take time
};

static lh_err start_ssh(const struct lhcp_options *options,
                        const struct lh_password *password,
                        enum occasion occasion,
                        struct lh_ssh **out_ssh,
                        struct lh_ssh_options *out_options,
                        struct lh_errinfo *info)
{
    struct lh_pin pins[LHCP_FINGERPRINTS_MAX];

    for (size_t i = 0; i < options->fingerprint_count; i++) {
        if (lh_pin_parse(options->fingerprints[i], &pins[i]) != 0)
            return lh_fail(info, LH_E_INVALID, LH_CODE_USAGE,
                           "--check-sshfp takes 40 hexadecimal digits or SHA256:..., not \"%.60s\"",
                           options->fingerprints[i]);
    }
    *out_options = (struct lh_ssh_options){
        .host = options->host,
        .user = options->user,
        .port = options->ssh_port,
        .identities = options->identities,
        .identity_count = options->identity_count,
        .pins = pins,
        .pin_count = options->fingerprint_count,
        .password = password,
        .verbose = options->verbose > 1            ? options->verbose - 1
                   : options->action == LHCP_CHECK ? 1 // it names the host key
                                                   : 0,
        .batch = occasion == BESIDE,
        .version_is_known = occasion == BESIDE,
        .was_reached = occasion != FIRST,
    };
    lh_err err = lh_ssh_start(out_options, out_ssh, info);
    out_options->pins = NULL; // they were copied; ours go out of scope
    out_options->pin_count = 0;
    return err;
}

lh_err lh_connect_start_ssh(const struct lhcp_options *options,
                            const struct lh_password *password,
                            struct lh_ssh **out_ssh,
                            struct lh_errinfo *info)
{
    struct lh_ssh_options ssh_options;

    return start_ssh(options, password, BESIDE, out_ssh, &ssh_options, info);
}

// Whether ssh can ask a person: it does so on the terminal of the session, whatever our own
// descriptors are.
static bool has_terminal(void)
{
    int fd = open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC);

    if (fd < 0)
        return false;
    (void)close(fd);
    return true;
}

static void notice(const struct lh_connect_config *config, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void notice(const struct lh_connect_config *config, const char *format, ...)
{
    char text[LH_ERRINFO_TEXT];
    va_list list;

    va_start(list, format);
    (void)vsnprintf(text, sizeof text, format, list);
    va_end(list);
    config->on_notice(config->user, text);
}

static void on_slow(void *user)
{
    const struct lh_connect_config *config = user;
    char shown[100];

    notice(config, "still waiting for %s",
           lh_escape(config->options->host, strlen(config->options->host), shown, sizeof shown));
}

static void begin_handshake(struct lh_connection *connection, struct lh_connect_config *config)
{
    struct lh_hello_info offer = lh_connect_offer(config->options);
    if (config->pace != NULL)
        offer.pace = *config->pace;
    struct lh_ssh *ssh = connection->ssh;

    lh_hello_fini(&connection->hello);
    lh_hello_init(&connection->hello, LH_ROLE_CLIENT, &offer);
    lh_wipe(offer.secret, sizeof offer.secret);
    connection->handshake = (struct lh_handshake){
        .hello = &connection->hello,
        .in_fd = lh_ssh_output_fd(ssh),
        .out_fd = lh_ssh_input_fd(ssh),
        .stop_fd = config->stop_fd,
        .deadline = LH_NEVER,
        .answer_time = ANSWER_TIME,
        .on_slow = on_slow,
        .user = config,
        .sides = {{messages_fd, messages_ready, connection},
                  {askpass_fd, askpass_ready, connection}},
        .side_count = 2,
    };
    if (config->password == NULL && has_terminal()) {
        connection->handshake.silence_max =
            config->answer_max != 0 ? config->answer_max : LH_ANSWER_PERSON;
        connection->handshake.notice_after =
            config->notice_after != 0 ? config->notice_after : LH_ANSWER_NOTICE;
    } else {
        connection->handshake.deadline =
            lh_clock_now() + (config->answer_max != 0 ? config->answer_max : LH_ANSWER_ALONE);
    }
}

static lh_err describe_silence(const struct lh_connection *connection,
                               const struct lh_connect_config *config,
                               struct lh_errinfo *info)
{
    const char *host = config->options->host;
    char shown[100];

    lh_escape(host, strlen(host), shown, sizeof shown);
    return lh_fail(
        info, LH_E_TIMEOUT, LH_CODE_TIMEOUT,
        "%s did not answer for %u s%s: what runs there at login hangs (a home directory, "
        "a login script), or lhserver does; \"ssh %s true\" shows which",
        shown, (unsigned)(lh_ns_since(lh_clock_now(), connection->handshake.began) / LH_SECOND),
        connection->handshake.is_heard ? " in full" : "", shown);
}

// What a login script printed in front of HELLO was skipped; whoever set it up should know.
static void tell_noise(const struct lh_connection *connection,
                       const struct lh_connect_config *config)
{
    size_t len;
    const uint8_t *noise = lh_hello_noise(&connection->hello, &len);
    char shown[160];

    if (len > 0)
        notice(config, "the login there printed something, which was skipped: \"%s\"",
               lh_escape(noise, len, shown, sizeof shown));
}

// HELLO, on as many ssh processes as it takes.
static lh_err greet(struct lh_connection *connection,
                    struct lh_connect_config *config,
                    bool *out_retryable,
                    struct lh_errinfo *info)
{
    for (;;) {
        struct lh_errinfo hello_info = {0};
        lh_err err;
        begin_handshake(connection, config);
        err = lh_handshake_run(&connection->handshake, &hello_info);
        if (err == 0)
            tell_noise(connection, config);
        if (err == LH_E_TIMEOUT) {
            *out_retryable = true;
            return describe_silence(connection, config, info);
        }
        if (err != LH_E_CLOSED) {
            if (err != 0)
                *info = hello_info;
            return err;
        }
        err = lh_ssh_again(connection->ssh, info);
        if (err != 0) {
            *out_retryable = lh_ssh_retry_helps(connection->ssh);
            return err;
        }
    }
}

// The channel's descriptors, ours from now on.
static lh_err take_channel(struct lh_connection *connection, struct lh_errinfo *info)
{
    connection->in_fd = fcntl(lh_ssh_output_fd(connection->ssh), F_DUPFD_CLOEXEC, 3);
    connection->out_fd = fcntl(lh_ssh_input_fd(connection->ssh), F_DUPFD_CLOEXEC, 3);
    if (connection->in_fd < 0 || connection->out_fd < 0)
        return lh_fail_errno(info, errno, LH_CODE_NO_CONNECTION,
                             "cannot take over the SSH channel");
    lh_ssh_end_input(connection->ssh); // ours is the one that counts
    lh_ssh_login_done(connection->ssh);
    return 0;
}

// --- UDP ---

struct candidates {
    struct lh_udp_addr list[LH_CLIENT_CANDIDATES_MAX];
    size_t count;
    uint16_t port;
};

static void add_candidate(struct candidates *candidates, const struct sockaddr *address, size_t len)
{
    struct lh_udp_addr *addr = &candidates->list[candidates->count];

    if (candidates->count == LH_CLIENT_CANDIDATES_MAX || lh_udp_addr_from(address, len, addr) != 0)
        return;
    lh_udp_addr_set_port(addr, candidates->port);
    if (lh_udp_addr_is_unicast(addr))
        candidates->count++;
}

static bool add_name(struct candidates *candidates, const char *name)
{
    struct addrinfo hints = {.ai_socktype = SOCK_DGRAM};
    struct addrinfo *found = NULL;

    if (getaddrinfo(name, NULL, &hints, &found) != 0)
        return false;
    for (struct addrinfo *at = found; at != NULL; at = at->ai_next)
        add_candidate(candidates, at->ai_addr, at->ai_addrlen);
    freeaddrinfo(found);
    return true;
}

// What a person named comes first: there is room for so many candidates only.
static void add_udp_host(struct candidates *candidates, const struct lh_connect_config *config)
{
    const char *host = config->options->udp_host;
    char shown[100];

    if (host == NULL || add_name(candidates, host))
        return;
    notice(config, "the name \"%s\" of --udp-host is not known here; UDP goes without it",
           lh_escape(host, strlen(host), shown, sizeof shown));
}

static void add_server_addresses(struct candidates *candidates,
                                 const struct lh_session_params *params)
{
    for (size_t i = 0; i < params->address_count; i++) {
        const struct lh_hello_address *address = &params->addresses[i];
        struct sockaddr_in v4 = {.sin_family = AF_INET};
        struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
        if (address->family == 4) {
            memcpy(&v4.sin_addr, address->bytes, sizeof v4.sin_addr);
            add_candidate(candidates, (const struct sockaddr *)&v4, sizeof v4);
        } else {
            memcpy(&v6.sin6_addr, address->bytes, sizeof v6.sin6_addr);
            add_candidate(candidates, (const struct sockaddr *)&v6, sizeof v6);
        }
    }
}

static void find_udp(struct lh_connection *connection,
                     const struct lh_connect_config *config,
                     const struct lh_ssh_options *ssh_options)
{
    const struct lhcp_options *options = config->options;
    const struct lh_session_params *params = lh_hello_params(&connection->hello);
    struct candidates candidates = {.port = params->udp_port};
    struct lh_errinfo info = {0};
    char host[LHCP_HOST_MAX + 1];

    if (options->udp == LHCP_UDP_OFF) {
        (void)snprintf(connection->udp_note, sizeof connection->udp_note, "--udp off was given");
        return;
    }
    if (params->udp_port == 0) {
        (void)snprintf(connection->udp_note, sizeof connection->udp_note,
                       "the server could not bind UDP port %u; its log says why; try -O with "
                       "another one",
                       options->udp_port);
        return;
    }
    add_udp_host(&candidates, config);
    add_server_addresses(&candidates, params);
    if (lh_ssh_hostname(ssh_options, host, sizeof host) == 0)
        (void)add_name(&candidates, host); // the server's own address is there without it
    struct lh_client_config udp_config = {.candidates = candidates.list,
                                          .candidate_count = candidates.count};
    if (lh_udp_client_open(&udp_config, &connection->udp, &info) != 0)
        (void)snprintf(connection->udp_note, sizeof connection->udp_note, "no UDP here: %.180s",
                       info.text);
}

lh_err lh_connection_open(struct lh_connection *connection,
                          const struct lh_connect_config *config,
                          bool *out_retryable,
                          struct lh_errinfo *info)
{
    struct lh_connect_config own = *config; // what the callbacks get
    struct lh_ssh_options ssh_options;
    lh_err err;

    *connection = (struct lh_connection){.in_fd = -1, .out_fd = -1};
    *out_retryable = false;
    err = start_ssh(config->options, config->password, config->is_again ? AGAIN : FIRST,
                    &connection->ssh, &ssh_options, info);
    if (err == 0)
        err = greet(connection, &own, out_retryable, info);
    if (err == 0)
        err = take_channel(connection, info);
    if (err == 0)
        err = lh_handshake_master(&connection->hello, &connection->master, info);
    if (err == 0)
        find_udp(connection, config, &ssh_options);
    return err;
}

static void close_fd(int *fd)
{
    if (*fd >= 0)
        (void)close(*fd);
    *fd = -1;
}

void lh_connection_close(struct lh_connection *connection)
{
    close_fd(&connection->in_fd);
    close_fd(&connection->out_fd);
    lh_udp_client_close(connection->udp);
    connection->udp = NULL;
    lh_ssh_close(connection->ssh, CLOSE_PATIENCE);
    connection->ssh = NULL;
    lh_hello_fini(&connection->hello);
    lh_secret_fini(&connection->master);
}
