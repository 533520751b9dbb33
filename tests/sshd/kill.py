# SPDX-License-Identifier: Apache-2.0
"""kill -9 before and after each system call of `lhctl sshd apply`, `confirm` and `rollback` that changes anything outside of
the process, and a full disk at each of them. Each point in a world of its own (world.py), found with tests/support/killat.

At once afterwards each file is the old one or a new one, whole, and sshd accepts them. Within the timer and ten seconds an
administrator can log in, and everything is the old state or the new one. Then `rollback` brings back every byte, and no
key or process is left.

`make test` takes a sample (LH_TEST_SEED), LH_TEST_LONG=1 all points, with a sample of all other system calls.
"""
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
import world as W  # noqa: E402

h = W.h
LONG = os.environ.get("LH_TEST_LONG") == "1"
TIMER = int(os.environ.get("LH_TEST_TIMER", "12"))  # seconds
HEAL = TIMER + 10
SHARE = int(os.environ.get("LH_KILL_SHARE", "2"))  # points of each kind and command in `make test`
# Configuration with a drop-in, so that more than one file changes.
CONFIG = W.DEBIAN
DROP_IN = "PasswordAuthentication yes\nPermitRootLogin yes\n"
# What a killed command may leave until the next one comes: copies beside the files, a folder that sshd was to look at.
LEFT = ("/etc/ssh/.lhctl-", "/etc/ssh/sshd_config.d/.lhctl-", "/tmp/lh-")
COMMANDS = ("apply", "confirm", "rollback", "rollback of what is confirmed", "timer")
FILL = ("for disk in /etc/ssh /var/lib/longhaul /home /tmp; do head -c 64m /dev/zero > $disk/filler 2> /dev/null; done")


def serve(w):
    W.write(W.CONFIG, CONFIG)
    W.write("/etc/ssh/sshd_config.d/50-cloud.conf", DROP_IN)
    w.start_sshd()


def run(w, command, *killat, timer=TIMER):
    """Brings the world to where `command` begins, and runs it with killat. -> its result, the log's lines, and the states
    that there were, the last one after the command"""
    states = [w.snapshot(but=LEFT)]
    if command != "apply":
        # A generous timer: the command is to be over before it ends.
        done = w.apply(timer=timer + 5 if command != "timer" else timer)
        assert done.status == 0, done
        states.append(w.snapshot(but=LEFT))
    if command == "rollback of what is confirmed":
        done = w.confirm()
        assert done.status == 0, done
        states.append(w.snapshot(but=LEFT))
    words = ["--children", "--log", "/run/killat.log", *killat]
    if command == "apply":
        result = w.apply(timer=timer, killat=words)
    elif command == "confirm":
        result = w.confirm(killat=words)
    elif command == "timer":
        for pid in w.processes("lhctl"):
            os.kill(pid, signal.SIGKILL)
        result = w.lhctl("timer", "--state", W.STATE, killat=words)
    else:
        result = w.rollback(killat=words)
    with open("/run/killat.log") as log:
        lines = [line.split() for line in log]
    states.append(w.snapshot(but=LEFT))
    return result, lines, states


# --- What an undisturbed run does -----------------------------------------------------------------------------------

def learn(command):
    """The points of a command, and all states from the old one to its end."""
    def attempt(w):
        serve(w)
        result, lines, states = run(w, command, timer=TIMER if command == "timer" else 25)
        assert result.status == 0, result
        return lines, states
    return attempt


# --- One point ------------------------------------------------------------------------------------------------------

def own(state):
    """The files that may change; their texts."""
    return {path: what for path, what in state.items() if path.startswith("/etc/ssh") or path == "reserved ports"}


