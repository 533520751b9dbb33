# SPDX-License-Identifier: Apache-2.0
"""lhctl sshd check: on roots made for the purpose, and on a sshd that runs."""
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../e2e"))
import harness as h  # noqa: E402
import sshd_fixture  # noqa: E402

LHCTL = os.path.join(h.BUILD, "src/cmd/lhctl")
CORPUS = os.path.join(HERE, "corpus")
ED25519 = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHMKJe9lNn/q8BYWri5E3Qxc9GLlKCBcyR/EDrcnyGTN"

HARDENED = """Port 33001
HostKey /etc/ssh/ssh_host_ed25519_key
PermitRootLogin no
PasswordAuthentication no
KbdInteractiveAuthentication no
AllowGroups staff transfer
AllowTcpForwarding no
AllowStreamLocalForwarding no
AllowAgentForwarding no
X11Forwarding no
DisableForwarding yes
RequiredRSASize 2048
MACs -umac-64*,*sha1*
Compression no
MaxAuthTries 4
LoginGraceTime 60
LogLevel VERBOSE
UsePAM yes
PermitUserRC no
ClientAliveInterval 300
KexAlgorithms -diffie-hellman-group-exchange*
Match Group transfer
    ChrootDirectory /srv/%u
Match all
"""

OPERATORS = """# What operators are told, appended to a file that ends in a Match block.
PermitRootLogin yes
PasswordAuthentication yes
Subsystem sftp internal-sftp
#Port 22
Match User backup
    X11Forwarding no
AllowTcpForwarding no
Match Group root
AllowTcpForwarding yes
AllowAgentForwarding no
PubkeyAuthentication yes
PasswordAuthentication no
PermitEmptyPasswords no
PermitRootLogin no
"""


class Root:
    """A root with users, keys and a configuration."""

    def __init__(self, config, parts=()):
        self.path = tempfile.mkdtemp(prefix="lh-root-")
        os.chmod(self.path, 0o755)
        self.write("/etc/ssh/sshd_config", config)
        for name, text in parts:
            self.write("/etc/ssh/sshd_config.d/" + name, text)
        self.write("/etc/passwd", "root:x:0:0::/root:/bin/bash\nann:x:1000:1000::/home/ann:/bin/bash\n"
                   "xfer1:x:2000:2000::/home/xfer1:/bin/lhsh\n")
        self.write("/etc/group", "root:x:0:\nstaff:x:1000:\ntransfer:x:2000:\nsudo:x:27:ann\n")
        self.write("/etc/shadow", "root:*:19000:0:99999:7:::\nann:$6$x:19000:0:99999:7:::\n"
                   "xfer1:!:19000:0:99999:7:::\n", 0o600)
        self.write("/etc/sudoers", "root ALL=(ALL) ALL\n%sudo ALL=(ALL:ALL) ALL\n", 0o440)
        self.write("/etc/shells", "/bin/bash\n/bin/lhsh\n")
        self.write("/etc/ssh/ssh_host_ed25519_key", "not looked into", 0o600)
        self.write("/etc/ssh/ssh_host_ed25519_key.pub", ED25519 + " root@host\n")
        self.write("/etc/sysctl.d/60-ssh-port.conf", "net.ipv4.ip_local_reserved_ports = 33001\n")
        os.makedirs(self.path + "/srv/xfer1", mode=0o755)
        for user, uid in (("ann", 1000), ("xfer1", 2000)):
            self.write("/home/%s/.ssh/authorized_keys" % user, ED25519 + "\n", 0o600)
            for name in ("", "/.ssh", "/.ssh/authorized_keys"):
                if os.geteuid() == 0:
                    os.chown(self.path + "/home/" + user + name, uid, uid)

    def write(self, path, text, mode=0o644):
        os.makedirs(os.path.dirname(self.path + path), mode=0o755, exist_ok=True)
        with open(self.path + path, "wb") as file:
            file.write(text if isinstance(text, bytes) else text.encode())
        os.chmod(self.path + path, mode)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        shutil.rmtree(self.path)

    def check(self, *options):
        """-> (exit status, findings)"""
        done = subprocess.run([LHCTL, "sshd", "check", "--root", self.path, "--json", *options],
                              capture_output=True, text=True, timeout=60, check=False)
        assert done.stderr == "", done.stderr
        document = json.loads(done.stdout)
        assert document["status"] == done.returncode
        return done.returncode, document["findings"]

    def text(self, *options):
        return subprocess.run([LHCTL, "sshd", "check", "--root", self.path, *options], capture_output=True,
                              timeout=60, check=False).stdout


def need_root():
    if os.geteuid() != 0:
        raise h.Skip("files of other owners need root")


