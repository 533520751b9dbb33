# SPDX-License-Identifier: Apache-2.0
"""A small server with users and a real sshd, in namespaces of its own, made in a fraction of a second.

A test gives functions to run(); each runs as a process of a fresh world: its own mounts, network, process ids and host
name; /etc, /home, /root, /run, /var, /tmp and /dev are its own. sshd is started as a machine does it without systemd:
`/usr/sbin/sshd -f /etc/ssh/sshd_config`, port 22, its pid in /run/sshd.pid. Its log goes to /var/log/auth.log.

Users: ann, an administrator (sudo without a password); bob, a user like any other; xfer1 and xfer2, who transfer files;
root without a key. The server is 192.0.2.1 and 2001:db8::1, its clients come from 192.0.2.9 and 2001:db8::9.
Programs that a machine may have and this one has not are stood in for by scripts (World.stand_in).
"""
import ctypes
import encodings.idna  # noqa: F401 - later its folder may be out of sight
import hashlib
import os
import pickle
import re
import select
import shlex
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
import traceback

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../e2e"))
import harness as h  # noqa: E402

SSHD = "/usr/sbin/sshd"
SERVER, CLIENT = "192.0.2.1", "192.0.2.9"
SERVER6, CLIENT6 = "2001:db8::1", "2001:db8::9"
PORT = 33001
STATE = "/var/lib/longhaul/sshd"
LHCTL = "/mnt/lhctl"  # harness.main() binds the programs there
CONFIG = "/etc/ssh/sshd_config"

# What Debian ships.
DEBIAN = """Include /etc/ssh/sshd_config.d/*.conf

#Port 22
KbdInteractiveAuthentication no
UsePAM yes
X11Forwarding yes
PrintMotd no
AcceptEnv LANG LC_*
Subsystem	sftp	/usr/lib/openssh/sftp-server
"""

PASSWD = """root:x:0:0:root:/root:/bin/bash
daemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin
sshd:x:102:65534::/run/sshd:/usr/sbin/nologin
nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin
ann:x:1000:1000:Ann:/home/ann:/bin/bash
bob:x:1001:1001:Bob:/home/bob:/bin/bash
xfer1:x:2001:2000::/home/xfer1:/usr/local/bin/aspshell
xfer2:x:2002:2000::/home/xfer2:/usr/local/bin/aspshell
"""
GROUP = """root:x:0:
daemon:x:1:
shadow:x:42:
nogroup:x:65534:
sudo:x:27:ann
wheel:x:28:
staff:x:50:ann,bob
ann:x:1000:
bob:x:1001:
transfer:x:2000:
"""
SUDOERS = """Defaults env_reset, secure_path="/usr/sbin:/usr/bin:/sbin:/bin:/mnt"
root ALL=(ALL:ALL) ALL
%sudo ALL=(ALL:ALL) NOPASSWD: ALL
%wheel ALL=(ALL:ALL) ALL
"""
PASSWORD = "correct horse"
# What programs need of the machine's own /etc.
ETC = ["ld.so.cache", "ld.so.conf", "ld.so.conf.d", "alternatives", "pam.d", "pam.conf", "security", "login.defs", "ssl",
       "services", "protocols", "environment", "default", "localtime", "shells", "ssh/moduli", "ssh/ssh_config",
       "sudo.conf", "bash.bashrc", "profile"]
# Built for the tests; in the world's /run.
TOOLS = ("killat", "libclock_jump.so")
# What may differ between before and after: logs, what sudo remembers, and the folder of our own state.
UNSEEN = ("/var/log", "/var/lib/sudo", "/var/lib/longhaul", "/home/ann/.sudo_as_admin_successful")

CLONE = {"ns": 0x20000, "uts": 0x4000000, "ipc": 0x8000000, "pid": 0x20000000, "net": 0x40000000}
MS_RDONLY, MS_REMOUNT, MS_BIND, MS_REC, MS_PRIVATE = 1, 32, 4096, 16384, 1 << 18
libc = ctypes.CDLL(None, use_errno=True)


def mount(source, target, kind=None, flags=0, options=None):
    words = [word.encode() if word else None for word in (source, target, kind)]
    if libc.mount(*words, ctypes.c_ulong(flags), options.encode() if options else None) != 0:
        raise OSError(ctypes.get_errno(), "cannot mount", target)


