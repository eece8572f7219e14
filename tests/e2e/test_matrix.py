# SPDX-License-Identifier: Apache-2.0
"""Each scenario of kdnet-target, for each machine, version and family of addresses, gives exactly its events."""
import collections
import itertools
import unittest

import harness

MACHINES = ("x64", "x86", "arm64")
VERSIONS = (2, 4, 5)
STATUSES = {
    "0x00000000": ("STATUS_SUCCESS", "written"),
    "0xFFFFFFFF": (None, "not_started"),
    "0xC000007F": ("STATUS_DISK_FULL", "failed"),
    "0xC0000185": ("STATUS_IO_DEVICE_ERROR", "failed"),
    "0x00000103": ("STATUS_PENDING", "failed"),
}
BUGCHECKS = {0xD1: "DRIVER_IRQL_NOT_LESS_OR_EQUAL", 0x7E: "SYSTEM_THREAD_EXCEPTION_NOT_HANDLED", 0xC0FFEE: None}
DUMP_MS = 400
AT_ONCE = 48  # processes

Job = collections.namedtuple("Job", "name key seed scenario machine version options status bugcheck count")



class Expectation:
    """What one machine must give, told from its own summary."""

    def __init__(self, case, summary, job, rva):
        self.case = case
        self.summary = summary
        self.job = job
        self.rva = rva
        self.layout = summary["machine"]
        self.mask = 0xFFFFFFFF if self.layout == "x86" else 0xFFFFFFFFFFFFFFFF

    def same(self, event, /, **fields):
        for name, value in fields.items():
            self.case.assertEqual(event[name], value, f"{name} of {event}")

    def connected(self, event, rebooted):
        self.same(event, event="connected", version=self.job.version, rebooted=rebooted, took_over=False)

    def kernel(self, event):
        lab = event["build_lab"]
        architecture = {"x64": "amd64fre", "x86": "x86fre", "arm64": "arm64fre"}[self.layout]
        self.same(event, event="kernel", who="nt", build=20348, machine=self.layout)
        self.case.assertRegex(lab, rf"^20348\.[0-9]+\.{architecture}\.")
        self.case.assertEqual(event["pdb"], {"name": "ntkrnlmp.pdb", "guid": harness.GUIDAGE[:32], "age": 1})
        self.lab = lab
        self.base = int(event["kernel_base"], 16)

    def bugcheck_value(self, value, origin):
        wanted = self.summary["expected"]["bugcheck"]
        self.same(value, code=wanted["code"], name=BUGCHECKS[int(wanted["code"], 16)])
        told, true = ([int(p, 16) & self.mask for p in v["parameters"]] for v in (value, wanted))
        self.case.assertEqual(told, true, "parameters")
        self.case.assertIn(value["from"], origin)

    def break_in(self, event, phase, code):
        self.same(event, event="break_in", phase=phase)
        if code is None:
            self.case.assertIsNone(event["exception"])
            return
        name = {"0x80000003": "STATUS_BREAKPOINT", "0xC0000005": "STATUS_ACCESS_VIOLATION"}[code]
        self.same(event["exception"], code=code, name=name, first_chance=True)
        self.case.assertNotEqual(int(event["exception"]["address"], 16), 0)

    def crash_status(self, event, phase, status, bugcheck):
        self.same(event, event="crash_status", phase=phase, build_lab=self.lab)
        if self.rva:
            name, verdict = STATUSES[status]
            self.same(event, status=status, status_name=name, verdict=verdict, reason=None)
            self.same(event["source"], symbol=harness.SYMBOL, **{"from": "rva"})
            self.case.assertEqual(int(event["source"]["address"], 16), self.base + 0x3010)
        elif phase == "bugcheck_first":
            self.same(event, status=None, status_name=None, verdict="not_started")
            self.same(event["source"], symbol=harness.SYMBOL, address=None, **{"from": "phase"})
        else:
            self.same(event, status=None, status_name=None, verdict="unknown", reason="no_symbols")
            self.same(event["source"], symbol=harness.SYMBOL, address=None, **{"from": None})
        if bugcheck:
            self.bugcheck_value(event["bugcheck"], ("memory",))
        else:
            self.case.assertIsNone(event["bugcheck"])
        self.numbers(event, phase)

    def numbers(self, event, phase):
        self.case.assertGreater(event["rtt_ms"], 0)
        self.case.assertGreater(event["read_ms"], 0)
        if phase in ("shutdown", "bugcheck_second"):
            # From kdnetd's view: the ACK of its Continue may have waited for a busy processor.
            self.case.assertGreater(event["since_first_ms"], 0)
        else:
            self.case.assertIsNone(event["since_first_ms"])

    def released(self, event, action):
        self.same(event, event="released", action=action)
        self.case.assertGreater(event["halted_ms"], 0)

    def driver_break(self, events, code, exception_phase="break"):
        halt, kernel, status, released = events
        self.break_in(halt, exception_phase, code)
        self.kernel(kernel)
        self.crash_status(status, "break", "0xFFFFFFFF", False)
        self.released(released, "continue")

    def first_break(self, events):
        connected, refreshed, bugcheck, halt, kernel, status, released = events
        self.connected(connected, False)
        self.connected(refreshed, False)  # KDNET sets itself up again on its way into a crash
        self.case.assertEqual(bugcheck["event"], "bugcheck")
        self.bugcheck_value(bugcheck, ("print",))
        self.break_in(halt, "bugcheck_first", "0x80000003")
        self.kernel(kernel)
        self.crash_status(status, "bugcheck_first", "0xFFFFFFFF", True)
        self.case.assertEqual(status["evidence"]["break_status"], "0x3")
        self.released(released, "continue")

    KINDS = {
        "idle": "connected",
        "prompt": "connected",
        "fileio": "connected",
        "boot": "connected connected",
        "int3": "connected break_in kernel crash_status released",
        "exception": "connected break_in kernel crash_status released",
        "bugcheck-hold": "connected connected bugcheck break_in kernel crash_status released "
                         "break_in crash_status released",
        "bugcheck": "connected connected bugcheck break_in kernel crash_status released "
                    "break_in crash_status released connected",
    }

    def check(self, events):
        scenario = self.summary["scenario"]
        if self.summary["expected"]["second"]:
            scenario = "bugcheck-hold"
        self.case.assertEqual([e["event"] for e in events], self.KINDS[scenario].split(), events)
        self.case.assertEqual(len({e["session"] for e in events}), sum(e["event"] == "connected" for e in events))
        if scenario in ("idle", "prompt", "fileio"):
            self.connected(events[0], False)
        elif scenario == "boot":
            self.connected(events[0], False)
            self.connected(events[1], True)
        elif scenario in ("int3", "exception"):
            self.connected(events[0], False)
            self.driver_break(events[1:], "0x80000003" if scenario == "int3" else "0xC0000005")
        else:
            self.crash(events, scenario)
        self.machine_is_well(scenario)

    def crash(self, events, scenario):
        status = self.summary["expected"]["status"]
        self.first_break(events[:7])
        halt, result, released = events[7:10]
        if scenario == "bugcheck":
            self.break_in(halt, "shutdown", None)
            self.crash_status(result, "shutdown", status, True)
            self.released(released, "continue")
            self.connected(events[10], True)
        else:
            self.break_in(halt, "bugcheck_second", "0x80000003")
            self.crash_status(result, "bugcheck_second", status, True)
            self.case.assertEqual(result["evidence"]["break_status"], "0x4")
            self.released(released, "hold")

    def machine_is_well(self, scenario):
        """The machine's own view: nobody hurt it."""
        self.same(self.summary, state="ended", traps_again=0, released_wrongly=0, host_wrong_ids=0)
        self.same(self.summary, breaks=self.summary["expected"]["breaks"])
        if scenario in ("prompt", "fileio", "boot"):
            self.case.assertEqual(self.summary["answers"], self.summary["questions"])
        if scenario == "prompt":
            self.case.assertIn(self.summary["answer"][0], "iI")


