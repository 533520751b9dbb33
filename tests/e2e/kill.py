# SPDX-License-Identifier: Apache-2.0
"""kill -9 of either side, of uploads and of downloads, at random moments; of a server whose client goes on by itself;
and of ssh alone, while UDP lives. The tree is identical each time, modes included, and little is sent twice.

LH_KILL_ROUNDS (10) rounds of LH_KILL_MIB (256) MiB; `make test-long` runs 100 rounds of 2 GiB.
"""
import os
import random
import signal
import sys
import time

import harness as h

ROUNDS = int(os.environ.get("LH_KILL_ROUNDS", "10"))
MIB = int(os.environ.get("LH_KILL_MIB", "256"))
RATE = "1g"
RESENT_MAX = 0.05
# What is under way at such a rate when a side dies does not shrink with the job: 5 % of 256 MiB, for smaller ones too.
RESENT_LEAST = 0.05 * (256 << 20)
SOURCE = "data"
SEED = h.chosen_seed()


def make_source(root, mib):
    """A few large files, many small ones, and modes that stand in the way of who comes back to finish the tree."""
    for index in range(4):
        h.write_large(os.path.join(root, "large%d" % index), mib * (1 << 20) // 4 - (1 << 18), SEED + index)
    for index in range(100):
        h.write(os.path.join(root, "small", "f%d" % index), h.incompressible(10000, SEED + 100 + index),
                mode=(0o600, 0o644, 0o755, 0o444)[index % 4])
    h.write(os.path.join(root, "read only", "below", "file"), h.incompressible(300000, SEED + 300))
    for index in range(20):
        h.write(os.path.join(root, "read only", "f%d" % index), h.incompressible(20000, SEED + 400 + index))
    os.makedirs(os.path.join(root, "read only", "empty"), mode=0o500)
    os.chmod(os.path.join(root, "read only", "below"), 0o555)
    os.chmod(os.path.join(root, "read only"), 0o555)
    os.chmod(os.path.join(root, "small"), 0o750)


class Way:
    """One direction: where the source is, where copies go, and what an undisturbed run costs."""

    def __init__(self, place, is_upload):
        self.name = "upload" if is_upload else "download"
        self.place = place
        self.into = place.remote if is_upload else place.local
        self.source = os.path.join(place.local if is_upload else place.remote, SOURCE)
        self.is_upload = is_upload
        self.cost = 0
        self.interrupted = 0

    def arguments(self, target):
        return ["-d", SOURCE, "host:" + target] if self.is_upload else ["-d", "host:" + SOURCE, target]

    def check_cost(self, cost):
        """Judges what an interrupted job cost in wire bytes; gives the share sent again."""
        again = cost - self.cost
        assert again <= max(RESENT_MAX * self.cost, RESENT_LEAST), "%.2f %% was sent again" % (100 * again / self.cost)
        return again / self.cost

    def check(self, target):
        h.assert_same(self.source, os.path.join(self.into, target, SOURCE), modes=True)
        left = [name for name in h.partials(os.path.join(self.into, target))]
        assert left == [], "left behind: %r" % left

    def drop(self, target):
        h.remove_tree(os.path.join(self.into, target))

    def measure(self):
        """Wire bytes of an undisturbed run at the same rate. Its tree is what every other run must make too."""
        before = h.wire_bytes()
        self.place.run("-l", RATE, *self.arguments("clean"), timeout=1200)
        self.cost = h.wire_bytes() - before
        self.check("clean")
        self.drop("clean")


def both_ways(place, mib):
    """The same tree on both sides; the far one is made of links, to save time and space."""
    make_source(os.path.join(place.local, SOURCE), mib)
    h.shutil.copytree(os.path.join(place.local, SOURCE), os.path.join(place.remote, SOURCE), copy_function=os.link)
    ways = Way(place, True), Way(place, False)
    for way in ways:
        way.measure()
    return ways


def forget_server(place):
    try:
        os.unlink(place.env["LH_FAKE_PIDFILE"])
    except FileNotFoundError:
        pass


def kill_one(way, victim, number, share):
    """Starts a run, kills `victim` when `share` of the bytes have gone, and finishes the job. Gives its wire bytes."""
    place, target = way.place, "kill%d" % number
    before = h.wire_bytes()
    forget_server(place)
    process = place.start("-q", "--retry-timeout", "0", "-l", RATE, *way.arguments(target))
    if share < 0:
        time.sleep(-share)  # while they are still getting to know each other
    else:
        h.wait_for_wire(process, before + share * way.cost)
    if victim == "client":
        process.kill()
    else:
        h.kill_hard(place.server_pid())
    process.communicate(timeout=120)
    way.interrupted += process.returncode != 0
    place.run("-q", "-l", RATE, *way.arguments(target), timeout=1200)
    cost = h.wire_bytes() - before
    way.check(target)
    way.drop(target)
    return cost


def test_kill_9_then_the_same_command_gives_the_same_tree_and_resends_at_most_5_percent():
    print("# seed %d (replay: LH_TEST_SEED=%d)" % (SEED, SEED))
    rng = random.Random(SEED)
    with h.Place() as place:
        ways = both_ways(place, MIB)
        worst = 0.0
        for number in range(ROUNDS):
            victim, way = ("client", "server")[number % 2], ways[number // 2 % 2]
            share = rng.uniform(-0.1, 0.9)
            print("# round %d: %s, the %s is killed at %.2f" % (number, way.name, victim, share), flush=True)
            again = way.check_cost(kill_one(way, victim, number, share))
            print("# %.2f %% more than a clean run" % (100 * again), flush=True)
            worst = max(worst, again)
        print("# worst: %.2f %%" % (100 * worst))
        for way in ways:  # else nothing was tested
            assert way.interrupted > 0 or ROUNDS < 4, "no %s was interrupted" % way.name


def retry_by_itself(way, target, disturb, rate="200m", options=()):
    """Runs lhcp once, calls `disturb` when half has gone; gives the summary and the share sent more than once."""
    before = h.wire_bytes()
    forget_server(way.place)
    process = way.place.start("--json", "--retry-timeout", "300", "-l", rate, *options, *way.arguments(target))
    h.wait_for_wire(process, before + 0.5 * way.cost)
    assert process.poll() is None, "it was over before it could be disturbed"
    disturb()
    out, err = process.communicate(timeout=400)
    assert process.returncode == 0, (process.returncode, out.decode(), err.decode())
    again = way.check_cost(h.wire_bytes() - before)
    way.check(target)
    way.drop(target)
    return h.summary(out.decode()), again


def test_a_client_whose_server_was_killed_goes_on_by_itself_and_finishes():
    with h.Place() as place:
        for way in both_ways(place, 64):
            end, again = retry_by_itself(way, "retried", lambda: h.kill_hard(place.server_pid()))
            print("# %s: %d retries, %.2f %% more than a clean run" % (way.name, end["retries"], 100 * again))
            assert end["complete"] and end["retries"] >= 1, end


def test_a_client_that_replaces_all_does_so_once_though_its_server_was_killed():
    with h.Place() as place:
        for way in both_ways(place, 64):
            end, again = retry_by_itself(way, "replaced", lambda: h.kill_hard(place.server_pid()),
                                         options=("--overwrite=always",))
            print("# %s: %d retries, %.2f %% more than a clean run" % (way.name, end["retries"], 100 * again))
            assert end["complete"] and end["retries"] >= 1, end


def signal_ssh(place, number):
    """Sends a signal to what stands in for the whole SSH connection, but to neither lhcp nor lhserver."""
    with open(place.env["LH_FAKE_RELAY"]) as file:
        pids = [int(line) for line in file]
    assert len(pids) == 3, pids
    for pid in pids:
        os.kill(pid, number)
    return pids


def disturb_ssh(number):
    with h.Place() as place:
        ways = both_ways(place, 64)
        relay = os.path.join(place.root, "relay.pids")
        place.env["LH_FAKE_RELAY"] = relay
        for way in ways:
            pids = []
            try:
                end, again = retry_by_itself(way, "orphan", lambda: pids.extend(signal_ssh(place, number)))
            finally:
                for pid in pids:
                    h.kill_hard(pid)
            print("# %s: %d retries, %.2f %% more than a clean run" % (way.name, end["retries"], 100 * again))
            assert end["complete"], end
            os.unlink(relay)


def test_ssh_that_is_killed_while_udp_lives_costs_neither_tree_nor_time():
    disturb_ssh(signal.SIGKILL)


def test_ssh_that_falls_silent_while_udp_lives_costs_neither_tree_nor_time():
    disturb_ssh(signal.SIGSTOP)


if __name__ == "__main__":
    h.main(sys.modules[__name__], "kill")
