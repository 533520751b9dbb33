# SPDX-License-Identifier: Apache-2.0
"""Ways to lock an administrator out with `lhctl sshd apply`, each tried in a world of its own with a real sshd.

Right is one of two: the command refuses (status 3) with a reason and nothing has changed; or the administrator can log in
again, and the old files are back, within the timer and ten seconds. Each scenario says which it is to be. Those that need
what a small world cannot have (systemd, ssh.socket, SELinux, a reboot, a clock that jumps) use scripts in the place of
the programs and are counted apart. `make test` tries a sample (LH_TEST_SEED), LH_TEST_LONG=1 all of them.
"""
import contextlib
import os
import random
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
import world as W  # noqa: E402

h = W.h
LONG = os.environ.get("LH_TEST_LONG") == "1"
TIMER = int(os.environ.get("LH_TEST_TIMER", "12"))  # seconds
SAMPLE = 44  # scenarios in `make test`; all of them in the long run
HEAL = TIMER + 10
ANN_KEYS = "/home/ann/.ssh/authorized_keys"
SCENARIOS = []


def scenario(function):
    SCENARIOS.append((function.__name__.replace("_", " "), "real", function))
    return function


def stood_in(what):
    def take(function):
        SCENARIOS.append((function.__name__.replace("_", " "), what, function))
        return function
    return take


# --- What all share ---------------------------------------------------------------------------------------------

def serve(w, config=W.DEBIAN, login=True, words=()):
    """Writes the configuration and starts sshd; the administrator logs in once, as one would have."""
    W.write(W.CONFIG, config)
    w.start_sshd(*words)
    if login:
        assert w.admin_port() == 22, "the administrator cannot log in to begin with"


def quiet(w, before, ports, pid):
    """Nothing has changed: files, sockets, the server itself; and no process of ours is left."""
    W.assert_same(before, w.snapshot(), "files have changed")
    assert w.listens() == ports, w.listens()
    assert w.sshd_pid() == pid or "PidFile" in W.read(W.CONFIG), "another sshd runs"
    assert w.processes("lhctl") == [], "a process of ours is left"


def refused(w, *words, why, **more):
    before, ports, pid = w.snapshot(), w.listens(), w.sshd_pid()
    result = w.apply(*words, timer=TIMER, **more)
    assert result.status == 3, "not refused: %s" % result
    assert re.search(why, result.out + result.err, re.S | re.I), "no word of %r: %s" % (why, result)
    quiet(w, before, ports, pid)
    return "refused"


def healed(w, before, began, ports=frozenset({22}), login=True, **how):
    """The old state is back, and the administrator in, at most the timer and ten seconds after `began`."""
    left = began + HEAL - time.monotonic()
    w.wait(lambda: W.differences(before, w.snapshot()) == "" and w.listens() == ports, left,
           lambda: "the old state is not back: ports %s\n%s\n%s" % (w.listens(), W.differences(before, w.snapshot()),
                                                                   state(w)))
    w.wait(lambda: not login or w.admin_port(**how), max(began + HEAL - time.monotonic(), 1),
           "the administrator is locked out")
    w.wait(lambda: not w.processes("lhctl"), 5, "a process of ours is left")
    keys = [path for path in w.snapshot() if path not in before]
    assert keys == [], keys
    return "login possible again" if login else "the old state is back"


def state(w):
    """What our folder holds, for a failure's report."""
    done = subprocess.run("ls -la %s; head -c 3000 %s/record; tail -5 %s/log; tail -20 /var/log/auth.log; ps ax" % (
        (W.STATE,) * 3), shell=True, capture_output=True, text=True, check=False)
    return done.stdout


def opened(w, *words, timer=TIMER, **more):
    """apply has opened the new port. -> (snapshot before, when the timer began at the latest)"""
    before = w.snapshot()
    result = w.apply(*words, timer=timer, **more)
    assert result.status == 0, "not applied: %s\n%s" % (result, state(w))
    return before, time.monotonic()


def restored(w, *words, why="", ports=frozenset({22}), **more):
    """Something fails on the way: either refused, or all is put back by the command itself or by its timer. Where the
    administrator could not log in to begin with, the old state is all that there is to come back to."""
    before, pid, could = w.snapshot(), w.sshd_pid(), w.admin_port()
    result = w.apply(*words, timer=TIMER, **more)
    began = time.monotonic()
    assert result.status in (3, 70), "neither refused nor restored: %s\n%s" % (result, state(w))
    assert re.search(why, result.out + result.err, re.S | re.I), "no word of %r: %s" % (why, result)
    if result.status == 3:
        quiet(w, before, set(ports), pid)
        return "refused"
    return healed(w, before, began, ports, login=bool(could))


# --- Who looks after the server -----------------------------------------------------------------------------------

@scenario
def nobody_has_sudo(w):
    W.write("/etc/group", W.GROUP.replace("sudo:x:27:ann", "sudo:x:27:"))
    serve(w, login=False)
    return refused(w, why="administrator")


@scenario
def administrator_in_wheel_without_a_password(w):
    W.write("/etc/group", W.GROUP.replace("sudo:x:27:ann", "sudo:x:27:").replace("wheel:x:28:", "wheel:x:28:ann"))
    W.write("/etc/shadow", re.sub(r"^ann:[^:]*", "ann:*", W.read("/etc/shadow"), flags=re.M), 0o640)
    serve(w, login=False)
    return refused(w, why="sudo|administrator")


@scenario
def sudo_refuses_its_own_files(w):
    os.chown("/etc/sudoers", 1001, 1001)
    serve(w, login=False)
    return refused(w, why="sudo")


@scenario
def sudo_is_not_installed(w):
    W.mount("/dev/null", "/usr/bin/sudo", None, W.MS_BIND)
    serve(w, login=False)
    return refused(w, why="sudo")


@scenario
def pam_refuses_sudo(w):
    W.write("/etc/pam.d/sudo", "auth required pam_deny.so\naccount required pam_deny.so\nsession required pam_deny.so\n")
    serve(w, login=False)
    return refused(w, why="sudo")


@scenario
def the_only_administrator_is_root(w):
    W.write("/etc/group", W.GROUP.replace("sudo:x:27:ann", "sudo:x:27:"))
    os.mkdir("/root/.ssh", 0o700)
    W.write("/root/.ssh/authorized_keys", W.read("/run/keys/ann.pub"), 0o600)
    serve(w, "PermitRootLogin yes\n" + W.DEBIAN, login=False)
    assert w.login("root", 22, key="ann").status == 0
    return refused(w, why="administrator")


