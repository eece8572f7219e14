# SPDX-License-Identifier: Apache-2.0
"""kdnetd restarted, and its targets taken out, renamed and re-keyed, at each datagram of each scenario.

A machine's traffic is stopped after its n-th datagram, another n for each machine. When all stand, kdnetd is restarted,
and the traffic goes on.
"""
import collections
import concurrent.futures
import signal
import time

import network
from network import harness

SCENARIOS = ("boot", "bugcheck", "bugcheck-hold", "int3", "prompt", "fileio", "exception")
RARE = ("e2", "double-crash", "loader-crash", "hypervisor", "processors", "command")  # long part only, x64
STATUS = "0xC000007F"
DUMP_MS, REBOOT_MS = 100, 100
CHUNK = 24      # machines of one kdnetd: fewer than it asks at a time, for those that are stopped stay in its hands
SETTLED_S = 1.2  # no machine reached its point in this time: those that have not are done
PATIENCE_S = 60
LENGTHS = {}


def settle(daemon):
    """Until its results are written: a busy computer may let the writer wait for a second, and a kill takes what waits."""
    end = time.monotonic() + harness.PATIENCE
    while time.monotonic() < end:
        lines = len(daemon.log.lines)
        daemon.signal(signal.SIGUSR1)
        if "results_waiting=0 " in daemon.wait_log("msg=summary", after=lines):
            return
        time.sleep(0.02)
    raise AssertionError(f"results are not written:\n{daemon.log_text()[-2000:]}")


def kill(place, life, plan, relay):
    settle(life[-1])
    life.append(begin(place, plan, life[-1].kill, life[-1].listen))
    relay.go()


def term(place, life, plan, relay):
    life[-1].signal(signal.SIGTERM)
    relay.go()
    if life[-1].process.wait(harness.PATIENCE) != 0:
        raise AssertionError(f"kdnetd {life[-1].state()}")
    life.append(begin(place, plan, None, life[-1].listen))


def reload(place, life, plan, relay, then_back=True, **change):
    for one in (change, {}) if then_back else (change,):
        network.write_targets(place, [plan], **one)
        lines = len(life[-1].log.lines)
        life[-1].signal(signal.SIGHUP)
        life[-1].wait_log("configuration read again", after=lines)
    relay.go()


def remove(*where):
    reload(*where, leave_out=True)


def rename(*where):
    reload(*where, then_back=False, rename=lambda name: network.RENAMED + name)


def rekey(*where):
    reload(*where, rekey=lambda key: "1.2." + key.split(".", 2)[2])


# What happens, and what relay.c does.
HAPPENINGS = {
    "killed": (kill, []),
    "killed, what was on its way arrives later": (kill, ["--keep"]),
    "told to end": (term, []),
    "target taken out and in again": (remove, []),
    "target renamed": (rename, []),
    "key changed and back": (rekey, []),
}


def begin(place, plan, end, listen=None):
    if end:
        end()
    config = network.write_targets(place, [plan])
    return harness.Daemon(place, "--config", config, "--read-deadline", "20s", listen=listen)


def plan_of(scenario, layout, count, seed):
    options = ("--status", STATUS, "--dump-ms", DUMP_MS, "--reboot-ms", REBOOT_MS)
    return network.Plan(scenario, (8, 8, 8, 1), layout, options, count, seed, scenario)


def wait_stopped(relay, count, machines):
    """Until all have reached their points, or nothing moves any more."""
    end, last, since = time.monotonic() + PATIENCE_S, 0, time.monotonic()
    while time.monotonic() < end:
        stopped = len(relay.stopped())
        if stopped != last:
            last, since = stopped, time.monotonic()
        if stopped == count or machines.process.poll() is not None:
            return
        if time.monotonic() - since > SETTLED_S and last > 0 or time.monotonic() - since > 4 * SETTLED_S:
            return
        time.sleep(0.02)


