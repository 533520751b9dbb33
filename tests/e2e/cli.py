# SPDX-License-Identifier: Apache-2.0
"""What the command lines say: help and errors as snapshots, the progress line on a terminal, JSON, man pages.

    python3 tests/e2e/cli.py --update      writes tests/e2e/snapshots anew; then look at the difference
"""
import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time

import harness as h

SNAPSHOTS = os.path.join(h.HERE, "snapshots")
MAN = os.path.join(h.HERE, "../../man")
UPDATE = "--update" in sys.argv
LHCTL = os.path.join(h.BUILD, "src/cmd/lhctl")

COMMANDS = {
    "lhcp-help": ["lhcp", "--help"],
    "lhcp-help-all": ["lhcp", "-hh"],
    "lhcp-no-operands": ["lhcp"],
    "lhcp-unknown-option": ["lhcp", "--frobnicate", "a", "host:b"],
    "lhcp-unknown-letter": ["lhcp", "-QTr", "a", "host:b"],
    "lhcp-refused-option": ["lhcp", "--file-list=x", "host:b"],
    "lhcp-refused-policy": ["lhcp", "--policy=greedy", "a", "host:b"],
    "lhcp-bad-rate": ["lhcp", "-l", "fast", "a", "host:b"],
    "lhcp-bad-fingerprint": ["lhcp", "--check-sshfp", "12:34", "a", "host:b"],
    "lhcp-both-remote": ["lhcp", "one:a", "two:b"],
    "lhcp-none-remote": ["lhcp", "a", "b"],
    "lhcp-hostile-host": ["lhcp", "a", "--", "-oProxyCommand=id:b"],
    "lhcp-controls-in-arguments": ["lhcp", "-c", "\x1b[2J\n", "a", "host:b"],
    "lhserver-help": ["lhserver", "--help"],
    "lhserver-operand": ["lhserver", "x"],
    "lhctl-no-command": ["lhctl"],
    "lhctl-help": ["lhctl", "help"],
    "lhctl-unknown": ["lhctl", "nope\n"],
    "lhctl-extra": ["lhctl", "doctor", "x"],
    "lhctl-sshd": ["lhctl", "sshd"],
    "lhctl-sshd-unknown": ["lhctl", "sshd", "harden\n"],
    "lhctl-sshd-apply-help": ["lhctl", "sshd", "apply", "--help"],
    "lhctl-sshd-confirm-help": ["lhctl", "sshd", "confirm", "--help"],
    "lhctl-sshd-rollback-help": ["lhctl", "sshd", "rollback", "--help"],
    "lhctl-sshd-check-help": ["lhctl", "sshd", "check", "--help"],
    "lhctl-sshd-fingerprint-help": ["lhctl", "sshd", "fingerprint", "--help"],
    "lhctl-sshd-notify-help": ["lhctl", "sshd", "notify", "--help"],
    "lhctl-sshd-plan-help": ["lhctl", "sshd", "plan", "--help"],
    "lhctl-sshd-plan-profile": ["lhctl", "sshd", "plan", "ancient"],
    "lhctl-sshd-plan-two": ["lhctl", "sshd", "plan", "modern", "fips"],
    "lhctl-sshd-check-operand": ["lhctl", "sshd", "check", "x"],
    "lhctl-sshd-check-relative-root": ["lhctl", "sshd", "check", "--root", "x"],
}


def run(words):
    program = os.path.join(h.BUILD, "src/cmd", words[0])
    done = subprocess.run([program, *words[1:]], capture_output=True, stdin=subprocess.DEVNULL, timeout=20, check=False)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def test_help_and_errors_are_as_recorded():
    wrong = []
    for name, words in COMMANDS.items():
        status, out, err = run(words)
        text = "$ %s\n[exit status %d]\n--- standard output\n%s--- standard error\n%s" % (
            " ".join(ascii(w) if not w.isprintable() else w for w in words), status, out, err)
        path = os.path.join(SNAPSHOTS, name + ".txt")
        if UPDATE:
            with open(path, "w") as file:
                file.write(text)
            continue
        with open(path) as file:
            expected = file.read()
        if expected != text:
            wrong.append("%s:\n%s\n  instead of\n%s" % (name, text, expected))
    assert not wrong, "%s\n(if that is meant: python3 tests/e2e/cli.py --update)" % "\n".join(wrong)


def test_errors_end_with_the_numbered_line():
    for words in COMMANDS.values():
        status, _, err = run(words)
        if words[0] == "lhcp" and status != 0:
            assert re.match(r"lhcp: error 8: .+\Z", err.rstrip("\n").split("\n")[-1]), err
            assert status == 1


