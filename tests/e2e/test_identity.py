# SPDX-License-Identifier: Apache-2.0
"""What events are told by: ids that are never used twice, names of boots and crashes that each kdnetd makes alike."""
import re
import signal
import socket

import harness

CRASH = "2.2.2.2"


class Identity(harness.Case):
    def serve(self, text, *options, listen=None):
        config = self.file(f"{self.next_seed()}.yaml", text)
        return harness.Daemon(self, "--config", config, *options, listen=listen or [
            harness.place(self.ip, harness.free_port(self.ip))])

    def crash(self, daemon, *options, key=CRASH, count=1, scenario="bugcheck"):
        machines = harness.Machines(self, daemon.listen[0], key, "--count", count, "--status", "0xC000007F",
                                    *options, scenario=scenario, seed=7)
        machines.wait()

    def test_two_collectors_make_the_same_names(self):
        crashes = []
        for collector in ("c1", "c2"):
            daemon = self.serve(f"collector: {collector}\ntargets:\n"
                                f"- {{name: m, key: {CRASH}, labels: {{rack: b4, ort: Köln}}}}\n")
            self.crash(daemon)
            daemon.wait_event("crash_status", "m", phase="shutdown")
            events = daemon.stop()
            self.check_events(events)
            self.assertEqual({e["collector"] for e in events}, {collector})
            self.assertEqual({tuple(e["labels"].items()) for e in events if e["target"]}, {(("ort", "Köln"), ("rack", "b4"))})
            results = [e for e in events if e["event"] == "crash_status"]
            self.assertEqual({r["id"] for r in results},
                             {f"{r['crash']}-{r['phase']}-{r['verdict']}" for r in results})
            crashes.append({(r["boot"], r["crash"], r["phase"], r["id"]) for r in results})
        self.assertEqual(len(crashes[0]), 2)
        self.assertEqual(crashes[0], crashes[1])

    def test_ids_are_never_used_twice(self):
        targets = [o for i in range(100) for o in ("--target", f"x{i}={harness.key_text(3, 3, 3, 1 + i)}")]
        daemon = harness.Daemon(self, *targets, "--collector", "c1")
        self.crash(daemon, key=harness.key_text(3, 3, 3, 1), count=100)
        for i in range(100):
            daemon.wait_event("crash_status", f"x{i}", phase="shutdown")
        events = daemon.stop()
        self.check_events(events)
        ids = [e["id"] for e in events]
        self.assertGreater(len(ids), 1000)
        self.assertEqual(len(set(ids)), len(ids))
        numbers = {}
        for event in events:
            if event["session"]:
                numbers.setdefault(event["session"], []).append(event)
        for session, own in numbers.items():
            for number, event in enumerate(own, 1):
                if not (event["event"] == "crash_status" and event["crash"]):
                    self.assertEqual(event["id"], f"c1-{session}-{number}")

    def test_a_restart_makes_no_id_again_and_the_same_crash(self):
        text = f"collector: c1\ntargets: [{{name: m, key: {CRASH}}}]\n"
        first = self.serve(text, "--policy", "bugcheck_first=hold")
        machines = harness.Machines(self, first.listen[0], CRASH, "--status", "0xC000007F", scenario="bugcheck")
        held = first.wait_event("crash_status", "m", phase="bugcheck_first")
        first.wait_event("released", "m", action="hold")
        before = first.events()
        first.kill()
        second = self.serve(text, listen=first.listen)
        again = second.wait_event("crash_status", "m", phase="bugcheck_first")
        second.wait_event("crash_status", "m", phase="shutdown")
        machines.wait()
        after = second.stop()
        self.check_events(before + after)
        self.assertEqual((again["crash"], again["boot"], again["id"]), (held["crash"], held["boot"], held["id"]))
        other = [e["id"] for e in before + after if not (e["event"] == "crash_status" and e["crash"])]
        self.assertEqual(len(set(other)), len(other))

    def test_the_collector_is_the_computer_unless_it_is_told(self):
        daemon = self.serve(f"targets: [{{name: m, key: {CRASH}}}]\n")
        self.crash(daemon)
        daemon.wait_event("crash_status", "m", phase="shutdown")
        name = re.sub("[^A-Za-z0-9._-]", "-", socket.gethostname())[:64]
        self.assertEqual({e["collector"] for e in daemon.stop()}, {name})

    def test_a_reload_changes_labels_and_collector(self):
        def text(collector, labels, name="m"):
            return f"collector: {collector}\ntargets: [{{name: {name}, key: {CRASH}, labels: {labels}}}]\n"

        config = self.file("k.yaml", text("c1", "{rack: b4}"))
        daemon = harness.Daemon(self, "--config", config)
        harness.Machines(self, daemon.listen[0], CRASH, scenario="idle", end=False)
        connected = daemon.wait_event("connected", "m")
        self.assertEqual((connected["collector"], connected["labels"]), ("c1", {"rack": "b4"}))
        for other in (text("c2", "{rack: b5, row: '1'}"), text("c3", "{}", "n").replace(CRASH, "3.3.3.3")):
            before = len(daemon.log.lines)
            config.write_text(other)
            daemon.signal(signal.SIGHUP)
            daemon.wait_log('msg="configuration read again"', after=before)
        removed = daemon.wait_event("removed", "m")
        self.assertEqual(removed["labels"], {"rack": "b5", "row": "1"})
        self.assertEqual(removed["collector"], "c3")
        self.assertRegex(removed["id"], "^c3-0000000000000000-[0-9]{16}$")
        self.check_events(daemon.stop())

    def test_wrong_options_are_named(self):
        for options, text in ((("--collector", "a/b"), "--collector: \"a/b\" has a character that a name cannot have"),
                              (("--collector", ""), "--collector: is empty"),
                              (("--collector", "c" * 65), "has 65 characters")):
            done = self.run_kdnetd("--check", "--target", f"m={CRASH}", *options)
            self.assertEqual(done.returncode, 2, done)
            self.assertIn(text, done.stderr + done.stdout)


if __name__ == "__main__":
    harness.main()
