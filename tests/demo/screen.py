# SPDX-License-Identifier: Apache-2.0
"""The demo's picture: a line a machine over time, and below it the newest result; drawn in place in a terminal."""
import json
import os
import shutil
import signal
import sys
import textwrap
import time

WIDE = 120  # columns from which there is room for what happens to each machine
LEAST_COLUMNS, LEAST_ROWS = 60, 18
STEPS_MAX = 40
TONES = {"good": "32", "bad": "31;1", "busy": "33", "quiet": "2", "strong": "1"}
MARKS = {"─": "-", "✖": "x", "✔": "+", "✘": "!", "■": "#", "●": "o", "…": "~"}  # for terminals without UTF-8


def is_drawable(out):
    """Whether this output is a terminal that can be drawn on."""
    size = shutil.get_terminal_size()
    return (out.isatty() and os.environ.get("TERM", "dumb") != "dumb"
            and size.columns >= LEAST_COLUMNS and size.lines >= LEAST_ROWS)


class Step:
    """What a machine does for a while: a mark, a word, how long it takes."""

    def __init__(self, mark, word, tone, clock=False, detail=""):
        self.mark, self.word, self.tone, self.detail = mark, word, tone, detail
        self.since, self.took, self.clock = time.monotonic(), None, clock

    def end(self, seconds):
        if self.clock and self.took is None:
            self.took = time.monotonic() - self.since if seconds is None else seconds

    def text(self, wide):
        words = [self.word] + ([self.detail] if wide and self.detail else [])
        if self.clock and (self.took is None or self.word != "reboot"):
            words.append(duration(self.took if self.took is not None else time.monotonic() - self.since))
        return f"{self.mark} {' '.join(words)}".lstrip()


class Timeline:
    """The steps of one machine."""

    def __init__(self):
        self.steps = []

    def add(self, mark, word, tone, clock=False, detail=""):
        self.end()
        self.steps = [*self.steps[1 - STEPS_MAX:], Step(mark, word, tone, clock, detail)]
        return self.steps[-1]

    def end(self, seconds=None):
        """The last step is over; it took so long, or as long as it was seen."""
        if self.steps:
            self.steps[-1].end(seconds)

    def pieces(self, width, wide):
        """The steps as (text, tone), the newest whole; older ones that have no room are an ellipsis."""
        texts = [(step.text(wide), step.tone) for step in self.steps]
        texts = [(text if i == 0 else f" ─{'' if step.mark else ' '}{text}", tone)
                 for i, ((text, tone), step) in enumerate(zip(texts, self.steps))]
        while len(texts) > 1 and sum(len(text) for text, _ in texts) > width:
            texts = [("…", "quiet"), *texts[2 if texts[0][0] == "…" else 1:]]
        return texts


def duration(seconds):
    return f"{seconds * 1000:.1f} ms" if seconds < 0.1 else f"{seconds:.1f} s"


def json_lines(event, width):
    """A result as kdnetd wrote it, broken between its members."""
    text, lines = json.dumps(event, separators=(",", ":"), ensure_ascii=False), [""]
    for i, part in enumerate(text.split(',"')):
        part = (',"' if i else "") + part
        if len(lines[-1]) + len(part) > width - 2:
            if lines[-1]:
                lines[-1] += part[:1]
                lines.append(part[1:])
                continue
        lines[-1] += part
    return [piece for line in lines for piece in textwrap.wrap(line, width, break_on_hyphens=False) or [""]]


class Screen:
    """Draws frames in the terminal's second screen, so that the first one is afterwards as it was."""

    def __init__(self, out):
        self.out, self.entered, self.stopped = out, False, False
        self.colours = not os.environ.get("NO_COLOR")
        try:
            "".join(MARKS).encode(out.encoding or "ascii")
            self.marks = {}
        except (UnicodeError, LookupError):
            self.marks = MARKS
        self.size = shutil.get_terminal_size()

    def enter(self):
        if not self.entered:
            self.entered = True
            self.write("\x1b[?1049h\x1b[?25l\x1b[?7l")
            signal.signal(signal.SIGTSTP, self.on_stop)

    def leave(self):
        if self.entered:
            self.entered = False
            self.write("\x1b[0m\x1b[?7h\x1b[?25h\x1b[?1049l")
            signal.signal(signal.SIGTSTP, signal.SIG_DFL)

    def on_stop(self, _number, _frame):
        self.stopped = True

    def stop_if_asked(self):
        """Ctrl-Z: the terminal is handed back until `fg`."""
        if self.stopped:
            self.stopped = False
            self.leave()
            os.kill(os.getpid(), signal.SIGTSTP)
            self.enter()

    def write(self, text):
        for mark, plain in self.marks.items():
            text = text.replace(mark, plain)
        try:
            self.out.write(text)
            self.out.flush()
        except BrokenPipeError:
            pass

    def paint(self, text, tone):
        return f"\x1b[{TONES[tone]}m{text}\x1b[0m" if self.colours and tone else text

    def line(self, pieces, width):
        """Pieces of text as one line of no more columns than there are."""
        painted = ""
        for text, tone in pieces:
            painted += self.paint(text[:width], tone)
            width = max(0, width - len(text))
        return painted

    def machine_lines(self, machines, width):
        wide = width >= WIDE
        names = max(len(machine.name) for machine in machines) + 2
        stories = max(len(machine.story) for machine in machines) + 2 if wide else 0
        lines = []
        for machine in machines:
            left = [(machine.name.ljust(names), "strong")]
            if wide:
                left.append((machine.story.ljust(stories), "quiet"))
            lines.append(self.line(left + machine.timeline.pieces(width - names - stories, wide), width))
        return lines

    def frame(self, machines, newest, words, footer, title):
        """All lines of a frame, no more than there are rows: the result's JSON gives way first, then machines."""
        columns, rows = self.size
        width = columns - 1
        lines = [self.paint(line, None) for line in textwrap.wrap(title, width)] + [""]
        room = max(1, rows - len(lines) - 4)
        lines += self.machine_lines(machines, width)[:room] + [""]
        if newest:
            lines += [self.paint(line, words[1]) for line in textwrap.wrap("newest result: " + words[0], width)]
            room = rows - len(lines) - 2
            parts = json_lines(newest, width)
            if len(parts) > room > 0:
                parts = parts[:room - 1] + [parts[room - 1][:width - 2] + " …"]
            lines += [self.line([(part, "quiet")], width) for part in parts[:max(0, room)]]
        return lines + ([""] if len(lines) < rows - 1 else []) + [self.line([(footer, None)], width)]

    def draw(self, *what):
        self.stop_if_asked()
        self.size = shutil.get_terminal_size()
        self.enter()
        lines = self.frame(*what)[:self.size.lines]
        self.write("\x1b[H" + "\n".join(line + "\x1b[K" for line in lines) + "\x1b[J")

    def keep(self, machines):
        """The last picture, on the first screen, where it stays."""
        self.leave()
        self.write("\n".join(self.machine_lines(machines, shutil.get_terminal_size().columns - 1)) + "\n")


def screen_for(out):
    return Screen(out) if is_drawable(out) else None


if __name__ == "__main__":
    sys.exit("this is a part of demo.py")
