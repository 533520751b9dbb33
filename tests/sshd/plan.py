# SPDX-License-Identifier: Apache-2.0
"""lhctl sshd plan: the text difference it prints is applied here, and the installed sshd judges the result."""
import gzip
import json
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

WANTED = {"passwordauthentication": "no", "kbdinteractiveauthentication": "no", "permitrootlogin": "no",
          "allowtcpforwarding": "no", "allowagentforwarding": "no", "x11forwarding": "no", "port": "33001",
          "permitemptypasswords": "no", "loglevel": "verbose", "maxauthtries": "4"}


def plan(root, *words):
    done = subprocess.run([c.LHCTL, "sshd", "plan", "--root", root.path, *words], capture_output=True, timeout=60,
                          check=False)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def joined(out):
    """Text as it was before it was broken at 80 columns."""
    return out.replace("\n" + 14 * " ", " ")


def add_keys(root, kinds=("ecdsa", "ed25519", "rsa")):
    for kind in kinds:
        path = root.path + "/etc/ssh/ssh_host_%s_key" % kind
        for name in (path, path + ".pub"):
            if os.path.exists(name):
                os.unlink(name)
        subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", "", "-f", path], check=True)


def apply(root, out):
    """Applies the difference in `out`, as patch would, and nothing but it."""
    text = out.split("Text that changes:\n")[1].split("\nWho is affected")[0]
    if text == "none\n":
        return False
    for part in re.split(r"(?m)^--- (?=/)", text)[1:]:
        lines = part.splitlines(keepends=True)
        path = root.path + lines[0].strip()
        with open(path, newline="") as file:
            old = file.read().splitlines(keepends=True) if os.path.getsize(path) else []
        new, at = [], 0
        for line in lines[2:]:
            hunk = re.match(r"@@ -(\d+),(\d+) \+\d+,\d+ @@", line)
            if hunk:
                start = int(hunk[1]) - (1 if int(hunk[2]) > 0 else 0)
                new += old[at:start]
                at = start
            elif line.startswith("\\ No newline"):
                if last != "-":
                    new[-1] = new[-1].rstrip("\n")
            elif line[0] == "+":
                new.append(line[1:])
            else:
                assert at < len(old), (lines, old)
                shown = old[at].rstrip("\r\n")
                assert line[1:].rstrip("\n") == shown, (line, old[at])
                if line[0] == " ":
                    new.append(old[at])
                at += 1
            last = line[0]
        new += old[at:]
        with open(path, "w", newline="") as file:
            file.write("".join(new))
    return True


def in_force(root, user):
    """What the installed sshd says of the root's files, seen at their places in a namespace of its own."""
    script = 'mount --bind "$1/etc/ssh" /etc/ssh && mkdir -p /run/sshd && exec /usr/sbin/sshd -T -C ' \
             'user="$2",host=x,addr=192.0.2.1,laddr=192.0.2.2,lport=33001'
    done = subprocess.run(["unshare", "-m", "sh", "-c", script, "sh", root.path, user], capture_output=True, text=True,
                          check=False)
    assert done.returncode == 0, done.stderr
    values = {}
    for line in done.stdout.splitlines():
        keyword, _, value = line.partition(" ")
        values.setdefault(keyword.lower(), []).append(value)
    return values


def need_namespaces():
    if sshd_fixture.setting("MODE") != "users":
        raise h.Skip("needs namespaces")


