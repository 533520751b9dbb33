# SPDX-License-Identifier: Apache-2.0
"""kill -9 of either side at random moments, then the same command: the tree is identical, and little is sent twice.

LH_KILL_ROUNDS (10) rounds of LH_KILL_MIB (256) MiB; `make test-long` runs 100 rounds of 2 GiB.
"""
import os
import random
import sys
import time

import harness as h

ROUNDS = int(os.environ.get("LH_KILL_ROUNDS", "10"))
MIB = int(os.environ.get("LH_KILL_MIB", "256"))
RATE = "1g"


def clean_cost(place, source):
    """Wire bytes of an undisturbed run at the same rate, and its time."""
    before, began = h.wire_bytes(), time.monotonic()
    place.run("-l", RATE, "-d", source, "host:clean", timeout=600)
    cost = h.wire_bytes() - before
    h.assert_same(os.path.join(place.local, source), os.path.join(place.remote, "clean", source))
    return cost, time.monotonic() - began


def one_round(place, source, number, victim, delay):
    target = "up%d" % number
    before = h.wire_bytes()
    try:
        os.unlink(place.env["LH_FAKE_PIDFILE"])
    except FileNotFoundError:
        pass
    process = place.start("-q", "--retry-timeout", "0", "-l", RATE, "-d", source, "host:" + target)
    time.sleep(delay)
    if victim == "client":
        process.kill()
    else:
        h.kill_hard(place.server_pid())
    process.communicate(timeout=60)
    place.run("-q", "-l", RATE, "-d", source, "host:" + target, timeout=600)
    cost = h.wire_bytes() - before
    h.assert_same(os.path.join(place.local, source), os.path.join(place.remote, target, source))
    left = h.partials(place.remote)
    assert left == [], "left behind: %r" % left
    return cost


def test_kill_9_then_the_same_command_gives_the_same_tree_and_resends_at_most_5_percent():
    seed = int(os.environ.get("LH_TEST_SEED", str(random.randrange(1 << 30))))
    print("# seed %d (replay: LH_TEST_SEED=%d)" % (seed, seed))
    rng = random.Random(seed)
    with h.Place() as place:
        source = "data"
        for index in range(4):
            h.write(os.path.join(place.local, source, "large%d" % index),
                    h.incompressible(MIB * (1 << 20) // 4 - (1 << 18), seed + index))
        for index in range(100):
            h.write(os.path.join(place.local, source, "small", "f%d" % index),
                    h.incompressible(10000, seed + 100 + index))
        clean, seconds = clean_cost(place, source)
        worst = 0.0
        for number in range(ROUNDS):
            victim = ("client", "server")[number % 2]
            delay = rng.uniform(0.1, 0.95 * seconds)
            cost = one_round(place, source, number, victim, delay)
            share = cost / clean - 1
            worst = max(worst, share)
            print("# round %d: killed the %s after %.2f s: %.2f %% more than a clean run" %
                  (number, victim, delay, 100 * share))
            assert share <= 0.05, "%.2f %% was sent again" % (100 * share)
            h.shutil.rmtree(os.path.join(place.remote, "up%d" % number))
        print("# worst: %.2f %%" % (100 * worst))


if __name__ == "__main__":
    h.main(sys.modules[__name__], "kill")
