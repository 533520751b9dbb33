# SPDX-License-Identifier: Apache-2.0
"""What the end-to-end tests share: a private place with both ends in it, an independent comparison of trees, TAP.

The programs under test are the built ones (LH_BUILD). ssh is replaced by tests/e2e/fake-ssh unless a test says
otherwise. As root every test program runs in a network namespace of its own (see main), so that its port and its
counters are nobody else's.
"""
import hashlib
import json
import os
import random
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
import traceback

HERE = os.path.dirname(os.path.abspath(__file__))
BUILD = os.path.abspath(os.environ.get("LH_BUILD", os.path.join(HERE, "../../build")))
PROGRAMS = os.environ.get("LH_E2E_PROGRAMS", os.path.join(BUILD, "src/cmd"))
LHCP = os.path.join(PROGRAMS, "lhcp")
LHSERVER = os.path.join(PROGRAMS, "lhserver")
REPORT = "sanitizer-report"
FORMATTED_ODD_NAMES = [
    b"-rf", b"new\nline", b"in\xffvalid\xfe", b"x" * 255, b"trailing ", b"'quote\"", b"back\\slash", b"\x1b[31mred",
    "caf\u00e9".encode(), b".hidden", b"a b", b"$(touch x)", b"*", b"~", b"%s%n", b"con",
]


class Skip(Exception):
    """A test that cannot run here; the reason is shown and must be in tests/expected-skips."""


class Place:
    """A temporary folder with a local and a remote side, each with its own state."""

    def __init__(self, directory=None):
        self.root = tempfile.mkdtemp(prefix="lh-e2e-", dir=directory)
        self.local = self._make("local")
        self.remote = self._make("remote")
        self.bin = self._make("bin")
        shutil.copy(os.path.join(HERE, "fake-ssh"), os.path.join(self.bin, "ssh"))
        self.env = dict(os.environ)
        self.env.update(
            PATH=self.bin + ":" + os.environ.get("PATH", "/usr/bin:/bin"),
            HOME=self.local,
            XDG_STATE_HOME=self._make("state-local"),
            LH_FAKE_STATE=self._make("state-remote"),
            LH_FAKE_REMOTE=self.remote,
            LH_FAKE_PIDFILE=os.path.join(self.root, "server.pid"),
            LH_SERVER=LHSERVER,
        )
        self.env.pop("ASPERA_SCP_PASS", None)
        for sanitizer in ("ASAN_OPTIONS", "TSAN_OPTIONS", "UBSAN_OPTIONS"):
            options = [self.env.get(sanitizer, ""), "log_path=" + os.path.join(self.root, REPORT)]
            self.env[sanitizer] = ":".join(filter(None, options))

    def _make(self, name):
        path = os.path.join(self.root, name)
        os.mkdir(path, 0o700)
        return path

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        reports = []
        for name in filter(lambda name: name.startswith(REPORT), os.listdir(self.root)):
            with open(os.path.join(self.root, name), errors="replace") as file:
                reports.append(file.read())
        remove_tree(self.root)
        # A server that a sanitizer ended might pass unseen: the client just tries again.
        assert not reports, "\n".join(reports)

    def start(self, *args, **kwargs):
        """Starts lhcp in the local folder and returns the process."""
        kwargs.setdefault("stdout", subprocess.PIPE)
        kwargs.setdefault("stderr", subprocess.PIPE)
        kwargs.setdefault("env", self.env)
        return subprocess.Popen([LHCP, *args], cwd=self.local, stdin=subprocess.DEVNULL, **kwargs)

    def run(self, *args, expect=0, timeout=120, **kwargs):
        """Runs lhcp to its end; returns (status, stdout, stderr) as text."""
        process = self.start(*args, **kwargs)
        try:
            out, err = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            out, err = process.communicate()
            raise AssertionError("lhcp hung: %r\n%s%s" % (args, out.decode("utf8", "replace"), err.decode("utf8", "replace")))
        out, err = (out or b"").decode("utf8", "replace"), (err or b"").decode("utf8", "replace")
        if expect is not None and process.returncode != expect:
            raise AssertionError("lhcp %r ended with %d, not %d\n--- stdout\n%s--- stderr\n%s"
                                 % (args, process.returncode, expect, out, err))
        return process.returncode, out, err

    def server_pid(self, timeout=10):
        """Process id of the running lhserver."""
        path = self.env["LH_FAKE_PIDFILE"]
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            try:
                with open(path) as file:
                    text = file.read().strip()
                if text:
                    return int(text)
            except FileNotFoundError:
                pass
            time.sleep(0.01)
        raise AssertionError("no lhserver appeared")


