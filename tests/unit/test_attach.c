// SPDX-License-Identifier: Apache-2.0
//
// Another SSH channel for a session that lives: who may bring one (run/attach.h), and whom a client
// believes that has logged in again (run/relogin.h). Every refusal has a case here.
#include "run/attach.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/text.h"
#include "check.h"
#include "control/attach.h"
#include "run/connect.h"
#include "run/relogin.h"
#include "sys/clock.h"

#define SESSION 0x01020304u

struct world {
    struct lh_loop *loop;
    struct lh_attach_point *point;
    struct lh_secret secret;
    int channel[2]; // what the session got, -1 = nothing
    unsigned channels;
    lh_ns until;
};

static void on_channel(void *user, int in_fd, int out_fd, lh_ns now)
{
    struct world *w = user;
    (void)now;
    w->channel[0] = in_fd;
    w->channel[1] = out_fd;
    w->channels++;
}

static lh_ns turn(void *user, lh_ns now)
{
    struct world *w = user;
    if (w->point != NULL)
        lh_attach_point_on_deadline(w->point, now);
    if (now >= w->until)
        lh_loop_stop(w->loop);
    return w->until;
}

static void run(struct world *w)
{
    w->until = lh_clock_now() + 20 * LH_MS;
    check_ok(lh_loop_run(w->loop, turn, w, NULL));
}

static void set_up(struct world *w, uid_t owner)
{
    *w = (struct world){.channel = {-1, -1}};
    memset(w->secret.bytes, 0x77, sizeof w->secret.bytes);
    w->secret.bytes[0] = (uint8_t)getpid(); // abstract names are the machine's
    w->secret.bytes[1] = (uint8_t)(getpid() >> 8);
    check_ok(lh_loop_new(&w->loop, NULL));
    struct lh_attach_config config = {.loop = w->loop,
                                      .secret = &w->secret,
                                      .session_id = SESSION,
                                      .owner = owner,
                                      .on_channel = on_channel,
                                      .user = w};
    check_ok(lh_attach_point_open(&config, &w->point, NULL));
}

static void tear_down(struct world *w)
{
    lh_attach_point_close(w->point);
    for (int i = 0; i < 2; i++) {
        if (w->channel[i] >= 0)
            (void)close(w->channel[i]);
    }
    lh_loop_free(w->loop);
}

static int connect_to(const struct world *w)
{
    struct sockaddr_un address;
    uint8_t name[LH_ATTACH_NAME_LEN];
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

    check_ok(lh_attach_name(&w->secret, name));
    unsigned len = lh_attach_address(name, &address);
    check_int(connect(fd, (const struct sockaddr *)&address, len), 0);
    return fd;
}

static void send_with(int fd, const void *bytes, size_t len, const int *fds, size_t count)
{
    _Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int) * 8)] = {0};
    struct iovec iov = {.iov_base = (void *)(uintptr_t)bytes, .iov_len = len};
    struct msghdr header = {.msg_iov = &iov, .msg_iovlen = 1};

    if (count > 0) {
        header.msg_control = control;
        header.msg_controllen = CMSG_SPACE(sizeof(int) * count);
        struct cmsghdr *cmsg = CMSG_FIRSTHDR(&header);
        cmsg->cmsg_level = SOL_SOCKET;
        cmsg->cmsg_type = SCM_RIGHTS;
        cmsg->cmsg_len = CMSG_LEN(sizeof(int) * count);
        memcpy(CMSG_DATA(cmsg), fds, sizeof(int) * count);
    }
    (void)!sendmsg(fd, &header, MSG_NOSIGNAL);
}

struct attempt {
    uint32_t session_id, count;
    bool is_wrong_proof;
    size_t fds;
    size_t more; // bytes behind the offer
};

// One connection that offers; what the session answered, or -1 where it hung up without.
static int offer(struct world *w, const struct attempt *attempt, int *out_fd)
{
    struct lh_attach_offer message = {.session_id = attempt->session_id, .count = attempt->count};
    uint8_t bytes[LH_ATTACH_OFFER_LEN + 8] = {0};
    uint8_t answer[LH_ATTACH_MESSAGE_MAX];
    struct lh_attach_answer read;
    int fds[] = {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO, STDIN_FILENO};
    int fd = connect_to(w);

    check_ok(lh_attach_proof(&w->secret, true, attempt->count, message.proof));
    message.proof[31] ^= attempt->is_wrong_proof;
    lh_attach_offer_write(&message, bytes);
    send_with(fd, bytes, LH_ATTACH_OFFER_LEN + attempt->more, fds, attempt->fds);
    run(w);
    ssize_t got = recv(fd, answer, sizeof answer, MSG_DONTWAIT);
    bool is_read = got > 0 && lh_attach_answer_read(answer, (size_t)got, &read);
    if (out_fd != NULL)
        *out_fd = fd;
    else
        (void)close(fd);
    return is_read ? read.verdict : -1;
}

