# SPDX-License-Identifier: Apache-2.0
"""Every rule of lhctl sshd check, by its id: a server on which it must speak, and one on which it must not.

RULES has a row for each thing that a rule looks at. A row is an id, words of what is found, and what is bad about the
server: lines in front of the hardened configuration, or a function that spoils the root. Take a rule out of the
program, and its row fails; add one, and IDS says that a row is missing.
"""
import os
import re
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
import check as c  # noqa: E402
import harness as h  # noqa: E402
import sshd_fixture  # noqa: E402

# Ways to log in, cryptography, forwarding, the service and its log, ports, limits, transfers, administrators.
IDS = ("P1 P2 P3 F1 F2 F3 F4 A1 A2 A3 A4 A5 A6 A7 A8 A9 A10 A11 A12 A13 A14 C1 C2 C3 C4 C5 C6 C7 C8 C9 C10 S1 S2 S3 "
       "R1 R2 R3 G1 G2 G3 G4 G5 G6 U1").split()
# What is looked at besides: the node daemon, the log, the kernel's ports, the running process, transfer users, files.
MORE_IDS = "L1 N1 P4 R4 U2 X0 X1 X2".split()

ATTACK = "".join("Nov %2d 10:%02d:%02d srv sshd[%d]: Failed password for invalid user %s from 203.0.113.9 port 40%03d ssh2\n"
                 % (day, minute, second, 100 + minute, "user%d" % minute, minute)
                 for day, minute, second in ((22, m, m) for m in range(40)))


def write(path, text, mode=0o644):
    return lambda root: root.write(path, text, mode)


def both(*changes):
    def change(root):
        for one in changes:
            one(root)
    return change


def in_front(lines):
    return lambda root: root.write("/etc/ssh/sshd_config", lines + "\n" + c.HARDENED)


def without(text):
    return lambda root: root.write("/etc/ssh/sshd_config", c.HARDENED.replace(text, ""))


def remove(path):
    return lambda root: os.unlink(root.path + path)


def chmod(path, mode):
    return lambda root: os.chmod(root.path + path, mode)


def status(version, changes=None):
    """dpkg's file with a version of openssh-server, and its change log."""
    text = ("Package: bash\nStatus: install ok installed\nVersion: 5.2-1\n\n"
            "Package: openssh-server\nStatus: install ok installed\nSource: openssh\nVersion: %s\nDescription: x\n\n"
            "Package: zsh\nVersion: 1:9.9p1-1\n" % version)
    one = write("/var/lib/dpkg/status", text)
    return one if changes is None else both(one, write("/usr/share/doc/openssh-server/changelog.Debian", changes))


def other_shell(shell):
    def change(root):
        with open(root.path + "/etc/passwd") as file:
            text = file.read()
        root.write("/etc/passwd", text.replace(":/bin/lhsh", ":" + shell))
        root.write("/etc/shells", "/bin/bash\n/bin/lhsh\n/bin/aspshell\n")
    return change


NO_CHROOT = ("Match Group transfer\n    ChrootDirectory /srv/%u\nMatch all\n", "")


def aspera(conf):
    """A server of HSTS: its shell, aspera.conf, no chroot."""
    def change(root):
        root.write("/etc/ssh/sshd_config", c.HARDENED.replace(*NO_CHROOT))
        root.write("/opt/aspera/etc/aspera.conf", conf)
    return both(other_shell("/bin/aspshell"), change)


def conf(default="", user="", server=""):
    def paths(docroot):
        return "<file_system><access><paths><path><absolute>%s</absolute></path></paths></access></file_system>" % docroot \
            if docroot else ""
    return ("<?xml version='1.0'?>\n<!-- </CONF> --><CONF version=\"2\"><server>%s</server><default>%s</default>"
            "<aaa><realms><realm><users><user><name> xfer1 </name>%s</user></users></realm></realms></aaa></CONF>\n"
            % (server, paths(default), paths(user)))


