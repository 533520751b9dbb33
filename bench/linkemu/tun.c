// SPDX-License-Identifier: Apache-2.0
//
// How it works
//
// A TUN device belongs to the namespace in which /dev/net/tun was opened, its descriptor works
// anywhere: one process holds both ends. Namespaces that we made have no name; others enter them
// through /proc/PID/fd/N, and they vanish with the last process in them, whatever happened.
//
// IPv6 autoconfiguration, router solicitation and multicast are off: nothing crosses the link that
// nobody sent, so the packet counts of a run can be compared.
#include "bench/linkemu/tun.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "bench/linkemu/frame.h"

#define DEVICE_QUEUE 20000 // frames; the default of 500 is 6 ms at 1 Gbit/s without offloads

struct in6_ifreq { // <linux/ipv6.h> clashes with <netinet/in.h>
    struct in6_addr address;
    uint32_t prefix_len;
    int index;
};

static int close_and_forget(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
    return -1;
}

static lh_err enter_namespace(struct lh_emu_end *end, const char *path, struct lh_errinfo *info)
{
    if (path != NULL) {
        end->ns_fd = open(path, O_RDONLY | O_CLOEXEC);
        if (end->ns_fd < 0 || setns(end->ns_fd, CLONE_NEWNET) < 0)
            return lh_fail_errno(info, errno, 0, "cannot enter network namespace %s", path);
        return 0;
    }
    if (unshare(CLONE_NEWNET) < 0)
        return lh_fail_errno(info, errno, 0, "cannot make a network namespace (not root?)");
    end->ns_fd = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
    if (end->ns_fd < 0)
        return lh_fail_errno(info, errno, 0, "cannot open the new network namespace");
    return 0;
}

static void write_sysctl(const char *path, const char *value)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return; // a kernel without IPv6
    ssize_t put = write(fd, value, strlen(value));
    (void)put;
    close(fd);
}

static lh_err open_device(struct lh_emu_end *end, bool offload, struct lh_errinfo *info)
{
    end->tun_fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (end->tun_fd < 0)
        return lh_fail_errno(info, errno, 0, "cannot open /dev/net/tun");
    struct ifreq request = {.ifr_flags = IFF_TUN | IFF_NO_PI | IFF_VNET_HDR};
    memcpy(request.ifr_name, LH_EMU_DEVICE, sizeof LH_EMU_DEVICE);
    if (ioctl(end->tun_fd, TUNSETIFF, &request) < 0)
        return lh_fail_errno(info, errno, 0, "cannot make device %s", LH_EMU_DEVICE);
    unsigned long tcp = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN;
    unsigned long udp = LH_EMU_TUN_USO4 | LH_EMU_TUN_USO6; // Linux 6.2
    if (!offload)
        return ioctl(end->tun_fd, TUNSETOFFLOAD, 0ul) < 0
                   ? lh_fail_errno(info, errno, 0, "cannot switch offloads off")
                   : 0;
    end->has_uso = ioctl(end->tun_fd, TUNSETOFFLOAD, tcp | udp) == 0;
    if (!end->has_uso && ioctl(end->tun_fd, TUNSETOFFLOAD, tcp) < 0)
        return lh_fail_errno(info, errno, 0, "cannot set offloads");
    return 0;
}

static struct ifreq request_for(const char *device)
{
    struct ifreq request = {0};
    snprintf(request.ifr_name, sizeof request.ifr_name, "%s", device);
    return request;
}

static bool set_up(int fd, const char *device, uint32_t mtu)
{
    struct ifreq request = request_for(device);
    if (mtu != 0) {
        request.ifr_mtu = (int)mtu;
        if (ioctl(fd, SIOCSIFMTU, &request) < 0)
            return false;
        request.ifr_qlen = DEVICE_QUEUE;
        if (ioctl(fd, SIOCSIFTXQLEN, &request) < 0)
            return false;
    }
    if (ioctl(fd, SIOCGIFFLAGS, &request) < 0)
        return false;
    request.ifr_flags |= IFF_UP;
    if (mtu != 0)
        request.ifr_flags &= (short)~IFF_MULTICAST;
    return ioctl(fd, SIOCSIFFLAGS, &request) == 0;
}