def test_version_can_be_parsed_as_that_of_ascp():
    for words in (["lhcp", "-A"], ["lhcp", "--version"], ["lhserver", "--version"], ["lhctl", "version"]):
        status, out, _ = run(words)
        assert status == 0
        assert re.search(r" version \d+\.\d+\.\d+\b", out), out


def shown_options():
    """Options of `lhcp --help`: -x and --xxx."""
    _, out, _ = run(["lhcp", "-hh"])
    out = out[out.index("\nOptions:"):out.index("\nKnown, refused")]
    found = set()
    for line in out.splitlines():
        match = re.match(r"  (?:-(\S)(?:, )?|    )?(?:--([a-z-]+))?", line)
        if match and line.startswith(("  -", "      --")):
            found |= {"-" + match[1]} if match[1] else set()
            found |= {"--" + match[2]} if match[2] else set()
    return found


def test_the_man_page_has_the_options_of_help_and_no_other():
    with open(os.path.join(MAN, "lhcp.1")) as file:
        page = file.read()
    items = "\n".join(line for line in page.splitlines() if line.startswith(".It Fl"))
    described = set()
    for word in re.findall(r"\bFl (-?[A-Za-z][a-z-]*)", items):
        if word.startswith("-") or len(word) == 1:
            described.add("-" + word)
    assert described == shown_options(), "man only: %s, help only: %s" % (
        sorted(described - shown_options()), sorted(shown_options() - described))


def test_lhserver_on_a_terminal_says_what_it_is_for():
    leader, follower = pty.openpty()
    done = subprocess.run([h.LHSERVER], stdin=follower, stdout=follower, stderr=subprocess.PIPE, timeout=10, check=False)
    os.close(leader)
    os.close(follower)
    assert done.returncode == 1
    h.assert_in("terminal", done.stderr.decode())


def test_without_a_terminal_there_is_a_summary_and_no_progress():
    with h.Place() as place:
        h.write(os.path.join(place.local, "file"), h.incompressible(3 << 20, 1))
        _, out, err = place.run("file", "host:copy")
        assert "\r" not in out and "\x1b" not in out and err == "", (out, err)
        h.assert_in("1 file (3.1 MB) in place and verified", out)
        _, out, err = place.run("-q", "file", "host:copy2")
        assert out == "" and err == "", (out, err)


def test_json_is_one_object_a_line_and_ends_with_the_summary():
    with h.Place() as place:
        h.write(os.path.join(place.local, "bad\xff\nname".encode("latin1").decode("utf8", "surrogateescape")),
                h.incompressible(12 << 20, 1))
        _, out, _ = place.run("--json", "-l", "40m", *os.listdir(place.local), "host:copy")
        rows = [json.loads(line) for line in out.splitlines()]
        assert rows[-1]["type"] == "summary" and rows[-1]["complete"] is True, rows[-1]
        assert rows[-1]["files_done"] == 1 and rows[-1]["bytes_verified"] == 12 << 20
        seconds = [row for row in rows if row["type"] == "progress"]
        assert 2 <= len(seconds) <= 8, len(seconds) # 12 MiB at 40 Mbit/s last two and a half seconds
        assert any(row["name"] and row["name"].endswith("bad\\xff\\nname") for row in seconds), seconds
        _, out, err = place.run("--json", "nothing", "host:copy", expect=1)
        last = json.loads(out.splitlines()[-1])
        assert last["type"] == "summary" and last["complete"] is False and last["error_code"] > 0
        h.assert_in("lhcp: error %d: " % last["error_code"], err.splitlines()[-1])


def test_the_target_rate_holds_both_ways_and_over_ssh_too():
    with h.Place() as place:
        for arguments in (["faux:///x?5m", "host:faux://"], ["host:faux:///x?5m", "faux://"],
                          ["--policy=fixed", "host:faux:///x?5m", "faux://"],
                          ["--udp=off", "host:faux:///x?5m", "faux://"], ["--udp=off", "faux:///x?5m", "host:faux://"]):
            began = time.monotonic()
            place.run("-l", "20m", *arguments)
            took = time.monotonic() - began # 5 MiB at 20 Mbit/s: 2.1 s
            assert took > 1.7, "%s: %.2f s" % (arguments, took)


