# SPDX-License-Identifier: Apache-2.0
"""kdnetctl asks the real kdnetd: a held machine is looked at and let go, and doctor finds causes that are really there."""
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import time
import unittest

import harness

KEYS = [harness.key_text(11, 12, 13, i) for i in range(1, 9)]


class Operated(harness.Case):
    prefix = ()  # what runs kdnetd, its machines and kdnetctl

    def begin(self, *targets, options=(), ports=None):
        """`targets` are lines of a targets file."""
        folder = pathlib.Path(self.folder)
        self.socket = str(folder / "kdnetd.sock")
        listen = [harness.place(self.ip, port) for port in ports or [harness.free_port(self.ip)]]
        file = self.file("targets", "".join(line + "\n" for line in targets))
        self.file("kdnetd.yaml", f'http: "none"\nhttp_socket: "{self.socket}"\nstore: kdnetd.db\ntargets_file: "{file}"\n')
        daemon = harness.Daemon(self, "--config", "kdnetd.yaml", *options, listen=listen, prefix=self.prefix)
        self.wait_for(lambda: self.ask("status", code=None), "kdnetd can be asked")  # machines are served first
        return daemon

    def ask(self, *words, code=0):
        kept = {name: value for name, value in os.environ.items() if not name.startswith("KDNETD_")}
        done = subprocess.run([*self.prefix, str(harness.BUILD / "kdnetctl"), *words, "--json", "--socket", self.socket], text=True,
                              env=kept, capture_output=True, timeout=harness.PATIENCE, stdin=subprocess.DEVNULL, check=False)
        if code is not None:
            self.assertEqual(done.returncode, code, f"{words}\n{done.stdout}\n{done.stderr}")
        return [json.loads(line) for line in done.stdout.splitlines()]

    def wait_for(self, found, what):
        end = time.monotonic() + harness.PATIENCE
        while time.monotonic() < end:
            result = found()
            if result:
                return result
            time.sleep(0.2)
        raise AssertionError(f"not in {harness.PATIENCE} s: {what}")

    def wait_state(self, name, state):
        return self.wait_for(lambda: [t for t in self.ask("targets", "--state", state) if t["name"] == name], f"{name} {state}")

    def machine(self, place, key, *options, scenario="idle", end=False):
        return harness.Machines(self, place, key, *options, scenario=scenario, end=end, prefix=self.prefix)


class Acting(Operated):
    def test_a_held_machine_is_looked_at_and_released(self):
        daemon = self.begin(f"web-1 {KEYS[0]} rack=b4", f"web-2 {KEYS[1]}", options=("--policy", "bugcheck_first=hold"))
        machine = self.machine(daemon.listen[0], KEYS[0], scenario="bugcheck", end=True)
        self.wait_state("web-1", "held")
        self.assertEqual([t["name"] for t in self.ask("targets", "--label", "rack=b4")], ["web-1"])
        self.ask("release", "web-2", code=1)
        self.ask("release", "web-3", code=4)
        released, = self.ask("release", "web-1")
        self.assertEqual(released["target"], "web-1")
        daemon.wait_event("crash_status", "web-1", phase="shutdown")
        machine.wait()
        self.wait_for(lambda: self.ask("status")[0]["store"]["state"] == "ok", "the store is open")
        crash = self.wait_for(lambda: [c for c in self.ask("crashes") if c["verdict"] == "written"], "the crash is stored")[0]
        self.assertEqual(self.ask("show", crash["crash"])[0]["target"], "web-1")
        self.ask("ack", crash["crash"], "--note", "seen")
        self.wait_for(lambda: self.ask("show", crash["crash"])[0]["acknowledged"], "it is acknowledged")
        kinds = {event["event"] for event in self.ask("events", "--since", "1h", "--target", "web-1")}
        self.assertLessEqual({"bugcheck", "crash_status", "action"}, kinds)
        daemon.stop()

    def test_the_service_is_asked_and_told(self):
        daemon = self.begin(f"web-1 {KEYS[0]}")
        self.assertTrue(all(line["ok"] for line in self.ask("health")))
        self.assertEqual(self.ask("status")[0]["targets"]["never_seen"], 1)
        self.ask("reload")
        self.assertTrue(self.ask("drain")[0]["draining"])
        self.ask("health", code=1)
        self.assertFalse(self.ask("drain", "--undo")[0]["draining"])
        status = self.ask("status")[0]  # kdnetd runs in that folder, and who asks stands elsewhere
        self.assertEqual([status["configuration"]["path"], status["store"]["path"]],
                         [os.path.join(self.folder, "kdnetd.yaml"), os.path.join(self.folder, "kdnetd.db")])
        copy = str(pathlib.Path(self.folder, "copy.db"))
        self.ask_plain("backup", copy)
        self.assertTrue(os.path.exists(copy))
        pathlib.Path(self.folder, "targets").write_text("web-1 not-a-key\n")
        self.ask("reload", code=1)
        daemon.stop()
        self.ask("status", code=3)

    def ask_plain(self, *words):
        subprocess.run([str(harness.BUILD / "kdnetctl"), *words, "--socket", self.socket], check=True, capture_output=True,
                       timeout=harness.PATIENCE)


