#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""All faults of a fleet, played by the checks beside this file against the real programs, and what each one cost:

    python3 play.py --programs BUILD [--json FILE]

Prints a table fault × (lost, doubled, longest halt, publish gap). Ends with 1 when a check failed. What cannot run here is said.
Started by ./dev test fleet, which builds the programs first."""
import argparse
import concurrent.futures
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
SKIPPED = 77
GIVE_UP_S = 170
FEEDER, KDNETCTL = "tests/sinks/sinks_feeder", "kdnetctl"
ARGUMENTS = {"check_publish.py": [FEEDER], "check_cluster.py": [FEEDER], "check_credentials.py": [FEEDER, KDNETCTL], "check_reader.py": [KDNETCTL]}
QUICK = ("check_reader.py", "check_trust.py")  # last: the long ones begin first
VIRTUAL = "tests/test_session_two_hosts"
HALT = re.compile(r"^longest halt: (\d+) ms; over 500 ms: (\d+ of \d+)", re.M)
WAYS = ("no bucket, near", "no bucket, far or losses", "near and far", "losses")  # the tests of that program, in order
COLUMNS = (("fault", "fault"), ("lost", "lost"), ("doubled", "doubled"), ("longest halt", "halt_ms"), ("publish gap", "gap_ms"))


def checks():
    found = sorted(one.name for one in HERE.glob("check_*.py"))
    return sorted(found, key=lambda name: name in QUICK)


def run(name, programs, report):
    """(name, exit status, what it said); one that does not end is ended."""
    arguments = [str(programs / one) for one in ARGUMENTS.get(name, [])]
    environment = dict(os.environ, KDNETD_FLEET_REPORT=str(report), KDNETD_BUILD=str(programs), KDNETD_SOURCE=str(HERE.parents[1]))
    return call(name, [sys.executable, "-B", str(HERE / name), *arguments], environment)


def call(name, command, environment=None):
    process = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                               text=True, errors="replace")
    try:
        said, _ = process.communicate(timeout=GIVE_UP_S)
    except subprocess.TimeoutExpired:
        process.terminate()
        said, _ = process.communicate()
        return name, 1, said + f"\n{name} did not end in {GIVE_UP_S} s\n"
    return name, process.returncode, said


def on_virtual_clock(programs):
    """Both collectors answer: a test of the protocol on a clock of its own says how long machines stand still."""
    if not (programs / VIRTUAL).exists():
        return ("both answer", 0, ""), []
    result = call("both answer", [str(programs / VIRTUAL)])
    return result, [{"fault": f"both answer, {way} (virtual clock, {over} over 500 ms)", "halt_ms": int(longest)}
                    for way, (longest, over) in zip(WAYS, HALT.findall(result[2]))]


def cell(row, member):
    value = row.get(member)
    if value is None:
        return "-"
    return f"{value:,} ms" if member.endswith("_ms") else f"{value:,}" if isinstance(value, int) else str(value)


def table(rows):
    cells = [[title for title, _ in COLUMNS]] + [[cell(row, member) for _, member in COLUMNS] for row in rows]
    widths = [max(len(line[i]) for line in cells) for i in range(len(COLUMNS))]
    for i, line in enumerate(cells):
        print("  ".join(text.rjust(width) if j else text.ljust(width) for j, (text, width) in enumerate(zip(line, widths))))
        if i == 0:
            print("  ".join("-" * width for width in widths))


def play(programs):
    """(rows of the table, results of the checks)"""
    with tempfile.TemporaryDirectory(prefix="kdnetd-play-") as folder:
        report = pathlib.Path(folder) / "report"
        report.touch()
        with concurrent.futures.ThreadPoolExecutor(max(2, min(4, (os.cpu_count() or 2) // 2))) as pool:
            results = list(pool.map(lambda name: run(name, programs, report), checks()))
        rows = [json.loads(line) for line in report.read_text(encoding="utf-8").splitlines()]
    virtual, more = on_virtual_clock(programs)
    return sorted(rows, key=lambda row: (row.get("halt_ms") is None, row["fault"])) + more, results + [virtual]


def main():
    parser = argparse.ArgumentParser(description="faults of a fleet, played")
    parser.add_argument("--programs", required=True, type=pathlib.Path, help="the build folder")
    parser.add_argument("--json", type=pathlib.Path, help="the table goes here, too: a JSON object")
    options = parser.parse_args()
    begun = time.monotonic()
    rows, results = play(options.programs.resolve())
    took = time.monotonic() - begun
    for name, status, said in results:
        if status not in (0, SKIPPED):
            print(f"--- {name} failed\n{said}")
    table(rows)
    for name, status, said in results:
        if status == SKIPPED:
            print(f"{name}: {said.strip().splitlines()[-1] if said.strip() else 'nothing tested'}")
    failed = [name for name, status, _ in results if status not in (0, SKIPPED)]
    print(f"{len(rows)} faults in {took:.0f} s" + (f"; failed: {', '.join(failed)}" if failed else ""))
    if options.json:
        options.json.write_text(json.dumps({"faults": rows, "seconds": round(took, 1), "failed": failed}, indent=1) + "\n", encoding="utf-8")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
