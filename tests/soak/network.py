# SPDX-License-Identifier: Apache-2.0
"""A bad network between machines and kdnetd (relay.c), a herd of machines behind it, and what must be true of both."""
import collections
import itertools
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))
import harness

RELAY = os.environ.get("KDNETD_RELAY", str(harness.BUILD / "tests" / "soak" / "soak_relay"))
HOLDS = ("bugcheck-hold", "double-crash")  # and each with --no-reboot
HOLD_S = 3.3  # a machine that was held for three seconds has ended as it should
RENAMED = "renamed-"
PATIENCE_END_S = 4
LAYOUTS = ("x64", "x86", "arm64")
SEED = int(os.environ.get("KDNETD_SOAK_SEED", "20240711"))
KEEP = os.environ.get("KDNETD_SOAK_KEEP")  # a folder for captures and logs

Plan = collections.namedtuple("Plan", "name key layout options count seed scenario")


class Relay:
    """relay.c; machines send to `place`."""

    def __init__(self, case, host, *options, seed=SEED):
        self.command = [RELAY, "--listen", f"{case.next_ip()}:0", "--host", host, "--from", case.next_network(),
                        "--seed", str(seed), *map(str, options)]
        self.process = subprocess.Popen(self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.STDOUT, text=True, cwd=case.folder)
        self.out = harness.Reader(self.process.stdout)
        case.started.append(self)
        ready = self.out.wait(lambda lines: [line for line in lines if line.startswith("ready ")], harness.PATIENCE)
        if not ready:
            raise AssertionError(f"{' '.join(self.command)}\n{''.join(self.out.lines)}")
        self.place = ready[0].split()[1]

    def stopped(self):
        """{machine: (datagrams, address)} of those that have reached their last datagram."""
        with self.out.grown:
            found = [line.split() for line in self.out.lines if line.startswith("stopped ")]
        return {int(words[1]): (int(words[2]), words[3]) for words in found}

    def go(self):
        self.process.stdin.write("go\n")
        self.process.stdin.flush()
        if not self.out.wait(lambda lines: "going\n" in lines, harness.PATIENCE):
            raise AssertionError("the relay does not go on")

    def counts(self):
        """Ends it."""
        self.process.stdin.close()
        self.process.wait(harness.PATIENCE)
        self.out.join(harness.PATIENCE)
        return json.loads(self.out.lines[-1])

    def clean_up(self):
        if not self.process.stdin.closed:
            self.process.stdin.close()
        if self.process.poll() is None:
            harness.signal_at(self.process, signal.SIGKILL)
            self.process.wait(harness.PATIENCE)
        self.out.join(harness.PATIENCE)
        self.process.stdout.close()

    def tell(self):
        sys.stderr.write(f"--- {' '.join(self.command)}\n{''.join(self.out.lines[-1:])}")


class Place:
    """What harness.Case is to what it starts, for one of many that run at the same time."""

    numbers = itertools.count(1)

    def __init__(self, title):
        self.title = title
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="kdnetd-soak-"))
        self.started = []
        draw = harness.random.SystemRandom()
        self.network = f"127.{draw.randrange(2, 250)}"
        self.third = draw.randrange(1, 200)
        self.ip = f"{self.network}.{self.third}.1"
        self.last_ip = 1
        self.seeds = 0

    def next_ip(self):
        self.last_ip += 1
        return f"{self.network}.{self.third}.{self.last_ip}"

    def next_network(self):
        """The first of many addresses."""
        return f"{self.network}.{self.third + 1}.1"

    def next_seed(self):
        self.seeds += 1
        return 1000 * self.seeds

    def file(self, name, text):
        path = self.folder / name
        path.write_text(text)
        path.chmod(0o600)
        return path

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        for one in reversed(self.started):
            one.clean_up()
        if KEEP:
            target = pathlib.Path(KEEP) / re.sub("[^a-zA-Z0-9]+", "-", self.title)
            harness.shutil.copytree(self.folder, target, dirs_exist_ok=True,
                                    ignore=harness.shutil.ignore_patterns("notify*"))
            for number, one in enumerate(self.started):
                if isinstance(one, harness.Daemon):
                    (target / f"kdnetd-{number}.log").write_text(one.log_text())
                    (target / f"kdnetd-{number}.json").write_text("".join(one.out.lines))
        harness.shutil.rmtree(self.folder, ignore_errors=True)


