#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Events to librdkafka's own mock cluster, and what can go wrong with it: python3 check_kafka.py FEEDER MOCK."""
import json
import pathlib
import re
import subprocess
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "fleet"))
import feeding  # noqa: E402
import nats  # noqa: E402

MOCK = None
TOPIC = "crashes"


class Mock:
    def __init__(self, case):
        self.process = subprocess.Popen([MOCK, TOPIC], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        case.addCleanup(self.end)
        self.brokers = self.process.stdout.readline().strip()

    def end(self):
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()

    def tell(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def messages(self):
        """(key, id) of each."""
        self.tell("messages")
        lines = [line.split() for line in iter(self.process.stdout.readline, "end\n")]
        return [(key, id) for key, id, _ in lines]


class Feeder(feeding.Feeder):
    def __init__(self, case, brokers, name="c1", **options):
        self.case, self.name, self.folder, self.told = case, name, case.folder / name, {}
        self.folder.mkdir(exist_ok=True)
        self.config = self.folder / "kdnetd.yaml"
        self.config.write_text(json.dumps({"collector": name, "sinks": [{"name": "bus", "type": "kafka", "address": brokers, "topic": TOPIC,
                                                                         **options}]}))
        self.config.chmod(0o600)
        self.start()
        case.addCleanup(self.kill)

    def counts(self):
        before = len(self.said)
        self.process.stdin.write("status\n")
        self.process.stdin.flush()
        nats.wait_until(lambda: re.search(r"^bus kafka (.*)$", "".join(self.said[before:]), re.M), lambda: "".join(self.said))
        line = re.findall(r"^bus kafka (.*)$", "".join(self.said), re.M)[-1]
        return {name: int(value) if value.isdigit() else value.strip('"') for name, value in re.findall(r'(\w+)=("[^"]*"|\S+)', line)}


class Kafka(feeding.Case):
    def setUp(self):
        super().setUp()
        self.mock = Mock(self)

    def check(self, wanted):
        """Each id is there, under the key of its target; who takes ids has each once."""
        def has_all():
            self.found = self.mock.messages()
            return wanted <= {id for _, id in self.found}
        nats.wait_until(has_all, lambda: f"missing: {sorted(wanted - {id for _, id in self.found})[:5]}")
        self.assertEqual({id for _, id in self.found}, wanted)

    def test_each_event_comes_under_its_target_and_id(self):
        feeder = Feeder(self, self.mock.brokers)
        events = [feeding.event(n, target="web-1" if n % 2 else "web-2") for n in range(1300)]
        feeder.tell(*events, feeding.event(9000, target=None, kind="reload", crash=None, id="c1-0-1"))
        feeder.wait_delivered(1301)
        self.check({event["id"] for event in events} | {"c1-0-1"})
        self.assertEqual(len(self.found), 1301)
        self.assertEqual(dict((id, key) for key, id in self.found), {event["id"]: event["target"] for event in events} | {"c1-0-1": "-"})
        order = {target: [id for key, id in self.found if key == target] for target in ("web-1", "web-2")}
        self.assertEqual(order, {target: sorted(ids) for target, ids in order.items()}, "the order of a target's events")
        self.assertEqual((feeder.counts()["errors"], feeder.counts()["rejected"]), (0, 0))

    def test_nothing_is_lost_while_brokers_are_away_and_the_collector_is_killed(self):
        feeder = Feeder(self, self.mock.brokers)
        feeder.tell(*[feeding.event(n) for n in range(100)])
        feeder.wait_delivered(100)
        for n in (1, 2, 3):
            self.mock.tell(f"down {n}")
        feeder.tell(*[feeding.event(n) for n in range(100, 300)])
        nats.wait_until(lambda: feeder.counts()["failing"] and feeder.counts()["error"], lambda: feeder.counts())
        feeder.kill()  # kill -9, with all of it in its store
        feeder.start()
        for n in (1, 2, 3):
            self.mock.tell(f"up {n}")
        self.mock.tell("errors 5")
        feeder.tell(*[feeding.event(n) for n in range(300, 400)])
        self.check({feeding.event(n)["id"] for n in range(400)})
        nats.wait_until(lambda: not feeder.counts()["failing"], lambda: feeder.counts())

    def test_an_event_that_is_too_large_costs_itself_alone(self):
        (self.folder / "properties").write_text("# smaller than the default\nmessage.max.bytes=50000\n")
        feeder = Feeder(self, self.mock.brokers, properties_file=str(self.folder / "properties"))
        feeder.tell(*[feeding.event(n, pad=100000 if n == 20 else 0) for n in range(40)])
        nats.wait_until(lambda: feeder.counts()["rejected"] == 1, lambda: feeder.counts())
        self.check({feeding.event(n)["id"] for n in range(40) if n != 20})

    def test_what_is_wrong_in_its_properties_is_told(self):
        (self.folder / "properties").write_text("no.such.property=1\n")
        feeder = Feeder(self, self.mock.brokers, properties_file=str(self.folder / "properties"))
        feeder.tell(feeding.event(1))
        nats.wait_until(lambda: feeder.counts()["failing"] and "no.such.property" in "".join(feeder.said), lambda: feeder.said)

    def test_an_end_does_not_wait_for_brokers_that_are_away(self):
        for n in (1, 2, 3):
            self.mock.tell(f"down {n}")
        feeder = Feeder(self, self.mock.brokers)
        feeder.tell(*[feeding.event(n) for n in range(50)])
        feeder.counts()
        time.sleep(1)  # mostly it is on its way by then
        feeder.process.stdin.close()
        self.assertEqual(feeder.process.wait(nats.PATIENCE), 0, feeder.said)


if __name__ == "__main__":
    feeding.FEEDER, MOCK = sys.argv.pop(1), sys.argv.pop(1)
    unittest.main(verbosity=2)