class Matrix(harness.Case):
    def jobs(self, statuses, count):
        """(a process of kdnet-target each)"""
        number = itertools.count(1)
        plans = [(scenario, (), "0x00000000") for scenario in ("idle", "boot", "int3", "exception", "prompt", "fileio")]
        plans += [("bugcheck", options, status) for status in statuses for options in ((), ("--no-reboot",))]
        plans += [("mixed", (), None)]
        codes = itertools.cycle(BUGCHECKS)
        for (scenario, options, status), machine, version in itertools.product(plans, MACHINES, VERSIONS):
            n = next(number)
            name = f"{scenario}{'-hold' if options else ''}-{machine}-v{version}-{n}"
            machines = count if scenario == "mixed" else 1
            yield Job(name, (n, 2, 3, 4), 7919 * n, scenario, machine, version, options, status, next(codes), machines)

    def play(self, jobs, family_ip, rva):
        lines = []
        for job in jobs:
            for i in range(job.count):
                lines.append(f"{job.name}.{i} {harness.key_text(*job.key[:3], job.key[3] + i)}\n")
        targets = self.file("targets", "".join(lines))
        config = self.file("kdnetd.yaml", f"targets_file: {targets.name}\nlost_after: 1h\n")  # on a busy machine it takes minutes
        listen = harness.place(family_ip, harness.free_port(family_ip))
        daemon = harness.Daemon(self, "--config", config, listen=[listen], rva=rva)
        waiting, running, done = list(jobs), [], {}
        while waiting or running:
            while waiting and len(running) < AT_ONCE:
                running.append((waiting[0], self.begin(waiting.pop(0), listen)))
            job, process = running.pop(0)
            for i, summary in enumerate(process.wait()):
                done[f"{job.name}.{i}"] = (job, summary)
        events = daemon.stop()
        self.check_events(events)
        self.judge(events, done, rva)

    def begin(self, job, listen):
        options = ["--machine", job.machine, "--protocol", job.version, "--bugcheck", hex(job.bugcheck),
                   "--dump-ms", DUMP_MS, "--reboot-ms", 100, *job.options]
        if job.status:
            options += ["--status", job.status]
        if job.count > 1:
            options += ["--count", job.count]
        return harness.Machines(self, listen, harness.key_text(*job.key), *options, scenario=job.scenario, seed=job.seed)

    def judge(self, events, done, rva):
        per_target = collections.defaultdict(list)
        for event in events:
            per_target[event["target"]].append(event)
        self.assertEqual(set(per_target), set(done), "machines without events, or events without a machine")
        wrong = []
        for name, (job, summary) in done.items():
            try:
                Expectation(self, summary, job, rva).check(per_target[name])
            except AssertionError as error:
                wrong.append(f"{name}: {error}\n  {summary}")
        self.assertFalse(wrong, f"{len(wrong)} of {len(done)} machines:\n" + "\n".join(wrong[:5]))

    def test_each_scenario_gives_its_events_over_ipv4(self):
        self.play(list(self.jobs(STATUSES, 6)), self.ip, True)

    def test_each_scenario_gives_its_events_over_ipv6(self):
        if not harness.has_ipv6():
            self.skipTest("no IPv6 loopback here")
        self.play(list(self.jobs(STATUSES, 6)), "::1", True)

    def test_without_symbols_the_phase_speaks(self):
        self.play(list(self.jobs(["0x00000000"], 3)), self.ip, False)


if __name__ == "__main__":
    harness.main()
