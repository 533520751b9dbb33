# SPDX-License-Identifier: Apache-2.0
"""make install DESTDIR=...: what is put where, and whether it runs from there."""
import os
import re
import stat
import subprocess
import sys

import harness as h

TOP = os.path.abspath(os.path.join(h.HERE, "../.."))
PROGRAMS = {"bin/lhcp": ["--version"], "bin/lhserver": ["--version"], "sbin/lhctl": ["version"]}
PAGES = {"lhcp.1", "lhctl.8", "lhctl-attacks.8", "lhctl-sshd.8", "lhserver.8", "longhaul-journal.5",
         "longhaul-protocol.5"}


def configured_prefix():
    out = subprocess.run(["meson", "introspect", "--buildoptions", h.BUILD], capture_output=True, check=True).stdout
    return next(option["value"] for option in h.json.loads(out) if option["name"] == "prefix")


def install(destination):
    """The recipe of `make install`, with the programs that are built already."""
    env = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    done = subprocess.run(["make", "-C", TOP, "-o", "release", "install", "BUILD=" + h.BUILD, "DESTDIR=" + destination],
                          env=env, capture_output=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout.decode() + done.stderr.decode()


def test_make_install_puts_programs_and_pages_below_destdir_and_nothing_elsewhere():
    with h.Place() as place:
        destination = os.path.join(place.root, "destination")
        install(destination)
        prefix = destination + configured_prefix()
        files = {os.path.relpath(os.path.join(folder, name), prefix)
                 for folder, _, names in os.walk(destination) for name in names}
        pages = {"share/man/man%s/%s" % (page[-1], page) for page in PAGES}
        assert files == set(PROGRAMS) | pages, files ^ (set(PROGRAMS) | pages)
        for page in pages:
            with open(os.path.join(prefix, page)) as file:
                h.assert_in(".Dt %s" % os.path.basename(page).split(".")[0].upper(), file.read())
        for program, arguments in PROGRAMS.items():
            path = os.path.join(prefix, program)
            mode = stat.S_IMODE(os.stat(path).st_mode)
            assert mode == 0o755, "%s has mode %o" % (program, mode)  # no set-user-ID anywhere
            done = subprocess.run([path, *arguments], capture_output=True, timeout=30, check=True)
            assert re.search(rb" version \d+\.\d+\.\d+\b", done.stdout), done.stdout


def test_installed_programs_transfer_a_file():
    with h.Place() as place:
        destination = os.path.join(place.root, "destination")
        install(destination)
        programs = destination + os.path.join(configured_prefix(), "bin")
        place.env["LH_SERVER"] = os.path.join(programs, "lhserver")
        h.write(os.path.join(place.local, "file"), h.incompressible(1 << 20, 1))
        subprocess.run([os.path.join(programs, "lhcp"), "file", "host:copy"], cwd=place.local, env=place.env,
                       capture_output=True, stdin=subprocess.DEVNULL, timeout=120, check=True)
        h.assert_same(os.path.join(place.local, "file"), os.path.join(place.remote, "copy"))


if __name__ == "__main__":
    h.main(sys.modules[__name__], "install")
