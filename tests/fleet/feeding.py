# SPDX-License-Identifier: Apache-2.0
"""A store with its sink `nats`, fed with events by a test: one collector without machines."""
import json
import pathlib
import re
import shutil
import subprocess
import tempfile
import threading
import time
import unittest

import nats
import report

FEEDER = None  # set by who starts the tests


def event(n, target="web-1", kind="crash_status", collector="c1", verdict="written", pad=0, **more):
    made = {"time": f"2026-11-25T10:{n // 60 % 60:02}:{n % 60:02}.{n:06}Z", "event": kind, "collector": collector, "target": target,
            "id": f"{n:016x}-bugcheck_second-{verdict}", "address": "192.0.2.7:51111", "session": None, "boot": None,
            "crash": f"{n:016x}", "labels": {}, "phase": "bugcheck_second", "verdict": verdict, "status": "0x00000000"}
    return made | ({"pad": "x" * pad} if pad else {}) | more


class Feeder:
    """Feeds events; `name` is its collector and its folder."""

    def __init__(self, case, servers, name="c1", wait=True, **options):
        self.case, self.name, self.folder = case, name, case.folder / name
        self.folder.mkdir(exist_ok=True)
        self.config = self.folder / "kdnetd.yaml"
        self.config.write_text(json.dumps({"collector": name, "nats": {"servers": servers, **options}}))
        self.config.chmod(0o600)
        self.told = {}  # when, by id
        self.start()
        case.addCleanup(self.kill)

    def start(self):
        self.said = []
        self.process = subprocess.Popen([FEEDER, str(self.config), str(self.folder / "kdnetd.db")], stdin=subprocess.PIPE,
                                        stderr=subprocess.PIPE, text=True)
        threading.Thread(target=lambda pipe: self.said.extend(iter(pipe.readline, "")), args=[self.process.stderr], daemon=True).start()

    def tell(self, *events):
        for one in events:
            self.told.setdefault(one["id"], time.time())
            self.process.stdin.write(json.dumps(one) + "\n")
        self.process.stdin.flush()

    def counts(self):
        """What the sink counts now."""
        before = len(self.said)
        self.process.stdin.write("status\n")
        self.process.stdin.flush()
        nats.wait_until(lambda: re.search(r"^nats nats (.*)$", "".join(self.said[before:]), re.M), lambda: "".join(self.said))
        line = re.findall(r"^nats nats (.*)$", "".join(self.said), re.M)[-1]
        return {name: int(value) if value.isdigit() else value.strip('"') for name, value in re.findall(r'(\w+)=("[^"]*"|\S+)', line)}

    def wait_delivered(self, count):
        nats.wait_until(lambda: self.counts()["delivered"] >= count, lambda: f"{self.counts()} {''.join(self.said[-20:])}")

    def kill(self):
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stderr):
            try:
                pipe.close()
            except OSError:
                pass


class Case(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="kdnetd-fleet-"))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)

    def check_ids(self, client, wanted, fault=None, feeder=None):
        """Each id is there; a consumer that takes ids has each once, and so has the stream, within its window. What the named
        fault cost is told."""
        found = []

        def has_all():
            found[:] = [(event["id"], when) for event, when in client.taken()]
            return wanted <= {id for id, _ in found}
        nats.wait_until(has_all, lambda: f"missing: {sorted(wanted - {id for id, _ in found})[:5]}")
        taken = dict(reversed(found))
        if fault:
            report.tell(fault, lost=len(wanted - set(taken)), doubled=len(found) - len(taken),
                        gap_ms=report.gap_ms(taken, {id: when for id, when in feeder.told.items() if id in wanted}))
        self.assertEqual(set(taken), wanted)
        self.assertEqual(len(found), len(wanted), "doubled in the stream")
