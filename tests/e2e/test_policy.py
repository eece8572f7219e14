# SPDX-License-Identifier: Apache-2.0
"""What happens to a machine after the read: continue, hold, reboot, by kind of break; and machines that fall silent."""
import time

import harness

CRASH_TO_FIRST = ["connected", "connected", "bugcheck", "break_in", "kernel", "crash_status"]
DUMP_MS = 300
HOLD_S = 1.0
LOST_AFTER, LOST_AFTER_S = "7s", 7  # two pokes and a second of a busy processor
DUMP_LONG_MS = 8500


class Policy(harness.Case):
    def play(self, *options, scenario="bugcheck", more=(), expect=0, wait=True, end=True):
        daemon = harness.Daemon(self, "--target", "m=1.2.3.4", *options)
        machine = harness.Machines(self, daemon.listen[0], "1.2.3.4", "--status", "0xC0000185", "--dump-ms", DUMP_MS, *more,
                                   scenario=scenario, end=end)
        if not wait:
            return daemon, machine
        summary, = machine.wait(expect=expect)
        events = daemon.stop()
        self.check_events(events)
        self.assertEqual(summary["traps_again"], 0, summary)
        return events, summary

    def kinds(self, events):
        return [f"{e['event']} {e['action']}" if e["event"] == "released" else e["event"] for e in events]

    def test_a_machine_is_rebooted_at_its_first_break(self):
        events, summary = self.play("--policy", "bugcheck_first=reboot")
        self.assertEqual(self.kinds(events), CRASH_TO_FIRST + ["released reboot", "connected"])
        self.assertEqual((summary["boots"], summary["continues"]), (2, 0))
        self.assertTrue(events[-1]["rebooted"])

    def test_a_machine_is_held_at_its_first_break_for_a_time(self):
        events, summary = self.play("--policy", "bugcheck_first=hold", "--hold-for", "1s")
        self.assertEqual(self.kinds(events), CRASH_TO_FIRST + ["released hold", "released continue", "break_in",
                                                               "crash_status", "released continue", "connected"])
        held, free = [e for e in events if e["event"] == "released"][:2]
        self.assertGreaterEqual(free["halted_ms"] / 1000, HOLD_S)
        last = [e for e in events if e["event"] == "crash_status"][-1]
        self.assertEqual((last["status"], last["verdict"]), ("0xC0000185", "failed"))
        since_held = harness.seconds(last) - harness.seconds(held)
        self.assertLess(last["since_first_ms"] / 1000, since_held - HOLD_S / 2,
                        "the time for its dump begins with the release")
        self.assertEqual(summary["released_wrongly"], 0)

    def test_a_machine_is_rebooted_at_its_second_break(self):
        events, summary = self.play("--policy", "bugcheck_second=reboot", more=("--no-reboot",))
        self.assertEqual(self.kinds(events), CRASH_TO_FIRST + ["released continue", "break_in", "crash_status",
                                                               "released reboot", "connected"])
        self.assertEqual(events[-3]["status"], "0xC0000185")
        self.assertEqual(summary["boots"], 2)

    def test_a_machine_held_at_its_second_break_is_sent_nothing(self):
        daemon = harness.Daemon(self, "--target", "m=1.2.3.4")
        relay = harness.Relay(self, daemon.listen[0])
        machine = harness.Machines(self, relay.place, "1.2.3.4", "--status", "0xC0000185", "--no-reboot", "--dump-ms", DUMP_MS,
                                   scenario="bugcheck", end=False)
        daemon.wait_event("released", "m", action="hold")
        relay.wait_quiet(1)  # what is under way
        begun = time.time()
        self.wait_pokes(relay, begun, 2)
        self.assertEqual(relay.count(True, begun), 0, "packets to a machine that can only spin")
        summary, = machine.stop(None)
        self.assertEqual((summary["breaks"], summary["continues"], summary["retransmissions"]), (2, 1, 0))
        events = daemon.stop()
        self.assertEqual(len([e for e in events if e["event"] == "crash_status"]), 2)

    def wait_pokes(self, relay, begun, count):
        """Waits for so many pokes, and for nothing else, of a machine that waits quietly."""
        end = time.monotonic() + harness.PATIENCE
        while True:
            came = [d for when, host, d in list(relay.seen) if when > begun and not host]
            self.assertTrue(all(harness.is_poke(d) for d in came), "the machine waits quietly")
            if len(came) >= count:
                return
            self.assertLess(time.monotonic(), end, "the machine does not poke")
            time.sleep(0.05)

    def test_a_second_break_is_held_for_a_time_and_then_goes_on(self):
        """It breaks again at once, for ever: one break, one result, and a counter in each release."""
        daemon, machine = self.play("--hold-for", "1s", more=("--no-reboot",), wait=False, end=False)
        daemon.wait_event("released", "m", action="hold")
        daemon.wait_event("held", "m", why="bugcheck_second", count=2)
        machine.stop(None)
        events = daemon.stop()
        self.check_events(events)
        seconds = [e for e in events if e["event"] == "crash_status" and e["phase"] == "bugcheck_second"]
        self.assertEqual(len(seconds), 1)
        self.assertEqual([e["repeated"] for e in events if e["event"] == "released"][:4], [0, 0, 0, 1])

    def test_a_second_break_that_is_continued_is_no_flood(self):
        daemon, machine = self.play("--policy", "bugcheck_second=continue", more=("--no-reboot",), wait=False, end=False)
        daemon.wait_event("held", "m", why="bugcheck_second")
        summary, = machine.stop(None)
        events = daemon.stop()
        self.check_events(events)
        self.assertEqual(len([e for e in events if e["event"] == "crash_status"]), 2)
        self.assertEqual(summary["breaks"], 6)  # the first, the second, and three repeats before it waits

    def test_a_machine_is_held_at_its_last_chance_for_a_time(self):
        events, _ = self.play("--policy", "shutdown=hold", "--hold-for", "1s")
        self.assertEqual(self.kinds(events)[6:], ["released continue", "break_in", "crash_status", "released hold",
                                                  "released continue", "connected"])
        self.assertGreaterEqual(events[-2]["halted_ms"], 1000 * HOLD_S - 50)

    def test_breaks_and_exceptions_are_held_for_a_time(self):
        for kind, scenario in (("break", "int3"), ("exception", "exception")):
            events, summary = self.play("--policy", f"{kind}=hold", "--hold-for", "1s", scenario=scenario)
            self.assertEqual(self.kinds(events), ["connected", "break_in", "kernel", "crash_status", "released hold",
                                                  "released continue"], kind)
            self.assertEqual(summary["released_wrongly"], 0)
            self.assertGreaterEqual(summary["longest_halt_ms"], 1000 * HOLD_S - 50)

    def test_breaks_and_exceptions_are_rebooted(self):
        for kind, scenario in (("break", "int3"), ("exception", "exception")):
            events, summary = self.play("--policy", f"{kind}=reboot", scenario=scenario)
            self.assertEqual(self.kinds(events), ["connected", "break_in", "kernel", "crash_status", "released reboot",
                                                  "connected"], kind)
            self.assertEqual((summary["boots"], summary["continues"]), (2, 0))

    def test_a_policy_of_one_kind_leaves_the_others_alone(self):
        events, _ = self.play("--policy", "exception=hold", "--policy", "bugcheck_first=hold", scenario="int3")
        self.assertEqual(self.kinds(events)[-1], "released continue")

    def test_a_target_has_a_policy_of_its_own(self):
        config = self.file("kdnetd.yaml", "policy: {break: reboot}\ntargets:\n"
                                          "  - {name: all, key: 1.1.1.1}\n"
                                          "  - {name: own, key: 1.1.1.2, policy: {break: continue}}\n")
        daemon = harness.Daemon(self, "--config", config)
        for key in ("1.1.1.1", "1.1.1.2"):
            harness.Machines(self, daemon.listen[0], key, scenario="int3").wait()
        self.assertEqual(daemon.wait_event("released", "all")["action"], "reboot")
        self.assertEqual(daemon.wait_event("released", "own")["action"], "continue")
        self.check_events(daemon.stop())

    def test_a_held_question_waits(self):
        daemon, machine = self.play("--policy", "prompt=hold", scenario="prompt", wait=False)
        held = daemon.wait_event("held", "m")  # it asks as soon as it is connected
        self.assertEqual((held["why"], held["until"]), ("prompt", None))
        summary, = machine.stop(1)
        self.assertEqual((summary["questions"], summary["answers"], summary["state"]), (1, 0, "halted"))
        daemon.stop()