RULES = [
    ("P1", "do not open TCP port 33001", without("Port 33001")),
    ("P1", "open TCP port 22", in_front("Port 22")),
    ("P1", "ssh.socket opens port 22", both(
        write("/etc/systemd/system/sockets.target.wants/ssh.socket", ""),
        write("/usr/lib/systemd/system/ssh.socket", "[Socket]\nListenStream=22\n"))),
    ("P2", "33001 is not reserved", remove("/etc/sysctl.d/60-ssh-port.conf")),
    ("P3", "SELinux does not let", write("/etc/selinux/config", "# x\nSELINUX=enforcing\nSELINUXTYPE=targeted\n")),
    ("P3", "(ufw) does not name port 33001", both(write("/etc/ufw/ufw.conf", "ENABLED=yes\n"),
                                                   write("/etc/ufw/user.rules", "### tuple ### allow tcp 22 0.0.0.0/0\n"))),
    ("P3", "(ufw) names port 33001 for TCP only", both(
        write("/etc/ufw/ufw.conf", "ENABLED=yes\n"),
        write("/etc/ufw/user.rules", "-A ufw-user-input -p tcp --dport 33001 -j ACCEPT\n"))),
    ("P3", "(firewalld) does not name", write("/etc/firewalld/zones/public.xml", '<zone><service name="ssh"/></zone>\n')),
    ("P3", "(nftables) does not name", write("/etc/nftables.conf", "chain input { policy drop; tcp dport 22 accept }\n")),
    ("F1", "AllowTcpForwarding is yes", in_front("AllowTcpForwarding yes")),
    ("F2", "AllowStreamLocalForwarding is yes", in_front("AllowStreamLocalForwarding yes")),
    ("F2", "PermitTunnel is yes", in_front("PermitTunnel yes")),
    ("F2", "GatewayPorts is yes", in_front("GatewayPorts yes")),
    ("F2", "X11Forwarding is yes", in_front("X11Forwarding yes")),
    ("F2", "PermitOpen is any", in_front("AllowTcpForwarding yes\nDisableForwarding no")),
    ("F2", "PermitListen is any", in_front("AllowTcpForwarding yes\nDisableForwarding no")),
    ("F3", "AllowAgentForwarding is yes", in_front("AllowAgentForwarding yes")),
    ("F4", "DisableForwarding is no", in_front("DisableForwarding no")),
    ("A1", "PubkeyAuthentication is no", in_front("PubkeyAuthentication no")),
    ("A2", "PasswordAuthentication is yes", in_front("PasswordAuthentication yes")),
    ("A3", "KbdInteractiveAuthentication is yes", in_front("ChallengeResponseAuthentication yes")),
    ("A4", "PermitEmptyPasswords is yes", in_front("PermitEmptyPasswords yes")),
    ("A4", "the account has no password", write("/etc/shadow", "ann::19000:0:99999:7:::\n", 0o600)),
    ("A5", "HostbasedAuthentication is yes", in_front("HostbasedAuthentication yes")),
    ("A5", "IgnoreRhosts is no", in_front("IgnoreRhosts no")),
    ("A5", "IgnoreUserKnownHosts is no", in_front("HostbasedAuthentication yes")),
    ("A5", "GSSAPIAuthentication is yes", in_front("GSSAPIAuthentication yes")),
    ("A6", "AuthenticationMethods is publickey,password", in_front("AuthenticationMethods publickey,password")),
    ("A7", "MaxAuthTries is 6", in_front("MaxAuthTries 6")),
    ("A8", "LoginGraceTime is 0", in_front("LoginGraceTime 0")),
    ("A9", "PermitRootLogin is yes", in_front("PermitRootLogin yes")),
    ("A10", "every user may log in", without("AllowGroups staff transfer\n")),
    ("A10", "allowgroups keeps this user out",
     lambda root: root.write("/etc/ssh/sshd_config", c.HARDENED.replace("staff transfer", "staff"))),
    ("A10", "both AllowUsers and AllowGroups", in_front("AllowUsers ann xfer1")),
    ("A11", "PubkeyAcceptedAlgorithms offers ssh-rsa", in_front("PubkeyAcceptedAlgorithms +ssh-rsa")),
    ("A11", "RequiredRSASize is 1024", in_front("RequiredRSASize 1024")),
    ("A11", "CASignatureAlgorithms offers ssh-rsa", in_front("CASignatureAlgorithms +ssh-rsa")),
    ("A11", "of a type or size that is refused", in_front("PubkeyAcceptedAlgorithms rsa-sha2-512")),
    ("A12", "AuthorizedKeysCommandUser is root", in_front("AuthorizedKeysCommand /bin/true\nAuthorizedKeysCommandUser root")),
    ("A12", "trustedusercakeys names /etc/ssh/ca", in_front("TrustedUserCAKeys /etc/ssh/ca")),
    ("A12", "the keys of a transfer user lie in its home", in_front("")),
    ("A13", "PermitUserEnvironment is yes", in_front("PermitUserEnvironment yes")),
    ("A13", "PermitUserRC is yes", in_front("PermitUserRC yes")),
    ("A13", "AcceptEnv is LD_PRELOAD", in_front("AcceptEnv LANG LD_PRELOAD")),
    ("A14", "UsePAM is no", in_front("UsePAM no")),
    ("C1", "Ciphers offers aes128-cbc", in_front("Ciphers +aes128-cbc")),
    ("C2", "hmac-sha1", in_front("MACs +hmac-sha1")),
    ("C3", "KexAlgorithms offers diffie-hellman-group14-sha1", in_front("KexAlgorithms +diffie-hellman-group14-sha1")),
    ("C3", "nothing that holds against quantum", in_front("KexAlgorithms curve25519-sha256")),
    ("C4", "HostKeyAlgorithms offers ssh-rsa", in_front("HostKeyAlgorithms +ssh-rsa")),
    ("C4", "more than one host key", in_front("HostKey /etc/ssh/ssh_host_other_key")),
    ("C4", "that of no host key", aspera(conf(server="<ssh_host_key_fingerprint>%s</ssh_host_key_fingerprint>" % ("ab" * 20)))),
    ("C5", "host key /etc/ssh/ssh_host_gone_key is not there", in_front("HostKey /etc/ssh/ssh_host_gone_key")),
    ("C5", "was made on packer", both(write("/etc/hostname", "srv\n"),
                                      write("/etc/ssh/ssh_host_ed25519_key.pub", c.ED25519 + " root@packer\n"))),
    ("C7", "shorter than 3072 bits", both(
        write("/etc/ssh/moduli", "20240101000000 2 6 100 2047 2 AB\n"), in_front("KexAlgorithms -none"))),
    ("C8", "gives sshd SSHD_OPTS: -p 2222", write("/etc/default/ssh", "# x\nSSHD_OPTS=\"-p 2222\"\n")),
    ("C8", "gives sshd CRYPTO_POLICY", write("/etc/sysconfig/sshd", "CRYPTO_POLICY=\n  CRYPTO_POLICY='-oCiphers=aes128-cbc'\n")),
    ("C8", "starts sshd with options", write("/etc/systemd/system/ssh.service.d/x.conf",
                                             "[Service]\nExecStart=\nExecStart=/usr/sbin/sshd -D -oPort=2222\n")),
    ("C8", "crypto policy LEGACY decides over ciphers", both(
        write("/etc/crypto-policies/back-ends/opensshserver.config", "Ciphers aes256-ctr\n"),
        write("/etc/crypto-policies/config", "LEGACY\n"),
        in_front("Include /etc/crypto-policies/back-ends/opensshserver.config"))),
    ("C9", "Compression is yes", in_front("Compression yes")),
    ("C10", "RekeyLimit is 4294967296", in_front("RekeyLimit 4G")),
    ("C10", "RekeyLimit is 0 7200", in_front("RekeyLimit default 2h")),
    ("S1", "Subsystem is sftp /usr/lib", in_front("Subsystem sftp /usr/lib/openssh/sftp-server")),
    ("S1", "without ChrootDirectory", lambda root: root.write(
        "/etc/ssh/sshd_config", "Subsystem sftp internal-sftp\n" + c.HARDENED.replace(*NO_CHROOT))),
    ("S2", "lets a transfer user run any command", other_shell("/bin/sh")),
    ("S2", "is not in /etc/shells", write("/etc/shells", "/bin/bash\n")),
    ("S3", "nothing but the permissions", lambda root: root.write("/etc/ssh/sshd_config", c.HARDENED.replace(*NO_CHROOT))),
    ("S3", "there is no ChrootDirectory /srv/xfer1", lambda root: os.rmdir(root.path + "/srv/xfer1")),
    ("S3", "others own or can write ChrootDirectory", chmod("/srv/xfer1", 0o777)),
    ("S3", "no docroot and no restriction", aspera(conf())),
    ("S3", "docroot /home holds this user's home", aspera(conf(default="/home"))),
    ("S3", "could not be read as XML", aspera("<CONF><a></CONF>")),
    ("R1", "MaxStartups is 5:30:60", in_front("MaxStartups 5:30:60")),
    ("R1", "MaxSessions is 50", in_front("MaxSessions 50")),
    ("R1", "PerSourceMaxStartups is none", in_front("")),
    ("R1", "PerSourceNetBlockSize is 32:128", in_front("PerSourceMaxStartups 10")),
    ("R1", "PerSourceNetBlockSize is 8:64", in_front("PerSourceNetBlockSize 8:64")),
    ("R3", "ClientAliveInterval is 0", in_front("ClientAliveInterval 0")),
    ("R3", "ClientAliveCountMax is 0", in_front("ClientAliveCountMax 0")),
    ("R3", "TCPKeepAlive is no", in_front("TCPKeepAlive no\nClientAliveInterval 0")),
    ("R3", "ChannelTimeout is session:*=5m", in_front("ChannelTimeout session:*=5m")),
    ("R3", "UnusedConnectionTimeout is 5", in_front("UnusedConnectionTimeout 5s")),
    ("G1", "LogLevel is INFO", in_front("LogLevel INFO")),
    ("G2", "UseDNS is yes", in_front("UseDNS yes")),
    ("G2", "SyslogFacility is LOCAL3", in_front("SyslogFacility LOCAL3")),
    ("G2", "PrintLastLog is no", in_front("PrintLastLog no")),
    ("G2", "VersionAddendum is mine", in_front("VersionAddendum mine")),
    ("G2", "banner names /etc/none", in_front("Banner /etc/none")),
    ("G3", "StrictModes is no", in_front("StrictModes no")),
    ("G3", "is a symbolic link", both(lambda root: os.rename(root.path + "/etc/ssh/sshd_config", root.path + "/etc/ssh/x"),
                                      lambda root: os.symlink("x", root.path + "/etc/ssh/sshd_config"))),
    ("G4", "CVE-2024-6387 is open in OpenSSH 1:9.2p1-2+deb12u2", status("1:9.2p1-2+deb12u2")),
    ("G4", "CVE-2023-48795 is open", status("1:9.2p1-2+deb12u1")),
    ("G4", "CVE-2025-26466 is open", status("1:9.7p1-1", "openssh (1:9.7p1-1)\n")),
    ("G4", "CVE-2025-32728 is open", status("1:9.2p1-2+deb12u5")),
    ("G4", "CVE-2026-35387 is open", status("1:9.2p1-2+deb12u9")),
    ("G4", "CVE-2026-35414 is open", status("1:9.2p1-2+deb12u9")),
    ("G4", "CVE-2021-41617 is open", status("1:8.7p1-1", "nothing\n")),
    ("G4", "CVE-2018-15473 is open", status("1:7.4p1-10", "nothing\n")),
    ("G4", "CVE-2024-6387 may be open", status("1:9.0p1-1ubuntu8.4")),
    ("G5", "protocol: obsolete", in_front("Protocol 2")),
    ("G6", "has set it already", lambda root: root.write("/etc/ssh/sshd_config", "UseDNS no\nUseDNS yes\n" + c.HARDENED)),
    ("G6", "sshd_config.d/50-x.conf is never read", write("/etc/ssh/sshd_config.d/50-x.conf", "UseDNS no\n")),
    ("U1", "no administrator", both(write("/etc/sudoers", "root ALL=(ALL) ALL\n"), write("/etc/group", "staff:x:1000:\n"))),
    ("U1", "no administrator", both(write("/etc/sudoers", "ann ALL=(www-data) ALL\n"), write("/etc/group", "staff:x:1000:\n"))),
    ("U1", "no administrator", both(write("/etc/sudoers", "ann ALL=(ALL) NOPASSWD: /usr/bin/apt, /bin/ALL.sh\n"),
                                    write("/etc/group", "staff:x:1000:\n"))),
    ("U2", "there is no such user", write("/etc/passwd", "root:x:0:0::/root:/bin/sh\nann:x:1000:1000::/home/ann:/bin/bash\n")),
    ("L1", "attackers in the last", write("/var/log/auth.log", ATTACK)),
    ("X1", "Bogus", in_front("Bogus yes")),
]