class Doctor(Operated):
    def diagnose(self, about):
        return self.ask("doctor", about, code=None)[-1]["cause"]

    def wait_cause(self, about, cause):
        self.wait_for(lambda: self.diagnose(about) == cause, f"doctor {about}: {cause}, not {self.diagnose(about)}")

    def test_causes_that_kdnetd_sees(self):
        here, there = self.next_ip(), self.next_ip()
        daemon = self.begin(f"good {KEYS[0]}", f"never {KEYS[1]}", f"wrong-key {KEYS[2]} {here} strict=true",
                            f"wrong-address {KEYS[4]} 192.0.2.1 strict=true")
        self.machine(daemon.listen[0], KEYS[0])
        self.machine(daemon.listen[0], KEYS[3], "--bind", f"{here}:0")
        self.machine(daemon.listen[0], KEYS[4], "--bind", f"{there}:0")
        self.wait_state("good", "connected")
        self.assertIsNone(self.diagnose("good"))
        self.assertEqual(self.diagnose("never"), "never_heard")
        self.wait_cause("wrong-key", "wrong_key")
        self.wait_cause(here, "wrong_key")
        self.wait_cause("wrong-address", "wrong_address")
        daemon.kill()
        self.assertEqual(self.diagnose("good"), "kdnetd_down")

    def test_two_machines_with_one_key_and_a_port_of_another(self):
        here = self.next_ip()
        ports = [harness.free_port(self.ip) for _ in range(2)]
        daemon = self.begin(f"other {KEYS[0]} 192.0.2.1 strict=true", f"mine {KEYS[1]} {here} strict=true",
                            f"elsewhere {KEYS[2]} port={ports[1]}", ports=ports)
        self.machine(daemon.listen[0], KEYS[0], "--bind", f"{here}:0")
        self.machine(daemon.listen[0], KEYS[2])
        self.wait_cause("mine", "other_targets_key")
        self.wait_cause("elsewhere", "wrong_listener")
        daemon.stop()

    def test_a_machine_that_another_host_has_too(self):
        daemon = self.begin(f"shared {KEYS[0]}", f"there {KEYS[1]}")
        self.machine(daemon.listen[0], KEYS[1])
        self.machine(daemon.listen[0], KEYS[0], scenario="elsewhere")
        self.wait_state("there", "connected")
        self.wait_cause("shared", "other_host")
        self.assertIn("192.0.2.99", self.ask("doctor", "shared", code=1)[-1]["next_step"])
        self.assertIsNone(self.diagnose("there"))
        daemon.stop()

    def test_a_machine_that_stopped_poking(self):
        daemon = self.begin(f"gone {KEYS[0]}", f"there {KEYS[1]}", options=("--lost-after", "15s"))
        self.machine(daemon.listen[0], KEYS[1])
        gone = self.machine(daemon.listen[0], KEYS[0])
        self.wait_state("gone", "connected")
        harness.signal_at(gone.process, signal.SIGKILL)
        self.wait_state("gone", "lost")
        self.assertEqual(self.diagnose("gone"), "stopped_poking")
        self.assertIsNone(self.diagnose("there"))
        daemon.stop()

    def test_datagrams_that_the_kernel_drops(self):
        daemon = self.begin(f"web-1 {KEYS[0]}")
        ip, port = daemon.listen[0].rsplit(":", 1)
        daemon.signal(signal.SIGSTOP)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as flood:
            flood.bind((self.ip, 0))
            for _ in range(200000):
                flood.sendto(b"x" * 1400, (ip, int(port)))
                if _ % 5000 == 0 and daemon.socket_drops() > 0:
                    break
        self.assertGreater(daemon.socket_drops(), 0)
        daemon.signal(signal.SIGCONT)
        self.wait_cause("web-1", "dropped_by_kernel")
        daemon.stop()
    def test_a_machine_that_speaks_another_version(self):
        """Its poke is one of a machine that we know, but for the version."""
        here = self.next_ip()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as ear, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as mouth:
            ear.bind((self.ip, 0))
            ear.settimeout(harness.PATIENCE)
            mouth.bind((here, 0))
            daemon = self.begin(f"web-1 {KEYS[1]} {here} strict=true")
            machine = self.machine(harness.place(*ear.getsockname()), KEYS[0])
            poke = bytearray(ear.recv(2048))
            machine.stop(expect=None)
            self.assertEqual((poke[:4], poke[4]), (b"MDBG", 5))
            poke[4] = 9
            ip, port = daemon.listen[0].rsplit(":", 1)
            self.wait_for(lambda: mouth.sendto(poke, (ip, int(port))) and self.diagnose("web-1") == "unknown_version",
                          "doctor web-1: unknown_version")
        daemon.stop()