@scenario
def the_administrator_is_a_transfer_user(w):
    serve(w)
    return refused(w, "--transfer-user", "ann", why="administrator")


@scenario
def the_administrator_has_the_shell_of_transfer_users(w):
    W.write("/etc/passwd", W.PASSWD.replace("/home/ann:/bin/bash", "/home/ann:/usr/local/bin/aspshell"))
    serve(w, login=False)
    return refused(w, why="administrator")


@scenario
def the_administrator_named_does_not_exist(w):
    serve(w)
    return refused(w, "--admin", "carol", why="carol")


# --- The administrator's key --------------------------------------------------------------------------------------

@scenario
def no_key_but_a_password(w):
    os.unlink(ANN_KEYS)
    serve(w, login=False)
    return refused(w, why="key")


@scenario
def key_file_that_others_can_write(w):
    os.chmod(ANN_KEYS, 0o666)
    serve(w, login=False)
    return refused(w, why="authorized_keys|write")


@scenario
def key_file_of_another_user(w):
    os.chown(ANN_KEYS, 1001, 1001)
    serve(w, login=False)
    return refused(w, why="authorized_keys|owner|belongs")


@scenario
def home_that_the_group_can_write(w):
    os.chmod("/home/ann", 0o775)
    serve(w, login=False)
    return refused(w, why="/home/ann|write")


@scenario
def home_that_the_group_can_write_and_strict_modes_off_until_now(w):
    os.chmod("/home/ann", 0o775)
    serve(w, "StrictModes no\n" + W.DEBIAN)  # today the administrator gets in; the profile ends that
    return refused(w, why="/home/ann|write")


@scenario
def rsa_key_that_is_too_short(w):
    W.write(ANN_KEYS, W.read("/run/keys/short.pub"), 0o600, 1000)
    serve(w, login=False)
    assert w.admin_port(key="short") == 22
    return refused(w, why="key")


@scenario
def dss_key(w):
    if not os.path.exists("/run/keys/dss.pub"):
        raise h.Skip("this release knows no such keys")
    W.write(ANN_KEYS, W.read("/run/keys/dss.pub"), 0o600, 1000)
    serve(w, "PubkeyAcceptedAlgorithms +ssh-dss\n" + W.DEBIAN, login=False)
    return refused(w, why="key")


@scenario
def client_that_signs_with_sha1_only(w):
    W.write(ANN_KEYS, W.read("/run/keys/rsa.pub"), 0o600, 1000)
    serve(w, "PubkeyAcceptedAlgorithms +ssh-rsa\n" + W.DEBIAN, login=False)
    old = {"key": "rsa", "options": ["-o", "PubkeyAcceptedAlgorithms=ssh-rsa"]}
    assert w.admin_port(**old) == 22
    before, began = opened(w)
    assert w.confirm(key="rsa", options=old["options"]).status != 0
    return healed(w, before, began, **old)


@scenario
def keys_only_from_a_command_that_fails(w):
    os.unlink(ANN_KEYS)
    serve(w, "AuthorizedKeysCommand /bin/false\nAuthorizedKeysCommandUser nobody\n" + W.DEBIAN, login=False)
    return refused(w, why="key")


@scenario
def key_bound_to_another_address(w):
    W.write(ANN_KEYS, 'from="198.51.100.0/24" ' + W.read("/run/keys/ann.pub"), 0o600, 1000)
    serve(w, login=False)
    return refused(w, why="key|address")


@scenario
def key_that_has_expired(w):
    W.write(ANN_KEYS, 'expiry-time="20200101" ' + W.read("/run/keys/ann.pub"), 0o600, 1000)
    serve(w, login=False)
    return refused(w, why="key|expired")


@scenario
def key_that_expires_within_the_hour(w):
    soon = time.strftime("%Y%m%d%H%M", time.localtime(time.time() + 600))
    W.write(ANN_KEYS, 'expiry-time="%s" ' % soon + W.read("/run/keys/ann.pub"), 0o600, 1000)
    serve(w)
    return refused(w, why="key|expire")


@scenario
def key_with_a_forced_command(w):
    W.write(ANN_KEYS, 'command="/bin/true" ' + W.read("/run/keys/ann.pub"), 0o600, 1000)
    serve(w, login=False)
    return refused(w, why="key|command")


@scenario
def certificate_that_has_expired(w):
    os.unlink(ANN_KEYS)
    subprocess.run(["ssh-keygen", "-q", "-s", "/run/keys/ca", "-I", "ann", "-n", "ann", "-V", "20200101:20200102",
                    "/run/keys/ann.pub"], check=True, stderr=subprocess.DEVNULL)
    W.write("/etc/ssh/ca.pub", W.read("/run/keys/ca.pub"))
    serve(w, "TrustedUserCAKeys /etc/ssh/ca.pub\n" + W.DEBIAN, login=False)
    assert w.admin_port() == 0
    return refused(w, why="key|certificate")


@scenario
def key_file_that_cannot_be_read(w):
    os.unlink(ANN_KEYS)
    os.mkdir(ANN_KEYS)
    serve(w, login=False)
    return refused(w, why="key")


# --- The administrator's account ------------------------------------------------------------------------------------

@scenario
def account_that_has_expired(w):
    W.write("/etc/shadow", re.sub(r"^(ann:[^:]*:\d*:\d*:\d*:\d*::)[^:]*:", r"\g<1>100:", W.read("/etc/shadow"), flags=re.M), 0o640)
    serve(w, login=False)
    assert w.admin_port() == 0
    return refused(w, why="expired")


@scenario
def locked_account_without_pam(w):
    W.write("/etc/shadow", re.sub(r"^ann:[^:]*", "ann:!", W.read("/etc/shadow"), flags=re.M), 0o640)
    serve(w, W.DEBIAN.replace("UsePAM yes", "UsePAM no"), login=False)
    assert w.admin_port() == 0
    return restored(w, why="locked|Permission denied")


@scenario
def shell_nologin(w):
    W.write("/etc/passwd", W.PASSWD.replace("/home/ann:/bin/bash", "/home/ann:/usr/sbin/nologin"))
    serve(w, login=False)
    return refused(w, why="administrator|shell")