def bad(findings, rule, text):
    return [f for f in findings if f["rule"] == rule and f["grade"] != "ok" and text in f["is"]]


def test_every_rule_speaks_on_a_server_where_it_is_broken():
    with c.Root(c.HARDENED) as root:
        sound = root.check("--days", "3650", "--transfer-user", "xfer1")[1]
    for rule, text, change in RULES:
        with c.Root(c.HARDENED) as root:
            change(root)
            findings = root.check("--days", "3650", "--transfer-user", "xfer1")[1]
            found = bad(findings, rule, text)
            assert found, (rule, text, [f for f in findings if f["rule"] == rule])
            assert all(f["why"] for f in found), found
            alone = (rule, text) in (("A12", "the keys of a transfer user lie in its home"), ("R1", "PerSourceMaxStartups is none"))
            assert alone or not bad(sound, rule, text), (rule, text)


def test_a_server_without_transfer_users_says_so():
    with c.Root(c.HARDENED) as root:
        write("/etc/passwd", "root:x:0:0::/root:/bin/sh\nann:x:1000:1000::/home/ann:/bin/bash\n")(root)
        assert bad(root.check()[1], "U2", "no user has a transfer shell")


def test_owners_of_what_logins_run_are_looked_at():
    c.need_root()
    for rule, text, lines, path in (
            ("S2", "shell /bin/lhsh has owner 2000", "", "/bin/lhsh"),
            ("A12", "keys", "AuthorizedKeysCommand /etc/ssh/keys\nAuthorizedKeysCommandUser nobody", "/etc/ssh/keys"),
            ("A12", "ca", "TrustedUserCAKeys /etc/ssh/ca", "/etc/ssh/ca")):
        with c.Root(c.HARDENED) as root:
            in_front(lines)(root)
            root.write(path, "x", 0o755)
            before = root.check()[1]
            os.chown(root.path + path, 2000, 2000)
            after = root.check()[1]
            new = [f for f in after if f not in before and f["grade"] == "high" and path in f["is"]]
            assert new and new[0]["rule"] in (rule, "G3"), (rule, text, new)
            subprocess.run(["sh", "-c", new[0]["mend"]], check=True)
            assert root.check()[1] == before