def remove_tree(path):
    """Removes folders that may not be written to, too."""
    subprocess.run(["chmod", "-R", "u+rwX", path], check=False)
    shutil.rmtree(path, ignore_errors=True)


def chosen_seed():
    """Of what is left to chance: LH_TEST_SEED, else the same in every `make test`, so that what is red there is red again,
    and another one in each long run."""
    default = random.SystemRandom().randrange(1 << 30) if os.environ.get("LH_TEST_LONG") == "1" else 1
    return int(os.environ.get("LH_TEST_SEED", default))


def incompressible(size, seed):
    return random.Random(seed).randbytes(size)


def write_large(path, size, seed):
    """A file of incompressible bytes, in steps: Python's generator gives at most 256 MiB at a time."""
    rng = random.Random(seed)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        while size > 0:
            step = min(size, 16 << 20)
            file.write(rng.randbytes(step))
            size -= step


def write(path, data, mode=None, mtime=None):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(data)
    if mode is not None:
        os.chmod(path, mode)
    if mtime is not None:
        os.utime(path, ns=(mtime, mtime))


def make_tree(root, seed=1, files=200, large=3, large_size=5 << 20):
    """A tree with everything that is awkward: odd names, empty things, links, depths, sizes around limits."""
    rng = random.Random(seed)
    root = os.fsencode(root)
    os.makedirs(root, exist_ok=True)
    sizes = [0, 1, 4095, 4096, 65535, 65536, 262143, 262144, 262145, (1 << 20) - 1, 1 << 20, (1 << 20) + 1]
    for index, name in enumerate(FORMATTED_ODD_NAMES):
        write(os.path.join(root, b"odd", name), incompressible(index * 7, seed + index))
    for index, size in enumerate(sizes):
        write(os.path.join(root, b"sizes", b"%d" % size), incompressible(size, seed + 100 + index), mode=0o640,
              mtime=1_500_000_000_123_456_789 + index)
    for index in range(files):
        path = os.path.join(root, b"small", b"d%d" % (index % 17), b"f%d" % index)
        write(path, incompressible(rng.randrange(0, 9000), seed + 1000 + index), mode=rng.choice([0o600, 0o644, 0o755]))
    for index in range(large):
        write(os.path.join(root, b"large%d" % index), incompressible(large_size + index, seed + 5000 + index))
    deep = root
    for index in range(40):
        deep = os.path.join(deep, b"deep%d" % index)
    write(os.path.join(deep, b"bottom"), b"found me")
    os.makedirs(os.path.join(root, b"empty", b"also empty"))
    os.symlink(b"large0", os.path.join(root, b"link"))
    os.symlink(b"/etc/passwd", os.path.join(root, b"link out"))
    os.symlink(b"nowhere", os.path.join(root, b"dangling"))


def digest_file(path):
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def describe(root, attributes=False, modes=False):
    """Everything below `root` as a dictionary: path -> what it is. Reads with Python alone, nothing of ours.

    `attributes` adds modes and times, `modes` modes alone.
    """
    root = os.fsencode(root)
    found = {}

    def add(path, relative):
        info = os.lstat(path)
        if stat.S_ISLNK(info.st_mode):
            found[relative] = ("link", os.readlink(path))
            return
        extra = (oct(stat.S_IMODE(info.st_mode)),) if attributes or modes else ()
        extra += (info.st_mtime_ns,) if attributes else ()
        if stat.S_ISDIR(info.st_mode):
            found[relative] = ("dir", *extra)
            for name in os.listdir(path):
                add(os.path.join(path, name), relative + b"/" + name)
        else:
            found[relative] = ("file", info.st_size, digest_file(path), *extra)

    sys.setrecursionlimit(10000)
    add(root, b"")
    return found


