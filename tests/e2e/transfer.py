# SPDX-License-Identifier: Apache-2.0
"""Trees and files both ways, the destination rule, what is skipped, what fails and how it is said."""
import os
import socket
import stat
import subprocess
import sys
import time

import harness as h


def test_a_tree_goes_up_and_comes_back_identical():
    with h.Place() as place:
        h.make_tree(os.path.join(place.local, "tree"))
        place.run("-p", "-d", "tree", "host:up")
        h.assert_same(os.path.join(place.local, "tree"), os.path.join(place.remote, "up/tree"), attributes=True)
        place.run("-p", "-d", "host:up/tree", "back")
        h.assert_same(os.path.join(place.local, "tree"), os.path.join(place.local, "back/tree"), attributes=True)
        assert h.partials(place.remote) == [] and h.partials(place.local) == []


def test_data_crosses_udp():
    with h.Place() as place:
        h.write(os.path.join(place.local, "file"), h.incompressible(20 << 20, 1))
        before = h.wire_bytes()
        place.run("file", "host:copy")
        assert h.wire_bytes() - before >= 20 << 20  # the stand-in for ssh uses no network at all


def ip6_bytes():
    """IP bytes that came in over IPv6 in this namespace so far."""
    with open("/proc/net/snmp6") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("Ip6InOctets"))


def test_data_crosses_udp_over_ipv6_both_ways():
    if not os.path.exists("/proc/net/if_inet6"):
        raise h.Skip("this kernel has no IPv6")
    with h.Place() as place:
        place.env.update(LH_FAKE_HOSTNAME="::1", LH_FAKE_CONNECTION="::1 50000 ::1 33001")
        source = os.path.join(place.local, "file")
        h.write(source, h.incompressible(20 << 20, 1))
        for arguments, target in ((("file", "host:copy"), os.path.join(place.remote, "copy")),
                                  (("host:copy", "back"), os.path.join(place.local, "back"))):
            before, before_6 = h.wire_bytes(), ip6_bytes()
            _, out, _ = place.run("--json", "-l", "200m", *arguments)
            h.assert_same(source, target)
            moved, moved_6 = h.wire_bytes() - before, ip6_bytes() - before_6
            print("# %d bytes over UDP, %d crossed loopback, %d of them IPv6" %
                  (h.summary(out)["bytes_udp"], moved, moved_6))
            assert moved_6 >= 0.9 * (20 << 20), (moved, moved_6)
            assert moved - moved_6 < 1 << 20, "IPv4 carried %d bytes" % (moved - moved_6)


def test_a_udp_host_that_is_not_known_is_said_and_udp_goes_without_it():
    with h.Place() as place:
        h.write(os.path.join(place.local, "file"), h.incompressible(3 << 20, 1))
        before = h.wire_bytes()
        _, out, err = place.run("--udp-host", "nobody.invalid", "file", "host:copy")
        h.assert_in('"nobody.invalid" of --udp-host', out + err)
        assert h.wire_bytes() - before >= 3 << 20


def test_what_a_login_script_prints_is_skipped_and_said():
    with h.Place() as place:
        place.env["LH_FAKE_NOISE"] = "Welcome to \x1b[31mthe machine\n"
        h.write(os.path.join(place.local, "file"), b"content")
        _, out, err = place.run("file", "host:copy")
        h.assert_in("Welcome to ", err)
        assert "\x1b[31m" not in out + err
        h.assert_same(os.path.join(place.local, "file"), os.path.join(place.remote, "copy"))


def test_without_udp_everything_goes_over_ssh_and_it_says_so():
    with h.Place() as place:
        h.write(os.path.join(place.local, "file"), h.incompressible(3 << 20, 1))
        before = h.wire_bytes()
        _, out, err = place.run("--udp", "off", "file", "host:copy")
        assert h.wire_bytes() == before
        h.assert_in("SSH", out + err)
        for cipher in ("aes128", "aes-128", "aes256", "aes-256", "chacha"):
            assert cipher not in out + err, out + err  # of UDP, which was not there
        h.assert_same(os.path.join(place.local, "file"), os.path.join(place.remote, "copy"))


