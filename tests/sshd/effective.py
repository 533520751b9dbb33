# SPDX-License-Identifier: Apache-2.0
"""`lhctl sshd apply`, `confirm` and `rollback` over many configurations, each in a world of its own with a real sshd.

Either every wanted value is in force by `sshd -T -C`, for everybody, or the command refused with a reason and nothing has
changed. After `rollback` every byte is as it was. The configurations: tests/sshd/corpus (a trap a file), shapes of what
distributions ship and hardening guides give, and shapes of OpenSSH's own tests; `make test` takes
a sample (LH_TEST_SEED), LH_TEST_LONG=1 all.
"""
import os
import random
import re
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
import world as W  # noqa: E402

h = W.h
LONG = os.environ.get("LH_TEST_LONG") == "1"
SAMPLE = 18
CORPUS = os.path.join(HERE, "corpus")

WANTED = {
    "permitrootlogin": "no", "pubkeyauthentication": "yes", "permitemptypasswords": "no", "hostbasedauthentication": "no",
    "ignorerhosts": "yes", "strictmodes": "yes", "maxauthtries": "4", "logingracetime": "60", "maxstartups": "10:30:60",
    "disableforwarding": "yes", "allowtcpforwarding": "no", "allowstreamlocalforwarding": "no",
    "allowagentforwarding": "no", "x11forwarding": "no", "permittunnel": "no", "gatewayports": "no",
    "permituserenvironment": "no", "permituserrc": "no", "compression": "no", "clientaliveinterval": "300",
    "clientalivecountmax": "3", "usedns": "no", "loglevel": "verbose", "requiredrsasize": "2048",
    "passwordauthentication": "no", "kbdinteractiveauthentication": "no",
}
LISTS = {
    "ciphers": {"chacha20-poly1305@openssh.com", "aes256-gcm@openssh.com", "aes128-gcm@openssh.com", "aes256-ctr",
                "aes192-ctr", "aes128-ctr"},
    "macs": {"hmac-sha2-512-etm@openssh.com", "hmac-sha2-256-etm@openssh.com", "umac-128-etm@openssh.com", "hmac-sha2-512",
             "hmac-sha2-256"},
    "kexalgorithms": {"mlkem768x25519-sha256", "sntrup761x25519-sha512", "sntrup761x25519-sha512@openssh.com",
                      "curve25519-sha256", "curve25519-sha256@libssh.org", "ecdh-sha2-nistp256",
                      "diffie-hellman-group14-sha256"},
}
HOST_KEYS = ["/etc/ssh/ssh_host_ed25519_key", "/etc/ssh/ssh_host_ecdsa_key"]
ALGORITHM_WORDS = re.compile(r"(^|,)(ssh-rsa|ssh-dss)")