def can_make_networks():
    done = subprocess.run(["unshare", "-rn", "ip", "link", "set", "lo", "up"], capture_output=True, check=False)
    return done.returncode == 0


@unittest.skipUnless(shutil.which("unshare") and can_make_networks(), "no network of our own here")
class Networks(Doctor):
    """A network of its own, whose only interface is lo: what is wrong with it really is."""

    def setUp(self):
        super().setUp()
        self.network_of = subprocess.Popen(["unshare", "-rn", "sh", "-c", "ip link set lo up && echo up && exec cat"], text=True,
                                           stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.addCleanup(self.end_network)
        self.assertEqual(self.network_of.stdout.readline(), "up\n")
        self.prefix = ("nsenter", "-t", str(self.network_of.pid), "-U", "-n", "--preserve-credentials")

    def end_network(self):
        self.network_of.stdin.close()  # cat ends
        self.network_of.wait(harness.PATIENCE)
        self.network_of.stdout.close()

    def set_up(self, *command):
        done = subprocess.run([*self.prefix, *command], text=True, capture_output=True, check=False)
        if done.returncode != 0:
            self.skipTest(f"not to be had here: {' '.join(command)}: {done.stderr}")

    def test_a_way_that_is_too_narrow(self):
        daemon = self.begin(f"web-1 {KEYS[0]}")
        self.machine(daemon.listen[0], KEYS[0])
        self.wait_state("web-1", "connected")
        self.assertIsNone(self.diagnose("web-1"))
        self.set_up("ip", "link", "set", "lo", "mtu", "1000")
        self.assertEqual(self.diagnose("web-1"), "small_mtu")
        daemon.stop()

    @unittest.skipUnless(shutil.which("nft") or shutil.which("iptables"), "no nft and no iptables here")
    def test_a_firewall(self):
        daemon = self.begin(f"web-1 {KEYS[0]}")
        port = daemon.listen[0].rsplit(":", 1)[1]
        if shutil.which("nft"):
            self.set_up("nft", "add table inet ours; add chain inet ours in { type filter hook input priority 0; policy accept; }; "
                        f"add rule inet ours in udp dport {port} drop")
        else:
            self.set_up("iptables", "-A", "INPUT", "-p", "udp", "--dport", port, "-j", "DROP")
        self.machine(daemon.listen[0], KEYS[0])
        self.assertEqual(self.diagnose("web-1"), "firewall")
        self.assertEqual(self.ask("targets")[0]["state"], "never_seen")
        daemon.stop()


for inherited in [name for name in dir(Doctor) if name.startswith("test_")]:
    if inherited not in vars(Networks):
        setattr(Networks, inherited, None)  # they run above


if __name__ == "__main__":
    harness.main(at_once=4)
