#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Two collectors with the same keys answer the same machines, because a network brings a machine's datagrams to both, to each
in turn, or to one and 0.7 s later to the other. Each machine goes on soon, and each crash is one in the stream."""
import json
import os
import pathlib
import selectors
import socket
import subprocess
import sys
import threading
import time

import nats
import report

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))
import harness

COUNT = 8  # machines of each way
STATUS = "0xC000007F"
DUMP_MS = 400
DELAY_MS = 4000  # until they crash; by then each has poked twice
SPREAD_MS = 1500
GOAL_MS = 500
SLACK = 1 if os.environ.get("KDNETD_STRICT") else 20
FLAP_S = 0.7
SIDES = ("a", "b")
FLOOR = "to one"


class Way(threading.Thread):
    """What machines send to `host` goes to one collector or to both; what those answer comes from `host`."""

    def __init__(self, case, collectors, way):
        super().__init__(daemon=True)
        self.collectors, self.way, self.turn, self.begun = collectors, way, 0, time.monotonic()
        self.front = self.open()
        self.host = harness.place(*self.front.getsockname())
        self.backs, self.machines = {}, {}  # a socket for each machine, and the machine of each socket
        self.selector = selectors.DefaultSelector()
        self.selector.register(self.front, selectors.EVENT_READ)
        self.ended = False
        self.start()
        case.addCleanup(self.end)

    @staticmethod
    def open():
        opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        opened.bind(("127.0.0.1", 0))
        opened.setblocking(False)
        return opened

    def end(self):
        self.ended = True
        self.join()
        for one in (self.front, *self.backs.values()):
            one.close()
        self.selector.close()

    def chosen(self):
        self.turn += 1
        if self.way == "to both":
            return self.collectors
        if self.way == "in turn":
            return self.collectors[self.turn % 2:][:1]
        if self.way == "flapping":
            return self.collectors[int((time.monotonic() - self.begun) / FLAP_S) % 2:][:1]
        return self.collectors[:1]

    def pass_on(self, one):
        data, source = one.recvfrom(2048)
        if one is not self.front:
            self.front.sendto(data, self.machines[one])
            return
        if source not in self.backs:
            back = self.backs[source] = self.open()
            self.machines[back] = source
            self.selector.register(back, selectors.EVENT_READ)
        for to in self.chosen():
            self.backs[source].sendto(data, to)

    def run(self):
        while not self.ended:
            for key, _ in self.selector.select(0.1):
                try:
                    while True:
                        self.pass_on(key.fileobj)
                except OSError:
                    pass  # nothing more waits, or a collector is not there


class BothAnswer(harness.Case):
    def start(self, side):
        (pathlib.Path(self.folder) / f"state-{side}").mkdir()
        port = harness.free_port("127.0.0.1")
        self.file(f"{side}.yaml", f'collector: {side}\nlisten: ["127.0.0.1:{port}"]\ntargets_file: [targets]\nstate: state-{side}\n'
                  f'nats: {{servers: ["{self.server.url}"], hints: hints}}\n')
        self.daemons.append(harness.Daemon(self, "--config", f"{side}.yaml", listen=[]))
        return "127.0.0.1", port

    def fleet(self, what):
        done = subprocess.run([harness.BUILD / "kdnetctl", "fleet", what, "--json", "--servers", self.server.url], check=True,
                              capture_output=True, text=True, timeout=harness.PATIENCE)
        return [json.loads(line) for line in done.stdout.splitlines()]

    def play(self, ways):
        """The summaries of each way's machines, and the machines' names."""
        running = {}
        for i, way in enumerate(ways):
            running[way] = harness.Machines(self, Way(self, self.places, way).host, harness.key_text(1, 1, 1, 1 + i * COUNT), "--count",
                                            COUNT, "--status", STATUS, "--dump-ms", DUMP_MS, "--delay-ms", DELAY_MS, "--spread-ms",
                                            SPREAD_MS, scenario="bugcheck")
        return {way: one.wait(expect=None) for way, one in running.items()}, {way: [f"m{i * COUNT + n}" for n in range(COUNT)]
                                                                              for i, way in enumerate(ways)}

    def told(self, client, names):
        """What was told of these machines' crashes, and what the stream has, once it has all of it."""
        def found():
            wanted = {e["id"] for one in self.daemons for e in one.events(kind="crash_status") if e["target"] in names}
            taken = [(e, when) for e, when in client.taken() if e["event"] == "crash_status" and e["target"] in names]
            ended = {e["target"] for e, _ in taken} == set(names)
            return (wanted, taken) if ended and wanted <= {e["id"] for e, _ in taken} else None
        return nats.wait_until(found, lambda: f"results are missing in the stream: {found()}")

    def judge(self, way, summaries, floor_ms, names, client):
        longest = max(one["longest_halt_ms"] for one in summaries)
        for one in summaries:  # refused: what one collector asks at a break that the other one has ended
            self.assertEqual((one["state"], one["harm"] - one["wrong_processors"]), ("ended", 0), one)
        wanted, taken = self.told(client, names)
        ids = [e["id"] for e, _ in taken]
        report.tell(f"both answer, {way}", lost=len(wanted - set(ids)), doubled=len(ids) - len(set(ids)), halt_ms=longest,
                    gap_ms=report.gap_ms({e["id"]: when for e, when in reversed(taken)},
                                         {e["id"]: report.seconds(e["time"]) for e, _ in taken}), floor_ms=floor_ms,
                    seen_by_both=sum(len({e["collector"] for one in self.daemons for e in one.events(name)}) > 1 for name in names),
                    second_results=len({(e["target"], e["phase"], e["verdict"]) for e, _ in taken}) - len({(e["target"], e["phase"]) for e, _ in taken}),
                    unread=sum(all(e["verdict"] != "failed" for e, _ in taken if e["target"] == name) for name in names))
        self.assertEqual(len(ids), len(set(ids)), "doubled in the stream")
        self.assertEqual({e["verdict"] for e, _ in taken} - {"failed", "unknown", "not_started"}, set(), "a wrong result")
        for name in names:
            told = {e["crash"] for e, _ in taken if e["target"] == name} - {None}  # None: who told it could read nothing
            self.assertLessEqual(len(told), 1, f"{name} has two crashes")
        self.assertLess(longest, max(GOAL_MS * SLACK, GOAL_MS + 4 * floor_ms))

    def test_each_machine_goes_on_and_each_crash_is_one(self):
        ways = (FLOOR, "to both", "in turn", "flapping")
        self.server = nats.Server(self, self.folder).start()
        self.daemons = []
        self.file("targets", "".join(f"m{i} {harness.key_text(1, 1, 1, 1 + i)}\n" for i in range(COUNT * len(ways))))
        self.places = [self.start(side) for side in SIDES]
        summaries, names = self.play(ways)
        client = nats.Client(self, self.server.port)
        floor_ms = max(one["longest_halt_ms"] for one in summaries[FLOOR])
        for way in ways[1:]:
            with self.subTest(way):
                self.judge(way, summaries[way], floor_ms, names[way], client)
        self.check_merged([name for way in ways for name in names[way]])

    def check_merged(self, names):
        """One row for each crash, with the best verdict that any collector told; one for each machine, with all who saw it."""
        told = {name: [e["verdict"] for daemon in self.daemons for e in daemon.events(name, "crash_status") if e["crash"]] for name in names}
        told = {name: verdicts for name, verdicts in told.items() if verdicts}
        nats.wait_until(lambda: {one["target"] for one in self.fleet("crashes")} >= told.keys(), self.daemons[0].log_text)
        crashes = [one for one in self.fleet("crashes") if one["target"] in told]
        self.assertEqual(sorted(one["target"] for one in crashes), sorted(told), "a crash has two rows")
        order = ("unknown", "not_started", "failed")
        for one in crashes:
            self.assertGreaterEqual(order.index(one["verdict"]), max(map(order.index, told[one["target"]])), (one, told[one["target"]]))
        seen = {(one["target"], one["collector"]) for one in self.fleet("targets")}
        self.assertTrue(any({(name, side) for side in SIDES} <= seen for name in names), "no machine was seen by both")


if __name__ == "__main__":
    nats.skip_without_server()
    harness.main()
