# SPDX-License-Identifier: Apache-2.0
"""Machines that nothing reaches break in all at once, and a good one behind them.

kdnetd waits READ_DEADLINE for an answer of each. The good machines must not wait for them: they are let go long before
the first of these deadlines, and how long they stood still is told truly.
"""
import re
import signal
import time

import harness

DEAF = 1500
DEAF_AFTER_MS = 6000  # until then all have connected
READ_DEADLINE_S = 60


class Deaf(harness.Case):
    def start(self):
        keys = {"deaf": harness.key_text(1, 1, 1, 1), "prints": harness.key_text(2, 2, 2, 1),
                "silent": harness.key_text(3, 3, 3, 1)}
        listing = harness.Machines(self, "127.0.0.1:1", keys["deaf"], "--count", DEAF, "--print-targets")
        self.assertEqual(listing.process.wait(harness.PATIENCE), 0)
        text = listing.text() + "".join(f"{name} {keys[name]}\n" for name in ("prints", "silent"))
        self.file("targets", text)
        config = self.file("kdnetd.yaml", f"targets_file: targets\nread_deadline: {READ_DEADLINE_S}s\n")
        return keys, harness.Daemon(self, "--config", config)

    def wait_halted(self, daemon):
        """Until the first of them stands still."""
        halted = 0
        while halted == 0:
            before = len(daemon.log.lines)
            daemon.signal(signal.SIGUSR1)
            halted = int(re.search(r" halted=(\d+)", daemon.wait_log("msg=summary", after=before)).group(1))
            time.sleep(0.05)

    def check_good(self, daemon, key, name, scenario):
        machine = harness.Machines(self, daemon.listen[0], key, scenario=scenario)
        summary = machine.wait()[0]
        released = daemon.wait_event("released", name)
        print(f"\n{name}: halted {summary['halted_ms']} ms by itself, {released['halted_ms']} ms as told")
        self.assertEqual(summary["state"], "ended", summary)
        # Either is half of what it waits when it waits for others; the programs share the processors of a busy machine.
        self.assertLess(summary["halted_ms"], 1000 * READ_DEADLINE_S / 2)
        self.assertLess(abs(released["halted_ms"] - summary["halted_ms"]), 1000 * READ_DEADLINE_S / 4)

    def test_good_machines_do_not_wait_for_deaf_ones(self):
        keys, daemon = self.start()
        deaf = harness.Machines(self, daemon.listen[0], keys["deaf"], "--count", DEAF, "--delay-ms", DEAF_AFTER_MS,
                                "--spread-ms", 2000, scenario="deaf-break", end=False)
        daemon.wait_events(lambda events: len(events) >= DEAF, f"{DEAF} connected")
        self.wait_halted(daemon)
        self.check_good(daemon, keys["prints"], "prints", "int3")
        self.check_good(daemon, keys["silent"], "silent", "exception")
        summaries = deaf.stop(None)
        self.assertEqual(sum(s["breaks"] for s in summaries), DEAF)
        daemon.kill()


if __name__ == "__main__":
    harness.main()