def test_backports_of_distributions_are_honoured():
    for version, changes in (("1:9.2p1-2+deb12u10", None), ("1:10.3p1-1", None),
                             ("1:9.6p1-3ubuntu13.99", "CVE-2023-48795 CVE-2025-26466 CVE-2025-32728 CVE-2026-35387 "
                              "CVE-2026-35414 CVE-2024-6387")):
        with c.Root(c.HARDENED) as root:
            status(version, changes)(root)
            found = [f for f in root.check()[1] if f["rule"] == "G4"]
            assert [f["grade"] for f in found] == ["ok"] and version in found[0]["is"], found
    with c.Root(c.HARDENED) as root: # no package: nothing is claimed
        found = [f for f in root.check()[1] if f["rule"] == "G4"]
        assert [f["grade"] for f in found] == ["unseen"], found


def test_a_docroot_of_the_user_or_the_default_confines():
    for text in (conf(user="/data/x &amp; y"), conf(default="/data")):
        with c.Root(c.HARDENED) as root:
            aspera(text)(root)
            found = [f for f in root.check()[1] if f["rule"] == "S3"]
            assert [f["grade"] for f in found] == ["ok"] and "/data" in found[0]["is"], found
            assert "&amp;" not in found[0]["is"]


def test_ports_of_firewalls_and_selinux_are_read_from_files():
    rows = (("/var/lib/selinux/targeted/active/ports.local", "portcon tcp 33001 system_u:object_r:ssh_port_t:s0\n",
             write("/etc/selinux/config", "SELINUX=enforcing\n"), "SELinux lets sshd"),
            ("/etc/ufw/user.rules", "-p tcp --dport 33000:33010 -j ACCEPT\n-p udp --dport 33001 -j ACCEPT\n",
             write("/etc/ufw/ufw.conf", "ENABLED=yes\n"), "(ufw) names port 33001"),
            ("/etc/firewalld/zones/public.xml", '<port port="33001" protocol="tcp"/>\n<port port="33001" protocol="udp"/>\n',
             lambda root: None, "(firewalld) names port 33001"))
    for path, text, change, expected in rows:
        with c.Root(c.HARDENED) as root:
            change(root)
            root.write(path, text)
            found = [f for f in root.check()[1] if f["rule"] == "P3"]
            assert len(found) == 1 and found[0]["grade"] in ("ok", "info") and expected in found[0]["is"], found
            assert "only" not in found[0]["is"], found


