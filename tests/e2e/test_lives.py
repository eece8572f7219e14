# SPDX-License-Identifier: Apache-2.0
"""The rarer lives of a machine (PROTOCOL section 9), by the real programs: exactly their events, and no machine harmed.

test_matrix.py has the usual ones.
"""
import collections
import unittest

import harness

MACHINES = ("x64", "x86", "arm64")
STATUS = "0xC000007F"
AT_ONCE = 8  # processes
NOT_STARTED = ("not_started", "0xFFFFFFFF", None)
FAILED = ("failed", STATUS, None)
NO_KERNEL = ("unknown", None, "no_kernel")
LOST = ("unknown", None, "lost")

# Words of a life: what comes in which order; a result is phase, verdict, status, reason.
Life = collections.namedtuple("Life", "options events results who")
BREAK = "break_in crash_status released"
LIVES = {
    "e2": Life((), "connected break_in bugcheck kernel crash_status released connected", [("shutdown", *FAILED)], "nt"),
    "e2 held": Life(("--no-reboot",), "connected break_in bugcheck kernel crash_status released",
                    [("bugcheck_second", *FAILED)], "nt"),
    "unattended": Life((), "connected", [], None),
    "unattended held": Life(("--no-reboot",), "connected break_in bugcheck kernel crash_status released",
                            [("bugcheck_second", *FAILED)], "nt"),
    "double-crash": Life((), f"connected connected bugcheck break_in kernel crash_status released {BREAK}",
                         [("bugcheck_first", *NOT_STARTED), ("bugcheck_second", *NOT_STARTED)], "nt"),
    "loader-crash": Life((), f"connected break_in kernel crash_status released {BREAK} connected",
                         [("boot", *NO_KERNEL)] * 2, "boot"),
    "hypervisor": Life((), f"connected break_in kernel crash_status released {BREAK}", [("break", *NO_KERNEL)] * 2,
                       "hypervisor"),
    "processors": Life((), f"connected break_in kernel crash_status released {BREAK} {BREAK} {BREAK}",
                       [("break", *NOT_STARTED)] * 4, "nt"),
    "nested": Life((), f"connected break_in kernel crash_status {BREAK} {BREAK}",
                   [("break", *LOST), ("break", *NOT_STARTED), ("break", *NOT_STARTED)], "nt"),
    "reset": Life((), "connected break_in kernel crash_status connected", [("break", *LOST)], "nt"),
    "command": Life((), "connected break_in kernel crash_status released", [("break", *NOT_STARTED)], "nt"),
    "elsewhere": Life((), "connected", [], None),
}


class Lives(harness.Case):
    def jobs(self):
        """(name, life, key, machine)"""
        n = 0
        for name, life in LIVES.items():
            for machine in MACHINES:
                n += 1
                yield f"{name.replace(' ', '-')}-{machine}", name, life, (6, 6, 6, n), machine

    def begin(self, job, listen):
        name, scenario, life, key, machine = job
        return harness.Machines(self, listen, harness.key_text(*key), "--machine", machine, "--status", STATUS,
                                "--dump-ms", 300, "--reboot-ms", 100, *life.options, scenario=scenario.split()[0],
                                seed=31 * key[3])

    def test_each_life_gives_exactly_its_events(self):
        jobs = list(self.jobs())
        lines = [f"{job[0]} {harness.key_text(*job[3])}\n" for job in jobs]
        self.file("targets", "".join(lines))
        # A machine whose life is over is silent: it is not lost before the last one's is.
        config = self.file("kdnetd.yaml", "targets_file: targets\nlost_after: 10m\n")
        daemon = harness.Daemon(self, "--config", config)
        waiting, running, done = list(jobs), [], {}
        while waiting or running:
            while waiting and len(running) < AT_ONCE:
                running.append((waiting[0], self.begin(waiting.pop(0), daemon.listen[0])))
            job, process = running.pop(0)
            done[job[0]] = (job, process.wait()[0])
        events = daemon.stop()
        self.check_events(events)
        wrong = []
        for name, (job, summary) in done.items():
            try:
                self.judge(job, summary, [e for e in events if e["target"] == name])
            except AssertionError as error:
                wrong.append(f"{name}: {error}\n  {summary}")
        self.assertFalse(wrong, f"{len(wrong)} of {len(done)} machines:\n" + "\n".join(wrong[:5]))

    def judge(self, job, summary, events):
        name, scenario, life, _, machine = job
        # On a busy processor kdnetd may doubt a key that is good, and give another one.
        events = [e for e in events if not (e["event"] == "connected" and e["took_over"])]
        self.assertEqual([e["event"] for e in events], life.events.split(), events)
        results = [e for e in events if e["event"] == "crash_status"]
        self.assertEqual([(e["phase"], e["verdict"], e["status"], e["reason"]) for e in results], life.results)
        for event in events:
            if event["event"] == "kernel":
                self.assertEqual((event["who"], event["machine"]), (life.who, machine))
            if event["event"] == "bugcheck":
                wanted = summary["expected"]["bugcheck"]["code"]
                self.assertEqual(event["code"], wanted)
                self.assertEqual(event["from"], "print" if scenario == "double-crash" else "memory")
        held = [e["action"] for e in events if e["event"] == "released"]
        self.assertEqual(held.count("hold"), 1 if summary["expected"]["second"] else 0)
        for count in ("traps_again", "released_wrongly", "wrong_processors", "host_wrong_ids"):
            self.assertEqual(summary[count], 0, count)
        self.assertEqual(summary["state"], "ended")


if __name__ == "__main__":
    harness.main()
