#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""lhcp and lhserver through real sshds: what a user meets before the first byte of a file moves.

The finer points of src/ssh are in ssh_channel.py; transfers themselves in transfer.py.
"""
import json
import os
import shutil
import socket
import subprocess
import sys
import time

import harness
import sshd_fixture
from harness import LHCP, assert_in, assert_same
from sshd_fixture import Log, call, setting, where_it_shows

PASSWORD = "pass word%$'\"\\`"
WRONG = "SHA256:" + "A" * 43
GOLDEN = os.path.join(harness.HERE, "../unit/golden/hello-v1.hex")


def place(name):
    path = os.path.join(setting("DIR"), "work", name)
    shutil.rmtree(path, ignore_errors=True)
    os.makedirs(path)
    return path


def small_tree():
    path = os.path.join(place("source"), "tree")
    harness.write(os.path.join(path, "a", "one"), b"1" * 1000)
    harness.write(os.path.join(path, "b", "two"), harness.incompressible(3 << 20, 2))
    harness.write(os.path.join(path, "empty"), b"")
    return path


def target(path=""):
    return "%s@127.0.0.1:%s" % (setting("USER"), path)


def server_folder(name):
    """A fresh folder of the user: its name as lhcp is given it, and where it lies."""
    if setting("MODE") == "users":
        path = os.path.join(setting("HOME"), name)
        shutil.rmtree(path, ignore_errors=True)
        return name, path
    path = place(name)
    os.rmdir(path)
    return path, path


class Ended:
    def __init__(self, process, seconds):
        self.status, self.out, self.err, self.seconds = process.returncode, process.stdout, process.stderr, seconds

    def last_line(self):
        return self.err.rstrip("\n").rsplit("\n", 1)[-1]


def environment(password=None):
    env = dict(os.environ, XDG_STATE_HOME=os.path.join(setting("DIR"), "state"))
    if password is not None:
        env["ASPERA_SCP_PASS"] = password
    return env


def lhcp(*args, port=33001, key=True, password=None, expect=0, seconds=60):
    command = [LHCP, "-P", str(port), "--retry-timeout", "0"]
    if key:
        command += ["-i", setting("KEY")]
    began = time.monotonic()
    process = subprocess.run([*command, *args], env=environment(password), stdin=subprocess.DEVNULL,
                             capture_output=True, timeout=seconds, start_new_session=True)
    process.stdout, process.stderr = (text.decode("utf8", "replace") for text in (process.stdout, process.stderr))
    ended = Ended(process, time.monotonic() - began)
    assert ended.status == expect, "status %d\n%s%s" % (ended.status, ended.out, ended.err)
    return ended


def fails(code, *args, **kwargs):
    """Runs lhcp, which must end with `code` in the last line of stderr; gives that line."""
    ended = lhcp(*args, expect=1, **kwargs)
    line = ended.last_line()
    assert line.startswith("lhcp: error %d: " % code), ended.err
    assert ended.seconds < 10, ended.seconds
    return line


def fingerprint(form, kind, name="main"):
    return call("lh_sshd_fingerprint %s %s %s" % (form, kind, name))


def pinned():
    return "--check-sshfp", setting("SHA256")


# --- Whom we talk to --------------------------------------------------------------------------------


def test_a_tree_goes_up_and_comes_back_with_either_form_of_fingerprint():
    source = small_tree()
    name, path = server_folder("up")
    lhcp("--check-sshfp", setting("SHA1"), "-d", source, target(name))
    assert_same(source, os.path.join(path, "tree"))
    if setting("MODE") == "users":
        assert os.stat(os.path.join(path, "tree", "empty")).st_uid == 20001
    back = place("back")
    lhcp("--check-sshfp", fingerprint("sha256", "rsa"), target(name + "/tree"), back)
    assert_same(source, os.path.join(back, "tree"))


def test_a_check_names_the_host_key_that_the_server_showed():
    ended = lhcp("--check", *pinned(), target().rstrip(":"))
    assert_in(setting("SHA256") + ", the expected one", ended.out + ended.err)
    assert_in("UDP: works both ways", ended.out + ended.err)


def test_a_wrong_fingerprint_ends_with_51_before_the_user_is_named():
    name, path = server_folder("never")
    with Log() as seen:
        line = fails(51, "--check-sshfp", WRONG, "-d", small_tree(), target(name))
    assert_in("Remote host is not who we expected: expected " + WRONG, line)
    assert_in(setting("SHA256"), line)
    assert seen.text().count("Connection from") <= 3
    assert setting("USER") not in seen.text()
    assert not os.path.exists(path)


def test_the_error_is_in_json_too():
    ended = lhcp("--json", "--check-sshfp", WRONG, "-d", small_tree(), target("x"), expect=1)
    last = json.loads(ended.out.strip().splitlines()[-1])
    assert 51 in last.values(), last


def test_a_live_master_connection_to_an_impostor_is_not_used():
    if setting("MODE") != "users":
        raise harness.Skip("needs a home of its own, for ~/.ssh/config")
    call("lh_sshd_start impostor", PORT=33002)
    folder = os.path.expanduser("~/.ssh")
    os.makedirs(folder, mode=0o700, exist_ok=True)
    with open(os.path.join(folder, "config"), "w") as file:
        file.write("Host *\nControlPath ~/.ssh/cm-%h\nUserKnownHostsFile /dev/null\nStrictHostKeyChecking no\n")
    plain = ["ssh", "-i", setting("KEY"), "-oIdentitiesOnly=yes", "-l", setting("USER"), "127.0.0.1"]
    master = subprocess.Popen([*plain, "-p", "33002", "-MN"], stderr=subprocess.DEVNULL)
    try:
        for _ in range(200):
            if os.path.exists(os.path.join(folder, "cm-127.0.0.1")):
                break
            time.sleep(0.05)
        source = small_tree()
        name, path = server_folder("true")
        with Log("impostor") as seen, Log() as true:
            lhcp(*pinned(), "-d", source, target(name))
            fails(51, "--check-sshfp", WRONG, "-d", source, target(name))
        assert_same(source, os.path.join(path, "tree"))
        assert "Starting session" not in seen.text(), seen.text()
        assert "Starting session" in true.text()
    finally:
        master.terminate()
        master.wait()
        os.unlink(os.path.join(folder, "config"))
        call("lh_sshd_stop impostor")


def test_a_host_that_known_hosts_lacks_is_not_trusted():
    line = fails(51, "-d", small_tree(), target("x"))
    assert_in("--check-sshfp", line)


def test_through_a_jump_host_data_goes_over_udp_to_the_server_itself():
    if setting("MODE") != "users":
        raise harness.Skip("needs a home of its own, for ~/.ssh/config")
    # Unlike the server it forwards; neither its own rules nor its list of keys forbid it.
    forwards = ("Match all\nDisableForwarding no\nAllowTcpForwarding yes\nAuthorizedKeysFile %s/client/id.pub" %
                setting("DIR"))
    call("lh_sshd_start jump", PORT=33004, EXTRA=forwards)
    folder = os.path.expanduser("~/.ssh")
    os.makedirs(folder, mode=0o700, exist_ok=True)
    config = os.path.join(folder, "config")
    with open(config, "w") as file:
        file.write("Host jump\nHostName 127.0.0.1\nPort 33004\nUser %s\nIdentityFile %s\nStrictHostKeyChecking no\n"
                   "UserKnownHostsFile /dev/null\nLogLevel ERROR\nHost behind\nHostName 127.0.0.1\nProxyJump jump\n" %
                   (setting("USER"), setting("KEY")))
    try:
        source = os.path.join(place("source"), "file")
        harness.write(source, harness.incompressible(8 << 20, 3))
        name, path = server_folder("jumped")
        with Log("jump") as hop, Log() as seen:
            ended = lhcp("--json", "-l", "100m", *pinned(), "-d", source, "%s@behind:%s" % (setting("USER"), name))
        assert_in("Accepted publickey", hop.text())
        assert_in("Starting session", seen.text())
        assert_same(source, os.path.join(path, "file"))
        assert harness.summary(ended.out)["bytes_udp"] > 4 << 20, ended.out
    finally:
        os.unlink(config)
        call("lh_sshd_stop jump")


# --- Logging in -----------------------------------------------------------------------------------------


def test_a_wrong_key_says_what_to_check():
    wrong = os.path.join(setting("DIR"), "client", "wrong")
    line = fails(19, "-i", wrong, *pinned(), "-d", small_tree(), target("x"), key=False)
    assert_in("-i KEY or ASPERA_SCP_PASS", line)


def test_a_password_from_the_environment_logs_in():
    if setting("MODE") != "users":
        raise harness.Skip("passwords need root: throw-away users")
    source = small_tree()
    name, path = server_folder("by-password")
    lhcp(*pinned(), "-d", source, target(name), key=False, password=PASSWORD)
    assert_same(source, os.path.join(path, "tree"))
    with Log() as seen:
        fails(19, *pinned(), "-d", source, target(name), key=False, password="wrong")
    assert seen.text().count("Failed password") == 1


# --- What we say when there is nobody --------------------------------------------------------------------


def test_a_closed_port_suggests_the_other_one():
    line = fails(12, *pinned(), "-d", small_tree(), target("x"), port=33099)
    assert_in("port 33099 of 127.0.0.1 is closed", line)
    assert_in("-P 22", line)


def test_a_silent_port_ends_within_ten_seconds():
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 33098))
        silent.listen(5)
        line = fails(12, *pinned(), "-d", small_tree(), target("x"), port=33098)
    assert_in("no answer", line)


def test_an_unknown_host_is_named():
    line = fails(12, *pinned(), "-d", small_tree(), "%s@no-such-host.invalid:x" % setting("USER"))
    assert_in("no-such-host.invalid", line)


def with_other_server(script, *args, code):
    """The last line of lhcp where `script` answers in lhserver's place."""
    folder = place("bin")
    path = os.path.join(folder, "lhserver")
    if script is not None:
        with open(path, "w") as file:
            file.write(script)
        os.chmod(path, 0o755)
    call("lh_sshd_start other", PORT=33007, BIN=folder)
    try:
        ended = lhcp("--check-sshfp", fingerprint("sha256", "ed25519", "other"), *args, port=33007, expect=None
                     if code is None else (1 if code else 0))
    finally:
        call("lh_sshd_stop other")
    if code:
        assert ended.last_line().startswith("lhcp: error %d: " % code), ended.err
    assert "\x1b" not in ended.err and "\x1b" not in ended.out
    return ended.last_line()


