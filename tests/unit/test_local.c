// SPDX-License-Identifier: Apache-2.0
//
// The private socket of a session: where it lies, who is heard, what a request may be.
#include "local/local.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "check.h"
#include "local/request.h"
#include "sys/clock.h"

static char top[] = "/tmp/lh-test-local.XXXXXX";
static struct lh_local_places places;
static char asked[LH_LOCAL_REQUEST_MAX];

static int make_top(void **state)
{
    (void)state;
    // One place alone, so that nothing of this machine plays a part.
    if (mkdtemp(top) == NULL)
        return -1;
    lh_local_places(&places, geteuid(), top, NULL);
    places.count = 1;
    return 0;
}

static int remove_top(void **state)
{
    char path[128];
    (void)state;
    (void)snprintf(path, sizeof path, "%s/longhaul", top);
    (void)rmdir(path);
    return rmdir(top);
}

static size_t answer(void *user, const char *text, size_t len, char *out, size_t room)
{
    (void)user;
    assert_true(len < sizeof asked && room >= LH_LOCAL_REPLY_MAX - 1);
    memcpy(asked, text, len);
    asked[len] = '\0';
    return (size_t)snprintf(out, room, "heard %zu", len);
}

static struct lh_local_server *listen_as(const char *name)
{
    struct lh_local_server *server = NULL;
    struct lh_errinfo info = {0};
    check_ok(lh_local_listen(&places, name, answer, NULL, &server, &info));
    return server;
}

// Serves what comes within a moment.
static void serve(struct lh_local_server *server, lh_ns now)
{
    struct pollfd ready = {.fd = lh_local_fd(server), .events = POLLIN};
    for (int i = 0; i < 4 && poll(&ready, 1, 20) > 0; i++)
        lh_local_ready(server, now);
    lh_local_ready(server, now);
}

