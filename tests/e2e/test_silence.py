# SPDX-License-Identifier: Apache-2.0
"""Machines that fall silent: one by one they are lost, together they are a silent listener."""
import harness

LOST_AFTER = "5s"


class Silence(harness.Case):
    def start(self, count, workers):
        self.keys = [harness.key_text(9, 9, 10, i + 1) for i in range(count)]
        self.names = [f"m{i}" for i in range(count)]
        targets = [w for name, key in zip(self.names, self.keys) for w in ("--target", f"{name}={key}")]
        return harness.Daemon(self, *targets, "--lost-after", LOST_AFTER, "--workers", workers)

    def idle(self, daemon, i):
        return harness.Machines(self, daemon.listen[0], self.keys[i], "--bind", f"{self.next_ip()}:0", scenario="idle",
                                end=False)

    def test_all_together_are_one_silent_listener(self):
        self.check_silent_listener(workers=1)

    def test_all_together_are_one_silent_listener_of_three_workers(self):
        self.check_silent_listener(workers=3)

    def check_silent_listener(self, workers):
        daemon = self.start(6, workers)
        machines = [self.idle(daemon, i) for i in range(6)]
        for name in self.names:
            daemon.wait_event("connected", name)
        machines.pop(0).stop(None)  # one that really dies
        daemon.wait_event("lost", "m0")
        self.assertEqual(daemon.events(kind="listener_silent"), [])
        for machine in machines:
            harness.signal_at(machine.process, 15)
        silent = daemon.wait_event("listener_silent")
        self.assertEqual((silent["machines"], silent["listener"]), (5, daemon.listen[0]))
        daemon.wait_log("no machine is heard at this listener any more")
        again = [self.idle(daemon, i) for i in range(2, 6)]  # m1 does not come back
        self.assertEqual(daemon.wait_event("listener_heard")["listener"], daemon.listen[0])
        daemon.wait_event("lost", "m1")
        for machine in again:
            machine.stop(None)
        events = daemon.stop()
        self.check_events(events)
        self.assertEqual([e["target"] for e in events if e["event"] == "lost"], ["m0", "m1"])
        self.assertEqual(len([e for e in events if e["event"] == "listener_heard"]), 1)

    def test_two_are_told_one_by_one(self):
        daemon = self.start(2, 2)
        machines = [self.idle(daemon, i) for i in range(2)]
        for name in self.names:
            daemon.wait_event("connected", name)
        for machine in machines:
            machine.stop(None)
        for name in self.names:
            daemon.wait_event("lost", name)
        self.assertEqual([e for e in daemon.stop() if e["event"].startswith("listener")], [])


if __name__ == "__main__":
    harness.main(at_once=4)