static void go(struct world *w, int fd)
{
    uint8_t bytes[LH_ATTACH_GO_LEN];
    lh_attach_go_write(bytes);
    send_with(fd, bytes, sizeof bytes, NULL, 0);
    run(w);
}

// Computed by Python's hmac from the formulas of longhaul-protocol(5).
static void name_and_proofs_are_the_documented_ones(void **state)
{
    (void)state;
    struct lh_secret master, secret;
    uint8_t name[LH_ATTACH_NAME_LEN], proof[LH_ATTACH_PROOF_LEN];
    char hex[2 * LH_ATTACH_PROOF_LEN + 1];
    for (size_t i = 0; i < sizeof master.bytes; i++)
        master.bytes[i] = (uint8_t)i;
    check_ok(lh_attach_secret(&master, &secret));
    check_ok(lh_attach_name(&secret, name));
    assert_string_equal(lh_format_hex(name, sizeof name, hex), "971acc44fb5546ac371d97bdbf739bf3");
    check_ok(lh_attach_proof(&secret, true, 258, proof));
    assert_string_equal(lh_format_hex(proof, sizeof proof, hex),
                        "f260b93cc8b29cc15d2753e2fbb53b60cd5de3b25062aa6519cab4c0c197bcc1");
    check_ok(lh_attach_proof(&secret, false, 258, proof));
    assert_string_equal(lh_format_hex(proof, sizeof proof, hex),
                        "2ec71917340c1d6a059b0d5f0772542cfbbcc482c78905484122a042db4609ac");
}

static void a_channel_is_taken_once_the_client_was_told(void **state)
{
    (void)state;
    struct world w;
    int fd;
    char byte;
    set_up(&w, geteuid());
    check_int(offer(&w, &(struct attempt){SESSION, 1, false, 2, 0}, &fd), LH_ATTACH_TAKEN);
    check_uint(w.channels, 0);
    go(&w, fd);
    check_uint(w.channels, 1);
    assert_true(w.channel[0] >= 0 && w.channel[1] >= 0);
    // The other lhserver stays until its channel is used no more.
    check_int(recv(fd, &byte, 1, MSG_DONTWAIT), -1);
    check_int(errno, EAGAIN);
    lh_attach_point_dismiss(w.point);
    check_int(recv(fd, &byte, 1, MSG_DONTWAIT), 0);
    (void)close(fd);
    tear_down(&w);
}

static void what_does_not_prove_itself_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *what;
        struct attempt attempt;
    } cases[] = {
        {"another session", {SESSION + 1, 9, false, 2, 0}},
        {"a wrong proof", {SESSION, 9, true, 2, 0}},
        {"no descriptors", {SESSION, 9, false, 0, 0}},
        {"one descriptor", {SESSION, 9, false, 1, 0}},
        {"two channels", {SESSION, 9, false, 4, 0}},
        {"three descriptors", {SESSION, 9, false, 3, 0}},
        {"bytes behind the offer", {SESSION, 9, false, 2, 1}},
    };
    struct world w;
    set_up(&w, geteuid());
    for (size_t i = 0; i < LH_ARRAY_LEN(cases); i++) {
        if (offer(&w, &cases[i].attempt, NULL) == LH_ATTACH_TAKEN)
            fail_msg("%s: taken", cases[i].what);
    }
    check_int(offer(&w, &(struct attempt){SESSION, 9, false, 2, 0}, NULL), LH_ATTACH_TAKEN);
    tear_down(&w);
}

static void a_proof_is_good_once_and_only_the_latest_may_go(void **state)
{
    (void)state;
    struct world w;
    int first, second;
    set_up(&w, geteuid());
    check_int(offer(&w, &(struct attempt){SESSION, 5, false, 2, 0}, &first), LH_ATTACH_TAKEN);
    check_int(offer(&w, &(struct attempt){SESSION, 5, false, 2, 0}, NULL), LH_ATTACH_REFUSED);
    check_int(offer(&w, &(struct attempt){SESSION, 4, false, 2, 0}, NULL), LH_ATTACH_REFUSED);
    check_int(offer(&w, &(struct attempt){SESSION, 6, false, 2, 0}, &second), LH_ATTACH_TAKEN);
    go(&w, first);
    check_uint(w.channels, 0);
    go(&w, second);
    check_uint(w.channels, 1);
    (void)close(first);
    (void)close(second);
    tear_down(&w);
}

