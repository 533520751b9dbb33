#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Several lanes: a thread each on both ends, and with them all that one lane can: kills, lost SSH, session control."""
import os
import re
import signal
import sys
import time

import harness as h
import kill
import live

LANES = 4
OPTIONS = ("--lanes", str(LANES))


def lane_threads(pid):
    """{name: nanoseconds of processor time} of the lanes' threads of a process, as the kernel counts them."""
    threads = {}
    folder = "/proc/%d/task" % pid
    for task in os.listdir(folder):
        try:
            with open(os.path.join(folder, task, "comm"), encoding="ascii") as file:
                name = file.read().strip()
            with open(os.path.join(folder, task, "schedstat"), encoding="ascii") as file:
                spent = int(file.read().split()[0])
        except (FileNotFoundError, ProcessLookupError):
            continue  # it ended meanwhile
        if re.fullmatch(r"lane \d+", name):
            assert name not in threads, name
            threads[name] = spent
    return threads


def threads_at_half(place, source, target, *options):
    """Both ends' threads while a transfer runs, after 30 MiB; the transfer then goes on to its end."""
    before = h.wire_bytes()
    forget(place)
    process = place.start("-l", "400m", *options, source, target)
    h.wait_for_wire(process, before + (30 << 20))
    assert process.poll() is None, process.communicate()
    seen = lane_threads(process.pid), lane_threads(place.server_pid())
    _, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    return seen


def forget(place):
    kill.forget_server(place)


def test_every_lane_runs_in_a_thread_of_its_own_on_both_ends():
    wanted = sorted("lane %d" % lane for lane in range(1, LANES + 1))
    with h.Place() as place:
        for source, target in (("faux:///f?80m", "host:faux://"), ("host:faux:///f?80m", "faux://")):
            for end in threads_at_half(place, source, target, *OPTIONS):
                assert sorted(end) == wanted, end
                # Each of them seals or opens a quarter of 30 MiB: some milliseconds of work.
                assert min(end.values()) > 1_000_000, end
                print("# processor time, ms: " + ", ".join("%s: %.1f" % (n, t / 1e6) for n, t in sorted(end.items())))


def test_one_lane_needs_no_thread():
    with h.Place() as place:
        for end in threads_at_half(place, "faux:///f?60m", "host:faux://"):
            assert end == {}, end


def test_trees_arrive_whole_over_lanes_both_ways():
    with h.Place() as place:
        h.make_tree(os.path.join(place.local, "tree"), large=3)
        place.run(*OPTIONS, "-d", "tree", "host:up")
        h.assert_same(os.path.join(place.local, "tree"), os.path.join(place.remote, "up/tree"))
        place.run(*OPTIONS, "-d", "host:up/tree", "down")
        h.assert_same(os.path.join(place.local, "tree"), os.path.join(place.local, "down/tree"))


def test_a_client_with_lanes_whose_server_was_killed_goes_on_by_itself():
    with h.Place() as place:
        for way in kill.both_ways(place, 64):
            end, again = kill.retry_by_itself(way, "retried", lambda: h.kill_hard(place.server_pid()), options=OPTIONS)
            print("# %s: %d retries, %.2f %% more than a clean run" % (way.name, end["retries"], 100 * again))
            assert end["complete"] and end["retries"] >= 1, end


def test_a_killed_client_with_lanes_leaves_what_the_same_command_finishes():
    with h.Place() as place:
        for way in kill.both_ways(place, 32):
            before = h.wire_bytes()
            forget(place)
            process = place.start("-q", "--retry-timeout", "0", "-l", "200m", *OPTIONS, *way.arguments("killed"))
            h.wait_for_wire(process, before + 0.5 * way.cost)
            process.kill()
            process.communicate(timeout=60)
            place.run(*OPTIONS, *way.arguments("killed"))
            way.check("killed")


def test_ssh_that_is_killed_while_lanes_live_costs_neither_tree_nor_time():
    with h.Place() as place:
        ways = kill.both_ways(place, 64)
        relay = os.path.join(place.root, "relay.pids")
        place.env["LH_FAKE_RELAY"] = relay
        for way in ways:
            end, _ = kill.retry_by_itself(way, "orphan", lambda: kill.signal_ssh(place, signal.SIGKILL),
                                          options=OPTIONS)
            assert end["complete"] and end["retries"] == 0, end
            os.unlink(relay)


def test_a_session_with_lanes_is_seen_and_slowed_down_from_either_end():
    for side in ("client", "server"):
        with live.LivePlace() as place:
            process = place.start("-l", "400m", *OPTIONS, "faux:///f?20g", "host:faux://")
            try:
                session = place.wait_for_session(side, process)
                assert session["rate_target"] == 400 * live.MBIT, session
                place.lhctl_at(session, "set", rate=40 * live.MBIT)
                time.sleep(1)
                measured = live.rate_of(place, session["id"], 3)
                assert live.MBIT < measured < 48 * live.MBIT, "%.1f Mbit/s" % (measured / live.MBIT)
            finally:
                live.stop(process)


def test_a_session_with_lanes_that_is_interrupted_ends_in_good_order():
    with h.Place() as place:
        process = place.start("-l", "200m", *OPTIONS, "faux:///f?20g", "host:faux://")
        h.wait_for_wire(process, h.wire_bytes() + (4 << 20))
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)
        assert process.returncode not in (0, -signal.SIGINT, -signal.SIGSEGV, -signal.SIGABRT), process.returncode


if __name__ == "__main__":
    h.main(sys.modules[__name__], "lanes")
