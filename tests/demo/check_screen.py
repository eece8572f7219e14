#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What a person sees: python3 check_screen.py PROGRAMS_FOLDER. Runs demo.py in terminals of its own, and reads them."""
import fcntl
import json
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
import time
import unittest
from unittest import mock

import fleet
import machines
import screen

HERE = os.path.dirname(os.path.abspath(__file__))
PROGRAMS = None
GIVE_UP_S = 300
ESCAPE = re.compile(r"\x1b\[[?0-9;]*[A-Za-z]")
ENTER, LEAVE = "\x1b[?1049h", "\x1b[?1049l"


class Terminal:
    """demo.py in a terminal of so many columns and rows; reads what it writes."""

    def __init__(self, columns, rows, *arguments, **environment):
        master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        kept = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "COLUMNS", "LINES")}
        command = [sys.executable, "-B", os.path.join(HERE, "demo.py"), "--programs", PROGRAMS, "--read-deadline", "30s"]
        self.process = subprocess.Popen([*command, *arguments], stdin=slave, stdout=slave, stderr=slave,
                                        start_new_session=True, cwd=HERE,
                                        env={**kept, "TERM": "xterm", "PYTHONUTF8": "1", **environment})
        os.close(slave)
        self.master, self.text = master, b""
        self.give_up = time.monotonic() + GIVE_UP_S

    def read_some(self):
        """Returns whether there was something; nothing any more when every writer has closed the terminal."""
        if time.monotonic() > self.give_up:
            raise AssertionError("the demo does not come on:\n" + self.text.decode(errors="replace")[-2000:])
        try:
            data = os.read(self.master, 65536)
        except OSError:
            return False
        self.text += data
        return bool(data)

    def read_until(self, word):
        while word not in self.text and self.read_some():
            pass

    def finish(self):
        while self.read_some():
            pass
        return self.process.wait(30), self.text.decode()

    def close(self):
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait()
        os.close(self.master)


def frames(text):
    """The frames drawn, each as its lines without escapes."""
    drawn = text.partition(ENTER)[2].partition(LEAVE)[0].split("\x1b[H")[1:]
    return [[ESCAPE.sub("", line) for line in frame.split("\r\n")] for frame in drawn]


class Demo(unittest.TestCase):
    def open(self, *arguments, **environment):
        terminal = Terminal(*arguments, **environment)
        self.addCleanup(terminal.close)
        return terminal

    def check_clean(self, text):
        self.assertEqual(text.count(ENTER), 1)
        self.assertEqual(text.count(LEAVE), 1)
        self.assertLess(text.rindex("\x1b[?25l"), text.rindex("\x1b[?25h"))
        self.assertNotIn("\x1b[H", text[text.rindex(LEAVE):])

    def test_a_run_in_80_columns_without_colours(self):
        status, text = self.open(80, 24, "--once", NO_COLOR="1").finish()
        self.assertEqual(status, 0, text[-3000:])
        self.check_clean(text)
        self.assertNotRegex(text.partition(LEAVE)[0], r"\x1b\[[1-9][0-9;]*m")
        for frame in frames(text):
            self.assertLessEqual(len(frame), 24)
            self.assertLess(max(map(len, frame)), 80)
        last = "\n".join(frames(text)[-1])
        self.assertRegex(last, r"web-01 +run ─✖ break [0-9.]+ m?s ─ dump [0-9.]+ s ─✔ written ─ reboot")
        self.assertRegex(last, "sql-02 .*─■ held")
        self.assertRegex(last, "build-01 +run ─● 1 question answered ─ run")
        self.assertIn('"event":"crash_status"', last)
        self.assertRegex(last, "newest result: [a-z]+-01: ")
        after = ESCAPE.sub("", text.partition(LEAVE)[2])
        self.assertRegex(after, "web-01 +WRITTEN +STATUS_SUCCESS")
        self.assertLess(max(len(line) for line in after.split("\r\n")), 81)

    def test_ctrl_c_hands_the_terminal_back(self):
        terminal = self.open(160, 40)
        terminal.read_until(b"nothing happens")
        os.kill(terminal.process.pid, signal.SIGINT)
        status, text = terminal.finish()
        self.assertEqual(status, 130, text[-2000:])
        self.check_clean(text)
        self.assertRegex(text, r"\x1b\[1mweb-01")
        self.assertIn("demo: ended", text[text.rindex(LEAVE):])


