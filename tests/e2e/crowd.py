# SPDX-License-Identifier: Apache-2.0
"""Many sessions of many users on one UDP port, some of them stopped, strangers on the port, a NAT that forgets."""
import os
import select
import signal
import socket
import struct
import subprocess
import sys
import threading
import time

import harness as h

PORT = 33001
USERS = 10
SESSIONS = 50
STOPPED = 5
SIZE = 2 << 20
LOOPBACK = socket.inet_aton("127.0.0.1")


class Nat(threading.Thread):
    """A user-space NAT for one UDP flow: what comes to 127.0.0.9 goes on from a port of its own, until rebind()."""

    def __init__(self):
        super().__init__(daemon=True)
        self.inside = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.inside.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.inside.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        self.inside.bind(("127.0.0.9", PORT))
        self.outside = self._outside()
        self.client = None
        self.forwarded = 0
        self.forwarded_after_rebind = 0
        self.answered_after_rebind = 0
        self.rebound = False
        self.stopped = False

    @staticmethod
    def _outside():
        outside = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        outside.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        outside.connect(("127.0.0.1", PORT))
        return outside

    def rebind(self):
        old, self.outside = self.outside, self._outside()
        old.close()
        self.rebound = True

    def run(self):
        while not self.stopped:
            ready, _, _ = select.select([self.inside, self.outside], [], [], 0.05)
            for sock in ready:
                try:
                    self._pass(sock)
                except (ConnectionRefusedError, OSError):
                    pass  # closed by rebind, or nobody there yet

    def _pass(self, sock):
        if sock is self.inside:
            data, self.client = sock.recvfrom(65536)
            self.outside.send(data)
            self.forwarded += 1
            self.forwarded_after_rebind += self.rebound
        elif self.client is not None:
            self.inside.sendto(sock.recv(65536), self.client)
            self.answered_after_rebind += self.rebound


def need_root():
    h.need_namespaces("to be several users")


def as_user(uid):
    return ["setpriv", "--reuid=%d" % uid, "--regid=%d" % uid, "--clear-groups"]


def place_for(uid, base, size=SIZE):
    place = h.Place(directory=base)
    h.write(os.path.join(place.local, "file"), h.incompressible(size, uid))
    subprocess.run(["chown", "-R", "%d:%d" % (uid, uid), place.root], check=True)
    return place


