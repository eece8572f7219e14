# SPDX-License-Identifier: Apache-2.0
"""What kdnetd is told, and how it answers: options, configuration, signals, service manager, exit status."""
import json
import resource
import signal
import socket
import subprocess
import time

import harness

MISTAKES = """listen:
  - "127.0.0.1:99999"
colour: red
targets:
  - name: a b
    key: 1.2.3
  - name: x
    key: 1.2.3.4
  - name: x
    key: 1.2.3.5
  - name: y
    key: 1.2.3.4
  - name: z
    key: 1.2.3.4$
    address: nowhere
policy:
  bugcheck_first: panic
read_deadline: 5 apples
"""
NAMED = {  # line of the file: what must be named there
    2: ("listen", "99999"), 3: ("colour", "unknown"), 5: ("name", "a b"), 6: ("key", "four"), 9: ("name", "x"),
    11: ("key", "y"), 14: ("key", ""), 15: ("address", "nowhere"), 17: ("bugcheck_first", "panic"),
    18: ("read_deadline", "5 apples"),
}


class Check(harness.Case):
    def test_each_mistake_is_named_with_line_and_field(self):
        path = self.file("bad.yaml", MISTAKES)
        done = self.run_kdnetd("--check", path)
        said = done.stdout + done.stderr
        self.assertEqual(done.returncode, 2, said)
        for line, (field, word) in NAMED.items():
            found = [one for one in said.splitlines() if f"bad.yaml:{line}:" in one]
            self.assertTrue(found, f"nothing of line {line}:\n{said}")
            self.assertTrue(any(field in one and word in one for one in found), f"line {line}, {field}, {word}: {found}")
        self.assertEqual(said.count("bad.yaml:"), len(NAMED) + 2, said)  # two name another line as well

    def test_kdnetctl_check_says_the_same(self):
        path = self.file("bad.yaml", MISTAKES)
        ours = self.run_kdnetd("--check", path)
        done = harness.subprocess.run([str(harness.BUILD / "kdnetctl"), "check", str(path)], capture_output=True, text=True,
                                      timeout=harness.PATIENCE)
        self.assertEqual(done.returncode, 2)
        mistakes = [[line for line in (one.stdout + one.stderr).splitlines() if "bad.yaml:" in line] for one in (ours, done)]
        self.assertEqual(*mistakes)

    def test_mistakes_of_options_are_named(self):
        for options, words in (
                (["--target", "a=1.2.3"], ("--target", "four parts")),
                (["--listen", "127.0.0.1"], ("--listen", "port")),
                (["--policy", "bugcheck_first=panic"], ("--policy", "continue")),
                (["--rva", "12:x=0x1"], ("--rva",)),
                (["--read-deadline", "1ns"], ("--read-deadline",)),
                (["--target", "a=1.2.3.4", "--target", "a=1.2.3.5"], ("a", "name"))):
            done = self.run_kdnetd("--check", *options)
            self.assertEqual(done.returncode, 2, options)
            for word in words:
                self.assertIn(word, done.stdout + done.stderr, options)

    def test_a_good_configuration_is_said_to_be_good(self):
        path = self.file("good.yaml", "listen: '127.0.0.1:50000'\ntargets:\n  - {name: a, key: 1.2.3.4}\n")
        self.assertEqual(self.run_kdnetd("--check", path).returncode, 0)

    def test_places_of_symbols_are_looked_at(self):
        head = "listen: '127.0.0.1:50000'\ntargets: [{name: a, key: 1.2.3.4}]\n"
        done = self.run_kdnetd("--check", self.file("a.yaml", head + "symbols: [/nowhere/at/all]\n"))
        self.assertEqual(done.returncode, 2)
        self.assertIn("symbols: /nowhere/at/all: no such folder", done.stdout + done.stderr)
        path = self.file("a.yaml", head + f"symbols: ['srv*{self.folder}/cache*http://symbols.example/']\n")
        done = self.run_kdnetd("--check", path)
        self.assertEqual(done.returncode, 0, done)
        self.assertIn("http://symbols.example/: warning: ", done.stdout + done.stderr)

    def test_keys_that_everyone_can_read_are_refused(self):
        path = self.file("open.yaml", "targets:\n  - {name: a, key: 1.2.3.4}\n", 0o644)
        done = self.run_kdnetd("--check", path)
        self.assertEqual(done.returncode, 2)
        self.assertIn("chmod", done.stdout + done.stderr)

    def test_a_configuration_that_is_wrong_is_not_served(self):
        done = self.run_kdnetd("--config", self.file("bad.yaml", MISTAKES), "--events", "-")
        self.assertEqual(done.returncode, 2)
        self.assertEqual(done.stdout, "")
        self.assertIn("bad.yaml:3:1", done.stderr)

    def test_an_unknown_option_is_a_usage_error(self):
        for options in (["--nosuch"], ["stray"], ["--listen"]):
            done = self.run_kdnetd(*options)
            self.assertEqual((done.returncode, done.stdout), (2, ""), options)
            self.assertTrue(done.stderr, options)
        for wrong, said in (("--lisen=x", "did you mean --listen?"), ("--listen", "--listen wants a value"),
                            ("--help=1", "--help takes no value"), ("--polcy", "did you mean --policy?"),
                            ("-l", 'unknown option "-l"')):
            self.assertIn(said, self.run_kdnetd(wrong).stderr)

    def test_help_and_version(self):
        for option in ("--help", "--version"):
            done = self.run_kdnetd(option)
            self.assertEqual((done.returncode, done.stderr), (0, ""), option)
            self.assertIn("kdnetd", done.stdout)


