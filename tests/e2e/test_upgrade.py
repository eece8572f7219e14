# SPDX-License-Identifier: Apache-2.0
"""An upgrade without a pause: at USR2 a fresh process of the program takes over from the one that runs. No machine waits
for its start, nothing is lost or told twice, and one that cannot take over changes nothing."""
import json
import os
import pathlib
import signal
import subprocess
import time

import harness
import test_inherited

WORKERS = 2
MACHINES, SPREAD_MS, DUMP_MS = 100, 2500, 300
OTHERS = 20000  # targets that make the start of the program long
STATUS = "0xC000007F"
DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


def number(value):
    return (number(value // 36) if value >= 36 else "") + DIGITS[value % 36]


class Upgrade(harness.Case):
    def setUp(self):
        super().setUp()
        self.manager = test_inherited.Manager(self)
        self.started.append(self.manager)
        self.successors = []
        self.socket = str(self.folder / "kdnetd.sock")
        self.results = self.folder / "events.jsonl"
        self.targets()

    def tearDown(self):
        for pid in self.successors:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        super().tearDown()

    def targets(self, others=0):
        names = [f"m{i} {harness.key_text(3, 3, 3, 1 + i)}\n" for i in range(MACHINES)]
        names += [f"x{i} 4.4.4.{number(i + 1)}\n" for i in range(others)]
        self.file("targets", "".join(names))

    def begin(self, listen=None):
        self.listen = listen or [harness.place(self.ip, harness.free_port(self.ip))]
        (self.folder / "state").mkdir(exist_ok=True)
        more = (f'targets_file: ["{self.folder}/targets"]\nstate: "{self.folder}/state"\nhttp_socket: "{self.socket}"\n')
        return self.manager.begin(self, listen=self.listen, workers=WORKERS, more=more, events=self.results)

    def machines(self, **options):
        return harness.Machines(self, self.listen[0], harness.key_text(3, 3, 3, 1), "--count", MACHINES, "--status", STATUS,
                                "--dump-ms", DUMP_MS, "--spread-ms", SPREAD_MS, scenario="bugcheck", **options)

    def longest(self, machines):
        summaries = machines.wait()
        for one in summaries:
            self.assertEqual((one["traps_again"], one["released_wrongly"]), (0, 0), one)
        return max(one["longest_halt_ms"] for one in summaries)

    def upgrade(self, daemon, pid=None):
        """Returns the successor's process, and how long its start took, in milliseconds."""
        before, begun = self.manager.main, time.time()
        os.kill(pid or daemon.pid, signal.SIGUSR2)
        successor, named = self.manager.wait_main(self, before)
        self.successors.append(successor)
        return successor, (named - begun) * 1000

    def told(self):
        return [json.loads(line) for line in self.results.read_text().splitlines()]

    def ask(self, *words):
        done = subprocess.run([str(harness.BUILD / "kdnetctl"), *words, "--json", "--socket", self.socket], text=True,
                              capture_output=True, timeout=harness.PATIENCE, stdin=subprocess.DEVNULL, check=False)
        return [json.loads(line) for line in done.stdout.splitlines()] if done.returncode == 0 else None

    def wait_for(self, found, what):
        end = time.monotonic() + harness.PATIENCE
        while not found():
            self.assertLess(time.monotonic(), end, what)
            time.sleep(0.05)

    def end(self, daemon, pid):
        """The successor writes into the pipes of the first process: they end with it."""
        os.kill(pid, signal.SIGTERM)
        daemon.log.join(harness.PATIENCE)
        self.assertFalse(daemon.log.is_alive(), f"the successor does not end\n{daemon.log_text()}")
        self.check_events(self.told())

    def check_results(self, runs):
        """Each machine's two results; all events are stored, each once."""
        told = self.told()
        results = [(e["target"], e["phase"]) for e in told if e["event"] == "crash_status"]
        self.assertEqual({name for name, _ in results}, {f"m{i}" for i in range(MACHINES)})
        ids = [e["id"] for e in told if e["event"] == "crash_status"]
        self.assertEqual(len(set(ids)), 2 * runs * MACHINES)  # a result told again has the same id
        for event in told:
            if event["event"] == "crash_status" and event["phase"] == "shutdown":
                self.assertEqual((event["verdict"], event["status"]), ("failed", STATUS), event)
        everything = {e["id"] for e in told}
        self.wait_for(lambda: sorted(e["id"] for e in self.ask("events", "--tail", "10000") or []) == sorted(everything),
                      "all is stored, each once")

    def test_machines_that_crash_do_not_wait_for_it(self):
        self.targets(OTHERS)
        daemon = self.begin()
        floor = self.longest(self.machines())
        files = len(os.listdir(f"/proc/{daemon.pid}/fd"))
        machines = self.machines()
        time.sleep(SPREAD_MS / 4000)
        successor, start = self.upgrade(daemon)
        longest = self.longest(machines)
        self.assertEqual(daemon.process.wait(harness.PATIENCE), 0)
        print(f"\nlongest halt {longest} ms; {floor} ms without an upgrade; the new process took {start:.0f} ms")
        self.assertLess(longest, max(start, 3 * floor))  # without it each would have waited for the start
        self.check_results(2)
        self.assertLessEqual(len(os.listdir(f"/proc/{successor}/fd")), files + 2)
        self.assertEqual([line for line in daemon.log.lines if "level=error" in line], [])
        self.end(daemon, successor)

    def test_again_and_again(self):
        daemon = self.begin()
        machines = self.machines()
        pid = daemon.pid
        for _ in range(3):
            pid, _ = self.upgrade(daemon, pid)
            self.wait_for(lambda: self.ask("status"), "the successor can be asked")
        self.longest(machines)
        self.check_results(1)
        self.end(daemon, pid)

    def test_with_a_mistake_the_old_process_goes_on(self):
        daemon = self.begin()
        right = pathlib.Path(self.folder / "targets").read_text()
        self.file("targets", right + "wrong 1.2.3\n")
        for _ in range(2):
            after = len(daemon.log.lines)
            daemon.signal(signal.SIGUSR2)
            daemon.wait_log("the new process cannot take over", after=after)
        self.assertIn("targets:101", daemon.log_text())
        self.assertIsNone(self.manager.main)
        self.longest(self.machines())
        self.file("targets", right)
        successor, _ = self.upgrade(daemon)
        self.assertEqual(daemon.process.wait(harness.PATIENCE), 0)
        self.check_results(1)
        self.end(daemon, successor)

    def test_with_the_sockets_of_a_socket_unit(self):
        daemon = self.begin(listen=[self.manager.listen(self.ip)])
        machines = self.machines()
        successor, _ = self.upgrade(daemon)
        self.longest(machines)
        self.check_results(1)
        self.end(daemon, successor)

    def test_told_to_end_while_the_new_process_starts(self):
        self.targets(OTHERS)
        daemon = self.begin()
        daemon.signal(signal.SIGUSR2)
        daemon.wait_log("a new process of the program starts")
        daemon.stop()  # its log ends, too: nobody is left
        self.assertIsNone(self.manager.main)

    def test_without_a_service_manager_nothing_happens(self):
        daemon = harness.Daemon(self, "--target", "m=1.2.3.4", env={"NOTIFY_SOCKET": ""})  # as if unset
        daemon.signal(signal.SIGUSR2)
        daemon.wait_log("restart this one instead")
        daemon.stop()


if __name__ == "__main__":
    harness.main(at_once=2)
