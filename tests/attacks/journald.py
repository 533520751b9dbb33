# SPDX-License-Identifier: Apache-2.0
"""lhctl attacks on a real journal: systemd-journald, sshd and ssh in namespaces of their own.

    python3 tests/attacks/journald.py     as root, with systemd-journald; LH_BUILD names the build; prints TAP

Sources are 198.51.100.0/24. An innocent address is named by a user who writes to the journal what sshd would, under its
name, from a program called sshd, and with the fields that journald alone sets.
"""
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import syslog
import time

HERE = os.path.dirname(os.path.abspath(__file__))
LHCTL = os.path.abspath(os.path.join(os.environ.get("LH_BUILD", os.path.join(HERE, "../../build")), "src/cmd/lhctl"))
JOURNALD = "/lib/systemd/systemd-journald"
PORT, NOBODY = 33001, 65534
ATTACKER, SECOND, INNOCENT = "198.51.100.7", "198.51.100.8", "203.0.113.9"
NAMES = "adam bert carl dora emil fred gabi hans".split()


def run(*words, **more):
    return subprocess.run(words, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **more)


def write(path, text, mode=0o644):
    with open(path, "w") as file:
        file.write(text)
    os.chmod(path, mode)


def until(what, seconds=30):
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.1)


def make_world():
    run("mount", "--make-rprivate", "/")
    run("mount", "-t", "tmpfs", "-o", "mode=755", "none", "/run")
    for folder in ("dev", "dev/pts", "dev/shm", "systemd", "systemd/journal", "systemd/journald.conf.d", "sshd", "log", "varlog", "varlog/journal"):
        os.mkdir("/run/" + folder)
    for name, major, minor in (("null", 1, 3), ("zero", 1, 5), ("random", 1, 8), ("urandom", 1, 9), ("tty", 5, 0)):
        os.mknod("/run/dev/" + name, 0o666 | 0o020000, os.makedev(major, minor))
        os.chmod("/run/dev/" + name, 0o666)
    run("mount", "--bind", "/run/dev", "/dev")
    run("mount", "-t", "devpts", "-o", "newinstance,ptmxmode=0666", "devpts", "/dev/pts")
    for target, name in (("pts/ptmx", "ptmx"), ("/proc/self/fd", "fd"), ("/run/systemd/journal/dev-log", "log")):
        os.symlink(target, "/dev/" + name)
    run("mount", "--bind", "/run/varlog", "/var/log")
    write("/run/machine-id", "5" * 32 + "\n")
    if not os.path.exists("/etc/machine-id"):
        open("/etc/machine-id", "w").close()
    run("mount", "--bind", "/run/machine-id", "/etc/machine-id")
    write("/run/systemd/journald.conf.d/lh.conf", "[Journal]\nStorage=persistent\nReadKMsg=no\nAudit=no\nRateLimitBurst=0\nForwardToSyslog=no\n")
    run("ip", "link", "set", "lo", "up")
    run("ip", "route", "add", "local", "198.51.100.0/24", "dev", "lo")
    for name in ("host", "wrong"):
        run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", "/run/" + name)
    write("/run/sshd_config", "Port %d\nHostKey /run/host\nUsePAM no\nPasswordAuthentication no\nPidFile none\nMaxStartups 100:30:200\n" % PORT)
    journald = subprocess.Popen([JOURNALD], stderr=subprocess.DEVNULL)
    until(lambda: os.path.exists("/run/systemd/journal/dev-log"))
    sshd = subprocess.Popen(["/usr/sbin/sshd", "-D", "-f", "/run/sshd_config"], stderr=subprocess.DEVNULL)
    until(lambda: socket.socket().connect_ex(("127.0.0.1", PORT)) == 0)
    return journald, sshd


def attack(address, names):
    for name in names:
        subprocess.run(["ssh", "-F", "none", "-b", address, "-p", str(PORT), "-i", "/run/wrong", "-o", "BatchMode=yes", "-o", "IdentitiesOnly=yes",
                        "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", name + "@127.0.0.1"], capture_output=True, check=False)


def journal(*words):
    run("journalctl", "--sync")
    done = subprocess.run([LHCTL, "attacks", "--journal", "--json", "--harmless", *words], capture_output=True, timeout=60, check=False)
    assert done.returncode in (0, 1), done
    return [json.loads(line) for line in done.stdout.decode().splitlines()]


def test_attacks_are_found_in_a_real_journal():
    attack(ATTACKER, NAMES)
    rows = journal()
    found = {row["address"]: row for row in rows if row["type"] == "source"}
    assert set(found) == {ATTACKER}, found
    assert found[ATTACKER]["tries"] == 8 and found[ATTACKER]["users"] == 8 and found[ATTACKER]["alphabetical"], found
    assert found[ATTACKER]["evidence"][0].startswith("journal:20"), found
    assert [row for row in journal("--since", "1h") if row["type"] == "source"], "the last hour has them too"


