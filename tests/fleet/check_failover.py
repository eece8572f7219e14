# SPDX-License-Identifier: Apache-2.0
"""Two collectors with one address that moves, also by keepalived: one is drained, dies, is upgraded."""
import pathlib

import failing
import lan
import harness

UPGRADE_MS = 6000  # over which machines start, and so crash, while both collectors are upgraded
UPGRADE_DELAY_MS = 7000
THINK_MS = 60  # of a machine about each packet: its break lasts most of a second
BACK_DELAY_MS = 9000  # by then each machine has been at both collectors


class Failover(failing.Case):
    def machines(self, delay_ms=failing.DELAY_MS, spread_ms=failing.SPREAD_MS, more=()):
        return harness.Machines(self, f"{lan.VIP}:{lan.PORT}", harness.key_text(1, 1, 1, 1), "--bind", f"{lan.HOST}:41000", "--count",
                                failing.COUNT, "--status", failing.STATUS, "--dump-ms", failing.DUMP_MS, "--delay-ms", delay_ms,
                                "--spread-ms", spread_ms, *more, scenario="bugcheck", prefix=self.lan.inside())

    def crash(self):
        machines = self.machines()
        self.wait_breaks()
        return [machines]

    def test_drained(self):
        self.lan.give("a")
        self.start_all()
        machines = self.crash()
        self.drain("a")
        self.fault()
        self.lan.give("b")
        self.judge(machines, 100, "collector drained, address moved")

    def test_dead(self):
        self.lan.give("a")
        self.start_all()
        machines = self.crash()
        self.daemons["a"].kill()
        self.fault()
        self.lan.give("b")
        self.judge(machines, 100, "collector killed, address moved")

    def test_moved(self):
        """The collector that has lost the address lives on, has the keys of all machines, and is shown their last breaks."""
        self.lan.give("a")
        self.start_all()
        machines = self.machines()
        self.wait_breaks(failing.COUNT)
        self.fault()
        self.lan.give("b")
        self.judge([machines], 100, "address moved, both collectors live")

    def test_moved_amid_reads(self):
        """The one that loses the address is reading breaks, of which the other one tells the results."""
        self.lan.give("a")
        self.start_all()
        machines = self.machines(more=("--think", THINK_MS, "--think-profile", "crash"))
        self.known()
        lan.wait_until(lambda: len(self.untold()) >= failing.COUNT // 2, "the machines do not crash")
        self.before = [e["phase"] for e in self.results()]
        self.fault()
        self.lan.give("b")
        at_breaks = {name for side, name in self.untold() if side == "a"}
        if not at_breaks or at_breaks & {e["target"] for e in self.daemons["a"].events(kind="crash_status")}:
            self.skipTest("the address moved too late: no first break was being read")  # on a starved computer
        self.judge([machines], 1500, "address moved amid reads, both collectors live")
        self.daemons["a"].wait_log("has told the result of its break")

    def test_back(self):
        """The other collector has the keys of all machines when they crash, opens what it is shown, and reaches none."""
        self.lan.give("a")
        self.start_all()
        machines = self.machines(delay_ms=BACK_DELAY_MS)
        for side in ("a", "b"):
            self.lan.give(side)
            self.wait_connected(side)
        self.fault()
        self.lan.give("a")
        self.before = []
        self.judge([machines], 100, "address moved away and back")

    def wait_connected(self, side):
        lan.wait_until(lambda: len({e["target"] for e in self.daemons[side].events(kind="connected")}) == failing.COUNT,
                       f"not all machines are at {side}")


class Keepalived(Failover):
    test_drained = test_dead = test_moved = test_moved_amid_reads = test_back = None

    def setUp(self):
        super().setUp()
        self.start_all()
        self.keepalived = {"a": self.start_keepalived("a", 150)}  # it has the address before the second starts: nopreempt
        self.wait_at("a")
        self.keepalived["b"] = self.start_keepalived("b", 100)

    def start_keepalived(self, side, priority):
        text = failing.example("keepalived.conf").replace("192.0.2.10", lan.VIP).replace("priority 150", f"priority {priority}")
        text = text.replace("/usr/bin/kdnetctl", f"{harness.BUILD}/kdnetctl --socket {self.folder}/{side}.socket")
        path = self.file(f"keepalived-{side}.conf", text.replace("enp1s0", "eth0"))
        return lan.Program(self, *self.lan.inside(side), lan.KEEPALIVED, "-n", "-l", "-P", "-f", path, "-p",
                           f"{self.folder}/k{side}.pid", "-r", f"{self.folder}/v{side}.pid")

    def wait_at(self, side):
        lan.wait_until(lambda: lan.VIP in lan.ip("-n", self.lan.of[side], "addr", "show", "eth0").stdout,
                       lambda: f"keepalived does not give the address to {side}: {self.keepalived_said()}")

    def keepalived_said(self):
        return [one.read_text(errors="replace")[-1500:] for one in pathlib.Path(self.folder).glob("program-*")]

    def test_computer_dead(self):
        machines = self.crash()
        self.daemons["a"].kill()
        self.lan.unplug("a")
        self.keepalived["a"].end()
        self.judge(machines, 1500, "computer dead, keepalived")

    def test_each_upgraded_amid_crashes(self):
        machines = self.machines(UPGRADE_DELAY_MS, UPGRADE_MS)
        self.wait_breaks(1)
        for side, other in (("a", "b"), ("b", "a")):
            self.drain(side)  # its health says so, and the address moves
            self.wait_at(other)
            self.daemons[side].stop()
            self.start(side)
        self.judge([machines], 1500, "each upgraded, keepalived")


if __name__ == "__main__":
    lan.skip_without(lan.NATS, lan.KEEPALIVED)
    harness.main()
