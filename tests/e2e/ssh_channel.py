#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""src/ssh against real sshds: whom we talk to, how we log in, what we say when neither works.

lhserver is a script here (fake-server); ssh_probe stands for lhcp.
"""
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time

import harness
import sshd_fixture
from harness import assert_in
from sshd_fixture import Log, call, setting, where_it_shows

PROBE = os.path.join(harness.BUILD, "tests/support/ssh_probe")
PASSWORD = "pass word%$'\"\\`"
WRONG = "SHA256:" + "A" * 43
FAKE_SERVER = os.path.join(harness.HERE, "fake-server")


def environment(password=None):
    """The environment of a probe, whose private folders then lie in a folder of the fixture."""
    folder = os.path.join(setting("DIR"), "tmp")
    os.makedirs(folder, exist_ok=True)
    env = dict(os.environ, TMPDIR=folder)
    env.pop("XDG_RUNTIME_DIR", None)
    if password is not None:
        env["ASPERA_SCP_PASS"] = password
    return env


def private_folders():
    return os.listdir(os.path.join(setting("DIR"), "tmp"))


class Ended:
    def __init__(self, process, seconds):
        self.status, self.out, self.err, self.seconds = process.returncode, process.stdout, process.stderr, seconds


def probe(*args, host="127.0.0.1", port=33001, user=None, password=None, known=False, expect=0):
    command = [PROBE, "-P", str(port), "-l", user or setting("USER")]
    if known:
        command += ["--arg", "-oUserKnownHostsFile=" + setting("KNOWN")]
    began = time.monotonic()
    process = subprocess.run([*command, *args, host], env=environment(password), stdin=subprocess.DEVNULL,
                             capture_output=True, text=True, timeout=60, start_new_session=True)
    ended = Ended(process, time.monotonic() - began)
    assert ended.status == expect, "status %d\n%s%s" % (ended.status, ended.out, ended.err)
    return ended


def with_key(*args, **kwargs):
    return probe("-i", setting("KEY"), *args, **kwargs)


def fingerprint(form, kind, name="main"):
    return call("lh_sshd_fingerprint %s %s %s" % (form, kind, name))


def greeting():
    return setting("USER") + " 0 127.0.0.1 "


def only_with_passwords():
    if setting("MODE") != "users":
        raise harness.Skip("passwords need root: throw-away users")


# --- Whom we talk to ----------------------------------------------------------------------------------------------


def test_either_form_of_every_key_type_is_accepted_whatever_the_server_offers_first():
    for kind in setting("KEYS").split():
        for form in "sha1", "sha256":
            with Log() as seen:
                ended = with_key("--pin", fingerprint(form, kind))
            assert ended.out.startswith(greeting()), ended.out
            assert seen.text().count("Connection from") <= 3, seen.text()
            assert seen.text().count("Accepted publickey") == 1


def test_one_of_several_fingerprints_is_enough():
    ended = with_key("--pin", WRONG, "--pin", fingerprint("sha1", "rsa"), "--pin", "0" * 40)
    assert ended.out.startswith(greeting())


def test_a_wrong_fingerprint_ends_before_authentication_and_names_both():
    with Log() as seen:
        ended = with_key("--pin", WRONG, expect=1)
    assert_in("error 51: Remote host is not who we expected: expected " + WRONG, ended.err)
    for kind in setting("KEYS").split():
        assert_in(fingerprint("sha256", kind), ended.err)
    assert seen.text().count("Connection from") == 3, seen.text()
    # No user name was sent, let alone a key offered.
    assert setting("USER") not in seen.text(), seen.text()
    assert "publickey" not in seen.text(), seen.text()
    assert ended.out == ""


def test_a_fingerprint_in_known_hosts_does_not_replace_the_expected_one():
    ended = with_key("--pin", WRONG, known=True, expect=1)
    assert_in("error 51", ended.err)


def test_servers_with_one_key_only():
    for number, kind in enumerate(("ed25519", "ecdsa", "rsa")):
        port = 33010 + number
        call("lh_sshd_start only_" + kind, KEYS=kind, PORT=port)
        ended = with_key("--pin", fingerprint("sha256", kind, "only_" + kind), port=port)
        assert ended.out.startswith(greeting())
        with Log("only_" + kind) as seen:
            ended = with_key("--pin", WRONG, port=port, expect=1)
        assert_in("error 51", ended.err)
        assert_in(fingerprint("sha256", kind, "only_" + kind), ended.err)
        assert seen.text().count("Connection from") <= 3
        call("lh_sshd_stop only_" + kind)


def test_a_live_master_connection_to_an_impostor_is_not_used():
    call("lh_sshd_start impostor", PORT=33002)
    home = os.path.expanduser("~" if setting("MODE") == "users" else setting("DIR"))
    os.makedirs(os.path.join(home, ".ssh"), mode=0o700, exist_ok=True)
    config = os.path.join(home, ".ssh", "config")
    with open(config, "w") as file: # one socket for the host name, whatever the port: the trap
        file.write("Host *\nControlPath %s/.ssh/cm-%%h\nControlMaster auto\nUserKnownHostsFile /dev/null\n"
                   "StrictHostKeyChecking no\n" % home)
    plain = ["ssh", "-F", config, "-i", setting("KEY"), "-oIdentitiesOnly=yes", "-l", setting("USER")]
    master = subprocess.Popen([*plain, "-p", "33002", "-MN", "127.0.0.1"], stderr=subprocess.DEVNULL)
    try:
        wait_for(lambda: os.path.exists(os.path.join(home, ".ssh", "cm-127.0.0.1")))
        # The trap works: plain ssh to port 33001 ends at the impostor.
        out = subprocess.run([*plain, "-p", "33001", "127.0.0.1", "lhserver"], stdin=subprocess.DEVNULL,
                             capture_output=True, text=True, timeout=20).stdout
        assert_in(" 33002", out)
        ended = with_key("--arg", "-F" + config, "--pin", setting("SHA256"))
        assert ended.out.rstrip().endswith(" 33001"), ended.out
        # And the impostor itself, asked for by the true host's fingerprint, is refused.
        ended = with_key("--arg", "-F" + config, "--pin", setting("SHA256"), port=33002, expect=1)
        assert_in("error 51", ended.err)
    finally:
        master.terminate()
        master.wait()
        os.unlink(config)
        call("lh_sshd_stop impostor")


def test_known_hosts_decide_without_fingerprints():
    assert with_key(known=True).out.startswith(greeting())
    ended = with_key("--arg", "-oUserKnownHostsFile=/dev/null", expect=1)
    assert_in("error 51", ended.err)
    assert_in("--check-sshfp", ended.err)


def test_a_changed_host_key_is_said():
    lines = call("lh_sshd_start other && lh_sshd_known other", PORT=33003).replace(":33003", ":33001")
    call("lh_sshd_stop other")
    path = os.path.join(setting("DIR"), "client", "stale_known_hosts")
    with open(path, "w") as file:
        file.write(lines + "\n")
    ended = with_key("--arg", "-oUserKnownHostsFile=" + path, expect=1)
    assert_in("error 51: Remote host is not who we expected", ended.err)
    assert_in("ssh-keygen -R '[127.0.0.1]:33001'", ended.err)


# --- Logging in ---------------------------------------------------------------------------------------------------


def test_a_wrong_key_is_refused_after_one_attempt():
    with Log() as seen:
        ended = probe("-i", os.path.join(setting("DIR"), "client", "wrong"), "--pin", setting("SHA256"), expect=1)
    assert_in("error 19: 127.0.0.1 refused the login", ended.err)
    assert_in("-i KEY or ASPERA_SCP_PASS", ended.err)
    assert seen.text().count("Failed publickey") <= 1, seen.text()
    assert "Failed password" not in seen.text(), seen.text()


def test_a_password_from_the_environment_logs_in():
    only_with_passwords()
    assert probe("--pin", setting("SHA256"), password=PASSWORD).out.startswith(greeting())
    assert probe(password=PASSWORD, known=True).out.startswith(greeting())


def test_a_wrong_password_is_tried_once():
    only_with_passwords()
    with Log() as seen:
        ended = probe("--pin", setting("SHA256"), password="wrong", expect=1)
    assert_in("error 19", ended.err)
    assert seen.text().count("Failed password") == 1, seen.text()


def test_a_password_never_answers_a_host_key_question():
    ended = probe("--arg", "-oUserKnownHostsFile=/dev/null", "--arg", "-oStrictHostKeyChecking=ask",
                  password="yes", expect=1)
    assert_in("error 51", ended.err)


def test_the_same_variable_opens_an_encrypted_key_and_is_not_sent_as_password():
    locked = os.path.join(setting("DIR"), "client", "locked")
    ended = probe("-i", locked, "--pin", setting("SHA256"), password="lh passphrase")
    assert ended.out.startswith(greeting())
    with Log() as seen:
        probe("-i", locked, "--pin", setting("SHA256"), password="no passphrase", expect=1)
    assert "Failed password" not in seen.text(), seen.text()


def test_a_jump_host_does_not_get_the_password():
    only_with_passwords()
    call("lh_sshd_start jump", PORT=33004)
    try:
        with Log("jump") as seen:
            ended = probe("--pin", setting("SHA256"), "--arg",
                          "-oProxyCommand=ssh -oStrictHostKeyChecking=no -oUserKnownHostsFile=/dev/null -p 33004 -l %s "
                          "-W %%h:%%p 127.0.0.1" % setting("USER"), password=PASSWORD, expect=1)
        assert "Accepted password" not in seen.text(), seen.text()
        assert_in("Connection from", seen.text())
        assert_in("Permission denied", ended.err)
    finally:
        call("lh_sshd_stop jump")


# --- What we say when there is nobody -----------------------------------------------------------------------------


def test_a_closed_port_suggests_the_other_one():
    ended = with_key(port=33099, expect=1)
    assert_in("error 12: port 33099 of 127.0.0.1 is closed", ended.err)
    assert_in("Try -P 22", ended.err)
    assert ended.seconds < 10


def test_a_silent_port_ends_within_ten_seconds():
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 33098))
        silent.listen(5) # the kernel accepts, nobody speaks
        ended = with_key(port=33098, expect=1)
    assert_in("error 12: no answer from port 33098", ended.err)
    assert ended.seconds < 10, ended.seconds


def test_an_unknown_host_is_said():
    ended = with_key(host="no-such-host.invalid", expect=1)
    assert_in("error 12", ended.err)
    assert_in("no-such-host.invalid", ended.err)
    assert ended.seconds < 10, ended.seconds


def test_a_missing_lhserver_says_what_to_install():
    call("lh_sshd_start bare", PORT=33005, BIN="/nonexistent")
    try:
        ended = with_key("--pin", fingerprint("sha256", "ed25519", "bare"), port=33005, expect=1)
    finally:
        call("lh_sshd_stop bare")
    assert_in("error 12: 127.0.0.1 has no lhserver: install longhaul there", ended.err)


def test_the_server_is_asked_for_one_constant_word():
    call("lh_sshd_start echo", PORT=33006, EXTRA='ForceCommand echo "[$SSH_ORIGINAL_COMMAND]"')
    try:
        ended = with_key("--pin", fingerprint("sha256", "ed25519", "echo"), port=33006)
    finally:
        call("lh_sshd_stop echo")
    assert ended.out == "[lhserver]\n", ended.out


def test_hostile_names_of_hosts_and_users_are_refused():
    for host, user in (("-oProxyCommand=touch owned", "u"), ("a;touch owned", "u"), ("$(touch owned)", "u"),
                       ("127.0.0.1", "-oProxyCommand=x"), ("127.0.0.1", "a`touch owned`"), ("127.0.0.1", "a\nb")):
        assert_in("error 8", probe(host=host, user=user, expect=1).err)
    assert not os.path.exists("owned")


def test_nothing_is_left_behind():
    with_key("--pin", setting("SHA256"), password="unused")
    with_key("--pin", WRONG, expect=1)
    assert private_folders() == []


# --- Secrets ----------------------------------------------------------------------------------------------------


def wait_for(condition, seconds=10):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


def test_the_searches_below_do_find_a_secret_that_is_there():
    secret = "lh-" + os.urandom(12).hex()
    folder = tempfile.mkdtemp(dir=setting("DIR"))
    careless = subprocess.Popen(["sleep", "60"], env={"LH_ANY": secret, "PATH": os.environ["PATH"]}, cwd=folder,
                                preexec_fn=sshd_fixture.allow_cores)
    try:
        time.sleep(0.2)
        assert where_it_shows(secret.encode()) == ["/proc/%d/environ" % careless.pid]
        assert secret.encode() in sshd_fixture.core_of(careless.pid)
        careless.send_signal(6)
        careless.wait(timeout=10)
        with open("/proc/sys/kernel/core_pattern") as file:
            if not file.read().startswith(("|", "/")): # else the kernel puts it where other users' are
                assert any(name.startswith("core") for name in os.listdir(folder)), os.listdir(folder)
    finally:
        careless.kill()
        careless.wait()


def test_a_password_shows_nowhere_and_in_no_core():
    only_with_passwords()
    folder = tempfile.mkdtemp(dir=setting("DIR"))
    with sshd_fixture.passwords() as secret:
        process = subprocess.Popen([PROBE, "--hold", "-P", "33001", "-l", setting("USER"), "--pin", setting("SHA256"),
                                    "127.0.0.1"], env=environment(secret), stdin=subprocess.PIPE,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=folder,
                                   preexec_fn=sshd_fixture.allow_cores, start_new_session=True)
        try:
            line = process.stdout.readline()
            assert line.startswith(greeting().encode()), line
            assert where_it_shows(secret.encode()) == []
            # Somebody with all rights asks the debugger for a core: the page with the secret is left out.
            assert secret.encode() not in sshd_fixture.core_of(process.pid)
            # And a crash leaves none at all.
            process.send_signal(6)
            process.wait(timeout=10)
            assert process.returncode == -6
            assert os.listdir(folder) == []
            # Nor does it leave its private folder, which served the login only.
            assert private_folders() == []
        finally:
            process.kill()
            process.wait()


def test_many_logins_at_once():
    results = []
    threads = [threading.Thread(target=lambda: results.append(with_key("--pin", fingerprint("sha1", "rsa")).out))
               for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 10 and all(out.startswith(greeting()) for out in results)


if __name__ == "__main__":
    sshd_fixture.enter(BIN=FAKE_SERVER, PASSWORD=PASSWORD)
    harness.main(sys.modules[__name__], "ssh_channel")
