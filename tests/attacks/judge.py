# SPDX-License-Identifier: Apache-2.0
"""lhctl attacks against the labelled corpus: logs of real attacks on real sshds, with what the attackers did.

    python3 tests/attacks/judge.py [OPENSSH...]     LH_BUILD names the build; prints TAP

For each log: every attacking source is reported, no benign one is, an address that only forged texts name is no
source at all, and what is said of a source agrees with what it did. How the corpus was made: make_corpus.py.
"""
import glob
import json
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
BUILD = os.environ.get("LH_BUILD", os.path.join(HERE, "../../build"))
LHCTL = os.path.join(BUILD, "src/cmd/lhctl")

# What lhctl should say of what an attacker did: one of these kinds. sshd's version and level decide which of them
# the log can show.
EXPECTED = {
    "burst": {"burst"},
    "dictionary": {"dictionary"},
    "spray": {"spray", "dictionary"},
    "many-sources": {"many-sources"},
    "network": {"network"},
    "keys": {"burst", "steady", "penalty"},
    "max-tries": {"burst", "steady", "penalty"},
    "persistent": {"burst", "penalty"},
    "scan": {"scan"},
    "stall": {"stall", "penalty"},
    "flood": {"flood"},
    "breach": {"breach"},
    "slow": {"slow"},
    "steady": {"steady"},
    "injection": None,  # any: what matters is that it is this source
}


# OpenSSH before 9.8 logs nothing of a login that is not finished in time, unless at VERBOSE: no reader of such a log
# can name this source. It is counted as missed, not left out of the count.
UNLOGGED = {("stall", "OpenSSH_9.2", "INFO")}


def report(log):
    env = {**os.environ, "TZ": "UTC", "LC_ALL": "C.UTF-8"}
    done = subprocess.run([LHCTL, "attacks", "--json", "--harmless", log], capture_output=True, env=env, check=False)
    assert done.returncode in (0, 1, 2), "exit status %d: %s" % (done.returncode, done.stderr.decode())
    return [json.loads(line) for line in done.stdout.decode().splitlines()]


def judge(name):
    """Everything that is wrong with what lhctl says of one log."""
    with open(os.path.join(HERE, "corpus", name + ".truth.json")) as file:
        truth = json.load(file)
    found = report(glob.glob(os.path.join(HERE, "corpus", name + ".log*"))[0])
    sources = {row["address"]: row for row in found if row["type"] == "source"}
    harmless = {row["address"]: row for row in found if row["type"] == "harmless"}
    wrong, unlogged = [], []
    for address, kind in truth["attackers"].items():
        if (kind, truth["sshd"].split()[0], truth["level"]) in UNLOGGED:
            unlogged.append(kind)
            continue
        if address not in sources:
            wrong.append("%s (%s) is not reported: %s" % (address, kind, harmless.get(address)))
        elif EXPECTED[kind] is not None and not EXPECTED[kind] & set(sources[address]["kinds"]):
            wrong.append("%s (%s) is called %s" % (address, kind, sources[address]["kinds"]))
        elif kind == "breach" and sources[address]["severity"] != "alarm":
            wrong.append("%s got in, and that is no alarm" % address)
    for address, kind in truth["benign"].items():
        if address in sources:
            wrong.append("%s (%s) is no attack, but called %s" % (address, kind, sources[address]["kinds"]))
    for address in set(sources) | set(harmless):
        if address not in truth["attackers"] and address not in truth["benign"] and not address.startswith("192.0.2.1"):
            wrong.append("%s was never here" % address)
    alphabetical = {a["address"] for a in truth["acts"] if a.get("order") == "alphabetical"}
    for address in alphabetical:
        # Where penalties cut the list short there is no order to be seen.
        if address in sources and sources[address]["users"] >= 6 and not sources[address]["alphabetical"]:
            wrong.append("%s tried names in alphabetical order, and that is not said" % address)
    first = [row for row in found if row["type"] in ("source", "network", "user")][0]
    if first.get("severity") != "alarm":
        wrong.append("the login after failures is not at the top")
    return truth, wrong, unlogged


def main():
    wanted = sys.argv[1:]
    names = sorted(os.path.basename(p)[:-len(".truth.json")] for p in glob.glob(os.path.join(HERE, "corpus", "*.truth.json")))
    names = [n for n in names if not wanted or n in wanted]
    failed = 0
    print("1..%d" % len(names))
    for number, name in enumerate(names, 1):
        truth, wrong, unlogged = judge(name)
        failed += bool(wrong)
        count = len(truth["attackers"])
        print("%s %d - %s: %d of %d attackers reported%s, %d benign sources not, %d forged texts believed by nobody" % (
            "not ok" if wrong else "ok", number, name, count - len(unlogged), count,
            " (%s: this sshd logs nothing of it)" % ", ".join(unlogged) if unlogged else "", len(truth["benign"]), truth["forged"]))
        for message in wrong:
            print("# " + message)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
