# SPDX-License-Identifier: Apache-2.0
"""tests/support/sshd.sh for the tests that are written in Python.

The test program calls enter() first: it starts itself anew inside the fixture, where LH_SSHD_* say what is there.
"""
import os
import shlex
import subprocess
import sys

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