# Shapes of what is met in the field. Written for this test.
SHAPES = {
    "Debian": W.DEBIAN,
    "Debian with a cloud's drop-in": (W.DEBIAN, {"50-cloud-init.conf": "PasswordAuthentication yes\n"}),
    "Red Hat": ("Include /etc/ssh/sshd_config.d/*.conf\nAuthorizedKeysFile\t.ssh/authorized_keys\n"
                "Subsystem\tsftp\t/usr/libexec/openssh/sftp-server\n",
                {"50-redhat.conf": "Include /etc/crypto-policies/back-ends/none.config\nSyslogFacility AUTHPRIV\n"
                                   "ChallengeResponseAuthentication no\nUsePAM yes\nX11Forwarding yes\nPrintMotd no\n"}),
    "Red Hat, policy last": ("PermitRootLogin yes\nUsePAM yes\nInclude /etc/ssh/sshd_config.d/*.conf\n",
                             {"40-policy.conf": "Ciphers aes256-ctr,aes128-cbc\nMACs hmac-sha1\n"}),
    "SUSE": "UsePAM yes\nX11Forwarding yes\nAuthorizedKeysFile .ssh/authorized_keys\nAcceptEnv LANG LC_CTYPE LC_NUMERIC\n"
            "Subsystem sftp /usr/lib/ssh/sftp-server\nPrintMotd no\n",
    "Alpine": "AuthorizedKeysFile\t.ssh/authorized_keys\nAllowTcpForwarding no\nGatewayPorts no\nX11Forwarding no\n"
              "Subsystem\tsftp\tinternal-sftp\n",
    "Arch": "Include /etc/ssh/sshd_config.d/*.conf\nAuthorizedKeysFile .ssh/authorized_keys\nSubsystem sftp "
            "/usr/lib/ssh/sftp-server\n",
    "a cloud's image": "Port 22\nHostKey /etc/ssh/ssh_host_rsa_key\nHostKey /etc/ssh/ssh_host_ecdsa_key\nHostKey "
                       "/etc/ssh/ssh_host_ed25519_key\nSyslogFacility AUTHPRIV\nPermitRootLogin forced-commands-only\n"
                       "AuthorizedKeysFile .ssh/authorized_keys\nPasswordAuthentication no\nUsePAM yes\n"
                       "AuthorizedKeysCommand /bin/true %u %f\nAuthorizedKeysCommandUser nobody\n"
                       "Subsystem sftp /usr/libexec/openssh/sftp-server\n",
    "an old file": "Protocol 2\nUsePrivilegeSeparation yes\nKeyRegenerationInterval 3600\nServerKeyBits 1024\n"
                   "RSAAuthentication yes\nRhostsRSAAuthentication no\nPermitRootLogin without-password\nUsePAM yes\n",
    "a benchmark's": "LogLevel INFO\nMaxAuthTries 4\nPermitRootLogin no\nPermitEmptyPasswords no\nUsePAM yes\n"
                     "LoginGraceTime 60\nMaxStartups 10:30:60\nBanner /etc/issue.net\nDisableForwarding yes\n"
                     "Ciphers aes256-ctr,aes192-ctr,aes128-ctr\nClientAliveInterval 15\nClientAliveCountMax 3\n",
    "a hardening role's": "AddressFamily inet\nListenAddress 0.0.0.0\nPort 22\nUsePAM yes\nKexAlgorithms "
                          "curve25519-sha256@libssh.org,diffie-hellman-group-exchange-sha256\nMaxSessions 10\n"
                          "MaxStartups 10:30:100\nUseDNS no\nTCPKeepAlive no\nAllowTcpForwarding no\nMatch Group nogroup\n"
                          "    ForceCommand internal-sftp -l INFO -f LOCAL6\n    ChrootDirectory /home/%u\n"
                          "    AllowTcpForwarding no\n",
    "what operators are told": "PermitRootLogin yes\nPasswordAuthentication yes\nSubsystem sftp internal-sftp\nPort 22\n"
                               "Match User backup\n    X11Forwarding no\nAllowTcpForwarding no\nMatch Group root\n"
                               "AllowTcpForwarding yes\nAllowAgentForwarding no\nPubkeyAuthentication yes\n",
    "the operators' port beside the old one": "Port 22\nPort 33001\nUsePAM yes\nMatch Group root\nAllowTcpForwarding yes\n",
    "blocks upon blocks": "UsePAM yes\nMatch User xfer1\nPasswordAuthentication yes\nMatch User ann\nX11Forwarding yes\n"
                          "AllowTcpForwarding yes\nMatch Address 192.0.2.0/24\nPermitRootLogin yes\nMatch Group transfer\n"
                          "PermitTTY no\nMatch all\nMaxAuthTries 9\n",
    "match by port": "UsePAM yes\nMatch LocalPort 33001\nPasswordAuthentication yes\nPermitRootLogin yes\n"
                     "Match LocalAddress 192.0.2.1\nAllowTcpForwarding yes\n",
    "lists": "AllowUsers ann xfer*\nAllowUsers bob@192.0.2.*\nDenyUsers mallory\nAllowGroups sudo transfer bob\nUsePAM yes\n",
    "addresses": "ListenAddress 192.0.2.1\nListenAddress 127.0.0.1\nListenAddress ::\nUsePAM yes\n",
    "address with its port": "ListenAddress 192.0.2.1:22\nListenAddress [::]:22\nUsePAM yes\n",
    "two ports": "Port 22\nPort 2222\nUsePAM yes\n",
    # As OpenSSH's own tests have it: Include and Match inside each other, the first value wins, quotes.
    "include in match": ("UsePAM yes\nMatch User xfer1\n\tInclude /etc/ssh/sshd_config.d/a.conf\nMatch all\n",
                         {"a.conf": "PasswordAuthentication yes\nX11Forwarding yes\n"}),
    "match in include": ("Include /etc/ssh/sshd_config.d/a.conf\nUsePAM yes\nX11Forwarding yes\n",
                         {"a.conf": "Match user bob\n\tAllowTcpForwarding yes\nMatch host *\n\tX11Forwarding yes\n"}),
    "include twice": ("Include /etc/ssh/sshd_config.d/*.conf\nInclude /etc/ssh/sshd_config.d/*.conf\n",
                      {"a.conf": "Port 22\nAllowTcpForwarding yes\n", "b.conf": "Match all\nMaxSessions 4\n"}),
    "include of includes": ("Include /etc/ssh/sshd_config.d/a.conf\n",
                            {"a.conf": "Include /etc/ssh/sshd_config.d/b.conf\nMatch all\nX11Forwarding yes\n",
                             "b.conf": "PermitRootLogin yes\nUsePAM yes\n"}),
    "relative include": ("Include sshd_config.d/a.conf\n", {"a.conf": "GatewayPorts yes\nPermitTunnel yes\n"}),
    "quotes and equals": 'Port=22\nPermitRootLogin="yes"\nX11Forwarding\t=\tyes\nBanner "/etc/issue net"\n',
    "no newline at the end": "UsePAM yes\nMatch User bob\nX11Forwarding yes",
    "carriage returns": "UsePAM yes\r\nPermitRootLogin yes\r\nMatch User bob\r\nX11Forwarding yes\r\n",
    "empty": "",
}