def write(path, text, mode=0o644, owner=0):
    os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
    with open(path, "wb") as file:
        file.write(text if isinstance(text, bytes) else text.encode())
    os.chmod(path, mode)
    os.chown(path, owner, owner if owner < 2000 else 2000)


def read(path):
    with open(path, "rb") as file:
        return file.read().decode("utf8", "surrogateescape")


def reserve(ports):
    """Ports that outgoing connections do not take."""
    with open("/proc/sys/net/ipv4/ip_local_reserved_ports", "w") as file:
        file.write(ports + "\n")


# --- What all worlds of a program start from ------------------------------------------------------------------------

class Template:
    """A folder that is copied into each world, with keys that are made once."""

    def __init__(self):
        self.path = tempfile.mkdtemp(prefix="lh-world-")
        self.pid = os.getpid()
        os.chmod(self.path, 0o755)
        for name in ETC:
            source, target = "/etc/" + name, os.path.join(self.path, "etc", name)
            if os.path.lexists(source):
                os.makedirs(os.path.dirname(target), exist_ok=True)
                subprocess.run(["cp", "-a", source, target], check=True)
        self._make_etc()
        self._make_keys()
        for name in TOOLS:
            shutil.copy(os.path.join(h.BUILD, "tests/support", name), self.path)

    def _make_etc(self):
        etc = os.path.join(self.path, "etc/")
        hashed = subprocess.run(["openssl", "passwd", "-6", PASSWORD], capture_output=True, text=True,
                                check=True).stdout.strip()
        lines = [line.split(":")[0] for line in PASSWD.splitlines()]
        shadow = "".join("%s:%s:19000:0:99999:7:::\n" % (name, hashed if name in ("ann", "bob") else "*") for name in lines)
        write(etc + "passwd", PASSWD)
        write(etc + "group", GROUP)
        write(etc + "shadow", shadow, 0o640)
        write(etc + "sudoers", SUDOERS, 0o440)
        write(etc + "shells", "/bin/sh\n/bin/bash\n/usr/bin/bash\n/usr/local/bin/aspshell\n")
        write(etc + "nsswitch.conf", "passwd: files\ngroup: files\nshadow: files\nhosts: files\nservices: files\n")
        write(etc + "hosts", "127.0.0.1 localhost\n::1 localhost\n%s server\n%s client\n" % (SERVER, CLIENT))
        write(etc + "hostname", "server\n")
        os.makedirs(etc + "ssh/sshd_config.d")

    def _make_keys(self):
        keys = os.path.join(self.path, "keys")
        os.mkdir(keys)
        for name, words in (("ed25519", ["-t", "ed25519"]), ("ecdsa", ["-t", "ecdsa"]), ("rsa", ["-t", "rsa", "-b", "2048"])):
            path = os.path.join(self.path, "etc/ssh/ssh_host_%s_key" % name)
            keygen(path, *words)
        for name, words in (("ann", ["-t", "ed25519"]), ("bob", ["-t", "ed25519"]), ("rsa", ["-t", "rsa", "-b", "2048"]),
                            ("short", ["-t", "rsa", "-b", "1024"]), ("dss", ["-t", "dsa"]), ("ca", ["-t", "ed25519"])):
            try:
                keygen(os.path.join(keys, name), *words)
            except subprocess.CalledProcessError:
                assert name == "dss"  # newer releases make no such key

    def remove(self):
        if os.getpid() == self.pid:
            shutil.rmtree(self.path, ignore_errors=True)


