// SPDX-License-Identifier: Apache-2.0
//
// How it works. A table of checks; each looks at one thing and fills a finding: a grade, what was
// found, and what to do about it. Checks try the thing itself where that harms nothing (openat2,
// UDP_SEGMENT, a bind), and read the setting where it does not (sysctl). Nothing is changed,
// nothing needs root.
#include "cmd/doctor.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "crypto/aead.h"
#include "ssh/spawn.h"
#include "sys/clock.h"

#define SOCKET_BUFFER_WANTED ((uint64_t)4 << 20) // bytes: 32 ms at 1 Gbit/s
#define SSH_VERSION_WANTED   805                 // KnownHostsCommand
#define CIPHER_TIME_WANTED   ((lh_ns)1000)       // for 1,400 bytes: about 8 Gbit/s in one thread
#ifndef UDP_GRO
#define UDP_GRO 104
#endif

// --- Looking -------------------------------------------------------------------------------------

static void found(struct lh_finding *finding, enum lh_grade grade, const char *text)
{
    finding->grade = grade;
    (void)snprintf(finding->text, sizeof finding->text, "%s", text);
}

static void advise(struct lh_finding *finding, const char *remedy)
{
    (void)snprintf(finding->remedy, sizeof finding->remedy, "%s", remedy);
}

// Reads one setting as text without its newline; false where it is not there.
static bool
read_setting(const struct lh_doctor_host *host, const char *name, char *out, size_t room)
{
    char path[LH_PATH_TEXT_MAX];
    int len = snprintf(path, sizeof path, "%s/%s", host->sysctl_root, name);
    if (len < 0 || (size_t)len >= sizeof path)
        return false;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    ssize_t got = read(fd, out, room - 1);
    (void)close(fd);
    if (got < 0)
        return false;
    out[got] = '\0';
    out[strcspn(out, "\n")] = '\0';
    return true;
}

// Where `program` lies on the search path; false where it does not.
static bool
find_program(const struct lh_doctor_host *host, const char *program, char *out, size_t room)
{
    const char *at = host->search_path;

    while (at != NULL && *at != '\0') {
        size_t len = strcspn(at, ":");
        int made = snprintf(out, room, "%.*s/%s", (int)len, at, program);
        if (made > 0 && (size_t)made < room && access(out, X_OK) == 0)
            return true;
        at += len + (at[len] == ':' ? 1 : 0);
    }
    return false;
}

static void check_buffer(const struct lh_doctor_host *host,
                         const char *name,
                         const char *dotted,
                         struct lh_finding *finding)
{
    char value[64];
    char size[24];
    uint64_t bytes;

    if (!read_setting(host, name, value, sizeof value) ||
        lh_parse_number(value, 0, UINT64_MAX, &bytes) != 0) {
        found(finding, LH_GRADE_WARN, "cannot be read");
        (void)snprintf(finding->remedy, sizeof finding->remedy,
                       "look at it as root: sysctl %s (4194304 or more is wanted)", dotted);
        return;
    }
    bool enough = bytes >= SOCKET_BUFFER_WANTED;
    finding->grade = enough ? LH_GRADE_OK : LH_GRADE_WARN;
    (void)snprintf(finding->text, sizeof finding->text, "%s = %s", dotted,
                   lh_format_bytes(bytes, size, sizeof size));
    if (!enough)
        (void)snprintf(
            finding->remedy, sizeof finding->remedy,
            "fast links drop packets in small socket buffers: sysctl -w %s=4194304, and the "
            "same in a file below /etc/sysctl.d",
            dotted);
}

static void check_receive_buffer(const struct lh_doctor_host *host, struct lh_finding *finding)
{
    check_buffer(host, "net/core/rmem_max", "net.core.rmem_max", finding);
}

static void check_send_buffer(const struct lh_doctor_host *host, struct lh_finding *finding)
{
    check_buffer(host, "net/core/wmem_max", "net.core.wmem_max", finding);
}

