#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes one log of the labelled corpus: a real sshd, attacked by real clients from many addresses.

  make_corpus.py SSHD LEVEL FORMAT OUT      as root; needs python3-paramiko, iproute2, openssh-client
      SSHD     path of the sshd to attack        LEVEL   INFO or VERBOSE
      FORMAT   bsd, rfc3339, rfc5424, iso, json, or rsyslog (written by a real rsyslogd that folds repeated lines)
      OUT      writes OUT.log and OUT.truth.json

Everything runs in namespaces of its own: mounts (an /etc/passwd, /dev and /run of their own), network (192.0.2.0/24,
198.51.100.0/24 and 2001:db8::/32 are local, so any address can be a client's) and processes. sshd logs to a /dev/log
that this script reads; only the stamps are its own, so that hours can pass in seconds where an attack is slow.

The truth is what the scripts below did, in their own words; nothing of it is read from the log.
"""
import json
import logging
import os
import random
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time

SERVER4, SERVER6, PORT = "192.0.2.1", "2001:db8::1", 33001
USERS = ["xfer1", "xfer2", "xfer3", "xfer4", "alice", "bob", "carol", "dave", "admin2"]
PASSWORD = "right horse battery"
INNOCENT = "203.0.113.9"  # named by forged texts, never a client
BASE_TIME = 1779250000  # 2026-05-20T04:06:40Z


# --- The world -----------------------------------------------------------------------------------------------

def run(*words, check=True, **more):
    return subprocess.run(words, check=check, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **more)


def write(path, text, mode=0o644):
    with open(path, "w") as file:
        file.write(text)
    if not path.startswith("/proc/"):
        os.chmod(path, mode)


def make_world(top):
    run("mount", "--make-rprivate", "/")
    run("mount", "-t", "tmpfs", "-o", "mode=755", "lh-run", "/run")
    os.mkdir("/run/sshd")
    os.mkdir("/run/dev")
    for name, major, minor in (("null", 1, 3), ("zero", 1, 5), ("random", 1, 8), ("urandom", 1, 9), ("tty", 5, 0)):
        os.mknod("/run/dev/" + name, 0o666 | 0o020000, os.makedev(major, minor))
        os.chmod("/run/dev/" + name, 0o666)
    os.mkdir("/run/dev/pts")
    os.symlink("/proc/self/fd", "/run/dev/fd")
    run("mount", "--bind", "/run/dev", "/dev")
    run("mount", "-t", "devpts", "-o", "newinstance,ptmxmode=0666", "devpts", "/dev/pts")
    os.symlink("pts/ptmx", "/dev/ptmx")
    hashed = subprocess.run(["openssl", "passwd", "-6", "-stdin"], input=PASSWORD, text=True, capture_output=True,
                            check=True).stdout.strip()
    passwd = "root:x:0:0:root:/root:/bin/sh\nsshd:x:74:65534::/run/sshd:/usr/sbin/nologin\nnobody:x:65534:65534::/:/bin/false\n"
    shadow = "root:*:19000:0:99999:7:::\n"
    for number, user in enumerate(USERS):
        home = "/run/home/" + user
        os.makedirs(home + "/.ssh")
        passwd += "%s:x:%d:65534::%s:/bin/sh\n" % (user, 20001 + number, home)
        shadow += "%s:%s:19000:0:99999:7:::\n" % (user, hashed)
        for path in (home, home + "/.ssh"):
            os.chown(path, 20001 + number, 65534)
            os.chmod(path, 0o700)
    for name, text in (("passwd", passwd), ("shadow", shadow), ("group", "nogroup:x:65534:\n"),
                       ("nsswitch.conf", "passwd: files\nshadow: files\ngroup: files\nhosts: files\n"),
                       ("pam.d/sshd", "auth required pam_unix.so nodelay\naccount required pam_unix.so\n"
                                      "session required pam_unix.so\npassword required pam_unix.so\n")):
        own = "/run/etc-" + name.replace("/", "-")
        write(own, text)
        if not os.path.exists("/etc/" + name):
            open("/etc/" + name, "a").close()
        run("mount", "--bind", own, "/etc/" + name)
    run("ip", "link", "set", "lo", "up")
    for net in ("192.0.2.0/24", "198.51.100.0/24"):
        run("ip", "route", "add", "local", net, "dev", "lo")
    run("ip", "-6", "route", "add", "local", "2001:db8::/32", "dev", "lo")
    write("/proc/sys/net/ipv6/ip_nonlocal_bind", "1")
    run("ip", "-6", "addr", "add", SERVER6 + "/128", "dev", "lo")
    for name in ("host", "good", "wrong0", "wrong1", "wrong2", "wrong3", "ca"):
        run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", os.path.join(top, name))
    for number, user in enumerate(USERS):
        path = "/run/home/%s/.ssh/authorized_keys" % user
        shutil.copy(os.path.join(top, "good.pub"), path)
        os.chown(path, 20001 + number, 65534)


class Collector(threading.Thread):
    """Reads /dev/log and writes lines with stamps of our own clock."""

    def __init__(self, form, path):
        super().__init__(daemon=True)
        self.form, self.file = form, open(path, "wb")
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind("/dev/log")
        os.chmod("/dev/log", 0o666)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
        self.base, self.since, self.scale = float(BASE_TIME), time.monotonic(), 1.0
        self.lines = 0

    def now(self):
        return self.base + (time.monotonic() - self.since) * self.scale

    def set_scale(self, scale):
        time.sleep(0.3)
        self.base, self.since, self.scale = self.now(), time.monotonic(), scale

    def run(self):
        while True:
            data, ancillary, _, _ = self.socket.recvmsg(65536, 256)
            pid, uid = 0, 0
            for level, kind, value in ancillary:
                if level == socket.SOL_SOCKET and kind == socket.SCM_CREDENTIALS:
                    pid, uid, _ = struct.unpack("iII", value[:12])
            data = data.rstrip(b"\0\n")
            # "<38>Nov 23 05:00:00 sshd[123]: message"
            rest = data[data.index(b">") + 1 + 16:]
            tag, _, message = rest.partition(b": ")
            self.file.write(self.line(tag, message, pid, uid) + b"\n")
            self.file.flush()
            self.lines += 1

    def line(self, tag, message, pid, uid):
        now = self.now()
        utc = time.gmtime(now)
        name, _, logged_pid = tag.decode().partition("[")
        logged_pid = logged_pid.rstrip("]")
        if self.form == "json":
            try:
                with open("/proc/%d/comm" % pid) as file:
                    comm = file.read().strip()
            except OSError:
                comm = name
            try:
                text = message.decode()
            except UnicodeDecodeError:
                text = list(message)
            return json.dumps({"__CURSOR": "s=0;i=%x" % self.lines, "__REALTIME_TIMESTAMP": "%d" % (now * 1e6),
                               "_UID": str(uid), "_PID": str(pid), "_COMM": comm, "_MACHINE_ID": "0" * 32,
                               "SYSLOG_IDENTIFIER": name, "SYSLOG_PID": logged_pid, "MESSAGE": text}).encode()
        head = {
            "bsd": time.strftime("%b %e %H:%M:%S ftp1 ", utc) + tag.decode() + ": ",
            "rfc3339": time.strftime("%Y-%m-%dT%H:%M:%S", utc) + ".%06d+00:00 ftp1 " % (now % 1 * 1e6) + tag.decode() + ": ",
            "iso": time.strftime("%Y-%m-%d %H:%M:%S ftp1 ", utc) + tag.decode() + ": ",
            "rfc5424": "<38>1 " + time.strftime("%Y-%m-%dT%H:%M:%SZ ftp1 ", utc) + "%s %s - - " % (name, logged_pid),
        }[self.form]
        return head.encode() + message


class Rsyslog:
    """A real rsyslogd instead; its clock cannot be moved, so the slow attacks are left out."""
    scale = None

    def __init__(self, path):
        write("/run/rsyslog.conf", 'global(workDirectory="/run")\nmodule(load="imuxsock")\n$RepeatedMsgReduction on\n'
              '*.* action(type="omfile" file="%s" template="RSYSLOG_TraditionalFileFormat")\n' % path)
        self.process = subprocess.Popen(["rsyslogd", "-n", "-f", "/run/rsyslog.conf", "-i", "/run/rsyslog.pid"])
        time.sleep(1)

    def start(self):
        pass

    def set_scale(self, scale):
        return False


# --- Clients --------------------------------------------------------------------------------------------------

class Client:
    def __init__(self, top):
        import paramiko
        logging.getLogger("paramiko").setLevel(logging.CRITICAL + 1)
        self.paramiko, self.top = paramiko, top
        self.keys = {n: paramiko.Ed25519Key.from_private_key_file(os.path.join(top, n))
                     for n in ("good", "wrong0", "wrong1", "wrong2", "wrong3")}

    def connect(self, address, port=0, timeout=10):
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        sock = socket.socket(family, socket.SOCK_STREAM)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.settimeout(timeout)
        sock.bind((address, port))
        sock.connect((SERVER6 if family == socket.AF_INET6 else SERVER4, PORT))
        return sock

    def passwords(self, address, user, words, key=None):
        """One connection that tries passwords (or a key); returns how many attempts sshd took."""
        done = 0
        transport = None
        try:
            transport = self.paramiko.Transport(self.connect(address))
            transport.start_client(timeout=10)
            for word in words:
                try:
                    if key is not None:
                        transport.auth_publickey(user, word)
                    else:
                        transport.auth_password(user, word, fallback=False)
                    return done + 1
                except self.paramiko.AuthenticationException:
                    done += 1
        except Exception:  # whatever sshd does to an attacker is fine: it is what the log is to show
            pass
        finally:
            if transport is not None:
                transport.close()
        return done

    def raw(self, address, data, wait=0.3):
        try:
            sock = self.connect(address)
            if data:
                sock.sendall(data)
            sock.settimeout(wait)
            try:
                while sock.recv(4096):
                    pass
            except OSError:
                pass
            sock.close()
        except OSError:
            pass

    def ssh(self, address, user, keys, command="true", options=()):
        words = ["ssh", "-F", "none", "-p", str(PORT), "-b", address, "-l", user, "-o", "StrictHostKeyChecking=no",
                 "-o", "UserKnownHostsFile=/dev/null", "-o", "BatchMode=yes", "-o", "IdentitiesOnly=yes",
                 "-o", "LogLevel=QUIET", *options]
        for key in keys:
            words += ["-i", os.path.join(self.top, key)]
        return run(*words, SERVER6 if ":" in address else SERVER4, command, check=False, stdin=subprocess.DEVNULL)


# --- What is done, and by whom ---------------------------------------------------------------------------------

class Server:
    def __init__(self, sshd):
        self.sshd, self.process = sshd, None

    def start(self, *options):
        self.process = subprocess.Popen([self.sshd, "-D", "-f", "/run/sshd_config", *options])
        for _ in range(50):
            try:
                socket.create_connection((SERVER4, PORT), 1).close()
                return
            except OSError:
                time.sleep(0.1)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait()

    def has_penalties(self):
        done = subprocess.run([self.sshd, "-T", "-f", "/run/sshd_config"], capture_output=True, text=True, check=False)
        return "persourcepenalties" in done.stdout.lower()


class Play:
    def __init__(self, client, collector, server):
        self.client, self.collector, self.server = client, collector, server
        self.attackers, self.benign, self.acts = {}, {}, []
        self.next4, self.next6 = 20, 0x100

    def source(self, kind, six=False, benign=False):
        if six:
            self.next6 += 1
            address = "2001:db8:%x::%x" % (self.next6, self.next6)
        elif benign:
            self.next4 += 1
            address = "192.0.2.%d" % self.next4
        else:
            self.next4 += 1
            address = "198.51.100.%d" % self.next4
        (self.benign if benign else self.attackers)[address] = kind
        return address

    def note(self, kind, address, **what):
        self.acts.append({"kind": kind, "address": address, **what})

    # Attacks in real time.
    def burst(self):
        for six in (False, True):
            address = self.source("burst", six)
            for number in range(8):
                self.client.passwords(address, "root", ["wrong%d" % number])
            self.note("burst", address, user="root", tries=8)

    def dictionary(self):
        names = "aaron adam alan albert alex alice amanda amy andrew angela anna anton".split()
        for order in ("alphabetical", "shuffled"):
            address = self.source("dictionary")
            wanted = list(names)
            if order == "shuffled":
                random.Random(7).shuffle(wanted)
            for name in wanted:
                self.client.passwords(address, name, ["123456"])
            self.note("dictionary", address, order=order, users=len(wanted))

    def spray(self):
        address = self.source("spray", six=True)
        for user in USERS:
            self.client.passwords(address, user, ["Summer2026!"])
        self.note("spray", address, users=len(USERS))

    def many_sources(self):
        for number in range(12):
            address = self.source("many-sources", six=number % 2 == 0)
            self.client.passwords(address, "backup", ["backup%d" % number])
            self.note("many-sources", address, user="backup")

    def network(self):
        for number in range(12):
            address = "2001:db8:77:1::%x" % (0x500 + number)
            self.attackers[address] = "network"
            self.client.passwords(address, "net%d" % (number % 4), ["x"])
            self.note("network", address)

    def keys_only(self):
        """Wrong keys for a user who exists: at INFO not one line says "Failed"."""
        address = self.source("keys")
        for number in range(9):
            self.client.passwords(address, "xfer1", [self.client.keys["wrong%d" % (number % 4)]], key=True)
        self.note("keys", address, user="xfer1", tries=9)

    def maxed(self):
        address = self.source("max-tries")
        for _ in range(2):
            self.client.passwords(address, "root", ["a", "b", "c", "d", "e", "f", "g"])
        self.note("max-tries", address)

    def persistent(self):
        """So many tries that penalties (9.8 and later) throw most of them out."""
        address = self.source("persistent")
        for number in range(30):
            self.client.passwords(address, "admin2", ["guess%d" % number])
        self.note("persistent", address, tries=30)

    def scan(self):
        for data in (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03" + b"x" * 60,
                     b"SSH-1.5-scanner\r\n"):
            address = self.source("scan")
            for _ in range(3):
                self.client.raw(address, data)
            self.note("scan", address, data=repr(data[:20]))

    def stall(self):
        address = self.source("stall")
        socks = []
        for _ in range(4):
            try:
                socks.append(self.client.connect(address))
                socks[-1].sendall(b"SSH-2.0-slow\r\n")
            except OSError:
                pass
        time.sleep(8)
        for sock in socks:
            sock.close()
        self.note("stall", address, connections=4)

    def flood(self):
        address = self.source("flood")
        socks = []
        for _ in range(120):
            try:
                socks.append(self.client.connect(address, timeout=2))
            except OSError:
                pass
        time.sleep(1)
        for sock in socks:
            sock.close()
        time.sleep(1)
        self.note("flood", address, connections=120)

    def breach(self):
        address = self.source("breach")
        for number in range(7):
            self.client.passwords(address, "carol", ["carol%d" % number])
            time.sleep(0.2)
        # Penalties of 9.8 and later shut it out for a while; it comes back until it gets in.
        for _ in range(60):
            if self.client.ssh_password(address, "carol", PASSWORD):
                break
            time.sleep(1)
        self.note("breach", address, user="carol")

    # What is no attack.
    def health_check(self):
        address = self.source("health-check", benign=True)
        for _ in range(25):
            self.client.raw(address, b"", 0.05)
            time.sleep(1)
        self.note("health-check", address)

    def agent(self):
        address = self.source("agent", benign=True)
        for _ in range(2):
            self.client.ssh(address, "xfer2", ["wrong0", "wrong1", "wrong2", "good"])
        self.note("agent", address)

    def typo(self):
        address = self.source("typing-error", benign=True)
        self.client.passwords(address, "alice", ["rigth horse", "right hrose"])
        time.sleep(1)
        self.client.ssh(address, "alice", ["good"])
        self.note("typing-error", address)

    def office(self):
        address = self.source("office", benign=True)
        for user in ("alice", "bob", "dave", "xfer3"):
            self.client.ssh(address, user, ["good"])
        self.client.passwords(address, "bob", ["oops"])
        self.client.ssh(address, "bob", ["good"])
        self.note("office", address)

    def parallel(self):
        address = self.source("parallel", benign=True)
        threads = [threading.Thread(target=self.client.ssh, args=(address, "xfer1", ["good"], "sleep 1")) for _ in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.note("parallel", address)

    def old_client(self):
        address = self.source("old-client", benign=True)
        self.client.ssh(address, "xfer4", ["good"], options=("-o", "KexAlgorithms=diffie-hellman-group1-sha1"))
        self.note("old-client", address)

    # Attacks that take hours: the clock of the log runs faster.
    def slow(self):
        if self.collector.set_scale(3600) is False:
            return
        # sshd's own clock does not run faster: its penalties would hit what is slow only in the log.
        if self.server.has_penalties():
            self.server.stop()
            self.server.start("-o", "PerSourcePenalties=no")
        for six in (False, True):
            address = self.source("slow", six)
            for number in range(10):
                self.client.passwords(address, "operator", ["slow%d" % number])
                time.sleep(0.25)
            self.note("slow", address, tries=10)
        self.collector.set_scale(20)
        address = self.source("steady")
        for number in range(10):
            self.client.passwords(address, "operator", ["steady%d" % number])
            time.sleep(1.0)
        self.note("steady", address, tries=10)
        self.collector.set_scale(1)

    # Names, banners and certificates that want to be taken for something else.
    def injection(self):
        bad = INNOCENT
        names = [
            "root from %s", "x from %s port 22", "x from %s port 22 ssh2", "root from %s port 22 ssh2: RSA SHA256:abc",
            "Failed password for root from %s port 22 ssh2", "Invalid user admin from %s port 22",
            "x\nFailed password for root from %s port 22 ssh2", "x\r\nsshd[1]: Failed password for root from %s port 22 ssh2",
            "x\\nFailed password for root from %s port 22 ssh2", "%s", "%s port 22", "x %s port 22", "x %s port 22 [preauth]",
            "authenticating user root %s port 22 [preauth]", "invalid user root %s port 22 [preauth]",
            "x %s port 22: Too many authentication failures", "x %s port 22: Too many authentication failures [preauth]",
            "root rhost=%s user=root", "x rhost=%s", "x  rhost=%s  user=root",
            "logname= uid=0 euid=0 tty=ssh ruser= rhost=%s  user=root", "message repeated 99 times: [ Failed password for root from %s port 22 ssh2]",
            "x]\nmessage repeated 99 times: [ Failed password for root from %s port 22 ssh2", "Accepted password for root from %s port 22 ssh2",
            "root from %s port 22 ssh2\x00", "\x1b[2Jx from %s port 22 ssh2", "\x07\x08\x08\x08from %s port 22", "x\tfrom\t%s\tport\t22",
            "x from %s from %s", "x from ::ffff:%s port 22", "x from [%s]:22", "x from=%s", "drop connection #1 from [%s]:22 on [192.0.2.1]:33001 penalty: failed authentication",
            "srclimit_penalise: %s/32: activating ipv4 penalty of 20 seconds for penalty: failed authentication",
            "Timeout before authentication for connection from %s to 192.0.2.1, pid = 1", "Connection closed by authenticating user root %s port 22 [preauth]",
            "Connection reset by %s port 22 [preauth]", "Disconnected from authenticating user root %s port 22 [preauth]",
            "Unable to negotiate with %s port 22: no matching cipher found. Their offer: x", "banner exchange: Connection from %s port 22: invalid format",
            "error: maximum authentication attempts exceeded for root from %s port 22 ssh2", "error: PAM: Authentication failure for root from %s",
            "refused connect from x (%s)", "Did not receive identification string from %s port 22", "Bad protocol version identification 'x' from %s port 22",
            "User root from %s not allowed because not listed in AllowUsers", "root not allowed because account is locked from %s",
            "#012Failed password for root from %s port 22 ssh2", "\\012Failed password for root from %s port 22 ssh2",
            "x\u2028Failed password for root from %s port 22 ssh2", "\u202e2hss 22 trop %s morf", "x from %s port 22 ssh2" + "\x01" * 90,
            "x" * 60 + " from %s port 22 ssh2", "\xff" * 30 + " from %s port 22 ssh2", " from %s port 22 ssh2", "", " ", "from %s", "for root from %s port 22 ssh2",
            "' OR 1=1 from %s port 22", "$(logger -t sshd Failed password for root from %s port 22 ssh2)", "%%s%%n from %s port 22", "a" * 200 + " from %s port 22 ssh2",
        ]
        banners = [b"Bad protocol version identification 'x' from %s port 22", b"SSH-2.0-x from %s port 22\r\n\x00junk", b"x from %s port 22\r\n",
                   b"\" from %s port 22\r\n", b"SSH-1.5-%s port 22\r\n"]
        address = None
        for number, name in enumerate(names):
            if number % 8 == 0:
                address = self.source("injection", six=number % 16 == 8)
            user = name.replace("%s", bad)
            try:
                self.client.passwords(address, user, ["x"])
            except UnicodeError:
                continue
            self.note("injection", address, name=user)
        address = self.source("injection")
        for banner in banners:
            self.client.raw(address, banner.replace(b"%s", bad.encode()) + b"\r\n")
            self.note("injection", address, banner=repr(banner))
        # Certificates whose id is a forged ending, for a user who exists and for one who does not.
        for user in ("xfer1", "nobody2"):
            for number, ident in enumerate(("k from %s port 22 ssh2", "k from %s port 22 ssh2: ED25519 SHA256:x")):
                if number == 0:
                    address = self.source("injection", six=True)
                cert_id = ident.replace("%s", bad)
                run("ssh-keygen", "-q", "-s", os.path.join(self.client.top, "ca"), "-I", cert_id, "-n", user,
                    os.path.join(self.client.top, "wrong0.pub"))
                for _ in range(5):
                    self.client.ssh(address, user, ["wrong0"])
                    self.note("injection", address, certificate=cert_id)
                os.remove(os.path.join(self.client.top, "wrong0-cert.pub"))


def ssh_password(self, address, user, password):
    try:
        transport = self.paramiko.Transport(self.connect(address))
        transport.start_client(timeout=10)
        transport.auth_password(user, password, fallback=False)
        good = transport.is_authenticated()
        if good:
            channel = transport.open_session()
            channel.exec_command("true")
            channel.recv_exit_status()
        transport.close()
        return good
    except Exception:
        return False


Client.ssh_password = ssh_password


def main_inside(sshd, level, form, out):
    top = tempfile.mkdtemp(prefix="lh-corpus-")
    make_world(top)
    collector = Rsyslog(out + ".log") if form == "rsyslog" else Collector(form, out + ".log")
    collector.start()
    write("/run/sshd_config", "\n".join([
        "Port %d" % PORT, "ListenAddress 0.0.0.0", "ListenAddress ::", "HostKey " + os.path.join(top, "host"), "UsePAM yes",
        "PasswordAuthentication yes", "KbdInteractiveAuthentication no", "PermitRootLogin prohibit-password", "LogLevel " + level, "LoginGraceTime 5",
        "MaxStartups 40:30:60", "AuthorizedKeysFile .ssh/authorized_keys", "StrictModes no", "UseDNS no", "PidFile none", ""]))
    server = Server(sshd)
    server.start()
    play = Play(Client(top), collector, server)
    checker = threading.Thread(target=play.health_check)
    checker.start()
    for act in (play.typo, play.agent, play.office, play.burst, play.dictionary, play.spray, play.many_sources, play.network, play.keys_only,
                play.maxed, play.persistent, play.scan, play.parallel, play.old_client, play.stall, play.breach, play.injection, play.flood):
        begun = time.monotonic()
        act()
        print("%-14s %5.1f s" % (act.__name__, time.monotonic() - begun), flush=True)
    checker.join()
    play.slow()
    time.sleep(6)
    server.stop()
    version = subprocess.run([sshd, "-V"], capture_output=True, text=True, check=False).stderr.split(",")[0].split("\n")[-1]
    if "OpenSSH" not in version:
        version = subprocess.run(["ssh", "-V"], capture_output=True, text=True, check=False).stderr.split(",")[0]
    with open(out + ".truth.json", "w") as file:
        json.dump({"sshd": version, "level": level, "format": form, "innocent": [INNOCENT], "attackers": play.attackers,
                   "benign": play.benign, "forged": sum(a["kind"] == "injection" for a in play.acts), "acts": play.acts},
                  file, indent=1)
    shutil.rmtree(top)


def main():
    if sys.argv[1:2] == ["--inside"]:
        main_inside(*sys.argv[2:])
        return
    sshd, level, form, out = sys.argv[1:]
    os.execvp("unshare", ["unshare", "--mount", "--net", "--pid", "--fork", "--mount-proc", sys.executable, os.path.abspath(__file__),
                          "--inside", os.path.abspath(sshd), level, form, os.path.abspath(out)])


if __name__ == "__main__":
    main()
