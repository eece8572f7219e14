# SPDX-License-Identifier: Apache-2.0
"""What the suite measures: one function a name. Each is given the suite (bench.py) and adds its figures."""
import datetime
import json
import os
import signal
import statistics
import threading
import time

from figures_causes import causes
from figures_http import http
from figures_publish import publish
from rig import Crowd, Floor, Kdnetd, Trouble, bursts_at_once, cores, cpu_ns, free_port, resident_bytes

POKE_S = 3.0  # a target pokes about every 3 s
RUN = 4       # pokes of a target in a row, sent as one: a sender without that does not saturate a receiver
ASKED_S = (16, 36, 76, 156)  # after its connection each target is asked once more; before that every few seconds
CRASH_TRIPS = 9  # round trips from a first break of a known kernel to its Continue, the least that there are (kdnet/README.md)


def programs(name, *arguments, goal=None):
    """A figure that a program of its own prints, a line of JSON each."""

    def measure(suite):
        for line in suite.rig.output([suite.rig.bench(name), *suite.size([], list(arguments))], core=1).splitlines():
            row = json.loads(line)
            better = "more" if row["unit"].endswith("/s") else "less"
            suite.add(row["figure"], row["what"], row["unit"], row["ours"], floor=row.get("floor"),
                      floor_is=row.get("floor_is"), better=better, goal=goal(row) if goal else None, n=row["n"],
                      rounds=row["rounds"], note=row.get("note"))

    return measure


# --- receive ----------------------------------------------------------------------------------------------------------

def pace(receiver, crowd, seconds, rate, run, strangers=0):
    """Pokes at a rate: how many were accounted, the processor time that they took, and what the sender says."""
    began = {}

    def start():
        began["accounted"], began["cpu"] = receiver.settled(), cpu_ns(receiver.pid)

    sent = crowd.load(int(seconds * rate), run, rate, strangers, start)
    return receiver.settled() - began["accounted"], cpu_ns(receiver.pid) - began["cpu"], sent


def connected(suite, count, addressed=True, extra="", seconds=60):
    """kdnetd with a crowd that is connected."""
    rig = suite.rig
    kdnetd = rig.start(Kdnetd, rig.targets(count, addressed), extra).ready()
    crowd = rig.start(Crowd, count, kdnetd.port)
    crowd.connect(seconds)
    return kdnetd, crowd


def burst_size(suite, crowd, receiver, least):
    """As many datagrams as its socket can hold; fewer where the kernel grants a small buffer."""
    for size in suite.size((8000, 2000, 500, 100), (200, 50)):
        taken, _ = crowd.bursts(receiver, size, 1, size)
        if taken == size:
            return min(size, least)
    raise Trouble("the receive buffer does not hold 100 datagrams")


def receive(suite):
    count, datagrams = suite.size(10000, 200), suite.size(160000, 400)
    floor = suite.rig.start(Floor, count)
    floor_crowd = suite.rig.start(Crowd, count, floor.port)
    kdnetd, crowd = connected(suite, count)
    pairs = (("floor", floor, floor_crowd), ("ours", kdnetd, crowd))
    size, rates = 8000, {"ours": [], "floor": []}
    for _, receiver, sender in pairs:
        size = burst_size(suite, sender, receiver, size)
    for turn in range(suite.size(7, 1)):
        for name, receiver, sender in pairs if turn % 2 else pairs[::-1]:
            taken, spent = sender.bursts(receiver, datagrams, 1, size)
            if taken != datagrams:
                suite.fail(f"{datagrams - taken} of {datagrams} datagrams were lost ({name})")
            rates[name].append(taken * 1e9 / spent)
    ours, least = statistics.median(rates["ours"]), statistics.median(rates["floor"])
    suite.add("receive", f"pokes of {count} targets in turn, in a second of a core", "pokes/s", ours, floor=least,
              floor_is="recvmmsg of 64 and the cryptography, in a bare loop, same sender", better="more",
              goal=("ratio", "at_least", 0.75), n=datagrams, rounds=len(rates["ours"]),
              note=f"bursts of {size}; ours " + " ".join(f"{r:.0f}" for r in rates["ours"]) + "; floor "
              + " ".join(f"{r:.0f}" for r in rates["floor"]))
    suite.remembered["receive"] = ours
    lossless(suite, kdnetd, crowd, ours)


