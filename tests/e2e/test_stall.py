# SPDX-License-Identifier: Apache-2.0
"""kdnetd itself stands still for longer than its deadlines: no machine has less time for that, and none a wrong result.

The process is stopped, alone or together with its machines (a computer that pauses them all), while machines are being
read, between their breaks, and while it ends.
"""
import signal
import time

import harness

COUNT = 12
STATUS = "0xC000007F"
READ_DEADLINE_S = 3  # five times what reading takes here
STALL_S = 4
THINK_MS = 40
EARLY, AMID, LATE = 1, 9, COUNT + 5  # breaks that were told by then; the late ones are second ones


class Stall(harness.Case):
    def start(self, key, *options):
        machines = harness.Machines(self, "127.0.0.1:1", key, "--count", COUNT, "--print-targets")
        self.assertEqual(machines.process.wait(harness.PATIENCE), 0)
        self.file("targets", machines.text())
        config = self.file("kdnetd.yaml", "targets_file: targets\n")
        return harness.Daemon(self, "--config", config, "--read-deadline", f"{READ_DEADLINE_S}s", "--lost-after", "7s",
                              *options)

    def machines(self, daemon, key):
        return harness.Machines(self, daemon.listen[0], key, "--count", COUNT, "--spread-ms", 1000, "--status", STATUS,
                                "--think", THINK_MS, scenario="bugcheck")

    def stall(self, daemon, machines=None):
        """Machines that pause with it go on after it: nothing of theirs is there when it wakes."""
        daemon.signal(signal.SIGSTOP)
        if machines:
            machines.process.send_signal(signal.SIGSTOP)
        time.sleep(STALL_S)
        daemon.signal(signal.SIGCONT)
        if machines:
            time.sleep(0.3)
            machines.process.send_signal(signal.SIGCONT)

    def judge(self, events):
        self.check_events(events)
        self.assertEqual([e for e in events if e["event"] == "lost"], [])
        for target in {e["target"] for e in events if e["event"] == "break_in"}:
            told = [(e["phase"], e["status"]) for e in events if e["event"] == "crash_status" and e["target"] == target]
            self.assertEqual(told, [("bugcheck_first", "0xFFFFFFFF"), ("shutdown", STATUS)], target)

    def judge_lasting(self, events):
        """Whoever stood still all that time is told to have done so."""
        longest = max(e["halted_ms"] for e in events if e["event"] == "released")
        self.assertGreaterEqual(longest, STALL_S * 1000)

    def at_moments(self, moments, key, workers, together=False):
        daemon = self.start(key, "--workers", workers)
        machines = self.machines(daemon, key)
        for moment in moments:
            daemon.wait_event("break_in", count=moment)
            self.stall(daemon, machines if together else None)
        machines.wait()
        daemon.wait_event("crash_status", count=2 * COUNT)
        daemon.wait_log("kdnetd itself stood still")
        events = daemon.stop()
        self.judge(events)
        self.judge_lasting(events)

    def test_a_process_that_is_stopped(self):
        self.at_moments((EARLY, AMID, LATE), harness.key_text(1, 2, 3, 4), 1)

    def test_a_process_with_several_workers(self):
        self.at_moments((AMID,), harness.key_text(1, 2, 4, 4), 3)

    def test_a_computer_that_pauses_with_its_machines(self):
        self.at_moments((AMID, LATE), harness.key_text(1, 2, 5, 4), 2, together=True)

    def test_a_process_that_is_stopped_while_it_ends(self):
        key = harness.key_text(1, 2, 6, 4)
        daemon = self.start(key, "--workers", 2)
        self.machines(daemon, key)
        daemon.wait_event("break_in", count=COUNT // 2)
        daemon.signal(signal.SIGTERM)
        daemon.wait_log("msg=stopping")
        self.stall(daemon)
        self.assertEqual(daemon.process.wait(harness.PATIENCE), 0)
        events = daemon.stop()
        told = [e for e in events if e["event"] == "crash_status"]
        # Each machine that had broken in before the end is read; a break after the dump may come at the very last moment,
        # and waits for the next kdnetd.
        self.assertEqual({e["target"] for e in told}, {e["target"] for e in events if e["event"] == "break_in"})
        self.assertNotIn("timeout", {e["reason"] for e in told})


if __name__ == "__main__":
    harness.main()
