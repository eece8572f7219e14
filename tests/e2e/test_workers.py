# SPDX-License-Identifier: Apache-2.0
"""Several workers: each machine's result is told, once, whichever worker its datagrams reach first."""
import re
import signal

import harness

COUNT = 60
WORKERS = 3


class Workers(harness.Case):
    def targets(self, key, count):
        machines = harness.Machines(self, "127.0.0.1:1", key, "--count", count, "--print-targets")
        self.assertEqual(machines.process.wait(harness.PATIENCE), 0)
        return machines.text()

    def start(self, targets, *options, workers=WORKERS, **more):
        self.file("targets", targets)
        config = self.file("kdnetd.yaml", "targets_file: targets\n")
        return harness.Daemon(self, "--config", config, "--workers", workers, *options, **more)

    def summary(self, daemon):
        """What SIGUSR1 makes it say, as numbers."""
        before = len(daemon.log.lines)
        daemon.signal(signal.SIGUSR1)
        line = daemon.wait_log("msg=summary", after=before)
        line = line[0] if isinstance(line, list) else line
        return {name: int(number) for name, number in re.findall(r" (\w+)=(\d+)", line)}

    def crash_all(self, daemon, key):
        """All machines crash; each result must be there once."""
        machines = harness.Machines(self, daemon.listen[0], key, "--count", COUNT, "--spread-ms", 500, "--new-port",
                                    scenario="bugcheck")
        for summary in machines.wait():
            self.assertEqual(summary["host_wrong_ids"], 0, summary)
        def all_last(events):
            return len([e for e in events if e["event"] == "crash_status" and e["phase"] == "shutdown"]) >= COUNT
        daemon.wait_events(all_last, f"{COUNT} machines that have told their last status")

    def judge(self, events):
        self.check_events(events)
        self.assertNotIn("unknown_target", {e["event"] for e in events})
        for number in range(1, COUNT + 1):
            name = f"target-{number:04}"
            told = [e["phase"] for e in events if e["event"] == "crash_status" and e["target"] == name]
            self.assertEqual(told, ["bugcheck_first", "shutdown"], name)
            connected = [e["rebooted"] for e in events if e["event"] == "connected" and e["target"] == name]
            self.assertLessEqual(connected.count(True), 1, name)  # a row that moves takes along what it knows
            self.assertFalse(connected[0], name)

    def test_machines_are_served_wherever_their_datagrams_arrive(self):
        key = harness.key_text(7, 7, 7, 1)
        for workers in (1, 2, WORKERS):
            with self.subTest(workers=workers):
                daemon = self.start(self.targets(key, COUNT), workers=workers)
                self.crash_all(daemon, key)
                summary = self.summary(daemon)
                self.judge(daemon.stop())
                self.assertEqual(summary["workers"], workers)
                self.assertEqual((summary["targets"], summary["unknown_pokes"]), (COUNT, 0), summary)
                self.assertEqual(summary["passed_on_dropped"], 0)
                if workers == 1:
                    self.assertEqual((summary["moved"], summary["passed_on"]), (0, 0))
                else:  # each began at any worker, and its address is any
                    self.assertGreater(summary["moved"], 0)
                    self.assertLessEqual(summary["moved"], COUNT)
                    self.assertGreater(summary["passed_on"], 0)

    def test_a_kernel_that_does_not_steer_costs_time_and_nothing_else(self):
        library = harness.BUILD / "tests" / "no_steering.so"
        if not library.exists():
            self.skipTest("not with sanitizers")
        key = harness.key_text(7, 7, 8, 1)
        daemon = self.start(self.targets(key, COUNT), env={"LD_PRELOAD": str(library)})
        daemon.wait_log("this kernel does not give datagrams to the worker that they are for")
        self.crash_all(daemon, key)
        summary = self.summary(daemon)
        self.judge(daemon.stop())
        self.assertGreater(summary["passed_on"], COUNT)
        self.assertEqual(summary["unknown_pokes"], 0)

    def test_a_socket_that_takes_nothing_at_once_costs_no_datagram(self):
        library = harness.BUILD / "tests" / "busy_socket.so"
        if not library.exists():
            self.skipTest("not with sanitizers")
        key = harness.key_text(7, 7, 11, 1)
        mark = self.folder / "was_busy"
        daemon = self.start(self.targets(key, COUNT), env={"LD_PRELOAD": str(library), "KDNETD_TEST_BUSY": str(mark)})
        self.crash_all(daemon, key)
        summary = self.summary(daemon)
        self.judge(daemon.stop())
        if not mark.exists():
            self.skipTest("this build does not send by sendmmsg")
        self.assertEqual(summary["send_failed"], 0, summary)

    def test_targets_with_addresses_are_where_their_machines_are(self):
        key = harness.key_text(7, 7, 9, 1)
        probe = harness.Machines(self, "127.0.0.1:1", key, "--count", COUNT, "--duration-ms", 1)
        addresses = [s["address"].rsplit(":", 1)[0] for s in probe.wait(expect=None)]
        lines = [f"{line} {address}" for line, address in zip(self.targets(key, COUNT).splitlines(), addresses)]
        daemon = self.start("\n".join(lines) + "\n")
        self.crash_all(daemon, key)
        summary = self.summary(daemon)
        self.judge(daemon.stop())
        self.assertEqual((summary["moved"], summary["passed_on"], summary["keys_tried"]), (0, 0, 0), summary)

    def test_a_reload_finds_each_target_at_its_worker(self):
        key = harness.key_text(7, 7, 10, 1)
        text = self.targets(key, COUNT)
        daemon = self.start(text)
        idle = harness.Machines(self, daemon.listen[0], key, "--count", COUNT, scenario="idle", end=False)
        daemon.wait_events(lambda events: len([e for e in events if e["event"] == "connected"]) >= COUNT, "all connected")
        half = "".join(line + "\n" for line in text.splitlines()[: COUNT // 2])
        for targets, count in ((half, COUNT // 2), (text, COUNT), (half, COUNT // 2), (text, COUNT)):
            self.file("targets", targets)
            before = len(daemon.log.lines)
            daemon.signal(signal.SIGHUP)
            daemon.wait_log(f'msg="configuration read again" targets={count}', after=before)
            self.assertEqual(self.summary(daemon)["targets"], count)
        def all_again(events):
            names = [e["target"] for e in events if e["event"] == "connected"]
            return all(names.count(f"target-{number:04}") >= (1 if number <= COUNT // 2 else 2)
                       for number in range(1, COUNT + 1))
        daemon.wait_events(all_again, "those that were taken out connected again")
        for summary in idle.stop(None):
            self.assertEqual(summary["state"], "ended", summary)
        events = daemon.stop()
        kept = [e for e in events if e["event"] == "connected" and int(e["target"][-4:]) <= COUNT // 2]
        self.assertEqual(len(kept), COUNT // 2, "machines whose target stayed were not disturbed")

    def test_a_stranger_is_told_of_once_with_the_owner_of_its_key(self):
        key = harness.key_text(7, 7, 11, 1)
        daemon = self.start(self.targets(key, 1).strip() + " 127.9.9.9 strict=true\n")
        machine = harness.Machines(self, daemon.listen[0], key, scenario="idle", end=False)
        stranger = harness.Machines(self, daemon.listen[0], harness.key_text(8, 8, 8, 8), "--bind", "127.8.8.8:0",
                                    scenario="idle", end=False)
        daemon.wait_events(lambda events: len([e for e in events if e["event"] == "unknown_target"]) >= 2, "both told")
        hints = [e["hint"] for e in daemon.events() if e["event"] == "unknown_target"]
        self.assertEqual(len([h for h in hints if "with the key of target " in h and "127.9.9.9" in h]), 1)
        self.assertEqual(len([h for h in hints if "127.8.8.8" in h and "no configured key opens it" in h]), 1)
        machine.stop(None)
        stranger.stop(None)
        daemon.stop()

    def test_the_number_of_workers_counts_from_the_start(self):
        self.file("kdnetd.yaml", "workers: 2\ntargets: [{name: a, key: 1.2.3.4}]\n")
        daemon = harness.Daemon(self, "--config", "kdnetd.yaml")
        daemon.wait_log("workers=2")
        self.file("kdnetd.yaml", "workers: 3\ntargets: [{name: a, key: 1.2.3.4}]\n")
        daemon.signal(signal.SIGHUP)
        line = daemon.wait_log("an option counts from the next start on, not from a reload")
        self.assertIn("option=workers", line)
        daemon.stop()


if __name__ == "__main__":
    harness.main(at_once=4)
