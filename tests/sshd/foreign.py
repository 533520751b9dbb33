#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Files that others wrote: what we make of them, against what the installed sshd makes of them.

  tests/sshd/foreign.py --regress DIR     the regress folder of OpenSSH's source, or of Debian's package openssh-tests
                                          (then of the very release that is installed)
  tests/sshd/foreign.py --files DIR       every file below DIR that is a sshd_config by name or by what is in it

With --regress each script of the suite runs, in namespaces of its own, with a stand-in for sshd that hands every
configuration it is given to build/tests/sshd/sshd_differential, as it is at that moment, and then runs sshd. Nothing of
the suite is copied into the tree. Prints what differs and counts; exit status 1 where anything does.
"""
import argparse
import contextlib
import hashlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
BUILD = os.environ.get("LH_BUILD", os.path.join(HERE, "../../build"))
PROGRAM = os.path.abspath(os.path.join(BUILD, "tests/sshd/sshd_differential"))
SSHD = "/usr/sbin/sshd"
SECONDS = 60 # of one script; slow ones have shown their configurations by then

STAND_IN = """#!/bin/sh
before=
for word; do
    case $before in -f) config=$word ;; esac
    case $word in -f?*) config=${word#-f} ;; esac
    before=$word
done
if [ -n "$config" ]; then
    sum=$(sha256sum < "$config"; cat "$config".i* "$(dirname "$config")"/*.include 2> /dev/null | sha256sum)
    sum=$(echo "$sum" | sha256sum | cut -c 1-64)
    if mkdir "@SEEN@/$sum" 2> /dev/null; then
        cp "$config" "@SEEN@/$sum/config" # the suite may change it meanwhile
        LH_SSHD_FILE=@SEEN@/$sum/config @PROGRAM@ > "@SEEN@/$sum/result" 2>&1
    fi
fi
exec @SSHD@ "$@"
"""

KEYWORDS = re.compile(rb"(?im)^\s*(PermitRootLogin|PasswordAuthentication|AuthorizedKeysFile|KbdInteractiveAuthentication|"
                      rb"ChallengeResponseAuthentication|Subsystem|AllowUsers|AllowGroups|HostKey|X11Forwarding)[ \t=]")


def judge(path):
    done = subprocess.run([PROGRAM], env=dict(os.environ, LH_SSHD_FILE=path), capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


def tell(results):
    """results: {name: text of sshd_differential}. -> exit status"""
    agree = refused = 0
    differ = []
    for name, text in sorted(results.items()):
        words = [line.split(" ", 1)[0] for line in text.splitlines()]
        if not words or set(words) - {"agrees", "refused"}:
            differ.append((name, text))
        elif "agrees" in words:
            agree += 1
        else:
            refused += 1
    for name, text in differ:
        print("%s\n%s" % (name, text))
    print("%d files, each for 4 personas: %d agree, %d refused by sshd, %d differ"
          % (len(results), agree, refused, len(differ)))
    return 1 if differ or not results else 0


def run_suite(suite):
    with tempfile.TemporaryDirectory(prefix="lh-regress-") as work:
        os.chmod(work, 0o755)
        regress, seen = os.path.join(work, "regress"), os.path.join(work, "seen")
        shutil.copytree(suite, regress, symlinks=True)
        os.mkdir(seen)
        stand_in = os.path.join(work, "sshd")
        with open(stand_in, "w") as file:
            file.write(STAND_IN.replace("@SEEN@", seen).replace("@PROGRAM@", PROGRAM).replace("@SSHD@", SSHD))
        os.chmod(stand_in, 0o755)
        env = dict(os.environ, TEST_SHELL="sh", TEST_SSH_SSHD=stand_in, TEST_SSH_SFTPSERVER="/usr/lib/openssh/sftp-server",
                   TEST_SSH_UNSAFE_PERMISSIONS="1", SUDO="", TEST_SSH_MODULI_FILE="/etc/ssh/moduli")
        scripts = sorted(name for name in os.listdir(regress) if name.endswith(".sh") and name != "test-exec.sh")
        ran = 0
        for name in scripts:
            with open(os.path.join(regress, name), errors="replace") as file:
                if not re.search(r"sshd|SSHD", file.read()):
                    continue
            ran += 1
            script = subprocess.Popen(["sh", os.path.join(regress, "test-exec.sh"), regress, os.path.join(regress, name)],
                                      env=env, cwd=regress, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                      stderr=subprocess.DEVNULL, start_new_session=True)
            try:
                script.wait(timeout=SECONDS)
            except subprocess.TimeoutExpired:
                print("%s: cut off after %d s" % (name, SECONDS))
            with contextlib.suppress(ProcessLookupError):
                os.killpg(script.pid, signal.SIGKILL) # with what it left behind
            script.wait()
        results = {}
        for name in os.listdir(seen):
            with open(os.path.join(seen, name, "result")) as file:
                results[name] = file.read()
            if results[name].count("\n") < 4: # cut off with its script
                results[name] = judge(os.path.join(seen, name, "config"))
        print("%d scripts of %s" % (ran, suite))
        return tell(results)


def find_files(folder):
    for top, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(top, name)
            if os.path.islink(path) or not os.path.isfile(path) or os.path.getsize(path) > 1 << 20:
                continue
            with open(path, "rb") as file:
                text = file.read()
            if b"\0" not in text and (re.search(r"sshd_config", name) or len(KEYWORDS.findall(text)) >= 3) and \
                    not name.endswith(".md5sum") and not re.search(rb"^#!|^\.\\\"|<html", text, re.I):
                yield path, hashlib.sha256(text).hexdigest()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--regress", metavar="DIR")
    parser.add_argument("--files", metavar="DIR")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if not os.access(PROGRAM, os.X_OK) or (args.regress is None) == (args.files is None):
        parser.error("one of --regress and --files is wanted, and %s" % PROGRAM)
    if args.files is not None:
        results, sums = {}, set()
        for path, digest in find_files(args.files):
            if digest not in sums:
                sums.add(digest)
                results[path] = judge(path)
        return tell(results)
    if not args.inside: # the suite starts servers: with a network and processes of its own
        os.execvp("unshare", ["unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-c",
                              "ip link set lo up; mount -t tmpfs -o mode=755 run /run; mkdir /run/sshd; exec \"$@\"", "sh",
                              sys.executable, os.path.abspath(__file__), "--inside", "--regress", os.path.abspath(args.regress)])
    return run_suite(args.regress)


if __name__ == "__main__":
    sys.exit(main())
