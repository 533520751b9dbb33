# SPDX-License-Identifier: Apache-2.0
"""`lhctl sshd apply`, `confirm` and `rollback` with a real sshd, each test in a world of its own (world.py): what they show,
what they leave, who may confirm, and that nobody who is connected notices."""
import os
import re
import signal
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
import world as W  # noqa: E402

h = W.h
TIMER = 60
ANN_KEYS = "/home/ann/.ssh/authorized_keys"
DROP_IN = "/etc/ssh/sshd_config.d/50-cloud-init.conf"
TESTS = []


def test(function):
    TESTS.append((function.__name__.replace("_", " "), function))
    return function


def serve(w, config=W.DEBIAN, words=()):
    W.write(W.CONFIG, config)
    w.start_sshd(*words)
    assert w.admin_port() == 22, "the administrator cannot log in to begin with"


def applied(w, *words, timer=TIMER):
    result = w.apply(*words, timer=timer)
    assert result.status == 0, result
    return result


def refused(w, *words, why):
    before = w.snapshot()
    result = w.apply(*words, timer=TIMER)
    assert result.status == 3 and re.search(why, result.out + result.err, re.S), result
    W.assert_same(before, w.snapshot(), "files have changed")
    assert w.listens() == {22} and not w.processes("lhctl")


class Connected:
    """A user's session that was there before, and that answers."""

    def __init__(self, w, port=22):
        words = ["ssh", "-F", "none", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-i", "/run/keys/ann",
                 "-p", str(port), "-b", W.CLIENT, "ann@" + W.SERVER, "sh"]
        self.session = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.ask("echo here")

    def ask(self, command):
        self.session.stdin.write(command + "; echo end\n")
        self.session.stdin.flush()
        lines = []
        while not lines or lines[-1] != "end\n":
            lines.append(self.session.stdout.readline())
            assert lines[-1], "the session has ended: %s" % lines
        return "".join(lines[:-1])


def in_force(user):
    out = subprocess.run([W.SSHD, "-T", "-C", "user=%s,host=x,addr=192.0.2.9,laddr=192.0.2.1,lport=33001" % user],
                         capture_output=True, text=True, check=True).stdout
    return dict(line.split(" ", 1) for line in out.splitlines() if " " in line)


# --- The whole way --------------------------------------------------------------------------------------------------

@test
def the_whole_way_and_back_while_a_user_is_connected(w):
    W.write(DROP_IN, "PasswordAuthentication yes\nPermitRootLogin yes", 0o640)
    os.setxattr(DROP_IN, "user.note", b"kept")
    serve(w)
    before, pid = w.snapshot(), w.sshd_pid()
    user = Connected(w)
    shell = user.ask("echo $$")

    result = applied(w)
    assert all(len(line) <= 80 for line in result.out.splitlines()), result.out
    for step in ("kept below", "timer is armed", "sshd -T gives", "beside the old one", "ann logs in", "refused: passwords, root",
                 "xfer1 logs in", "log in anew on port 33001"):
        assert step in result.out.replace("\n        ", " "), (step, result.out)
    assert w.listens() == {22, W.PORT} and w.sshd_pid() == pid
    assert user.ask("echo $$") == shell

    done = w.confirm(seconds=60)
    assert done.status == 0, done
    assert w.listens() == {W.PORT} and w.admin_port() == W.PORT and w.sshd_pid() == pid
    assert user.ask("echo $$") == shell
    values = in_force("ann")
    for keyword, value in (("port", "33001"), ("passwordauthentication", "no"), ("permitrootlogin", "no"),
                           ("allowtcpforwarding", "no"), ("x11forwarding", "no")):
        assert values[keyword] == value, (keyword, values[keyword])
    assert os.getxattr(DROP_IN, "user.note") == b"kept" and os.stat(DROP_IN).st_mode & 0o777 == 0o640
    w.wait(lambda: not w.processes("lhctl"), 5, "the timer is still there")
    again = w.confirm(seconds=60)
    assert again.status == 0 and "before" in again.out, again
    assert "nothing to do" in applied(w).out  # the plan is carried out already

    done = w.rollback()
    assert done.status == 0, done
    W.assert_same(before, w.snapshot(), "rollback left a difference")
    assert os.getxattr(DROP_IN, "user.note") == b"kept"
    assert w.listens() == {22} and w.admin_port() == 22 and w.sshd_pid() == pid
    assert user.ask("echo $$") == shell
    done = w.rollback()
    assert done.status == 0 and "nothing to take back" in done.out, done
    W.assert_same(before, w.snapshot(), "the second rollback changed something")


