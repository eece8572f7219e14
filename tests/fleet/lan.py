# SPDX-License-Identifier: Apache-2.0
"""Two collectors and their machines in network namespaces of a test's own: a bridge with the machines, and a computer
for each collector. The address that machines send to is VIP; who has it is up to the test, or to keepalived."""
import ctypes
import itertools
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))
import harness

SKIPPED = 77
VIP, HOST, PORT = "10.88.0.10", "10.88.0.1", 50000
OWN = {"a": "10.88.0.2", "b": "10.88.0.3"}
IP = shutil.which("ip") or "/usr/sbin/ip"
NATS = os.environ.get("KDNETD_NATS_SERVER") or shutil.which("nats-server") or "/usr/sbin/nats-server"
KEEPALIVED = shutil.which("keepalived") or "/usr/sbin/keepalived"
CLONE_NEWNET = 0x40000000
_numbers = itertools.count(1)


def ip(*words, check=True):
    return subprocess.run([IP, *map(str, words)], check=check, capture_output=True, text=True)


def skip_without(*programs):
    """Ends the test with a plain word when a program or the right to make namespaces is not there."""
    for program in programs:
        if not os.path.exists(program):
            print(f"nothing tested: {os.path.basename(program)} is not there")
            sys.exit(SKIPPED)
    name = f"kdnt{os.getpid()}"
    tried = [ip("netns", "add", name, check=False)]
    tried.append(ip("-n", name, "link", "add", "br0", "type", "bridge", check=False))
    tried.append(ip("-n", name, "link", "add", "v0", "type", "veth", "peer", "name", "v1", check=False))
    ip("netns", "del", name, check=False)
    if any(one.returncode for one in tried):
        print("nothing tested: network namespaces cannot be made here: " + " ".join(o.stderr.strip() for o in tried))
        sys.exit(SKIPPED)


class Lan:
    vip, sides = VIP, tuple(OWN)

    moved = None

    def __init__(self, case):
        number = f"{os.getpid()}{next(_numbers)}"
        self.macs = {}
        self.lan = f"kdnl{number}"
        self.of = {side: f"kdn{side}{number}" for side in OWN}
        self.case = case
        case.addCleanup(self.end)
        for name in (self.lan, *self.of.values()):
            ip("netns", "add", name)
            ip("-n", name, "link", "set", "lo", "up")
        ip("-n", self.lan, "link", "add", "br0", "type", "bridge")
        ip("-n", self.lan, "addr", "add", f"{HOST}/24", "dev", "br0")
        ip("-n", self.lan, "link", "set", "br0", "up")
        for side, name in self.of.items():
            ip("-n", self.lan, "link", "add", f"v{side}", "type", "veth", "peer", "name", "eth0", "netns", name)
            ip("-n", self.lan, "link", "set", f"v{side}", "master", "br0", "up")
            ip("-n", name, "addr", "add", f"{OWN[side]}/24", "dev", "eth0")
            ip("-n", name, "link", "set", "eth0", "up")
            self.macs[side] = ip("-n", name, "link", "show", "eth0").stdout.split("link/ether ")[1].split()[0]

    def end(self):
        for name in (self.lan, *self.of.values()):
            ip("netns", "del", name, check=False)

    def inside(self, side=None):
        """What runs a program there; None: beside the machines."""
        return (IP, "netns", "exec", self.of[side] if side else self.lan)

    def connect(self, host, port):
        """A TCP connection from beside the machines: a socket stays in the namespace in which it was made."""
        made = []

        def make():
            with open(f"/run/netns/{self.lan}", encoding="ascii") as namespace:
                if ctypes.CDLL(None, use_errno=True).setns(namespace.fileno(), CLONE_NEWNET) != 0:
                    return
            made.append(socket.create_connection((host, port), 10))
        thread = threading.Thread(target=make)
        thread.start()
        thread.join()
        if not made:
            raise AssertionError(f"{host}:{port} cannot be reached inside {self.lan}")
        return made[0]

    def give(self, side):
        """The address moves to this collector. The switch and the machines know at once, as by a gratuitous ARP: what they send meanwhile
        is lost. `moved`: when it had the address."""
        for other, name in self.of.items():
            if other != side:
                ip("-n", name, "addr", "del", f"{VIP}/32", "dev", "eth0", check=False)
        ip("-n", self.lan, "neigh", "replace", VIP, "lladdr", self.macs[side], "dev", "br0")
        ip("-n", self.of[side], "addr", "add", f"{VIP}/32", "dev", "eth0", check=False)
        self.moved = time.monotonic()

    def unplug(self, side):
        ip("-n", self.lan, "link", "set", f"v{side}", "down")


