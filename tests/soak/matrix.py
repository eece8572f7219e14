# SPDX-License-Identifier: Apache-2.0
"""Bad networks: a herd of machines of all kinds, each of which does one of the scenarios."""
import collections
import time

import network
from network import harness

COUNT = {"short": 68, "long": 500}
DUMP_MS, REBOOT_MS, DELAY_MS = 400, 200, 500
SPREAD_MS = {"short": 1000, "long": 8000}
WAIT_S = {"short": 120, "long": 150}

# patience: of kdnetd with one break; None: its default of 2 s, with which results may say that time was up.
Network = collections.namedtuple("Network", "name relay patience parts", defaults=["20s", ("long",)])
BOTH = ("short", "long")
SCENARIOS = ("idle", "boot", "bugcheck", "bugcheck-hold", "int3", "prompt", "fileio", "exception")
RARE = (("e2", ()), ("e2", ("--no-reboot",)), ("unattended", ("--no-reboot",)), ("double-crash", ()), ("loader-crash", ()),
        ("hypervisor", ()), ("processors", ()), ("command", ()), ("nested", ()), ("reset", ()))
STATUSES = ("0x00000000", "0xFFFFFFFF", "0xC000007F", "0xC0000185", "0x00000103")

NETWORKS = [
    Network("loss 1 %", ["--loss", 1]),
    Network("loss 5 %", ["--loss", 5]),
    Network("loss 10 %", ["--loss", 10]),
    Network("loss 20 %", ["--loss", 20], "40s"),
    Network("loss 30 %", ["--loss", 30], "60s", BOTH),
    Network("delay 20 ms", ["--delay-ms", 20]),
    Network("delay 200 ms", ["--delay-ms", 200], "30s"),
    Network("reordering: 20 ms more or less", ["--jitter-ms", 20]),
    Network("reordering: each tenth 60 ms late", ["--late", 10, "--late-ms", 60]),
    Network("duplication 10 %", ["--duplicate", 10]),
    Network("duplication 100 %, 5 ms more or less", ["--duplicate", 100, "--jitter-ms", 5]),
    Network("corruption 2 %", ["--corrupt", 2]),
    Network("drop > 1400 bytes", ["--longest", 1400]),
    Network("delay 20 ms, a cut of 20 s", ["--delay-ms", 20, "--cut-after", "$half", "--cut-ms", 20000], "60s"),
    Network("delay 20 ms, a cut of 5 s", ["--delay-ms", 20, "--cut-after", "$half", "--cut-ms", 5000], "30s", BOTH),
    Network("delay 20 ms, a cut of 20 s, deadline 2 s",
            ["--delay-ms", 20, "--cut-after", "$half", "--cut-ms", 20000], None),
    Network("loss 20 %, deadline 2 s", ["--loss", 20], None),
    Network("loss 30 %, delay 200 ms, deadline 2 s", ["--loss", 30, "--delay-ms", 200], None),
    Network("delay 400 ms, deadline 2 s", ["--delay-ms", 400], None, BOTH),
    Network("delay 700 ms, deadline 2 s", ["--delay-ms", 700], None),
    Network("loss 10 %, delay 200 ms ± 50", ["--loss", 10, "--delay-ms", 150, "--jitter-ms", 100], "60s"),
    Network("loss 10 %, duplication 10 %, corruption 2 %, 30 ms more or less",
            ["--loss", 10, "--duplicate", 10, "--corrupt", 2, "--jitter-ms", 30], "60s", BOTH),
    Network("loss 20 %, a tenth 600 ms late, > 1400 dropped",
            ["--loss", 20, "--late", 10, "--late-ms", 600, "--longest", 1400], "60s"),
    Network("loss 5 %, duplication 10 %, delay 20 ms, a cut of 20 s",
            ["--loss", 5, "--cut-after", "$half", "--cut-ms", 20000, "--duplicate", 10, "--delay-ms", 20], "60s"),
]