def bad(findings):
    """Those that are weaknesses, but for owners, which without root nobody can give away."""
    return [f for f in findings if f["grade"] in ("low", "medium", "high") and
            (os.geteuid() == 0 or "has owner" not in f["is"] and f["is"] != "0 keys may log in")]


def only(findings, rule, text=""):
    found = [f for f in findings if f["rule"] == rule and text in f["is"]]
    assert len(found) == 1, (rule, text, found)
    return found[0]


def test_a_hardened_server_has_no_weakness():
    with Root(HARDENED) as root:
        status, findings = root.check()
        assert bad(findings) == [], bad(findings)
        assert os.geteuid() != 0 or status == 0
        assert only(findings, "A2")["grade"] == "ok"


def test_what_the_operators_text_leaves_open_is_found_with_its_line():
    with Root(OPERATORS) as root:
        status, findings = root.check()
        assert status >= 2
        found = only(findings, "A2", "PasswordAuthentication is yes")
        assert found["grade"] == "medium"
        assert found["where"] == root.path + "/etc/ssh/sshd_config line 3", found
        assert only(findings, "F1", "AllowTcpForwarding is yes")["who"] == ["xfer1", "unknown users"]
        # Keyboard-interactive still lets passwords in: the text does not say so.
        assert only(findings, "A3", "is yes")["grade"] == "medium"
        assert only(findings, "A9", "PermitRootLogin is no")["grade"] == "ok"  # for root, by Match Group root
        assert only(findings, "P1", "do not open TCP port 33001")["grade"] == "medium"


def test_the_commands_that_mend_do_mend():
    mended_rules = set()
    for config in ("", OPERATORS, "Ciphers aes128-cbc\nMACs hmac-md5\nMaxAuthTries 9\nUsePAM no\nStrictModes no\n"
                   "PermitEmptyPasswords yes\nHostbasedAuthentication yes\nAcceptEnv LD_PRELOAD\nLoginGraceTime 0\n"
                   "KexAlgorithms diffie-hellman-group14-sha1\nPubkeyAcceptedAlgorithms +ssh-rsa\nUseDNS yes\n"
                   "HostKeyAlgorithms +ssh-rsa\nPermitTunnel yes\nGatewayPorts yes\nPermitUserEnvironment yes\n"
                   "MaxSessions 50\nMaxStartups 3\nClientAliveInterval 0\nIgnoreRhosts no\nProtocol 2\n"
                   "UsePAM no\n\"Banner x\nGSSAPIAuthentication yes\nPubkeyAuthentication no\n"):
        with Root(config) as root:
            for _ in range(60):
                first = [f for f in bad(root.check()[1]) if f["mend"].startswith(("sed", "echo"))]
                if not first:
                    break
                mended_rules.add(first[0]["rule"])  # line numbers move, so one at a time
                subprocess.run(["sh", "-c", first[0]["mend"]], check=True)
            left = [f for f in bad(root.check()[1]) if f["mend"].startswith(("sed", "echo"))]
            assert left == [], (config, left)
    assert len(mended_rules) >= 12, mended_rules


def test_files_that_sshd_refuses_are_reported_in_its_own_words():
    with Root("Port 33001\nMatch Group root\nCiphers aes128-ctr\n") as root:
        status, findings = root.check()
        assert status == 3
        found = [f for f in findings if f["rule"] == "X1"]
        assert any("not allowed within a Match block" in f["is"] for f in found), found
        assert any(f["where"].endswith("sshd_config line 3") for f in found), found
    with Root("ShowPatchLevel yes\n") as root:
        status, findings = root.check()
        assert status == 3
        assert any("ShowPatchLevel" in f["is"] and f["where"].endswith("line 1") for f in findings), findings


def test_drop_ins_count_where_they_are_included():
    config = "Include /etc/ssh/sshd_config.d/*.conf\n" + HARDENED
    with Root(config, [("50-cloud-init.conf", "PasswordAuthentication yes\n")]) as root:
        found = only(root.check()[1], "A2", "is yes")
        assert found["where"] == root.path + "/etc/ssh/sshd_config.d/50-cloud-init.conf line 1", found
        assert root.path + "/etc/ssh/sshd_config.d/50-cloud-init.conf" in found["mend"]


def test_dead_and_unseen_lines_are_named():
    with Root(HARDENED + "PermitRootLogin yes\n\"PasswordAuthentication yes\nProtocol 2\n") as root:
        findings = root.check()[1]
        assert only(findings, "G6", "has set it already")["where"].endswith("line %d" % (HARDENED.count("\n") + 1))
        assert only(findings, "G6", "quote")["grade"] == "medium"
        assert only(findings, "G5")["grade"] == "low"


