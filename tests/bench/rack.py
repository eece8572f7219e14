#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A rack fails over: what each part of a fleet sees, through the real programs on one computer.

    python3 rack.py --programs BUILD [--collectors 8] [--machines 125000] [--brokers 3] [--workers 2] [--json FILE]

Needs kdnetd and kdnet-target in BUILD, nats-server (KDNETD_NATS_SERVER, or in PATH), python3; no root. All collectors know all
machines. Idle machines connect, each collector to its share; then the first collector is killed, and the second takes its
addresses. Prints one JSON object, within --limit seconds in any case: what was reached by then. Of each part, before and after: what
it received, sent, asked, told, put and published, a second; time on processors; memory.

Each collector has a listening port for every 60,000 machines (or fewer, as many as a process may have files): kdnet-target's addresses go no further. The targets file has the machines'
addresses: what it costs to learn the addresses of so many by their keys is `./dev bench identify`."""
import argparse
import http.client
import json
import os
import pathlib
import re
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "fleet"), str(HERE.parent / "demo")]
import nats  # noqa: E402
from demo import Spawner, die_with_parent, private, tail  # noqa: E402

PER_PORT = 60000  # machines, or as many as a process may have files
LOOK_S = 0.5
BASE_S = 8.0  # how long is looked before the fault, at most
STREAM, BUCKET = "CRASH", "KV_kdnet_hints"
COUNTERS = {"received": "kdnetd_received_total", "sent": "kdnetd_sent_total", "asked": "kdnetd_solicited_total",
            "events": "kdnetd_events_total", "unknown_pokes": "kdnetd_unknown_total", "keys_tried": "kdnetd_keys_tried_total",
            "dropped_by_kernel": "kdnetd_overflowed_total"}
TICKS = os.sysconf("SC_CLK_TCK")


class Cut(Exception):
    """The time is up; what was measured so far counts."""


def base36(value):
    digits, text = "0123456789abcdefghijklmnopqrstuvwxyz", ""
    while value or not text:
        value, digit = divmod(value, 36)
        text = digits[digit] + text
    return text


def machine_address(i):
    """Where kdnet-target's machine i sends from; its port is that of its collector."""
    return f"127.1.{i // 254}.{i % 254 + 1}"


def raise_files(need):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for most in (max(need, hard), hard):
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
            return most
        except (ValueError, OSError):
            pass
    return soft