def forge(text):
    """What a user may do: under sshd's name, from a program of that name, and with journald's own fields."""
    syslog.openlog("sshd", 0, syslog.LOG_AUTH)
    syslog.syslog(syslog.LOG_INFO, text)
    run("/run/forger/sshd", "-t", "sshd", text)
    run("/run/forger/sshd-session", "-t", "sshd-session", text)
    native = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    native.sendto(("MESSAGE=%s\n_UID=0\n_COMM=sshd\n_EXE=/usr/sbin/sshd\n_PID=1\nSYSLOG_IDENTIFIER=sshd\n" % text).encode(), "/run/systemd/journal/socket")


def test_what_a_user_writes_as_sshd_is_not_believed():
    os.mkdir("/run/forger")
    for name in ("sshd", "sshd-session"):
        shutil.copy(shutil.which("logger"), "/run/forger/" + name)
    pid = os.fork()
    if pid == 0:
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)
        for n in range(10):
            forge("Failed password for root from %s port %d ssh2" % (INNOCENT, 2000 + n))
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
    run("journalctl", "--sync")
    written = subprocess.run(["journalctl", "-o", "json", "--no-pager"], capture_output=True, check=True).stdout
    assert written.count(INNOCENT.encode()) >= 40, "the forged entries are not there"
    assert not [row for row in journal() if row.get("address") == INNOCENT]


def follower(state, *words):
    process = subprocess.Popen([LHCTL, "attacks", "--follow", "--journal", "--json", "--interval", "1", "--state", state, *words],
                               stdout=subprocess.PIPE)
    os.set_blocking(process.stdout.fileno(), False)
    return process


def told(process, seen):
    seen.append(process.stdout.read() or b"")
    rows = [json.loads(line) for line in b"".join(seen).splitlines(keepends=True) if line.endswith(b"\n")]
    return {(row["address"], row["kind"]): row for row in rows}


def test_following_a_real_journal_survives_kill_and_rotation():
    state, seen = "/run/state", []
    process = follower(state)
    until(lambda: (ATTACKER, "dictionary") in told(process, seen))
    until(lambda: os.path.exists(state))
    process.kill()
    process.wait()
    attack(SECOND, NAMES[:3])
    run("journalctl", "--rotate")
    attack(SECOND, NAMES[3:])
    seen = []
    process = follower(state)
    try:
        until(lambda: (SECOND, "dictionary") in told(process, seen))
        run("journalctl", "--rotate")
        attack("198.51.100.9", NAMES)
        until(lambda: ("198.51.100.9", "dictionary") in told(process, seen))
        rows = told(process, seen)
        # Told once more, where its network became one: with the tries that it had.
        assert rows[(SECOND, "dictionary")]["tries"] == 8 and rows.get((ATTACKER, "dictionary"), {"tries": 8})["tries"] == 8, rows
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(20)
    assert process.returncode == 0
    assert {row["address"]: row["tries"] for row in journal() if row["type"] == "source"} == {ATTACKER: 8, SECOND: 8, "198.51.100.9": 8}


def main_inside():
    journald, sshd = make_world()
    tests = [(name, test) for name, test in globals().items() if name.startswith("test_")]
    failed = 0
    print("1..%d" % len(tests))
    for number, (name, test) in enumerate(tests, 1):
        try:
            test()
            print("ok %d - %s" % (number, name[5:].replace("_", " ")), flush=True)
        except Exception as error:  # every failure is told, and the next test runs
            failed += 1
            print("not ok %d - %s" % (number, name[5:].replace("_", " ")), flush=True)
            for line in ("%s: %s" % (type(error).__name__, error)).splitlines():
                print("# " + line, flush=True)
    for process in (sshd, journald):
        process.terminate()
        process.wait(20)
    sys.exit(1 if failed else 0)


def main():
    if sys.argv[1:] == ["--inside"]:
        main_inside()
    needed = [JOURNALD, "/usr/sbin/sshd"]
    missing = [path for path in needed if not os.path.exists(path)] + [name for name in ("journalctl", "logger", "ssh") if not shutil.which(name)]
    if os.geteuid() != 0 or missing:
        print("1..0 # SKIP needs root%s" % "".join(", " + path for path in missing))
        return
    os.execvp("unshare", ["unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc", sys.executable, os.path.abspath(__file__),
                          "--inside"])


if __name__ == "__main__":
    main()