def name_of(plan, i):
    return f"{plan.name}-{i}"


def keys_of(plan):
    return [(name_of(plan, i), harness.key_text(*plan.key[:3], plan.key[3] + i)) for i in range(plan.count)]


def write_targets(place, plans, rename=lambda name: name, rekey=lambda key: key, leave_out=False):
    lines = [] if leave_out else [f"{rename(n)} {rekey(k)}\n" for plan in plans for n, k in keys_of(plan)]
    place.file("targets", "another 9.9.9.9\n" + "".join(lines))  # an empty file would be a mistake
    return place.file("kdnetd.yaml", "targets_file: targets\n")


def is_held(plan):
    """Whether its machines end in a second break."""
    return plan.scenario in HOLDS or "--no-reboot" in plan.options


def start(place, where, plan):
    """Those that are to be held stay: their program would end while kdnetd still reads."""
    return harness.Machines(place, where, harness.key_text(*plan.key), "--count", plan.count, "--machine", plan.layout,
                            *plan.options, scenario=plan.scenario, seed=plan.seed, end=not is_held(plan))


def held(plan, daemons):
    """When each of its machines was found in its second break, and held: {name: seconds}."""
    told = (e for d in daemons for e in d.events(kind="released") if e["action"] == "hold")
    names = {name for name, _ in keys_of(plan)}
    when = {e["target"].replace(RENAMED, ""): harness.seconds(e) for e in told}
    return {name: at for name, at in when.items() if name in names}


def wait(machines, plan, daemons, end):
    """Their summaries, when they have ended; those that do not end by then say in theirs how they are."""
    if is_held(plan):
        while len(held(plan, daemons)) < plan.count and time.monotonic() < end:
            time.sleep(0.1)
        time.sleep(max(0.0, max(held(plan, daemons).values(), default=0) + HOLD_S - time.time()))
        return machines.stop(None)
    try:
        machines.process.wait(max(0.1, end - time.monotonic()))
    except subprocess.TimeoutExpired:
        return machines.stop(None)
    return machines.wait(expect=None)


def end(daemon, patience=PATIENCE_END_S):
    """As daemon.stop, but kdnetd waits a read deadline long for a machine whose last ACK was lost: we do not."""
    daemon.signal(signal.SIGTERM)
    try:
        code = daemon.process.wait(patience)
    except subprocess.TimeoutExpired:
        code = 0
    daemon.kill()
    daemon.out.join(harness.PATIENCE)
    if code != 0:
        raise AssertionError(f"kdnetd, told to end, ended with {code}: {''.join(daemon.log.lines[-20:])}")


NOT_STARTED = ("not_started", "0xFFFFFFFF")
UNKNOWN = ("unknown", None)


def expected_results(summary):
    """The (phase, verdict, status) that a machine must give, in their order."""
    status = summary["expected"]["status"]
    verdict = {"0x00000000": "written", "0xFFFFFFFF": "not_started"}.get(status, "failed")
    rare = {"int3": 1, "exception": 1, "command": 1, "processors": 4, "nested": 2}.get(summary["scenario"])
    if rare:
        return [("break", *NOT_STARTED)] * rare
    others = {"loader-crash": "boot", "hypervisor": "break"}.get(summary["scenario"])
    if others:
        return [(others, *UNKNOWN)] * 2
    out = []
    if summary["expected"]["first"]:
        out.append(("bugcheck_first", *NOT_STARTED))
    if summary["expected"]["shutdown"]:
        out.append(("shutdown", verdict, status))
    if summary["expected"]["second"]:
        out.append(("bugcheck_second", verdict, status))
    return out


def is_unread(event):
    """Says itself that it could not be read in time, and nothing that would be untrue."""
    if event["verdict"] == "unknown":
        return event["reason"] in ("timeout", "lost", "unreadable", "no_symbols") and event["status"] is None
    first = event["phase"] == "bugcheck_first" and event["verdict"] == "not_started"
    return first and event["source"]["from"] == "phase"