@test
def a_plan_that_keeps_port_22_closes_nothing(w):
    serve(w)
    applied(w, "--keep-port-22", "aspera-4")
    assert w.confirm(seconds=60).status == 0
    assert w.listens() == {22, W.PORT} and in_force("ann")["hostkey"] == "/etc/ssh/ssh_host_ecdsa_key"
    assert w.rollback().status == 0


@test
def another_old_port_stays_open_until_confirm(w):
    W.write(W.CONFIG, "Port 2222\nPort 22\n" + W.DEBIAN)
    w.start_sshd()
    applied(w)
    assert w.listens() == {22, 2222, W.PORT}
    assert w.confirm(seconds=60).status == 0 and w.listens() == {W.PORT}
    assert w.rollback().status == 0 and w.listens() == {22, 2222}


# --- The proof ------------------------------------------------------------------------------------------------------

@test
def the_key_of_the_proof_is_bound_and_short_lived_and_goes(w):
    W.write("/run/tools/ssh", "#!/bin/sh\ncat %s >> /run/seen\nexec /usr/bin/ssh \"$@\"\n" % ANN_KEYS, 0o755)
    serve(w)
    before = W.read(ANN_KEYS)
    applied(w, "--tools", "/run/tools")
    lines = [line for line in W.read("/run/seen").splitlines() if "lhctl-proof-" in line]
    assert lines, "no key was seen"
    for line in lines:
        options = line.split(" ssh-ed25519 ")[0]
        for wanted in ("restrict", 'from="127.0.0.1,::1"', 'command="echo lhctl-proof-'):
            assert wanted in options, line
        end = re.search(r'expiry-time="(\d{14})Z?"', options)[1]
        now = time.strftime("%Y%m%d%H%M%S", time.gmtime() if "Z" in options.split("expiry")[1][:30] else time.localtime())
        assert now < end < time.strftime("%Y%m%d%H%M%S", time.gmtime(time.time() + 660)), (now, end)
    assert W.read(ANN_KEYS) == before
    assert subprocess.run(["grep", "-rl", "PRIVATE KEY", W.STATE], capture_output=True, check=False).stdout == b""
    assert w.rollback().status == 0


@test
def what_is_not_refused_ends_the_run(w):
    """A client that says it got in as root."""
    W.write("/run/tools/ssh", "#!/bin/sh\ncase \"$*\" in *' root '*) echo 'Authenticated to x' >&2; exit 0;; esac\n"
            "exec /usr/bin/ssh \"$@\"\n", 0o755)
    serve(w)
    before = w.snapshot()
    result = w.apply("--tools", "/run/tools", timer=TIMER)
    assert result.status == 70 and "root is not refused" in result.out + result.err, result
    W.assert_same(before, w.snapshot(), "it was not put back")
    assert w.listens() == {22} and not w.processes("lhctl")


@test
def keys_are_written_with_the_rights_of_the_user(w):
    """A file of root's in a user's folder: the user could replace it, and so may we not in the user's name."""
    os.chown(ANN_KEYS, 0, 0)
    os.chmod(ANN_KEYS, 0o644)
    serve(w)
    before = w.snapshot()
    result = w.apply(timer=TIMER)
    assert result.status == 70 and "cannot put a key" in result.out + result.err, result
    W.assert_same(before, w.snapshot(), "it was not put back")


# --- Who may confirm ------------------------------------------------------------------------------------------------

@test
def only_a_session_over_the_new_port_confirms(w):
    serve(w)
    old = Connected(w)
    applied(w)
    command = "sudo -n env SSH_CONNECTION='192.0.2.9 1 192.0.2.1 33001' %s sshd confirm 2>&1; echo status $?" % W.LHCTL
    out = old.ask(command)
    assert "status 3" in out and "over port 22" in out, out
    assert w.lhctl("confirm").status == 3  # from the console
    assert w.login("bob", W.PORT, W.LHCTL + " sshd confirm").status == 3
    assert w.listens() == {22, W.PORT}
    assert w.rollback().status == 0


@test
def a_session_from_before_proves_nothing_though_its_port_is_right(w):
    W.write(W.CONFIG, "Port 22\nPort 33001\n" + W.DEBIAN)
    w.start_sshd()
    old = Connected(w, port=W.PORT)
    time.sleep(0.1)  # the kernel counts in hundredths of a second
    applied(w)
    out = old.ask("sudo -n %s sshd confirm 2>&1; echo status $?" % W.LHCTL)
    assert "status 3" in out and "older" in out, out
    assert w.confirm(seconds=60).status == 0
    assert w.rollback().status == 0


# --- What stands in the way -----------------------------------------------------------------------------------------

