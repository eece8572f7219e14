#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The bench suite: each figure ours, its floor from the same run, and the ratio. README.md beside this has the form.

Started by ./dev bench. Exit status 1 when a figure could not be measured or something was lost that must not be; a
goal that is missed is said, and is no failure of the suite.
"""
import argparse
import datetime
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

import figures
from rig import Rig, Trouble

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def first_line(command):
    try:
        said = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT).stdout
        return said.splitlines()[0] if said else ""
    except (OSError, subprocess.CalledProcessError):
        return ""


def machine():
    """The line that says where figures come from."""
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        model = next((line.split(":", 1)[1].strip() for line in file if line.startswith("model name")), "unknown")
    with open("/proc/meminfo", encoding="utf-8") as file:
        memory = int(file.readline().split()[1]) // 1024 // 1024
    return {
        "cpu": model,
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": memory,
        "kernel": f"{os.uname().sysname} {os.uname().release}",
        "openssl": " ".join(first_line(["openssl", "version"]).split()[:2]),
        "libuv": first_line(["pkg-config", "--modversion", "libuv"]),
        "compiler": first_line(["gcc", "--version"]),
        "load_before": round(os.getloadavg()[0], 2),
    }


def meets(goal, figure):
    """A goal: (ours or ratio, at_least or at_most, value)."""
    if goal is None or figure.get(goal[0]) is None:
        return None
    return figure[goal[0]] >= goal[2] if goal[1] == "at_least" else figure[goal[0]] <= goal[2]


class Suite:
    """Collects figures; what the functions of figures.py are given."""

    def __init__(self, rig, tiny, show):
        self.rig, self.tiny, self.show, self.figures, self.failures = rig, tiny, show, [], []
        self.command, self.remembered = "", {}

    def size(self, normal, tiny):
        return tiny if self.tiny else normal

    def add(self, figure, what, unit, ours, *, floor=None, floor_is=None, better="less", goal=None, n=1, rounds=1,
            note=None):
        ratio = None
        if floor and ours:
            ratio = ours / floor if better == "more" else floor / ours
        row = {"figure": figure, "what": what, "unit": unit, "better": better, "ours": ours, "floor": floor,
               "floor_is": floor_is, "ratio": ratio, "goal": None, "met": None, "n": n, "rounds": rounds, "note": note,
               "command": f"./dev bench {self.command}",
               "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")}
        if goal:
            row["goal"] = {"of": goal[0], goal[1]: goal[2]}
            row["met"] = meets(goal, row)
        self.figures.append(row)
        self.show(row)

    def fail(self, what):
        self.failures.append(f"{self.command}: {what}")
        print(f"bench: {self.command}: {what}", file=sys.stderr, flush=True)

    def run(self, name):
        self.command = name
        started = time.monotonic()
        try:
            figures.ALL[name](self)
        except (Trouble, OSError, subprocess.SubprocessError, KeyError, ValueError, statistics.StatisticsError) as error:
            self.fail(f"not measured: {error!r}" if not isinstance(error, Trouble) else f"not measured: {error}")
        finally:
            self.rig.end_all()
        return time.monotonic() - started


def number(value):
    if value is None:
        return "-"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def goal_text(row):
    if not row["goal"]:
        return ""
    sign, value = (">=", row["goal"]["at_least"]) if "at_least" in row["goal"] else ("<=", row["goal"]["at_most"])
    of = "ratio " if row["goal"]["of"] == "ratio" else ""
    state = {True: "met", False: "MISSED", None: "not known"}[row["met"]]
    return f"{of}{sign} {number(value)}: {state}"


def show_row(row):
    ratio = f"{row['ratio']:.2f}" if row["ratio"] is not None else "-"
    print(f"{row['figure']:<9} {row['what']:<58} {number(row['ours']):>11} {number(row['floor']):>11} {ratio:>6}  "
          f"{row['unit']:<14} {goal_text(row)}", flush=True)


def main():
    parser = argparse.ArgumentParser(prog="./dev bench", description="what a fleet costs, beside its floor")
    parser.add_argument("--programs", required=True, help=argparse.SUPPRESS)
    parser.add_argument("--json", metavar="FILE", help="write the figures there, too; -: to standard output, last")
    parser.add_argument("--tiny", action="store_true", help=argparse.SUPPRESS)  # does it work? no figure counts
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(figures.ALL))
    options = parser.parse_args()
    for name in options.names:
        if name not in figures.ALL:
            parser.error(f"no figure is called '{name}': {', '.join(figures.ALL)}")
    about = {"form": 1, "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
             "commit": first_line(["git", "rev-parse", "--short", "HEAD"]) or None, "tiny": options.tiny,
             "machine": machine()}
    print(", ".join(f"{name} {value}" for name, value in about["machine"].items()) + f"; {about['date']}", flush=True)
    print(f"{'figure':<9} {'what':<58} {'ours':>11} {'floor':>11} {'ratio':>6}  {'unit':<14} goal", flush=True)
    with tempfile.TemporaryDirectory(prefix="kdnetd-bench-") as folder:
        suite = Suite(Rig(os.path.abspath(options.programs), folder), options.tiny, show_row)
        about["seconds"] = {name: round(suite.run(name), 1) for name in options.names or figures.ALL}
    about["failures"], about["figures"] = suite.failures, suite.figures
    if options.json == "-":
        print(json.dumps(about))
    elif options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump(about, file, indent=1)
            file.write("\n")
    return 1 if suite.failures else 0


if __name__ == "__main__":
    sys.exit(main())