class Routed(Lan):
    """Machines, a router, and three collectors that all have the address: `route` says who gets what."""
    vip, sides = "10.88.99.10", ("a", "b", "c")
    OWN = {"a": "10.88.10.11", "b": "10.88.10.12", "c": "10.88.10.13"}
    MACHINES = "10.88.1"  # .1 and on
    NEAR, FAR = "10.88.0.254", "10.88.10.254"  # of the router

    def __init__(self, case):
        number = f"{os.getpid()}{next(_numbers)}"
        self.lan, self.router = f"kdnm{number}", f"kdnr{number}"
        self.of = {side: f"kdn{side}{number}" for side in self.sides}
        self.case = case
        case.addCleanup(self.end)
        for name in (self.lan, self.router, *self.of.values()):
            ip("netns", "add", name)
            ip("-n", name, "link", "set", "lo", "up")
        self.join(self.router, "near", self.NEAR, self.lan, f"{HOST}/24")
        ip("-n", self.lan, "addr", "add", f"{self.MACHINES}.0/24", "dev", "lo")
        ip("-n", self.router, "route", "add", f"{self.MACHINES}.0/24", "via", HOST)
        ip("-n", self.router, "link", "add", "br0", "type", "bridge")
        ip("-n", self.router, "addr", "add", f"{self.FAR}/24", "dev", "br0")
        ip("-n", self.router, "link", "set", "br0", "up")
        for side, name in self.of.items():
            self.join(self.router, f"v{side}", None, name, f"{self.OWN[side]}/24")
            ip("-n", self.router, "link", "set", f"v{side}", "master", "br0")

    def join(self, router, device, address, name, own):
        """A cable from the router's device to eth0 of `name`, whose way to all others it is."""
        ip("-n", router, "link", "add", device, "type", "veth", "peer", "name", "eth0", "netns", name)
        if address:
            ip("-n", router, "addr", "add", f"{address}/24", "dev", device)
        ip("-n", router, "link", "set", device, "up")
        ip("-n", name, "addr", "add", own, "dev", "eth0")
        ip("-n", name, "link", "set", "eth0", "up")
        ip("-n", name, "route", "add", "default", "via", address or self.FAR)

    def end(self):
        for name in (self.lan, self.router, *self.of.values()):
            ip("netns", "del", name, check=False)

    def shell(self, name, text):
        """Lines of a page, as somebody would type them; True: all went well."""
        done = subprocess.run([IP, "netns", "exec", name, "sh", "-exc", text], capture_output=True, text=True, check=False)
        self.said = done.stdout + done.stderr
        return done.returncode == 0


class Program:
    """Anything else that runs there, ended with the test."""

    def __init__(self, case, *command):
        self.command = list(map(str, command))
        self.output = open(pathlib.Path(case.folder) / f"program-{next(_numbers)}", "w+", encoding="utf-8")
        self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=self.output,
                                        stderr=subprocess.STDOUT, cwd=case.folder, start_new_session=True)
        case.addCleanup(self.end)

    def end(self):
        """keepalived has children: the session of its own ends as a whole."""
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait(harness.PATIENCE)
        if not self.output.closed:
            self.output.close()


def wait_until(found, why):
    until = time.monotonic() + harness.PATIENCE
    while not (value := found()):
        if time.monotonic() > until:
            raise AssertionError(why() if callable(why) else why)
        time.sleep(0.02)
    return value