class Machines(harness.Case):
    """kdnet-target is a program that people start by hand, too."""

    def run_machines(self, *options, **rest):
        return subprocess.run([harness.BUILD / "kdnet-target", "--host", "127.0.0.1:9", "--key", "1.2.3.4", *options],
                              capture_output=True, text=True, timeout=harness.PATIENCE, check=False, **rest)

    def test_an_address_that_cannot_be_used_is_told_with_a_remedy(self):
        done = self.run_machines("--bind", "192.0.2.1:0")
        self.assertEqual(done.returncode, 2, done)
        self.assertRegex(done.stderr, r"its address cannot be used: .*; give another one with --bind, or port 0 for any")

    def test_more_machines_than_descriptors_are_told_with_a_remedy(self):
        done = self.run_machines("--count", "1000",
                                 preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (200, 200)))
        self.assertEqual(done.returncode, 2, done)
        self.assertRegex(done.stderr, r"--count 1000: each machine needs a descriptor, and the limit is 200; raise it with "
                                      r"'ulimit -n \d+'")

    def test_a_capture_that_is_none_is_told(self):
        for text, said in (("", "the file is empty"), ("no capture at all, but text that is longer than a header", "pcap")):
            path = self.file("a.pcap", text)
            done = self.run_machines("--replay", path, "--replay-key", "8.8.8.8")
            self.assertEqual(done.returncode, 2, done)
            self.assertIn("--replay", done.stderr)
            self.assertIn(said, done.stderr)

    def test_what_an_operator_asks_of_it_is_printed(self):
        done = self.run_machines("--print-targets", "--count", "2")
        self.assertEqual((done.returncode, len(done.stdout.split())), (0, 4), done)
        done = self.run_machines("--help")
        self.assertEqual((done.returncode, done.stderr), (0, ""))