class Drawing(unittest.TestCase):
    def test_a_line_that_has_no_room_loses_its_oldest_steps(self):
        timeline = screen.Timeline()
        for i in range(screen.STEPS_MAX + 5):
            timeline.add("●", f"step {i}", None)
        text = "".join(piece for piece, _ in timeline.pieces(40, False))
        self.assertTrue(text.startswith("… ─● step"), text)
        self.assertTrue(text.endswith(f"step {screen.STEPS_MAX + 4}"), text)
        self.assertLessEqual(len(text), 40)
        self.assertEqual(len(timeline.steps), screen.STEPS_MAX)

    def test_two_collectors_fit_a_terminal_of_80_columns_and_one_of_160(self):
        picture = fleet.FleetScreen(mock.Mock(encoding="utf-8"))
        shown = [machines.Machine(i, *row[:3], [row[3]]) for i, row in enumerate(fleet.MACHINES)]
        for one in shown:
            for mark, word in (("", "run"), ("✖", "c1 break"), ("", "dump"), ("✘", "c2 failed IO_DEVICE_ERROR"), ("", "reboot"), ("", "run")):
                one.timeline.add(mark, word, None, mark == "✖")
        panel = [[("machines send to ", None), ("127.0.0.1:65535", "strong")], *[[("c1 ".ljust(50), "good")]] * 4]
        for columns, rows in ((80, 24), (160, 40), (60, 18)):
            picture.size = os.terminal_size((columns, rows))
            lines = [ESCAPE.sub("", line) for line in picture.frame(shown, panel, ["x" * 200] * 5, "Ctrl-C ends it all.", fleet.TITLE)]
            self.assertLessEqual(len(lines), rows)
            self.assertLess(max(map(len, lines)), columns)
            self.assertEqual(lines[-1], "Ctrl-C ends it all.")
            text = "\n".join(lines)
            self.assertIn("machines send to 127.0.0.1:65535", text)
            if rows > 18:
                self.assertEqual([name for name, *_ in fleet.MACHINES if not re.search(f"^{name} .*c2 failed", text, re.M)], [])

    def test_json_is_broken_and_nothing_of_it_is_lost(self):
        event = {"event": "crash_status", "text": "x" * 200, "parts": list(range(50)), "a": {"b": None}}
        for width in (59, 79, 159):
            lines = screen.json_lines(event, width)
            self.assertLessEqual(max(map(len, lines)), width)
            self.assertEqual(json.loads("".join(lines)), event)

    def test_terminals_without_utf8_get_plain_marks(self):
        out = mock.Mock(encoding="ascii")
        screen.Screen(out).write("run ─✖ break ─✔ written")
        out.write.assert_called_once_with("run -x break -+ written")

    def test_each_end_of_a_crash_has_a_step_of_its_own(self):
        event = {"phase": "shutdown", "status_name": None, "status": None, "reason": None}
        words = [machines.conclusion({**event, **more})[1] for more in (
            {"verdict": "written"}, {"verdict": "failed", "status_name": "STATUS_DISK_FULL"},
            {"verdict": "failed", "status": "0xC1"}, {"verdict": "not_started"},
            {"verdict": "unknown", "reason": "no_symbols"})]
        self.assertEqual(words, ["written", "failed DISK_FULL", "failed 0xC1", "not started", "unknown no_symbols"])


if __name__ == "__main__":
    PROGRAMS = os.path.abspath(sys.argv.pop(1))
    unittest.main()