def lossless(suite, kdnetd, crowd, most):
    """The quickest pace, in steps of a tenth, at which every poke is accounted."""
    seconds = suite.size(1.5, 0.05)
    for share in range(9, 1, -1):
        rate = most * share / 10
        taken, spent, sent = pace(kdnetd, crowd, seconds, rate, RUN)
        if taken != sent["sent"]:
            continue
        reached = sent["sent"] / sent["seconds"]
        suite.add("receive", "at a steady pace, every one accounted", "pokes/s", reached, better="more",
                  n=sent["sent"], note=f"asked for {rate:.0f}/s, {share * 10} % of the above"
                  + (", which the sender did not reach" if reached < 0.97 * rate else "")
                  + f"; kdnetd used {spent / sent['seconds'] / 1e7:.0f} % of a core")
        suite.remembered["lossless"] = reached
        return
    suite.fail("pokes were lost at every pace")


# --- workers ----------------------------------------------------------------------------------------------------------

def workers(suite):
    """What two workers take, to what one takes; and what two bare loops on two cores take, to one: the machine's limit."""
    if len(cores()) < 2:
        suite.fail("workers: needs two cores")
        return
    count, datagrams, rig = suite.size(10000, 200), suite.size(80000, 400), suite.rig
    fleets = {}
    for name, core, kdnetds in (("one worker", 1, 1), ("two workers", None, 2)):
        kdnetd = rig.start(Kdnetd, rig.targets(count, True), f"workers: {kdnetds}\n", None, core).ready()
        crowd = rig.start(Crowd, count, kdnetd.port)
        crowd.connect(60)
        fleets[name] = [(kdnetd, crowd)]
    floors = [rig.start(Floor, count, 0, core) for core in (1, 0)]
    floors = [(floor, rig.start(Crowd, count, floor.port)) for floor in floors]
    fleets["one loop"], fleets["two loops"] = floors[:1], floors
    size = 6000
    for pairs in fleets.values():
        for receiver, crowd in pairs:
            size = burst_size(suite, crowd, receiver, size)
    rates = {name: [] for name in fleets}
    for _ in range(suite.size(7, 1)):
        for name, pairs in fleets.items():
            taken, spent = bursts_at_once(pairs, datagrams, size)
            if taken != datagrams * len(pairs):
                suite.fail(f"{datagrams * len(pairs) - taken} of {datagrams * len(pairs)} datagrams were lost ({name})")
            rates[name].append(taken * 1e9 / spent)
    middle = {name: statistics.median(values) for name, values in rates.items()}
    suite.add("workers", "what two workers take, to what one takes", "times", middle["two workers"] / middle["one worker"],
              floor=middle["two loops"] / middle["one loop"],
              floor_is="two bare loops on two cores at once, to one: what this machine allows", better="more",
              goal=("ratio", "at_least", 0.9), n=datagrams, rounds=len(rates["one loop"]),
              note="; ".join(f"{name} {value:.0f}/s" for name, value in middle.items()))


# --- hosts ------------------------------------------------------------------------------------------------------------

def hosts(suite):
    if "receive" not in suite.remembered:
        receive(suite)
        suite.rig.end_all()
    for name, what in (("receive", "targets a core, at the rate of receive"),
                       ("lossless", "targets a core, at the pace without loss")):
        if name in suite.remembered:
            suite.add("hosts", what, "targets", POKE_S * suite.remembered[name], better="more",
                      goal=("ours", "at_least", 1e6))
    alone, _ = connected(suite, 1)
    base = resident_bytes(alone.pid)
    suite.rig.end_all()
    for count in suite.size((1000, 100000, 1000000), (100, 500)):
        memory(suite, count, base)
        suite.rig.end_all()


def memory(suite, count, base):
    began = time.monotonic()
    kdnetd, crowd = connected(suite, count, seconds=180)
    took = time.monotonic() - began
    if count >= 1000000:
        real_rate(suite, kdnetd, crowd, count, "just connected")
        wait_quiet(suite, kdnetd, crowd, count, began, took)
    taken, spent = crowd.bursts(kdnetd, suite.size(160000, 400), 1, burst_size(suite, crowd, kdnetd, 8000))
    suite.add("hosts", f"kdnetd's time for a poke of one of {count} targets", "ns", spent / taken, n=taken)
    if count >= 100000 or suite.tiny:
        lost = real_rate(suite, kdnetd, crowd, count, "idle")
        if lost:
            suite.fail(f"{lost} pokes of {count} idle targets were lost at their real rate")
    time.sleep(suite.size(3, 0.1))
    resident = resident_bytes(kdnetd.pid)
    suite.add("hosts", f"memory for each of {count} idle targets", "bytes", (resident - base) / count, n=count,
              goal=("ours", "at_most", 512) if count == 1000000 else None,
              note=f"resident {resident / 2**20:.0f} MiB, of them {base / 2**20:.0f} with one target")


