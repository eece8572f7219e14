# SPDX-License-Identifier: Apache-2.0
"""A storm with one cause and some others: whether each is told apart, how soon, and what that costs the machines."""
import calendar
import collections
import http.client
import json
import os
import re
import socket
import statistics
import threading
import time

from rig import Kdnetd, cpu_ns


class Groups(threading.Thread):
    """Asks the API for its groups, again and again; knows when there was the first."""

    def __init__(self, path):
        super().__init__(daemon=True)
        self.path, self.first_at, self.ending = path, None, False
        self.start()

    def get(self, what):
        connection = http.client.HTTPConnection("localhost", timeout=30)
        connection.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.sock.settimeout(30)
        connection.sock.connect(self.path)
        connection.request("GET", what)
        answer = connection.getresponse().read()
        connection.close()
        return answer

    def ask(self):
        return json.loads(self.get("/api/v1/buckets?limit=1000"))["buckets"]

    def settle(self, patience=60):
        """Until the store has all events: what it costs counts for both storms."""
        end, quiet = time.monotonic() + patience, 0
        while quiet < 3 and time.monotonic() < end:
            waiting = re.search(rb"^kdnetd_store_waiting (\d+)", self.get("/metrics"), re.M)
            quiet = quiet + 1 if waiting and int(waiting.group(1)) == 0 else 0
            time.sleep(0.15)

    def run(self):
        while not self.ending:
            try:
                if self.ask() and not self.first_at:
                    self.first_at = time.time()
            except (OSError, ValueError, KeyError):
                pass  # its store opens
            time.sleep(0.1)


def storm(suite, count, others, traced):
    """(what the machines say, groups and their machines, seconds from the first crash to the first group)."""
    rig = suite.rig
    path = os.path.join(rig.folder_for("http"), "s")
    kdnetd = rig.start(Kdnetd, rig.targets(count, False),
                       f"http: none\nhttp_socket: {path}\nstate: {rig.folder_for('state')}\ndefault_reads: {'true' if traced else 'false'}\n").ready()
    groups, began_ns = Groups(path), cpu_ns(kdnetd.pid)
    said = json.loads(rig.output([rig.bench("crash"), str(count), f"127.0.0.1:{kdnetd.port}", str(suite.size(5000, 1200)), "1000",
                                  str(suite.size(3000, 300)), str(others)], core=0))
    groups.settle()
    found = collections.Counter({group["bucket"]: group["machines"] for group in groups.ask()})
    said["cpu_us"] = (cpu_ns(kdnetd.pid) - began_ns) / 1000 / count
    groups.ending = True
    groups.join()
    with open(kdnetd.events, encoding="utf-8") as file:
        begun = min(os.path.getmtime(kdnetd.events), *(seconds(line) for line in file if '"event":"bugcheck"' in line))
    rig.end_all()
    if said["well"] != count or said["harmed"]:
        suite.fail(f"of {count} machines that crashed, {said['well']} are well again, {said['harmed']} were harmed")
    return said, found, groups.first_at and groups.first_at - begun


def seconds(line):
    at = json.loads(line)["time"]
    return calendar.timegm(time.strptime(at[:19], "%Y-%m-%dT%H:%M:%S")) + float("0" + at[19:-1])


def alone(suite):
    """The library's own cost, both ways by turns in one process: hardly disturbed by what else the machine does."""
    row = json.loads(suite.rig.output([suite.rig.bench("cause"), *suite.size([], ["64", "1"])], core=1))
    suite.add("causes", row["what"], row["unit"], row["ours"], floor=row["floor"], floor_is=row["floor_is"],
              goal=("ratio", "at_least", 0.95), n=row["n"], rounds=row["rounds"], note=row["note"])


def causes(suite):
    alone(suite)
    count, others = suite.size(10050, 24), suite.size(50, 4)
    on, off, firsts = [], [], []
    for _ in range(suite.size(3, 1)):
        off.append(storm(suite, count, others, False)[0])
        said, found, first = storm(suite, count, others, True)
        on.append(said)
        firsts.append(first)
        if len(found) != others + 1 or found.most_common(1)[0][1] != count - others or set(found.values()) != {1, count - others}:
            suite.fail(f"{len(found)} groups instead of {others + 1}: {found.most_common(3)} ...")
    if None in firsts:
        suite.fail("no group was told")
        return
    what = f"{count} machines in a second, one fault and {others} others"
    suite.add("causes", f"{what}: first group on the API after the first crash", "s", statistics.median(firsts),
              goal=("ours", "at_most", 2), n=count, rounds=len(firsts), note=f"{others + 1} groups, each with its machines")
    for figure, unit, key in (("first word of the crash to Continue, median", "ms", "all_p50_ms"),
                              ("first word of the crash to Continue, p99", "ms", "all_p99_ms"),
                              ("kdnetd's processor time a machine", "us", "cpu_us")):
        suite.add("causes", f"{what}: {figure}", unit, statistics.median(said[key] for said in on),
                  floor=statistics.median(said[key] for said in off), floor_is="the same storm with default_reads: false",
                  goal=("ratio", "at_least", 0.95), n=count, rounds=len(on))