static bool set_ipv4(int fd, const char *text)
{
    struct ifreq request = request_for(LH_EMU_DEVICE);
    struct sockaddr_in address = {.sin_family = AF_INET};
    if (inet_pton(AF_INET, text, &address.sin_addr) != 1)
        return errno = EINVAL, false;
    memcpy(&request.ifr_addr, &address, sizeof address);
    if (ioctl(fd, SIOCSIFADDR, &request) < 0)
        return false;
    address.sin_addr.s_addr = htonl(0xffffff00);
    memcpy(&request.ifr_netmask, &address, sizeof address);
    return ioctl(fd, SIOCSIFNETMASK, &request) == 0;
}

static bool set_ipv6(const char *text)
{
    struct ifreq request = request_for(LH_EMU_DEVICE);
    struct in6_ifreq v6 = {.prefix_len = 64};
    int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return errno == EAFNOSUPPORT; // a kernel without IPv6 gets a link without
    bool done = false;
    if (inet_pton(AF_INET6, text, &v6.address) == 1 && ioctl(fd, SIOCGIFINDEX, &request) == 0) {
        v6.index = request.ifr_ifindex;
        done = ioctl(fd, SIOCSIFADDR, &v6) == 0;
    }
    close(fd);
    return done;
}

static lh_err configure(const struct lh_emu_end_options *options, struct lh_errinfo *info)
{
    write_sysctl("/proc/sys/net/ipv6/conf/" LH_EMU_DEVICE "/addr_gen_mode", "1");
    write_sysctl("/proc/sys/net/ipv6/conf/" LH_EMU_DEVICE "/accept_ra", "0");
    write_sysctl("/proc/sys/net/ipv6/conf/" LH_EMU_DEVICE "/router_solicitations", "0");
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return lh_fail_errno(info, errno, 0, "cannot open a socket");
    lh_err err = 0;
    bool is_lo_ours = options->ns_path == NULL;
    if ((is_lo_ours && !set_up(fd, "lo", 0)) || !set_up(fd, LH_EMU_DEVICE, options->mtu))
        err = lh_fail_errno(info, errno, 0, "cannot bring %s up", LH_EMU_DEVICE);
    else if (!set_ipv4(fd, options->ipv4) || !set_ipv6(options->ipv6))
        err = lh_fail_errno(info, errno, 0, "cannot set addresses %s and %s", options->ipv4,
                            options->ipv6);
    close(fd);
    return err;
}

lh_err lh_emu_end_open(struct lh_emu_end *end,
                       const struct lh_emu_end_options *options,
                       struct lh_errinfo *info)
{
    *end = (struct lh_emu_end){.ns_fd = -1, .tun_fd = -1};
    int home = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
    if (home < 0)
        return lh_fail_errno(info, errno, 0, "cannot open /proc/thread-self/ns/net");
    lh_err err = enter_namespace(end, options->ns_path, info);
    if (err == 0)
        err = open_device(end, options->offload, info);
    if (err == 0)
        err = configure(options, info);
    if (setns(home, CLONE_NEWNET) < 0 && err == 0)
        err = lh_fail_errno(info, errno, 0, "cannot return to the first namespace");
    close(home);
    if (err != 0) {
        close_and_forget(&end->tun_fd);
        close_and_forget(&end->ns_fd);
    }
    return err;
}

static struct lh_emu_device_drops read_drops(void)
{
    struct lh_emu_device_drops drops = {0};
    FILE *file = fopen("/proc/thread-self/net/dev", "re");
    char line[512];
    if (file == NULL)
        return drops;
    while (fgets(line, sizeof line, file) != NULL) {
        // name: bytes packets errs drop fifo frame compressed multicast | bytes packets errs drop
        unsigned long long rx, tx;
        if (sscanf(line, " " LH_EMU_DEVICE ": %*u %*u %*u %llu %*u %*u %*u %*u %*u %*u %*u %llu",
                   &rx, &tx) == 2)
            drops = (struct lh_emu_device_drops){.tx = tx, .rx = rx};
    }
    fclose(file);
    return drops;
}

struct lh_emu_device_drops lh_emu_end_drops(const struct lh_emu_end *end)
{
    struct lh_emu_device_drops drops = {0};
    int home = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
    if (home < 0)
        return drops;
    if (setns(end->ns_fd, CLONE_NEWNET) == 0) {
        drops = read_drops();
        if (setns(home, CLONE_NEWNET) < 0)
            drops = (struct lh_emu_device_drops){0};
    }
    close(home);
    return drops;
}
