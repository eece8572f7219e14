#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Two kdnetd behind one address, three brokers of NATS, and a failover: simulated machines crash while one collector is killed,
and later the broker that leads. Nothing is lost, and no machine stands still for long.

Started by ./dev demo --fleet, which builds the programs first, and by the test demo/fleet. With --once it ends by itself, with exit
status 0 only if the collectors, the machines and the stream agree on everything that happened."""
import argparse
import contextlib
import json
import os
import subprocess
import sys
import textwrap
import threading
import time

import demo
import screen
import way
from demo import GUIDAGE, RVA, Trouble, columns, end, free_port, private, tail
from machines import Machine, conclusion, verdict

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "fleet"))
import nats  # noqa: E402

BROKERS_S = 60  # until they take a stream
STREAM_S = 90  # until all is in the stream, at most; some 10 s
MOVE_S = 0.6  # until the address moves, as keepalived with docs/fleet.md's file takes
FIRST_RESULTS = 3  # of machines, then c1 is killed
LATE = "app-01"  # starts when the leading broker is killed
FINAL = ("bugcheck_second", "shutdown")
NEWS_MAX = 5
CRASH = "--scenario bugcheck --new-port"
MACHINES = [
    ("web-01", "crashes before c1 is killed", f"{CRASH} --bugcheck 0xD1 --status 0 --dump-ms 6000 --delay-ms 2000", "written"),
    ("web-02", "crashes before c1 is killed", f"{CRASH} --bugcheck 0x7E --status 0 --dump-ms 5500 --delay-ms 2400", "written"),
    ("sql-01", "the same; its disk is full", f"{CRASH} --bugcheck 0x1A --status 0xC000007F --dump-ms 5000 --delay-ms 2800", "failed"),
    ("file-01", "crashes when c1 has just died", f"{CRASH} --bugcheck 0xC2 --status 0 --dump-ms 3000 --delay-ms 3300", "written"),
    ("mail-01", "crashes when c1 has just died", f"{CRASH} --bugcheck 0x9F --status 0 --dump-ms 3000 --delay-ms 3500", "written"),
    ("build-01", "crashes when c2 serves", f"{CRASH} --bugcheck 0x50 --status 0xC0000185 --dump-ms 1500 --delay-ms 5500", "failed"),
    (LATE, "crashes when the leading broker is dead", f"{CRASH} --bugcheck 0x3B --status 0 --dump-ms 1000 --delay-ms 1500", "written"),
    ("vdi-01", "nothing happens", "--scenario idle", ""),
]
TITLE = ("Two kdnetd, c1 and c2, behind one address, three brokers of NATS, and eight simulated machines, all on this computer. "
         "c1 is killed while machines crash, then the broker that leads. No result is lost.")


class Collector:
    """One kdnetd, and what it has told."""

    def __init__(self, name, ip):
        self.name, self.ip, self.process, self.file, self.rest, self.ids = name, ip, None, None, "", set()
        self.word, self.tone = "starts", "quiet"


class StreamWatch(threading.Thread):
    """What the stream holds, asked from whichever broker answers."""

    def __init__(self, servers):
        super().__init__(daemon=True)
        self.servers, self.ended, self.leader, self.count, self.ids = servers, False, None, 0, []
        self.cleanups = contextlib.ExitStack()

    def addCleanup(self, function, *arguments):  # noqa: N802: as a test case has it
        self.cleanups.callback(function, *arguments)

    def client(self):
        for one in self.servers:
            if one.process and one.process.poll() is None:
                with contextlib.suppress(OSError, AssertionError):
                    return nats.Client(self, one.port)
        return None

    def run(self):
        client = None
        while not self.ended:
            client = client or self.client()
            with contextlib.suppress(OSError):
                info = client and client.request("$JS.API.STREAM.INFO.CRASH", patience=1)
                if not info:
                    client = None
                elif "error" not in info:
                    self.count, self.leader = info["state"]["messages"], (info.get("cluster") or {}).get("leader")
            time.sleep(0.3)

    def read(self):
        """The ids in the stream, in its order."""
        client = self.client()
        return [json.loads(data)["id"] for _, _, data in client.messages()] if client else []

    def end(self):
        self.ended = True
        self.join()
        self.cleanups.close()


class FleetScreen(screen.Screen):
    def frame(self, machines, panel, news, footer, title):
        columns_, rows = self.size
        width = columns_ - 1
        lines = textwrap.wrap(title, width) + [""]
        lines += [self.line(pieces, width) for pieces in panel] + [""]
        lines += self.machine_lines(machines, width) + [""]
        room = max(0, rows - len(lines) - 2)
        lines += [text if len(text) <= width else text[:width - 1] + "…" for text in news[-room:]] if room else []
        return lines[:rows - 2] + [""] + [self.line([(footer, None)], width)]


class Fleet(demo.Demo):
    def __init__(self, options):
        options.replay = None
        super().__init__(options)
        self.machines = [Machine(i, name, story, arguments, [word] if word else []) for i, (name, story, arguments, word) in enumerate(MACHINES)]
        self.by_name = {m.name: m for m in self.machines}
        self.screen = FleetScreen(sys.stdout) if screen.is_drawable(sys.stdout) else None
        self.collectors = {"c1": Collector("c1", "127.2.0.1"), "c2": Collector("c2", "127.2.0.2")}
        self.way, self.servers, self.watch, self.news, self.killed_broker, self.teller = None, [], None, [], None, {}

    # What is told

    def tell(self, who, text):
        self.news = [*self.news[1 - NEWS_MAX:], f"{time.monotonic() - self.started:5.1f} s  {who}: {text}"]
        super().say(who, text)

    # Starting

    def start_brokers(self):
        self.tell("brokers", "three start, and choose who leads")
        nats.PREPARE = demo.die_with_parent
        self.watch = StreamWatch(self.servers)
        self.servers += nats.cluster(self.watch, self.folder)
        client = self.watch.client()
        give_up = time.monotonic() + BROKERS_S
        while not client or not nats.is_placing(client):
            if time.monotonic() > give_up:
                raise Trouble("the brokers find no leader")
            self.draw()
            time.sleep(0.1)
        self.watch.start()

    def write_collector(self, one):
        lines = [f"collector: {one.name}", f'listen: ["{one.ip}:{self.way.port}"]', f'events: "{self.path(one.name + ".jsonl")}"',
                 f'state: "{self.path("state-" + one.name)}"', f'store: "{self.path(one.name + ".db")}"', "http: none",
                 f'http_socket: "{self.path(one.name + ".sock")}"', f"read_deadline: {self.options.read_deadline}", "nats:",
                 "  servers: [" + ", ".join(f'"{server.url}"' for server in self.servers) + "]", "  hints: kdnet_hints", "rva:",
                 f"  - guidage: {GUIDAGE}", "    symbol: nt!IopFinalCrashDumpStatus", f"    rva: {RVA}", "targets:"]
        for machine in self.machines:
            lines += [f"  - name: {machine.name}", f"    key: {machine.key}"]
        os.makedirs(self.path("state-" + one.name), exist_ok=True)
        with open(self.path(one.name + ".yaml"), "w", encoding="utf-8", opener=private) as file:
            file.write("\n".join(lines) + "\n")

    def start_collector(self, name):
        one = self.collectors[name]
        self.write_collector(one)
        log = self.path(name + ".log")
        one.process = self.spawner.spawn([self.program("kdnetd"), "--config", self.path(name + ".yaml")], os.devnull, log)
        give_up = time.monotonic() + demo.READY_S
        while "msg=serving" not in tail(log, 40):
            if one.process.poll() is not None or time.monotonic() > give_up:
                raise Trouble(f"{name} did not start:\n{tail(log)}")
            time.sleep(0.02)
        if not one.file:
            one.file = open(self.path(name + ".jsonl"), encoding="utf-8")
        one.word, one.tone = "waits", "quiet"

    def give_way(self, name):
        one = self.collectors[name]
        self.way.to = (one.ip, self.way.port)
        one.word, one.tone = "has the address, and serves", "good"

    # What the collectors say

    def look(self):
        for one in self.collectors.values():
            if not one.file:
                continue
            one.rest += one.file.read()
            *lines, one.rest = one.rest.split("\n")
            for line in lines:
                self.take(one, json.loads(line))
        self.check_alive()

    def take(self, one, event):
        known = any(event["id"] in other.ids for other in self.collectors.values())
        one.ids.add(event["id"])
        machine = self.by_name.get(event["target"])
        if machine and not known:
            self.teller[machine.name] = one.name
            getattr(self, "on_" + event["event"], lambda m, e: None)(machine, event)

    def check_alive(self):
        for one in self.collectors.values():
            if one.process and one.process.poll() is not None:
                raise Trouble(f"{one.name} ended with status {one.process.returncode}:\n{tail(self.path(one.name + '.log'))}")
        for machine in self.machines:
            if machine.process and machine.process.poll() is not None:
                raise Trouble(f"{machine.name} ended:\n{tail(self.path(machine.name + '.log'))}")

    def on_bugcheck(self, machine, event):
        if not machine.bugcheck:  # who takes over says it again
            super().on_bugcheck(machine, event)

    def on_break_in(self, machine, event):
        machine.phase = event["phase"]
        if machine.phase == "bugcheck_first":
            machine.timeline.add("✖", f"{event['collector']} break", "bad", True)

    def on_crash_status(self, machine, event):
        machine.results.append(event)
        if event["phase"] in FINAL:
            machine.timeline.end()
            mark, word, tone = conclusion(event)
            machine.timeline.add(mark, f"{event['collector']} {word}", tone)
        self.tell(machine.name, f"{event['collector']} says: {verdict(event)}")

    # What is drawn

    def panel(self):
        """Collectors, brokers, the stream, as lines of (text, tone)."""
        lines = [[("machines send to ", None), (f"127.0.0.1:{self.way.port if self.way else '…'}", "strong")]]
        for one in self.collectors.values():
            lines.append([(f"  {one.name}  ", "strong"), (one.word.ljust(30), one.tone), (f"{len(one.ids):4} events told", None)])
        brokers = [("brokers  ", "strong")]
        for server in self.servers:
            word, tone = ("killed", "bad") if server is self.killed_broker else ("there", "quiet")
            if word == "there" and self.watch and self.watch.leader == server.name:
                word, tone = "leads", "good"
            brokers.append((f"{server.name} {word}   ", tone))
        count = self.watch.count if self.watch else 0
        return [*lines, brokers, [("stream   ", "strong"), (f"{count} of {len(self.told())} events", None)]]

    def draw(self):
        if self.screen:
            self.screen.draw(self.machines, self.panel(), self.news, self.footer, TITLE)

    def told(self):
        return set().union(*(one.ids for one in self.collectors.values()))

    # The story

    def until(self, found, what, patience=demo.EVENTS_S):
        give_up = time.monotonic() + patience
        while not found():
            if time.monotonic() > give_up:
                raise Trouble(f"waited {patience} s, and not: {what}")
            self.look()
            self.draw()
            time.sleep(demo.LOOK_S)

    def pause(self, seconds):
        over = time.monotonic() + seconds
        self.until(lambda: time.monotonic() > over, "a pause", seconds + 30)

    def is_final(self, machine):
        return any(result["phase"] in FINAL for result in machine.results)

    def begin(self):
        self.start_brokers()
        self.way = way.Way()
        self.way.start()
        for name in self.collectors:
            self.start_collector(name)
        self.give_way("c1")
        self.tell("c1", "has the address; c2 waits")
        for machine in self.machines:
            if machine.name != LATE:
                self.start_machine(machine, self.way.port)

    def kill_collector(self):
        self.until(lambda: sum(bool(m.results) for m in self.machines) >= FIRST_RESULTS, "crashes")
        one, self.way.to = self.collectors["c1"], None
        one.process.kill()
        one.process.wait()
        one.process, one.word, one.tone = None, "killed", "bad"
        self.tell("c1", "is killed (SIGKILL) while machines write their dumps")
        self.pause(MOVE_S)
        self.give_way("c2")
        self.tell("c2", f"has the address, {MOVE_S:.1f} s later; the brokers told it where machines are")
        self.until(lambda: all(self.is_final(m) for m in self.machines if m.expected and m.name != LATE), "each result")

    def kill_broker(self):
        self.until(lambda: self.watch.leader, "a leader of the stream")
        self.killed_broker = next(server for server in self.servers if server.name == self.watch.leader)
        self.watch.leader = None
        self.killed_broker.kill()
        self.tell("brokers", f"{self.killed_broker.name}, which leads, is killed")
        late = self.by_name[LATE]
        self.start_machine(late, self.way.port)
        self.until(lambda: self.is_final(late), "its result")

    def come_back(self):
        self.start_collector("c1")
        self.tell("c1", "is back, and waits; what it had not published goes out")
        self.until(lambda: self.watch.count >= len(self.told()), "all events in the stream", STREAM_S)
        self.pause(demo.SETTLE_S)
        self.tell("stream", "has every event")

    def run(self):
        if not self.screen:
            print(textwrap.fill(TITLE, min(120, columns() - 1)) + "\n", flush=True)
        self.footer = "It ends by itself, in less than a minute." if self.options.once else "Ctrl-C ends it all."
        self.begin()
        self.kill_collector()
        self.kill_broker()
        self.come_back()
        if not self.options.once:
            self.stay_on()
        return self.finish()

    def stay_on(self):
        self.footer = "All went on. Ctrl-C ends it all, and shows the tables."
        if not self.screen:
            print(f"\n{self.footer}", flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            self.until(lambda: False, "Ctrl-C", 86400)

    # The end

    def kdnetctl(self, *words):
        """What an operator would see: kdnetctl's own tables, from the stream."""
        servers = ",".join(server.url for server in self.servers if server is not self.killed_broker)
        print(f"\n$ kdnetctl fleet {' '.join(words)}", flush=True)
        return subprocess.run([self.program("kdnetctl"), "fleet", *words, "--servers", servers], timeout=120).returncode == 0

    def finish(self):
        ids = self.watch.read()
        for machine in self.machines:
            self.end_machine(machine)
            machine.process = None
        self.look()
        if self.screen:
            self.screen.keep(self.machines)
        print()
        self.table(live=False)
        read = self.kdnetctl("crashes") and self.kdnetctl("collectors")
        lost, twice = self.told_before_end(ids), len(ids) - len(set(ids))
        longest = max((m.summary["longest_halt_ms"] for m in self.machines if m.summary), default=0)
        wrong = [m for m in self.machines if not self.is_good(m)]
        for machine in wrong:
            print(f"\nNOT AS EXPECTED: {machine.name}: {machine.outcome()}; the machine says {json.dumps(machine.summary)}")
        print("\n" + textwrap.fill(
            f"{len(set(ids))} events in the stream: {len(lost)} lost, {twice} twice. No machine stood still at a break for longer than "
            f"{longest:,} ms, though nobody had the address for {MOVE_S * 1000:.0f} ms. docs/fleet.md says how to set this up.",
            min(120, columns() - 1)))
        return 0 if read and not wrong and not lost and twice == 0 else 1

    def told_before_end(self, ids):
        """What collectors told and the stream lacks; what they say of machines that were just ended is no part of it."""
        return {id for one in self.collectors.values() for id in self.results_of(one)} - set(ids)

    def results_of(self, one):
        with open(self.path(one.name + ".jsonl"), encoding="utf-8") as file:
            return [event["id"] for event in map(json.loads, file) if event["event"] == "crash_status"]

    def is_good(self, machine):
        final = [result["verdict"] for result in machine.results if result["phase"] in FINAL]
        return bool(machine.connected and machine.summary and machine.summary["exit"] == 0 and final == (machine.expected or []))

    def close(self):
        super().close()
        if self.way and self.way.is_alive():
            self.way.end()
        if self.watch and self.watch.is_alive():
            self.watch.end()
        for server in self.servers:
            server.end()
        for one in self.collectors.values():
            if one.file:
                one.file.close()


def main():
    parser = argparse.ArgumentParser(description="two kdnetd, three brokers, a failover")
    parser.add_argument("--programs", required=True, help="the build folder, with kdnetd, kdnetctl and kdnet-target")
    parser.add_argument("--once", action="store_true", help="end by itself")
    parser.add_argument("--read-deadline", default="2s", help="kdnetd's (default %(default)s)")
    nats.skip_without_server()
    return demo.play(Fleet(parser.parse_args()))


if __name__ == "__main__":
    sys.exit(main())
