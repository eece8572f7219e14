# SPDX-License-Identifier: Apache-2.0
"""Three collectors with one address behind a router that divides machines by their source address (resilient next-hop groups): one
is drained, one dies, all are upgraded one after the other. The router's and the collectors' lines are those of docs/fleet.md."""
import sys
import time

import failing
import lan
import harness

FIRST_MS = 6000  # when the first machine crashes: 40 processes start before
EACH_MS = 150  # of an upgrade: how much later each next one does


class Anycast(failing.Case):
    def make_lan(self):
        made = lan.Routed(self)
        for name in made.of.values():
            self.assertTrue(made.shell(name, self.page("anycast-collector.sh")), made.said)
        if not made.shell(made.router, self.page("anycast-router.sh", made)):
            self.skipTest(f"nothing tested: this kernel has no resilient next-hop groups: {made.said}")
        return made

    def page(self, name, _made=None):
        text = failing.example(name).replace("192.0.2.10/", f"{lan.Routed.vip}/").replace("enp1s0", "br0")
        for i, side in enumerate(lan.Routed.sides):
            text = text.replace(f"192.0.2.{11 + i}", lan.Routed.OWN[side])
        return text

    def group(self, *sides):
        """The router divides the machines among these; what goes to others stays where it is."""
        ids = "/".join(str(1 + lan.Routed.sides.index(side)) for side in sides)
        line = next(one for one in self.page("anycast-router.sh").splitlines() if " id 10 group " in one).replace("1/2/3", ids)
        self.assertTrue(self.lan.shell(self.lan.router, line), self.lan.said)

    def machines(self, delay_ms):
        """Each with an address of its own; delay_ms: of the i-th, from now."""
        begun = time.monotonic()
        return [harness.Machines(self, f"{self.lan.vip}:{lan.PORT}", harness.key_text(1, 1, 1, 1 + i), "--bind",
                                 f"{self.lan.MACHINES}.{1 + i}:41000", "--status", failing.STATUS, "--dump-ms", failing.DUMP_MS, "--delay-ms",
                                 max(0, round(delay_ms(i) - (time.monotonic() - begun) * 1000)), scenario="bugcheck",
                                 prefix=self.lan.inside()) for i in range(failing.COUNT)]

    def crash(self):
        self.start_all()
        machines = self.machines(lambda i: FIRST_MS + failing.SPREAD_MS * i / failing.COUNT)
        self.wait_breaks()
        shares = {side: len({e["target"] for e in one.events(kind="connected")}) for side, one in self.daemons.items()}
        sys.stderr.write(f"machines of each collector: {shares}\n")
        return machines

    def test_one_drained(self):
        machines = self.crash()
        self.drain("b")
        self.group("a", "c")
        self.judge(machines, 1000, "one of three drained, anycast")

    def test_one_killed(self):
        machines = self.crash()
        self.daemons["b"].kill()
        self.group("a", "c")
        self.judge(machines, 1000, "one of three killed, anycast")

    def test_each_upgraded_amid_crashes(self):
        self.start_all()
        machines = self.machines(lambda i: FIRST_MS + EACH_MS * i)
        self.wait_breaks(1)
        for side in self.lan.sides:
            self.drain(side)
            self.group(*(one for one in self.lan.sides if one != side))
            self.daemons[side].stop()
            self.start(side)
            self.group(*self.lan.sides)
        self.judge(machines, 2000, "each of three upgraded, anycast")


if __name__ == "__main__":
    lan.skip_without(lan.NATS)
    harness.main()