def check_at_once(w, states):
    """Each file as it is in one of the states, whole; and sshd accepts them all."""
    now = w.snapshot(but=LEFT)
    for path in sorted(set().union(*states)):
        known = [state.get(path) for state in states]
        if len(set(known)) > 1 and path.startswith("/etc/ssh") and now.get(path) not in known:
            raise AssertionError("%s is neither old nor new: %s" % (path, now.get(path)))
    done = subprocess.run([W.SSHD, "-t"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, "sshd refuses the files: %s" % done.stderr


def check_settled(w, states, may, filler):
    """In the end: the state is one of `may`, whole, the server's sockets too, and the administrator gets in."""
    end = time.monotonic() + HEAL
    ports = {"old": {22}, "new": {W.PORT}}

    def settled():
        now = w.snapshot(but=LEFT + filler)
        return [name for name in may if W.differences(states[name], now) == "" and w.listens() == ports[name]]

    found = w.wait(settled, HEAL, lambda: "between old and new: ports %s, %s\n%s" % (
        w.listens(), {name: W.differences(states[name], w.snapshot(but=LEFT + filler)) for name in may}, story()))
    w.wait(w.admin_port, max(1, end - time.monotonic()), "locked out")
    return found[0]


def check_rollback(w, old, filler):
    before = w.snapshot(but=LEFT + filler)
    done = w.rollback()
    if done.status != 0 and filler:
        # Without space it may refuse, whole; not when there is space again.
        W.assert_same(before, w.snapshot(but=LEFT + filler), "a rollback without space has changed files")
        for path in filler:
            if os.path.exists(path):
                os.unlink(path)
        done = w.rollback()
    assert done.status == 0, done
    W.assert_same(old, w.snapshot(but=LEFT[2:] + filler), "rollback left a difference")
    assert w.listens() == {22}, w.listens()
    assert w.admin_port() == 22, "locked out"
    w.wait(lambda: not w.processes("lhctl"), 5, "a process of ours is left")
    found = subprocess.run(["grep", "-rlE", "PRIVATE KEY", "/etc", "/home", "/root", "/run", "/var", "/tmp"],
                           capture_output=True, text=True, check=False).stdout.split()
    left = [path for path in found if not re.match(r"/run/keys/|/etc/ssh/ssh_host_", path)]
    assert left == [], "a key is left: %s" % left


def story():
    done = subprocess.run("tail -3 /run/killat.log; ls -la %s; head -c 1500 %s/record; tail -20 /var/log/auth.log; ps ax" % (
        (W.STATE,) * 2), shell=True, capture_output=True, text=True, check=False)
    return done.stdout


def point(command, killat, states, full=False):
    """A run that is disturbed, and what must hold after it."""
    def attempt(w):
        filler = ()
        if full:
            filler = tuple(folder + "/filler" for folder in ("/etc/ssh", "/var/lib/longhaul", "/home", "/tmp"))
            for folder in ("/etc/ssh", "/var/lib/longhaul"):
                small_disk(folder)
            W.mount(None, "/home", "tmpfs", W.MS_REMOUNT, "size=1m")
            W.mount(None, "/tmp", "tmpfs", W.MS_REMOUNT, "size=1m")
        serve(w)
        result, lines, _ = run(w, command, *killat)
        reached = bool(lines) and lines[-1][-1] == "1"
        try:
            check_at_once(w, [own(state) for state in states])
            if command == "timer":
                w.wait(w.admin_port, HEAL, "locked out")  # nobody is left who could put anything back by himself
            else:
                known = {"old": states[0], "new": states[-1] if command == "confirm" else states[-2]}
                may = ["old"] if command in ("apply", "rollback") else ["old", "new"]
                settled = check_settled(w, known, may, filler)
                assert command != "confirm" or result.status != 0 or settled == "new", "confirmed, and the old is back"
            check_rollback(w, states[0], filler)
        except AssertionError as why:
            raise AssertionError("%s\nstatus %d: %s%s\nlast calls: %s" % (
                why, result.status, result.out[-1500:], result.err[-1500:], lines[-4:])) from why
        return reached
    return attempt


def small_disk(folder):
    os.makedirs(folder, exist_ok=True)
    shutil.copytree(folder, "/run/copy", symlinks=True)
    facts = os.stat(folder)
    W.mount("world", folder, "tmpfs", 0, "mode=%o,size=1500k" % (facts.st_mode & 0o7777))
    subprocess.run(["cp", "-a", "/run/copy/.", folder], check=True)
    shutil.rmtree("/run/copy")


# --- All of them ------------------------------------------------------------------------------------------------------

def choose(rng, points, share):
    """All points in the long run, else some: never fewer than the ends."""
    return points if LONG else sorted(rng.sample(points, min(len(points), share)))


def jobs_of(rng, command, lines, states):
    """(label, function) of every point of one command."""
    calls, others = len(lines) - 1, int(lines[-1][2])

    def label(kind, number):
        call = " ".join(lines[number - 1][3:5]) if "other" not in kind else ""
        return "%s, %s %d %s" % (command, kind, number, call)

    numbers = list(range(1, calls + 1))
    for number in choose(rng, numbers, SHARE):
        yield label("killed before", number), point(command, ["--at", str(number)], states)
    for number in choose(rng, numbers, SHARE):
        yield label("killed after", number), point(command, ["--at", str(number), "--after"], states)
    for number in sorted(rng.sample(range(1, others + 1), min(others, 60 if LONG else 1))):
        yield label("killed at other", number), point(command, ["--other", str(number)], states)
    space = [number for number in numbers if lines[number - 1][2] == "space" and lines[number - 1][1] == "program"]
    for number in choose(rng, space, 1):
        yield label("no space at", number), point(command, ["--at", str(number), "--errno", "ENOSPC"], states)
    for number in choose(rng, space, 1):
        yield label("full disk from", number), point(command, ["--at", str(number), "--run", FILL], states, full=True)


def main():
    if not W.enter():
        print("1..0 # SKIP needs root and namespaces of its own")
        return 0
    seed = h.chosen_seed()
    rng = random.Random(seed)
    only = os.environ.get("LH_TEST_ONLY", "")
    template = W.Template()
    print("TAP version 13\n1..%d\n# LH_TEST_SEED=%d" % (len(COMMANDS), seed))
    parallel = int(os.environ.get("LH_WORLDS", "6"))
    learnt = {label: (kind, value) for label, kind, value, _ in
              W.run(template, [(command, learn(command)) for command in COMMANDS], parallel)}
    failed = 0
    for number, command in enumerate(COMMANDS, 1):
        began = time.monotonic()
        kind, value = learnt[command]
        bad, done, reached = [], 0, 0
        if kind != "ok":
            bad.append(("undisturbed", value))
        else:
            lines, states = value
            jobs = [job for job in jobs_of(rng, command, lines, states) if only in job[0]]
            for label, kind, value, _ in W.run(template, jobs, parallel):
                done += 1
                reached += kind == "ok" and value
                if kind != "ok":
                    bad.append((label, value))
        for label, why in bad[:8]:
            print("# --- %s\n%s" % (label, "".join("# %s\n" % line for line in str(why).splitlines())), end="")
        failed += bool(bad)
        print("%s %d - %s: %d of %d points leave old or new and a way in (%d were reached) # %.0f s" % (
            "not ok" if bad else "ok", number, command, done - len(bad), done, reached, time.monotonic() - began))
        if kind == "ok" or bad:
            for label, _ in bad:
                print("# failed: " + label)
        sys.stdout.flush()
    template.remove()
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