def is_half_read(event, wanted, bugcheck):
    """On a slow path the status is asked for first: it is there and right, the bug check as well or not yet, and what kind of
    break it was is not known."""
    status = (event["verdict"], event["status"])
    right = event["bugcheck"] is None or (bugcheck and event["bugcheck"]["code"] == bugcheck["code"])
    return event["phase"] == "break" and right and status in [one[1:] for one in wanted]


def is_wanted(event, wanted):
    """A loader and a hypervisor have no kernel to read; nobody else may say so."""
    result = (event["phase"], event["verdict"], event["status"])
    return result in wanted and (event["reason"] == "no_kernel") == (event["verdict"] == "unknown")


def mistakes_of_machine(summary, stepping=True):
    """The machine's own view: nobody hurt it, and it does not stand still."""
    out = []
    if summary["state"] != "ended":
        out.append(f"is {summary['state']}")
    # The state change of a break inside a break can be lost while the Continue of the outer one is on its way: it is
    # taken for the inner one's. Nobody has seen such a machine.
    allowed = 1 if summary["scenario"] == "nested" else 0
    for harm, most in (("released_wrongly", allowed), ("wrong_processors", 0)):
        if summary[harm] > most:
            out.append(f"{harm}: {summary[harm]} times")
    if stepping and summary["traps_again"]:
        out.append(f"trapped again {summary['traps_again']} times")
    return out


def mistakes_of_results(summary, events, unread_is_good=False, restarted=False):
    """What kdnetd said of it: each result of the script, once.

    unread_is_good: there may be a break whose result says that time was up, or that is told as more than one: a machine
    that is released unread stands on its breakpoint still, and traps there again. restarted: one kdnetd may tell what
    another one, or the same before a reload, has told, or was about to. A machine that starts anew, or breaks in again,
    while it is asked gives a result that says so.
    """
    wanted, told, unread, out = expected_results(summary), [], 0, []
    unread_is_good = unread_is_good or restarted or summary["expected"]["interrupted"]
    for event in (e for e in events if e["event"] == "crash_status"):
        result = (event["phase"], event["verdict"], event["status"])
        if is_wanted(event, wanted):
            told.append(result)
            code = event["bugcheck"] and event["bugcheck"]["code"]
            cut_short = unread_is_good and code is None  # the status came first, and then time was up
            if result[0] not in ("break", "boot") and code != summary["expected"]["bugcheck"]["code"] and not cut_short:
                out.append(f"bug check {code}")
        elif unread_is_good and (is_unread(event) or is_half_read(event, wanted, summary["expected"]["bugcheck"])):
            unread += 1
        else:
            out.append(f"wrong result {result}, {event['reason']}")
    return out + missing_or_doubled(summary, wanted, told, unread, unread_is_good, restarted)


def missing_or_doubled(summary, wanted, told, unread, unread_is_good, restarted):
    out, counts = [], collections.Counter(told)
    allowed_more = 1 if summary["scenario"] == "nested" else 0  # asked whether it still waits, it may say so too late
    wanted_counts = collections.Counter(wanted)
    if restarted or not unread_is_good:
        out += [f"no result {r}" for r in wanted_counts if not counts[r]]
    if not restarted:
        if len(told) + unread < len(wanted):
            out.append(f"{len(told) + unread} results of {len(wanted)}")
        out += [f"{counts[r]} × {r}, not {n}" for r, n in wanted_counts.items()
                if counts[r] > n + allowed_more or (counts[r] < n and not unread_is_good)]
    if summary["scenario"] == "reset" and not unread:
        out.append("no result of the break in which it started anew")
    return out


def was_held(summary):
    return bool(summary["expected"]["second"])


def distribution(values):
    values = sorted(values)
    if not values:
        return "none"
    at = lambda part: values[min(len(values) - 1, int(part * len(values)))]
    return f"{at(.5)}/{at(.9)}/{at(.99)}/{values[-1]}"