def test_after_the_plan_every_wanted_value_holds_or_it_was_refused_with_a_reason():
    need_namespaces()
    names = sorted(n for n in os.listdir(c.CORPUS) if n.endswith(".sshd_config") and not n.startswith("refused-"))
    if "LH_TEST_LONG" not in os.environ:
        names = names[::4]
    configs = {"default": "Include /etc/ssh/sshd_config.d/*.conf\nKbdInteractiveAuthentication no\nUsePAM yes\n"
                          "X11Forwarding yes\nSubsystem\tsftp\t/usr/lib/openssh/sftp-server\n".encode(),
               "operators": c.OPERATORS.encode()}
    for name in names:
        with open(os.path.join(c.CORPUS, name), "rb") as file:
            configs[name] = file.read().replace(b"@HERE@/parts", b"/etc/ssh/sshd_config.d")
    carried_out = refused = 0
    for name, config in configs.items():
        parts = [("50-cloud-init.conf", "PasswordAuthentication yes\nMatch User root\n    PermitRootLogin yes\n")]
        if b"\f" in config or b"\r" in config:
            continue  # shown escaped: not to be applied from the screen
        with c.Root(config, parts) as root:
            add_keys(root)
            status, out, err = plan(root)
            assert err == "", (name, err)
            if status == 3:
                refused += 1
                assert re.search(r"^HIGH", out, re.M), (name, out)
                continue
            assert status == 0, (name, status, out)
            carried_out += 1
            assert apply(root, out), name
            for user in ("root", "nobody", "no-such-user"):
                values = in_force(root, user)
                for keyword, value in WANTED.items():
                    assert [v.lower() for v in values[keyword]] == [value], (name, user, keyword, values[keyword])
                assert not any(v.startswith("sftp ") for v in values.get("subsystem", [])), (name, values["subsystem"])
            again, out, _ = plan(root)
            assert again == 0 and not apply(root, out), (name, out)
    print("# %d carried out, %d refused with a reason" % (carried_out, refused))
    assert carried_out >= (40 if "LH_TEST_LONG" in os.environ else 10)


def test_an_address_with_a_port_of_its_own_stands_in_the_way():
    with c.Root("ListenAddress 127.0.0.1:2200\n") as root:
        add_keys(root)
        status, out, _ = plan(root)
        assert status == 3 and "something wins over the plan's ListenAddress" in out, out


def test_the_plan_names_an_administrator_whom_it_would_lock_out():
    with c.Root("") as root:
        add_keys(root)
        status, out, _ = plan(root, "--allow-users", "xfer1")
        assert status == 3 and "allowusers keeps this user out (ann)" in out, out
        status, out, _ = plan(root, "--allow-users", "xfer1", "--allow-users", "ann")
        assert "keeps this user out" not in out, out
        os.unlink(root.path + "/home/ann/.ssh/authorized_keys")
        status, out, _ = plan(root)
        assert status == 3 and "this user cannot log in" in out.replace("\n              ", " "), out
        status, out, _ = plan(root, "--passwords", "keep")
        assert "this user cannot log in" not in out.replace("\n              ", " "), out
    with c.Root("") as root:
        add_keys(root)
        root.write("/etc/sudoers", "root ALL=(ALL) ALL\n", 0o440)
        root.write("/etc/group", "root:x:0:\nstaff:x:1000:\n")
        status, out, _ = plan(root)
        assert status == 3 and "no administrator but root" in out, out


def test_users_with_passwords_only_and_uses_of_sftp_are_named():
    with c.Root("PasswordAuthentication yes\nSubsystem sftp internal-sftp\n") as root:
        add_keys(root)
        with open(root.path + "/etc/passwd", "a") as file:
            file.write("old:x:3000:3000::/home/old:/bin/bash\n")
        with open(root.path + "/etc/shadow", "a") as file:
            file.write("old:$6$x:19000:0:99999:7:::\n")
        head = "2026-11-%02dT10:00:00.1+00:00 srv sshd[%d]: "
        root.write("/var/log/auth.log", head % (20, 1) + "subsystem request for sftp by user old\n" +
                   head % (21, 2) + "subsystem request for sftp by user ann, extra\n" +
                   "2026-11-21T10:00:01.1+00:00 srv sudo: ann : COMMAND=/bin/sh -c echo BECOME-SUCCESS-abc\n")
        with gzip.open(root.path + "/var/log/auth.log.2.gz", "wt") as file:  # rotated away and packed
            file.write(head % (1, 3) + "Accepted password for bob from 192.0.2.9 port 40000 ssh2\n" +
                       head % (1, 4) + "Accepted publickey for ann from 192.0.2.9 port 40001 ssh2: ED25519 SHA256:x\n")
        out = joined(plan(root, "--days", "3650")[1])
        assert "has a password and no key (old)" in out, out
        assert "auth.log and 1 older file names 2 uses of SFTP, and Ansible (old, ann)" in out, out
        assert "names 1 login with a password (bob)" in out, out
        out = joined(plan(root, "--days", "3650", "--sftp-users", "old", "--passwords", "keep")[1])
        assert "of SFTP, and Ansible (ann)" in out and "login with a password" not in out, out
        assert "SFTP" not in joined(plan(root, "--days", "0")[1]).split("Who is affected")[1], "not read"
    with c.Root("") as root:
        add_keys(root)
        assert "no log of sshd could be read" in joined(plan(root)[1])
        root.write("/var/log/secure", "")
        assert "/var/log/secure names no use of SFTP" in joined(plan(root)[1])


