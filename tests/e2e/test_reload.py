# SPDX-License-Identifier: Apache-2.0
"""What a reload may meet, and what it must never cost: files that never end, shares that hang, mistakes, keys in memory."""
import json
import os
import pathlib
import signal
import socket
import subprocess
import time

import harness

KEY = "29p34y6n3wd25.2q4f5zr37e3p3.12z8iq9y7jzb6.2cn6z43dvyrkt"
SHADOW = 1 << 34  # bytes; larger mappings are the bookkeeping of a sanitizer


class Reload(harness.Case):
    def targets(self, text, more=""):
        return self.file("kdnetd.yaml", f"targets: [{text}]\n{more}")

    def reload(self, daemon, expect="msg=\"configuration read again\""):
        after = len(daemon.log.lines)
        daemon.signal(signal.SIGHUP)
        return daemon.wait_log(expect, after=after)

    def crash_is_answered(self, daemon, key="1.1.1.1", name="a"):
        harness.Machines(self, daemon.listen[0], key, "--dump-ms", 300, scenario="bugcheck").wait()
        daemon.wait_event("crash_status", name, verdict="written")


class Files(Reload):
    def test_a_pipe_among_the_files_stops_nobody(self):
        good = "{name: a, key: 1.1.1.1}"
        config = self.targets(good)
        os.mkfifo(self.folder / "pipe", 0o600)
        daemon = harness.Daemon(self, "--config", config)
        for more in ("include: pipe", "targets_file: pipe", "include: /dev/zero", "targets_file: /proc/kmsg"):
            self.targets(good, more + "\n")
            self.reload(daemon, "stays in force")
            self.assertEqual(self.run_kdnetd("--check", config).returncode, 2)
        config.unlink()
        os.mkfifo(config, 0o600)
        self.reload(daemon, "stays in force")
        self.assertIn("is a pipe", daemon.log_text())
        self.crash_is_answered(daemon)
        self.check_events(daemon.stop())

    def hung_daemon(self):
        library = harness.BUILD / "tests" / "hung_share.so"
        if not library.exists():
            self.skipTest("nothing tested: sanitizers want to be loaded first")
        (self.folder / "hung").mkdir()
        self.file("hung/more.yaml", "targets: [{name: b, key: 1.1.1.2}]\n")
        config = self.targets("{name: a, key: 1.1.1.1}", "include: hung/more.yaml\n")
        return config, harness.Daemon(self, "--config", config, env={"LD_PRELOAD": str(library)})

    def test_a_share_that_hangs_is_given_up_and_tried_again(self):
        _, daemon = self.hung_daemon()
        self.file("hung/hangs", "")
        daemon.signal(signal.SIGHUP)
        line = daemon.wait_log("is given up")
        self.assertIn("hung/more.yaml", line)
        self.crash_is_answered(daemon)
        (self.folder / "hung" / "hangs").unlink()
        self.reload(daemon)
        self.crash_is_answered(daemon, "1.1.1.2", "b")
        self.check_events(daemon.stop())

    def test_it_ends_while_a_reading_hangs(self):
        _, daemon = self.hung_daemon()
        self.file("hung/hangs", "")
        daemon.signal(signal.SIGHUP)
        time.sleep(0.2)
        self.crash_is_answered(daemon)
        self.check_events(daemon.stop())


class Told(Reload):
    def test_a_failed_reload_is_in_the_status_and_nothing_false_is_told(self):
        path = str(self.folder / "notify")
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
            notify.bind(path)
            notify.settimeout(harness.PATIENCE)
            config = self.targets("{name: a, key: 1.1.1.1}")
            daemon = harness.Daemon(self, "--config", config, env={"NOTIFY_SOCKET": path})
            if "libsystemd" in subprocess.run(["ldd", harness.BUILD / "kdnetd"], capture_output=True, text=True).stdout:
                self.targets("{name: a, key: 1.1.1}")
                self.reload(daemon, "stays in force")
                while "the last reload failed: " not in (said := notify.recv(4096).decode()):
                    pass
                self.assertIn("targets[0].key", said)
                self.targets("{name: a, key: 1.1.1.1}")
                self.reload(daemon)
                while "STATUS=serving 1 targets" not in (said := notify.recv(4096).decode()) or "failed" in said:
                    pass
            self.reload(daemon)
            self.assertNotIn("targets: there are none", daemon.log_text())
            daemon.stop()