class Silence(harness.Case):
    def test_a_machine_that_falls_silent_is_lost(self):
        daemon = harness.Daemon(self, "--target", "runs=1.1.1.1", "--target", "held=1.1.1.2", "--policy", "break=hold",
                                "--lost-after", LOST_AFTER)
        runs = harness.Machines(self, daemon.listen[0], "1.1.1.1", scenario="idle", end=False)
        held = harness.Machines(self, daemon.listen[0], "1.1.1.2", scenario="int3", end=False)
        daemon.wait_event("connected", "runs")
        daemon.wait_event("released", "held")
        runs.stop(None)
        held.stop(None)
        for name, halted in (("runs", False), ("held", True)):
            lost = daemon.wait_event("lost", name)
            self.assertEqual(lost["halted"], halted)
            self.assertLess(harness.seconds({"time": lost["last_seen"]}), harness.seconds(lost) - LOST_AFTER_S + 0.1)
        again = harness.Machines(self, daemon.listen[0], "1.1.1.1", scenario="idle", end=False)
        self.assertTrue(daemon.wait_event("connected", "runs", count=2)["rebooted"])
        again.stop(None)
        events = daemon.stop()
        self.check_events(events)
        self.assertEqual(sum(e["event"] == "lost" for e in events), 2)

    def test_a_machine_that_writes_its_dump_is_not_lost(self):
        daemon = harness.Daemon(self, "--target", "m=1.1.1.1", "--lost-after", LOST_AFTER, "--dump-for", "5m")
        harness.Machines(self, daemon.listen[0], "1.1.1.1", "--dump-ms", DUMP_LONG_MS, scenario="bugcheck").wait()
        events = daemon.stop()
        self.check_events(events)
        self.assertEqual([e for e in events if e["event"] == "lost"], [])
        last = [e for e in events if e["event"] == "crash_status"][-1]
        self.assertEqual((last["phase"], last["verdict"]), ("shutdown", "written"))
        self.assertGreater(last["since_first_ms"], DUMP_LONG_MS - 100)


if __name__ == "__main__":
    harness.main(at_once=4)