def test_profiles_choose_host_keys_and_algorithms():
    for profile, wanted, other in (("modern", "ed25519", None), ("aspera-4", "ecdsa", "rsa"), ("aspera-3", "rsa", "ecdsa"),
                                   ("fips", "ecdsa", "ed25519")):
        with c.Root("") as root:
            add_keys(root)
            status, out, _ = plan(root, profile)
            assert status in (0, 3)
            added = [line[1:] for line in out.splitlines() if line.startswith("+HostKey /")]
            assert "HostKey /etc/ssh/ssh_host_%s_key" % wanted in added, (profile, added)
            assert other is None or not any(other in line for line in added), (profile, added)
            kex = re.search(r"^\+KexAlgorithms (.*)$", out, re.M)[1]
            assert ("25519" in kex) == (profile != "fips"), kex
            assert "sha1" not in kex
    with c.Root("") as root:
        add_keys(root)
        loose, strict = plan(root)[1], plan(root, "--strict")[1]
        assert "ecdh-sha2-nistp256" in re.search(r"^\+Kex.*$", loose, re.M)[0]
        assert "nistp256" not in re.search(r"^\+Kex.*$", strict, re.M)[0]
        assert "+HostKey /etc/ssh/ssh_host_ecdsa_key" in loose and "+HostKey /etc/ssh/ssh_host_ecdsa_key" not in strict
    with c.Root("") as root:  # has an Ed25519 key only
        status, out, err = plan(root, "aspera-3")
        assert status == 70 and "ssh-keygen -A" in err, (status, err)
        assert plan(root, "ancient")[0] == 64


def test_choices_take_effect_for_those_they_are_about():
    need_namespaces()
    with c.Root("Subsystem sftp /usr/lib/openssh/sftp-server\nPasswordAuthentication yes\n") as root:
        add_keys(root)
        status, out, err = plan(root, "--keep-port-22", "--sftp-users", "nobody", "--forwarding-group", "root",
                                "--passwords", "keep", "--allow-groups", "DOMAIN\\transfer users", "--allow-groups", "staff",
                                "--allow-groups", "transfer")
        assert status == 0, out + err
        apply(root, out)
        for user in ("root", "nobody", "daemon"):
            values = in_force(root, user)
            assert values["port"] == ["33001", "22"]
            assert values["subsystem"] == ["sftp /bin/false"]
            assert values["forcecommand"] == ["internal-sftp" if user == "nobody" else "none"], (user, values["forcecommand"])
            assert values["allowtcpforwarding"] == ["yes" if user == "root" else "no"], user
            assert values["passwordauthentication"] == ["yes"] and values["permitemptypasswords"] == ["no"]
            assert values["allowgroups"] == ["DOMAIN\\transfer users", "staff", "transfer"], values["allowgroups"]
        # What is appended later does not fall into a block.
        with open(root.path + "/etc/ssh/sshd_config", "a") as file:
            file.write("PrintMotd no\n")
        assert in_force(root, "daemon")["printmotd"] == ["no"]
        again = plan(root)[1]  # another choice: the old blocks go
        apply(root, again)
        assert in_force(root, "nobody")["forcecommand"] == ["none"]


def test_names_that_the_file_cannot_hold_are_refused():
    with c.Root("") as root:
        add_keys(root)
        for words in (["--allow-users", "a\nPermitRootLogin yes"], ["--allow-users", 'a" "b'], ["--sftp-users", "a,b"],
                      ["--passwords", "drop"]):
            assert plan(root, *words)[0] == 64, words
        assert plan(root, "--forwarding-group", "a b")[0] == 70


def test_it_changes_nothing():
    with c.Root(c.OPERATORS) as root:
        add_keys(root)
        with open(root.path + "/etc/ssh/sshd_config") as file:
            before = file.read()
        plan(root)
        with open(root.path + "/etc/ssh/sshd_config") as file:
            assert file.read() == before