@scenario
def shell_that_pam_does_not_know(w):
    W.write("/etc/shells", "/bin/sh\n")
    W.write("/etc/pam.d/sshd", "account required pam_shells.so\n" + W.read("/etc/pam.d/sshd"))
    serve(w, login=False)
    assert w.admin_port() == 0
    return restored(w, why="log in|shell")


@scenario
def shell_that_does_not_exist(w):
    W.write("/etc/passwd", W.PASSWD.replace("/home/ann:/bin/bash", "/home/ann:/opt/none/bash"))
    serve(w, login=False)
    assert w.admin_port() == 0
    return restored(w, why="log in|shell")


@scenario
def pam_refuses_every_login(w):
    W.write("/etc/pam.d/sshd", "account required pam_deny.so\n" + W.read("/etc/pam.d/sshd"))
    serve(w, login=False)
    assert w.admin_port() == 0
    return restored(w, why="log in")


@scenario
def pam_refuses_the_session(w):
    W.write("/etc/pam.d/sshd", "session required pam_deny.so\n" + W.read("/etc/pam.d/sshd"))
    serve(w, login=False)
    return restored(w, why="log in")


@scenario
def nologin_file(w):
    W.write("/etc/nologin", "away\n")
    serve(w, login=False)
    assert w.admin_port() == 0
    return refused(w, why="nologin")


# --- Lists and blocks -----------------------------------------------------------------------------------------------

@scenario
def administrator_not_in_allow_users(w):
    serve(w)
    return refused(w, "--allow-users", "xfer1", why="AllowUsers")


@scenario
def administrator_not_in_allow_groups(w):
    serve(w)
    return refused(w, "--allow-groups", "transfer", why="AllowGroups")


@scenario
def allow_users_and_allow_groups_together(w):
    serve(w)
    return refused(w, "--allow-users", "ann", "--allow-groups", "transfer", why="AllowGroups")


@scenario
def administrator_in_deny_users(w):
    serve(w, "DenyUsers ann\n" + W.DEBIAN, login=False)
    return refused(w, why="DenyUsers")


@scenario
def administrator_in_deny_groups(w):
    serve(w, "DenyGroups sudo\n" + W.DEBIAN, login=False)
    return refused(w, why="DenyGroups")


@scenario
def administrator_denied_from_his_address_on_the_new_port_only(w):
    serve(w, W.DEBIAN + "Match LocalPort 33001 Address 192.0.2.0/24\n\tDenyUsers ann\n")
    # Loopback sees nothing of it: nobody can confirm.
    before = w.snapshot()
    result = w.apply(timer=TIMER)
    if result.status == 3:
        return "refused"
    assert result.status == 0, result
    began = time.monotonic()
    assert w.confirm().status != 0
    return healed(w, before, began)


@scenario
def block_that_ends_keys_on_the_new_port(w):
    serve(w, W.DEBIAN + "Match LocalPort 33001\n\tAuthenticationMethods password\n")
    return restored(w, why="log in|AuthenticationMethods|password")


@scenario
def key_and_password_together_are_asked_for(w):
    serve(w, "AuthenticationMethods publickey,password\n" + W.DEBIAN, login=False)
    return restored(w, why="AuthenticationMethods|sshd|password")


@scenario
def administrator_with_a_forced_command(w):
    serve(w, W.DEBIAN + "Match User ann\n\tForceCommand /bin/true\n", login=False)
    return restored(w, why="ForceCommand|command|log in")


@scenario
def administrator_in_an_empty_root(w):
    os.mkdir("/var/empty/jail", 0o755)
    serve(w, W.DEBIAN + "Match User ann\n\tChrootDirectory /var/empty/jail\n", login=False)
    return restored(w, why="Chroot|log in")


@scenario
def no_sessions_at_all(w):
    serve(w, "MaxSessions 0\n" + W.DEBIAN, login=False)
    return restored(w, why="log in|MaxSessions|session")


# --- The port ---------------------------------------------------------------------------------------------------

def taken(w, family, address):
    holder = socket.socket(family)
    holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    holder.bind((address, W.PORT))
    return holder


@scenario
def port_held_by_another_program(w):
    serve(w)
    with taken(w, socket.AF_INET, "0.0.0.0") as holder:
        holder.listen()
        return refused(w, why="33001")


@scenario
def port_held_on_one_address(w):
    serve(w)
    with taken(w, socket.AF_INET, W.SERVER) as holder:
        holder.listen()
        return refused(w, why="33001")


@scenario
def port_held_by_an_outgoing_connection(w):
    serve(w)
    with socket.socket() as holder:
        holder.bind((W.SERVER, W.PORT))
        holder.connect((W.SERVER, 22))
        return refused(w, why="33001")


@scenario
def port_that_is_not_reserved(w):
    W.reserve("")
    serve(w)
    return refused(w, why="reserved")


@scenario
def port_held_by_a_second_sshd(w):
    W.write("/run/second", "Port 33001\nPidFile /run/second.pid\nHostKey /etc/ssh/ssh_host_ed25519_key\n")
    serve(w)
    subprocess.run([W.SSHD, "-f", "/run/second"], check=True)
    w.wait(lambda: W.PORT in w.listens(), 5, "the second sshd does not start")
    return refused(w, why="33001")


@scenario
def port_taken_while_the_command_works(w):
    """Between the look and the reload somebody takes the port."""
    serve(w)
    before = w.snapshot()
    child = os.fork()
    if child == 0:
        while not os.path.exists(W.STATE):
            time.sleep(0.001)
        holder = taken(w, socket.AF_INET, "0.0.0.0")
        holder.listen()
        time.sleep(60)
        os._exit(0)
    result = w.apply(timer=TIMER)
    began = time.monotonic()
    assert result.status in (3, 70), result
    os.kill(child, signal.SIGKILL)
    return healed(w, before, began) if result.status == 70 else "refused"


@scenario
def port_on_the_command_line(w):
    serve(w, words=("-f", W.CONFIG, "-p", "22"))
    return refused(w, why="command line|-p")


@scenario
def option_on_the_command_line(w):
    serve(w, words=("-f", W.CONFIG, "-o", "Port=22"))
    return refused(w, why="command line|-o")