def test_a_missing_lhserver_says_what_to_install():
    line = with_other_server(None, "-d", small_tree(), target("x"), code=12)
    assert_in("127.0.0.1 has no lhserver: install longhaul there", line)


def test_another_program_in_its_place_is_shown_escaped():
    line = with_other_server("#!/bin/sh\nprintf 'Account \\033[31mexpired\\n' >&2\nexit 3\n", "-d", small_tree(),
                             target("x"), code=12)
    assert_in("expired", line)


def test_a_program_that_talks_nonsense_ends_with_an_error():
    line = with_other_server("#!/bin/sh\nprintf 'Hello \\033[31m'; exec yes\n", "-d", small_tree(),
                             target("x"), code=1)
    assert_in("did not answer as lhserver does", line)


def octal(data):
    return "".join("\\%03o" % byte for byte in data)


def test_a_newer_server_names_both_versions_and_whom_to_upgrade():
    with open(GOLDEN) as file:
        lines = dict(line.split() for line in file if not line.startswith("#"))
    hello = bytearray.fromhex(lines["server"])
    hello[11:13] = 2, 3 # behind magic, length and role: the range of major versions
    line = with_other_server("#!/bin/sh\nprintf '%s'\nexec cat > /dev/null\n" % octal(hello), "-d", small_tree(),
                             target("x"), code=1)
    assert_in("this side speaks 1 to 1, the other 2 to 3; upgrade longhaul on this side", line)


