# SPDX-License-Identifier: Apache-2.0
"""lhctl attacks as a program: inputs of every kind, outputs, guards, following. LH_BUILD names the build."""
import csv
import gzip
import io
import json
import lzma
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
BUILD = os.environ.get("LH_BUILD", os.path.join(HERE, "../../build"))
LHCTL = os.path.join(BUILD, "src/cmd/lhctl")
ENV = {**os.environ, "TZ": "UTC", "LC_ALL": "C.UTF-8"}
ENV.pop("SSH_CONNECTION", None)
ATTACKER, INNOCENT = "198.51.100.7", "203.0.113.9"


class Skip(Exception):
    pass


def lhctl(*words, data=None, status=None):
    done = subprocess.run([LHCTL, "attacks", *words], input=data, capture_output=True, env=ENV, timeout=60, check=False)
    if status is not None:
        assert done.returncode == status, "%s: exit status %d: %s" % (words, done.returncode, done.stderr.decode())
    return done.stdout.decode()


def stamp(second):
    return "2026-05-20T%02d:%02d:%02dZ" % (4 + second // 3600, second // 60 % 60, second % 60)


def failures(count, address=ATTACKER, start=0, user="root", pid=1000):
    """`count` failed passwords, one a second."""
    return ["%s ftp1 sshd[%d]: Failed password for %s from %s port %d ssh2" % (stamp(start + n), pid + n, user, address, 2000 + n % 60000)
            for n in range(count)]


def write(folder, name, lines):
    path = os.path.join(folder, name)
    with open(path, "w") as file:
        file.write("".join(line + "\n" for line in lines))
    return path


def rows(text):
    return [json.loads(line) for line in text.splitlines()]


def sources(text):
    return {row["address"]: row for row in rows(text) if row["type"] == "source"}


def test_exit_status_says_what_was_found(folder):
    lhctl(write(folder, "quiet", ["2026-05-20T04:00:00Z ftp1 sshd[1]: Server listening on 0.0.0.0 port 33001."]), status=0)
    lhctl(write(folder, "attack", failures(8)), status=1)
    lhctl(write(folder, "alarm", failures(8) + ["2026-05-20T04:01:00Z ftp1 sshd[9]: Accepted password for root from %s port 9 ssh2" % ATTACKER]),
          status=2)
    lhctl("/nonexistent", status=70)
    lhctl("--frobnicate", status=64)


def test_rotated_and_packed_files_are_read_in_the_order_of_time(folder):
    parts = [failures(3, start=60 * n, pid=1000 + 10 * n) for n in range(4)]
    text = ["".join(line + "\n" for line in part).encode() for part in parts]
    names = ["auth.log", "auth.log.1", "auth.log.2.gz", "auth.log.3.xz"]
    for name, data in zip(names, reversed(text)):
        pack = gzip.compress if name.endswith("gz") else lzma.compress if name.endswith("xz") else bytes
        with open(os.path.join(folder, name), "wb") as file:
            file.write(pack(data))
    if shutil.which("zstd"):
        subprocess.run(["zstd", "-q", os.path.join(folder, "auth.log.1")], check=True)
        os.remove(os.path.join(folder, "auth.log.1"))
        names[1] += ".zst"
    found = sources(lhctl("--json", *[os.path.join(folder, n) for n in names], status=1))[ATTACKER]
    assert found["tries"] == 12
    assert found["evidence"][0].endswith("auth.log.3.xz:1"), found["evidence"]
    assert found["evidence"][4].startswith(os.path.join(folder, "auth.log")), found["evidence"]
    assert (found["first"], found["last"]) == ("2026-05-20T04:00:00Z", "2026-05-20T04:03:02Z")


def test_a_file_named_twice_counts_once(folder):
    path = write(folder, "log", failures(8))
    link = os.path.join(folder, "link")
    os.link(path, link)
    assert sources(lhctl("--json", path, link, path))[ATTACKER]["tries"] == 8


def test_a_file_and_its_copy_count_once(folder):
    """Packed beside the original, or just being packed; and a shorter copy of before."""
    path = write(folder, "auth.log.1", failures(2000))
    with open(path, "rb") as file:
        text = file.read()
    packed = gzip.compress(text)
    for name, data in (("auth.log.1.gz", packed), ("auth.log.1.gz.part", packed[:len(packed) // 2]),
                       ("auth.log.1.xz", lzma.compress(text)), ("auth.log.old", text[:len(text) // 3])):
        copy = os.path.join(folder, name)
        with open(copy, "wb") as file:
            file.write(data)
        for order in ([path, copy], [copy, path]):
            done = subprocess.run([LHCTL, "attacks", "--json", *order], capture_output=True, env=ENV, timeout=60, check=False)
            assert sources(done.stdout.decode())[ATTACKER]["tries"] == 2000, (name, order)
            assert b"left out" in done.stderr, done.stderr
    # The same second, but not the same text: two hosts.
    other = write(folder, "other", failures(7, pid=9000))
    assert sources(lhctl("--json", path, other))[ATTACKER]["tries"] == 2007


def host_log(host, minutes, *lines):
    """Lines of one host: (second, pid, message), and one of cron's a minute."""
    found = [(60 * n, "%s %s CRON[1]: x" % (stamp(60 * n), host)) for n in range(minutes)]
    found += [(second, "%s %s sshd[%d]: %s" % (stamp(second), host, pid, text)) for second, pid, text in lines]
    return [line for _, line in sorted(found)]


def test_logs_of_several_hosts_are_read_in_the_order_of_time(folder):
    """Failures here, then a login there, is a login after failures; the other way round it is not."""
    failed = [(600 + 2 * n, 100 + n, "Failed password for bob from %s port %d ssh2" % (ATTACKER, 2000 + n)) for n in range(8)]
    login = "Accepted password for bob from %s port 9 ssh2" % ATTACKER
    early = write(folder, "a", host_log("ftp1", 200, (700, 9, login)))
    late = write(folder, "b", ["2026-05-20T04:00:30Z ftp2 CRON[1]: y"] + host_log("ftp2", 200, *failed)[1:])
    for order in ([early, late], [late, early]):
        assert sources(lhctl("--json", *order, status=2))[ATTACKER]["breach"]["failures"] == 8
    with open(late, "rb") as plain, lzma.open(late + ".xz", "wb") as packed:
        packed.write(plain.read())
    assert sources(lhctl("--json", early, late + ".xz", status=2))[ATTACKER]["breach"]["failures"] == 8
    before = write(folder, "a", host_log("ftp1", 200, (500, 9, login)))
    assert not sources(lhctl("--json", before, late, status=0))
    # More files than are read side by side, each with two of the tries.
    many = [write(folder, "m%02d" % n, host_log("ftp%d" % n, 100, *[(1000 + 10 * n + k, 50 + k, failed[k][2]) for k in range(2)])) for n in range(20)]
    assert sources(lhctl("--json", *many, status=1))[ATTACKER]["tries"] == 40


def test_packed_data_that_is_damaged_or_cut_off_is_an_error(folder):
    data = gzip.compress(b"x" * 100000 + os.urandom(5000))
    for name, broken in (("cut.gz", data[:len(data) // 2]), ("bad.gz", data[:2000] + b"\0" * 100 + data[2100:])):
        with open(os.path.join(folder, name), "wb") as file:
            file.write(broken)
        lhctl(os.path.join(folder, name), status=70)
    with open(os.path.join(folder, "two.gz"), "wb") as file:
        for part in (failures(4), failures(4, start=4, pid=2000)):
            file.write(gzip.compress("".join(line + "\n" for line in part).encode()))
    assert sources(lhctl("--json", os.path.join(folder, "two.gz")))[ATTACKER]["tries"] == 8


def test_standard_input_and_lines_of_any_length_and_any_bytes(folder):
    junk = [b"x" * 3000000, b"\0\xff\x80" * 1000, b"2026-05-20T04:00:00Z ftp1 sshd[1]: " + b"A" * 600000]
    data = b"\n".join(junk + [line.encode() for line in failures(8)] + junk)
    assert sources(lhctl("--json", "-", data=data, status=1))[ATTACKER]["tries"] == 8


def test_a_large_log_is_read_in_flat_memory(folder):
    path = os.path.join(folder, "log")
    subprocess.run([sys.executable, os.path.join(HERE, "../../bench/attack_log.py"), "2e7"], stdout=open(path, "wb"), check=True)
    with open(LHCTL, "rb") as file:
        if re.search(b"__[at]san", file.read()):
            raise Skip("a sanitizer's memory is its own")
    # A limit, not a measurement: what getrusage says of a child includes this program's own memory before exec.
    done = subprocess.run(["prlimit", "--data=%d" % (64 << 20), LHCTL, "attacks", path], env=ENV, capture_output=True,
                          check=False)
    assert done.returncode == 1, "exit status %d: %s" % (done.returncode, done.stderr.decode())


def test_a_million_sources_hide_nobody_within_flat_memory(folder):
    """Every address once, and one a hundred times between them."""
    path = os.path.join(folder, "log")
    text = "%s ftp1 sshd[%d]: Failed password for root from %s port 9 ssh2\n"
    with open(path, "w") as file:
        for n in range(1000000):
            file.write(text % (stamp(n // 100), n % 60000 + 1, "%d.%d.%d.7" % (11 + (n >> 16), n >> 8 & 255, n & 255)))
            if n % 10000 == 0:
                file.write(text % (stamp(n // 100), 65000 + n // 10000, ATTACKER))
    with open(LHCTL, "rb") as file:
        if re.search(b"__[at]san", file.read()):
            raise Skip("a sanitizer's memory is its own")
    done = subprocess.run(["prlimit", "--data=%d" % (64 << 20), LHCTL, "attacks", "--json", path], env=ENV, capture_output=True, check=False)
    assert done.returncode == 1, "exit status %d: %s" % (done.returncode, done.stderr.decode())
    found = rows(done.stdout.decode())
    first = [row for row in found if row["type"] == "source"][0]
    assert first["address"] == ATTACKER and 100 <= first["tries"] < 150, first


def test_stamps_without_a_zone_are_read_in_the_local_one(folder):
    for stamp, first in (("2026-01-20 04:%02d:00", "2026-01-20T03:00:00Z"), ("2026-07-20 04:%02d:00", "2026-07-20T02:00:00Z"),
                         ("2026-07-20T04:%02d:00+05:30", "2026-07-19T22:30:00Z")):
        path = write(folder, "log", [(stamp % n) + " ftp1 sshd[%d]: Failed password for root from %s port 9 ssh2" % (n + 1, ATTACKER)
                                     for n in range(8)])
        os.environ["TZ"] = ENV["TZ"] = "CET-1CEST,M3.5.0,M10.5.0/3"
        try:
            assert sources(lhctl("--json", path))[ATTACKER]["first"] == first
        finally:
            os.environ["TZ"] = ENV["TZ"] = "UTC"


def test_since_and_until_leave_out_what_is_outside(folder):
    path = write(folder, "log", failures(120))
    assert sources(lhctl("--json", "--since", "2026-05-20 04:01Z", path))[ATTACKER]["tries"] == 60
    assert sources(lhctl("--json", "--since", "2026-05-20 04:00:30Z", "--until", "2026-05-20 04:00:59Z", path))[ATTACKER]["tries"] == 30
    for wrong in ("yesterday", "2026-13-45", "12", "5y", ""):
        lhctl("--since", wrong, path, status=64)


def test_a_guarded_source_is_reported_and_never_blocked(folder):
    path = write(folder, "log", failures(8) + failures(8, "2001:db8::7", 20, pid=3000) + failures(8, "127.0.0.1", 40, pid=4000))
    for how in ("nft", "fail2ban", "crowdsec", "penalties"):
        text = lhctl("--block", how, path)
        if how in ("nft", "crowdsec"):
            assert ATTACKER in text and "2001:db8::7" in text
            assert "127.0.0.1 timeout" not in text and '"127.0.0.1"' not in text
    text = lhctl("--block", "nft", "--guard", "198.51.100.0/24", path)
    assert "# not blocked: %s, guarded by --guard" % ATTACKER in text
    assert ATTACKER + " timeout" not in text
    assert sources(lhctl("--json", "--guard", ATTACKER, path))[ATTACKER]["never_blocked"] == "guarded by --guard"
    assert [r["value"] for r in json.loads(lhctl("--block", "crowdsec", "--guard", ATTACKER, path))] == ["2001:db8::7"]
    login = ["2026-05-20T04:01:50Z ftp1 sshd[9]: Accepted publickey for bob from 198.51.100.8 port 9 ssh2"]
    path = write(folder, "login", login + failures(30, "198.51.100.8"))
    assert "198.51.100.8" in sources(lhctl("--json", path)) and "198.51.100.8 timeout" not in lhctl("--block", "nft", path)


def test_nft_takes_the_text(folder):
    path = write(folder, "log", failures(8) + failures(8, "2001:db8::7", 20, pid=3000))
    rules = write(folder, "rules", lhctl("--block", "nft", "--block-hours", "7", path).splitlines())
    if shutil.which("nft") is None or os.geteuid() != 0:
        raise Skip("nft and root are needed")
    done = subprocess.run(["unshare", "-n", "sh", "-c", "nft -f %s && nft -f %s && nft list ruleset" % (rules, rules)], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    assert "198.51.100.7 timeout 7h" in done.stdout.decode() and "2001:db8::7 timeout 7h" in done.stdout.decode()


def test_fail2ban_takes_the_jail(folder):
    if shutil.which("fail2ban-client") is None:
        raise Skip("fail2ban is not here")
    shutil.copytree("/etc/fail2ban", os.path.join(folder, "etc"))
    jail = lhctl("--block", "fail2ban", write(folder, "log", failures(8)))
    write(os.path.join(folder, "etc"), "jail.d/lhctl.conf", jail.splitlines())
    write(os.path.join(folder, "etc"), "jail.local", ["[sshd]", "logpath = " + os.path.join(folder, "log"), "backend = polling"])
    done = subprocess.run(["fail2ban-client", "-c", os.path.join(folder, "etc"), "-t"], capture_output=True, check=False)
    assert done.returncode == 0 and b"successful" in done.stdout, done
    assert "fail2ban-client set sshd banip " + ATTACKER in jail


def test_systemd_takes_the_service_of_the_manual(folder):
    if shutil.which("systemd-analyze") is None:
        raise Skip("systemd-analyze is not here")
    with open(os.path.join(HERE, "../../man/lhctl-attacks.8")) as file:
        unit = re.search(r"\n(\[Service\]\n.*?)\.Ed\n", file.read(), re.S).group(1).replace("\\e\n", "\\\n")
    assert "--state=" in unit
    path = write(folder, "lhctl-attacks.service", unit.replace("/usr/sbin/lhctl", os.path.abspath(LHCTL)).splitlines())
    done = subprocess.run(["systemd-analyze", "verify", path], capture_output=True, check=False)
    assert done.returncode == 0 and not done.stderr, done


def test_hostile_names_end_no_line_and_no_string_of_any_output(folder):
    evil = '\\"><script>alert(1)</script>\x1b[2J\',=cmd|x\x07'
    path = os.path.join(folder, "log")
    with open(path, "wb") as file:
        for n in range(8):
            file.write(b"2026-05-20T04:00:%02dZ ftp1 sshd[%d]: Failed password for invalid user %s from %s port 9 ssh2\n" % (
                n, n + 1, evil.encode("latin-1") + b"\xff" + str(n).encode(), ATTACKER.encode()))
    for row in rows(lhctl("--json", path)):
        assert row["type"]
    table = list(csv.reader(io.StringIO(lhctl("--csv", path), newline="")))
    assert len({len(line) for line in table}) == 1 and len(table) == 2, table
    page = lhctl("--html", path)
    assert "<script" not in page and "&lt;script&gt;" in page
    for text in (page, lhctl(path), lhctl("--json", path), lhctl("--abuse", ATTACKER, "--from", "a@b.org", path)):
        assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", text)


def test_the_report_is_80_columns_wide(folder):
    path = write(folder, "log", failures(300) + failures(8, "2001:db8:1111:2222:3333:4444:5555:6666", 20, user="invalid user " + "n" * 31, pid=5000) +
                 failures(9, "2001:db8:1111:2222:3333:4444:5555:7777", 400, user="b" * 31, pid=6000) +
                 ["%s ftp1 sshd[7]: Accepted keyboard-interactive/pam for %s from 2001:db8:1111:2222:3333:4444:5555:7777 port 9 ssh2" % (stamp(420), "b" * 31)])
    assert "ALARM" in lhctl(path)
    for line in lhctl(path).splitlines() + lhctl("--ascii", path).splitlines():
        assert len(line) <= 80, line
    assert lhctl("--ascii", path).isascii()


def test_one_is_no_plural(folder):
    log = ["2026-05-20T04:00:00Z ftp1 sshd[5]: Failed password for root from %s port 9 ssh2" % INNOCENT,
           "2026-05-20T04:00:01Z ftp1 sshd[6]: Bad protocol version identification 'x' from %s port 9" % ATTACKER,
           "2026-05-20T04:00:02Z ftp1 sshd[1]: srclimit_penalise: 198.51.100.9/32: activating ipv4 penalty of 90 seconds for penalty: caused crash"]
    path = write(folder, "log", log)
    plurals = r"\b1 (user )?(tries|logins|connections|sources|users|names|lines|times|failures|passwords|attempts)\b"
    for words in ([], ["--html"], ["--abuse", ATTACKER, "--from", "a@example.org"], ["--abuse", ATTACKER, "--xarf", "--from", "a@example.org"]):
        text = lhctl("--harmless", *words, path)
        assert text and not re.search(plurals, text), text


def test_an_alarm_says_that_its_source_is_not_blocked(folder):
    path = write(folder, "log", failures(8, user="bob") + ["2026-05-20T04:01:00Z ftp1 sshd[9]: Accepted password for bob from %s port 9 ssh2" % ATTACKER])
    for words in ([], ["--html"]):
        text = " ".join(lhctl(*words, path, status=2).split())
        assert "--block leaves this address out: somebody logged in from there within 30 days. If it was not the user, shut it out by hand." in text, text
    assert sources(lhctl("--json", path))[ATTACKER]["never_blocked"] == "somebody logged in from there within 30 days"
    assert "# not blocked: " + ATTACKER in lhctl("--block", "nft", path)


def penalised(settings, times):
    """What sshd makes of failed connections at `times` (seconds): from when to when their source is shut out, or None.
    As in OpenSSH's srclimit.c, 9.8 to 10.5."""
    expiry = 0
    for now in times:
        expiry = now + settings["authfail"] if expiry < now else min(expiry + settings["authfail"], now + settings["max"])
        if expiry - now > settings["min"]:
            return now, expiry
    return None


def test_the_penalties_do_what_their_text_says(folder):
    path = write(folder, "log", failures(8) + ["2026-05-20T04:01:00Z ftp1 sshd[9]: Accepted publickey for bob from 2001:db8:1:2::5 port 9 ssh2"])
    for hours in (1, 24, 8760):
        text = lhctl("--block", "penalties", "--block-hours", str(hours), path)
        said = re.search(r"The fourth connection within (\d+) min that fails to log in shuts its source out, for (\d+) to (\d+) min", text)
        quarter, least, most = [60 * int(number) for number in said.groups()]
        assert most == hours * 3600
        line = re.search(r"(?m)^PerSourcePenalties (.*)$", text).group(1)
        settings = {name: 60 * int(value) for name, value in re.findall(r"(\S+):(\d+)m(?= |$)", line)}
        assert penalised(settings, [0, 1, 2]) is None and penalised(settings, [0, 1, 2, quarter]) is None
        for fourth in (3, quarter - 1):
            begin, end = penalised(settings, [0, 1, 2, fourth])
            assert begin == fourth and least < end - begin <= most, (begin, end)
        # One that exceeds LoginGraceTime costs `crash` up to 9.9: it alone must not shut anybody out.
        assert settings["crash"] <= settings["min"] and settings["grace-exceeded"] <= settings["min"]
        assert "\n#PerSourcePenalties invaliduser:" in text
        assert re.search(r"(?m)^PerSourcePenaltyExemptList .*,2001:db8:1:2::/64(,|$)", text), text


def test_the_administrators_network_is_guarded(folder):
    path = write(folder, "log", failures(8, "2001:db8:1:2::7") + failures(8, "192.0.2.70", 20, pid=3000))
    ENV["SSH_CONNECTION"] = "2001:db8:1:2:aaaa::1 50000 2001:db8::1 33001"
    try:
        assert sources(lhctl("--json", path))["2001:db8:1:2::7"]["never_blocked"] == "you are logged in from there"
        ENV["SSH_CONNECTION"] = "192.0.2.71 50000 192.0.2.1 33001"
        assert "never_blocked" not in sources(lhctl("--json", path))["192.0.2.70"]
    finally:
        del ENV["SSH_CONNECTION"]


def test_the_contact_is_asked_for_on_request_only(folder):
    """Against a name server of our own, in namespaces of their own."""
    if os.geteuid() != 0:
        raise Skip("root is needed for a name server of our own")
    path = write(folder, "log", failures(8))
    resolv = write(folder, "resolv.conf", ["nameserver 127.0.0.1"])
    for lookup, to in (([], "To: (the abuse contact of %s)" % ATTACKER), (["--lookup"], "To: abuse@example.net, noc@example.net")):
        inside = "ip link set lo up && mount --bind %s /etc/resolv.conf && exec %s %s --name-server %s %s" % (
            resolv, sys.executable, os.path.abspath(__file__), folder, " ".join(lookup))
        done = subprocess.run(["unshare", "-n", "-m", "sh", "-c", inside], capture_output=True, env=ENV, timeout=60, check=False)
        if b"unshare:" in done.stderr or b"mount:" in done.stderr:
            raise Skip("no namespaces here")
        asked, _, mail = done.stdout.decode().partition("\n")
        assert to in mail, done
        assert asked == ("asked: 7.100.51.198.abuse-contacts.abusix.zone" if lookup else "asked: "), asked


def name_server(folder, lookup):
    """Prints what was asked, then the report of lhctl attacks on folder/log."""
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind(("127.0.0.1", 53))
    server.settimeout(0.1)
    process = subprocess.Popen([LHCTL, "attacks", "--abuse", ATTACKER, "--from", "a@example.org", *lookup, os.path.join(folder, "log")],
                               stdout=subprocess.PIPE)
    asked = set()
    while process.poll() is None:
        try:
            question, peer = server.recvfrom(4096)
        except TimeoutError:
            continue
        at, labels = 12, []
        while question[at]:
            labels.append(question[at + 1:at + 1 + question[at]].decode())
            at += 1 + question[at]
        asked.add(".".join(labels))
        text = b"abuse@example.net,noc@example.net"
        server.sendto(question[:2] + b"\x81\x80\0\1\0\1\0\0\0\0" + question[12:at + 5] + b"\xc0\x0c\0\x10\0\1\0\0\0\x3c" +
                      bytes([0, len(text) + 1, len(text)]) + text, peer)
    print("asked: " + " ".join(sorted(asked)))
    print(process.stdout.read().decode())


def test_the_page_needs_nothing_from_elsewhere(folder):
    page = lhctl("--html", write(folder, "log", failures(8)))
    assert "<svg" in page and ATTACKER in page
    assert not re.search(r"(src|href)=|url\(|@import|<script", page)


def test_an_abuse_report_has_what_desks_ask_for(folder):
    path = write(folder, "log", failures(30))
    mail = lhctl("--abuse", ATTACKER, "--from", "noc@example.org", "--port", "2222", path)
    for piece in ("From: noc@example.org", "whois " + ATTACKER, "7.100.51.198.abuse-contacts.abusix.zone", "2026-05-20T04:00:00Z (UTC)",
                  "TCP port 2222", "30 in 30 connections"):
        assert piece in mail, piece
    assert len(re.findall(r"Failed password", mail)) == 10
    report = json.loads(lhctl("--abuse", ATTACKER, "--xarf", "--from", "noc@example.org", path))
    assert report["source_identifier"] == ATTACKER and report["type"] == "login_attack" and report["category"] == "connection"
    assert report["first_seen"] == "2026-05-20T04:00:00Z" and report["reporter"]["domain"] == "example.org"
    done = subprocess.run([LHCTL, "attacks", "--abuse", ATTACKER, "--xarf", "--from", "noc@example.org", path], capture_output=True, env=ENV, check=False)
    assert "To: (the abuse contact of %s)" % ATTACKER in done.stderr.decode() and "whois" in done.stderr.decode()
    lhctl("--abuse", "192.0.2.77", "--from", "noc@example.org", path, status=70)
    lhctl("--abuse", ATTACKER, path, status=64)
    lhctl("--abuse", ATTACKER, "--from", "noc@example.org", "-", data=b"x", status=70)


def test_a_report_that_fails_leaves_the_old_one(folder):
    path = write(folder, "log", failures(8))
    out = write(folder, "report", ["the old one"])
    for address in ("nobody", INNOCENT):
        lhctl("--abuse", address, "--from", "abuse@example.org", "-o", out, path, status=70)
        with open(out) as file:
            assert file.read() == "the old one\n", address
    lhctl("--abuse", ATTACKER, "--from", "abuse@example.org", "-o", out, path, status=1)
    with open(out) as file:
        assert "Subject: SSH login attack from " + ATTACKER in file.read()


def test_a_masked_report_does_not_name_this_machine(folder):
    import socket
    name = socket.gethostname()
    short = name.split(".")[0]
    log = [line.replace(" ftp1 ", " %s " % short).replace("root", "x%sx" % short) for line in failures(8)]
    path = write(folder, "log", log)
    for words in (["--abuse", ATTACKER, "--from", "a@example.org"], ["--json"], ["--html"], ["--block", "nft"]):
        assert not re.search(r"(?<![a-zA-Z0-9])%s(?![a-zA-Z0-9])" % short, lhctl("--mask", *words, path)), words
    assert "x%sx from %s " % (short, ATTACKER) in lhctl("--mask", "--abuse", ATTACKER, "--from", "a@example.org", path)


def test_evidence_is_a_new_directory_whose_sums_are_right(folder):
    path = write(folder, "log", failures(8))
    bundle = os.path.join(folder, "evidence")
    lhctl("--evidence", bundle, "--from", "noc@example.org", path)
    done = subprocess.run(["sha256sum", "-c", "SHA256SUMS"], cwd=bundle, capture_output=True, check=False)
    assert done.returncode == 0, done.stdout
    names = set(os.listdir(bundle))
    assert {"report.txt", "report.json", "report.csv", "report.html", ATTACKER + ".log", ATTACKER + ".mail.txt", ATTACKER + ".xarf.json"} <= names
    with open(os.path.join(bundle, ATTACKER + ".log")) as kept, open(path) as log:
        assert kept.read() == log.read()
    assert os.stat(bundle).st_mode & 0o077 == 0
    lhctl("--evidence", bundle, path, status=70)


def test_lines_of_the_journal_are_shown_as_syslog_has_them(folder):
    path = os.path.join(folder, "journal.json")
    with open(path, "w") as file:
        for n in range(8):
            file.write(json.dumps({"__CURSOR": "c", "_UID": "0", "_COMM": "sshd", "_PID": str(n + 1), "_MACHINE_ID": "machine-7",
                                   "__REALTIME_TIMESTAMP": str(1779250000000000 + n * 1000000),
                                   "MESSAGE": "Failed password for root from %s port %d ssh2" % (ATTACKER, 2000 + n)}) + "\n")
    bundle = os.path.join(folder, "evidence")
    lhctl("--evidence", bundle, "--from", "noc@example.org", path)
    with open(os.path.join(bundle, ATTACKER + ".mail.txt")) as file:
        bundled = file.read()
    for mail in (bundled, lhctl("--abuse", ATTACKER, "--from", "noc@example.org", path)):
        assert "\n2026-05-20T04:06:47Z sshd[8]: Failed password for root from %s port 2007 ssh2\n" % ATTACKER in mail, mail
        assert "machine-7" not in mail and "CURSOR" not in mail
    with open(os.path.join(bundle, ATTACKER + ".log")) as kept, open(path) as log:
        assert kept.read() == log.read()


def test_options_that_do_not_fit_are_refused(folder):
    path = write(folder, "log", failures(8))
    for words in (["--json", "--csv"], ["--journal", path], ["--xarf"], ["--lookup"], ["--state", "x"], ["--follow", "--html", path],
                  ["--follow", path, path], ["--block", "iptables"], ["--guard", "example.org"], ["--guard", "192.0.2.0/33"],
                  ["--connections", "--csv"], ["--block-hours", "0", path], ["--block", "nft", "--json"]):
        lhctl(*words, status=64)


def test_connections_are_told_beside_the_log(folder):
    import socket
    server = socket.create_server(("127.0.0.1", 0))
    port = server.getsockname()[1]
    clients = [socket.create_connection(("127.0.0.1", port)) for _ in range(20)]
    path = write(folder, "log", failures(8, "127.0.0.1"))
    text = lhctl("--connections", "--interval", "1", "--port", str(port), path)
    assert "Connections now: 20 of 1 peer," in text and "127.0.0.1" in text, text
    assert "20 open all the time without a login in the log" in text and "in the log: burst" in text
    assert "accuses nobody" in text
    found = [r for r in rows(lhctl("--json", "--connections", "--interval", "1", "--port", str(port), path)) if r["type"] == "connections"]
    assert found[0]["states"] == {"ESTABLISHED": 20} and found[0]["staying"] == 20
    for client in clients:
        client.close()


def test_what_connections_mean_is_told(folder):
    """In a network of its own, where nft lets no answer to a SYN out to some: half-open ones, ports in a row, logins and none."""
    if os.geteuid() != 0 or shutil.which("nft") is None:
        raise Skip("nft and root are needed")
    log = write(folder, "log", ["%s ftp1 sshd[%d]: Accepted publickey for bob from 198.51.100.20 port %d ssh2" % (stamp(n), n + 1, 40000 + n) for n in range(5)])
    rules = "add table inet t; add chain inet t o { type filter hook output priority 0; }; add rule inet t o ip daddr 198.51.100.30 tcp flags syn,ack drop"
    inside = "ip link set lo up && ip route add local 198.51.100.0/24 dev lo && nft '%s' && exec %s %s --connections %s" % (
        rules, sys.executable, os.path.abspath(__file__), log)
    done = subprocess.run(["unshare", "-n", "sh", "-c", inside], capture_output=True, env=ENV, timeout=60, check=False)
    if b"unshare:" in done.stderr or b"nft" in done.stderr:
        raise Skip("no namespaces or no nft here")
    text = done.stdout.decode()
    for piece in ("20 half open: a flood of SYNs", "20 ports in a row from 41000: one program", "in the log: 5 logged in",
                  "20 open all the time without a login in the log", "closed by sshd first", "accuses nobody"):
        assert piece in text, (piece, text, done.stderr)


def make_connections(log):
    """Prints what lhctl attacks makes of connections of every kind to a server that accepts them."""
    server = socket.create_server(("0.0.0.0", 0), backlog=200)
    port, kept = server.getsockname()[1], []

    def connect(address, own, blocking=True):
        client = socket.socket()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        client.bind((address, own))
        client.setblocking(blocking)
        client.connect_ex(("127.0.0.1", port))
        kept.append(client)
        return server.accept()[0] if blocking else None

    for n in range(20):
        connect("198.51.100.30", 0, False)
        kept.append(connect("198.51.100.10", 41000 + n))
        if n < 5:
            kept.append(connect("198.51.100.20", 40000 + n))
        connect("198.51.100.40", 0).close()  # the server closes first
        kept.pop().close()
    done = subprocess.run([LHCTL, "attacks", "--connections", "--interval", "1", "--port", str(port), log], stdout=subprocess.PIPE, check=False)
    print(done.stdout.decode())


class Follower:
    def __init__(self, *words, limit=None, out=subprocess.PIPE):
        prefix = ["prlimit", "--data=%d" % limit] if limit is not None else []
        self.process = subprocess.Popen([*prefix, LHCTL, "attacks", "--follow", "--json", "--interval", "1", *words], stdout=out,
                                        stderr=subprocess.PIPE, env=ENV)
        if out == subprocess.PIPE:
            os.set_blocking(self.process.stdout.fileno(), False)
        self.text = b""

    def rows(self):
        try:
            self.text += self.process.stdout.read() or b""
        except BlockingIOError:
            pass
        return [json.loads(line) for line in self.text[:self.text.rfind(b"\n") + 1].splitlines()]

    def wait(self, what, seconds=30):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if what(self.rows()):
                return
            assert self.process.poll() is None, self.process.stderr.read()
            time.sleep(0.1)
        raise AssertionError("not told: %s" % self.text)

    def end(self, number):
        self.process.send_signal(number)
        self.process.wait(20)
        if self.process.stdout is not None:
            self.process.stdout.close()
        self.process.stderr.close()


def append(path, lines):
    with open(path, "a") as file:
        file.write("".join(line + "\n" for line in lines))


def until(what, seconds=60):
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.05)


def holds(path, what):
    """Whether a file is there and has these bytes: a state is written after what it holds was told."""
    try:
        with open(path, "rb") as file:
            return what in file.read()
    except FileNotFoundError:
        return False


def told(address, tries):
    return lambda found: any(r["address"] == address and r["tries"] >= tries for r in found)


def test_following_survives_rotation_and_truncation(folder):
    path = write(folder, "auth.log", failures(2))
    follower = Follower(path)
    try:
        append(path, failures(3, start=2, pid=1002))
        follower.wait(told(ATTACKER, 5))
        os.rename(path, path + ".1")
        append(path + ".1", failures(4, "198.51.100.8", 10, pid=2000))
        write(folder, "auth.log", failures(4, "198.51.100.8", 14, pid=2004))
        follower.wait(told("198.51.100.8", 8))
        with open(path, "w") as file:
            file.truncate()
        append(path, failures(2, "198.51.100.9", 30, pid=3000))
        time.sleep(1.5)
        append(path, failures(5, "198.51.100.9", 32, pid=3002))
        follower.wait(told("198.51.100.9", 7))
    finally:
        follower.end(signal.SIGTERM)
    assert follower.process.returncode == 0


def test_what_was_written_before_copytruncate_is_read_from_the_copy(folder):
    """While the follower is stopped: more lines, a copy, truncation, and as many new lines as there were before."""
    path = write(folder, "auth.log", failures(4))
    follower = Follower(path)
    try:
        time.sleep(1)
        for turn in range(2):
            follower.process.send_signal(signal.SIGSTOP)
            append(path, failures(3, start=100 * turn + 10, pid=2000 + 100 * turn))
            shutil.copyfile(path, path + ".1")
            os.truncate(path, 0)
            append(path, failures(9, start=100 * turn + 20, pid=3000 + 100 * turn))
            follower.process.send_signal(signal.SIGCONT)
            time.sleep(1)
        append(path, ["2026-05-20T05:00:00Z ftp1 sshd[9]: Accepted password for root from %s port 9 ssh2" % ATTACKER])
        follower.wait(lambda found: any(r["kind"] == "breach" for r in found))
        assert [r["tries"] for r in follower.rows()][-1] == 28, follower.text
    finally:
        follower.end(signal.SIGTERM)


def test_the_renamed_log_is_read_until_the_new_one_is_in_use(folder):
    """A log daemon writes into the old file until it is told to open the new one; also across a restart."""
    path = write(folder, "auth.log", failures(2))
    state = os.path.join(folder, "state")
    follower = Follower("--state", state, path)
    try:
        time.sleep(1)
        os.rename(path, path + ".1")
        write(folder, "auth.log", [])
        time.sleep(1.5)
        append(path + ".1", failures(2, start=10, pid=2000))
        time.sleep(1.5)
        follower.end(signal.SIGTERM)
        append(path + ".1", failures(2, start=20, pid=3000))
        follower = Follower("--state", state, path)
        time.sleep(1.5)
        append(path + ".1", failures(2, start=30, pid=4000))
        time.sleep(1.5)
        append(path, failures(2, start=40, pid=5000) +
               ["2026-05-20T05:00:00Z ftp1 sshd[9]: Accepted password for root from %s port 9 ssh2" % ATTACKER])
        follower.wait(lambda found: any(r["kind"] == "breach" for r in found))
        assert [r["tries"] for r in follower.rows()][-1] == 10, follower.text
    finally:
        follower.end(signal.SIGTERM)


def test_what_cannot_be_followed_is_said(folder):
    os.mkfifo(os.path.join(folder, "pipe"))
    for path in (folder, os.path.join(folder, "pipe"), "/dev/null"):
        done = subprocess.run([LHCTL, "attacks", "--follow", path], capture_output=True, env=ENV, timeout=20, check=False)
        assert done.returncode == 70, done
        assert b"is not a regular file" in done.stderr or b"is a directory" in done.stderr, done.stderr
    with open("/dev/full", "wb") as full:
        done = subprocess.run([LHCTL, "attacks", "--follow", write(folder, "log", failures(8))], stdout=full, stderr=subprocess.PIPE,
                              env=ENV, timeout=20, check=False)
    assert done.returncode == 70 and b"cannot write" in done.stderr, done
    # The new log is none: that is told once, and what was rotated away is read all the same.
    path = write(folder, "auth.log", failures(2))
    follower = Follower(path)
    try:
        time.sleep(1)
        os.rename(path, path + ".1")
        os.mkdir(path)
        append(path + ".1", failures(6, start=10, pid=2000))
        follower.wait(told(ATTACKER, 8))
        time.sleep(1)
        os.rmdir(path)
        write(folder, "auth.log", failures(8, "198.51.100.8", 20, pid=3000))
        follower.wait(told("198.51.100.8", 8))
        follower.process.send_signal(signal.SIGTERM)
        follower.process.wait(20)
        assert follower.process.stderr.read().count(b"is not a regular file") == 1
    finally:
        follower.end(signal.SIGTERM)


def test_a_full_disk_under_the_state_ends_no_watch(folder):
    if os.geteuid() != 0:
        raise Skip("root is needed to mount a small disk")
    path = write(folder, "auth.log", failures(8) + sum((failures(1, "192.0.2.%d" % n, n, pid=5000 + n) for n in range(10, 50)), []))
    disk = os.path.join(folder, "disk")
    os.mkdir(disk)
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4k", "none", disk], capture_output=True, check=False)
    if done.returncode != 0:
        raise Skip("cannot mount here")
    follower = Follower("--state", os.path.join(disk, "state"), path)
    try:
        follower.wait(told(ATTACKER, 8))
        append(path, failures(8, "198.51.100.8", 20, pid=3000))
        follower.wait(told("198.51.100.8", 8))
        follower.process.send_signal(signal.SIGTERM)
        follower.process.wait(20)
        text = follower.process.stderr.read()
        assert text.count(b"No space left") == 2 and follower.process.returncode == 70, (text, follower.process.returncode)
        assert os.listdir(disk) == []
    finally:
        follower.end(signal.SIGTERM)
        subprocess.run(["umount", disk], check=True)


def rotate(path, number):
    """As logrotate does, in one of its ways: rename or copy, and pack the one before or not. It keeps very many: on a
    machine that has no time for the follower, the oldest would go unread."""
    for age in range(500, 0, -1):
        for packed in ("", ".gz"):
            if os.path.exists("%s.%d%s" % (path, age, packed)):
                os.rename("%s.%d%s" % (path, age, packed), "%s.%d%s" % (path, age + 1, packed))
    if number.random() < 0.3:
        shutil.copyfile(path, path + ".1")
        os.truncate(path, 0)
    else:
        os.rename(path, path + ".1")
        open(path, "w").close()
    if number.random() < 0.5:
        with open(path + ".1", "rb") as plain, gzip.open(path + ".1.gz", "wb") as packed:
            packed.write(plain.read())
        os.remove(path + ".1")


def test_kills_at_any_time_lose_nothing_and_count_nothing_twice(folder):
    rounds = int(os.environ.get("LH_KILL_ROUNDS", "10"))
    seed = int(os.environ.get("LH_TEST_SEED", "11"))
    number = random.Random(seed)
    path, state = write(folder, "auth.log", failures(8, "198.51.100.250")), os.path.join(folder, "state")
    counts, second = dict.fromkeys(["198.51.100.%d" % n for n in range(1, 21)], 0), 10
    follower = Follower("--state", state, path)  # what was rotated away before the very first run is not asked for
    follower.wait(told("198.51.100.250", 8))
    follower.end(signal.SIGTERM)
    for turn in range(rounds):
        follower = Follower("--state", state, path)
        for step in range(number.randrange(1, 5)):
            lines = failures(8, "203.0.%d.%d" % (turn, step + 1), second, pid=100 + second * 7)  # news, so that the state is written
            for address in number.choices(list(counts), k=number.randrange(200)):
                second += number.random() < 0.2
                counts[address] += 1
                lines += failures(1, address, second, pid=100000 + sum(counts.values()))
            second += 8
            append(path, lines)
            time.sleep(number.random() * 0.8)
            if number.random() < 0.6:
                rotate(path, number)
        follower.end(signal.SIGKILL)
        if number.random() < 0.5:
            rotate(path, number)
    follower = Follower("--state", state, path)
    try:
        append(path, ["%s ftp1 sshd[%d]: Accepted password for root from %s port 9 ssh2" % (stamp(second), n + 1, address)
                      for n, address in enumerate(counts)])
        follower.wait(lambda found: len({r["address"] for r in found if r["kind"] == "breach"}) == len(counts))
        found = {r["address"]: r["tries"] for r in follower.rows() if r["kind"] == "breach"}
        assert found == counts, "seed %d: %s" % (seed, {a: (found[a], counts[a]) for a in counts if found[a] != counts[a]})
    finally:
        follower.end(signal.SIGTERM)


def test_following_without_a_name_takes_the_log_that_grows(folder):
    if os.geteuid() != 0:
        raise Skip("root is needed to mount over /var/log")
    append(os.path.join(folder, "auth.log.1"), failures(8, "198.51.100.8"))
    append(os.path.join(folder, "auth.log"), failures(8, start=100))
    hide = "mount --bind %s /var/log && { [ ! -d /run/log ] || mount -t tmpfs none /run/log; }" % folder
    done = subprocess.run(["unshare", "-m", "sh", "-c", hide + " && exec timeout 3 %s attacks --follow --json" % os.path.abspath(LHCTL)],
                          capture_output=True, env=ENV, check=False)
    if b"mount" in done.stderr or b"unshare" in done.stderr:
        raise Skip("cannot mount here")
    assert [r["address"] for r in rows(done.stdout.decode())] == [ATTACKER], done


def test_a_damaged_file_that_nobody_named_is_told_and_left(folder):
    if os.geteuid() != 0:
        raise Skip("root is needed to mount over /var/log")
    append(os.path.join(folder, "auth.log.1"), failures(8, "198.51.100.8"))
    append(os.path.join(folder, "auth.log"), failures(8, start=100))
    with open(os.path.join(folder, "auth.log.2.gz"), "wb") as file:
        packed = gzip.compress("".join(line + "\n" for line in failures(5000, "198.51.100.9")).encode())
        file.write(packed[:len(packed) // 2])
    hide = "mount --bind %s /var/log && { [ ! -d /run/log ] || mount -t tmpfs none /run/log; }" % folder
    program = os.path.abspath(LHCTL)
    for words, status in ((["--json"], 1), (["--json", "/var/log/auth.log.2.gz"], 70),
                          (["--evidence=%s/evidence" % folder, "--json"], 1)):
        done = subprocess.run(["unshare", "-m", "sh", "-c", hide + ' && exec "$@"', "sh", program, "attacks", *words],
                              capture_output=True, env=ENV, check=False, timeout=60)
        if b"mount:" in done.stderr or b"unshare:" in done.stderr:
            raise Skip("cannot mount here")
        assert done.returncode == status, done
        assert done.stderr.count(b"/var/log/auth.log.2.gz: cut off") == 1, done.stderr
        if status == 1:
            assert {ATTACKER, "198.51.100.8"} <= set(sources(done.stdout.decode())), done.stdout


def test_a_killed_follower_goes_on_where_it_was(folder):
    path = write(folder, "auth.log", failures(4))
    state = os.path.join(folder, "state")
    follower = Follower("--state", state, path)
    append(path, failures(2, "198.51.100.8", 10, pid=2000) + failures(5, "198.51.100.10", 20, pid=3000))
    follower.wait(told("198.51.100.10", 5))
    until(lambda: holds(state, socket.inet_aton("198.51.100.10")))
    follower.end(signal.SIGKILL)
    # While nobody watches: more lines, a rotation, more lines.
    append(path, failures(1, start=4, pid=1004))
    os.rename(path, path + ".1")
    write(folder, "auth.log", failures(1, start=5, pid=1005))
    follower = Follower("--state", state, path)
    try:
        follower.wait(told(ATTACKER, 6))
        found = [r for r in follower.rows() if r["address"] == ATTACKER]
        assert found[-1]["tries"] == 6, found
        assert not [r for r in follower.rows() if r["address"] == "198.51.100.10"], "told twice"
    finally:
        follower.end(signal.SIGTERM)


def test_what_was_rotated_while_nobody_watched_is_read_in_order(folder):
    """Two rotations, the older file packed at once: a new inode, and the old one may be given to the next file. And one that is gone."""
    for gone in (False, True):
        path = write(folder, "auth.log", failures(5, "198.51.100.8"))
        state = os.path.join(folder, "state%d" % gone)
        follower = Follower("--state", state, path)
        follower.wait(told("198.51.100.8", 5))
        follower.end(signal.SIGTERM)
        append(path, failures(2, start=10, pid=2000))
        with open(path, "rb") as plain, gzip.open(path + ".2.gz", "wb") as packed:
            packed.write(plain.read())
        os.unlink(path)
        if gone:
            os.unlink(path + ".2.gz")
        write(folder, "auth.log.3", failures(9, start=0, pid=500))  # older: was read long ago
        os.utime(path + ".3", (1, 1))
        write(folder, "auth.log.1", failures(4, start=20, pid=3000))
        with open(path + ".0.gz", "wb") as damaged:
            damaged.write(gzip.compress(os.urandom(9000))[:5000])
        write(folder, "auth.log", failures(2, start=30, pid=4000))
        follower = Follower("--state", state, path)
        tries = 6 if gone else 8
        try:
            follower.wait(told(ATTACKER, tries))
            assert [r for r in follower.rows() if r["address"] == ATTACKER][-1]["tries"] == tries, follower.text
            assert not [r for r in follower.rows() if r["address"] == "198.51.100.8"], "told twice"
            follower.process.send_signal(signal.SIGTERM)
            follower.process.wait(20)
            assert b"auth.log.0.gz: cut off" in follower.process.stderr.read()
        finally:
            follower.end(signal.SIGTERM)
        for name in (".0.gz", ".1", ".2.gz", ".3"):
            if os.path.exists(path + name):
                os.unlink(path + name)


def test_two_rotations_between_two_looks_lose_nothing(folder):
    path = write(folder, "auth.log", failures(3) + failures(1, start=200))
    follower = Follower(path)
    try:
        time.sleep(1)
        follower.process.send_signal(signal.SIGSTOP)
        os.rename(path, path + ".2")
        write(folder, "auth.log.1", failures(4, start=210, pid=2000))
        write(folder, "auth.log.some", failures(1, start=1, pid=9001))  # an excerpt is no news
        write(folder, "auth.log", failures(2, start=220, pid=3000))
        follower.process.send_signal(signal.SIGCONT)
        follower.wait(told(ATTACKER, 10))
        assert [r["tries"] for r in follower.rows()][-1] == 10, follower.text
    finally:
        follower.end(signal.SIGTERM)


def test_a_state_that_is_damaged_or_of_others_is_not_believed(folder):
    path = write(folder, "auth.log", failures(8))
    state = os.path.join(folder, "state")
    follower = Follower("--state", state, path)
    follower.wait(told(ATTACKER, 8))
    follower.end(signal.SIGTERM)
    with open(state, "r+b") as file:
        file.seek(os.path.getsize(state) // 2)
        file.write(b"\xa5\x5a\xa5")
    follower = Follower("--state", state, path)
    follower.wait(told(ATTACKER, 8))
    follower.process.send_signal(signal.SIGTERM)
    follower.process.wait(20)
    assert b"beginning anew" in follower.process.stderr.read()
    os.chmod(state, 0o666)
    lhctl("--follow", "--state", state, path, status=70)


def test_a_state_of_many_sources_is_saved_in_flat_memory(folder):
    """300,000 random sources: the tables are full. The state goes to its file and back without a second copy of them."""
    with open(LHCTL, "rb") as file:
        if re.search(b"__[at]san", file.read()):
            raise Skip("a sanitizer's memory is its own")
    number = random.Random(5)
    path = write(folder, "auth.log", failures(8) + [
        "2026-05-20T04:%02d:%02dZ ftp1 sshd[%d]: Failed password for root from %d.%d.%d.%d port 9 ssh2" %
        (n // 10000, n // 200 % 60, n + 5000, number.randrange(1, 224), number.randrange(256), number.randrange(256), number.randrange(256))
        for n in range(300000)])
    state = os.path.join(folder, "state")
    for run in range(2):
        address = "198.51.100.%d" % (20 + run)
        append(path, failures(8, address, start=3000, pid=900000 + 100 * run))
        out = os.path.join(folder, "out")  # too much is told for a pipe
        with open(out, "wb") as file:
            follower = Follower("--state", state, path, limit=64 << 20, out=file)
        try:
            end = time.monotonic() + 60
            while follower.process.poll() is None and time.monotonic() < end:
                with open(out, "rb") as file:
                    if b'"%s"' % address.encode() in file.read():
                        break
                time.sleep(0.2)
        finally:
            follower.end(signal.SIGTERM)
        assert follower.process.returncode == 0, follower.process.returncode
        with open(out, "rb") as file:
            assert b'"%s"' % address.encode() in file.read()
    assert os.path.getsize(state) > 20 << 20, os.path.getsize(state)


def test_a_state_is_not_written_for_every_line(folder):
    path = write(folder, "auth.log", failures(8))
    state = os.path.join(folder, "state")
    follower = Follower("--state", state, path)
    try:
        follower.wait(told(ATTACKER, 8))
        time.sleep(0.5)
        before = os.stat(state).st_ino, os.stat(state).st_mtime_ns
        for second in range(6):
            append(path, failures(1, ATTACKER, 20 + second, pid=2000 + second))
            time.sleep(0.5)
        assert (os.stat(state).st_ino, os.stat(state).st_mtime_ns) == before, "written, though nothing was told"
    finally:
        follower.end(signal.SIGTERM)
    assert os.stat(state).st_mtime_ns != before[1], "not written at the end"


def test_the_journal_is_read_through_journalctl(folder):
    """A journalctl of our own in PATH says what it was asked, and answers like the real one."""
    entry = {"__CURSOR": "c", "_UID": "0", "_COMM": "sshd", "_PID": "7", "_MACHINE_ID": "m", "MESSAGE": ""}
    lines = []
    for n in range(8):
        lines.append(json.dumps({**entry, "_PID": str(n + 1), "__REALTIME_TIMESTAMP": str(1779250000000000 + n * 1000000),
                                 "MESSAGE": "Failed password for root from %s port %d ssh2" % (ATTACKER, 2000 + n)}))
        lines.append(json.dumps({**entry, "_UID": "1000", "_PID": str(n + 100), "__REALTIME_TIMESTAMP": str(1779250000000000 + n * 1000000),
                                 "MESSAGE": "Failed password for root from %s port %d ssh2" % (INNOCENT, 2000 + n)}))
    answer = write(folder, "answer", lines)
    fake = write(folder, "journalctl", ["#!/bin/sh", 'echo "$@" > %s/asked' % folder, "cat " + answer])
    os.chmod(fake, 0o755)
    done = subprocess.run([LHCTL, "attacks", "--journal", "--json", "--harmless", "--since", "2026-05-20Z"], capture_output=True,
                          env={**ENV, "PATH": folder + ":" + ENV["PATH"]}, check=False, timeout=30)
    assert done.returncode == 1, done.stderr
    found = rows(done.stdout.decode())
    assert sources(done.stdout.decode())[ATTACKER]["tries"] == 8
    assert sources(done.stdout.decode())[ATTACKER]["evidence"][0] == "journal:2026-05-20T04:06:40.000000Z"
    assert not [r for r in found if r.get("address") == INNOCENT]
    with open(os.path.join(folder, "asked")) as file:
        asked = file.read()
    assert "--output=json" in asked and "_UID=0 _COMM=sshd-session" in asked and "--since=@1779235200" in asked


def test_following_the_journal_goes_on_behind_the_cursor(folder):
    """The journalctl of our own tells failures and then waits, as the real one does."""
    def answer(first, count):
        return [json.dumps({"__CURSOR": "c=%d" % n, "_UID": "0", "_COMM": "sshd-session", "_PID": str(n + 1), "_MACHINE_ID": "m",
                            "__REALTIME_TIMESTAMP": str(1779250000000000 + n * 1000000),
                            "MESSAGE": "Failed password for root from %s port %d ssh2" % (ATTACKER, 2000 + n)})
                for n in range(first, first + count)]
    fake = write(folder, "journalctl", ["#!/bin/sh", 'echo "$@" >> %s/asked' % folder, "cat %s/answer" % folder, "exec sleep 60"])
    os.chmod(fake, 0o755)
    before = ENV["PATH"]
    ENV["PATH"] = folder + ":" + before
    state, asked = os.path.join(folder, "state"), os.path.join(folder, "asked")
    try:
        for first, count, end in ((0, 5, signal.SIGKILL), (5, 4, signal.SIGTERM)):
            write(folder, "answer", answer(first, count))
            follower = Follower("--journal", "--state", state)
            until(lambda: holds(state, b"c=4") if first == 0 else holds(asked, b"after-cursor"))
            follower.end(end)
    finally:
        ENV["PATH"] = before
    with open(asked) as file:
        words = file.read().splitlines()
    assert "--follow" in words[0] and "--after-cursor" not in words[0], words
    assert "--after-cursor=c=4" in words[1], words


def main():
    tests = [(name, test) for name, test in globals().items() if name.startswith("test_")]
    only = os.environ.get("LH_TEST_ONLY", "")
    tests = [t for t in tests if only in t[0]]
    failed = 0
    print("1..%d" % len(tests))
    for number, (name, test) in enumerate(tests, 1):
        case = name[5:].replace("_", " ")
        with tempfile.TemporaryDirectory() as folder:
            try:
                test(folder)
                print("ok %d - %s" % (number, case), flush=True)
            except Skip as reason:
                print("ok %d - %s # SKIP %s" % (number, case, reason), flush=True)
            except Exception as error:  # every failure is told, and the next test runs
                failed += 1
                print("not ok %d - %s" % (number, case), flush=True)
                for line in ("%s: %s" % (type(error).__name__, error)).splitlines():
                    print("# " + line, flush=True)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--name-server"]:
        name_server(sys.argv[2], sys.argv[3:])
    elif sys.argv[1:2] == ["--connections"]:
        make_connections(sys.argv[2])
    else:
        main()