def quiet_after(took):
    """Seconds until nobody is asked for some time: they were connected over so many seconds."""
    return next((a + took for a, b in zip(ASKED_S, ASKED_S[1:]) if b - a - took > 12), ASKED_S[-1] + took)


def wait_quiet(suite, kdnetd, crowd, count, began, took):
    """Until nobody is asked for some time: they were connected over `took` seconds from `began` on."""
    quiet = quiet_after(took)
    while (left := began + quiet + 1 - time.monotonic()) > 0:
        if left > 8:
            pace(kdnetd, crowd, POKE_S, count / POKE_S, 2)
        time.sleep(min(left, 8))


def real_rate(suite, kdnetd, crowd, count, which):
    """Each target's poke, within the time between two of its pokes. How many were lost."""
    taken, spent, sent = pace(kdnetd, crowd, suite.size(POKE_S, 0.1), count / POKE_S, 2)
    lost = sent["sent"] - taken
    suite.add("hosts", f"share of a core for the pokes of {count} targets, {which}", "% of a core",
              spent / sent["seconds"] / 1e7, n=sent["sent"], note=f"{lost} of {sent['sent']} pokes lost"
              + ("; kdnetd asks each of them for what it may wait with" if which != "idle" else ""))
    return lost


# --- identify ---------------------------------------------------------------------------------------------------------

def identify(suite):
    for count in suite.size((1000, 100000, 1000000), (100, 500)):
        times(suite, count)
        suite.rig.end_all()
    flood(suite)
    suite.rig.end_all()
    all_unknown(suite)


def times(suite, count):
    kdnetd = suite.rig.start(Kdnetd, suite.rig.targets(count, False)).ready()
    crowd = suite.rig.start(Crowd, count, kdnetd.port)
    rounds = suite.size(21 if count >= 1000000 else 101, 5)
    said = crowd.ask(f"identify {rounds} 0", 600)
    if said["missing"]:
        suite.fail(f"{said['missing']} of {rounds} pokes of new addresses were not answered within 20 s")
    scan = json.loads(suite.rig.output([suite.rig.bench("keys"), str(count)], core=1))
    floor, way = scan["ms"], "AES instructions, eight at a time" if scan["hardware"] else "OpenSSL's provider re-keyed"
    least = f"one block under each key, {way}, in a bare loop"
    goal = ("ours", "at_most", 2) if count == 100000 else None
    suite.add("identify", f"{count} keys: from a poke to its answer, 95 % of them", "ms", said["p95_us"] / 1000,
              floor=floor * 0.95, floor_is=f"0.95 of: {least}", goal=goal, n=said["answers"],
              note=f"the longest {said['max_us'] / 1000:.2f} ms; all keys by OpenSSL in a bare loop take "
              f"{scan['openssl_ms']:.2f} ms")
    suite.add("identify", f"{count} keys: the same, the median", "ms", said["p50_us"] / 1000, floor=floor / 2,
              floor_is=f"half of: {least}", n=said["answers"])


def flood(suite):
    """What unknown pokes cost the known ones."""
    count, rate, strange = suite.size(10000, 200), suite.size(100000, 2000), 100
    kdnetd, crowd = connected(suite, count, addressed=False)
    seconds, shares, missing = suite.size(3.0, 0.1), [], 0
    for strangers in (0, strange, 0, strange):
        before = kdnetd.summary()["received"]  # who is unknown is known only later, when the keys were tried
        _, spent, sent = pace(kdnetd, crowd, seconds, rate, RUN, strangers)
        shares.append(spent / sent["seconds"] / 1e7)
        missing = max(missing, before + sent["sent"] + sent["strangers"] - kdnetd.summary()["received"])
        time.sleep(suite.size(1.0, 0.05))
    added = (shares[1] + shares[3] - shares[0] - shares[2]) / 2
    suite.add("identify", f"CPU for {rate * strange // 1000} unknown pokes/s beside {rate} known ones/s", "% of a core",
              added, goal=("ours", "at_most", 10), n=int(seconds * rate), rounds=2,
              note=f"shares without and with, in turn: {' '.join(f'{s:.0f}' for s in shares)}; {max(missing, 0)} of "
              f"all lost; {count} keys to try")
    if missing > 0:
        suite.fail(f"{missing} pokes were lost in the flood of {int(seconds * rate)} known ones")


