# SPDX-License-Identifier: Apache-2.0
"""The demo's machines: what happens to each, what must come of it, and how a result reads in words."""
import sys

import screen

GUIDAGE = "4B444E45542D544152474554000000011"  # the simulated kernels; see kdnet-target --help
OTHER_GUIDAGE = "00C0FFEE00C0FFEE00C0FFEE00C0FFEE1"  # a kernel of which kdnetd is told nothing

# name, what its owner would see, arguments of kdnet-target, and the crash_status results that must come, as
# (phase, verdict, status, reason).
FIRST = ("bugcheck_first", "not_started", "0xFFFFFFFF", None)
MACHINES = [
    ("web-01", "crashes in its driver, dumps, reboots",
     "--scenario bugcheck --bugcheck 0xD1 --cause 0x1234 --status 0 --dump-ms 5000 --delay-ms 1500",
     [FIRST, ("shutdown", "written", "0x00000000", None)]),
    ("web-02", "the same, on ARM64",
     "--machine arm64 --scenario bugcheck --bugcheck 0x7E --cause 0x1a30 --dump-ms 3000 --delay-ms 2500",
     [FIRST, ("shutdown", "written", "0x00000000", None)]),
    ("sql-01", "crashes; its disk is full",
     "--scenario bugcheck --bugcheck 0x1A --status 0xC000007F --dump-ms 2500 --delay-ms 3500",
     [FIRST, ("shutdown", "failed", "0xC000007F", None)]),
    ("sql-02", "crashes; its disk breaks; no automatic reboot",
     "--scenario bugcheck-hold --bugcheck 0x50 --cause 0x1234 --status 0xC0000185 --dump-ms 3500 --delay-ms 4500",
     [FIRST, ("bugcheck_second", "failed", "0xC0000185", None)]),
    ("file-01", "crashes; 32-bit; no dump set up",
     "--machine x86 --protocol 2 --scenario bugcheck --bugcheck 0xC2 --status 0xFFFFFFFF --dump-ms 800 --delay-ms 5500",
     [FIRST, ("shutdown", "not_started", "0xFFFFFFFF", None)]),
    ("mail-01", "crashes; kdnetd does not know this kernel",
     f"--guidage {OTHER_GUIDAGE} --scenario bugcheck --bugcheck 0x9F --status 0 --dump-ms 2000 --delay-ms 6500",
     [("bugcheck_first", "not_started", None, "no_symbols"), ("shutdown", "unknown", None, "no_symbols")]),
    ("print-01", "a driver hits a breakpoint", "--scenario int3 --delay-ms 7000",
     [("break", "not_started", "0xFFFFFFFF", None)]),
    ("app-01", "a driver reads bad memory, and handles it", "--protocol 4 --scenario exception --delay-ms 7500",
     [("break", "not_started", "0xFFFFFFFF", None)]),
    ("build-01", "Windows asks a question on the debugger", "--scenario prompt --delay-ms 8000", []),
    ("dc-01", "asks the debugger for other driver files", "--protocol 4 --scenario fileio --delay-ms 8500", []),
    ("app-02", "boots, loader and kernel", "--scenario boot --delay-ms 1000", []),
    ("vdi-01", "nothing happens", "--scenario idle", []),
]

DONE = {
    "bugcheck_first": "It goes on, to write it.",
    "shutdown": "It reboots.",
    "bugcheck_second": "It is held: automatic reboot is off.",
    "break": "It goes on.",
    "boot": "It goes on.",
}
CRASH = ("bugcheck_first", "bugcheck_second", "shutdown")
AFTER = {  # what a machine does when it was let go on after a break of this phase
    "bugcheck_first": ("", "dump", "busy", True),
    "bugcheck_second": ("", "reboot", "busy", True),
    "shutdown": ("", "reboot", "busy", True),
}


class Machine:
    """One simulated machine: its process, and what kdnetd said about it."""

    def __init__(self, index, name, story, arguments, expected):
        self.name, self.story, self.arguments, self.expected = name, story, arguments, expected
        self.key = f"demo.{index + 1:x}.kdnet.{name.replace('-', '')}"
        self.address = f"127.1.0.{index + 1}"
        self.process, self.summary, self.results, self.halted_ms = None, None, [], []
        self.bugcheck, self.connected, self.held = None, 0, False
        self.timeline, self.phase, self.answered, self.questions_step = screen.Timeline(), None, 0, None

    def asks(self):
        """Whether it asks the debugger something: of that only the machine itself gives account."""
        return self.expected == [] and "idle" not in self.arguments

    def missing(self):
        if self.asks() and not (self.summary and self.summary["state"] == "ended"):
            return True
        return not self.connected or len(self.results) < len(self.expected)

    def on_account(self, summary):
        """Takes the machine's own account of itself."""
        self.summary = summary
        if self.asks() and summary["answers"] > self.answered:
            self.answered = summary["answers"]
            if not self.questions_step:
                self.questions_step = self.timeline.add("●", "", "good")
                self.timeline.add("", "run", None)
            self.questions_step.word = f"{questions(self.answered)} answered"

    def outcome(self):
        return [(r["phase"], r["verdict"], r["status"], r["reason"]) for r in self.results]

    def is_right(self):
        if self.outcome() != self.expected or not self.connected or not self.summary:
            return False
        said = self.summary
        well = said["state"] == "halted" and not said["released_wrongly"] if self.held else said["exit"] == 0
        return (well or said["state"] == "ended") and said["questions"] == said["answers"]


def machine_crashed(results):
    return any(r["phase"] in CRASH for r in results)


def questions(count):
    return f"{count} question{'s' if count > 1 else ''}"


def tone(event):
    """How a result is painted."""
    if event["phase"] in ("bugcheck_second", "shutdown"):
        return {"written": "good", "unknown": "busy"}.get(event["verdict"], "bad")
    return "busy" if event["phase"] == "bugcheck_first" else None


def conclusion(event):
    """The last result of a crash as a step of its machine's line: mark, word, tone, clock, detail."""
    name = (event["status_name"] or "").replace("STATUS_", "")
    if event["verdict"] == "written":
        return "✔", "written", tone(event)
    if event["verdict"] == "failed":
        return "✘", f"failed {name or event['status']}", tone(event)
    if event["verdict"] == "not_started":
        return "✘", "not started", tone(event)
    return "?", f"unknown {event['reason']}", tone(event)


def blamed(event):
    """Where a crash came from, in words; empty: a result does not say."""
    cause = event.get("cause")
    return f" It came from {cause['place']}." if cause and cause.get("place") else ""


def short(code):
    return f"0x{int(code, 16):X}"


def verdict(event):
    """A result in words."""
    status = event["status"] and f" ({event['status_name'] or event['status']})"
    crash = event["phase"] in CRASH
    if event["verdict"] == "written":
        return f"crash dump WRITTEN{status}, {event['since_first_ms'] / 1000:.1f} s after the crash."
    if event["verdict"] == "failed":
        return f"crash dump FAILED{status}."
    if event["verdict"] == "not_started":
        if event["phase"] == "bugcheck_first":
            return f"dump not started yet{status or ''}.{blamed(event)}"
        return f"crash dump NOT STARTED{status or ''}." if crash else "no crash."
    if event["reason"] == "no_kernel":
        return "no kernel runs yet, so there is no crash dump to ask about (no_kernel)."
    return f"crash dump unknown: {event['reason']}."


if __name__ == "__main__":
    sys.exit("this is a part of demo.py")
