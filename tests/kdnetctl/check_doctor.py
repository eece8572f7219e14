# SPDX-License-Identifier: Apache-2.0
"""kdnetctl doctor finds what is wrong, against a kdnetd that answers by the contract: check_doctor.py PROGRAM TREE."""
import json
import os
import socket
import subprocess
import unittest

from asking import HOSTILE, PROGRAM, Case, environment
from fake_server import target

POKES = "a machine at 192.0.2.7 pokes port 50000 with "
OWNED = POKES + "the key of target {}, which is configured for {}, port {} (0: all): correct the target's address or port"
WRONG_KEY = POKES + "KDNET version {} but no configured key opens it: compare `bcdedit /dbgsettings` there"


def unknown(hint, **more):
    return dict({"address": "192.0.2.7", "first_seen": "2026-11-26T08:00:00.0Z", "last_seen": "2026-11-26T08:14:03.0Z",
                 "count": 12, "version": 5, "hint": hint, "remedy": None, "target": None}, **more)


def can_unshare():
    done = subprocess.run(["unshare", "-rn", "ip", "link", "set", "lo", "up"], capture_output=True, check=False)
    return done.returncode == 0


class Doctor(Case):
    """Each cause; what kdnetd itself sees is tried with the real one in e2e/operator."""

    def setUp(self):
        super().setUp()
        self.fake.targets = [target("web-1", address="127.0.0.9:51111"), target("web-2")]
        self.fake.status["listeners"][0]["address"] = "127.0.0.1:1"

    def diagnose(self, *arguments, code=1, **options):
        lines = self.lines("doctor", *arguments, code=code, **options)
        for line in lines[:-1]:
            self.assertEqual(set(line), {"check", "result", "detail"})
            self.assertIn(line["result"], ("ok", "wrong", "cannot_tell"))
        self.assertEqual(set(lines[-1]), {"cause", "next_step"})
        self.assertEqual(code == 1, any(line["result"] == "wrong" for line in lines[:-1]))
        self.assertGreater(len(lines[-1]["next_step"]), 20)
        return lines[-1]["cause"]

    def test_nothing_is_wrong(self):
        self.assertIsNone(self.diagnose("web-1", code=0))
        self.assertIsNone(self.diagnose(code=0))
        self.assertIn("Next step: ", self.run_program("doctor", "web-1").stdout)
        self.run_program("doctor", "web-9", code=4)
        self.run_program("doctor", "a", "b", code=2)

    def test_kdnetd_is_down(self):
        self.assertEqual(self.diagnose("web-1", "--socket", "/nowhere/kdnetd.sock"), "kdnetd_down")

    def test_a_listener_is_not_open(self):
        self.fake.status["listeners"][0]["open"] = False
        self.assertEqual(self.diagnose(), "wrong_listener")

    def test_never_heard(self):
        self.fake.targets = [target("web-1", "never_seen", address=None, last_seen=None)]
        self.assertEqual(self.diagnose("web-1"), "never_heard")
        text = self.run_program("doctor", "web-1", code=1).stdout
        for word in ("bcdedit /dbgsettings", "SecureBoot", "BitLocker", "busparams", "noumex", "Hyper-V", "VLAN"):
            self.assertIn(word, text)
        self.assertEqual(self.diagnose("192.0.2.99"), "never_heard")

    def test_stopped_poking(self):
        self.fake.targets = [target("web-1", "lost", address="127.0.0.9:1")]
        self.assertEqual(self.diagnose("web-1"), "stopped_poking")

    def test_what_unknown_pokes_tell(self):
        self.fake.targets = [target("web-1", "never_seen", address=None), target("web-2", address="127.0.0.3:1")]
        for one, cause in ((unknown(WRONG_KEY.format(5), target="web-1"), "wrong_key"),
                           (unknown(WRONG_KEY.format(9), target="web-1", version=9), "unknown_version"),
                           (unknown(OWNED.format("web-1", "192.0.2.8", 0)), "wrong_address"),
                           (unknown(OWNED.format("web-1", "any address", 50001)), "wrong_listener"),
                           (unknown(OWNED.format("web-2", "192.0.2.8", 0), target="web-1"), "other_targets_key"),
                           (unknown(HOSTILE, target="web-1"), "wrong_key")):
            self.fake.unknown = [one]
            self.assertEqual(self.diagnose("web-1"), cause)
            self.run_program("doctor", "web-2", code=int(cause == "other_targets_key"))
        self.assertEqual(self.diagnose("192.0.2.7"), "wrong_key")

    def test_the_kernel_drops(self):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
            one.bind(("127.0.0.1", 0))
            self.fake.status["listeners"][0]["address"] = "127.0.0.1:%d" % one.getsockname()[1]
            self.assertIsNone(self.diagnose("web-1", code=0))
            for _ in range(100):
                one.sendto(b"x" * 1000, one.getsockname())
            self.assertEqual(self.diagnose("web-1"), "dropped_by_kernel")

    @unittest.skipUnless(can_unshare(), "no namespaces here")
    def test_the_way_is_too_narrow(self):
        for mtu, code, cause in ((1000, 1, "small_mtu"), (1500, 0, None)):
            script = f'ip link set lo mtu {mtu} up && exec "$0" doctor web-1 --json'
            done = subprocess.run(["unshare", "-rn", "sh", "-c", script, PROGRAM], capture_output=True, text=True,
                                  env=environment(KDNETD_SOCKET=self.fake.path), timeout=60, check=False)
            self.assertEqual(done.returncode, code, done.stdout + done.stderr)
            self.assertEqual(json.loads(done.stdout.splitlines()[-1])["cause"], cause)

    @unittest.skipUnless(can_unshare(), "no namespaces here")
    def test_a_firewall(self):
        """What nft lists; nft itself need not be here."""
        self.fake.targets = [target("web-1", "never_seen", address=None)]
        self.fake.status["listeners"][0]["address"] = "0.0.0.0:50000"
        head = "table inet filter {\n\tchain input {\n\t\ttype filter hook input priority filter; policy %s;\n"
        for rules, cause in ((head % "accept" + "udp dport 50000 drop", "firewall"),
                             (head % "drop" + "tcp dport 22 accept", "firewall"),
                             (head % "drop" + "udp dport { 53, 50000 } accept", "never_heard"),
                             (head % "accept" + "udp dport 50000-50039 accept", "never_heard"),
                             (head % "accept" + "udp dport 5000 drop\ntcp dport 50000 drop", "never_heard")):
            path = os.path.join(self.folder, "nft")
            with open(path, "w", encoding="utf-8") as file:
                file.write(f"#!/bin/sh\ncat <<'END'\n{rules}\nEND\n")
            os.chmod(path, 0o755)
            done = subprocess.run(["unshare", "-r", PROGRAM, "doctor", "web-1", "--json"], capture_output=True, text=True,
                                  env=dict(environment(KDNETD_SOCKET=self.fake.path), PATH=f"{self.folder}:/usr/bin:/bin"),
                                  timeout=60, check=False)
            self.assertEqual(json.loads(done.stdout.splitlines()[-1])["cause"], cause, rules)


if __name__ == "__main__":
    unittest.main()
