#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""kdnetctl fleet over a stream that two collectors, and strangers, have written: python3 check_reader.py KDNETCTL."""
import datetime
import json
import subprocess
import sys
import unittest

import feeding
import nats

KDNETCTL = None
NOW = datetime.datetime.now(datetime.timezone.utc)


def at(seconds):
    return (NOW - datetime.timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


class Reader(feeding.Case):
    def setUp(self):
        super().setUp()
        self.server = nats.Server(self, self.folder).start()
        self.client = nats.Client(self, self.server.port)
        made = self.client.request("$JS.API.STREAM.CREATE.CRASH", {"name": "CRASH", "subjects": ["kdnet.crash.>"], "storage": "memory",
                                                                   "num_replicas": 1, "duplicate_window": 100 * 10**6})
        self.assertNotIn("error", made)
        self.n = 0

    def put(self, data, subject="kdnet.crash.x.y"):
        answer = self.client.request(subject, headers=None, body=data) if isinstance(data, dict) else None
        if answer is None:
            self.client.publish(subject, data)

    def fleet(self, *arguments, code=0):
        done = subprocess.run([KDNETCTL, "fleet", *arguments, "--servers", self.server.url], capture_output=True, timeout=60)
        self.assertEqual(done.returncode, code, done)
        return done.stdout.decode(), done.stderr.decode()

    def rows(self, *arguments):
        return [json.loads(line) for line in self.fleet(*arguments, "--json")[0].splitlines()]

    def beat(self, collector):
        self.client.request("$JS.API.STREAM.CREATE.KV_CRASH_collectors", {"name": "KV_CRASH_collectors", "subjects": ["$KV.CRASH_collectors.>"],
                                                                          "storage": "memory", "num_replicas": 1, "max_msgs_per_subject": 1})
        self.client.request(f"$KV.CRASH_collectors.{collector}", {"collector": collector, "time": at(0), "version": "0.2.0"})

    def test_one_table_for_all_collectors(self):
        crash = "00000000000000aa"
        for collector, verdict, ago in (("c1", "unknown", 50), ("c2", "failed", 40), ("c1", "not_started", 30)):
            self.put(feeding.event(1, collector=collector, verdict=verdict, crash=crash, time=at(ago), id=f"{crash}-bugcheck_second-{verdict}"))
        self.put(feeding.event(2, target="web-2", collector="c1", time=at(20)))
        self.put(feeding.event(2, target="web-2", collector="c2", time=at(10)))  # the same result, told twice
        self.put(feeding.event(3, target="web-3", kind="lost", collector="c2", time=at(5), crash=None, verdict=None, id="c2-0-1"))
        crashes = {row["crash"]: row for row in self.rows("crashes")}
        self.assertEqual(set(crashes), {crash, f"{2:016x}"})
        self.assertEqual((crashes[crash]["verdict"], crashes[crash]["collectors"], crashes[crash]["results"]), ("failed", ["c1", "c2"], 3))
        self.assertEqual((crashes[f"{2:016x}"]["collectors"], crashes[f"{2:016x}"]["results"]), (["c1", "c2"], 1))
        targets = [(row["target"], row["collector"], row["newest"], row["collectors"]) for row in self.rows("targets")]
        self.assertEqual(targets, [("web-1", "c1", True, 2), ("web-1", "c2", False, 2), ("web-2", "c2", True, 2), ("web-2", "c1", False, 2),
                                   ("web-3", "c2", True, 1)])
        text, _ = self.fleet("targets", "--target", "web-1")
        self.assertRegex(text, r"web-1 +c1 +newer .*\n.*web-1 +c2 +older ")
        collectors = {row["collector"]: row for row in self.rows("collectors")}
        self.assertEqual({name: (row["state"], row["targets"], row["crashes"], row["events"]) for name, row in collectors.items()},
                         {"c1": ("ok", 1, 2, 3), "c2": ("ok", 2, 2, 2)})  # who told first has counted it
        self.assertEqual([row["crash"] for row in self.rows("crashes", "--verdict", "failed")], [crash])
        both = self.rows("targets", "--target", "web-1", "--target", "web-3")
        self.assertEqual({row["target"] for row in both}, {"web-1", "web-3"})
        self.assertEqual(len(self.rows("crashes", "--verdict", "failed", "--verdict", "written")), 2)
        self.assertIn("1 told twice", self.fleet("watch", "--count", "1")[0])

    def test_a_collector_without_events_is_known_by_its_heartbeats(self):
        self.put(feeding.event(1, collector="c1", time=at(100)))
        self.beat("c2")
        self.assertEqual({row["collector"]: (row["state"], row["version"]) for row in self.rows("collectors")},
                         {"c1": ("ok", None), "c2": ("ok", "0.2.0")})

    def test_strange_messages_cost_a_count(self):
        self.put(feeding.event(1))
        nested = "[" * 100000
        strange = [b"", b"not json", b"\xff\xfe\x00", b"[]", b"null", nested.encode(), b"{" + b"x" * 900000,
                   json.dumps({"collector": "c1"}).encode(), json.dumps(feeding.event(2, collector="c\u001b[31m1")).encode(),
                   json.dumps(feeding.event(3, target="../../x y")).encode(), json.dumps(feeding.event(4, time="yesterday")).encode(),
                   json.dumps(feeding.event(5, id="x" * 200)).encode(), json.dumps(feeding.event(6, id=7)).encode()]
        for data in strange:
            self.client.publish("kdnet.crash.x.y", data)
        self.put(feeding.event(7, target="web-2", status="\u001b[2J\n\u202e", reason={"a": []}, address=[1], verdict="\u0007"))
        nats.wait_until(lambda: self.client.count() == len(strange) + 2, lambda: self.client.count())
        text, said = self.fleet("targets")
        self.assertIn(f"{len(strange)} messages in the stream are no events", said)
        self.assertEqual({row["target"] for row in self.rows("targets")}, {"web-1", "web-2"})
        for what in ("targets", "crashes", "collectors", "watch"):
            out, _ = self.fleet(what, *(["--count", "1"] if what == "watch" else []))
            self.assertFalse(set(out) & {chr(c) for c in [*range(10), *range(11, 32), 0x202e]}, what)

    def test_what_cannot_be_read_is_said(self):
        self.assertIn("cannot be read", self.fleet("crashes", "--stream", "NONE", code=1)[1])
        self.server.kill()
        self.assertIn("cannot be reached", self.fleet("crashes", code=3)[1])
        for wrong in (("machines",), ("crashes", "--since", "soon"), ("watch", "--interval", "0")):
            self.fleet(*wrong, code=2 if wrong[0] != "watch" else 3)


class OneServerDead(feeding.Case):
    """Servers may give a reader to one of them that has died, and then nobody answers it: it is asked for again."""

    def test_the_stream_is_read_all_the_same(self):
        servers = nats.cluster(self, self.folder)
        client = nats.Client(self, servers[0].port)
        try:
            nats.wait_until(lambda: nats.is_placing(client), "the servers place no stream of three replicas")
        except AssertionError as error:
            self.skipTest(f"nothing tested: {error}")
        made = client.request("$JS.API.STREAM.CREATE.CRASH", {"name": "CRASH", "subjects": ["kdnet.crash.>"], "num_replicas": 3,
                                                              "storage": "file"})
        self.assertNotIn("error", made)
        self.assertIn("seq", client.request("kdnet.crash.c1.web-1", feeding.event(1)))
        dead = next(one for one in servers[1:] if one.name != client.info()["cluster"]["leader"])
        dead.kill()
        for _ in range(6):
            done = subprocess.run([KDNETCTL, "fleet", "crashes", "--json", "--servers", servers[0].url], capture_output=True, timeout=120)
            self.assertEqual((done.returncode, [json.loads(line)["target"] for line in done.stdout.splitlines()]), (0, ["web-1"]), done)


if __name__ == "__main__":
    nats.skip_without_server()
    KDNETCTL = sys.argv.pop(1)
    unittest.main(verbosity=2)