@test
def refusals_name_what_mends_them(w):
    serve(w)
    W.reserve("")
    refused(w, why=r"not reserved.*mend:\s+sysctl -w net.ipv4.ip_local_reserved_ports=33001")
    W.reserve("33001")
    refused(w, "--transfer-user", "ann", why="moves files")
    with subprocess.Popen(["sleep", "60"]) as other:
        refused(w, "--pid", str(other.pid), why="is no sshd that listens")
        assert other.poll() is None, "another process got the signal"
        other.kill()
    assert w.lhctl("apply", "--root", "/tmp").status == 64
    assert w.lhctl("apply", "--timer", "1").status == 64
    assert w.lhctl("apply", "no-such-profile").status == 64


@test
def a_state_directory_that_others_can_write_is_refused(w):
    serve(w)
    os.makedirs(W.STATE)
    os.chmod(W.STATE, 0o777)
    result = w.apply(timer=TIMER)
    assert result.status == 3 and "nobody else can write" in result.err, result


# --- Taking back ----------------------------------------------------------------------------------------------------

@test
def rollback_refuses_over_the_changes_of_others_unless_forced(w):
    serve(w)
    before = w.snapshot()
    applied(w)
    assert w.confirm(seconds=60).status == 0
    W.write(W.CONFIG, W.read(W.CONFIG) + "# somebody was here\n")
    done = w.rollback()
    assert done.status == 3 and "+# somebody was here" in done.out and "--force" in done.out, done
    assert w.listens() == {W.PORT}
    done = w.rollback("--force")
    assert done.status == 0, done
    W.assert_same(before, w.snapshot(), "rollback left a difference")
    kept = re.search(r"kept in\s+(\S+)", done.out)[1]
    assert "# somebody was here" in W.read(kept)


@test
def a_copy_that_is_not_what_was_kept_is_not_put_back(w):
    serve(w)
    applied(w)
    assert w.confirm(seconds=60).status == 0
    run = re.search(r"^id (\w+)$", W.read(W.STATE + "/record"), re.M)[1]
    W.write("%s/%s/0.old" % (W.STATE, run), "PermitRootLogin yes\n")
    now = W.read(W.CONFIG)
    done = w.rollback()
    assert done.status == 70 and "not what was kept" in done.out + done.err, done
    assert W.read(W.CONFIG) == now and w.admin_port() == W.PORT


@test
def no_other_process_gets_the_signal_of_a_server_that_is_gone(w):
    serve(w)
    before = w.snapshot()
    applied(w)
    with subprocess.Popen(["sleep", "600"]) as other:
        record = W.read(W.STATE + "/record")
        pid = w.sshd_pid()
        W.write(W.STATE + "/record", re.sub(r"(?m)^pid \d+$", "pid %d" % other.pid, record), 0o600)
        os.kill(pid, signal.SIGKILL)
        w.wait(lambda: not w.listens(), 5, "sshd does not end")
        done = w.rollback()
        assert done.status == 0, done
        assert other.poll() is None, "another process got the signal"
        other.kill()
    assert w.listens() == {22} and w.admin_port() == 22  # it was started again
    W.assert_same(before, w.snapshot(), "rollback left a difference")


@test
def the_next_command_takes_back_what_a_killed_one_left(w):
    serve(w)
    before = w.snapshot()
    with subprocess.Popen([W.LHCTL, "sshd", "apply", "--yes"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as command:
        w.wait(lambda: W.PORT in w.listens(), 20, "the port does not open")
        command.kill()
    done = w.confirm(seconds=60)
    assert done.status != 0, done
    W.assert_same(before, w.snapshot(), "it was not put back")
    assert w.listens() == {22} and not w.processes("lhctl")
    applied(w)  # and a new run begins
    assert w.rollback().status == 0


def main():
    if not W.enter():
        print("1..0 # SKIP needs root and namespaces of its own")
        return 0
    only = os.environ.get("LH_TEST_ONLY", "")
    chosen = [(name, function) for name, function in TESTS if only in name]
    template = W.Template()
    failed = 0
    print("TAP version 13\n1..%d" % len(chosen))
    for number, (label, kind, value, seconds) in enumerate(W.run(template, chosen, parallel=int(os.environ.get("LH_WORLDS", "3"))), 1):
        if kind == "fail":
            failed += 1
            print("".join("# %s\n" % line for line in value.splitlines()), end="")
        print("%s %d - %s%s # %.1f s" % ("not ok" if kind == "fail" else "ok", number, label,
                                         " # SKIP " + value if kind == "skip" else "", seconds))
        sys.stdout.flush()
    template.remove()
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
