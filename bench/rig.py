# SPDX-License-Identifier: Apache-2.0
"""The test bench: a link between two namespaces with sshd at its far end, processes that are measured and limited.

Everything here runs inside `tests/support/sshd.sh run`, so process ids and mounts are private and end with us.
"""
import json
import os
import signal
import subprocess
import tempfile
import threading
import time

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SERVER_NAMES = {"lhserver", "sshd", "sshd-session", "sftp-server", "scp", "rsync", "iperf3",
                "nginx", "openssl", "uftpd", "udt_copy"}
TCP_BUFFER = 128 << 20  # generous: TCP is not to be slow for want of memory


class Link:
    """A link as `linkemu` understands `spec`; `with` removes it. end_a and end_b are command prefixes."""

    def __init__(self, build, spec, congestion="cubic", arguments=()):
        self.directory = tempfile.mkdtemp(prefix="lh-bench-link.")
        self.spec = spec
        self.process = subprocess.Popen([os.path.join(build, "bench/linkemu/linkemu"), "--dir", self.directory,
                                         "--both", spec, *arguments])
        while not os.path.exists(os.path.join(self.directory, "ready")):
            if self.process.poll() is not None:
                raise SystemExit("bench: the link emulator does not start")
            time.sleep(0.02)
        self.end_a = ["nsenter", "--net=" + os.path.join(self.directory, "ns-a"), "--"]
        self.end_b = ["nsenter", "--net=" + os.path.join(self.directory, "ns-b"), "--"]
        self.server_netns = os.stat(os.path.join(self.directory, "ns-b")).st_ino
        self.address = "10.99.0.2"
        self.known = os.path.join(self.directory, "known_hosts")
        self.congestion = None
        self.set_congestion(congestion)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        stop_sshd()
        self.process.terminate()
        self.process.wait()
        subprocess.run(["rm", "-rf", self.directory], check=True)

    def set_congestion(self, name):
        """TCP congestion control of both ends, by route: only the first namespace may set any by sysctl."""
        if name == self.congestion:
            return
        self.congestion = name
        for end in (self.end_a, self.end_b):
            for command in (["sysctl", "-qw", f"net.ipv4.tcp_rmem=4096 131072 {TCP_BUFFER}",
                             f"net.ipv4.tcp_wmem=4096 65536 {TCP_BUFFER}"],
                            ["ip", "route", "replace", "10.99.0.0/24", "dev", "wan0", "proto", "kernel", "scope",
                             "link", "congctl", name]):
                subprocess.run(end + command, check=True)

    def start_sshd(self):
        start_sshd(self.address, self.end_b, self.known)

    def begin_row(self):
        """What was late before is not this row's; gives the counters to compare with."""
        with open(os.path.join(self.directory, "control"), "w", encoding="ascii") as control:
            control.write("on-time\n")
        return self.stats()

    def stats(self):
        """The emulator's counters of the moment."""
        path = os.path.join(self.directory, f"stats.{time.monotonic_ns()}")
        with open(os.path.join(self.directory, "control"), "w", encoding="ascii") as control:
            control.write(f"stats {path}\n")
        while not os.path.exists(path):
            if self.process.poll() is not None:
                raise SystemExit("bench: the link emulator is gone")
            time.sleep(0.01)
        with open(path, encoding="ascii") as file:
            stats = json.load(file)
        os.unlink(path)
        return stats


class Loopback:
    """Both ends over the loopback device at MTU 1500."""

    def __init__(self):
        subprocess.run(["ip", "link", "set", "lo", "mtu", "1500", "up"], check=True)
        self.end_a = self.end_b = []
        self.server_netns = os.stat("/proc/self/ns/net").st_ino
        self.address = "127.0.0.1"
        self.known = os.environ["LH_SSHD_KNOWN"]
        self.spec = "loopback, MTU 1500"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        subprocess.run(["ip", "link", "set", "lo", "mtu", "65536"], check=True)


def start_sshd(address, prefix, known):
    environment = {**os.environ, "LH_SSHD_ADDRESS": address}
    subprocess.run(prefix + ["sh", "-c", '. "$LH_SSHD_TOP/tests/support/sshd.sh"; lh_sshd_start wan'],
                   env=environment, check=True)
    directory = os.path.join(os.environ["LH_SSHD_DIR"], "wan")
    with open(known, "w", encoding="ascii") as out:
        for kind in os.environ["LH_SSHD_KEYS"].split():
            with open(f"{directory}/host_{kind}.pub", encoding="ascii") as key:
                out.write(f"[{address}]:{os.environ['LH_SSHD_PORT']} {' '.join(key.read().split()[:2])}\n")