FAKE_SSHD = """#!/bin/sh
# The installed sshd, with the keywords of a later one.
case " $* " in
*" -V "*) echo "OpenSSH_10.0p2, OpenSSL 3.5.0" >&2; exit 1 ;;
*" -T "*) /real/sshd "$@" || exit; printf 'persourcepenalties no\\npersourcepenaltyexemptlist 0.0.0.0/0\\ndebianbanner yes\\n' ;;
*) exec /real/sshd "$@" ;;
esac
"""


def later_sshd():
    """Findings for a hardened root where /usr/sbin/sshd is a later one, seen in a namespace of its own."""
    with c.Root(c.HARDENED) as root, tempfile.TemporaryDirectory() as folder:
        fake = os.path.join(folder, "sshd")
        with open(fake, "w") as file:
            file.write(FAKE_SSHD.replace("/real/sshd", folder + "/real"))
        os.chmod(fake, 0o755)
        os.chmod(folder, 0o755)
        open(folder + "/real", "w").close()
        script = 'mount --bind /usr/sbin/sshd "$1/real" && mount --bind "$1/sshd" /usr/sbin/sshd && ' \
                 'exec "$2" sshd check --json --root "$3"'
        done = subprocess.run(["unshare", "-m", "sh", "-c", script, "sh", folder, c.LHCTL, root.path], capture_output=True,
                              text=True, timeout=60, check=False)
        assert done.stderr == "", done.stderr
        return c.json.loads(done.stdout)["findings"]