@scenario
def listen_address_with_a_port_outside_of_etc_ssh(w):
    W.write("/run/site/port.conf", "ListenAddress 0.0.0.0:22\n")
    serve(w, "Include /run/site/*.conf\n" + W.DEBIAN)
    return refused(w, why="port|ListenAddress|wins")


@scenario
def listen_address_that_is_not_up(w):
    serve(w)
    W.write(W.CONFIG, "ListenAddress 192.0.2.77\n" + W.DEBIAN)  # not read yet: sshd would end on it
    return restored(w, why="")


@scenario
def listen_address_that_was_up(w):
    subprocess.run(["ip", "addr", "add", "192.0.2.77/24", "dev", "lo"], check=True)
    serve(w, "ListenAddress 192.0.2.77\n" + W.DEBIAN, login=False)
    assert w.login("ann", 22, server="192.0.2.77").status == 0
    subprocess.run(["ip", "addr", "del", "192.0.2.77/24", "dev", "lo"], check=True)
    result = w.apply(timer=TIMER)
    assert result.status in (3, 70), result
    subprocess.run(["ip", "addr", "add", "192.0.2.77/24", "dev", "lo"], check=True)
    w.wait(lambda: w.login("ann", 22, server="192.0.2.77").status == 0, HEAL, "locked out")
    return "login possible again"


@scenario
def files_that_the_running_sshd_has_not_read(w):
    serve(w)
    assert w.admin_port(server=W.SERVER6) == 22
    time.sleep(1.1)  # the times of processes are counted in whole seconds
    W.write(W.CONFIG, "AddressFamily inet\n" + W.DEBIAN)
    before = w.snapshot()
    result = w.apply(timer=TIMER)
    if result.status == 3:
        assert w.admin_port(server=W.SERVER6) == 22
        return "refused"
    # Its files do not say what it does: reading them again would end IPv6 for good, by rollback too.
    raise AssertionError("not refused, and IPv6 is %s: %s" % (w.admin_port(server=W.SERVER6), W.differences(before, w.snapshot())))


@scenario
def administrator_who_has_ipv6_only(w):
    serve(w)
    before, began = opened(w)
    assert w.admin_port(server=W.SERVER6)  # both families, both ports
    return healed(w, before, began, server=W.SERVER6)


# --- Between client and server ------------------------------------------------------------------------------------

def nft(rules):
    if shutil.which("nft") is None:
        raise h.Skip("nft is not installed")
    subprocess.run(["nft", "-f", "-"], input=rules, text=True, check=True)


@scenario
def firewall_that_lets_port_22_through_only(w):
    nft("table inet filter { chain input { type filter hook input priority 0; policy drop; iif lo ip saddr 127.0.0.1 accept;"
        " tcp dport 22 accept; ct state established,related accept; icmpv6 type != 0 accept; }; }")
    serve(w)
    before, pid = w.snapshot(), w.sshd_pid()
    result = w.apply(timer=TIMER)
    began = time.monotonic()
    if result.status == 3:
        quiet(w, before, {22}, pid)
        return "refused"
    assert result.status == 0 and w.confirm(seconds=8).status != 0, result
    return healed(w, before, began)


@scenario
def firewall_that_drops_the_new_port(w):
    nft("table inet filter { chain input { type filter hook input priority 0; ip saddr 192.0.2.0/24 tcp dport 33001 drop; }; }")
    serve(w)
    before, began = opened(w)
    assert w.confirm(seconds=2).status != 0
    return healed(w, before, began)


@scenario
def nobody_confirms(w):
    """A firewall elsewhere, a cable, a client that is gone: no login on the new port."""
    serve(w)
    before, began = opened(w)
    return healed(w, before, began)


def only(option, value, host=""):
    """A client that knows nothing else than what the profile drops."""
    def attempt(w):
        old = ["-o", "%s=%s" % (option, value), "-o", "Ciphers=aes128-cbc" if option == "Ciphers" else "Ciphers=aes128-ctr"]
        serve(w, host + W.DEBIAN, login=False)
        assert w.admin_port(options=old) == 22, "cannot log in to begin with"
        before = w.snapshot()
        result = w.apply(timer=TIMER)
        began = time.monotonic()
        if result.status == 3:
            return "refused"
        assert result.status == 0, result
        assert w.confirm(options=old).status != 0
        return healed(w, before, began, options=old)
    return attempt


for name, attempt in (("key exchange", only("KexAlgorithms", "diffie-hellman-group14-sha1", "KexAlgorithms +diffie-hellman-group14-sha1\n")),
                      ("cipher", only("Ciphers", "aes128-cbc", "Ciphers +aes128-cbc\n")),
                      ("MAC", only("MACs", "hmac-sha1")),
                      ("host key", only("HostKeyAlgorithms", "rsa-sha2-256"))):
    SCENARIOS.append(("client without any %s of the profile" % name, "real", attempt))


@scenario
def strict_profile_and_an_old_client(w):
    old = ["-o", "KexAlgorithms=ecdh-sha2-nistp256"]
    serve(w)
    before, began = opened(w, "--strict")
    assert w.confirm(options=old).status != 0
    return healed(w, before, began, options=old)


# --- Files and disks ------------------------------------------------------------------------------------------------

@scenario
def host_key_that_is_missing(w):
    for name in "ed25519", "ecdsa", "rsa":
        os.unlink("/etc/ssh/ssh_host_%s_key.pub" % name)
    serve(w)
    for name in "ed25519", "ecdsa", "rsa":
        os.unlink("/etc/ssh/ssh_host_%s_key" % name)  # sshd reads them anew for each connection: nobody gets in already
    before, pid = w.snapshot(), w.sshd_pid()
    result = w.apply(timer=TIMER)
    assert result.status in (3, 70), result
    quiet(w, before, {22}, pid)
    return "refused"


@scenario
def host_key_of_the_profile_is_missing(w):
    for name in "ssh_host_rsa_key", "ssh_host_rsa_key.pub":
        os.unlink("/etc/ssh/" + name)
    serve(w)
    before, pid = w.snapshot(), w.sshd_pid()
    result = w.apply("aspera-3", timer=TIMER)
    assert result.status in (3, 70) and "host key" in result.out + result.err, result
    quiet(w, before, {22}, pid)
    return "refused"