static void a_second_offer_on_a_connection_ends_it(void **state)
{
    (void)state;
    struct world w;
    struct lh_attach_offer message = {.session_id = SESSION, .count = 2};
    uint8_t bytes[LH_ATTACH_OFFER_LEN];
    int fds[] = {STDIN_FILENO, STDOUT_FILENO};
    int fd;
    set_up(&w, geteuid());
    check_int(offer(&w, &(struct attempt){SESSION, 1, false, 2, 0}, &fd), LH_ATTACH_TAKEN);
    check_ok(lh_attach_proof(&w.secret, true, 2, message.proof));
    lh_attach_offer_write(&message, bytes);
    send_with(fd, bytes, sizeof bytes, fds, 2);
    run(&w);
    go(&w, fd);
    check_uint(w.channels, 0);
    (void)close(fd);
    tear_down(&w);
}

static void another_user_is_not_let_in(void **state)
{
    (void)state;
    struct world w;
    set_up(&w, geteuid() + 1); // to this one we are the stranger
    check_int(offer(&w, &(struct attempt){SESSION, 1, false, 2, 0}, NULL), -1);
    tear_down(&w);
}

static void connections_that_do_nothing_are_few_and_do_not_last(void **state)
{
    (void)state;
    struct world w;
    int fds[LH_ATTACH_PENDING + 1];
    char byte;
    set_up(&w, geteuid());
    for (size_t i = 0; i <= LH_ATTACH_PENDING; i++) {
        fds[i] = connect_to(&w);
        run(&w);
    }
    check_int(recv(fds[LH_ATTACH_PENDING], &byte, 1, MSG_DONTWAIT), 0); // one too many
    check_int(recv(fds[0], &byte, 1, MSG_DONTWAIT), -1);
    assert_true(lh_attach_point_deadline(w.point) != LH_NEVER);
    lh_attach_point_on_deadline(w.point, lh_clock_now() + LH_ATTACH_PATIENCE);
    check_int(recv(fds[0], &byte, 1, MSG_DONTWAIT), 0);
    assert_true(lh_attach_point_deadline(w.point) == LH_NEVER);
    for (size_t i = 0; i <= LH_ATTACH_PENDING; i++)
        (void)close(fds[i]);
    tear_down(&w);
}

static void who_brings_a_channel_looks_at_who_takes_it(void **state)
{
    (void)state;
    struct world w;
    const int channel[] = {STDIN_FILENO, STDOUT_FILENO};
    struct lh_hello_attach attach = {.session_id = SESSION, .count = 1};
    uint8_t proof[LH_ATTACH_PROOF_LEN];
    struct lh_errinfo info = {0};
    int fd = -1;
    set_up(&w, geteuid());
    check_ok(lh_attach_name(&w.secret, attach.name));
    check_ok(lh_attach_proof(&w.secret, true, 1, attach.proof));
    // Nobody answers here, but who listens is seen at once.
    check_err(lh_attach_offer_channel(&attach, channel, geteuid() + 1, &fd, proof, &info),
              LH_E_AUTH);
    attach.name[0] ^= 1;
    info = (struct lh_errinfo){0};
    check_err(lh_attach_offer_channel(&attach, channel, geteuid(), &fd, proof, &info), LH_E_CLOSED);
    tear_down(&w);
}

// --- The client's side: a script in ssh's place says the server's HELLO ---

static char dir[] = "/tmp/lh-test-attach.XXXXXX";
static char program[64], answer_path[64];

static int make_dir(void **state)
{
    static char path[4096];

    (void)state;
    (void)snprintf(program, sizeof program, "%s/ssh", mkdtemp(dir));
    (void)snprintf(answer_path, sizeof answer_path, "%s/answer", dir);
    (void)snprintf(path, sizeof path, "%s:%s", dir, getenv("PATH"));
    return setenv("PATH", path, 1);
}

static int remove_dir(void **state)
{
    (void)state;
    (void)unlink(program);
    (void)unlink(answer_path);
    return rmdir(dir);
}

static void write_file(const char *path, const void *bytes, size_t len)
{
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    check_uint(fwrite(bytes, 1, len, file), len);
    (void)fclose(file);
}

struct login {
    struct lh_loop *loop;
    struct lh_relogin *relogin;
    unsigned channels, failures;
    bool is_final;
    char why[256];
};

static void on_login(void *user, const struct lh_relogin_channel *channel, lh_ns now)
{
    struct login *login = user;
    (void)now;
    login->channels++;
    (void)close(channel->in_fd);
    (void)close(channel->out_fd);
    lh_ssh_stop(channel->ssh, true);
    lh_ssh_close(channel->ssh, 0);
}

static void on_failure(void *user, const char *why, bool is_final)
{
    struct login *login = user;
    login->failures++;
    login->is_final = is_final;
    (void)snprintf(login->why, sizeof login->why, "%s", why);
}

