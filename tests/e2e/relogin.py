# SPDX-License-Identifier: Apache-2.0
"""The SSH connection breaks in mid-transfer while UDP lives: the transfer goes on, lhcp logs in again meanwhile, and the
new lhserver hands its channel to the one that the session lives in. One session, nothing sent again."""
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import time

import harness as h

MIB = 48
RATE = "80m"  # about 5 s


def relay_pids(place):
    """What stands in for the SSH connection of the moment, whole; None while it is being made."""
    try:
        with open(place.env["LH_FAKE_RELAY"]) as file:
            pids = [int(line) for line in file.read().split()]
    except (FileNotFoundError, ValueError):
        return None
    return pids if len(pids) == 3 else None


def wait_for(what, seconds=20):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        value = what()
        if value:
            return value
        time.sleep(0.02)
    raise AssertionError("waited in vain for %s" % what)


def lhservers(place):
    """Process ids of the lhservers that were started from this place."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            if (os.readlink("/proc/%s/exe" % pid) == os.path.realpath(h.LHSERVER)
                    and os.readlink("/proc/%s/cwd" % pid) == os.path.realpath(place.remote)):
                found.append(int(pid))
        except OSError:
            pass
    return found


def make_place():
    place = h.Place()
    place.env["LH_FAKE_RELAY"] = os.path.join(place.root, "relay.pids")
    h.write_large(os.path.join(place.local, "data"), MIB << 20, 71)
    h.write_large(os.path.join(place.remote, "back"), MIB << 20, 72)
    return place


def start(place, way):
    arguments = ["data", "host:up"] if way == "upload" else ["host:back", "down"]
    return place.start("--json", "-l", RATE, *arguments)


def assert_arrived(place, way):
    pair = ("local/data", "remote/up") if way == "upload" else ("remote/back", "local/down")
    h.assert_same(*(os.path.join(place.root, name) for name in pair))


def break_ssh(place, number=signal.SIGKILL):
    """Kills what stands in for SSH, and neither lhcp nor lhserver; returns the process ids."""
    pids = wait_for(lambda: relay_pids(place))
    os.unlink(place.env["LH_FAKE_RELAY"])
    for pid in pids:
        os.kill(pid, number)
    return pids


def notices(out):
    return [row["text"] for row in map(json.loads, out.splitlines()) if row["type"] == "problem"]


def test_ssh_killed_twice_in_mid_transfer_leaves_one_session_that_sends_nothing_again():
    for way in ("upload", "download"):
        with make_place() as place:
            before = h.wire_bytes()
            process = start(place, way)
            h.wait_for_wire(process, before + (MIB << 20) // 8)
            first = place.server_pid()
            for quarter in (1, 2):
                break_ssh(place)
                wait_for(lambda: relay_pids(place))
                h.wait_for_wire(process, before + (MIB << 20) * (1 + 2 * quarter) // 8)
                assert process.poll() is None, process.communicate()
                assert first in lhservers(place), "the session's lhserver is gone"
            out, err = process.communicate(timeout=60)
            assert process.returncode == 0, (process.returncode, out, err)
            crossed = h.wire_bytes() - before
            end = h.summary(out.decode())
            assert end["complete"] and end["retries"] == 0 and end["ssh_logins"] == 2, end
            assert_arrived(place, way)
            print("# %s: %.2f times the file crossed the wire" % (way, crossed / (MIB << 20)))
            assert crossed < 1.15 * (MIB << 20), crossed
            texts = notices(out.decode())
            assert sum("SSH connection was lost" in text for text in texts) == 2, texts
            assert sum("SSH connection is back" in text for text in texts) == 2, texts
            # The lhservers that brought the channels ended with the session.
            wait_for(lambda: not lhservers(place), 10)


def test_after_a_new_login_ssh_carries_the_data_when_udp_dies():
    if os.geteuid() != 0 or subprocess.run(["nft", "--version"], capture_output=True, check=False).returncode != 0:
        raise h.Skip("needs root and nft to block UDP")
    with make_place() as place:
        before = h.wire_bytes()
        process = start(place, "upload")
        h.wait_for_wire(process, before + (MIB << 20) // 8)
        break_ssh(place)
        wait_for(lambda: relay_pids(place))
        time.sleep(1)
        rules = "add table inet block; add chain inet block in { type filter hook input priority 0; }; " \
                "add rule inet block in meta l4proto udp drop"
        subprocess.run(["nft", rules], check=True)
        try:
            out, err = process.communicate(timeout=90)
        finally:
            subprocess.run(["nft", "delete table inet block"], check=True)
        end = h.summary(out.decode())
        assert process.returncode == 0, (process.returncode, out, err)
        assert end["retries"] == 0 and end["ssh_logins"] == 1 and end["bytes_ssh"] > (MIB << 20) // 4, end
        assert_arrived(place, "upload")


def put_ssh(place, script):
    ssh = os.path.join(place.bin, "ssh")
    with open(ssh + ".new", "w") as file:
        file.write(script)
    os.chmod(ssh + ".new", 0o755)
    os.rename(ssh + ".new", ssh)


def test_a_login_that_fails_is_tried_again_and_said_once():
    with make_place() as place:
        before = h.wire_bytes()
        process = start(place, "upload")
        h.wait_for_wire(process, before + (MIB << 20) // 16)
        wait_for(lambda: relay_pids(place))
        with open(os.path.join(place.bin, "ssh")) as file:
            good = file.read()
        put_ssh(place, "#!/bin/sh\necho 'ssh: connect to host host port 33001: No route to host' >&2\nexit 255\n")
        break_ssh(place)
        time.sleep(1.8)
        put_ssh(place, good)
        out, err = process.communicate(timeout=60)
        assert process.returncode == 0, (process.returncode, out, err)
        end = h.summary(out.decode())
        assert end["retries"] == 0 and end["ssh_logins"] == 1, end
        texts = notices(out.decode())
        assert sum("the login failed" in text for text in texts) == 1, texts
        assert_arrived(place, "upload")


def test_without_a_login_a_session_ends_when_udp_alone_is_over_and_another_one_goes_on():
    for way in ("upload", "download"):
        with make_place() as place:
            before = h.wire_bytes()
            arguments = ["data", "host:up"] if way == "upload" else ["host:back", "down"]
            process = place.start("--json", "-l", "60m", "--udp-alone", "3", *arguments)
            h.wait_for_wire(process, before + (MIB << 20) // 16)
            wait_for(lambda: relay_pids(place))
            with open(os.path.join(place.bin, "ssh")) as file:
                good = file.read()
            put_ssh(place, "#!/bin/sh\necho 'ssh: connect to host host port 33001: No route to host' >&2\nexit 255\n")
            broken = time.monotonic()
            break_ssh(place)
            wait_for(lambda: not lhservers(place))  # the session's, too: it hears nobody any more
            lasted = time.monotonic() - broken
            assert 3 <= lasted < 15, lasted
            put_ssh(place, good)
            out, err = process.communicate(timeout=90)
            assert process.returncode == 0, (process.returncode, out, err)
            end = h.summary(out.decode())
            assert end["complete"] and end["retries"] >= 1 and end["ssh_logins"] == 0, end
            assert_arrived(place, way)


def test_a_stranger_at_the_sessions_socket_gets_nothing():
    """Another user connects; the same user guesses: refused, and the next login works all the same."""
    with make_place() as place:
        before = h.wire_bytes()
        process = start(place, "upload")
        h.wait_for_wire(process, before + (MIB << 20) // 16)
        with open("/proc/net/unix") as file:
            names = [line.split()[-1] for line in file if "@longhaul-attach-" in line]
        assert len(names) == 1, names
        address = "\0" + names[0][1:]

        def offer(proof, channels):
            with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as client:
                client.settimeout(10)
                client.connect(address)
                pipes = [os.pipe() for _ in range(channels)]
                fds = [fd for pair in pipes for fd in pair]
                try:
                    socket.send_fds(client, [b"LHA1" + struct.pack("<II", 1, 1) + proof], fds)
                    answer = client.recv(100)
                    return answer[4] if answer else "closed"
                except ConnectionError:
                    return "closed"
                finally:
                    for fd in fds:
                        os.close(fd)

        assert offer(b"\0" * 32, 1) in (1, "closed")  # a wrong proof
        assert offer(b"\0" * 32, 2) in (1, "closed")  # two channels
        if os.geteuid() == 0:
            child = os.fork()
            if child == 0:
                os.setgid(65534)
                os.setuid(65534)
                os._exit(0 if offer(b"\0" * 32, 1) == "closed" else 1)
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0, "another user was let in"
        break_ssh(place)
        out, err = process.communicate(timeout=60)
        assert process.returncode == 0, (process.returncode, out, err)
        end = h.summary(out.decode())
        assert end["retries"] == 0 and end["ssh_logins"] == 1, end
        assert_arrived(place, "upload")


if __name__ == "__main__":
    h.main(sys.modules[__name__], "relogin")