@scenario
def host_key_that_does_not_fit_its_public_half(w):
    """What sshd -t accepts and what clients then see need not be the same."""
    serve(w)
    shutil.copy("/etc/ssh/ssh_host_rsa_key.pub", "/etc/ssh/ssh_host_ed25519_key.pub")
    before = w.snapshot()
    result = w.apply(timer=TIMER)
    assert result.status in (0, 3, 70), result
    return "refused" if result.status == 3 else healed(w, before, time.monotonic())


@scenario
def include_of_a_file_that_is_missing(w):
    serve(w, "Include /etc/ssh/none.conf\n" + W.DEBIAN)
    before, began = opened(w)
    return healed(w, before, began)


@scenario
def include_of_a_folder(w):
    os.mkdir("/etc/ssh/sshd_config.d/10-folder.conf")
    serve(w, login=False) if subprocess.run([W.SSHD, "-t"], check=False).returncode == 0 else serve(w, "UsePAM yes\n")
    W.write(W.CONFIG, W.DEBIAN)
    before, pid = w.snapshot(), w.sshd_pid()
    result = w.apply(timer=TIMER)
    if result.status == 0:
        return healed(w, before, time.monotonic())
    quiet(w, before, {22}, pid)
    return "refused"


@scenario
def drop_in_that_sets_everything_otherwise(w):
    W.write("/etc/ssh/sshd_config.d/50-cloud-init.conf", "PasswordAuthentication yes\nPort 22\nPermitRootLogin yes\n"
            "ListenAddress 0.0.0.0\n")
    serve(w)
    before, began = opened(w)
    return healed(w, before, began)


@scenario
def configuration_that_sshd_refuses(w):
    serve(w)
    W.write(W.CONFIG, W.DEBIAN + "Match Group root\nCiphers aes128-ctr\n")
    return refused(w, why="refuses|does not take")


@scenario
def configuration_on_a_read_only_disk(w):
    serve(w)
    W.mount("/etc/ssh", "/etc/ssh", None, W.MS_BIND)
    W.mount(None, "/etc/ssh", None, W.MS_BIND | W.MS_REMOUNT | W.MS_RDONLY)
    return restored(w, why="read-only")


@scenario
def state_on_a_read_only_disk(w):
    serve(w)
    W.mount("/var", "/var", None, W.MS_BIND)
    W.mount(None, "/var", None, W.MS_BIND | W.MS_REMOUNT | W.MS_RDONLY)
    return restored(w, why="read-only")


def small_disk(folder, kib):
    """Puts the folder on a disk of its own; returns what fills it up."""
    shutil.copytree(folder, "/run/copy", symlinks=True)
    facts = os.stat(folder)
    W.mount("world", folder, "tmpfs", 0, "mode=%o,size=%dk" % (facts.st_mode & 0o7777, kib))
    subprocess.run(["cp", "-a", "/run/copy/.", folder], check=True)
    shutil.rmtree("/run/copy")


def fill(folder):
    with open(folder + "/filler", "wb", buffering=0) as file:
        try:
            while True:
                file.write(b"x" * 4096)
        except OSError:
            pass


@scenario
def configuration_on_a_full_disk(w):
    small_disk("/etc/ssh", 1200)
    serve(w)
    fill("/etc/ssh")
    return restored(w, why="space")


@scenario
def state_on_a_full_disk(w):
    os.makedirs(W.STATE)
    small_disk("/var/lib/longhaul", 64)
    serve(w)
    fill("/var/lib/longhaul")
    return restored(w, why="space")


@scenario
def disk_that_is_full_when_the_timer_ends(w):
    os.makedirs(W.STATE)
    small_disk("/var/lib/longhaul", 1200)
    small_disk("/etc/ssh", 1200)
    serve(w)
    before, began = opened(w)
    fill("/etc/ssh")
    fill("/var/lib/longhaul")
    before["/etc/ssh/filler"] = W.describe("/etc/ssh/filler")
    return healed(w, before, began)


@scenario
def files_changed_by_hand_before_the_timer_ends(w):
    serve(w)
    before, began = opened(w)
    W.write(W.CONFIG, W.read(W.CONFIG) + "# somebody was here\n")
    w.wait(lambda: w.listens() == {22} and w.admin_port() == 22 or time.monotonic() > began + TIMER + 2 and w.admin_port(),
           HEAL, lambda: "locked out: %s" % state(w))
    return "login possible again"


# --- The command and the server end early -------------------------------------------------------------------------

