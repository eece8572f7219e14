#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Instructions that kdnetd takes for a poke of an idle machine, by callgrind: the same in each run, whatever else the
computer does. So two builds can be compared by a difference that no clock shows. OpenSSL takes the way of a processor
without SHA instructions, which callgrind does not know; that part is equal in all builds.

    python3 tests/bench/instructions.py --programs BUILD [--kdnetd BUILD/kdnetd] [--keep FILE]

--kdnetd: that of another build. --keep: callgrind's counts, for callgrind_annotate.
"""
import argparse
import os
import re
import subprocess
import sys
import tempfile
import time

import rig

TARGETS = 200  # few, so that all are connected in time although kdnetd is slow
POKES = 20000
SETTLE_S = 20  # after its connection each machine is asked for a while what it may wait with
BURST = 2000
rig.PATIENCE_S = 300.0


def count(programs, kdnetd, folder, keep):
    wrapped, counts = os.path.join(folder, "kdnetd"), keep or os.path.join(folder, "counts")
    with open(wrapped, "w", encoding="utf-8") as file:
        file.write(f'#!/bin/sh\ncase "$*" in *--help*) exec {kdnetd} "$@" ;; esac\n'
                   f'exec valgrind --tool=callgrind --callgrind-out-file={counts} {kdnetd} "$@"\n')
    os.chmod(wrapped, 0o700)
    fleet = rig.Rig(programs, folder)
    fleet.program = lambda name: wrapped if name == "kdnetd" else os.path.join(programs, name)
    try:
        server = fleet.start(rig.Kdnetd, fleet.targets(TARGETS, True)).ready()
        crowd = fleet.start(rig.Crowd, TARGETS, server.port)
        crowd.connect(120)
        end = time.monotonic() + SETTLE_S
        while time.monotonic() < end:
            crowd.ask("idle 3.0")
        before, sent = server.settled(), 0
        crowd.tell(f"bursts {POKES} 1 {BURST}")
        crowd.line()
        subprocess.run(["callgrind_control", "-z", str(server.pid)], check=True, capture_output=True)
        while sent < POKES:
            sent = crowd.ask("go")["sent"]
            rig.wait_taken(server.port)
        subprocess.run(["callgrind_control", "-d", str(server.pid)], check=True, capture_output=True)
        if server.settled() - before != POKES:
            raise rig.Trouble("pokes were lost")
    finally:
        fleet.end_all()
    with open(counts + ".1", encoding="utf-8") as file:
        return int(re.search(r"^(?:summary|totals): (\d+)", file.read(), re.M).group(1)) / POKES


def main():
    parser = argparse.ArgumentParser(description="instructions for a poke, by callgrind")
    parser.add_argument("--programs", required=True)
    parser.add_argument("--kdnetd")
    parser.add_argument("--keep", metavar="FILE")
    options = parser.parse_args()
    programs = os.path.abspath(options.programs)
    kdnetd = os.path.abspath(options.kdnetd or os.path.join(programs, "kdnetd"))
    with tempfile.TemporaryDirectory(prefix="kdnetd-instructions-") as folder:
        keep = os.path.abspath(options.keep) if options.keep else None
        print(f"{count(programs, kdnetd, folder, keep):,.0f} instructions for a poke")
    return 0


if __name__ == "__main__":
    sys.exit(main())
