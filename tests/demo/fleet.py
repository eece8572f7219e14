#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What a fleet costs: idle machines, and many that crash in the same second, against one kdnetd on loopback.

Started by ./dev bench. Prints one number a line with its unit; exit status 0 only if every result was right.
"""
import argparse
import json
import os
import sys
import tempfile
import time

from demo import GUIDAGE, READY_S, RVA, Spawner, end, free_port, private, tail

SETTLE_S = 6  # two pokes of each machine
MEASURE_S = 9
CRASHES_S = 20
DUMP_MS = 1000


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_mib(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmRSS:")) / 1024


def targets(programs, spawner, key, count, prefix):
    """Lines of a targets file, with names of their own."""
    output = os.path.join(spawner.folder, prefix)
    command = [os.path.join(programs, "kdnet-target"), "--key", key, "--count", str(count), "--print-targets"]
    spawner.spawn(command, output, output + ".log").wait()
    with open(output, encoding="utf-8") as file:
        return "".join(f"{prefix}-{line.split()[0]} {line.split()[1]}\n" for line in file)


def start(options, spawner):
    """Starts kdnetd; returns it and its port."""
    listed = targets(options.programs, spawner, "b.e.n.100000", options.idle, "idle")
    listed += targets(options.programs, spawner, "b.e.n.200000", options.crash, "crash")
    port, path = free_port(), os.path.join(spawner.folder, "kdnetd.yaml")
    with open(path, "w", encoding="utf-8", opener=private) as file:
        file.write(f'listen: ["127.0.0.1:{port}"]\ntargets_file: targets\nlog_level: warning\n'
                   f"events: {spawner.folder}/events\n"
                   f"rva:\n  - guidage: {GUIDAGE}\n    symbol: nt!IopFinalCrashDumpStatus\n    rva: {RVA}\n")
    with open(os.path.join(spawner.folder, "targets"), "w", encoding="utf-8", opener=private) as file:
        file.write(listed)
    kdnetd = spawner.spawn([os.path.join(options.programs, "kdnetd"), "--config", path], os.devnull, path + ".log")
    give_up = time.monotonic() + READY_S
    while not os.path.exists(os.path.join(spawner.folder, "events")):
        if kdnetd.poll() is not None or time.monotonic() > give_up:
            sys.exit(f"kdnetd did not start:\n{tail(path + '.log')}")
        time.sleep(0.05)
    return kdnetd, port


def run(options, spawner):
    kdnetd, port = start(options, spawner)
    program = [os.path.join(options.programs, "kdnet-target"), "--host", f"127.0.0.1:{port}"]
    output = os.path.join(spawner.folder, "machines")
    spawner.spawn([*program, "--key", "b.e.n.100000", "--count", str(options.idle), "--spread-ms", "3000"],
                  output + ".idle", output + ".idle.log")
    time.sleep(SETTLE_S)
    before = cpu_seconds(kdnetd.pid)
    time.sleep(MEASURE_S)
    share = 100 * (cpu_seconds(kdnetd.pid) - before) / MEASURE_S
    print(f"kdnetd, {options.idle} idle machines: {share:.2f} % of a core")
    crashes = ["--key", "b.e.n.200000", "--count", str(options.crash), "--scenario", "bugcheck",
               "--dump-ms", str(DUMP_MS), "--spread-ms", "1000", "--exit"]
    crashing = spawner.spawn([*program, *crashes], output, output + ".log")
    crashing.wait(CRASHES_S)
    print(f"kdnetd: {resident_mib(kdnetd.pid):.1f} MiB resident")
    end(kdnetd)
    with open(os.path.join(spawner.folder, "events"), encoding="utf-8") as file:
        events = [json.loads(line) for line in file]
    written = {e["target"] for e in events if e["event"] == "crash_status" and e["verdict"] == "written"}
    halted = sorted(e["halted_ms"] for e in events if e["event"] == "released" and e["target"].startswith("crash"))
    print(f"crashes within a second: {len(written)} of {options.crash} results")
    print(f"stopped for, median of {len(halted)}: {halted[len(halted) // 2]:.2f} ms")
    print(f"stopped for, longest: {halted[-1]:.2f} ms")
    return 0 if len(written) == options.crash and crashing.returncode == 0 else 1


def main():
    parser = argparse.ArgumentParser(description="what a fleet costs")
    parser.add_argument("--programs", required=True, help="the build folder, with kdnetd and kdnet-target")
    parser.add_argument("--idle", type=int, default=2000)
    parser.add_argument("--crash", type=int, default=200)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="kdnetd-bench-") as folder:
        spawner = Spawner(folder)
        try:
            return run(options, spawner)
        finally:
            spawner.end_all()


if __name__ == "__main__":
    sys.exit(main())
