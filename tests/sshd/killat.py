# SPDX-License-Identifier: Apache-2.0
"""tests/support/killat itself: what it counts, when it kills, whom it leaves alone."""
import os
import signal
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../e2e"))
import harness as h  # noqa: E402

KILLAT = os.path.join(h.BUILD, "tests/support/killat")


class Run:
    """killat in an empty folder; the program's status, what is in the folder, and the log's lines."""

    def __init__(self, *words, options=(), before="", wait=0.0):
        with tempfile.TemporaryDirectory(prefix="lh-killat-") as folder:
            log = os.path.join(folder, ".log")
            subprocess.run(["sh", "-c", before], cwd=folder, check=True)
            done = subprocess.run([KILLAT, "--log", log, *options, "--", *words], cwd=folder, capture_output=True,
                                  text=True, timeout=60, check=False)
            self.status, self.text = done.returncode, done.stdout + done.stderr
            time.sleep(wait)
            self.names = sorted(name for name in os.listdir(folder) if name != ".log")
            with open(log) as file:
                self.lines = [line.split() for line in file]
            self.total = self.lines.pop()
            self.calls = [line[3] for line in self.lines]


def test_calls_that_change_something_are_counted_and_named():
    run = Run("sh", "-c", ": > a; echo x > b; exec mv a c")
    assert run.status == 0 and run.names == ["b", "c"]
    assert [call for call in run.calls if not call.startswith(("exec", "rename"))] == ["openat", "openat", "write"], run.calls
    assert any(call.startswith("rename") for call in run.calls), run.calls
    assert run.total[1] == str(len(run.lines)) and int(run.total[2]) > 20 and run.total[4] == "0"


def test_before_a_call_it_is_not_made_and_after_it_it_is():
    whole = Run("sh", "-c", ": > a; mkdir() { :; }; : > b; exec rm a")
    for index, call in enumerate(whole.calls, 1):
        before = Run("sh", "-c", ": > a; mkdir() { :; }; : > b; exec rm a", options=["--at", str(index)])
        after = Run("sh", "-c", ": > a; mkdir() { :; }; : > b; exec rm a", options=["--at", str(index), "--after"])
        for run in before, after:
            assert run.status == 128 + signal.SIGKILL and run.total[4] == "1" and len(run.lines) == index, run.lines
        if call.startswith(("openat", "unlink")):
            assert before.names != after.names, (call, before.names)
        elif not call.startswith("exec"):
            assert before.names == after.names, (call, before.names)


def test_every_other_call_can_be_the_point_too():
    run = Run("touch", "a", options=["--other", "5"])
    assert run.status == 128 + signal.SIGKILL and run.names == []


def test_a_point_that_is_not_reached_does_nothing():
    run = Run("touch", "a", options=["--at", "1000"])
    assert run.status == 0 and run.names == ["a"] and run.total[4] == "0"


def test_a_call_can_fail_instead():
    whole = Run("cp", "a", "b", before="echo text > a")
    for index, line in enumerate(whole.lines, 1):
        if line[2] != "space":
            continue
        run = Run("cp", "a", "b", before="echo text > a", options=["--at", str(index), "--errno", "ENOSPC"])
        assert run.status == 1 and "No space left" in run.text, (line, run.status, run.text)


def test_a_command_can_run_while_the_program_waits():
    run = Run("mv", "a", "b", before="touch a", options=["--at", "1", "--run", "ls > seen"])
    assert run.status == 0 and run.names == ["b", "seen"], run.names


def test_a_daemon_lives_on():
    script = "(setsid sh -c 'sleep 0.3; touch late' > /dev/null 2>&1 &); : > a; : > b"
    whole = Run("sh", "-c", script, wait=0.8)
    assert whole.names == ["a", "b", "late"], whole.names
    killed = Run("sh", "-c", script, wait=0.8, options=["--at", str(len(whole.calls)), "--children"])
    assert killed.status == 128 + signal.SIGKILL and "late" in killed.names, (killed.names, killed.lines)


FORKS = """
import os, threading
child = os.fork()
if child == 0:
    os.mkdir("child")
    os._exit(0)
status = os.waitpid(child, 0)[1]
thread = threading.Thread(target=lambda: os.mkdir("thread"))
thread.start()
thread.join()
os.mkdir("ended%d" % status)
"""


def test_threads_are_the_program_and_children_only_if_asked():
    alone = Run(sys.executable, "-IBc", FORKS)
    assert alone.names == ["child", "ended0", "thread"]
    assert [line[4] for line in alone.lines if line[3] == "mkdir"] == ["thread", "ended0"], alone.lines
    family = Run(sys.executable, "-IBc", FORKS, options=["--children"])
    names = [line[4] for line in family.lines if line[3] == "mkdir"]
    assert names == ["child", "thread", "ended0"], family.lines
    point = str(next(index for index, line in enumerate(family.lines, 1) if line[3:] == ["mkdir", "child"]))
    killed = Run(sys.executable, "-IBc", FORKS, options=["--children", "--at", point])
    assert killed.status == 128 + signal.SIGKILL and killed.names == [], killed.names
    orphan = Run(sys.executable, "-IBc", FORKS, options=["--children", "--self", "--at", point])
    assert orphan.status == 0 and orphan.names == ["ended9", "thread"], orphan.names


if __name__ == "__main__":
    h.main(sys.modules[__name__], "killat")