static void check_reserved_port(const struct lh_doctor_host *host, struct lh_finding *finding)
{
    char reserved[1024];
    char range[64];
    char *end;

    if (!read_setting(host, "net/ipv4/ip_local_reserved_ports", reserved, sizeof reserved) ||
        !read_setting(host, "net/ipv4/ip_local_port_range", range, sizeof range)) {
        found(finding, LH_GRADE_WARN, "net.ipv4.ip_local_reserved_ports cannot be read");
        advise(finding, "look at it as root: sysctl net.ipv4.ip_local_reserved_ports");
        return;
    }
    unsigned long low = strtoul(range, &end, 10);
    unsigned long high = strtoul(end, NULL, 10);
    if (host->port < low || host->port > high) {
        found(finding, LH_GRADE_OK, "the port is outside the range that the kernel hands out");
        return;
    }
    if (lh_port_list_holds(reserved, host->port)) {
        found(finding, LH_GRADE_OK, "net.ipv4.ip_local_reserved_ports keeps the port free");
        return;
    }
    found(finding, LH_GRADE_WARN, "the kernel may hand the server's port to any program");
    (void)snprintf(finding->remedy, sizeof finding->remedy,
                   "on a server: add %u to net.ipv4.ip_local_reserved_ports (sysctl -w, and a file "
                   "below /etc/sysctl.d)%s%.100s",
                   host->port, reserved[0] != '\0' ? "; it is now " : "", reserved);
}

static void check_ssh(const struct lh_doctor_host *host, struct lh_finding *finding)
{
    char path[LH_PATH_TEXT_MAX];
    unsigned version;

    if (!find_program(host, "ssh", path, sizeof path)) {
        found(finding, LH_GRADE_FAIL, "no ssh on the search path");
        advise(finding, "install the OpenSSH client (Debian: apt-get install openssh-client)");
        return;
    }
    if (lh_ssh_version(path, &version) != 0) {
        found(finding, LH_GRADE_FAIL, "ssh is not OpenSSH, or cannot be run");
        advise(finding, "install the OpenSSH client, and see what ssh -V says");
        return;
    }
    (void)snprintf(finding->text, sizeof finding->text, "OpenSSH %u.%u", version / 100,
                   version % 100);
    finding->grade = version >= SSH_VERSION_WANTED ? LH_GRADE_OK : LH_GRADE_FAIL;
    if (finding->grade != LH_GRADE_OK)
        advise(finding, "OpenSSH 8.5 or later is needed, for checking host keys before logging in");
}

static void check_sshd(const struct lh_doctor_host *host, struct lh_finding *finding)
{
    char path[LH_PATH_TEXT_MAX];

    if (access("/usr/sbin/sshd", X_OK) == 0 || find_program(host, "sshd", path, sizeof path)) {
        found(finding, LH_GRADE_OK, "sshd is installed");
        return;
    }
    found(finding, LH_GRADE_WARN, "no sshd: this machine can be a client only");
    advise(finding,
           "on a server: install the OpenSSH server (Debian: apt-get install openssh-server)");
}

static void check_lhserver(const struct lh_doctor_host *host, struct lh_finding *finding)
{
    char path[LH_PATH_TEXT_MAX];
    char shown[128];
    struct lh_doctor_host as_sshd = *host;

    // What sshd gives a command by default; the user's own shell may add to it.
    as_sshd.search_path = "/usr/local/bin:/usr/bin:/bin";
    if (find_program(&as_sshd, "lhserver", path, sizeof path)) {
        found(finding, LH_GRADE_OK, lh_escape(path, strlen(path), shown, sizeof shown));
        return;
    }
    found(finding, LH_GRADE_WARN, "sshd finds no lhserver: this machine can be a client only");
    advise(finding, "on a server: make install, with a prefix whose bin/ is on sshd's PATH "
                    "(/usr/local or /usr)");
}