def assert_same(a, b, attributes=False, modes=False):
    left, right = describe(a, attributes, modes), describe(b, attributes, modes)
    if left == right:
        return
    lines = []
    for key in sorted(set(left) | set(right)):
        if left.get(key) != right.get(key):
            lines.append("%r: %r != %r" % (key, left.get(key), right.get(key)))
    raise AssertionError("trees differ in %d places:\n%s" % (len(lines), "\n".join(lines[:20])))


def assert_in(needle, text):
    assert needle in text, "%r is not in:\n%s" % (needle, text)


def partials(root):
    """Temporary files of ours below `root`."""
    return [name for _, _, names in os.walk(os.fsencode(root)) for name in names if name.startswith(b".lh-")]


def wire_bytes():
    """IP bytes that crossed loopback in this namespace so far. With the stand-in for ssh all of them are UDP."""
    with open("/proc/net/dev") as file:
        for line in file:
            name, _, rest = line.partition(":")
            if name.strip() == "lo":
                return int(rest.split()[0])
    raise AssertionError("no loopback here")


def wait_for_wire(process, least, seconds=120):
    """Until loopback has carried `least` bytes in all, or `process` has ended: a moment in a transfer on any machine."""
    end = time.monotonic() + seconds
    while process.poll() is None and wire_bytes() < least:
        assert time.monotonic() < end, "the transfer does not get on"
        time.sleep(0.005)


def summary(out):
    """The last line of what lhcp --json wrote, as a dictionary."""
    rows = [json.loads(line) for line in out.splitlines()]
    assert rows and rows[-1]["type"] == "summary", rows[-1:]
    return rows[-1]


def kill_hard(pid):
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def need_namespaces(why):
    """Skips a test unless this process is root in a network and a mount namespace that main() made for the tests."""
    if os.geteuid() != 0 or os.environ.get("LH_E2E_NAMESPACE") != "1":
        raise Skip("needs root and namespaces of its own " + why)


def may_make_namespaces():
    return os.geteuid() == 0 and subprocess.run(["unshare", "-mn", "true"], stderr=subprocess.DEVNULL,
                                                check=False).returncode == 0


def main(module, title):
    """Runs every function test_* of `module` and prints TAP. LH_TEST_ONLY=substring picks some."""
    if os.environ.get("LH_E2E_NAMESPACE") != "1" and may_make_namespaces():
        env = dict(os.environ, LH_E2E_NAMESPACE="1", LH_E2E_PROGRAMS="/mnt")
        # Other users run the programs too, and may have no way into the folder that they were built in.
        programs = 'mount --bind "$0" /mnt && '
        # Outgoing connections must not take the ports that the tests are about to bind.
        ports = '{ echo 40000 60999 > /proc/sys/net/ipv4/ip_local_port_range; } 2> /dev/null'
        script = programs + 'ip link set lo up && { ' + ports + ' || true; } && exec "$@"'
        os.execvpe("unshare", ["unshare", "-n", "-m", "sh", "-c", script, PROGRAMS, sys.executable, *sys.argv], env)
    os.umask(0o022)  # modes are compared
    only = os.environ.get("LH_TEST_ONLY", "")
    tests = [(name, function) for name, function in vars(module).items() if name.startswith("test_") and only in name]
    print("TAP version 13")
    print("1..%d" % len(tests))
    failed = 0
    for number, (name, function) in enumerate(tests, 1):
        label = name[5:].replace("_", " ")
        began = time.monotonic()
        try:
            function()
            print("ok %d - %s # %.1f s" % (number, label, time.monotonic() - began))
        except Skip as reason:
            print("ok %d - %s # SKIP %s" % (number, label, reason))
        except Exception:  # every failure is shown, then the next test runs
            failed += 1
            for line in traceback.format_exc().splitlines():
                print("# " + line)
            print("not ok %d - %s" % (number, label))
        sys.stdout.flush()
    sys.exit(1 if failed else 0)