def test_a_server_without_an_administrator_is_not_told_to_lock_itself():
    with Root(OPERATORS) as root:
        root.write("/etc/sudoers", "root ALL=(ALL) ALL\n", 0o440)
        root.write("/etc/group", "root:x:0:\nstaff:x:1000:\n")
        findings = root.check()[1]
        assert only(findings, "U1", "no administrator")["grade"] == "high"
        for rule in ("A2", "A3"):
            assert only(findings, rule, "is yes")["mend"] == ""


def test_lock_outs_of_administrators_are_found():
    need_root()

    def change_list(root):
        root.write("/etc/ssh/sshd_config", HARDENED.replace("AllowGroups staff transfer", "AllowUsers xfer1"))

    def deny(root):
        root.write("/etc/ssh/sshd_config", HARDENED + "DenyUsers ann@192.0.2.*\n")

    def open_home(root):
        os.chmod(root.path + "/home/ann", 0o775)

    def foreign_keys(root):
        os.chown(root.path + "/home/ann/.ssh/authorized_keys", 2000, 2000)

    def expire(root):
        root.write("/etc/shadow", "ann:$6$x:19000:0:99999:7::1:\n", 0o600)

    def lock(root):
        root.write("/etc/shadow", "ann:!:19000:0:99999:7:::\n", 0o600)

    def no_key(root):
        os.unlink(root.path + "/home/ann/.ssh/authorized_keys")

    def refused_key(root):
        root.write("/etc/ssh/sshd_config", HARDENED + "PubkeyAcceptedAlgorithms rsa-sha2-512\n")

    def nologin(root):
        root.write("/etc/nologin", "")

    def no_pubkey(root):
        root.write("/etc/ssh/sshd_config", HARDENED + "PubkeyAuthentication no\n")

    for change in (change_list, deny, open_home, foreign_keys, expire, lock, no_key, refused_key, nologin, no_pubkey):
        with Root(HARDENED) as root:
            change(root)
            status, findings = root.check()
            high = [f for f in findings if f["grade"] == "high"]
            assert status == 3 and high, (change.__name__, bad(findings))
            assert all("ann" in f["who"] or not f["who"] or f["rule"] == "A1" for f in high), high


def test_owners_and_modes_are_looked_at():
    need_root()
    for path, mode, rule in (("/etc/ssh/sshd_config", 0o666, "G3"), ("/etc/ssh", 0o777, "G3"),
                             ("/etc/ssh/ssh_host_ed25519_key", 0o644, "C5")):
        with Root(HARDENED) as root:
            os.chmod(root.path + path, mode)
            found = only(root.check()[1], rule, "has owner")
            assert found["grade"] == "high", found
            subprocess.run(["sh", "-c", found["mend"]], check=True)
            assert root.check()[0] == 0


def test_host_keys_are_judged_by_type_and_size():
    rsa = os.path.join(tempfile.mkdtemp(), "key")
    subprocess.run(["ssh-keygen", "-q", "-t", "rsa", "-b", "1024", "-N", "", "-f", rsa], check=True)
    with Root(HARDENED.replace("ed25519_key", "rsa_key")) as root:
        with open(rsa + ".pub") as file:
            root.write("/etc/ssh/ssh_host_rsa_key.pub", file.read())
        root.write("/etc/ssh/ssh_host_rsa_key", "", 0o600)
        found = only(root.check()[1], "C4", "host key")
        assert found["grade"] == "medium" and "1024 bits" in found["is"], found
    shutil.rmtree(os.path.dirname(rsa))


def test_no_line_is_wider_than_80_columns_but_for_long_words():
    with Root(OPERATORS) as root:
        lines = root.text("--all").decode().splitlines()
        assert len(lines) > 40
        for line in lines:
            words = line.split()
            assert len(line) <= 80 or len(max(words, key=len)) > 40 or "'" in line, line


def test_what_files_hold_cannot_write_on_the_terminal():
    with Root(b"Banner /\x1b[2Jx\nAllowUsers \x1b]0;x\x07\n" + HARDENED.encode()) as root:
        root.write("/etc/ssh/sshd_config", b"\x1b[31mKeyword yes\n" + HARDENED.encode())
        assert b"\x1b" not in root.text("--all")
        assert b"\x07" not in root.text("--all")


def test_a_file_that_is_not_there_is_an_error():
    with Root(HARDENED) as root:
        os.unlink(root.path + "/etc/ssh/sshd_config")
        done = subprocess.run([LHCTL, "sshd", "check", "--root", root.path], capture_output=True, text=True, check=False)
        assert done.returncode == 70 and "sshd_config" in done.stderr, done
    done = subprocess.run([LHCTL, "sshd", "check", "--frob"], capture_output=True, text=True, check=False)
    assert done.returncode == 64, done


def test_it_changes_nothing():
    with Root(OPERATORS) as root:
        def state():
            return sorted((path, os.stat(os.path.join(path, name)).st_mtime_ns, name)
                          for path, folders, names in os.walk(root.path) for name in folders + names)
        before = state()
        root.check()
        assert state() == before