def keygen(path, *words):
    subprocess.run(["ssh-keygen", "-q", "-N", "", "-C", "made for a test", "-f", path, *words], check=True,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


# --- The world, from inside ---------------------------------------------------------------------------------------

class Result:
    def __init__(self, done):
        self.status, self.out, self.err = done.returncode, done.stdout, done.stderr

    def __str__(self):
        return "status %d\n--- stdout\n%s--- stderr\n%s" % (self.status, self.out, self.err)


class World:
    def __init__(self, template):
        self.began = time.monotonic()
        self.helpers = []
        libc.prctl(1, signal.SIGKILL)  # ends with whoever made it
        socket.sethostname("server")
        self._make_mounts(template)
        self._make_users()
        self._make_network()
        self._log_daemon()

    def _make_mounts(self, template):
        mount(None, "/", None, MS_REC | MS_PRIVATE)
        mount("proc", "/proc", "proc")
        for folder in ("/etc", "/home", "/root", "/run", "/var", "/dev", "/usr/local/bin"):
            mount("world", folder, "tmpfs", 0, "mode=755")
        self._make_devices()
        subprocess.run(["cp", "-a", template.path + "/etc/.", "/etc"], check=True)
        subprocess.run(["cp", "-a", template.path + "/keys", "/run/keys"], check=True)
        for name in TOOLS:
            shutil.copy(os.path.join(template.path, os.path.basename(name)), "/run/" + os.path.basename(name))
        mount("world", "/tmp", "tmpfs", 0, "mode=1777")
        for folder in ("/run/sshd", "/run/lock", "/var/log", "/var/lib/sudo", "/var/mail", "/var/tmp", "/var/empty"):
            os.makedirs(folder, 0o755)
        os.symlink("/run", "/var/run")
        write("/usr/local/bin/aspshell", "#!/bin/sh\nexit 0\n", 0o755)

    @staticmethod
    def _make_devices():
        for name, minor in (("null", 3), ("zero", 5), ("full", 7), ("random", 8), ("urandom", 9)):
            os.mknod("/dev/" + name, stat.S_IFCHR | 0o666, os.makedev(1, minor))
            os.chmod("/dev/" + name, 0o666)
        os.mknod("/dev/tty", stat.S_IFCHR | 0o666, os.makedev(5, 0))
        for folder in ("/dev/pts", "/dev/shm"):
            os.mkdir(folder)
        mount("devpts", "/dev/pts", "devpts", 0, "newinstance,ptmxmode=0666,mode=0620")
        mount("world", "/dev/shm", "tmpfs")
        os.symlink("pts/ptmx", "/dev/ptmx")
        os.symlink("/proc/self/fd", "/dev/fd")

    def _make_users(self):
        for user, uid in (("ann", 1000), ("bob", 1001), ("xfer1", 2001), ("xfer2", 2002)):
            os.mkdir("/home/" + user, 0o755)
            os.mkdir("/home/%s/.ssh" % user, 0o700)
            key = read("/run/keys/%s.pub" % ("ann" if user == "ann" else "bob"))
            write("/home/%s/.ssh/authorized_keys" % user, key, 0o600, uid)
            for folder in ("/home/" + user, "/home/%s/.ssh" % user):
                os.chown(folder, uid, uid if uid < 2000 else 2000)

    @staticmethod
    def _make_network():
        lines = ["link set lo up"]
        lines += ["addr add %s/24 dev lo" % address for address in (SERVER, CLIENT)]
        if os.path.exists("/proc/net/if_inet6"):
            lines += ["addr add %s/64 dev lo nodad" % address for address in (SERVER6, CLIENT6)]
        subprocess.run(["ip", "-batch", "-"], input="\n".join(lines), text=True, check=True)
        reserve(str(PORT))

    def _log_daemon(self):
        """What comes to /dev/log goes to /var/log/auth.log."""
        inbox = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        inbox.bind("/dev/log")
        os.chmod("/dev/log", 0o666)
        if os.fork() != 0:
            inbox.close()
            return
        with open("/var/log/auth.log", "ab", buffering=0) as log:
            while True:
                line = re.sub(rb"^<\d+>(.{15}) ", rb"\1 server ", inbox.recv(8192).rstrip(b"\0\n"))
                try:
                    log.write(line + b"\n")
                except OSError:
                    pass  # a full disk is one of the tests

    # --- sshd ---

    def start_sshd(self, *words):
        """As a machine without systemd starts it. Waits until it listens."""
        done = subprocess.run([SSHD, *(words or ["-f", CONFIG])], capture_output=True, text=True, check=False)
        assert done.returncode == 0, "sshd does not start: %s" % done.stderr
        self.wait(lambda: os.path.exists("/run/sshd.pid") and read("/run/sshd.pid").strip(), 5, "sshd does not start")
        return self.sshd_pid()

    @staticmethod
    def sshd_pid():
        try:
            return int(read("/run/sshd.pid"))
        except (OSError, ValueError):
            return 0

    def listens(self):
        """The TCP ports on which sshd listens, as the kernel has it."""
        out = subprocess.run(["ss", "-Htlnp"], capture_output=True, text=True, check=True).stdout
        return {int(line.split()[3].rsplit(":", 1)[1]) for line in out.splitlines() if '"sshd"' in line}

    def login(self, user="ann", port=22, command="true", key=None, options=(), server=SERVER, client=None, seconds=15):
        """A login from the client's address; a Result."""
        words = ["ssh", "-F", "none", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=no", "-o", "LogLevel=ERROR",
                 "-o", "UserKnownHostsFile=/dev/null", "-o", "ConnectTimeout=5", "-o", "IdentitiesOnly=yes"]
        words += ["-i", "/run/keys/" + (key or ("ann" if user == "ann" else "bob")), "-p", str(port)]
        words += ["-b", client or (CLIENT6 if ":" in server else CLIENT), *options, user + "@" + server, command]
        try:
            return Result(subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
                                         timeout=seconds))
        except subprocess.TimeoutExpired as late:
            return Result(subprocess.CompletedProcess(words, 124, str(late.stdout or ""), "ssh hung"))

    def admin_port(self, **how):
        """The port at which the administrator gets in and becomes root; 0 where there is none."""
        for port in (22, PORT):
            done = self.login("ann", port, "sudo -n id -u", **how)
            if done.status == 0 and done.out.strip() == "0":
                return port
        return 0

    def wait(self, what, seconds, why):
        end = time.monotonic() + seconds
        while True:
            found = what()
            if found:
                return found
            assert time.monotonic() < end, why() if callable(why) else why
            time.sleep(0.05)

    # --- lhctl ---

    def lhctl(self, *words, killat=(), seconds=90, **more):
        """lhctl sshd ... as root at the console; a Result."""
        command = [LHCTL, "sshd", *words]
        if killat:
            command = ["/run/killat", *killat, "--", *command]
        return Result(subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
                                     timeout=seconds, **more))

    def apply(self, *words, timer=3, **more):
        return self.lhctl("apply", *words, "--timer", str(timer), "--yes", **more)

    def confirm(self, port=PORT, killat=(), **how):
        """From a new session of the administrator."""
        command = ["sudo", "-n", *(["/run/killat", *killat, "--"] if killat else []), LHCTL, "sshd", "confirm"]
        return self.login("ann", port, shlex.join(command), **{"seconds": 60, **how})

    def rollback(self, *words, **more):
        return self.lhctl("rollback", *words, **more)

    # --- What is there ---

    def snapshot(self, but=()):
        """Everything that a server keeps, as a dictionary: path -> what it is. Times do not count."""
        found = {}
        for top in ("/etc", "/home", "/root", "/var", "/tmp"):
            for folder, folders, names in os.walk(top):
                folders[:] = [name for name in folders if not (folder + "/" + name).startswith((*UNSEEN, *but))]
                for name in folders + names:
                    path = folder + "/" + name
                    if not path.startswith((*UNSEEN, *but)):
                        found[path] = describe(path)
        found["reserved ports"] = read("/proc/sys/net/ipv4/ip_local_reserved_ports").strip()
        return found

    def stand_in(self, path, script):
        """A script in the place of a program, whether this machine has it or not."""
        if os.path.exists(path):
            text = "/run/stand-in-" + path.replace("/", "-")
            write(text, script, 0o755)
            mount(text, path, None, MS_BIND)
            return
        folder = os.path.dirname(path)
        upper = "/run/over" + folder.replace("/", "-")
        if not os.path.isdir(upper):
            os.makedirs(upper + "/upper")
            os.makedirs(upper + "/work")
            try:
                mount("world", folder, "overlay", 0, "lowerdir=%s,upperdir=%s/upper,workdir=%s/work" % (
                    folder, upper, upper))
            except OSError as why:
                raise h.Skip("no overlay file system: %s" % why)
        write(path, script, 0o755)

    def processes(self, name):
        """Process ids whose program has this name; those that have ended do not count."""
        found = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                if read("/proc/%s/comm" % pid).strip() == name and ") Z " not in read("/proc/%s/stat" % pid):
                    found.append(int(pid))
            except OSError:
                pass  # it has just ended
        return found