class Hints(Reload):
    def test_who_was_never_heard_is_told_once_after_three_minutes(self):
        library = harness.BUILD / "tests" / "later.so"
        if not library.exists():
            self.skipTest("nothing tested: sanitizers want to be loaded first")
        names = "".join(f"m{i} 1.1.2.{i}{' 127.9.9.9' if i % 2 else ''}\n" for i in range(1, 100))
        self.file("targets", names)
        config = self.targets("{name: heard, key: 1.1.1.1}, {name: old, key: 1.1.1.2, key_old: 1.1.1.3}",
                              "workers: 1\ntargets_file: targets\n")
        daemon = harness.Daemon(self, "--config", config,
                                env={"LD_PRELOAD": str(library), "KDNETD_LATER": str(self.folder / "later")})
        for key in ("1.1.1.1", "1.1.1.3"):
            harness.Machines(self, daemon.listen[0], key, scenario="int3").wait()
        self.file("later", "")
        self.assertIn("targets=99", daemon.wait_log("more targets were never heard"))
        time.sleep(2)
        told = [line for line in daemon.log.lines if "target was never heard" in line]
        self.assertEqual(len(told), 20)
        self.assertEqual([line for line in told if "target=heard" in line or "target=old" in line], [])
        self.assertIn("bcdedit /dbgsettings", told[0])
        daemon.stop()

    def test_a_wrong_key_at_a_configured_address_names_the_target(self):
        daemon = harness.Daemon(self, "--config", self.targets("{name: a, key: 1.1.1.1, address: 127.9.9.9}"))
        machine = harness.Machines(self, daemon.listen[0], "1.1.1.2", "--bind", "127.9.9.9:0", scenario="idle", end=False)
        told = daemon.wait_event("unknown_target")
        self.assertEqual(told["configured_target"], "a")
        self.assertIn("where target a is configured", told["hint"])
        machine.stop(None)
        self.check_events(daemon.stop())

    def test_a_listener_comes_and_goes(self):
        port = harness.free_port(self.ip)
        text = "{name: a, key: 1.1.1.1}"
        # No listener of the command line: a reload takes away only those of the file.
        daemon = harness.Daemon(self, "--config", self.targets(text, f"listen: ['{harness.place(self.ip, port)}']\n"))
        machine = harness.Machines(self, harness.place(self.ip, port), "1.1.1.1", scenario="idle", end=False)
        daemon.wait_event("connected", "a")
        self.targets(text)
        self.reload(daemon)
        machine.stop(None)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
            end = time.monotonic() + harness.PATIENCE
            while True:
                try:
                    free.bind((self.ip, port))
                    break
                except OSError:
                    self.assertLess(time.monotonic(), end, "the port is still taken")
                    time.sleep(0.05)
        self.crash_is_answered(daemon)
        self.check_events(daemon.stop())


class Check(Reload):
    def test_it_looks_at_what_the_configuration_names(self):
        key = "targets: [{name: a, key: 1.1.1.1}]\n"
        place = harness.place(self.ip, harness.free_port(self.ip))
        (self.folder / "out").mkdir()
        for text, words in (
                (f"events: {self.folder}/none/e.jsonl\n", ["kdnetd.yaml:1:9: events: its folder", "none is not there"]),
                (f"events: {self.folder}/out\n", ["kdnetd.yaml:1:9: events: ", "out is a directory"]),
                ("listen: ['192.0.2.77:50000']\n", ["kdnetd.yaml:1:10: listen: 192.0.2.77:50000 is no address of this"]),
                (f"events: {self.folder}/out/e.jsonl\nlisten: ['{place}']\n", [])):
            done = self.run_kdnetd("--check", self.file("kdnetd.yaml", text + key))
            self.assertEqual(done.returncode, 2 if words else 0, done.stderr)
            for word in words:
                self.assertIn(word, done.stderr)
            # A running service goes on with what there is.
            self.assertEqual(self.run_kdnetd("--check=reload", self.folder / "kdnetd.yaml").returncode, 0)