static void check_openat2(const struct lh_doctor_host *host, struct lh_finding *finding)
{
    struct open_how how = {.flags = O_PATH | O_CLOEXEC | O_DIRECTORY,
                           .resolve = RESOLVE_NO_SYMLINKS};
    (void)host;

    long fd = syscall(SYS_openat2, AT_FDCWD, "/", &how, sizeof how);
    if (fd >= 0) {
        (void)close((int)fd);
        found(finding, LH_GRADE_OK, "openat2 confines paths in the kernel");
        return;
    }
    found(finding, LH_GRADE_WARN, "no openat2: paths are confined step by step, which is slower");
    advise(finding, "use Linux 5.6 or later, or allow openat2 in the container's seccomp profile");
}

static void check_udp_option(int option, int value, const char *name, struct lh_finding *finding)
{
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    bool works = fd >= 0 && setsockopt(fd, IPPROTO_UDP, option, &value, sizeof value) == 0;

    if (fd >= 0)
        (void)close(fd);
    finding->grade = works ? LH_GRADE_OK : LH_GRADE_WARN;
    (void)snprintf(finding->text, sizeof finding->text, "%s %s", name,
                   works ? "is available" : "is not available: each packet is handled singly");
    if (!works)
        advise(finding, "use Linux 5.0 or later for rates above about 2 Gbit/s");
}

static void check_gso(const struct lh_doctor_host *host, struct lh_finding *finding)
{
    (void)host;
    check_udp_option(UDP_SEGMENT, 1400, "UDP_SEGMENT (GSO)", finding);
}

static void check_gro(const struct lh_doctor_host *host, struct lh_finding *finding)
{
    (void)host;
    check_udp_option(UDP_GRO, 1, "UDP_GRO", finding);
}

// AES-128-GCM is what every session can use; how fast it is here says what one session can reach.
static void check_cipher(const struct lh_doctor_host *host, struct lh_finding *finding)
{
    lh_ns time = LH_NEVER;
    const struct lh_aead_type *type = lh_aead_fastest(LH_AEAD_AES128_GCM, lh_clock_now, &time);
    (void)host;

    if (type == NULL) {
        found(finding, LH_GRADE_FAIL, "no library here does AES-128-GCM");
        advise(finding, "see whether OpenSSL works: openssl list -cipher-algorithms");
        return;
    }
    finding->grade = time <= CIPHER_TIME_WANTED ? LH_GRADE_OK : LH_GRADE_WARN;
    (void)snprintf(finding->text, sizeof finding->text, "AES-128-GCM by %s: %llu ns a packet",
                   type->library, (unsigned long long)time);
    if (finding->grade != LH_GRADE_OK)
        advise(finding, "where the processor has AES instructions, a build with libipsec-mb-dev or "
                        "libgcrypt20-dev is faster");
}

// Every lhserver binds the port with SO_REUSEADDR; a program without it would shut all of them out.
static void check_udp_port(const struct lh_doctor_host *host, struct lh_finding *finding)
{
    struct sockaddr_in any = {.sin_family = AF_INET, .sin_port = htons(host->port)};
    int on = 1;
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    bool bound = fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0 &&
                 bind(fd, (const struct sockaddr *)&any, sizeof any) == 0;
    int saved_errno = errno;

    if (fd >= 0)
        (void)close(fd);
    if (bound) {
        (void)snprintf(finding->text, sizeof finding->text, "UDP port %u can be bound", host->port);
        finding->grade = LH_GRADE_OK;
        return;
    }
    finding->grade = LH_GRADE_WARN;
    (void)snprintf(finding->text, sizeof finding->text, "UDP port %u cannot be bound: %s",
                   host->port, strerror(saved_errno));
    (void)snprintf(
        finding->remedy, sizeof finding->remedy,
        "on a server: see which program holds it (ss -lunp sport = :%u), or let clients use "
        "-O with another",
        host->port);
}