def cpu_s(pid):
    """Seconds on processors so far; 0: it has ended."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as file:
            fields = file.read().rsplit(") ", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / TICKS
    except OSError:
        return 0.0


def memory_mib(pid):
    try:
        with open(f"/proc/{pid}/status", encoding="ascii") as file:
            return round(next(int(line.split()[1]) for line in file if line.startswith("VmRSS:")) / 1024)
    except (OSError, StopIteration):
        return 0


def port_free(port):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind(("127.0.0.1", port))
            return True
        except OSError:
            return False


class Unix(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=20)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class Collector:
    def __init__(self, rack, number, ports):
        self.rack, self.name, self.ports, self.process = rack, f"c{number + 1}", ports, None

    def path(self, end):
        return os.path.join(self.rack.folder, self.name + end)

    def write(self, ports):
        rack = self.rack
        lines = [f"collector: {self.name}", "listen: [" + ", ".join(f'"127.0.0.1:{port}"' for port in ports) + "]",
                 f"targets_file: {rack.targets}", f'events: "{self.path(".jsonl")}"', f'state: "{self.path("-state")}"',
                 f'store: "{self.path(".db")}"', "http: none", f'http_socket: "{self.path(".sock")}"', f"workers: {rack.options.workers}",
                 "log_level: notice", "nats:", "  servers: [" + ", ".join(f'"{one.url}"' for one in rack.servers) + "]",
                 "  hints: kdnet_hints"]
        with open(self.path(".yaml"), "w", encoding="utf-8", opener=private) as file:
            file.write("\n".join(lines) + "\n")

    def start(self):
        os.mkdir(self.path("-state"))
        self.write(self.ports)
        self.process = self.rack.spawner.spawn([self.rack.program("kdnetd"), "--config", self.path(".yaml")], os.devnull, self.path(".log"))

    def is_serving(self):
        if self.process.poll() is not None:
            raise SystemExit(f"{self.name} ended:\n{tail(self.path('.log'))}")
        with open(self.path(".log"), encoding="utf-8", errors="replace") as file:
            return "msg=serving" in file.read()

    def counts(self):
        """Its counters; empty: it does not answer."""
        try:
            client = Unix(self.path(".sock"))
            client.request("GET", "/metrics")
            text = client.getresponse().read().decode()
            client.close()
        except OSError:
            return {}
        sums = {}
        for name, value in re.findall(r"^(kdnetd_\w+)(?:\{[^}]*\})? ([0-9.e+]+)$", text, re.M):
            sums[name] = sums.get(name, 0) + float(value)
        connected = re.search(r'^kdnetd_targets\{state="connected"\} (\d+)', text, re.M)
        return {**{short: round(sums.get(name, 0)) for short, name in COUNTERS.items()}, "connected": int(connected[1]) if connected else 0}


class Rack:
    def __init__(self, options):
        self.options, self.begun = options, time.monotonic()
        self.folder = tempfile.mkdtemp(prefix="kdnetd-rack-", dir=options.folder)
        self.spawner, self.servers, self.clean = Spawner(self.folder), [], []
        self.targets, self.crowds, self.client = os.path.join(self.folder, "targets"), [], None
        per, count = options.machines, options.collectors
        most = min(PER_PORT, raise_files(PER_PORT + 1000) - 1000)
        self.shares = [min(most, per - at) for at in range(0, per, most)]
        self.collectors = []
        port = 30000 + os.getpid() % 1000
        for number in range(count):
            ports = []
            while len(ports) < len(self.shares):
                port += 1
                if port_free(port):
                    ports.append(port)
            self.collectors.append(Collector(self, number, ports))
        self.out = {"collectors": count, "machines": per * count, "machines_of_one": per, "brokers": options.brokers,
                    "workers_of_one": options.workers, "cores": os.cpu_count(), "cut": None, "phases": {}}

    def addCleanup(self, function, *arguments):  # noqa: N802: as a test case has it
        self.clean.append((function, arguments))

    def program(self, name):
        return str(self.options.programs / name)

    def left(self):
        return self.options.limit - 12 - (time.monotonic() - self.begun)

    def until(self, found, what, patience=1e9, nap=LOOK_S):
        give_up, begun = time.monotonic() + patience, time.monotonic()
        while not found():
            if self.left() <= 0:
                raise Cut(what)
            if time.monotonic() > give_up:
                return None
            time.sleep(nap)
        return round(time.monotonic() - begun, 2)

    # Starting

    def write_targets(self):
        with open(self.targets, "w", encoding="utf-8", opener=private) as file:
            for crowd, (port, share) in enumerate(self.crowd_list()):
                file.write("".join(f"r{crowd}-{i} 1.1.{base36(crowd + 1)}.{base36(i + 1)} {machine_address(i)}:{port}\n" for i in range(share)))

    def crowd_list(self):
        return [(port, share) for one in self.collectors for port, share in zip(one.ports, self.shares)]

    def start_brokers(self):
        nats.PREPARE = die_with_parent
        if self.options.brokers > 1:
            self.servers += nats.cluster(self, self.folder, self.options.brokers, max_file="20GB")
            self.connect()
            self.until(lambda: nats.is_placing(self.client), "brokers find a leader")
        else:
            self.servers.append(nats.Server(self, self.folder, max_file="20GB").start())
            self.connect()

    def connect(self):
        self.client = nats.Client(self, self.servers[0].port)

    def start_machines(self):
        for crowd, (port, share) in enumerate(self.crowd_list()):
            command = [self.program("kdnet-target"), "--host", f"127.0.0.1:{port}", "--key", f"1.1.{base36(crowd + 1)}.1", "--count", str(share),
                       "--scenario", "idle", "--seed", str(1 + 1000003 * crowd), "--spread-ms", str(self.options.spread_ms), "--json"]
            self.crowds.append(self.spawner.spawn(command, os.devnull, os.path.join(self.folder, f"crowd-{crowd}.log")))

    # Looking

    def look(self):
        streams = {name: (self.client.info(stream) or {"state": {"messages": 0, "last_seq": 0, "bytes": 0}})["state"]
                   for name, stream in (("stream", STREAM), ("bucket", BUCKET))}
        parts = {one.name: {**one.counts(), "cpu_s": cpu_s(one.process.pid), "memory_mib": memory_mib(one.process.pid)}
                 for one in self.collectors if one.process and one.process.poll() is None}
        for one in self.servers:
            parts[one.name] = {"cpu_s": cpu_s(one.process.pid), "memory_mib": memory_mib(one.process.pid)}
        parts["machines"] = {"cpu_s": sum(cpu_s(one.pid) for one in self.crowds)}
        for name, state in streams.items():
            parts[name] = {"puts": state["last_seq"], "kept": state["messages"], "bytes": state["bytes"]}
        return time.monotonic(), parts

    @staticmethod
    def rates(looks):
        """Of each part: what it did a second, in all and in the busiest of the looks; what it has at the end."""
        out = {}
        for name, last in looks[-1][1].items():
            out[name] = {}
            for what, value in last.items():
                series = [(when, parts[name][what]) for when, parts in looks if what in parts.get(name, {})]
                if what in ("memory_mib", "connected", "kept", "bytes") or len(series) < 2:
                    out[name][what] = value
                    continue
                steps = [(b - a) / (t - s) for (s, a), (t, b) in zip(series, series[1:])]
                mean = (series[-1][1] - series[0][1]) / (series[-1][0] - series[0][0])
                digits = 2 if what == "cpu_s" else 0
                out[name]["cpu_share" if what == "cpu_s" else what + "_a_second"] = {
                    "mean": round(mean, digits or None), "most": round(max(steps), digits or None), "in_all": round(series[-1][1] - series[0][1], 1)}
        return out

    def phase(self, name, seconds, over=None):
        """Looks for so long, or until over(parts) is true and has been for 3 s."""
        looks, begun, since = [self.look()], time.monotonic(), None
        while time.monotonic() - begun < seconds and self.left() > 0:
            time.sleep(LOOK_S)
            looks.append(self.look())
            if over and over(looks[-1][1]):
                since = since or time.monotonic()
                if time.monotonic() - since > 3:
                    break
            else:
                since = None
        self.out["phases"][name] = {"seconds": round(looks[-1][0] - looks[0][0], 1), "parts": self.rates(looks)}
        return looks

    # The story

    def connected(self, one):
        return one.counts().get("connected", 0)

    def play(self):
        per, (first, second) = self.options.machines, self.collectors[:2]
        self.write_targets()
        self.start_brokers()
        for one in self.collectors:
            one.start()
        for one in self.collectors:
            self.until(one.is_serving, f"{one.name} serves", nap=0.1)
        self.out["started_s"] = round(time.monotonic() - self.begun, 1)
        self.start_machines()
        looks = self.phase("connecting", self.options.limit * 0.4,
                           lambda parts: all(parts[one.name].get("connected", 0) >= per for one in self.collectors)
                           and parts["bucket"]["kept"] >= per * len(self.collectors))
        self.out["connected"] = {one.name: looks[-1][1][one.name].get("connected") for one in self.collectors}
        self.phase("idle", min(BASE_S, self.options.after))
        first.process.send_signal(signal.SIGKILL)
        first.process.wait()
        second.write([*second.ports, *first.ports])
        begun = time.monotonic()
        second.process.send_signal(signal.SIGHUP)
        want, reached = self.out["connected"]["c1"] + self.out["connected"]["c2"], {}

        def all_there(parts):
            there = parts["c2"].get("connected", 0)
            for share in (0.5, 0.9, 0.99, 1.0):
                if there >= self.out["connected"]["c2"] + share * (want - self.out["connected"]["c2"]):
                    reached.setdefault(f"{share:.0%}", round(time.monotonic() - begun, 1))
            return False
        self.phase("taking_over", self.options.after, all_there)
        self.out["taken_over_after_s"] = reached

    def run(self):
        try:
            self.play()
        except Cut as cut:
            self.out["cut"] = f"the time was up while waiting: {cut}"
        finally:
            self.end()
        self.out["seconds"] = round(time.monotonic() - self.begun, 1)
        return self.out

    def end(self):
        for one in self.spawner.processes:
            if one.poll() is None:
                one.kill()
        for one in self.spawner.processes:
            one.wait()
        for function, arguments in reversed(self.clean):
            function(*arguments)
        shutil.rmtree(self.folder, ignore_errors=True)


def main():
    parser = argparse.ArgumentParser(description="a rack of idle machines fails over")
    parser.add_argument("--programs", required=True, type=pathlib.Path, help="the build folder")
    parser.add_argument("--collectors", type=int, default=8)
    parser.add_argument("--machines", type=int, default=125000, help="of each collector (default %(default)s)")
    parser.add_argument("--brokers", type=int, default=3)
    parser.add_argument("--workers", type=int, default=2, help="of each collector (default %(default)s)")
    parser.add_argument("--spread-ms", type=int, default=20000, help="over which machines start (default %(default)s)")
    parser.add_argument("--after", type=float, default=25, help="seconds that are looked at after the fault (default %(default)s)")
    parser.add_argument("--limit", type=float, default=235, help="seconds that it may take (default %(default)s)")
    parser.add_argument("--folder", help="where its files go, some GiB (default: the system's for temporary files)")
    parser.add_argument("--json", type=pathlib.Path, help="the object goes here, too")
    options = parser.parse_args()
    nats.skip_without_server()
    out = Rack(options).run()
    text = json.dumps(out, indent=1)
    print(text)
    if options.json:
        options.json.write_text(text + "\n", encoding="utf-8")
    return 1 if out["cut"] else 0


if __name__ == "__main__":
    sys.exit(main())