static int connect_to(const char *name)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    assert_true(fd >= 0);
    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s/longhaul/%s", top, name);
    assert_int_equal(connect(fd, (const struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

static ssize_t take(int fd, char *out, size_t room)
{
    ssize_t len = recv(fd, out, room - 1, 0);
    out[len > 0 ? len : 0] = '\0';
    return len;
}

struct found {
    size_t count;
    struct lh_local_socket last;
};

static bool find(void *user, const struct lh_local_socket *found_socket)
{
    struct found *found = user;
    found->count++;
    found->last = *found_socket;
    return true;
}

static struct found list(void)
{
    struct found found = {.count = 0};
    lh_local_list(&places, geteuid(), find, &found);
    return found;
}

static void places_are_named_in_order_and_once(void **state)
{
    (void)state;
    struct lh_local_places many;
    lh_local_places(&many, 1234, "/run/user/1234", "/home/x/.local/state/longhaul");
    check_uint(many.count, 2);
    assert_string_equal(many.paths[0], "/run/user/1234/longhaul");
    assert_string_equal(many.paths[1], "/home/x/.local/state/longhaul/run");
    lh_local_places(&many, 1234, "relative", NULL);
    check_uint(many.count, 1);
}

static void a_request_gets_one_answer(void **state)
{
    (void)state;
    struct lh_local_server *server = listen_as("1234abcd.1");
    char text[64];
    int fd = connect_to("1234abcd.1");
    assert_int_equal(send(fd, "half ", 5, 0), 5);
    serve(server, LH_SECOND);
    assert_int_equal(take(fd, text, sizeof text), -1);
    assert_int_equal(send(fd, "a request\nand more", 18, 0), 18);
    serve(server, LH_SECOND);
    assert_string_equal(asked, "half a request");
    assert_int_equal(take(fd, text, sizeof text), 9);
    assert_string_equal(text, "heard 14\n");
    (void)close(fd);
    lh_local_close(server);
    check_uint(list().count, 0);
}

static void a_silent_client_loses_its_place(void **state)
{
    (void)state;
    struct lh_local_server *server = listen_as("1.1");
    char text[8];
    int fd = connect_to("1.1");
    serve(server, LH_SECOND);
    check_uint(lh_local_deadline(server), LH_SECOND + LH_LOCAL_PATIENCE);
    lh_local_ready(server, LH_SECOND + LH_LOCAL_PATIENCE - 1);
    assert_int_equal(take(fd, text, sizeof text), -1);
    lh_local_ready(server, LH_SECOND + LH_LOCAL_PATIENCE);
    assert_int_equal(take(fd, text, sizeof text), 0);
    assert_true(lh_local_deadline(server) == LH_NEVER);
    (void)close(fd);
    lh_local_close(server);
}

static void the_oldest_makes_room_for_one_too_many(void **state)
{
    (void)state;
    struct lh_local_server *server = listen_as("1.1");
    int fds[LH_LOCAL_CLIENTS_MAX + 1];
    char text[16];
    for (size_t i = 0; i < LH_ARRAY_LEN(fds); i++) {
        fds[i] = connect_to("1.1");
        serve(server, LH_SECOND + i);
    }
    assert_int_equal(take(fds[0], text, sizeof text), 0);
    assert_int_equal(send(fds[1], "x\n", 2, 0), 2);
    assert_int_equal(send(fds[LH_LOCAL_CLIENTS_MAX], "yy\n", 3, 0), 3);
    serve(server, LH_SECOND + 100);
    assert_int_equal(take(fds[1], text, sizeof text), 8);
    assert_int_equal(take(fds[LH_LOCAL_CLIENTS_MAX], text, sizeof text), 8);
    for (size_t i = 0; i < LH_ARRAY_LEN(fds); i++)
        (void)close(fds[i]);
    lh_local_close(server);
}

static void an_endless_request_is_not_read_to_its_end(void **state)
{
    (void)state;
    struct lh_local_server *server = listen_as("1.1");
    char text[2 * LH_LOCAL_REQUEST_MAX];
    int fd = connect_to("1.1");
    memset(text, 'x', sizeof text);
    assert_int_equal(send(fd, text, sizeof text, MSG_NOSIGNAL), sizeof text);
    serve(server, LH_SECOND);
    assert_true(take(fd, text, sizeof text) <= 0);
    assert_true(lh_local_deadline(server) == LH_NEVER);
    (void)close(fd);
    lh_local_close(server);
}

// What a child, as `uid`, gets for a request: its length.
static int length_for(struct lh_local_server *server, uid_t uid, const char *name)
{
    int status = 0;
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        char text[64];
        if (setgid(uid) != 0 || setuid(uid) != 0)
            _exit(99);
        int fd = connect_to(name);
        struct pollfd ready = {.fd = fd, .events = POLLIN};
        (void)send(fd, "x\n", 2, MSG_NOSIGNAL);
        (void)poll(&ready, 1, 5000);
        ssize_t len = take(fd, text, sizeof text);
        _exit(len > 0 ? (int)len : 0);
    }
    while (waitpid(pid, &status, WNOHANG) == 0)
        serve(server, LH_SECOND);
    return WEXITSTATUS(status);
}

static void another_user_is_not_heard(void **state)
{
    (void)state;
    char path[128];
    if (geteuid() != 0)
        skip();
    struct lh_local_server *server = listen_as("1.1");
    // The modes keep others out already: open them, to see that the server looks for itself.
    (void)snprintf(path, sizeof path, "%s/longhaul", top);
    assert_int_equal(chmod(top, 0711) | chmod(path, 0711), 0);
    (void)snprintf(path, sizeof path, "%s/longhaul/1.1", top);
    assert_int_equal(chmod(path, 0666), 0);
    assert_int_equal(length_for(server, 65534, "1.1"), 0);
    assert_int_equal(length_for(server, 0, "1.1"), 8);
    lh_local_close(server);
}

static void a_directory_that_others_write_to_is_not_used(void **state)
{
    (void)state;
    char path[128];
    struct lh_local_server *server = listen_as("1.1");
    struct lh_errinfo info = {0};
    (void)snprintf(path, sizeof path, "%s/longhaul", top);
    check_uint(list().count, 1);
    assert_int_equal(chmod(path, 0770), 0);
    check_uint(list().count, 0);
    struct lh_local_server *second = NULL;
    check_err(lh_local_listen(&places, "2.2", answer, NULL, &second, &info), LH_E_PATH);
    assert_int_equal(chmod(path, 0700), 0);
    lh_local_close(server);
}

static void a_dead_socket_is_removed_and_a_living_one_is_not(void **state)
{
    (void)state;
    struct lh_local_server *alive = listen_as("aa.1");
    pid_t pid = fork();
    if (pid == 0) {
        (void)listen_as("bb.2");
        _exit(0); // as if killed: the socket stays
    }
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    struct found found = list();
    check_uint(found.count, 1);
    assert_string_equal(found.last.name, "aa.1");
    found = list();
    check_uint(found.count, 1);
    serve(alive, LH_SECOND); // takes the connections that looking made
    lh_local_close(alive);
}

static void asking_tells_the_owner_from_others(void **state)
{
    (void)state;
    char reply[LH_LOCAL_REPLY_MAX + 1];
    struct lh_errinfo info = {0};
    struct lh_local_server *server = listen_as("aa.1");
    pid_t pid = fork();
    if (pid == 0) {
        for (int i = 0; i < 200; i++)
            serve(server, LH_SECOND);
        _exit(0);
    }
    struct found found = list();
    check_ok(lh_local_ask(&found.last, "{}", reply, sizeof reply, &info));
    assert_string_equal(reply, "heard 2");
    if (geteuid() == 0) {
        // Somebody's directory with a way to a service of root's in it.
        char path[128];
        (void)snprintf(path, sizeof path, "%s/longhaul", top);
        assert_int_equal(chown(path, 65534, 65534), 0);
        found.last.owner = 65534;
        info = (struct lh_errinfo){0};
        check_err(lh_local_ask(&found.last, "{}", reply, sizeof reply, &info), LH_E_AUTH);
        assert_int_equal(chown(path, 0, 0), 0);
    }
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    lh_local_close(server);
}

// --- Requests and answers ------------------------------------------------------------------------

static lh_err parse(const char *text, struct lh_local_request *out)
{
    struct lh_errinfo info = {0};
    return lh_local_request_parse(text, strlen(text), out, &info);
}

static void requests_survive_the_way(void **state)
{
    (void)state;
    const struct lh_local_request cases[] = {
        {.command = LH_LOCAL_SHOW},
        {.command = LH_LOCAL_SET, .has_rate = true, .rate = 300000000},
        {.command = LH_LOCAL_SET, .has_min = true, .min = 0},
        {.command = LH_LOCAL_SET, .has_rate = true, .has_policy = true, .policy = "low"},
    };
    for (size_t i = 0; i < LH_ARRAY_LEN(cases); i++) {
        char text[LH_LOCAL_REQUEST_MAX];
        struct lh_local_request back = {.command = LH_LOCAL_SHOW};
        lh_local_request_write(&cases[i], text, sizeof text);
        check_ok(parse(text, &back));
        assert_memory_equal(&back, &cases[i], sizeof back);
    }
}

static void what_is_no_request_is_refused(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "",
        "{",
        "[]",
        "null",
        "{}",
        "{\"command\":\"die\"}",
        "{\"command\":1}",
        "{\"command\":\"set\"}",
        "{\"command\":\"show\",\"rate\":1}",
        "{\"command\":\"set\",\"rate\":-1}",
        "{\"command\":\"set\",\"rate\":1.5}",
        "{\"command\":\"set\",\"rate\":\"1g\"}",
        "{\"command\":\"set\",\"rate\":1000000000001}",
        "{\"command\":\"set\",\"rate\":18446744073709551616}",
        "{\"command\":\"set\",\"policy\":\"0123456789abcdef\"}",
        "{\"command\":\"set\",\"policy\":7}",
        "{\"command\":\"set\",\"rate\":1,\"rate\":2}",
        "{\"command\":\"set\",\"rate\":1,\"colour\":\"red\"}",
        "{\"command\":\"show\"} {}",
    };
    for (size_t i = 0; i < LH_ARRAY_LEN(cases); i++) {
        struct lh_local_request request;
        if (parse(cases[i], &request) != LH_E_INVALID)
            fail_msg("accepted: %s", cases[i]);
    }
}

static void the_largest_answer_fits_and_comes_back(void **state)
{
    (void)state;
    struct lh_local_session session;
    struct lh_local_reply reply;
    char text[LH_LOCAL_REPLY_MAX];
    memset(&session, 0, sizeof session);
    memset(session.peer, '"', sizeof session.peer - 1);
    memset(session.policy, 'p', sizeof session.policy - 1);
    session.bytes_total = UINT64_MAX;
    session.rtt_us = 4711;
    assert_true(lh_local_reply_write(&session, NULL, text, sizeof text) < sizeof text);
    check_ok(lh_local_reply_parse(text, &reply));
    assert_true(reply.is_ok);
    assert_string_equal(reply.session.peer, session.peer);
    check_uint(reply.session.bytes_total, INT64_MAX);
    check_uint(reply.session.rtt_us, 4711);
    (void)lh_local_reply_write(NULL, "no \x1b[2J", text, sizeof text);
    check_ok(lh_local_reply_parse(text, &reply));
    assert_false(reply.is_ok);
    assert_null(strchr(reply.error, '\x1b'));
    check_err(lh_local_reply_parse("{\"ok\":true}", &reply), LH_E_PROTO);
    check_err(lh_local_reply_parse("{\"ok\":1}", &reply), LH_E_PROTO);
    check_err(lh_local_reply_parse("[", &reply), LH_E_PROTO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(places_are_named_in_order_and_once),
        cmocka_unit_test(a_request_gets_one_answer),
        cmocka_unit_test(a_silent_client_loses_its_place),
        cmocka_unit_test(the_oldest_makes_room_for_one_too_many),
        cmocka_unit_test(an_endless_request_is_not_read_to_its_end),
        cmocka_unit_test(another_user_is_not_heard),
        cmocka_unit_test(a_directory_that_others_write_to_is_not_used),
        cmocka_unit_test(a_dead_socket_is_removed_and_a_living_one_is_not),
        cmocka_unit_test(asking_tells_the_owner_from_others),
        cmocka_unit_test(requests_survive_the_way),
        cmocka_unit_test(what_is_no_request_is_refused),
        cmocka_unit_test(the_largest_answer_fits_and_comes_back),
    };
    return cmocka_run_group_tests(tests, make_top, remove_top);
}
