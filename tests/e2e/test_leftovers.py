# SPDX-License-Identifier: Apache-2.0
"""What a former debugger left in a kernel is cleared and told; what happens in a program is the program's."""
import collections
import itertools

import harness

SCENARIOS = {"single-step": ["single_step", "single_step"], "hardware-breakpoint": ["hardware_breakpoint"],
             "user-int3": [None], "user-step": [None], "user-exception": [None]}
MACHINES = ("x64", "x86", "arm64")

Job = collections.namedtuple("Job", "scenario machine")


class Leftovers(harness.Case):
    def test_machines_go_on_unharmed(self):
        jobs = {f"{scenario}-{machine}": Job(scenario, machine)
                for scenario, machine in itertools.product(SCENARIOS, MACHINES)}
        keys = {name: harness.key_text(number, 2, 3, 4) for number, name in enumerate(jobs, 1)}
        targets = self.file("targets", "".join(f"{name} {key}\n" for name, key in keys.items()))
        config = self.file("kdnetd.yaml", f"targets_file: {targets.name}\n")
        daemon = harness.Daemon(self, "--config", config)
        machines = {name: harness.Machines(self, daemon.listen[0], keys[name], "--machine", job.machine,
                                           scenario=job.scenario) for name, job in jobs.items()}
        for name, one in machines.items():
            summary = one.wait()[0]
            self.assertEqual((summary["harm"], summary["traps_again"]), (0, 0), f"{name}: {summary}")
        self.check_events(daemon.stop())
        for name, job in jobs.items():
            expected = SCENARIOS[job.scenario]
            if job.machine == "arm64":  # has no registers that say which
                expected = ["single_step" if one else None for one in expected]
            self.assertEqual([e.get("cleared") for e in daemon.events(name, "released")], expected, name)
            warnings = [line for line in daemon.log.lines if f"target={name} " in line and "cleared=" in line]
            self.assertEqual(len(warnings), 1 if expected[0] else 0, f"{name}: once a boot: {warnings}")


if __name__ == "__main__":
    harness.main()