def plans(part):
    """A process for each scenario and kind of machine."""
    kinds = [(scenario, (), layout) for scenario in SCENARIOS for layout in network.LAYOUTS]
    for i, (scenario, extra) in enumerate(RARE):  # in the short part, of each only one kind of machine
        kinds += [(scenario, extra, layout) for j, layout in enumerate(network.LAYOUTS) if part == "long" or i % 3 == j]
    options = ("--dump-ms", DUMP_MS, "--reboot-ms", REBOOT_MS, "--delay-ms", DELAY_MS, "--spread-ms", SPREAD_MS[part])
    out, left = [], COUNT[part]
    for i, (scenario, extra, layout) in enumerate(kinds):
        count = left // (len(kinds) - i)
        left -= count
        status = ("--status", STATUSES[i % len(STATUSES)])
        name = f"{scenario}{'-held' if extra else ''}-{layout}"
        out.append(network.Plan(name, (7, 7, 1 + i, 1), layout, options + status + extra, count, network.SEED + i,
                                scenario))
    return out


def play(part, one, half):
    """Returns {name: (summary, events)}, and the relay's counts."""
    herd = plans(part)
    with network.Place(one.name) as place:
        options = ["--read-deadline", one.patience or "2s"]
        daemon = harness.Daemon(place, "--config", network.write_targets(place, herd), *options)
        capture = ["--pcap", place.folder / "relay.pcap"] if network.KEEP else []
        relay = network.Relay(place, daemon.listen[0], *[half if o == "$half" else o for o in one.relay], *capture)
        running = [(plan, network.start(place, relay.place, plan)) for plan in herd]
        summaries, end = {}, time.monotonic() + WAIT_S[part]
        for plan, machines in running:
            for i, summary in enumerate(network.wait(machines, plan, [daemon], end)):
                summaries[network.name_of(plan, i)] = summary
        counts = relay.counts()
        told = collections.defaultdict(list)
        network.end(daemon)
        for event in daemon.events():
            told[event["target"]].append(event)
    return {name: (summary, told[name]) for name, summary in summaries.items()}, counts


def judge(one, outcome):
    out = []
    for name, (summary, events) in sorted(outcome.items()):
        wrong = network.mistakes_of_machine(summary, stepping=one.patience is not None)
        wrong += network.mistakes_of_results(summary, events, unread_is_good=one.patience is None)
        if wrong:
            address = next((e["address"] for e in events), "no address")
            out.append(f"{name} {address}: {'; '.join(wrong)}")
    return out


class Clean:
    """The clean network, once: what the others are held against."""

    def __init__(self, part):
        self.part = part
        self.outcome = None

    def run(self):
        """Before all the others."""
        one = Network("clean", [])
        self.outcome, self.counts = play(self.part, one, 0)
        halts = network.distribution([s["halted_ms"] for s, _ in self.outcome.values() if not network.was_held(s)])
        line = f"{len(self.outcome)} machines, halted {halts} ms (p50/p90/p99/max), "
        return line + f"{self.counts['from_machines']} + {self.counts['from_host']} datagrams", judge(one, self.outcome)

    def compare(self, one):
        half = (self.counts["to_host"] + self.counts["to_machines"]) // 2
        outcome, counts = play(self.part, one, half)
        extra = [max(0, summary["halted_ms"] - self.outcome[name][0]["halted_ms"])
                 for name, (summary, _) in outcome.items() if not network.was_held(summary)]
        results = [e for _, events in outcome.values() for e in events if e["event"] == "crash_status"]
        unread = sum(1 for e in results if network.is_unread(e))
        spoilt = "".join(f", {counts[k]} {k}" for k in ("lost", "duplicated", "corrupted", "late", "cut", "too_long")
                           if counts[k])
        line = f"{len(outcome)} machines, {len(results)} results"
        if one.patience is None:
            line += f", {unread} of them unread in time"
        line += f", halted longer by {network.distribution(extra)} ms (p50/p90/p99/max), read deadline "
        line += f"{one.patience or '2s'}; datagrams: {counts['from_machines']} + {counts['from_host']}{spoilt}"
        return line, judge(one, outcome)


def jobs(part):
    """(what comes first, the others), each (title, what to run)."""
    clean = Clean(part)
    others = [(one.name, lambda one=one: clean.compare(one)) for one in NETWORKS if part in one.parts]
    return [("clean network", clean.run)], others