// The journal lies below the state directory; what does not exist yet is made where its parent
// allows.
static void check_state_directory(const struct lh_doctor_host *host, struct lh_finding *finding)
{
    char path[LH_PATH_TEXT_MAX];
    char shown[128];
    struct stat status;

    if (host->state_home == NULL) {
        found(finding, LH_GRADE_FAIL, "neither XDG_STATE_HOME nor HOME is set");
        advise(finding, "set HOME: without a state directory nothing can be resumed");
        return;
    }
    (void)snprintf(path, sizeof path, "%s/longhaul", host->state_home);
    while (stat(path, &status) != 0 && errno == ENOENT && strrchr(path, '/') > path)
        *strrchr(path, '/') = '\0';
    (void)lh_escape(path, strlen(path), shown, sizeof shown);
    bool usable =
        stat(path, &status) == 0 && S_ISDIR(status.st_mode) && access(path, W_OK | X_OK) == 0;
    finding->grade = usable ? LH_GRADE_OK : LH_GRADE_FAIL;
    (void)snprintf(finding->text, sizeof finding->text, "%s is %swritable", shown,
                   usable ? "" : "not ");
    if (!usable)
        advise(finding,
               "make it writable for you, or set XDG_STATE_HOME: without a state directory "
               "nothing can be resumed");
}

const struct lh_check lh_doctor_checks[] = {
    {"ssh", check_ssh},
    {"state directory", check_state_directory},
    {"confined paths", check_openat2},
    {"UDP send offload", check_gso},
    {"UDP receive offload", check_gro},
    {"cipher", check_cipher},
    {"receive buffer", check_receive_buffer},
    {"send buffer", check_send_buffer},
    {"sshd", check_sshd},
    {"lhserver", check_lhserver},
    {"UDP port", check_udp_port},
    {"reserved port", check_reserved_port},
};
const size_t lh_doctor_check_count = LH_ARRAY_LEN(lh_doctor_checks);

void lh_doctor_host_init(struct lh_doctor_host *host, char *state, size_t room)
{
    const char *xdg = getenv("XDG_STATE_HOME");
    const char *home = getenv("HOME");
    const char *path = getenv("PATH");

    *host = (struct lh_doctor_host){
        .sysctl_root = "/proc/sys",
        .search_path = path != NULL ? path : "/usr/local/bin:/usr/bin:/bin",
        .port = LH_UDP_PORT_DEFAULT,
    };
    if (xdg != NULL && xdg[0] == '/')
        (void)snprintf(state, room, "%s", xdg);
    else if (home != NULL && home[0] == '/')
        (void)snprintf(state, room, "%s/.local/state", home);
    else
        return;
    host->state_home = state;
}

enum lh_grade lh_doctor(const struct lh_doctor_host *host, FILE *out)
{
    static const char *const marks[] = {
        [LH_GRADE_OK] = "ok  ", [LH_GRADE_WARN] = "warn", [LH_GRADE_FAIL] = "FAIL"};
    size_t counts[3] = {0, 0, 0};
    enum lh_grade worst = LH_GRADE_OK;

    for (size_t i = 0; i < lh_doctor_check_count; i++) {
        struct lh_finding finding = {.grade = LH_GRADE_FAIL};
        lh_doctor_checks[i].run(host, &finding);
        (void)fprintf(out, "%s  %-20s %s\n", marks[finding.grade], lh_doctor_checks[i].name,
                      finding.text);
        if (finding.grade != LH_GRADE_OK)
            (void)fprintf(out, "      %-20s -> %s\n", "", finding.remedy);
        counts[finding.grade]++;
        if (finding.grade > worst)
            worst = finding.grade;
    }
    (void)fprintf(out, "%zu ok, %zu warnings, %zu failures\n", counts[LH_GRADE_OK],
                  counts[LH_GRADE_WARN], counts[LH_GRADE_FAIL]);
    return worst;
}