class Terminal:
    """What a person would see: enough of a terminal for the sequences that lhcp uses; it fails on any other."""

    def __init__(self, columns):
        self.columns = columns
        self.rows = [""]
        self.row = self.column = 0
        self.widest = 0

    def feed(self, text):
        for part in re.findall(r"\x1b\[\d*[A-Z]|[\r\n]|[^\x00-\x1f\x7f]|.", text, re.S):
            self.one(part)

    def one(self, part):
        if part == "\r":
            self.column = 0
        elif part == "\n":
            self.row += 1
            if self.row == len(self.rows):
                self.rows.append("")
        elif part == "\x1b[K":
            self.rows[self.row] = self.rows[self.row][:self.column]
        elif part == "\x1b[J":
            self.rows[self.row:] = [self.rows[self.row][:self.column]]
        elif re.fullmatch(r"\x1b\[\d+A", part):
            self.row = max(0, self.row - int(part[2:-1]))
        elif len(part) == 1 and part.isprintable():
            line = self.rows[self.row].ljust(self.column)
            self.rows[self.row] = line[:self.column] + part + line[self.column + 1:]
            self.column += 1
            self.widest = max(self.widest, self.column)
        else:
            raise AssertionError("%r reached the terminal" % part)

    def narrow(self, columns):
        """Breaks lines as terminals with reflow do; the cursor stays with its text."""
        rows, cursor = [], 0
        for number, line in enumerate(self.rows):
            pieces = [line[i:i + columns] for i in range(0, len(line), columns)] or [""]
            if number == self.row:
                cursor = len(rows) + min(self.column, max(len(line) - 1, 0)) // columns
                self.column = min(self.column % columns, columns)
            rows += pieces
        self.rows, self.row, self.columns, self.widest = rows, cursor, columns, 0


def set_size(fd, columns):
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))


def on_terminal(place, arguments, columns, narrow_to=None, at=1.0, interrupt=False):
    """Runs lhcp on a terminal; gives it a narrower window or Ctrl-C after `at` seconds. -> status, Terminal, frames"""
    leader, follower = pty.openpty()
    set_size(follower, columns)
    screen = Terminal(columns)
    process = place.start(*arguments, stdout=follower, stderr=follower, env=dict(place.env, TERM="xterm"))
    os.close(follower)
    began, changed, frames = time.monotonic(), False, []
    while time.monotonic() - began < 60:
        if not changed and time.monotonic() - began > at and (narrow_to or interrupt):
            changed = True
            if interrupt:
                process.send_signal(signal.SIGINT)
            else:
                set_size(leader, narrow_to)
                screen.narrow(narrow_to)
        if not select.select([leader], [], [], 0.05)[0]:
            continue
        try:
            data = os.read(leader, 65536)
        except OSError:
            break
        screen.feed(data.decode("utf8"))
        frames.append(list(screen.rows))
    status = process.wait(timeout=10)
    os.close(leader)
    return status, screen, frames


def test_the_progress_line_fits_stays_one_line_and_goes_away():
    with h.Place() as place:
        h.write(os.path.join(place.local, "\x1b[31mname\x1b[m"), h.incompressible(12 << 20, 1))
        status, screen, frames = on_terminal(place, ["-l", "40m", "\x1b[31mname\x1b[m", "host:copy"], 80)
        assert status == 0
        assert screen.widest < 80, screen.widest
        lines = [frame for frame in frames if any("%" in row and "bit/s" in row for row in frame)]
        assert len(lines) >= 5, frames
        assert all(len([row for row in frame if row]) == 1 for frame in lines), lines
        assert any("ETA" in row and "RTT" in row for frame in lines for row in frame), lines[-1]
        text = "\n".join(screen.rows)
        h.assert_in("1 file (12.5 MB) in place and verified", text)
        assert "ETA" not in text, text


def test_a_narrower_window_leaves_no_remains():
    with h.Place() as place:
        h.write(os.path.join(place.local, "a-long-name-that-fills-the-line.bin"), h.incompressible(16 << 20, 1))
        status, screen, _ = on_terminal(place, ["-l", "40m", "a-long-name-that-fills-the-line.bin", "host:copy"],
                                        100, narrow_to=40)
        assert status == 0
        text = "\n".join(screen.rows)
        assert "ETA" not in text and "a-long-name" not in text, text


def test_interrupting_on_a_terminal_says_how_to_go_on():
    with h.Place() as place:
        h.write(os.path.join(place.local, "file"), h.incompressible(64 << 20, 1))
        status, screen, _ = on_terminal(place, ["-l", "40m", "file", "host:copy"], 80, interrupt=True)
        text = "\n".join(screen.rows)
        assert status == 1, text
        h.assert_in("lhcp: error 28: ", text)
        h.assert_in("The same command again", text)
        place.run("file", "host:copy")
        h.assert_same(os.path.join(place.local, "file"), os.path.join(place.remote, "copy"))


if __name__ == "__main__":
    h.main(sys.modules[__name__], "cli")