class UnderLoad(Reload):
    """Machines crash all the time while the configuration is read again and again, and clients take nothing."""

    RELOADS = int(os.environ.get("KDNETD_RELOADS", "200"))
    WARM = 100  # reloads after which nothing grows any more
    MACHINES, STUCK = 60, 20
    SLACK_KIB = 3 << 10

    def configure(self, turn):
        """Each turn has another policy, other labels, one more or one less target and listener."""
        names = ", ".join(f"{{name: m{i}, key: {harness.key_text(6, 6, 6, 1 + i)}, labels: {{turn: '{turn % 7}'}}}}" for i in range(self.MACHINES))
        more = f", {{name: extra{turn % 5}, key: {harness.key_text(7, 7, 7, 1 + turn % 5)}}}" if turn % 2 else ""
        listen = f"listen: ['{self.second}']\n" if turn % 3 else ""
        return self.targets(names + more, f'{listen}store: "{self.folder}/kdnetd.db"\nhttp_socket: "{self.folder}/s"\nhold_for: {1 + turn % 9}m\n')

    def crash_all(self, daemon):
        return harness.Machines(self, daemon.listen[0], harness.key_text(6, 6, 6, 1), "--count", self.MACHINES, "--dump-ms", 200,
                                "--spread-ms", 3000, scenario="bugcheck")

    def halted_ms(self, machines):
        summaries = machines.wait()
        for one in summaries:
            self.assertEqual((one["traps_again"], one["released_wrongly"]), (0, 0), one)
        return sum(one["longest_halt_ms"] for one in summaries)

    def connect(self):
        end = time.monotonic() + harness.PATIENCE
        while True:
            one = socket.socket(socket.AF_UNIX)
            one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            try:
                one.connect(str(self.folder / "s"))
                return one
            except OSError:  # HTTP has not begun
                one.close()
                self.assertLess(time.monotonic(), end)
                time.sleep(0.02)

    def stick(self):
        """Clients that ask for all events, and read none."""
        for _ in range(self.STUCK):
            one = self.connect()
            self.addCleanup(one.close)
            one.sendall(b"GET /api/v1/stream HTTP/1.1\r\nHost: kdnetd\r\n\r\n")

    @staticmethod
    def told_kib(daemon):
        return sum(len(json.dumps(event)) for event in daemon.events()) >> 10

    def test_many_reloads_cost_no_machine_and_nothing_grows(self):
        self.second = harness.place(self.ip, harness.free_port(self.ip))
        daemon = harness.Daemon(self, "--config", self.configure(0))
        self.stick()
        floor = self.halted_ms(self.crash_all(daemon))
        machines, runs, halted, before = self.crash_all(daemon), 1, [], None
        for turn in range(1, self.RELOADS + 1):
            self.configure(turn)
            self.reload(daemon)
            if turn == self.WARM:
                before = (len(os.listdir(f"/proc/{daemon.pid}/fd")), daemon.memory_kib(), self.told_kib(daemon))
            if machines.process.poll() is not None and turn < self.RELOADS:
                halted.append(self.halted_ms(machines))
                machines, runs = self.crash_all(daemon), runs + 1
        halted.append(self.halted_ms(machines))
        print(f"\n{self.RELOADS} reloads, {runs} times {self.MACHINES} crashes: {max(halted)} ms of halts together; {floor} ms without")
        self.assertLess(min(halted), 3 * floor + 20 * self.MACHINES)
        daemon.wait_event("crash_status", count=(runs + 1) * self.MACHINES, phase="shutdown", verdict="written")
        self.configure(self.RELOADS)
        self.reload(daemon)
        self.assertLessEqual(len(os.listdir(f"/proc/{daemon.pid}/fd")), before[0] + 3)
        if (harness.BUILD / "tests" / "later.so").exists():  # a sanitizer keeps what is freed
            # The stream keeps the newest events in memory, 16 MiB at most.
            self.assertLess(daemon.memory_kib(), before[1] + self.SLACK_KIB + 2 * (self.told_kib(daemon) - before[2]))
        events = daemon.stop()
        self.assertEqual(len({e["id"] for e in events}), len(events))
        self.check_events(events)