def all_unknown(suite):
    count, limit = suite.size(100000, 500), suite.size(130, 30)
    kdnetd = suite.rig.start(Kdnetd, suite.rig.targets(count, False)).ready()
    crowd, before = suite.rig.start(Crowd, count, kdnetd.port), cpu_ns(kdnetd.pid)
    said = crowd.connect(limit, all_of_them=False)
    share = (cpu_ns(kdnetd.pid) - before) / said["seconds"] / 1e7
    if said["connected"] == count:
        suite.add("identify", f"until {count} machines with unknown addresses are known", "s", said["seconds"],
                  goal=("ours", "at_most", 120), n=count, note=f"kdnetd used {share:.0f} % of a core")
    else:
        suite.add("identify", f"of {count} with unknown addresses, known after {limit} s", "machines",
                  said["connected"], better="more", goal=("ours", "at_least", count), n=count,
                  note=f"kdnetd used {share:.0f} % of a core")


# --- crash ------------------------------------------------------------------------------------------------------------

def crash(suite):
    trip = json.loads(suite.rig.output([suite.rig.bench("trip"), *suite.size([], ["200"])]))
    for count in suite.size((1, 1000, 10000), (1, 20)):
        crash_of(suite, count, trip["p50_us"] / 1000)
        suite.rig.end_all()


def quantile(values, share):
    ordered = sorted(values)
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)]


def seconds_of(event):
    return datetime.datetime.fromisoformat(event["time"].replace("Z", "+00:00")).timestamp()


def crash_of(suite, count, trip_ms):
    rig, wait_ms, dump_ms = suite.rig, suite.size(5000, 1200), suite.size(3000, 300)
    kdnetd = rig.start(Kdnetd, rig.targets(count, False)).ready()
    said = json.loads(rig.output([rig.bench("crash"), str(count), f"127.0.0.1:{kdnetd.port}", str(wait_ms), "1000",
                                  str(dump_ms)], core=0))
    kdnetd.end()
    with open(kdnetd.events, encoding="utf-8") as file:
        events = [json.loads(line) for line in file]
    if said["well"] != count or said["harmed"]:
        suite.fail(f"of {count} machines that crashed, {said['well']} are well again, {said['harmed']} were harmed")
    tell_crashes(suite, count, trip_ms, events, said)


def tell_crashes(suite, count, trip_ms, events, said):
    """The halts are as the machines saw them: kdnetd's do not count a break that it did not take at once."""
    ended = {e["target"] for e in events if e["event"] == "crash_status" and e["verdict"] == "written"}
    released, told = {}, []
    for event in events:
        if event["event"] == "released":
            released.setdefault(event["target"], event)
    for event in events:
        if event["event"] == "crash_status" and event["phase"] == "bugcheck_first" and event["target"] in released:
            go = released[event["target"]]
            told.append(go["halted_ms"] + 1000 * (seconds_of(event) - seconds_of(go)))
    if len(ended) != count or len(told) != count:
        suite.fail(f"of {count} machines that crashed, {len(told)} were read at the break and {len(ended)} at the end")
        if not told:
            return
    late = [e for e in events if e["event"] == "crash_status" and e["reason"] == "timeout"]
    if late:
        suite.fail(f"{len(late)} machines were held to a deadline")
    floor, least = CRASH_TRIPS * trip_ms, f"{CRASH_TRIPS} round trips of {trip_ms * 1000:.0f} us over loopback"
    note = f"{len(ended)} of {count} results; {said['sent_again']} packets sent again by machines"
    for what, key in (("state change to Continue", ""), ("first word of the crash to Continue", "all_")):
        for name, value in (("median", "p50_ms"), ("p99", "p99_ms"), ("longest", "max_ms")):
            goal = ("ours", "at_most", 1000) if count == 10000 and name == "p99" and not key else None
            suite.add("crash", f"{count} in a second: {what}, {name}", "ms", said[key + value], floor=floor,
                      floor_is=least, goal=goal, n=count, note=note)
    for name, share in (("median", 0.5), ("p99", 0.99), ("longest", 1)):
        suite.add("crash", f"{count} in a second: break taken to result, {name}", "ms", quantile(told, share),
                  floor=floor, floor_is=least, n=count)


# --- start ------------------------------------------------------------------------------------------------------------