static lh_ns login_turn(void *user, lh_ns now)
{
    struct login *login = user;
    lh_ns deadline = lh_relogin_turn(login->relogin, now);
    if (login->channels + login->failures > 0)
        lh_loop_stop(login->loop);
    return deadline;
}

// Logs in where the server says `script`; the client's first attempt has count 1.
static struct login log_in(const char *script)
{
    static const struct lhcp_options options = {
        .host = "again.example", .block_log2 = LH_BLOCK_LOG2_DEFAULT, .memory = LH_MEMORY_DEFAULT};
    struct lh_secret master;
    struct login login = {0};
    char text[256];
    int len = snprintf(text, sizeof text, "#!/bin/sh\n%s\n", script);

    memset(master.bytes, 0x55, sizeof master.bytes);
    write_file(program, text, (size_t)len);
    check_int(chmod(program, 0755), 0);
    check_ok(lh_loop_new(&login.loop, NULL));
    struct lh_relogin_config config = {.loop = login.loop,
                                       .options = &options,
                                       .session_id = SESSION,
                                       .master = &master,
                                       .on_channel = on_login,
                                       .on_failure = on_failure,
                                       .user = &login};
    check_ok(lh_relogin_new(&config, &login.relogin));
    lh_relogin_begin(login.relogin, NULL, lh_clock_now());
    check_ok(lh_loop_run(login.loop, login_turn, &login, NULL));
    lh_relogin_free(login.relogin);
    lh_loop_free(login.loop);
    return login;
}

// The HELLO of an lhserver; `proof` NULL: one that says nothing of a session.
static void write_answer(const uint8_t *proof)
{
    struct lh_hello client, server;
    static const struct lhcp_options options = {.block_log2 = LH_BLOCK_LOG2_DEFAULT,
                                                .memory = LH_MEMORY_DEFAULT};
    struct lh_hello_info offer = lh_connect_offer(&options);
    size_t len, used;

    offer.attach = (struct lh_hello_attach){.session_id = SESSION, .count = 1};
    lh_hello_init(&client, LH_ROLE_CLIENT, &offer);
    offer.attach.session_id = 0;
    lh_hello_init(&server, LH_ROLE_SERVER, &offer);
    const uint8_t *bytes = lh_hello_output(&client, &len);
    check_ok(lh_hello_feed(&server, bytes, len, &used));
    if (proof != NULL)
        lh_hello_attached(&server, proof);
    lh_hello_answer(&server, SESSION, 0, NULL, 0);
    bytes = lh_hello_output(&server, &len);
    write_file(answer_path, bytes, len);
    lh_hello_fini(&client);
    lh_hello_fini(&server);
}

static void a_login_needs_the_sessions_own_proof(void **state)
{
    (void)state;
    struct lh_secret master, secret;
    uint8_t proof[LH_ATTACH_PROOF_LEN];
    char script[128];
    (void)snprintf(script, sizeof script, "cat %s; exec sleep 20", answer_path);
    memset(master.bytes, 0x55, sizeof master.bytes);
    check_ok(lh_attach_secret(&master, &secret));
    check_ok(lh_attach_proof(&secret, false, 1, proof));

    write_answer(proof);
    struct login login = log_in(script);
    check_uint(login.channels, 1);

    write_answer(NULL);
    login = log_in(script);
    check_uint(login.channels, 0);
    assert_true(login.is_final);

    proof[0] ^= 1;
    write_answer(proof);
    login = log_in(script);
    check_uint(login.channels, 0);
    assert_true(login.is_final);
}

static void a_login_that_the_network_breaks_is_worth_another_one(void **state)
{
    (void)state;
    struct login login = log_in(
        "echo 'ssh: connect to host again.example port 33001: No route to host' >&2; exit 255");
    check_uint(login.failures, 1);
    assert_false(login.is_final);

    login = log_in("echo 'user@again.example: Permission denied (publickey).' >&2; exit 255");
    check_uint(login.failures, 1);
    assert_true(login.is_final);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(name_and_proofs_are_the_documented_ones),
        cmocka_unit_test(a_channel_is_taken_once_the_client_was_told),
        cmocka_unit_test(what_does_not_prove_itself_is_refused),
        cmocka_unit_test(a_proof_is_good_once_and_only_the_latest_may_go),
        cmocka_unit_test(a_second_offer_on_a_connection_ends_it),
        cmocka_unit_test(another_user_is_not_let_in),
        cmocka_unit_test(connections_that_do_nothing_are_few_and_do_not_last),
        cmocka_unit_test(who_brings_a_channel_looks_at_who_takes_it),
        cmocka_unit_test(a_login_needs_the_sessions_own_proof),
        cmocka_unit_test(a_login_that_the_network_breaks_is_worth_another_one),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