def test_what_only_later_releases_have_is_looked_at():
    with c.Root(c.HARDENED) as root:
        assert bad(root.check()[1], "R2", "this sshd has no PerSourcePenalties"), "of the installed one"
    if sshd_fixture.setting("MODE") != "users":
        raise h.Skip("needs namespaces")
    findings = later_sshd()
    for rule, text in (("R2", "PerSourcePenalties is no"), ("R2", "PerSourcePenaltyExemptList is 0.0.0.0/0"),
                       ("G2", "DebianBanner is yes"), ("C6", "does not know strict key exchange")):
        assert bad(findings, rule, text), (rule, text, [f for f in findings if f["rule"] == rule])


def test_a_list_of_methods_that_nobody_can_pass_is_a_lock_out():
    for value, grade in (("publickey,password", "high"), ("password publickey", "info"), ("publickey", "ok"),
                         ("publickey,keyboard-interactive:pam", "high"), ("any", "ok")):
        with c.Root(c.HARDENED) as root:
            in_front("AuthenticationMethods " + value)(root)
            found = [f for f in root.check()[1] if f["rule"] == "A6"]
            assert found and all(f["grade"] == grade for f in found), (value, found)


def test_a_node_daemon_older_than_the_host_key_is_named():
    if sshd_fixture.setting("MODE") != "users":
        raise h.Skip("needs processes of its own")
    with tempfile.TemporaryDirectory() as folder:
        daemon = os.path.join(folder, "asperanoded")
        c.shutil.copy("/bin/sleep", daemon)
        key, config = os.path.join(folder, "key"), os.path.join(folder, "config")
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
        with open(config, "w") as file:
            file.write("HostKey %s\n" % key)
        running = subprocess.Popen([daemon, "60"])
        try:
            for moved, grade in ((-3600, "ok"), (3600, "medium")):
                now = os.stat(config).st_mtime
                os.utime(key, (now + moved, now + moved))
                done = subprocess.run([c.LHCTL, "sshd", "check", "--json", "--days", "0", "--config", config],
                                      capture_output=True, text=True, timeout=60, check=False)
                found = [f for f in c.json.loads(done.stdout)["findings"] if f["rule"] == "N1"]
                assert [f["grade"] for f in found] == [grade], found
        finally:
            running.kill()
            running.wait()