class Memory(Reload):
    """Keys are where a session needs them, and nowhere else."""

    @staticmethod
    def find(pid, needles):
        """{needle: places} in all memory of a process that can be written."""
        found = {needle: [] for needle in needles}
        with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", 0) as memory:
            for line in maps:
                fields = line.split()
                if "w" not in fields[1]:
                    continue
                begin, end = (int(part, 16) for part in fields[0].split("-"))
                if end - begin > SHADOW:
                    continue
                try:
                    memory.seek(begin)
                    data = memory.read(end - begin)
                except OSError:
                    continue
                for needle in needles:
                    at = data.find(needle)
                    while at >= 0:
                        found[needle].append((hex(begin + at), fields[-1]))
                        at = data.find(needle, at + 1)
        return found

    def test_a_reload_leaves_no_copy_of_a_key(self):
        if os.geteuid() != 0:
            self.skipTest("nothing tested: only root may look into its memory")
        value = b"".join(int(part, 36).to_bytes(8, "little") for part in KEY.split("."))
        config = self.targets(f"{{name: a, key: {KEY}}}, {{name: b, key: \"{KEY[:-1]}1\"}}",
                              "targets_file: targets\n")
        self.file("targets", "c 1.1.1.1 # nothing\nd " + KEY[:-1] + "2\n")
        # AddressSanitizer's own stacks keep what functions had that have returned.
        options = os.environ.get("ASAN_OPTIONS", "detect_leaks=1") + ":detect_stack_use_after_return=0"
        daemon = harness.Daemon(self, "--config", config, env={"ASAN_OPTIONS": options})
        for _ in range(3):
            self.reload(daemon)
        time.sleep(0.5)
        found = self.find(daemon.pid, [KEY.encode(), KEY[:40].encode(), value, value[:24]])
        daemon.stop()
        self.assertEqual(found[KEY.encode()], [])
        self.assertEqual(found[KEY[:40].encode()], [])
        self.assertEqual(len(found[value]), 1, found)
        self.assertEqual(len(found[value[:24]]), 3, found)

    def test_it_cannot_be_dumped_unless_a_developer_wants_it(self):
        for options, expected in (([], 0), (["--core-dumps"], 1)):
            daemon = harness.Daemon(self, "--target", "a=1.1.1.1", *options)
            limits = pathlib.Path(f"/proc/{daemon.pid}/limits").read_text() if os.geteuid() == 0 else ""
            owner = os.stat(f"/proc/{daemon.pid}/environ").st_uid
            if os.geteuid() != 0:
                self.assertEqual(owner == os.geteuid(), bool(expected))
            elif not expected:
                core = next(line for line in limits.splitlines() if line.startswith("Max core file size"))
                self.assertEqual(core.split()[4:6], ["0", "0"])
            daemon.stop()