def test_a_refusal_by_the_server_is_told_in_its_words():
    words = b"closed for \x1b[31mmaintenance"
    body = bytes([1, 1, 1, 0]) + bytes(8) + bytes([13, 0x80, 1 + len(words), 0, 8]) + words
    hello = b"\x89LHCP\r\n\x1a" + bytes([len(body), 0]) + body
    line = with_other_server("#!/bin/sh\nprintf '%s'\nexec cat > /dev/null\n" % octal(hello), "-d", small_tree(),
                             target("x"), code=1)
    assert_in("the server refused the session: closed for ", line)
    assert_in("maintenance", line)


def test_login_noise_is_skipped():
    noise = "ForceCommand printf 'Welcome to \\033[31mthis host\\n\\211LHCP almost\\n'; exec lhserver"
    call("lh_sshd_start noisy", PORT=33008, EXTRA=noise)
    try:
        source = small_tree()
        name, path = server_folder("noisy")
        ended = lhcp("--check-sshfp", fingerprint("sha256", "ed25519", "noisy"), "-d", source, target(name), port=33008)
        assert_same(source, os.path.join(path, "tree"))
        assert "\x1b[31mthis" not in ended.err + ended.out
    finally:
        call("lh_sshd_stop noisy")


def test_a_server_that_talks_beside_the_protocol_does_not_stop_the_transfer():
    talk = "ForceCommand (head -c 30000000 /dev/zero >&2) & exec lhserver"
    call("lh_sshd_start talking", PORT=33009, EXTRA=talk)
    try:
        source = os.path.join(place("slow"), "data")
        harness.write(source, harness.incompressible(8 << 20, 9))
        name, path = server_folder("talking")
        lhcp("--udp=off", "--check-sshfp", fingerprint("sha256", "ed25519", "talking"), "-d", source,
             target(name), port=33009, seconds=20)
        assert_same(source, os.path.join(path, "data"))
    finally:
        call("lh_sshd_stop talking")