def test_the_plan_as_json_says_what_the_text_says():
    with c.Root(c.OPERATORS) as root:
        add_keys(root)
        status, out, err = plan(root, "--json", "aspera-4", "--allow-groups", "DOMAIN\\users")
        assert err == "", err
        document = json.loads(out)
        assert document["format"] == 1 and document["profile"] == "aspera-4" and document["status"] == status == 3
        changes = {change["keyword"]: change for change in document["changes"]}
        assert changes["port"]["before"] == ["22"] and changes["port"]["after"] == ["33001"], changes["port"]
        assert changes["passwordauthentication"]["who"] == ["xfer1", "ann", "unknown users"], changes["passwordauthentication"]
        assert changes["hostkey"]["after"] == ["/etc/ssh/ssh_host_ecdsa_key"] and changes["port"]["who"] == ["everybody"]
        assert "+Port 33001" in document["difference"] and "-PasswordAuthentication yes" in document["difference"]
        high = [f for f in document["affected"] if f["grade"] == "high"]
        assert high and high[0]["rule"] == "A10" and "ann" in high[0]["who"], high
        status, out, _ = plan(root, "--json")
        assert status == json.loads(out)["status"] == 0


def test_the_files_are_written_where_one_says_and_nowhere_else():
    with c.Root("Include /etc/ssh/sshd_config.d/*.conf\n" + c.OPERATORS, [("50-x.conf", "PasswordAuthentication yes\n")]) as root:
        add_keys(root)
        before = sorted(os.listdir(root.path + "/etc/ssh"))
        with tempfile.TemporaryDirectory() as folder:
            status, out, err = plan(root, "--write", folder)
            assert status == 0 and err == "", (status, err)
            assert sorted(os.listdir(folder + "/etc/ssh")) == ["sshd_config", "sshd_config.d"]
            written = {}
            for name in ("sshd_config", "sshd_config.d/50-x.conf"):
                with open(folder + "/etc/ssh/" + name) as file:
                    written[name] = file.read()
            with open(root.path + "/etc/ssh/sshd_config") as file:
                assert file.read().startswith("Include"), "the root is left alone"
            assert apply(root, out)
            for name, text in written.items():
                with open(root.path + "/etc/ssh/" + name) as file:
                    assert file.read() == text, name
            os.unlink(folder + "/etc/ssh/sshd_config")
            os.symlink("/etc/hostname", folder + "/etc/ssh/sshd_config")
            status, _, err = plan(root, "--write", folder)
            assert status == 70 and "cannot write" in err, (status, err)
        assert sorted(os.listdir(root.path + "/etc/ssh")) == before
        assert plan(root, "--write", root.path)[0] == 64 and plan(root, "--write", root.path + "/.")[0] == 64
        assert plan(root, "--write", folder)[0] == 70, "is gone"


def test_the_sshd_of_the_tests_and_of_the_demonstration_is_set_up_by_a_plan():
    need_namespaces()
    with open(os.path.join(sshd_fixture.setting("DIR"), "main/sshd_config")) as file:
        text = file.read()
    assert "# lhctl sshd: begin." in text and "#lhctl# X11Forwarding yes" in text, text
    done = subprocess.run(["sh", "-c", ". %s; lh_sshd_check" % sshd_fixture.SCRIPT], capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "\n0 high, 0 medium, " in "\n" + done.stdout, done.stdout
    values = {}
    listed = subprocess.run(["/usr/sbin/sshd", "-T", "-f", os.path.join(sshd_fixture.setting("DIR"), "main/sshd_config"), "-C",
                             "user=lhuser1,host=x,addr=192.0.2.1,laddr=192.0.2.2,lport=33001"], capture_output=True, text=True,
                            check=True).stdout
    for line in listed.splitlines():
        keyword, _, value = line.partition(" ")
        values.setdefault(keyword.lower(), []).append(value.lower())
    for keyword, value in WANTED.items():
        assert values[keyword] == [value], (keyword, values[keyword])


def test_files_that_sshd_refuses_are_not_planned_over():
    with c.Root("Banner \"x\nShowPatchLevel yes\n") as root:
        add_keys(root)
        status, out, _ = plan(root)
        assert status == 3 and "sshd refuses these files" in out.replace("\n              ", " "), out


if __name__ == "__main__":
    sshd_fixture.enter()
    h.main(sys.modules[__name__], "sshd plan")