def test_the_log_is_read_below_the_root_packed_or_not():
    import gzip
    with c.Root(c.HARDENED) as root:
        found = [f for f in root.check()[1] if f["rule"] == "L1"]
        assert [f["grade"] for f in found] == ["unseen"], found
        os.makedirs(root.path + "/var/log")
        with gzip.open(root.path + "/var/log/auth.log.2.gz", "wt") as file:
            file.write(ATTACK)
        root.write("/var/log/auth.log", "")
        found = [f for f in root.check("--days", "3650")[1] if f["rule"] == "L1"]
        assert [f["grade"] for f in found] == ["low"] and "203.0.113.9" in found[0]["is"] and "1 older file" in found[0]["is"], found
        assert not [f for f in root.check("--days", "0")[1] if f["rule"] == "L1"]


def test_every_rule_has_a_row_and_the_manual_names_it():
    rows = {rule for rule, _, _ in RULES} | {"R2", "C6", "N1"}
    assert set(IDS) <= rows, set(IDS) - rows
    sources = ""
    for folder in ("src/sshdcfg", "src/sshdapply", "src/cmd/sshd"):
        top = os.path.join(HERE, "../..", folder)
        for name in os.listdir(top):
            with open(os.path.join(top, name)) as file:
                sources += file.read()
    used = set(re.findall(r'(?:\.rule = |\{|\? |: )"([A-Z]\d{1,2})"', sources)) | {"P1"}
    assert used - set(IDS) - set(MORE_IDS) <= {"B0", "B1", "B2", "B3", "B4", "B5"}, used - set(IDS) - set(MORE_IDS)
    with open(os.path.join(HERE, "../../man/lhctl-sshd.8")) as file:
        manual = file.read().split(".Ss Rules")[1].split(".Ss lhctl sshd fingerprint")[0]
    named = set(re.findall(r"\b([A-Z]\d{1,2})\b", manual))
    for first, last in re.findall(r"\b([A-Z]\d{1,2}) to ([A-Z]\d{1,2})\b", manual):
        named |= {first[0] + str(n) for n in range(int(first[1:]), int(last[1:]) + 1)}
    assert set(IDS) | set(MORE_IDS) <= named, (set(IDS) | set(MORE_IDS)) - named


if __name__ == "__main__":
    sshd_fixture.enter()
    h.main(sys.modules[__name__], "sshd rules")
