# SPDX-License-Identifier: Apache-2.0
"""kdnetd remembers in its folder where machines were: one that takes over from another asks them at once, and says what
the other knew of a crash. What it remembers is asked, never believed. Times are told, not held.
"""
import hashlib
import pathlib
import socket
import sys
import time

import harness

COUNT = 20
FIRST_LINE = "kdnetd-hints 1\n"


def line(name, *words):
    """A line of the file, with its checksum."""
    text = " ".join([name, *map(str, words)])
    return f"{text} {hashlib.sha256((FIRST_LINE + text).encode()).hexdigest()[:16]}\n"


def wait_until(found):
    until = time.monotonic() + harness.PATIENCE
    while not found() and time.monotonic() < until:
        time.sleep(0.05)
    return found()


class Hints(harness.Case):
    def setUp(self):
        super().setUp()
        self.state = pathlib.Path(self.folder) / "state"
        self.state.mkdir()
        self.socket = pathlib.Path(self.folder) / "socket"
        self.listen = [harness.place(self.ip, harness.free_port(self.ip))]

    def daemon(self, *options, count=COUNT):
        targets = [word for i in range(count) for word in ("--target", f"m{i}={harness.key_text(1, 1, 1, 1 + i)}")]
        return harness.Daemon(self, *targets, "--state", self.state, "--http-socket", self.socket, *options, listen=self.listen)

    def machines(self, *options, count=COUNT):
        return harness.Machines(self, self.listen[0], harness.key_text(1, 1, 1, 1), "--count", count, "--status",
                                "0xC000007F", *options, scenario="bugcheck")

    def wait_lines(self, count):
        def find():
            path = self.state / "hints"
            lines = path.read_text().splitlines()[1:] if path.exists() else []
            return len({one.split()[0] for one in lines}) >= count
        self.assertTrue(wait_until(find), "the file does not have all machines")

    def solicited(self):
        """Datagrams that asked a machine to poke, of the newest process."""
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(harness.PATIENCE)
            client.connect(str(self.socket))
            client.sendall(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            text = b"".join(iter(lambda: client.recv(65536), b"")).decode()
        return sum(int(one.split()[-1]) for one in text.splitlines() if one.startswith("kdnetd_solicited_total"))

    def test_machines_that_stand_still_are_asked_by_the_next_one(self):
        first = self.daemon("--policy", "bugcheck_first=hold")
        machines = self.machines("--spread-ms", 1500, "--dump-ms", 300)
        first.wait_event("released", count=COUNT, action="hold")
        crashes = {e["target"]: e["crash"] for e in first.events(kind="crash_status")}
        self.wait_lines(COUNT)
        first.kill()
        second = self.daemon()
        for i in range(COUNT):
            status = second.wait_event("crash_status", f"m{i}", phase="shutdown")
            self.assertEqual((status["verdict"], status["crash"]), ("failed", crashes[f"m{i}"]))
        first_of = {e["target"]: harness.seconds(e) - second.ready for e in reversed(second.events(kind="connected"))}
        sys.stderr.write(f"found again within {max(first_of.values()) * 1000:.0f} ms\n")
        sys.stderr.write(f"{self.solicited()} datagrams asked them\n")  # who pokes by itself before is not asked
        self.assertEqual(len(machines.wait()), COUNT)
        self.check_events(second.stop())

    def test_how_long_a_dump_took_is_told_by_who_takes_over(self):
        first = self.daemon(count=1)
        machines = self.machines("--dump-ms", 4000, count=1)
        before = first.wait_event("crash_status", "m0", phase="bugcheck_first")
        first.wait_event("released", "m0")
        def has_released():
            return any(words[5] != "-" and words[7] != "0" for words in self.words())
        self.assertTrue(wait_until(has_released), "the file does not say that it went on")
        first.kill()
        second = self.daemon(count=1)
        after = second.wait_event("crash_status", "m0", phase="shutdown")
        self.assertEqual((after["crash"], after["boot"]), (before["crash"], before["boot"]))
        self.assertGreater(after["since_first_ms"], 1000)
        machines.wait()
        self.check_events(second.stop())

    def words(self):
        path = self.state / "hints"
        return [one.split() for one in path.read_text().splitlines()[1:]] if path.exists() else []

    def test_a_wrong_file_costs_nothing(self):
        local = self.listen[0]
        now = 1700000000000000
        here, rest = f"{self.ip}:9", (local, 5, "-", "-", "-", 0)
        good = line("m0", here, *rest, now)
        lines = [bytes(range(256)) * 40 + b"\n", good.replace(":9 ", ":8 ").encode(), line("x", here, *rest, now).encode(),
                 line("m0", here, *rest, 2 * now).encode(), good[:-9].encode()]
        for address in ("224.0.0.1:50000", "255.255.255.255:9", "0.0.0.0:9", f"{self.ip}:0", "[ff02::1]:9", "here",
                        "1.2.3.4:99999", ""):
            lines.insert(0, line("m0", address, *rest, now).encode())
        hostile = {
            "lines": FIRST_LINE.encode() + b"".join(lines),
            "other version": (FIRST_LINE.replace("1", "2") + good).encode(),
            "large": FIRST_LINE.encode() + b"x" * (8 << 20),
        }
        for what, content in hostile.items():
            with self.subTest(what):
                (self.state / "hints").write_bytes(content)
                daemon = self.daemon(count=1)
                machines = self.machines("--dump-ms", 100, count=1)
                self.assertEqual(daemon.wait_event("crash_status", "m0", phase="shutdown")["verdict"], "failed")
                machines.wait()
                time.sleep(1.1)  # counts are published once a second
                self.assertEqual(self.solicited(), 0)
                self.check_events(daemon.stop())

    def test_a_file_that_cannot_be_written_is_told_and_harms_nobody(self):
        (self.state / "hints").mkdir()
        daemon = self.daemon(count=1)
        machines = self.machines("--dump-ms", 100, count=1)
        self.assertEqual(daemon.wait_event("crash_status", "m0", phase="shutdown")["verdict"], "failed")
        daemon.wait_log("file of address hints cannot be written")
        machines.wait()
        self.check_events(daemon.stop())


if __name__ == "__main__":
    harness.main()
