// SPDX-License-Identifier: Apache-2.0
//
// Proves what src/udp/port_recv.c relies on when sessions pass datagrams on through abstract Unix
// sockets.
#include <linux/sockios.h>
#include <stddef.h>
#include <sys/un.h>

#include "tap.h"

#define MAX_SENT 100000

static struct sockaddr_un name;
static socklen_t name_len;

static int inbox(void)
{
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    tap_need(fd >= 0, "socket");
    return fd;
}

static bool post(int fd, size_t len)
{
    static char message[65536];
    return sendto(fd, message, len, MSG_DONTWAIT, (struct sockaddr *)&name, name_len) ==
           (ssize_t)len;
}

static int queue_length(void)
{
    FILE *file = fopen("/proc/sys/net/unix/max_dgram_qlen", "re");
    int length = 0;
    if (file != NULL) {
        if (fscanf(file, "%d", &length) != 1)
            length = 0;
        (void)fclose(file);
    }
    return length;
}

static void prove_bound(struct tap *tap)
{
    int owner = inbox();
    int sender = inbox();
    int sent = 0;
    int out = 0;

    tap_need(bind(owner, (struct sockaddr *)&name, name_len) == 0, "bind");
    int second = inbox();
    tap_ok(tap, bind(second, (struct sockaddr *)&name, name_len) != 0 && errno == EADDRINUSE,
           "an abstract name belongs to one socket at a time");
    (void)close(second);
    while (sent < MAX_SENT && post(sender, 100))
        sent++;
    tap_ok(tap, errno == EAGAIN && sent < MAX_SENT,
           "an inbox that nobody reads is bounded: full after %d messages (max_dgram_qlen %d)",
           sent, queue_length());
    tap_need(ioctl(sender, SIOCOUTQ, &out) == 0, "SIOCOUTQ");
    tap_ok(tap, out >= sent * 100,
           "what lies in the inbox is charged to the sender's buffer (%d bytes)", out);
    (void)close(sender);
    char byte;
    tap_ok(tap, recv(owner, &byte, 1, 0) == 1, "a sender may close; what it sent stays");
    (void)close(owner);
    sender = inbox();
    tap_ok(tap, !post(sender, 100) && errno == ECONNREFUSED,
           "the name is gone with its socket, and says so at once");
    (void)close(sender);
}

// Ten inboxes that nobody reads use up a sender's buffer; a fresh sender can go on.
static void prove_renewal(struct tap *tap)
{
    int owners[64];
    int size = 65536;
    int sender = inbox();
    bool stuck = false;

    tap_need(setsockopt(sender, SOL_SOCKET, SO_SNDBUF, &size, sizeof size) == 0, "SO_SNDBUF");
    for (size_t i = 0; i < 64; i++) {
        owners[i] = inbox();
        name.sun_path[1] = (char)('A' + i);
        tap_need(bind(owners[i], (struct sockaddr *)&name, name_len) == 0, "bind");
        bool any = false;
        while (post(sender, 9000))
            any = true;
        stuck = stuck || !any;
    }
    tap_ok(tap, stuck, "unread inboxes use up a sender's buffer: it cannot reach an empty one");
    (void)close(sender);
    sender = inbox();
    tap_ok(tap, post(sender, 9000),
           "a fresh sender can, while the old one's messages still lie there");
    (void)close(sender);
    for (size_t i = 0; i < 64; i++)
        (void)close(owners[i]);
}

static void prove_users(struct tap *tap)
{
    if (geteuid() != 0) {
        tap_skip(tap, "another user's session can be reached: needs root");
        return;
    }
    int owner = inbox();
    tap_need(bind(owner, (struct sockaddr *)&name, name_len) == 0, "bind");
    tap_need(seteuid(10002) == 0, "seteuid");
    int sender = inbox();
    tap_ok(tap, post(sender, 100), "a session of another user can be reached by name");
    tap_need(seteuid(0) == 0, "seteuid");
    (void)close(sender);
    (void)close(owner);
}

int main(void)
{
    struct tap tap = {0};

    name.sun_family = AF_UNIX;
    name_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 +
                           (size_t)snprintf(name.sun_path + 1, sizeof name.sun_path - 1,
                                            "-longhaul-platform-%d", (int)getpid()));
    prove_bound(&tap);
    prove_users(&tap);
    prove_renewal(&tap);
    return tap_done(&tap);
}
