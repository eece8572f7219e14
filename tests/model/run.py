# SPDX-License-Identifier: Apache-2.0
"""Checks resume.pml: python3 run.py [WORK_FOLDER]. One line a model; README.md says what they mean.

Exit status: 0 all as expected, 1 not, 77 spin or gcc is not installed.
"""
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
COMMON = {"BREAKS": "2", "READS": "1"}

SAFE = [
    "LOSS=0", "LOSS=4", "RESTART=2 LOSS=1", "RESTART=1 LOSS=3", "EARLY=2 LOSS=1", "REPEAT=1 LOSS=2",
    "REORDER=2 LOSS=2", "REFRESH=1 LOSS=2", "SAMEPLACE=1 LOSS=3", "FAULT=2 LOSS=3", "LOADSYM=2 LOSS=3",
    "LOADSYM=6 SAMEPLACE=1 LOSS=3", "CALM=2 LOSS=3", "REFRESH=1 RESTART=1", "SILENCE=1 LOSS=2 EARLY=1",
    "RESTART=1 SAMEPLACE=1 LOSS=1", "CALM=2 LOSS=4", "RESTART=1 REFRESH=1 LOSS=1", "RESTART=1 EARLY=1 LOSS=1",
    "LOADSYM=2 REFRESH=1 RESTART=1 LOSS=1", "THINK=3", "THINK=2 LOSS=1", "THINK=1 LATE=1 LOSS=1", "THINK=2 LATE=1",
    "THINK=1 RESTART=1", "THINK=1 SAMEPLACE=1 LATE=1",
]
RESUMED = ["LOSS=0", "LOSS=2", "LOSS=2 REFRESH=1 LOADSYM=2", "LOSS=3 SAMEPLACE=1", "EARLY=1 LOSS=1 REORDER=1",
           "THINK=1", "THINK=1 LATE=1"]
MUTANTS = [
    "MUTANT=1 LOSS=2 RESTART=1", "MUTANT=2 LOSS=4 REFRESH=1", "MUTANT=6 LOSS=1", "MUTANT=7 LOSS=1 REORDER=1",
    "MUTANT=9 LOSS=3 SAMEPLACE=1", "MUTANT=10 LOSS=2", "MUTANT=11 REFRESH=1 RESTART=1",
    "MUTANT=13 THINK=2 LOSS=1", "MUTANT=14 THINK=2 LOSS=1",
]
DEPTHS = 300000, 3000000  # what is searched deeper takes a second more to begin with
OPEN = [
    "FAULT=6 SAMEPLACE=1 LOSS=2",
]


def build(folder):
    subprocess.run(["spin", "-a", os.path.join(HERE, "resume.pml")], cwd=folder, check=True,
                   stdout=subprocess.DEVNULL)
    common = ["gcc", "-O0", "-w", "-DMEMLIM=3000", "-DVECTORSZ=512", "-DCOLLAPSE"]
    jobs = [subprocess.Popen(common + ["-DSAFETY", "-DNOCLAIM", "-o", "safe", "pan.c"], cwd=folder),
            subprocess.Popen(common + ["-o", "live", "pan.c"], cwd=folder)]
    if any([job.wait() != 0 for job in jobs]):
        sys.exit("gcc cannot compile what spin made")


def check(folder, parameters, live):
    """Runs one model. Returns (errors, states, seconds, what was violated); exits when it was not searched wholly."""
    environment = dict(os.environ, **COMMON, **dict(p.split("=") for p in parameters.split()))
    command = ["./live", "-a"] if live else ["./safe"]
    if live:
        environment["TURNS"] = "1"
    begin = time.monotonic()
    for depth in DEPTHS:
        out = subprocess.run([*command, "-w20", f"-m{depth}"], cwd=folder, env=environment, capture_output=True, text=True,
                             check=False).stdout
        if "max search depth too small" not in out:
            break
    errors = re.search(r"errors: (\d+)", out)
    states = re.search(r"(\d+) states, stored", out)
    if not errors or not states or "max search depth too small" in out or "reached -DMEMLIM" in out:
        sys.exit(f"{parameters}: not searched to the end:\n{out[-2000:]}")
    found = re.search(r"pan:1: (.*?)(?: \(at depth|$)", out, re.M)
    what = found.group(1) if found else ""
    what = "a machine hangs" if "t_wait&&" in what else what
    return int(errors.group(1)), int(states.group(1)), time.monotonic() - begin, what


def main():
    for tool in ("spin", "gcc"):
        if not shutil.which(tool):
            print(f"skipped: {tool} is not installed")
            return 77
    folder = sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp(prefix="kdnet-model-")
    os.makedirs(folder, exist_ok=True)
    build(folder)
    failed = 0
    for kind, models, live, wanted in (("holds", SAFE, False, False), ("resumed", RESUMED, True, False),
                                       ("mutant found", MUTANTS, False, True), ("open", OPEN, False, True)):
        for parameters in models:
            errors, states, seconds, what = check(folder, parameters, live)
            good = (errors > 0) == wanted
            failed += not good
            print(f"{'ok' if good else 'NOT OK':7}{kind:13}{parameters:32}{states:9} states {seconds:6.1f} s  {what[:60]}",
                  flush=True)
    if len(sys.argv) < 2:
        shutil.rmtree(folder)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