class Keys(Reload):
    """A machine has its key until its next start, whatever a reload says meanwhile."""

    def idle(self, daemon, key):
        return harness.Machines(self, daemon.listen[0], key, scenario="idle", end=False)

    def crash_under_way(self, daemon, key="1.1.1.1", dump_ms=4000):
        machine = harness.Machines(self, daemon.listen[0], key, "--dump-ms", dump_ms, scenario="bugcheck")
        daemon.wait_event("crash_status", "a", phase="bugcheck_first")
        return machine

    def test_a_crash_is_answered_when_the_key_changes_meanwhile(self):
        for more in ("", ", key_old: 1.1.1.1"):
            daemon = harness.Daemon(self, "--config", self.targets("{name: a, key: 1.1.1.1}"))
            machine = self.crash_under_way(daemon)
            self.targets("{name: a, key: 1.1.1.9%s}" % more)
            self.reload(daemon)
            machine.wait()
            self.assertEqual(daemon.wait_event("crash_status", "a", phase="shutdown")["verdict"], "written")
            self.assertTrue(daemon.wait_event("connected", "a", rebooted=True, count=1)["old_key"])
            new = self.idle(daemon, "1.1.1.9")
            daemon.wait_event("connected", "a", old_key=False, rebooted=False, count=2)
            daemon.wait_log("target uses its new key")
            if not more:  # nobody has the old one any more
                time.sleep(2.5)
                old = self.idle(daemon, "1.1.1.1")
                daemon.wait_event("unknown_target")
                old.stop(None)
            new.stop(None)
            events = daemon.stop()
            self.check_events(events)
            self.assertEqual([e for e in events if e["event"] in ("lost", "removed")], [])

    def test_an_old_key_is_known_from_the_start(self):
        self.file("targets", "b 1.1.1.2 key_old=1.1.1.3,1.1.1.4\n")
        config = self.targets("{name: a, key: 1.1.1.9, key_old: [1.1.1.1, 1.1.1.8]}", "targets_file: targets\nlost_after: 4s\n")
        daemon = harness.Daemon(self, "--config", config)
        daemon.wait_log("targets=2")
        self.crash_is_answered(daemon, "1.1.1.8")
        old = self.idle(daemon, "1.1.1.3")
        self.assertTrue(daemon.wait_event("connected", "b")["old_key"])
        old.stop(None)
        new = self.idle(daemon, "1.1.1.2")
        daemon.wait_event("connected", "b", old_key=False)
        time.sleep(6)
        self.assertEqual(daemon.events("b", "lost"), [])
        new.stop(None)
        self.check_events(daemon.stop())

    def test_a_removed_target_is_let_go_and_its_crash_finished(self):
        config = self.targets("{name: a, key: 1.1.1.1}, {name: h, key: 1.1.1.2, policy: {break: hold}}, {name: c, key: 1.1.1.3}, "
                              "{name: d, key: 1.1.1.4}")
        daemon = harness.Daemon(self, "--config", config)
        held = harness.Machines(self, daemon.listen[0], "1.1.1.2", scenario="int3")
        daemon.wait_event("released", "h", action="hold")
        idle = self.idle(daemon, "1.1.1.3")
        daemon.wait_event("connected", "c")
        machine = self.crash_under_way(daemon)
        self.targets("{name: d, key: 1.1.1.4}")
        self.reload(daemon)
        held.wait()
        daemon.wait_event("removed", "h")
        daemon.wait_event("removed", "c")
        self.assertEqual(daemon.events("a", "removed"), [])
        daemon.wait_event("removed", "a")
        # Whether it comes back before that is a matter of chance; nobody knows it any more.
        self.assertEqual([(one["breaks"], one["continues"], one["harm"]) for one in machine.stop(None)], [(2, 2, 0)])
        idle.stop(None)
        events = daemon.stop()
        self.check_events(events)
        names = [(e["event"], e.get("verdict")) for e in events if e["target"] == "a"]
        self.assertIn(("crash_status", "written"), names)
        self.assertEqual(len([e for e in events if e["event"] == "removed"]), 3)

    def test_a_machine_that_is_elsewhere_is_served_and_told(self):
        daemon = harness.Daemon(self, "--config", self.targets("{name: a, key: 1.1.1.1, address: 127.9.9.9}, "
                                                               "{name: s, key: 1.1.1.2, address: 127.9.9.9, strict: true}, "
                                                               "{name: b, key: 1.1.1.3}"))
        machine = self.crash_under_way(daemon)
        self.assertEqual(daemon.wait_event("connected", "a")["configured_address"], "127.9.9.9")
        daemon.wait_log("heard from another address")
        moving = harness.Machines(self, daemon.listen[0], "1.1.1.3", "--delay-ms", 2500, "--dump-ms", 300, scenario="bugcheck")
        daemon.wait_event("connected", "b")
        self.targets("{name: a, key: 1.1.1.1, address: 127.9.9.8}, {name: s, key: 1.1.1.2, address: 127.9.9.9, strict: true}, "
                     "{name: b2, key: 1.1.1.3, address: 127.9.9.7, port: %s}" % daemon.listen[0].rsplit(":", 1)[1])
        self.reload(daemon)
        machine.wait()
        moving.wait()
        daemon.wait_event("crash_status", "a", verdict="written")
        daemon.wait_event("crash_status", "b2", verdict="written")
        strict = self.idle(daemon, "1.1.1.2")
        self.assertIn("key of target s", daemon.wait_event("unknown_target")["hint"])
        strict.stop(None)
        self.check_events(daemon.stop())

    def test_a_key_may_come_from_a_file(self):
        self.file("key", "# of a\n1.1.1.9 key_old=1.1.1.1\n")
        daemon = harness.Daemon(self, "--target", "a=@key")
        self.crash_is_answered(daemon)
        self.check_events(daemon.stop())
        self.file("open", "1.1.1.1\n", 0o644)
        for name, said in (("open", "holds keys and is open"), ("none", "cannot be read"), ("/dev/null", "is a device")):
            done = self.run_kdnetd("--check", "--target", f"a=@{name}")
            self.assertEqual(done.returncode, 2)
            self.assertIn(said, done.stderr)


if __name__ == "__main__":
    harness.main(at_once=4)