def describe(path):
    facts = os.lstat(path)
    what = (stat.filemode(facts.st_mode), facts.st_uid, facts.st_gid)
    if stat.S_ISLNK(facts.st_mode):
        return (*what, os.readlink(path))
    if stat.S_ISREG(facts.st_mode):
        with open(path, "rb") as file:
            return (*what, facts.st_size, hashlib.sha256(file.read()).hexdigest())
    return what


def differences(before, after):
    """What two snapshots differ in, as text; "" where they are the same."""
    return "\n".join("%s: %r -> %r" % (path, before.get(path), after.get(path))
                     for path in sorted(set(before) | set(after)) if before.get(path) != after.get(path))


def assert_same(before, after, what):
    text = differences(before, after)
    assert text == "", "%s:\n%s" % (what, text)


# --- Making worlds ------------------------------------------------------------------------------------------------

def reap_until(pid):
    """What process 1 is for. Returns when `pid` has ended, and with it the world ends."""
    while True:
        try:
            ended, _ = os.wait()
        except ChildProcessError:
            return
        if ended == pid:
            return


def _inside(template, function, pipe):
    try:
        with os.fdopen(pipe, "wb") as out:
            try:
                answer = ("ok", function(World(template)))
            except h.Skip as reason:
                answer = ("skip", str(reason))
            except BaseException:  # whatever it was is what the test has to say
                answer = ("fail", traceback.format_exc())
            pickle.dump(answer, out)
    finally:
        os._exit(0)