@scenario
def the_command_is_killed_while_it_proves_the_port(w):
    serve(w)
    before = w.snapshot()
    with subprocess.Popen([W.LHCTL, "sshd", "apply", "--timer", str(TIMER), "--yes"], stdin=subprocess.DEVNULL,
                          stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as command:
        w.wait(lambda: W.PORT in w.listens(), 60, "the port does not open")
        command.kill()
    return healed(w, before, time.monotonic())


@scenario
def the_session_that_runs_the_command_is_cut(w):
    serve(w)
    before = w.snapshot()
    command = "sudo -n %s sshd apply --timer %d --yes" % (W.LHCTL, TIMER)
    with subprocess.Popen(["ssh", "-F", "none", "-tt", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null",
                           "-i", "/run/keys/ann", "-b", W.CLIENT, "ann@" + W.SERVER, command], stdin=subprocess.DEVNULL,
                          stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as client:
        w.wait(lambda: W.PORT in w.listens(), 60, "the port does not open")
        client.kill()
    return healed(w, before, time.monotonic())


@scenario
def all_sessions_are_killed_with_their_processes(w):
    """As systemd does with KillUserProcesses, or somebody with `pkill -u` and `pkill -g`."""
    serve(w)
    before = w.snapshot()
    with subprocess.Popen([W.LHCTL, "sshd", "apply", "--timer", str(TIMER), "--yes"], stdin=subprocess.DEVNULL,
                          stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True) as command:
        w.wait(lambda: W.PORT in w.listens(), 60, "the port does not open")
        os.killpg(command.pid, signal.SIGKILL)
    return healed(w, before, time.monotonic())


@scenario
def sshd_ends_when_it_is_to_read_its_files(w):
    """Started by a relative name it cannot start itself anew."""
    W.write(W.CONFIG, W.DEBIAN)
    subprocess.run(["./sshd", "-r", "-f", W.CONFIG], cwd=os.path.dirname(W.SSHD), check=False)
    if not os.path.exists("/run/sshd.pid"):
        serve(w)
    w.wait(w.admin_port, 5, "cannot log in to begin with")
    before = w.snapshot()
    result = w.apply(timer=TIMER)
    if result.status == 3:
        assert w.admin_port() == 22
        return "refused"
    return healed(w, before, time.monotonic())


@scenario
def sshd_is_killed_before_the_timer_ends(w):
    serve(w)
    before, began = opened(w)
    os.kill(w.sshd_pid(), signal.SIGKILL)
    return healed(w, before, began)


@contextlib.contextmanager
def bystander():
    """A process that any signal would end, and that must live on."""
    with subprocess.Popen(["sleep", "600"]) as other:
        try:
            yield other
            assert other.poll() is None, "another process got the signal"
        finally:
            other.kill()


@scenario
def pid_file_that_names_another_process(w):
    serve(w)
    with bystander() as other:
        W.write("/run/sshd.pid", "%d\n" % other.pid)
        before = w.snapshot()
        result = w.apply(timer=TIMER)
        began = time.monotonic()
        assert result.status in (0, 3, 70), result
        if result.status != 3:
            healed(w, before, began)
    assert w.admin_port() == 22
    return "login possible again"


@scenario
def no_pid_file(w):
    W.write(W.CONFIG, "PidFile none\n" + W.DEBIAN)
    subprocess.run([W.SSHD, "-f", W.CONFIG], check=True)
    w.wait(lambda: 22 in w.listens(), 5, "sshd does not start")
    before, began = opened(w)
    return healed(w, before, began)


@scenario
def pid_of_another_process_on_the_command_line(w):
    serve(w)
    with bystander() as other:
        return restored(w, "--pid", str(other.pid), why="sshd|process|pid")


@scenario
def no_sshd_runs(w):
    W.write(W.CONFIG, W.DEBIAN)
    before = w.snapshot()
    result = w.apply(timer=TIMER)
    assert result.status == 3 and "sshd" in result.out + result.err, result
    W.assert_same(before, w.snapshot(), "files have changed")
    return "refused"


@scenario
def sshd_on_disk_that_does_not_run(w):
    serve(w)
    W.mount("/bin/false", W.SSHD, None, W.MS_BIND)
    before = w.snapshot()
    result = w.apply(timer=TIMER)
    assert result.status in (3, 70), result
    W.assert_same(before, w.snapshot(), "files have changed")
    assert w.listens() == {22}
    return "refused"


# --- Confirming ---------------------------------------------------------------------------------------------------

def not_confirmed(w, command, port):
    before, began = opened(w)
    done = w.login("ann", port, command) if port else w.lhctl("confirm")
    assert done.status != 0, "confirmed: %s" % done
    assert 22 in w.listens()
    return healed(w, before, began)


@scenario
def confirm_from_the_old_port(w):
    serve(w)
    return not_confirmed(w, "sudo -n %s sshd confirm" % W.LHCTL, 22)


@scenario
def confirm_from_the_console(w):
    serve(w)
    return not_confirmed(w, "", 0)


@scenario
def confirm_from_the_old_port_with_a_made_up_environment(w):
    serve(w)
    return not_confirmed(w, "sudo -n env SSH_CONNECTION='192.0.2.9 1 192.0.2.1 33001' SSH_CLIENT='192.0.2.9 1 33001' "
                         "%s sshd confirm" % W.LHCTL, 22)


@scenario
def confirm_through_a_session_that_was_there_before(w):
    """A session on port 22 outlives the reload: it proves nothing."""
    serve(w)
    before = w.snapshot()
    with subprocess.Popen(["ssh", "-F", "none", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null",
                           "-i", "/run/keys/ann", "-b", W.CLIENT, "ann@" + W.SERVER, "sh"], stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as session:
        session.stdin.write("echo here\n")
        session.stdin.flush()
        assert session.stdout.readline() == "here\n"
        result = w.apply(timer=TIMER)
        assert result.status == 0, result
        began = time.monotonic()
        session.stdin.write("sudo -n %s sshd confirm 2>&1; echo status $?\n" % W.LHCTL)
        session.stdin.flush()
        lines = []
        while not lines or not lines[-1].startswith("status"):
            lines.append(session.stdout.readline())
            assert lines[-1], "the session that was open has ended"
        assert lines[-1] != "status 0\n", lines
        healed(w, before, began)
        session.stdin.write("echo still here\n")  # connected users have noticed nothing
        session.stdin.flush()
        assert session.stdout.readline() == "still here\n"
        session.stdin.close()
    return "login possible again"


@scenario
def confirm_by_a_user_without_rights(w):
    serve(w)
    before, began = opened(w)
    done = w.login("bob", W.PORT, W.LHCTL + " sshd confirm")
    assert done.status != 0, done
    return healed(w, before, began)


@scenario
def confirm_when_it_is_too_late(w):
    serve(w)
    before, began = opened(w)
    healed(w, before, began)
    assert w.lhctl("confirm").status != 0
    W.assert_same(before, w.snapshot(), "files have changed")
    return "login possible again"


@scenario
def second_apply_before_the_first_is_confirmed(w):
    serve(w)
    before, began = opened(w)
    second = w.apply(timer=60)
    assert second.status == 3, second
    return healed(w, before, began)


@scenario
def two_at_the_same_time(w):
    serve(w)
    before = w.snapshot()
    commands = [subprocess.Popen([W.LHCTL, "sshd", "apply", "--timer", str(TIMER), "--yes"], stdin=subprocess.DEVNULL,
                                 stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) for _ in range(3)]
    statuses = sorted(command.wait() for command in commands)
    assert statuses == [0, 3, 3], statuses
    return healed(w, before, time.monotonic())


@scenario
def after_confirm_the_new_port_is_the_only_one_and_rollback_brings_back_the_old(w):
    serve(w)
    before, began = opened(w, timer=20)
    done = w.confirm()
    assert done.status == 0, "%s\n%s" % (done, state(w))
    assert w.listens() == {W.PORT} and w.admin_port() == W.PORT
    w.wait(lambda: not w.processes("lhctl"), 5, "the timer is still armed")
    done = w.rollback()
    assert done.status == 0, done
    return healed(w, before, time.monotonic())


@scenario
def rollback_before_the_timer_ends(w):
    serve(w)
    before, _ = opened(w, timer=60)
    done = w.rollback()
    assert done.status == 0, done
    return healed(w, before, time.monotonic())


@scenario
def rollback_from_a_session_on_the_new_port(w):
    """It closes the port on which it arrived; what it does must not depend on that session."""
    serve(w)
    before, _ = opened(w, timer=20)
    assert w.confirm().status == 0
    done = w.login("ann", W.PORT, "sudo -n %s sshd rollback" % W.LHCTL)
    assert done.status == 0, done
    return healed(w, before, time.monotonic())


# --- With stand-ins -----------------------------------------------------------------------------------------------

def selinux(label):
    W.mount("world", "/sys/fs", "tmpfs")
    W.write("/sys/fs/selinux/enforce", "1")
    return "#!/bin/sh\necho 'ssh_port_t                     tcp      %s'\n" % label


@stood_in("SELinux")
def selinux_without_a_label(w):
    w.stand_in("/usr/sbin/semanage", selinux("22"))
    serve(w)
    return refused(w, why="SELinux")


@stood_in("SELinux")
def selinux_with_a_label(w):
    w.stand_in("/usr/sbin/semanage", selinux("33001, 22"))
    serve(w)
    before, began = opened(w)
    return healed(w, before, began)


@stood_in("SELinux")
def selinux_whose_labels_cannot_be_seen(w):
    selinux("22")
    serve(w)
    return refused(w, why="SELinux")


def refused_or_healed(w):
    """A firewall may be open elsewhere, so it need not stand in the way: then nobody can confirm."""
    before = w.snapshot()
    result = w.apply(timer=TIMER)
    if result.status == 3:
        return "refused"
    assert result.status == 0, result
    return healed(w, before, time.monotonic())


@stood_in("ufw")
def ufw_without_the_port(w):
    w.stand_in("/usr/sbin/ufw", "#!/bin/sh\nprintf 'Status: active\\n\\n22/tcp   ALLOW   Anywhere\\n'\n")
    serve(w)
    return refused_or_healed(w)


@stood_in("firewalld")
def firewalld_without_the_port(w):
    w.stand_in("/usr/bin/firewall-cmd", "#!/bin/sh\necho 22/tcp\n")
    serve(w)
    return refused_or_healed(w)


SYSTEMCTL = r"""#!/bin/sh
# Does what systemctl would, for one sshd, one socket and one timer.
echo "$*" >> /run/systemctl.log
unit=/etc/systemd/system/longhaul-sshd-deadman
case "$1 $2" in
"is-active ssh.socket") [ -e /run/socket.pid ] ;;
"is-active ssh") [ ! -e /run/socket.pid ] ;;
"is-active "*) exit 3 ;;
"reload ssh") kill -HUP "$(cat /run/sshd.pid)" ;;
"restart ssh.socket") kill -USR1 "$(cat /run/socket.pid)"; sleep 0.3 ;;
"restart ssh") kill "$(cat /run/sshd.pid)"; sleep 0.3; /usr/sbin/sshd -f /etc/ssh/sshd_config ;;
"enable --now") grep -q WantedBy=timers.target $unit.timer || exit 1
    seconds=$(sed -n 's/^OnActiveSec=//p' $unit.timer)
    setsid sh -c "sleep $seconds; sh /run/start-service &" > /dev/null 2>&1 < /dev/null &
    echo $! > /run/timer.pid
    printf 'setsid %s > /dev/null 2>&1 < /dev/null\n' "$(sed -n 's/^ExecStart=//p' $unit.service)" > /run/start-service ;;
"disable --now") kill -- "-$(cat /run/timer.pid)" 2> /dev/null || true ;;
esac
"""


def systemd(w):
    os.makedirs("/run/systemd/system")
    os.makedirs("/etc/systemd/system")
    w.stand_in("/usr/bin/systemctl", SYSTEMCTL)


def kill_all(w, *names):
    for name in names:
        for pid in w.processes(name):
            os.kill(pid, signal.SIGKILL)
    w.wait(lambda: not any(w.processes(name) for name in names), 5, "they do not end")


@stood_in("systemd")
def systemd_reloads(w):
    systemd(w)
    serve(w)
    before, began = opened(w)
    assert "reload ssh" in W.read("/run/systemctl.log")
    return healed(w, before, began)


@stood_in("systemd")
def systemd_timer_where_our_own_process_was_killed(w):
    systemd(w)
    serve(w)
    before, began = opened(w)
    kill_all(w, "lhctl")
    return healed(w, before, began)


@stood_in("systemd")
def systemd_timer_is_gone_after_confirm(w):
    systemd(w)
    serve(w)
    before, _ = opened(w, timer=6)
    assert w.confirm().status == 0
    time.sleep(8)
    assert w.listens() == {W.PORT} and w.admin_port() == W.PORT, "the timer of a confirmed run has struck"
    assert not [path for path in w.snapshot() if "longhaul" in path], "a unit is left"
    assert w.rollback().status == 0
    return healed(w, before, time.monotonic())


@stood_in("systemd, reboot")
def reboot_with_systemd(w):
    """Everything ends; sshd starts from the files, the timer unit counts from the boot."""
    systemd(w)
    serve(w)
    before, _ = opened(w, timer=60)
    os.killpg(int(W.read("/run/timer.pid")), signal.SIGKILL)
    kill_all(w, "lhctl", "sshd")
    w.start_sshd()
    assert w.admin_port(), "locked out"
    assert "OnBootSec=60" in W.read("/etc/systemd/system/longhaul-sshd-deadman.timer")
    # No boot id changes here, so the time is let pass on disk.
    record = W.read(W.STATE + "/record")
    boot = W.read("/proc/sys/kernel/random/boot_id").strip()
    assert boot in record
    W.write(W.STATE + "/record", record.replace(boot, boot[::-1]), 0o600)
    subprocess.Popen(["sh", "/run/start-service"])
    return healed(w, before, time.monotonic())


def socket_holder():
    """What systemd does for ssh.socket with Accept=yes; SIGUSR1 has it read the ports anew."""
    libc_name = b"systemd"
    W.libc.prctl(15, libc_name)
    again = []
    signal.signal(signal.SIGUSR1, lambda *_: again.append(True))
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    listeners = []
    while True:
        if again or not listeners:
            again.clear()
            for one in listeners:
                one.close()
            out = subprocess.run([W.SSHD, "-T"], capture_output=True, text=True, check=False).stdout
            listeners = []
            for port in re.findall(r"^port (\d+)$", out, re.M):
                listeners.append(socket.create_server(("::", int(port)), family=socket.AF_INET6, dualstack_ipv6=True))
        try:
            ready, _, _ = select.select(listeners, [], [], 0.2)
        except InterruptedError:
            continue
        for one in ready:
            connection, _ = one.accept()
            if os.fork() == 0:
                os.dup2(connection.fileno(), 0)
                os.dup2(connection.fileno(), 1)
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                os.execv(W.SSHD, [W.SSHD, "-i"])
            connection.close()


@stood_in("ssh.socket")
def port_22_held_by_ssh_socket(w):
    systemd(w)
    W.write(W.CONFIG, W.DEBIAN)
    holder = os.fork()
    if holder == 0:
        socket_holder()
    W.write("/run/socket.pid", "%d\n" % holder)
    w.wait(lambda: w.admin_port() == 22, 5, "cannot log in to begin with")
    before = w.snapshot()
    result = w.apply(timer=TIMER)
    if result.status == 3:
        W.assert_same(before, w.snapshot(), "files have changed")
        return "refused"
    end = time.monotonic() + HEAL
    w.wait(lambda: W.differences(before, w.snapshot()) == "" and w.admin_port() == 22, end - time.monotonic(),
           lambda: "the old state is not back: %s" % W.differences(before, w.snapshot()))
    return "login possible again"


@stood_in("service")
def service_reloads(w):
    """A machine with /etc/init.d and no systemd."""
    serve(w)
    w.stand_in("/usr/sbin/service", "#!/bin/sh\necho \"$*\" >> /run/service.log\n[ $2 != reload ] || kill -HUP $(cat /run/sshd.pid)\n")
    before = w.snapshot()
    result = w.apply("--reload", "service", timer=TIMER)
    assert result.status == 0 and "ssh reload" in W.read("/run/service.log"), result
    return healed(w, before, time.monotonic())


def clock_jumps(seconds):
    def attempt(w):
        W.write("/etc/ld.so.preload", "/run/libclock_jump.so\n")
        serve(w)
        before, began = opened(w)
        W.write("/run/clock-jump", str(seconds))
        now = subprocess.run(["date", "+%s"], capture_output=True, text=True, check=True).stdout
        assert abs(int(now) - time.time() - seconds) < 5, "the clock does not jump"
        return healed(w, before, began)
    return attempt


for span, jumped in (("a year ahead", 365 * 86400), ("a year back", -365 * 86400)):
    SCENARIOS.append(("clock jumps %s before the timer ends" % span, "a clock", clock_jumps(jumped)))


@stood_in("reboot")
def reboot_before_the_timer_ends(w):
    """Everything ends at once, /run is empty, sshd starts from the files."""
    serve(w)
    before, began = opened(w, timer=60)
    for pid in w.processes("lhctl") + w.processes("sshd"):
        os.kill(pid, signal.SIGKILL)
    for name in os.listdir("/run"):
        if name not in ("keys", "sshd", "killat", "lock"):
            path = "/run/" + name
            shutil.rmtree(path) if os.path.isdir(path) else os.unlink(path)
    w.wait(lambda: not w.listens(), 5, "sshd does not end")
    w.start_sshd()
    assert w.admin_port(), "locked out"
    done = w.rollback()
    assert done.status == 0, done
    return healed(w, before, time.monotonic())


@stood_in("penalties")
def server_that_takes_no_more_connections_from_loopback(w):
    """As PerSourcePenalties (9.8) may do after probes of our own; here PerSourceMaxStartups and a connection that hangs."""
    serve(w, "PerSourceMaxStartups 1\nLoginGraceTime 600\n" + W.DEBIAN)
    with socket.create_connection(("127.0.0.1", 22)) as hung:
        hung.recv(100)
        before = w.snapshot()
        result = w.apply(timer=TIMER)
        if result.status == 3:
            return "refused"
        return healed(w, before, time.monotonic())


# --- Running them ---------------------------------------------------------------------------------------------------

def main():
    if not W.enter():
        print("1..0 # SKIP needs root and namespaces of its own")
        return 0
    only_these = os.environ.get("LH_TEST_ONLY", "")
    chosen = [(name, what, function) for name, what, function in SCENARIOS if only_these in name]
    seed = h.chosen_seed()
    if not LONG and not only_these:
        real = [one for one in chosen if one[1] == "real"]
        rng = random.Random(seed)
        chosen = rng.sample(real, SAMPLE - 6) + rng.sample([one for one in chosen if one[1] != "real"], 6)
    template = W.Template()
    kinds = {name: what for name, what, _ in chosen}
    good, total, failed = {"real": 0, "stood in": 0}, {"real": 0, "stood in": 0}, 0
    print("TAP version 13\n1..%d\n# LH_TEST_SEED=%d" % (len(chosen) + 1, seed))
    number = 0
    for label, kind, value, seconds in W.run(template, [(name, function) for name, _, function in chosen],
                                             parallel=int(os.environ.get("LH_WORLDS", "6"))):
        number += 1
        name = label if kinds[label] == "real" else "%s (stand-in: %s)" % (label, kinds[label])
        which = "real" if kinds[label] == "real" else "stood in"
        if kind == "skip":
            print("ok %d - %s # SKIP %s" % (number, name, value))
        elif kind == "ok":
            good[which] += 1
            total[which] += 1
            print("ok %d - %s: %s # %.1f s" % (number, name, value, seconds))
        else:
            total[which] += 1
            failed += 1
            print("".join("# %s\n" % line for line in value.splitlines()) + "not ok %d - %s # %.1f s" % (number, name, seconds))
        sys.stdout.flush()
    template.remove()
    enough = good["real"] == total["real"] and (total["real"] >= 30 or only_these)
    print("%s %d - refused, or login possible again within the timer and ten seconds: %d of %d"
          % ("ok" if enough else "not ok", number + 1, good["real"], total["real"]))
    print("# with stand-ins, counted apart: %d of %d" % (good["stood in"], total["stood in"]))
    return 1 if failed or not enough else 0


if __name__ == "__main__":
    sys.exit(main())