def start(suite):
    count, taken = suite.size(100000, 500), []
    listed = suite.rig.targets(count, True)
    for _ in range(suite.size(3, 1)):
        suite.rig.end_all()
        kdnetd, crowd, at_ns = first_answer(suite, count, listed)
        taken.append((at_ns - kdnetd.started_ns) / 1e9)
    suite.add("start", f"from exec to the first answered poke, {count} targets", "s", statistics.median(taken),
              goal=("ours", "at_most", 1), n=count, rounds=len(taken))
    again(suite, kdnetd, crowd, count)


def first_answer(suite, count, listed):
    """kdnetd, a crowd that was there before it, and when it had its first answer."""
    for _ in range(5):
        port = free_port()
        crowd = suite.rig.start(Crowd, count, port)
        crowd.ask("first 0")  # it has made its keys
        kdnetd = Kdnetd(suite.rig, listed, "", port)
        suite.rig.running.append(kdnetd)
        crowd.tell("first 60")
        if not kdnetd.finds_port_taken():
            break
        suite.rig.end_all()
    at_ns = json.loads(crowd.line(120))["at_ns"]
    if not at_ns:
        raise Trouble("no poke was answered within 60 s")
    return kdnetd.ready(), crowd, at_ns


def again(suite, kdnetd, crowd, count):
    """A reload of the same, while one target asks every millisecond."""
    answer, since = {}, os.path.getsize(kdnetd.log)
    seconds = suite.size(4, 1)
    asking = threading.Thread(target=lambda: answer.update(crowd.ask(f"ask {seconds}", 60)))
    asking.start()
    time.sleep(seconds / 4)
    told = time.monotonic()
    kdnetd.process.send_signal(signal.SIGHUP)
    kdnetd.wait_log(r"msg=.*(?:reload|read again|taken|configuration).*$", since=since)
    took = time.monotonic() - told
    asking.join()
    suite.add("start", f"reload of {count} targets, until it is taken", "s", took, goal=("ours", "at_most", 1), n=count)
    suite.add("start", "longest wait of a poke meanwhile", "ms", answer["max_us"] / 1000, n=answer["answers"],
              note=f"median {answer['p50_us'] / 1000:.3f} ms, {answer['missing']} not answered")
    if answer["missing"]:
        suite.fail(f"{answer['missing']} pokes were not answered while the configuration was read again")


# --- idle -------------------------------------------------------------------------------------------------------------

def idle(suite):
    """At rest: after their connection machines are asked for a while what they may wait with."""
    fleets = []
    for count, goal in suite.size(((10000, 2.5), (100000, 11)), ((200, None),)):
        kdnetd, crowd = connected(suite, count)
        floor = suite.rig.start(Floor, count, 5)
        fleets.append((count, goal, kdnetd, crowd, floor, suite.rig.start(Crowd, count, floor.port)))
    wait_s = suite.size(quiet_after(5), 0.2)
    for fleet in fleets:
        fleet[3].tell(f"idle {wait_s}")
    for fleet in fleets:
        fleet[3].line(wait_s + 60)
    seconds = suite.size(5, 0.3)
    ours = [share_of(fleet[2], fleet[3], seconds) for fleet in fleets[::-1]][::-1]  # the larger first: it rests less long
    for (count, goal, _, _, floor, floor_crowd), (share, lost) in zip(fleets, ours):
        least, _ = share_of(floor, floor_crowd, seconds)
        suite.add("idle", f"share of a core, {count} idle targets", "% of a core", share, floor=least,
                  floor_is="recvmmsg and the cryptography, in a bare loop that sleeps 5 ms",
                  goal=("ours", "at_most", goal) if goal else None, n=int(seconds * count / POKE_S))
        if lost:
            suite.fail(f"{lost} pokes of {count} idle targets were lost")


def share_of(receiver, crowd, seconds):
    before, accounted = cpu_ns(receiver.pid), receiver.settled()
    sent = crowd.ask(f"idle {seconds}", seconds + 60)
    share = (cpu_ns(receiver.pid) - before) / sent["seconds"] / 1e7
    return share, sent["sent"] - (receiver.settled() - accounted)


# ----------------------------------------------------------------------------------------------------------------------

ALL = {
    "open": programs("open", "200", "1", goal=lambda row: ("ratio", "at_least", 0.85)),
    "receive": receive,
    "workers": workers,
    "hosts": hosts,
    "identify": identify,
    "crash": crash,
    "start": start,
    "growth": programs("growth", "1000", "1000",
                       goal=lambda row: ("ours", "at_most", 2) if row["unit"] == "times" else None),
    "idle": idle,
    "symbols": programs("symbols", "tiny"),
    "http": http,
    "causes": causes,
    "publish": publish,
}
