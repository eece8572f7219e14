# SPDX-License-Identifier: Apache-2.0
"""What it costs a crash that its events and hints go to NATS. The same crashes with the store alone, in turn with those, are the floor."""
import os
import shutil
import socket
import statistics
import sys
import time

from figures_http import crashes
from rig import Kdnetd, Program, Trouble, free_port


def server():
    """The program of the server; None: it is not there."""
    return os.environ.get("KDNETD_NATS_SERVER") or shutil.which("nats-server", path=os.environ.get("PATH", "") + ":/usr/sbin")


def start_server(suite):
    port, folder = free_port(), suite.rig.folder_for("nats")
    suite.rig.running.append(Program(["nice", "-n", "19", server(), "-a", "127.0.0.1", "-p", str(port), "-js", "-sd", folder], 0, os.path.join(folder, "log")))
    ends = time.monotonic() + 30
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return port
        except OSError:
            if time.monotonic() > ends:
                raise Trouble("nats-server does not listen") from None
            time.sleep(0.02)


def storm(suite, count, publishes):
    more = ""
    if publishes:
        more = f'nats: {{servers: ["nats://127.0.0.1:{start_server(suite)}"], hints: hints}}\n'
    kdnetd = suite.rig.start(Kdnetd, suite.rig.targets(count, False), f"http: none\nstate: {suite.rig.folder_for('state')}\n{more}").ready()
    said = crashes(suite, kdnetd, count)
    suite.rig.end_all()
    return said


def publish(suite):
    if not server():
        print("publish: nothing measured: nats-server is not there", file=sys.stderr, flush=True)
        return
    count, on, off = suite.size(1000, 10), [], []
    for turn in range(suite.size(5, 1)):
        for publishes in ((False, True), (True, False))[turn % 2]:
            (on if publishes else off).append(storm(suite, count, publishes))
    for name, key in (("median", "p50_ms"), ("p99", "p99_ms")):
        goal = ("ratio", "at_least", 0.9) if key == "p99_ms" else None
        suite.add("publish", f"{count} machines in a second, events and hints to NATS: a crash's Continue, {name}", "ms",
                  statistics.median(said[key] for said in on), floor=statistics.median(said[key] for said in off),
                  floor_is="the same crashes with the store alone", goal=goal, n=count, rounds=len(on),
                  note="each round: " + ", ".join(f"{said[key]:.3g}" for said in on) + "; floor: " + ", ".join(f"{said[key]:.3g}" for said in off))
