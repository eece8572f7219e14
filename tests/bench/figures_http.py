# SPDX-License-Identifier: Apache-2.0
"""HTTP under pressure: what it costs a crash. The same crashes without it, in turn with those, are the floor."""
import json
import os
import statistics
import subprocess
import sys
import threading
import time

from rig import Kdnetd, Program, Trouble, free_port, tail

CRUSH = os.path.join(os.path.dirname(os.path.abspath(__file__)), "crush.py")


def crashes(suite, kdnetd, count):
    said = json.loads(suite.rig.output([suite.rig.bench("crash"), str(count), f"127.0.0.1:{kdnetd.port}", str(suite.size(5000, 1200)),
                                        "1000", str(suite.size(3000, 300))], core=0))
    if said["well"] != count or said["harmed"]:
        suite.fail(f"of {count} machines that crashed, {said['well']} are well again, {said['harmed']} were harmed")
    return said


def get_in(suite, socket):
    """How long kdnetctl takes by the Unix socket, in ms."""
    begun = time.monotonic()
    done = subprocess.run([suite.rig.program("kdnetctl"), "--socket", socket, "health"], capture_output=True, timeout=60)
    if done.returncode != 0:
        suite.fail(f"kdnetctl does not get in: {done.stderr.decode(errors='replace')}")
    return 1000 * (time.monotonic() - begun)


def wait_for_socket(socket):
    """kdnetd serves machines before it serves people."""
    ends = time.monotonic() + 30
    while not os.path.exists(socket):
        if time.monotonic() > ends:
            raise Trouble(f"kdnetd does not open {socket}")
        time.sleep(0.02)


def wait_for_crowd(crowd, kdnetd):
    try:
        if crowd.line() != "ready":
            raise Trouble("the crowd is not ready")
    except Trouble as trouble:
        raise Trouble(f"{trouble}; kdnetd said: {tail(kdnetd.log)}") from None


def keep_asking(suite, socket, times, over):
    """Before, while and after the machines crash."""
    while True:
        last = over.is_set()
        times.append(get_in(suite, socket))
        if last:
            return
        over.wait(0.2)


def pressed(suite, count, sizes):
    """(crashes, the longest ms of kdnetctl, what the crowd did); sizes None: nobody presses."""
    rig, port = suite.rig, free_port()
    socket = os.path.join(rig.folder_for("http"), "s")
    kdnetd = rig.start(Kdnetd, rig.targets(count, False), f"http: 127.0.0.1:{port}\nhttp_socket: {socket}\nstate: {rig.folder_for('state')}\n").ready()
    crowd = None
    if sizes:
        # The machines are the clock: the crowd, elsewhere in the field, comes behind them on the core that they share here.
        crowd = Program([sys.executable, "-B", CRUSH, f"127.0.0.1:{port}", *map(str, sizes)], 0, os.path.join(rig.folder_for("crush"), "log"),
                        nice=10)
        rig.running.append(crowd)
        wait_for_crowd(crowd, kdnetd)
    wait_for_socket(socket)
    times, over = [], threading.Event()
    asking = threading.Thread(target=keep_asking, args=(suite, socket, times, over))
    asking.start()
    try:
        said, did = crashes(suite, kdnetd, count), None
    finally:
        over.set()
        asking.join()
    ms = max(times)
    if crowd:
        crowd.tell("end")
        did = json.loads(crowd.line())
    rig.end_all()
    return said, ms, did


def http(suite):
    count, sizes = suite.size(200, 10), suite.size((800, 100, 200, 10000), (40, 5, 10, 500))
    free, under, did = [], [], None
    for _ in range(suite.size(3, 1)):
        free.append(pressed(suite, count, None))
        under.append(pressed(suite, count, sizes))
        did = under[-1][2]
    what = f"{sizes[0]} streams ({sizes[1]} stuck), {sizes[2]} slow, {sizes[3]} requests/s"
    note = f"{did['requests'] / did['seconds']:.0f} requests/s answered; {did['flood_failed']} times the flood was closed"
    middle = lambda rows, key: statistics.median(row[0][key] for row in rows)
    for name, key in (("median", "p50_ms"), ("p99", "p99_ms")):
        goal = ("ratio", "at_least", 0.9) if key == "p99_ms" else None
        suite.add("http", f"{what}: a crash's Continue, {name}", "ms", middle(under, key), floor=middle(free, key),
                  floor_is="the same crashes with nobody at HTTP", goal=goal, n=count, rounds=len(free), note=note)
    suite.add("http", "kdnetctl health by the Unix socket meanwhile, longest", "ms", max(row[1] for row in under),
              floor=max(row[1] for row in free), floor_is="with nobody at TCP", goal=("ours", "at_most", 1000), rounds=len(free))