def walk(scenario, layout, happening, first, step, count, seed):
    """One kdnetd, `count` machines, machine i stopped after its (first + i * step)th datagram."""
    happen, relay_options = HAPPENINGS[happening]
    plan = plan_of(scenario, layout, count, seed)
    with network.Place(f"{scenario} {layout} {happening} {first}") as place:
        life = [begin(place, plan, None)]
        capture = ["--pcap", place.folder / "relay.pcap"] if network.KEEP else []
        relay = network.Relay(place, life[0].listen[0], "--stop-first", first, "--stop-step", step, *relay_options,
                              *capture)
        machines = network.start(place, relay.place, plan)
        wait_stopped(relay, count, machines)
        points = {address: n for n, address in relay.stopped().values()}
        happen(place, life, plan, relay)
        summaries = network.wait(machines, plan, life, time.monotonic() + PATIENCE_S)
        network.end(life[-1])
        relay.counts()
        told = collections.defaultdict(list)
        for daemon in life:
            for event in daemon.events():
                if event["target"] is None:
                    continue  # said of a listener or of kdnetd itself, not of a machine
                told[event["target"].replace(network.RENAMED, "")].append(event)
    return judge(plan, summaries, told, points), points, [s["longest_halt_ms"] for s in summaries
                                                           if not network.was_held(s)]


def judge(plan, summaries, told, points):
    out = []
    for i, summary in enumerate(summaries):
        events = told[network.name_of(plan, i)]
        wrong = network.mistakes_of_machine(summary)
        wrong += network.mistakes_of_results(summary, events, restarted=True)
        if wrong:
            point = next((points[e["address"]] for e in events if e["address"] in points), "?")
            out.append(f"{plan.scenario} {plan.layout}, datagram {point}, {summary['target']}: {'; '.join(wrong)}")
    return out


def find_lengths(scenarios):
    """How many datagrams each scenario takes, both ways, with nobody in its way."""
    with concurrent.futures.ThreadPoolExecutor(len(scenarios)) as pool:
        LENGTHS.update(zip(scenarios, pool.map(length_of, scenarios)))
    return ", ".join(f"{scenario} {length}" for scenario, length in LENGTHS.items()), []


def length_of(scenario):
    plan = plan_of(scenario, "x64", 1, network.SEED)
    with network.Place(f"{scenario} length") as place:
        daemon = begin(place, plan, None)
        relay = network.Relay(place, daemon.listen[0])
        machines = network.start(place, relay.place, plan)
        network.wait(machines, plan, [daemon], time.monotonic() + PATIENCE_S)
        return relay.counts()["most"]


def walk_all(happening, layouts, step, offset):
    reached, halts, wrong = collections.Counter(), [], []
    for scenario in LENGTHS:
        for layout in layouts if scenario in SCENARIOS else ("x64",):
            todo = list(range(1 + offset, LENGTHS[scenario] + 1, step))
            for at in range(0, len(todo), CHUNK):
                part = todo[at:at + CHUNK]
                seed = network.SEED + at
                mistakes, points, longest = walk(scenario, layout, happening, part[0], step, len(part), seed)
                reached[scenario] += len(points)
                halts += longest
                wrong += mistakes
    line = ", ".join(f"{scenario} {n}" for scenario, n in reached.items())
    return f"points: {line}; longest halt {network.distribution(halts)} ms (p50/p90/p99/max)", wrong


def jobs(part):
    """(what comes first, the others), each (title, what to run)."""
    out = []
    for number, happening in enumerate(HAPPENINGS):
        layouts = network.LAYOUTS if part == "long" else ("x64",)
        step = 1 if part == "long" else 5
        offset = 0 if part == "long" else number % 5
        out.append((f"restart at each point: {happening}",
                    lambda h=happening, l=layouts, s=step, o=offset: walk_all(h, l, s, o)))
    scenarios = SCENARIOS + (RARE if part == "long" else ())
    return [("datagrams of each scenario", lambda: find_lengths(scenarios))], out
