# SPDX-License-Identifier: Apache-2.0
"""What goes wrong on kdnetd's own computer: its clock is set back, its disk is full, or read-only. What the operator sees,
that nothing is lost, and that machines go on."""
import json
import pathlib
import shutil
import socket
import subprocess
import time
import unittest

import harness

KEYS = [harness.key_text(21, 22, 23, i) for i in range(1, 5)]


class Faults(harness.Case):
    def begin(self, folder, env=None, prefix=(), results=None):
        self.results = results or self.folder / "events.jsonl"
        self.socket = str(self.folder / "kdnetd.sock")
        targets = ", ".join(f"{{name: m{i}, key: {key}}}" for i, key in enumerate(KEYS))
        config = self.file("kdnetd.yaml", f'http: none\nhttp_socket: "{self.socket}"\nstore: "{folder}/kdnetd.db"\n'
                           f"targets: [{targets}]\n")
        daemon = harness.Daemon(self, "--config", config, events=self.results, env=env, prefix=prefix)
        self.wait_for(lambda: self.ask("status", code=None), "kdnetd can be asked")
        return daemon

    def ask(self, *words, code=0):
        done = subprocess.run([str(harness.BUILD / "kdnetctl"), *words, "--json", "--socket", self.socket], text=True,
                              capture_output=True, timeout=harness.PATIENCE, stdin=subprocess.DEVNULL, check=False)
        if code is not None:
            self.assertEqual(done.returncode, code, f"{words}\n{done.stdout}\n{done.stderr}")
        return [json.loads(line) for line in done.stdout.splitlines()]

    def wait_for(self, found, what):
        end = time.monotonic() + harness.PATIENCE
        while not found():
            self.assertLess(time.monotonic(), end, what)
            time.sleep(0.1)

    def told(self):
        whole = self.results.read_text().rpartition("\n")[0]  # a full disk takes a part of the last line
        return [json.loads(line) for line in whole.splitlines()]

    def crash(self, daemon, number):
        """A crash is told whole, and its machine goes on."""
        self.go_on(daemon, number)
        self.wait_for(lambda: [e for e in self.told() if e["event"] == "crash_status" and e["target"] == f"m{number}" and
                               e["phase"] == "shutdown"], f"the last result of m{number}")

    def go_on(self, daemon, number):
        """A machine crashes, and goes on whatever the disk does."""
        summary, = harness.Machines(self, daemon.listen[0], KEYS[number], "--dump-ms", 100, scenario="bugcheck").wait()
        self.assertEqual((summary["traps_again"], summary["released_wrongly"]), (0, 0), summary)

    def wait_store_ok(self):
        """It is opened, or recovers, by itself; before, it cannot be read."""
        self.wait_for(lambda: self.ask("status")[0]["store"]["state"] == "ok", "the store works")

    def stored(self):
        return [event["id"] for event in self.ask("events", "--tail", "1000")]

    def wait_stored(self):
        """All that was told is stored, each once."""
        self.wait_store_ok()
        self.wait_for(lambda: set(self.stored()) >= {event["id"] for event in self.told()}, "all events are stored")
        ids = self.stored()
        self.assertEqual(len(ids), len(set(ids)))

    @unittest.skipUnless((harness.BUILD / "tests" / "clock_back.so").exists(), "sanitizers want to be loaded first")
    def test_the_clock_is_set_back_by_an_hour(self):
        mark = self.folder / "back"
        daemon = self.begin(self.folder, env={"LD_PRELOAD": str(harness.BUILD / "tests" / "clock_back.so"),
                                              "KDNETD_BACK": str(mark)})
        self.crash(daemon, 0)
        self.wait_stored()
        before = self.told()
        mark.write_text("")
        self.crash(daemon, 1)
        self.wait_stored()
        after = self.told()[len(before):]
        self.assertLess(harness.seconds(after[-1]), harness.seconds(before[0]))
        self.assertEqual(self.stored()[:len(before)], [event["id"] for event in before])  # the store's order, not the clock's
        self.assertEqual({crash["verdict"] for crash in self.ask("crashes", "--since", "3h")}, {"written"})
        self.assertEqual(len(self.ask("crashes", "--since", "3h")), 2)
        self.assertEqual(self.ask("status")[0]["degraded"], [])
        for crash in self.ask("crashes", "--since", "3h"):
            self.assertTrue(0 < crash["dump_ms"] < 60000 and 0 <= crash["halted_ms"] < 60000, crash)
        mark.unlink()  # and right again
        self.crash(daemon, 2)
        self.wait_stored()
        self.assertEqual(len({event["id"] for event in self.told()}), len(self.told()))
        daemon.stop()

    def begin_on_disk(self, mount, **options):
        """The store on a disk of its own."""
        self.disk = self.folder / "disk"
        self.disk.mkdir()
        script = f'{mount.format(disk=self.disk)} && exec "$@"'
        if not shutil.which("unshare") or subprocess.run(["unshare", "-rm", "sh", "-c", script, "sh", "true"], check=False,
                                                         capture_output=True).returncode != 0:
            self.skipTest("no mounts of our own here")
        return self.begin(self.disk, prefix=("unshare", "-rm", "sh", "-c", script, "sh"), **options)

    def on_disk(self, daemon, script):
        return subprocess.run(["nsenter", "-t", str(daemon.pid), "-U", "-m", "--preserve-credentials", "sh", "-c", script],
                              capture_output=True, check=False, cwd=self.folder).returncode

    def wait_degraded(self, daemon):
        """It is told in the status, in doctor, and once in the log."""
        self.wait_for(lambda: [one for one in self.ask("status")[0]["degraded"] if one["what"] == "store"], "it is told")
        self.assertEqual(self.ask("status")[0]["store"]["state"], "degraded")
        self.assertEqual(sum("store cannot be written" in line for line in daemon.log.lines), 1, daemon.log_text())
        self.assertIn("degraded", [line["check"] for line in self.ask("doctor", code=1) if "check" in line])

    def wait_recovered(self, daemon, crashes):
        self.wait_store_ok()
        daemon.wait_log("store can be written again")
        self.wait_stored()
        self.assertEqual(len(self.ask("crashes")), crashes)
        self.wait_for(lambda: self.ask("status")[0]["degraded"] == [], "nothing is degraded any more")
        daemon.stop()

    def test_a_disk_is_read_only_and_becomes_writable(self):
        daemon = self.begin_on_disk('mount -t tmpfs none "{disk}" && mount -o remount,ro "{disk}"')
        self.crash(daemon, 0)
        self.wait_degraded(daemon)
        self.crash(daemon, 1)
        self.assertEqual(self.on_disk(daemon, f'mount -o remount,rw "{self.disk}"'), 0)
        self.wait_recovered(daemon, 2)


    def begin_all_on_disk(self, mount):
        """Store, results and state on a disk of their own."""
        self.disk = self.folder / "disk"
        daemon = self.begin_on_disk(mount, results=self.disk / "events.jsonl")
        self.results = pathlib.Path(f"/proc/{daemon.pid}/root{self.disk}/events.jsonl")
        self.crash(daemon, 0)
        self.wait_stored()
        return daemon

    def metric(self, line):
        with socket.socket(socket.AF_UNIX) as one:
            one.connect(self.socket)
            one.sendall(b"GET /metrics HTTP/1.1\r\nHost: kdnetd\r\nConnection: close\r\n\r\n")
            said = b"".join(iter(lambda: one.recv(65536), b"")).decode()
        return f"{line}\n" in said

    def everything_waits(self, daemon):
        """Machines go on, and what is wrong is told everywhere, with its cause."""
        self.go_on(daemon, 1)
        self.wait_degraded(daemon)
        self.wait_for(lambda: {one["what"] for one in self.ask("status")[0]["degraded"]} >= {"store", "results"}, "both are told")
        for one in self.ask("status")[0]["degraded"]:
            self.assertTrue(one["why"], one)
        self.wait_for(lambda: self.metric('kdnetd_degraded{what="store"} 1') and self.metric('kdnetd_degraded{what="results"} 1'),
                      "the metrics tell it")
        self.go_on(daemon, 2)
        self.assertIsNone(daemon.process.poll())

    def everything_comes(self, daemon):
        self.wait_for(lambda: len({e["id"] for e in self.told() if e["event"] == "crash_status"}) == 6, "all results are written")
        self.crash(daemon, 3)
        self.wait_recovered(daemon, 4)

    def test_the_disk_fills(self):
        daemon = self.begin_all_on_disk('mount -t tmpfs -o size=4m none "{disk}"')
        self.on_disk(daemon, f'dd if=/dev/zero of="{self.disk}/filler" bs=4k 2>/dev/null')
        self.everything_waits(daemon)
        self.assertEqual(self.on_disk(daemon, f'rm "{self.disk}/filler"'), 0)
        self.everything_comes(daemon)

    @unittest.skipUnless(shutil.which("prlimit"), "util-linux's prlimit is not installed")
    def test_files_may_not_grow(self):
        daemon = self.begin_all_on_disk('mount -t tmpfs none "{disk}"')
        self.assertEqual(subprocess.run(["prlimit", "--pid", str(daemon.pid), "--fsize=0:unlimited"], check=False).returncode, 0)
        self.everything_waits(daemon)
        self.assertEqual(subprocess.run(["prlimit", "--pid", str(daemon.pid), "--fsize=unlimited"], check=False).returncode, 0)
        self.everything_comes(daemon)


if __name__ == "__main__":
    harness.main(at_once=2)