class Serving(harness.Case):
    def test_a_port_that_is_taken_is_a_failure_with_a_remedy(self):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
            taken.bind((self.ip, 0))
            place = harness.place(*taken.getsockname())
            done = self.run_kdnetd("--listen", place, "--target", "a=1.2.3.4", "--events", "-")
        self.assertEqual((done.returncode, done.stdout), (1, ""), done.stderr)
        self.assertIn(place, done.stderr)
        self.assertRegex(done.stderr, "another (program|port)")

    def test_standard_output_carries_results_and_nothing_else(self):
        daemon = harness.Daemon(self, "--target", "a=1.2.3.4", "--log-level", "debug", prints=True)
        machine = harness.Machines(self, daemon.listen[0], "1.2.3.4", "--dump-ms", 100, scenario="bugcheck")
        machine.wait()
        for number in (signal.SIGUSR1, signal.SIGHUP):
            daemon.signal(number)
        daemon.wait_log("configuration read again")
        events = daemon.stop()
        self.check_events(events)
        self.assertEqual(len(events), len(daemon.out.lines))
        self.assertGreater(len(events), 10)
        self.assertTrue(any(e["event"] == "print" and "Fatal System Error" in e["text"] for e in events))
        for line in daemon.log.lines:
            self.assertTrue(line.startswith("level="), line)

    def test_term_and_int_end_it_cleanly(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            daemon = harness.Daemon(self, "--target", "a=1.2.3.4")
            machine = harness.Machines(self, daemon.listen[0], "1.2.3.4", scenario="idle", end=False)
            daemon.wait_event("connected", "a")
            daemon.signal(number)
            self.assertEqual(daemon.process.wait(harness.PATIENCE), 0)
            machine.stop(None)

    def test_usr1_logs_a_summary(self):
        daemon = harness.Daemon(self, "--target", "a=1.2.3.4", "--target", "b=1.2.3.5")
        machine = harness.Machines(self, daemon.listen[0], "1.2.3.4", scenario="idle", end=False)
        daemon.wait_event("connected", "a")
        daemon.signal(signal.SIGUSR1)
        line = daemon.wait_log("msg=summary")
        for field in ("targets=2 ", "connected=1 ", "halted=0 ", "lost=0 "):
            self.assertIn(field, line)
        machine.stop(None)
        daemon.stop()

    def test_a_machine_with_a_wrong_key_is_told_of_with_a_hint(self):
        daemon = harness.Daemon(self, "--target", "a=1.2.3.4")
        machine = harness.Machines(self, daemon.listen[0], "1.2.3.5", scenario="idle", end=False)
        told = daemon.wait_event("unknown_target")
        time.sleep(4)  # its next poke
        machine.stop(None)
        events = daemon.stop()
        self.check_events(events)
        self.assertEqual(len(events), 1, "one line, not one a packet")
        self.assertEqual((told["target"], told["session"], told["version"]), (None, None, 5))
        self.assertGreaterEqual(told["count"], 1)
        self.assertIn("bcdedit", told["hint"])
        self.assertIn(daemon.listen[0].rsplit(":", 1)[1], told["hint"])
        self.assertEqual(sum("bcdedit" in line for line in daemon.log.lines), 1)

    def test_ipv4_ipv6_and_several_ports_at_once(self):
        if not harness.has_ipv6():
            self.skipTest("no IPv6 loopback here")
        listen = [harness.place(ip, harness.free_port(ip)) for ip in (self.ip, self.next_ip(), "::1")]
        keys = [harness.key_text(7, 7, 7, i) for i in range(3)]
        targets = [word for i, key in enumerate(keys) for word in ("--target", f"m{i}={key}")]
        daemon = harness.Daemon(self, *targets, listen=listen)
        machines = [harness.Machines(self, place, key, scenario="int3") for place, key in zip(listen, keys)]
        for machine in machines:
            machine.wait()
        for i in range(3):
            self.assertEqual([e["event"] for e in daemon.events(f"m{i}")],
                             ["connected", "break_in", "kernel", "crash_status", "released"])
        self.assertTrue(daemon.events("m2")[0]["address"].startswith("[::1]:"))
        self.check_events(daemon.stop())


class Reload(harness.Case):
    def configure(self, targets, more=""):
        lines = "".join(f"  - {{name: {name}, key: {key}}}\n" for name, key in targets.items())
        return self.file("kdnetd.yaml", f"targets:\n{lines}{more}")

    def reload(self, daemon):
        after = len(daemon.log.lines)
        daemon.signal(signal.SIGHUP)
        return daemon.wait_log("configuration", after=after)

    def test_targets_come_and_go_and_live_sessions_stay(self):
        config = self.configure({"stays": "1.1.1.1", "goes": "1.1.1.2", "changes": "1.1.1.3"})
        daemon = harness.Daemon(self, "--config", config)
        place = daemon.listen[0]
        stays = harness.Machines(self, place, "1.1.1.1", "--delay-ms", 4500, "--dump-ms", 300, scenario="bugcheck")
        goes = harness.Machines(self, place, "1.1.1.2", scenario="idle", end=False)
        daemon.wait_event("connected", "stays")
        daemon.wait_event("connected", "goes")
        self.configure({"stays": "1.1.1.1", "changes": "1.1.1.9", "new": "1.1.1.4"}, "policy: {break: hold}\nhold_for: 1s\n")
        self.reload(daemon)
        new = harness.Machines(self, place, "1.1.1.4", scenario="int3")
        changed = harness.Machines(self, place, "1.1.1.9", scenario="idle", end=False)
        self.assertEqual(daemon.wait_event("connected", "changes")["rebooted"], False)
        self.assertEqual(daemon.wait_event("released", "new")["action"], "hold")
        summary, = new.wait()
        self.assertGreaterEqual(summary["longest_halt_ms"], 900)
        unknown = daemon.wait_event("unknown_target")
        summary, = stays.wait()
        self.assertEqual(summary["handshakes"], 3)
        for machine in (goes, changed):
            machine.stop(None)
        events = daemon.stop()
        self.check_events(events)
        self.assertEqual([e["event"] for e in events if e["target"] == "goes"], ["connected", "removed"])
        goes_address = next(e["address"] for e in events if e["target"] == "goes")
        self.assertEqual(unknown["address"], goes_address)
        stayed = [e for e in events if e["target"] == "stays"]
        self.assertEqual([e["event"] for e in stayed],
                         ["connected", "connected", "bugcheck", "break_in", "kernel", "crash_status", "released", "break_in",
                          "crash_status", "released", "connected"])
        self.assertEqual(stayed[-3]["verdict"], "written")

    def test_a_machine_that_is_held_stays_held_in_its_session(self):
        config = self.configure({"m": "1.1.1.1"}, "policy: {break: hold}\n")
        daemon = harness.Daemon(self, "--config", config)
        machine = harness.Machines(self, daemon.listen[0], "1.1.1.1", scenario="int3", end=False)
        held = daemon.wait_event("released", "m", action="hold")
        self.configure({"m": "1.1.1.1", "other": "1.1.1.2"}, "policy: {break: hold}\n")
        self.reload(daemon)
        time.sleep(3.5)  # a poke after the reload
        self.assertEqual(daemon.events("m")[-1], held)
        self.assertEqual({e["session"] for e in daemon.events("m")}, {held["session"]})
        machine.stop(None)
        daemon.stop()

    def test_a_wrong_configuration_changes_nothing(self):
        config = self.configure({"m": "1.1.1.1"})
        daemon = harness.Daemon(self, "--config", config)
        machine = harness.Machines(self, daemon.listen[0], "1.1.1.1", "--delay-ms", 1500, scenario="int3")
        daemon.wait_event("connected", "m")
        self.configure({"m": "1.1"})
        self.reload(daemon)
        daemon.wait_log("stays in force")
        machine.wait()
        self.assertEqual([e["event"] for e in daemon.events("m")],
                         ["connected", "break_in", "kernel", "crash_status", "released"])
        daemon.stop()

    def test_results_go_to_a_file_that_is_opened_again(self):
        results, rotated = self.folder / "events.json", self.folder / "events.json.1"
        daemon = harness.Daemon(self, "--target", "a=1.1.1.1", "--target", "b=1.1.1.2", events=results)
        harness.Machines(self, daemon.listen[0], "1.1.1.1", scenario="int3").wait()
        self.wait_lines(results, 5)
        results.rename(rotated)
        self.reload(daemon)
        harness.Machines(self, daemon.listen[0], "1.1.1.2", scenario="int3").wait()
        self.wait_lines(results, 5)
        daemon.stop()
        self.assertEqual(daemon.out.lines, [])
        for path, name in ((rotated, "a"), (results, "b")):
            events = [json.loads(line) for line in path.read_text().splitlines()]
            self.check_events(events)
            self.assertEqual([(e["event"], e["target"]) for e in events if e["event"] != "reload"],
                             [(kind, name) for kind in ("connected", "break_in", "kernel", "crash_status", "released")])

    def wait_lines(self, path, count):
        end = time.monotonic() + harness.PATIENCE
        while time.monotonic() < end:
            if path.exists() and path.read_text().count("\n") >= count:
                return
            time.sleep(0.02)
        self.fail(f"{path.name} has not {count} lines")

    def test_results_are_added_to_a_file_that_is_there(self):
        results = self.file("events.json", '{"old":1}\n')
        daemon = harness.Daemon(self, "--target", "a=1.1.1.1", events=results)
        harness.Machines(self, daemon.listen[0], "1.1.1.1", scenario="idle").wait()
        self.wait_lines(results, 2)
        daemon.stop()
        lines = results.read_text().splitlines()
        self.assertEqual((lines[0], json.loads(lines[1])["event"]), ('{"old":1}', "connected"))


class ServiceManager(harness.Case):
    def test_readiness_and_watchdog_are_told(self):
        path = self.folder / "notify"
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told:
            told.bind(str(path))
            daemon = harness.Daemon(self, "--target", "a=1.1.1.1", wait=False,
                                    env={"NOTIFY_SOCKET": str(path), "WATCHDOG_USEC": "400000"})
            daemon.wait_ready()
            if "libsystemd" not in harness.subprocess.run(["ldd", str(harness.BUILD / "kdnetd")], capture_output=True,
                                                          text=True, check=False).stdout:
                self.skipTest("kdnetd is built without libsystemd")
            told.settimeout(harness.PATIENCE)
            self.listen_until(told, lambda lines: "READY=1" in lines and any(m.startswith("STATUS=") for m in lines))
            told.setblocking(False)  # what came while this test had no processor
            try:
                while told.recv(4096):
                    pass
            except BlockingIOError:
                pass
            told.settimeout(harness.PATIENCE)
            begun = time.monotonic()
            self.listen_until(told, lambda lines: lines.count("WATCHDOG=1") == 5)
            self.assertGreater(time.monotonic() - begun, 0.5, "each 200 ms")
            daemon.signal(signal.SIGHUP)
            self.listen_until(told, lambda lines: "RELOADING=1" in lines)
            self.listen_until(told, lambda lines: "READY=1" in lines)
            daemon.signal(signal.SIGTERM)
            self.listen_until(told, lambda lines: "STOPPING=1" in lines)
            self.assertEqual(daemon.process.wait(harness.PATIENCE), 0)

    @staticmethod
    def listen_until(told, found):
        """Takes messages until found(their lines)."""
        lines = []
        while not found(lines):
            lines += told.recv(4096).decode().splitlines()


if __name__ == "__main__":
    harness.main(at_once=4)
