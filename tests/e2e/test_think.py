# SPDX-License-Identifier: Apache-2.0
"""Machines that take their time over what they are asked: none is left halted, and each break has one result.

Think times × how they change × loss × a restart of kdnetd in the middle, all at once. Real machines differ in what they
do meanwhile: some acknowledge early, some late, some listen. Each cell has one of each, and in turn one where kdnetd
starts again, so that there are not too many processes. session/think_time plays every time from none to ten seconds, and
every way to change it, on a clock that is a variable; here real programs show some of them.
"""
import collections
import itertools
import signal
import sys
import time

import harness

TIMES_MS = (0, 250, 1900)
PROFILES = ("constant", "crash", "growing", "shrinking")
LOSSES = (0, 10)
KINDS = {"early": (), "late": ("--ack", "late"), "alert": ("--alert",)}
READ_DEADLINE_S = 5
SLACK_S = 15  # a busy processor, and at a restart the machine's next poke
RESTART_AFTER_S = 3
LIMIT_S = 200  # only a machine that is left halted meets it

Cell = collections.namedtuple("Cell", "ms profile loss kind")


def told(event):
    """The phase of a result. A kdnetd that began in the middle, and had no time to ask, does not know of the crash: it has
    not seen what was printed, and may have read the status, but not the bug check, by its deadline."""
    unasked = event["phase"] == "break" and (event["reason"] == "timeout" or event["bugcheck"] is None)
    return "bugcheck_first" if unasked else event["phase"]


class Group:
    """A kdnetd, and a machine for each cell."""

    def __init__(self, case, ip, restarts):
        self.case = case
        self.restarts = restarts
        cells = [Cell(*one) for one in itertools.product(TIMES_MS, PROFILES, LOSSES, KINDS)]
        if restarts:
            cells = [cell for turn, cell in enumerate(cells) if turn % len(KINDS) == turn // len(KINDS) % len(KINDS)]
        self.keys = {cell: (1 + restarts, number, 3, 4) for number, cell in enumerate(cells)}
        self.names = {cell: f"cell-{number}" for number, cell in enumerate(cells)}
        targets = case.file(f"targets-{restarts}", "".join(f"{self.names[cell]} {harness.key_text(*self.keys[cell])}\n"
                                                           for cell in cells))
        self.config = case.file(f"kdnetd-{restarts}.yaml", f"targets_file: {targets.name}\n")
        self.listen = harness.place(ip, harness.free_port(ip))
        self.machine_ip = case.next_ip()
        self.lives = [self.begin_daemon()]
        self.machines = {cell: self.begin_machine(cell) for cell in cells}

    def begin_daemon(self):
        return harness.Daemon(self.case, "--config", self.config, "--read-deadline", f"{READ_DEADLINE_S}s",
                              listen=[self.listen])

    def begin_machine(self, cell):
        options = ["--think", cell.ms, "--think-profile", cell.profile, "--loss", cell.loss, "--delay-ms", 1500,
                   "--dump-ms", 3000, "--bind", harness.place(self.machine_ip, 0), *KINDS[cell.kind]]
        return harness.Machines(self.case, self.listen, harness.key_text(*self.keys[cell]), *options,
                                scenario="bugcheck")

    def restart(self):
        self.lives[0].kill()
        self.lives.append(self.begin_daemon())

    def bound(self, cell):
        """What a machine may stand still, in seconds: at a restart twice, and each loss can cost a time to think."""
        once = READ_DEADLINE_S + 6 * cell.ms / 1000 * (2 if cell.loss else 1)
        return once * (2 if self.restarts else 1) + SLACK_S

    def fault(self, cell, summary):
        """What is wrong with a machine, in a word; None: nothing."""
        lives = [[told(event) for event in life.events(self.names[cell], "crash_status")] for life in self.lives]
        if summary["state"] != "ended":
            return "HALTED" if summary["state"] == "halted" else "UNDONE"
        if summary["harm"] > 0 or summary["traps_again"] > 0:
            return "HARMED"
        if summary["longest_halt_ms"] > self.bound(cell) * 1000:
            return "SLOW"
        if any(len(set(life)) != len(life) for life in lives):
            return "TWICE"  # each kdnetd tells a break once
        return None if set(itertools.chain(*lives)) == {"bugcheck_first", "shutdown"} else "UNTOLD"

    def judge(self):
        """Ends it; returns what is wrong, a line a machine."""
        summaries = {cell: one.wait(expect=None)[0] for cell, one in self.machines.items()}
        self.lives[-1].stop()
        wrong, longest = [], collections.defaultdict(float)
        for cell, summary in summaries.items():
            fault = self.fault(cell, summary)
            place = cell[:3]
            longest[place] = max(longest[place], summary["longest_halt_ms"] / 1000)
            if fault:
                longest[place] = float("inf")
                results = [[(e["time"], e["phase"], e["reason"]) for e in life.events(self.names[cell], "crash_status")]
                           for life in self.lives]
                wrong.append(f"{fault}: {self.names[cell]} {cell}\n  {summary}\n  {results}")
        self.print_table(longest, len(wrong))
        return wrong

    def print_table(self, longest, wrong):
        columns = list(itertools.product(LOSSES, PROFILES))
        what = "killed and started again" if self.restarts else "runs on"
        out = [f"\nlongest halt of a machine, s; kdnetd {what}; of {len(self.machines)} machines {wrong} are wrong\n",
               "think, ms" + "".join(f"{f'{profile} {loss} %':>16}" for loss, profile in columns) + "\n"]
        for ms in TIMES_MS:
            cells = [longest[(ms, profile, loss)] for loss, profile in columns]
            texts = ["WRONG" if cell == float("inf") else f"{cell:.2f}" for cell in cells]
            out.append(f"{ms:9}" + "".join(f"{text:>16}" for text in texts) + "\n")
        sys.stdout.write("".join(out))
        sys.stdout.flush()


class Think(harness.Case):
    def test_whatever_time_a_machine_takes_it_goes_on(self):
        groups = [Group(self, self.ip, False), Group(self, self.next_ip(), True)]
        time.sleep(RESTART_AFTER_S)  # quick machines write their dumps, the others are asked
        groups[1].restart()
        end = time.monotonic() + LIMIT_S
        machines = [one for group in groups for one in group.machines.values()]
        while time.monotonic() < end and any(one.process.poll() is None for one in machines):
            time.sleep(0.1)
        for one in machines:
            harness.signal_at(one.process, signal.SIGTERM)
        wrong = [text for group in groups for text in group.judge()]
        if wrong:
            self.fail(f"{len(wrong)} of {len(machines)} machines:\n" + "\n".join(wrong[:8]))


if __name__ == "__main__":
    harness.main()