# --- Secrets -----------------------------------------------------------------------------------------------


def test_a_password_shows_nowhere_while_files_move():
    if setting("MODE") != "users":
        raise harness.Skip("passwords need root: throw-away users")
    name, path = server_folder("secret")
    source = os.path.join(place("slow"), "data")
    harness.write(source, harness.incompressible(64 << 20, 9))
    with sshd_fixture.passwords() as secret:
        process = subprocess.Popen([LHCP, "-P", "33001", "-l", "20m", *pinned(), "-d", source, target(name)],
                                   env=environment(secret), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                   stderr=subprocess.PIPE, start_new_session=True, cwd=place("cores"),
                                   preexec_fn=sshd_fixture.allow_cores)
        try:
            server = find_server(process)
            assert where_it_shows(secret.encode()) == []
            for pid in process.pid, server:
                assert secret.encode() not in sshd_fixture.core_of(pid)
            process.send_signal(6)
            process.wait(timeout=10)
            assert os.listdir(os.path.join(setting("DIR"), "work", "cores")) == []
        finally:
            process.kill()
            process.communicate()


def find_server(process):
    """The lhserver that serves `process`, once files move."""
    for _ in range(300):
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open("/proc/%s/comm" % pid) as file:
                    if file.read().strip() == "lhserver":
                        time.sleep(0.5)
                        return int(pid)
            except OSError:
                pass
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.05)
    raise AssertionError("no lhserver appeared")


if __name__ == "__main__":
    sshd_fixture.enter(BIN=os.path.join(harness.BUILD, "src/cmd"), PASSWORD=PASSWORD)
    harness.main(sys.modules[__name__], "ssh_lhcp")