def test_the_corpus_is_read_without_a_fault():
    names = sorted(name for name in os.listdir(CORPUS) if name.endswith(".sshd_config"))
    for name in [n for n in names if n.startswith("refused-")] + names[::4]:
        with open(os.path.join(CORPUS, name), "rb") as file:
            text = file.read()
        with Root(text.replace(b"@HERE@", b"/etc/ssh/sshd_config.d")) as root:
            findings = root.check()[1]
            refused = [f for f in findings if f["rule"] == "X1"]
            assert bool(refused) == name.startswith("refused-"), (name, refused)


def test_a_running_sshd_is_held_against_its_files():
    if sshd_fixture.setting("MODE") != "users":
        raise h.Skip("needs a network and users of its own")
    done = subprocess.run([LHCTL, "sshd", "check", "--json"], capture_output=True, text=True, check=False)
    findings = json.loads(done.stdout)["findings"]
    assert not [f for f in findings if f["rule"] in ("X1", "X2")], findings
    if not [f for f in findings if "could not be found out" in f["is"]]:
        # Its file is found by the -f of its command line.
        assert only(findings, "P1", "the files open TCP port 33001")["grade"] == "ok", findings


ALONE = """ip link set lo up && mount -t tmpfs -o mode=755 run /run && mkdir /run/sshd &&
/usr/sbin/sshd -f "$1" -E "$1.log" -p 33001 -oPasswordAuthentication=yes -oPermitTunnel=yes && shift && exec "$@"
"""


def test_options_of_the_running_sshd_win_and_files_that_it_has_not_read_are_named():
    if sshd_fixture.setting("MODE") != "users":
        raise h.Skip("needs namespaces")
    with tempfile.TemporaryDirectory() as folder:
        config, key = folder + "/config", folder + "/key"
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
        with open(config, "w") as file:
            file.write("Port 22\nHostKey %s\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n" % key)
        touch = "touch -d '+1 hour' %s; exec %s sshd check --json --days 0" % (config, LHCTL)
        done = subprocess.run(["unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-c", ALONE,
                               "sh", config, "sh", "-c", touch], capture_output=True, text=True, timeout=60, check=False)
        assert done.stderr == "", done.stderr
        findings = json.loads(done.stdout)["findings"]
        found = only(findings, "A2", "PasswordAuthentication is yes")
        assert found["where"].startswith("command line"), found
        assert "systemctl edit" in only(findings, "F2", "PermitTunnel is yes")["mend"]
        assert only(findings, "C8", "options that win over the files")
        assert only(findings, "P1", "the files open TCP port 33001")["grade"] == "ok", "-p counts"
        assert only(findings, "P4", "33001")["grade"] == "ok"
        assert only(findings, "R4", "was changed after sshd read it")["grade"] == "low"
        assert not [f for f in findings if f["rule"] == "X2"], findings


def test_without_root_it_says_what_it_could_not_see():
    if sshd_fixture.setting("MODE") != "users":
        raise h.Skip("is root already, or nobody")
    lhctl = os.path.join(sshd_fixture.setting("BIN"), "lhctl")
    done = subprocess.run(["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", lhctl, "sshd", "check", "--json",
                           "--config", "/etc/ssh/sshd_config"], cwd="/", capture_output=True, text=True, timeout=60, check=False)
    assert done.stderr == "" and done.returncode in (1, 2, 3), (done.returncode, done.stderr)
    findings = json.loads(done.stdout)["findings"]
    unseen = " ".join(f["is"] for f in findings if f["grade"] == "unseen")
    for text in ("/etc/shadow could not be read", "/etc/sudoers could not be read", "which process is sshd could not be found out"):
        assert text in unseen, (text, unseen)
    assert [f for f in findings if f["rule"] == "F1"], "values are judged all the same"
    assert not [f for f in findings if f["rule"] == "X2"], findings


def test_another_program_on_the_port_is_named():
    if sshd_fixture.setting("MODE") != "users":
        raise h.Skip("needs a network of its own")
    with socket.socket() as taken:
        taken.bind(("0.0.0.0", 33002))
        taken.listen()
        with tempfile.NamedTemporaryFile("w", prefix="lh-config-") as file:
            file.write("Port 33002\n")
            file.flush()
            done = subprocess.run([LHCTL, "sshd", "check", "--json", "--port", "33002", "--config", file.name], capture_output=True,
                                  text=True, check=False)
            findings = json.loads(done.stdout)["findings"]
            assert "python3, not by sshd" in only(findings, "P4", "33002")["is"], findings


if __name__ == "__main__":
    sshd_fixture.enter()
    h.main(sys.modules[__name__], "sshd check")
