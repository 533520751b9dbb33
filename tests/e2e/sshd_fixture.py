# SPDX-License-Identifier: Apache-2.0
"""tests/support/sshd.sh for the tests that are written in Python.

The test program calls enter() first: it starts itself anew inside the fixture, where LH_SSHD_* say what is there.
"""
import contextlib
import os
import resource
import shlex
import stat
import subprocess
import sys

import harness

HERE = os.path.dirname(os.path.abspath(__file__))
SCRIPT = os.path.join(HERE, "../support/sshd.sh")


def enter(**settings):
    """Inside the fixture returns; outside becomes the fixture, with LH_SSHD_<name> = value for each setting."""
    if "LH_SSHD_DIR" in os.environ:
        return
    env = dict(os.environ, LH_E2E_NAMESPACE="1")
    env.update({"LH_SSHD_" + name: str(value) for name, value in settings.items()})
    os.execvpe(SCRIPT, [SCRIPT, "run", sys.executable, *sys.argv], env)


def setting(name):
    return os.environ["LH_SSHD_" + name]


def call(command, check=True, **settings):
    """Runs functions of sshd.sh with settings of the moment; returns what they print."""
    env = dict(os.environ)
    env.update({"LH_SSHD_" + name: str(value) for name, value in settings.items()})
    done = subprocess.run(["sh", "-c", ". %s; %s" % (shlex.quote(SCRIPT), command)], env=env, text=True,
                          stdout=subprocess.PIPE, check=check)
    return done.stdout.strip()


def log(name="main"):
    with open(os.path.join(setting("DIR"), name, "log")) as file:
        return file.read()


class Log:
    """What sshd wrote while the block ran: `with Log() as seen: ...; seen.text()`."""

    def __init__(self, name="main"):
        self.name = name

    def __enter__(self):
        self.before = len(log(self.name))
        return self

    def __exit__(self, *exc):
        return False

    def text(self):
        return log(self.name)[self.before:]


def where_it_shows(secret):
    """Every command line and environment in /proc, and every log of the fixture, that holds `secret`."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        for name in "cmdline", "environ":
            try:
                with open("/proc/%s/%s" % (pid, name), "rb") as file:
                    if secret in file.read():
                        found.append("/proc/%s/%s" % (pid, name))
            except OSError:
                pass # it has ended
    for folder, _, names in os.walk(setting("DIR")):
        for name in names:
            path = os.path.join(folder, name)
            if stat.S_ISREG(os.lstat(path).st_mode) and os.path.getsize(path) < 1 << 20:
                with open(path, "rb") as file:
                    if secret in file.read():
                        found.append(path)
    return found


@contextlib.contextmanager
def passwords():
    """Gives the fixture's first user a fresh password for a while: whatever holds it has it from the program tested."""
    secret = "lh-" + os.urandom(12).hex()
    hashed = subprocess.run(["openssl", "passwd", "-6", "-stdin"], input=secret, capture_output=True, text=True,
                            check=True).stdout.strip()
    with open("/etc/shadow") as file: # the fixture's own
        old = file.read()
    lines = [line.split(":") for line in old.splitlines()]
    new = [":".join([fields[0], hashed, *fields[2:]] if fields[0] == setting("USER") else fields) for fields in lines]
    overwrite("/etc/shadow", "\n".join(new) + "\n")
    try:
        yield secret
    finally:
        overwrite("/etc/shadow", old)


def overwrite(path, text):
    with open(path, "w") as file:
        file.write(text)


def allow_cores():
    """In a child that is to dump core if anything lets it."""
    _, most = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (most, most))


def core_of(pid):
    """What a debugger with all rights writes as core of a living process."""
    with open("/proc/%d/status" % pid) as file:
        size_kb = next(int(line.split()[1]) for line in file if line.startswith("VmSize:"))
    if size_kb > 1 << 30:
        raise harness.Skip("a sanitizer's address space is too large for a core; the rest was checked")
    path = os.path.join(setting("DIR"), "forced")
    subprocess.run(["gcore", "-o", path, str(pid)], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                   timeout=60)
    path += ".%d" % pid
    with open(path, "rb") as file:
        core = file.read()
    os.unlink(path)
    assert len(core) > 100000
    return core