def stop_sshd():
    path = os.path.join(os.environ["LH_SSHD_DIR"], "wan/pid")
    try:
        with open(path, encoding="ascii") as file:
            os.kill(int(file.read()), signal.SIGTERM)
        os.unlink(path)
    except (FileNotFoundError, ProcessLookupError):
        pass


class ServerWatch(threading.Thread):
    """Looks ten times a second at what runs on the server's side: processor seconds and resident memory."""

    def __init__(self, netns):
        super().__init__(daemon=True)
        self.netns = netns
        self.cpu = {}
        self.peak = {}  # of each program, in bytes
        self.done = threading.Event()

    def run(self):
        while not self.done.wait(0.1):
            for pid in filter(str.isdigit, os.listdir("/proc")):
                self.look(pid)

    def look(self, pid):
        try:
            with open(f"/proc/{pid}/comm", encoding="ascii") as file:
                name = file.read().strip()
            if name not in SERVER_NAMES or os.stat(f"/proc/{pid}/ns/net").st_ino != self.netns:
                return
            fields = stat_of(pid)
            with open(f"/proc/{pid}/status", encoding="ascii") as file:
                status = file.read()
        except (FileNotFoundError, ProcessLookupError):
            return
        if not fields:
            return
        self.cpu[pid] = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        peak = [int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM")]
        self.peak[name] = max([self.peak.get(name, 0), *peak])

    def finish(self):
        self.done.set()
        self.join()
        return sum(self.cpu.values()), self.peak


def peak_of(pid):
    """Largest resident memory of a process so far, in bytes. (What wait4 tells begins with our own, before exec.)"""
    try:
        with open(f"/proc/{pid}/status", encoding="ascii") as file:
            for line in file:
                if line.startswith("VmHWM"):
                    return int(line.split()[1]) * 1024
    except (OSError, ValueError):
        pass
    return 0


def stat_of(pid):
    """The fields of /proc/PID/stat behind the name; none where the process is gone."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as file:
            return file.read().rsplit(")", 1)[1].split()
    except (FileNotFoundError, ProcessLookupError):
        return []


def cpu_of_others(leader):
    """Processor seconds of what runs in the session of process `leader`, itself left out: scp's ssh, for example."""
    ticks = 0
    for pid in filter(str.isdigit, os.listdir("/proc")):
        fields = stat_of(pid)
        if fields and int(fields[3]) == leader and int(pid) != leader:
            ticks += sum(int(field) for field in fields[11:15])  # its own, and of children that it has waited for
    return ticks / os.sysconf("SC_CLK_TCK")


class Run:
    """One measured command: seconds, status, output, processor seconds and peak memory of both sides."""

    def __init__(self, link, command, limit, environment=None, label=""):
        self.label = label
        watch = ServerWatch(link.server_netns)
        watch.start()
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            begun = time.monotonic()
            self.client_peak, others_cpu = 0, 0.0
            process = subprocess.Popen(link.end_a + command, stdin=subprocess.DEVNULL, stdout=out, stderr=err,
                                       start_new_session=True, env=environment)
            self.timed_out = False
            self.limit = limit
            while True:
                pid, status, usage = os.wait4(process.pid, os.WNOHANG)
                if pid != 0:
                    break
                self.client_peak = max(self.client_peak, peak_of(process.pid))
                if not self.timed_out:
                    self.on_tick(time.monotonic() - begun)
                if time.monotonic() - begun > self.limit and not self.timed_out:
                    self.timed_out = True
                    self.at_limit = time.monotonic() - begun
                    self.on_limit()
                    others_cpu = cpu_of_others(process.pid)  # nobody waits for them any more
                    os.killpg(process.pid, signal.SIGKILL)
                time.sleep(0.01)
            self.seconds = time.monotonic() - begun
            process.returncode = os.waitstatus_to_exitcode(status)
            self.status = process.returncode
            out.seek(0)
            err.seek(0)
            self.out = out.read().decode("utf-8", "replace")
            self.err = err.read().decode("utf-8", "replace")
        self.client_cpu = usage.ru_utime + usage.ru_stime + others_cpu
        self.server_cpu, self.server_peak = watch.finish()

    def on_tick(self, elapsed):
        """Called often while the command runs; may change self.limit."""

    def on_limit(self):
        """Called when time is up, before the command is killed."""

    def json_lines(self):
        found = []
        for line in self.out.splitlines():
            try:
                found.append(json.loads(line))
            except ValueError:
                pass
        return found

    def last_json(self):
        return (self.json_lines() or [{}])[-1]


def tree_bytes(path):
    """Bytes allocated to files below `path`: what has really arrived, also in temporary files."""
    total = 0
    for folder, _, names in os.walk(path):
        for name in names:
            try:
                found = os.lstat(os.path.join(folder, name))
                total += min(found.st_size, found.st_blocks * 512)
            except FileNotFoundError:
                pass
    return total