def configurations():
    """(name, text, {drop-in: text})"""
    for name, shape in SHAPES.items():
        text, parts = shape if isinstance(shape, tuple) else (shape, {})
        yield name, text.encode(), {part: words.encode() for part, words in parts.items()}
    packaged = "/usr/share/openssh/sshd_config"
    if os.path.exists(packaged):
        with open(packaged, "rb") as file:
            yield "as this distribution packages it", file.read(), {}
    parts = {}
    for name in os.listdir(os.path.join(CORPUS, "parts")):
        with open(os.path.join(CORPUS, "parts", name), "rb") as file:
            parts[name] = file.read()
    for name in sorted(os.listdir(CORPUS)):
        if name.endswith(".sshd_config"):
            with open(os.path.join(CORPUS, name), "rb") as file:
                yield name, file.read().replace(b"@HERE@/parts", b"/etc/ssh/sshd_config.d").replace(
                    b"@HERE@", b"/etc/ssh"), parts


def in_force(user, port):
    """What the installed sshd says for this user, from the client's address to this port."""
    done = subprocess.run([W.SSHD, "-T", "-C", "user=%s,host=client,addr=%s,laddr=%s,lport=%d" % (
        user, W.CLIENT, W.SERVER, port)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    values = {}
    for line in done.stdout.splitlines():
        keyword, _, value = line.partition(" ")
        values.setdefault(keyword.lower(), []).append(value)
    return values


def assert_wanted(ports):
    for user in ("root", "ann", "bob", "xfer1", "nobody-there"):
        for port in ports:
            values = in_force(user, port)
            who = "%s at port %d: " % (user, port)
            for keyword, value in WANTED.items():
                if keyword in values:  # else this release has no such keyword
                    assert [v.lower() for v in values[keyword]] == [value], who + "%s %s" % (keyword, values[keyword])
            for keyword, allowed in LISTS.items():
                found = set(values[keyword][0].split(","))
                assert found <= allowed and len(found) >= 3, who + "%s %s" % (keyword, found)
            for keyword in ("pubkeyacceptedalgorithms", "hostkeyalgorithms"):
                assert not ALGORITHM_WORDS.search(values[keyword][0]), who + values[keyword][0]
            assert sorted(map(int, values["port"])) == sorted(ports), who + "port %s" % values["port"]
            assert values["hostkey"] == HOST_KEYS, who + "hostkey %s" % values["hostkey"]
            assert not any(v.startswith("sftp ") for v in values.get("subsystem", [])), who + "subsystem"


def attempt(text, parts):
    def go(w):
        W.write(W.CONFIG, text)
        for name, words in parts.items():
            W.write("/etc/ssh/sshd_config.d/" + name, words)
        refuses = subprocess.run([W.SSHD, "-t"], capture_output=True, check=False).returncode != 0
        if not refuses:
            subprocess.run([W.SSHD, "-f", W.CONFIG], capture_output=True, check=False)
            try:
                w.wait(w.listens, 1, "")
            except AssertionError:
                pass  # a file that opens no port here: there is no sshd to speak of
        before, ports = w.snapshot(), w.listens()
        result = w.apply(timer=30)
        told = result.out + result.err
        if result.status in (3, 70):
            assert len(told.strip()) > 20, "no reason"
            W.assert_same(before, w.snapshot(), "refused, and files have changed")
            assert w.listens() == ports, (w.listens(), ports)
            reason = re.findall(r"^(?:HIGH|high) +(\S+ +.*)$|^lhctl: (.*)$", told, re.M)
            return "refused", "; ".join((a or b)[:60] for a, b in reason[:3]) or told.strip()[-100:]
        assert result.status == 0, result
        assert not refuses, "sshd refuses these files, lhctl does not"
        assert_wanted(sorted(ports | {W.PORT}))
        done = w.confirm(server=W.SERVER6 if b"inet6" in text else W.SERVER)
        assert done.status == 0, done
        assert_wanted([W.PORT])
        assert w.listens() == {W.PORT}
        done = w.rollback()
        assert done.status == 0, done
        W.assert_same(before, w.snapshot(), "rollback left a difference")
        assert w.listens() == ports
        return "applied", ""
    return go


def choices(words, expected, who="ann"):
    """An apply with other words; `expected` are values in force afterwards for `who`."""
    def go(w):
        W.write(W.CONFIG, W.DEBIAN)
        w.start_sshd()
        before = w.snapshot()
        result = w.apply(*words, timer=30)
        assert result.status == 0, result
        assert w.confirm().status == 0
        values = in_force(who, W.PORT)
        for keyword, value in expected.items():
            assert values.get(keyword, []) == value, (keyword, values.get(keyword))
        assert w.rollback().status == 0
        W.assert_same(before, w.snapshot(), "rollback left a difference")
        return "applied", ""
    return go


CHOICES = {
    "aspera-4": choices(["aspera-4"], {"hostkey": ["/etc/ssh/ssh_host_ecdsa_key"]}),
    "aspera-3": choices(["aspera-3"], {"hostkey": ["/etc/ssh/ssh_host_rsa_key"]}),
    "fips": choices(["fips"], {"hostkey": ["/etc/ssh/ssh_host_ecdsa_key", "/etc/ssh/ssh_host_rsa_key"]}),
    "strict": choices(["--strict"], {"hostkey": ["/etc/ssh/ssh_host_ed25519_key"]}),
    "both ports": choices(["--keep-port-22"], {"port": ["33001", "22"]}),
    "passwords stay": choices(["--passwords", "keep"], {"passwordauthentication": ["yes"]}),
    "SFTP for one": choices(["--sftp-users", "bob"], {"forcecommand": ["internal-sftp"]}, "bob"),
    "forwarding for a group": choices(["--forwarding-group", "staff"], {"allowtcpforwarding": ["yes"]}, "bob"),
    "groups": choices(["--allow-groups", "sudo", "--allow-groups", "transfer"], {"allowgroups": ["sudo", "transfer"]}),
}


def main():
    if not W.enter():
        print("1..0 # SKIP needs root and namespaces of its own")
        return 0
    only = os.environ.get("LH_TEST_ONLY", "")
    jobs = [("configuration: " + name, attempt(text, parts)) for name, text, parts in configurations()]
    chosen = [("choice: " + name, function) for name, function in CHOICES.items()]
    seed = h.chosen_seed()
    if not LONG and not only:
        rng = random.Random(seed)
        jobs, chosen = rng.sample(jobs, SAMPLE), rng.sample(chosen, 3)
    jobs += chosen
    jobs = [job for job in jobs if only in job[0]]
    template = W.Template()
    print("TAP version 13\n1..%d\n# LH_TEST_SEED=%d" % (len(jobs) + 1, seed))
    applied = refused = failed = 0
    for number, (label, kind, value, seconds) in enumerate(
            W.run(template, jobs, int(os.environ.get("LH_WORLDS", "4"))), 1):
        if kind == "ok":
            applied += value[0] == "applied"
            refused += value[0] == "refused"
            print("ok %d - %s: %s %s# %.1f s" % (number, label, value[0], value[1].replace("#", "") + " ", seconds))
        else:
            failed += 1
            print("".join("# %s\n" % line for line in value.splitlines()) + "not ok %d - %s" % (number, label))
        sys.stdout.flush()
    template.remove()
    enough = bool(only) or applied >= (40 if LONG else 5)
    print("%s %d - %d carried out, %d refused with a reason, %d without effect or not taken back" % (
        "ok" if enough else "not ok", len(jobs) + 1, applied, refused, failed))
    return 1 if failed or not enough else 0


if __name__ == "__main__":
    sys.exit(main())