def test_every_cipher_that_can_be_asked_for_carries_a_file():
    with h.Place() as place:
        h.write(os.path.join(place.local, "file"), h.incompressible(3 << 20, 2))
        for cipher in ("aes128", "aes256", "chacha20", "ocb"):
            _, out, _ = place.run("-c", cipher, "--json", "file", "host:" + cipher)
            assert h.summary(out)["cipher"] == cipher, out
            h.assert_same(os.path.join(place.local, "file"), os.path.join(place.remote, cipher))


def udp_flows(port):
    """Local ports of this namespace's UDP sockets that are connected to `port`, as the kernel lists them."""
    flows = set()
    for table in ("/proc/net/udp", "/proc/net/udp6"):
        with open(table, encoding="ascii") as file:
            for row in file.read().splitlines()[1:]:
                local, remote = (part.rsplit(":", 1)[1] for part in row.split()[1:3])
                if int(remote, 16) == port:
                    flows.add(int(local, 16))
    return flows


def test_lanes_are_flows_of_their_own_and_share_the_target_rate():
    with h.Place() as place:
        process = place.start("--lanes", "3", "-l", "80m", "--json", "faux:///name?20m", "host:faux://")
        seen = set()
        while process.poll() is None:
            seen = max(seen, udp_flows(33001), key=len)
            time.sleep(0.02)
        out, err = process.communicate()
        assert process.returncode == 0, err
        assert len(seen) == 3, seen
        took = h.summary(out.decode())["elapsed_ms"]
        assert took >= 1700, took  # 20 MiB at 80 Mbit/s take 2.1 s


def test_the_same_command_again_sends_nothing():
    with h.Place() as place:
        h.make_tree(os.path.join(place.local, "tree"), large=2)
        place.run("-d", "tree", "host:up")
        before = h.wire_bytes()
        place.run("-d", "tree", "host:up")
        assert h.wire_bytes() - before < 1 << 20
        h.assert_same(os.path.join(place.local, "tree"), os.path.join(place.remote, "up/tree"))


def test_a_changed_file_is_sent_again_and_only_its_changed_blocks():
    with h.Place() as place:
        data = bytearray(h.incompressible(16 << 20, 7))
        source = os.path.join(place.local, "file")
        h.write(source, data)
        place.run("file", "host:copy")
        data[5 << 20] ^= 1
        h.write(source, data)
        before = h.wire_bytes()
        place.run("file", "host:copy")
        h.assert_same(source, os.path.join(place.remote, "copy"))
        assert h.wire_bytes() - before < 4 << 20


def test_a_target_changed_behind_our_back_is_mended():
    with h.Place() as place:
        source, target = os.path.join(place.local, "file"), os.path.join(place.remote, "copy")
        h.write(source, h.incompressible(6 << 20, 9))
        place.run("file", "host:copy")
        info = os.stat(target)
        with open(target, "r+b") as file:
            file.seek(3 << 20)
            file.write(b"tampered")
        os.utime(target, ns=(info.st_atime_ns, info.st_mtime_ns))
        place.run("file", "host:copy")
        h.assert_same(source, target)


def test_destination_missing_without_d_is_refused_and_says_d():
    with h.Place() as place:
        h.write(os.path.join(place.local, "a"), b"1")
        h.write(os.path.join(place.local, "b"), b"2")
        _, _, err = place.run("a", "b", "host:missing", expect=1)
        h.assert_in("-d", err)
        assert not os.path.exists(os.path.join(place.remote, "missing"))


def test_a_missing_source_is_named_and_the_others_arrive():
    with h.Place() as place:
        h.write(os.path.join(place.local, "there"), b"1")
        _, _, err = place.run("-d", "gone", "there", "host:up", expect=1)
        h.assert_in("gone", err)
        h.assert_same(os.path.join(place.local, "there"), os.path.join(place.remote, "up/there"))


def test_an_unreadable_file_is_named_and_the_rest_goes_on():
    if os.geteuid() != 0:
        prefix = []
    else:
        prefix = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    with h.Place() as place:
        tree = os.path.join(place.local, "tree")
        for index in range(5):
            h.write(os.path.join(tree, "f%d" % index), b"content %d" % index)
        os.chmod(os.path.join(tree, "f2"), 0)
        if prefix:
            subprocess.run(["chown", "-R", "65534:65534", place.root], check=True)
        process = subprocess.run([*prefix, h.LHCP, "-d", "tree", "host:up"], cwd=place.local, env=place.env,
                                 capture_output=True, timeout=60)
        assert process.returncode == 1, process.stderr
        h.assert_in("f2", process.stderr.decode())
        assert sorted(os.listdir(os.path.join(place.remote, "up/tree"))) == ["f0", "f1", "f3", "f4"]


