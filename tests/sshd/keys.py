# SPDX-License-Identifier: Apache-2.0
"""lhctl sshd fingerprint and notify: against ssh-keygen, on roots and on a sshd that runs."""
import hashlib
import base64
import os
import re
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../e2e"))
import harness as h  # noqa: E402
import sshd_fixture  # noqa: E402

LHCTL = os.path.join(h.BUILD, "src/cmd/lhctl")
KINDS = (("rsa", "2048"), ("ecdsa", "384"), ("ed25519", "256"))


def lhctl(*words):
    done = subprocess.run([LHCTL, "sshd", *words], capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stdout, done.stderr


def make_root(config):
    root = tempfile.mkdtemp(prefix="lh-root-")
    os.makedirs(root + "/etc/ssh")
    with open(root + "/etc/ssh/sshd_config", "w") as file:
        file.write(config)
    for kind, bits in KINDS:
        subprocess.run(["ssh-keygen", "-q", "-t", kind, "-b", bits, "-N", "", "-f",
                        root + "/etc/ssh/ssh_host_%s_key" % kind], check=True)
    return root


def blob(root, kind):
    with open(root + "/etc/ssh/ssh_host_%s_key.pub" % kind) as file:
        return base64.b64decode(file.read().split()[1])


def test_fingerprints_are_those_of_ssh_keygen():
    root = make_root("")
    status, out, err = lhctl("fingerprint", "--root", root, "--host", "srv.example.org")
    assert status == 0 and err == "", (status, err)
    for kind, bits in KINDS:
        public = root + "/etc/ssh/ssh_host_%s_key.pub" % kind
        listed = subprocess.run(["ssh-keygen", "-l", "-f", public], capture_output=True, text=True, check=True).stdout
        assert listed.split()[0] == bits
        assert "OpenSSH          " + listed.split()[1] in out
        sha1 = hashlib.sha1(blob(root, kind)).hexdigest()
        assert "--check-sshfp " + sha1 in out and '"sshfp": "%s"' % sha1 in out
        with open(public) as file:
            kind_name, text = file.read().split()[:2]
        assert "\n[srv.example.org]:33001 %s %s\n" % (kind_name, text) in out
        records = subprocess.run(["ssh-keygen", "-r", "srv.example.org.", "-f", public], capture_output=True, text=True,
                                 check=True).stdout
        for record in records.splitlines():
            assert "\n" + record + "\n" in out, record
        assert re.search("^%s, %s bits" % (kind_name, bits), out, re.M)
    shutil.rmtree(root)


def test_what_is_not_offered_is_named_and_an_expected_one_is_missed():
    root = make_root("HostKey /etc/ssh/ssh_host_rsa_key\nHostKey /etc/ssh/ssh_host_ecdsa_key\nHostKey /etc/ssh/gone\n"
                     "HostKeyAlgorithms rsa-sha2-512\n")
    sha1 = {kind: hashlib.sha1(blob(root, kind)).hexdigest() for kind, _ in KINDS}
    status, out, _ = lhctl("fingerprint", "--root", root)
    assert status == 0
    assert sha1["rsa"] in out and sha1["ecdsa"] not in out and sha1["ed25519"] not in out
    assert "HostKeyAlgorithms leaves its type out" in out and "gone.pub" in out
    assert lhctl("fingerprint", "--root", root, "--expected", sha1["rsa"])[0] == 0
    for kind in ("ecdsa", "ed25519"):
        status, out, _ = lhctl("fingerprint", "--root", root, "--expected", sha1[kind])
        assert status == 1 and "warning" in out, out
    assert lhctl("fingerprint", "--root", root, "--expected", "12:34")[0] == 64
    shutil.rmtree(root)


def test_the_fingerprint_that_aspera_conf_hands_out_is_missed():
    root = make_root("HostKey /etc/ssh/ssh_host_ecdsa_key\n")
    os.makedirs(root + "/opt/aspera/etc")
    for kind, expected in (("ecdsa", 0), ("rsa", 1)):
        with open(root + "/opt/aspera/etc/aspera.conf", "w") as file:
            file.write("<CONF><server><ssh_host_key_fingerprint>%s</ssh_host_key_fingerprint></server></CONF>"
                       % hashlib.sha1(blob(root, kind)).hexdigest())
        status, out, _ = lhctl("fingerprint", "--root", root)
        assert status == expected and ("warning: ssh_host_key_fingerprint" in out) == bool(expected), (status, out)
    shutil.rmtree(root)


def test_a_server_without_keys_is_an_error():
    root = make_root("HostKey /etc/ssh/gone\n")
    for command in ("fingerprint", "notify"):
        status, out, err = lhctl(command, "--root", root)
        assert status == 70 and out == "" and "gone" in err, (status, out, err)
    shutil.rmtree(root)


def test_the_note_says_port_and_fingerprint_for_every_kind_of_client():
    root = make_root("HostKey /etc/ssh/ssh_host_ecdsa_key\n")
    status, out, _ = lhctl("notify", "--root", root, "--host", "srv.example.org")
    assert status == 0
    for text in ("SSH Port (TCP): 33001", "-P 33001", '"ssh_port": 33001', "ssh -p 33001 USER@srv.example.org",
                 "Port 22 will be closed", hashlib.sha1(blob(root, "ecdsa")).hexdigest(), "SHA256:"):
        assert text in out, text
    assert hashlib.sha1(blob(root, "rsa")).hexdigest() not in out
    assert lhctl("notify", "--root", root, "--host", "a b")[0] == 64
    shutil.rmtree(root)


def test_a_sshd_that_still_shows_an_old_key_is_noticed():
    if sshd_fixture.setting("MODE") != "users":
        raise h.Skip("needs a network of its own")
    port = sshd_fixture.setting("PORT")
    config = os.path.join(sshd_fixture.setting("DIR"), "main", "sshd_config")
    if not os.path.exists(config):
        found = subprocess.run(["find", sshd_fixture.setting("DIR"), "-name", "*config*"], capture_output=True, text=True,
                               check=True).stdout
        raise AssertionError("no sshd_config in the fixture: " + found)
    status, out, err = lhctl("fingerprint", "--config", config, "--port", port)
    assert status == 0 and "warning" not in out, (status, out, err)
    with open(config) as file:
        keys = [line for line in file.read().splitlines() if line.lower().startswith("hostkey ")]
    with tempfile.NamedTemporaryFile("w") as file:
        file.write(keys[0] + "\n")  # the running sshd shows more
        file.flush()
        status, out, _ = lhctl("fingerprint", "--config", file.name, "--port", port)
        assert status == 1 and "that the files do not give" in out, out


if __name__ == "__main__":
    sshd_fixture.enter()
    h.main(sys.modules[__name__], "sshd keys")