class Running:
    """A world under way."""

    def __init__(self, template, label, function, seconds):
        self.label, self.began, self.deadline = label, time.monotonic(), time.monotonic() + seconds
        self.text = b""
        self.pipe, inside = os.pipe()
        sys.stdout.flush()
        self.pid = os.fork()
        if self.pid == 0:
            os.close(self.pipe)
            libc.prctl(1, signal.SIGKILL)
            if libc.unshare(sum(CLONE.values())) != 0:
                os._exit(1)
            init = os.fork()
            if init == 0:
                libc.prctl(1, signal.SIGKILL)
                main = os.fork()
                if main == 0:
                    _inside(template, function, inside)
                os.close(inside)
                reap_until(main)
                os._exit(0)
            os.close(inside)
            os.waitpid(init, 0)
            os._exit(0)
        os.close(inside)

    def read(self):
        """False at the end."""
        more = os.read(self.pipe, 1 << 16)
        self.text += more
        return bool(more)

    def end(self):
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self.pipe)
        try:
            kind, value = pickle.loads(self.text)
        except (EOFError, pickle.UnpicklingError):
            kind, value = "fail", "the world ended without a word"
            if time.monotonic() > self.deadline:
                value = "the world took more than %.0f s" % (self.deadline - self.began)
        return self.label, kind, value, time.monotonic() - self.began


def run(template, jobs, parallel=8, seconds=120):
    """Runs (label, function) each in a world of its own, some at a time. Yields (label, kind, value, seconds) as they end;
    kind is ok (value is what the function returned), skip or fail (value is why)."""
    jobs = iter(jobs)
    running, more = {}, True
    while more or running:
        while more and len(running) < parallel:
            try:
                label, function = next(jobs)
            except StopIteration:
                more = False
                break
            world = Running(template, label, function, seconds)
            running[world.pipe] = world
        ready, _, _ = select.select(list(running), [], [], 1)
        for pipe, world in list(running.items()):
            if (pipe in ready and not world.read()) or time.monotonic() > world.deadline:
                del running[pipe]
                yield world.end()


def enter():
    """Into the namespaces of harness.main(), which bind the programs to where every user may reach them. False where they
    cannot be had."""
    if os.environ.get("LH_E2E_NAMESPACE") == "1":
        return True
    if not h.may_make_namespaces():
        return False
    env = dict(os.environ, LH_E2E_NAMESPACE="1")
    script = 'mount --bind "$0" /mnt && exec "$@"'
    os.execvpe("unshare", ["unshare", "-m", "sh", "-c", script, h.PROGRAMS, sys.executable, *sys.argv], env)
    return False
