#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The simulator's trace: all events declared, times that only grow, and a picture that can be drawn of it. TAP."""
import json
import os
import re
import subprocess
import sys
import tempfile
import xml.etree.ElementTree

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SIM, PLOT = sys.argv[1], os.path.join(TOP, "tools/plot-trace")


def declared():
    """{event: [fields]} of events.def."""
    with open(os.path.join(TOP, "src/transport/events.def"), encoding="utf-8") as file:
        text = file.read()
    found = {}
    for part in re.split(r"^LH_EVENT\(", text, flags=re.M)[1:]:
        found[part.split(",")[0]] = re.findall(r"LH_(?:NUMBER|WORD)\((\w+),", part)
    return found


def main():
    print("1..3")
    failed = 0
    with tempfile.TemporaryDirectory(prefix="lh-trace-") as folder:
        trace, picture = os.path.join(folder, "trace.jsonl"), os.path.join(folder, "picture.svg")
        subprocess.run([SIM, "rebinding", "--trace", trace], check=True, stdout=subprocess.DEVNULL)
        with open(trace, encoding="utf-8") as file:
            events = [json.loads(line) for line in file]
        known = declared()
        wrong = [e for e in events if [k for k in e if k not in ("t", "side", "event")] not in
                 ([known.get(e["event"])] if e["event"] != "state" else [known["state"]])]
        kinds = {e["event"] for e in events}
        good = not wrong and {"begin", "state", "sent", "received", "path", "end"} <= kinds
        print("ok" if good else "not ok", "1 - every event has the fields that events.def declares", *wrong[:1])
        failed += not good
        good = all(a["t"] <= b["t"] for a, b in zip(events, events[1:]) if a["side"] == b["side"])
        print("ok" if good else "not ok", "2 - times only grow")
        failed += not good
        subprocess.run([PLOT, trace, "-o", picture], check=True)
        words = " ".join(xml.etree.ElementTree.parse(picture).getroot().itertext())
        good = all(word in words for word in ("Rate", "Window", "Queue", "Round trip", "Loss", "Held back by"))
        print("ok" if good else "not ok", "3 - tools/plot-trace draws it")
        failed += not good
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())