def hold_port(uid):
    """An unrelated program of another user on the same port, which never reads."""
    code = ("import socket,sys,time\n"
            "s=socket.socket(socket.AF_INET,socket.SOCK_DGRAM)\n"
            "s.setsockopt(socket.SOL_SOCKET,socket.SO_REUSEADDR,1)\n"
            "s.bind(('0.0.0.0',%d))\nprint('held',flush=True)\ntime.sleep(600)\n" % PORT)
    process = subprocess.Popen([*as_user(uid), sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"held\n"
    return process


def start_session(place, uid, *args):
    return subprocess.Popen([*as_user(uid), h.LHCP, "--json", "--retry-timeout", "0", *args, "file", "host:copy"],
                            cwd=place.local, env=place.env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE)


def finish_session(name, place, process):
    """Waits for a session, which must have delivered the file; gives the bytes that it says went over UDP."""
    out, err = process.communicate(timeout=240)
    assert process.returncode == 0, (name, out.decode(), err.decode())
    h.assert_same(os.path.join(place.local, "file"), os.path.join(place.remote, "copy"))
    return h.summary(out.decode())["bytes_udp"]


def start_behind(nat, base):
    """A session through the NAT, slow enough to be there while the crowd arrives; returns once its data flow."""
    place = place_for(20000 + USERS, base, size=24 << 20)
    place.env.update(LH_FAKE_HOSTNAME="127.0.0.9", LH_FAKE_CONNECTION="203.0.113.5 5000 198.51.100.7 33001")
    process = start_session(place, 20000 + USERS, "-l", "20m")
    for _ in range(1000):
        if nat.forwarded > 100:
            break
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)
    assert nat.forwarded > 100, "the data does not cross the NAT"
    return place, process


def test_50_sessions_of_10_users_share_the_port_with_5_stopped_a_stranger_on_it_and_a_nat_that_forgets():
    need_root()
    base = h.tempfile.mkdtemp(prefix="lh-crowd-")
    os.chmod(base, 0o755)
    stranger = hold_port(29999)
    nat = Nat()
    nat.start()
    places, processes, stopped = [], [], {}
    try:
        before = h.wire_bytes()
        places.append(None)
        places[0], behind = start_behind(nat, base)
        for index in range(SESSIONS):
            uid = 20000 + index % USERS
            place = place_for(uid, base)
            places.append(place)
            processes.append(start_session(place, uid))
            if index % (SESSIONS // STOPPED) == 0:
                stopped[index] = place.server_pid(60)
                os.kill(stopped[index], signal.SIGSTOP)  # in the middle of set-up, perhaps with the port bound last
            if index == SESSIONS // 5:
                assert behind.poll() is None, "it is over before the NAT forgets"
                nat.rebind()
        over_udp, claimed = 0, 0
        for index, process in enumerate(processes):
            if index in stopped:
                continue
            moved = finish_session(index, places[index + 1], process)
            over_udp += moved >= SIZE // 2
            claimed += moved
        print("# %d of %d sessions went over UDP" % (over_udp, SESSIONS - STOPPED))
        assert over_udp >= 0.9 * (SESSIONS - STOPPED), over_udp
        for pid in stopped.values():
            os.kill(pid, signal.SIGCONT)
        for index in stopped:
            claimed += finish_session(index, places[index + 1], processes[index])
        moved = finish_session("behind the NAT", places[0], behind)
        print("# behind the NAT: %d bytes over UDP, %d packets and %d answers after it forgot" %
              (moved, nat.forwarded_after_rebind, nat.answered_after_rebind))
        assert nat.answered_after_rebind > 10, "nothing came back through the new mapping"
        # The kernel's count: the stand-in for ssh uses no network, and what the NAT carried crosses loopback twice.
        assert h.wire_bytes() - before >= claimed + 2 * moved, (h.wire_bytes() - before, claimed, moved)
    finally:
        nat.stopped = True
        for pid in stopped.values():
            h.kill_hard(pid)
        for process in processes:
            process.kill()
        stranger.kill()
        for place in places:
            if place is not None:
                place.__exit__()
        h.shutil.rmtree(base, ignore_errors=True)


def test_a_nat_that_rebinds_in_the_middle_costs_nothing_but_a_moment():
    nat = Nat()
    nat.start()
    try:
        with h.Place() as place:
            h.write(os.path.join(place.local, "file"), h.incompressible(16 << 20, 77))
            place.env.update(LH_FAKE_HOSTNAME="127.0.0.9", LH_FAKE_CONNECTION="203.0.113.5 5000 198.51.100.7 33001")
            process = place.start("-l", "50m", "file", "host:copy")
            for _ in range(1000):
                if nat.forwarded > 100:
                    break
                time.sleep(0.02)
            assert nat.forwarded > 100, "the data does not cross the NAT"
            nat.rebind()
            out, err = process.communicate(timeout=120)
            assert process.returncode == 0, err.decode()
            h.assert_same(os.path.join(place.local, "file"), os.path.join(place.remote, "copy"))
            # At least half of the file still went over UDP after the rebinding.
            assert nat.forwarded_after_rebind > (8 << 20) / 9216, (nat.forwarded, nat.forwarded_after_rebind)
    finally:
        nat.stopped = True


class Eavesdropper(threading.Thread):
    """Records Longhaul packets on loopback, each way, as an attacker on the path would."""

    def __init__(self):
        super().__init__(daemon=True)
        self.sock = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(0x0800))
        self.sock.bind(("lo", 0))
        self.sock.settimeout(0.05)
        self.packets = []  # (source port, destination port, payload)
        self.stopped = False

    def run(self):
        while not self.stopped and len(self.packets) < 20000:
            try:
                data = self.sock.recv(65536)
            except TimeoutError:
                continue
            header = (data[0] & 15) * 4
            if data[9] != 17:
                continue
            source, destination = struct.unpack_from("!HH", data, header)
            if PORT not in (source, destination):
                continue
            payload = data[header + 8:]
            # Loopback shows a GSO run as one datagram; its packets are of the full size but the last.
            for at in range(0, len(payload), 1472):
                self.packets.append((source, destination, payload[at:at + 1472]))


class Forger:
    """Sends UDP from any address and port by a raw socket."""

    def __init__(self):
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)

    def send(self, source_port, destination_port, payload):
        udp = struct.pack("!HHHH", source_port, destination_port, 8 + len(payload), 0)
        ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 28 + len(payload), 0, 0, 64, 17, 0, LOOPBACK, LOOPBACK)
        try:
            self.sock.sendto(ip + udp + payload, ("127.0.0.1", 0))
        except OSError:
            pass  # a full queue: one forged packet fewer


def flood_from_a_stranger(count, rng):
    flooder = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    flooder.settimeout(0)
    junk = [rng.randbytes(rng.choice([1, 11, 12, 27, 28, 29, 200, 1400])) for _ in range(500)]
    for number in range(count):
        try:
            flooder.sendto(junk[number % len(junk)], ("127.0.0.1", PORT))
        except (BlockingIOError, ConnectionRefusedError):
            pass
    try:
        return flooder.recv(65536)
    except (BlockingIOError, ConnectionRefusedError):
        return None


def test_a_million_junk_forged_and_replayed_datagrams_change_nothing_and_get_no_answer():
    need_root()
    count = int(os.environ.get("LH_JUNK", "1000000"))
    rng = h.random.Random(5)
    with h.Place() as place:
        h.write(os.path.join(place.local, "file"), h.incompressible(64 << 20, 78))
        ear = Eavesdropper()
        ear.start()
        process = place.start("-l", "40m", "file", "host:copy")
        time.sleep(1)
        ear.stopped = True
        ear.join()
        heard = ear.packets
        assert len(heard) > 500, "nothing was overheard"
        forger = Forger()
        ports = [(s, d) for s, d, _ in heard[-2:]] + [(heard[0][0], heard[0][1])]
        assert flood_from_a_stranger(count * 4 // 10, rng) is None, "junk was answered"
        for number in range(count * 3 // 10):
            source, destination = ports[number % len(ports)]
            header = heard[number % len(heard)][2][:12]  # a true header in front of junk
            forger.send(source, destination, header + rng.randbytes(40))
        replays = 0
        while replays < count * 3 // 10:
            for source, destination, payload in heard:
                forger.send(source, destination, payload)
            replays += len(heard)
        _, err = process.communicate(timeout=180)
        assert process.returncode == 0, err.decode()
        h.assert_same(os.path.join(place.local, "file"), os.path.join(place.remote, "copy"))


if __name__ == "__main__":
    h.main(sys.modules[__name__], "crowd")