def test_a_full_disk_says_how_much_is_needed_and_resumes_when_there_is_space():
    h.need_namespaces("to mount a small file system")
    with h.Place() as place:
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "none", place.remote], check=True)
        try:
            h.write(os.path.join(place.remote, "ballast"), b"\0" * (16 << 20))
            h.write(os.path.join(place.local, "file"), h.incompressible(12 << 20, 3))
            _, _, err = place.run("--retry-timeout", "0", "file", "host:copy", expect=1)
            h.assert_in("space", err)
            h.assert_in("error 25", err)
            assert not os.path.exists(os.path.join(place.remote, "copy"))
            os.unlink(os.path.join(place.remote, "ballast"))
            place.run("file", "host:copy")
            h.assert_same(os.path.join(place.local, "file"), os.path.join(place.remote, "copy"))
        finally:
            subprocess.run(["umount", place.remote], check=True)


def test_a_file_that_grows_while_it_is_read_is_never_reported_complete_with_mixed_content():
    with h.Place() as place:
        source, target = os.path.join(place.local, "growing"), os.path.join(place.remote, "copy")
        data = h.incompressible(120 << 20, 4)  # more than the sender reads ahead
        h.write(source, data)
        process = place.start("-l", "400m", "growing", "host:copy")
        for _ in range(8):
            time.sleep(0.1)
            with open(source, "ab") as file:
                file.write(b"more")
        _, err = process.communicate(timeout=60)
        if process.returncode == 0:  # it was read again when it had come to rest
            with open(target, "rb") as file:
                arrived = file.read()
            assert arrived[:len(data)] == data and arrived[len(data):] == b"more" * ((len(arrived) - len(data)) // 4)
            assert len(arrived) > len(data), "a file that was seen to change was delivered as it was before"
        else:
            h.assert_in("chang", err.decode())
            assert not os.path.exists(target)


def test_interrupt_stops_cleanly_and_says_how_to_resume():
    with h.Place() as place:
        h.write(os.path.join(place.local, "file"), h.incompressible(60 << 20, 5))
        process = place.start("-l", "100m", "file", "host:copy")
        time.sleep(1.5)
        process.send_signal(2)
        _, err = process.communicate(timeout=20)
        assert process.returncode == 1, err
        h.assert_in("same command again", err.decode())
        h.assert_in("error 28", err.decode())
        before = h.wire_bytes()
        place.run("file", "host:copy")
        assert h.wire_bytes() - before < (58 << 20)
        h.assert_same(os.path.join(place.local, "file"), os.path.join(place.remote, "copy"))


def test_synthetic_sources_and_sinks_cross_the_wire():
    with h.Place() as place:
        before = h.wire_bytes()
        place.run("faux:///name?64m", "host:faux://")
        assert h.wire_bytes() - before >= 64 << 20
        place.run("-d", "faux:///many?count=500&size=2k", "host:up")
        names = os.listdir(os.path.join(place.remote, "up/many"))
        assert len(names) == 500
        assert {os.path.getsize(os.path.join(place.remote, "up/many", name)) for name in names} == {2048}


def test_dry_run_changes_nothing():
    with h.Place() as place:
        h.make_tree(os.path.join(place.local, "tree"), files=10, large=1)
        before = h.describe(place.remote)
        _, out, err = place.run("-n", "-d", "tree", "host:up")
        h.assert_in("large0", out + err)
        assert h.describe(place.remote) == before


def test_check_reports_udp_and_versions():
    with h.Place() as place:
        _, out, err = place.run("--check", "host")
        h.assert_in("UDP: works", out + err)
        h.assert_in("lhserver", out + err)


def block_udp(rule):
    """Drops UDP as `rule` says, until the returned function is called."""
    h.need_namespaces("to block UDP")
    subprocess.run(["nft", "add table inet lhtest; add chain inet lhtest in "
                    "{ type filter hook input priority 0 ; }; add rule inet lhtest in udp %s drop" % rule], check=True)
    return lambda: subprocess.run(["nft", "delete table inet lhtest"], check=True)


def test_check_names_the_direction_in_which_udp_is_blocked():
    for rule, there in (("dport 33001", "UDP to the server: blocked"), ("sport 33001", "UDP back: blocked")):
        unblock = block_udp(rule)
        try:
            with h.Place() as place:
                _, out, err = place.run("--check", "host", expect=1)
                h.assert_in(there, out + err)
                h.assert_in("error 14", err)
        finally:
            unblock()


def test_with_udp_blocked_the_transfer_completes_over_ssh_and_says_so():
    unblock = block_udp("dport 33001")
    try:
        with h.Place() as place:
            h.make_tree(os.path.join(place.local, "tree"), files=50, large=2)
            _, out, err = place.run("-d", "tree", "host:up")
            h.assert_same(os.path.join(place.local, "tree"), os.path.join(place.remote, "up/tree"))
            h.assert_in("open UDP/33001", out + err)
    finally:
        unblock()


def test_a_target_rate_holds_over_ssh_too():
    with h.Place() as place:
        h.write(os.path.join(place.local, "file"), h.incompressible(20 << 20, 11))
        began = time.monotonic()
        place.run("--udp", "off", "-l", "80m", "file", "host:copy")
        assert time.monotonic() - began >= 0.8 * (20 << 20) * 8 / 80e6


def test_a_file_that_never_comes_to_rest_is_given_up_and_said_once():
    with h.Place() as place:
        source = os.path.join(place.local, "restless")
        h.write(source, h.incompressible(90 << 20, 12))
        process = place.start("--retry-timeout", "3", "restless", "host:copy")
        while process.poll() is None:
            with open(source, "ab") as file:
                file.write(b"more")
            time.sleep(0.02)
        _, err = process.communicate(timeout=60)
        assert process.returncode == 1, err
        h.assert_in("restless", err.decode())
        h.assert_in("chang", err.decode())
        assert not os.path.exists(os.path.join(place.remote, "copy"))


def test_a_job_that_is_refused_at_once_blames_no_firewall():
    unblock = block_udp("dport 33001")
    try:
        with h.Place() as place:
            _, out, err = place.run("host:missing", "copy", expect=1)
            assert "firewall" not in out + err, out + err
    finally:
        unblock()


class SystemLog:
    """A /dev/log of our own, in this test's private mount namespace."""

    def __enter__(self):
        h.need_namespaces("for a /dev/log of its own")
        subprocess.run(["mount", "-t", "tmpfs", "none", "/dev"], check=True)
        for name, minor in (("null", 3), ("zero", 5), ("random", 8), ("urandom", 9)):
            os.mknod("/dev/" + name, 0o666 | stat.S_IFCHR, os.makedev(1, minor))
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind("/dev/log")
        self.socket.settimeout(5)
        return self

    def __exit__(self, *exc):
        self.socket.close()
        subprocess.run(["umount", "-l", "/dev"], check=True)

    def lines(self, last):
        found = []
        while not found or last not in found[-1]:
            found.append(self.socket.recv(8192).decode("utf8", "replace"))
        return found


def check_session_lines(log):
    """Two lines, of which the second tells what the session did."""
    lines = [line for line in log.lines("session stop") if "session" in line]
    assert len(lines) == 2, lines
    for line in lines:
        # <facility * 8 + severity>: local2 (18), as lhserver(8) says
        assert int(line[1:line.index(">")]) >> 3 == 18, line
        h.assert_in("address=203.0.113.9", line)
        h.assert_in("user=root", line)
    h.assert_in("session start", lines[0])
    for part in ("result=complete", "files=1 ", "bytes=100000 ", "lane=udp"):
        h.assert_in(part, lines[1])


def test_the_server_logs_a_line_when_a_session_starts_and_one_when_it_stops():
    with SystemLog() as log, h.Place() as place:
        h.write(os.path.join(place.local, "tree", "file"), h.incompressible(100000, 1))
        place.env["LH_FAKE_CONNECTION"] = "203.0.113.9 50000 127.0.0.1 33001"
        place.run("-d", "tree", "host:up")
        check_session_lines(log)
        place.run("-d", "host:up/tree", "down")
        check_session_lines(log)


if __name__ == "__main__":
    h.main(sys.modules[__name__], "transfer")
