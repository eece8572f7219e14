# SPDX-License-Identifier: Apache-2.0
"""What happens to the file or pipe of the results × how kdnetd goes on or ends: no result is lost without a word.

Machines crash while the fault is there, and go on. Then kdnetd is reloaded, told to end, or killed. Each result is then
in the file, in the pipe, or whole in the log; after a kill, at least as the log's own line for people.
"""
import ast
import fcntl
import json
import os
import pathlib
import queue
import re
import resource
import signal
import threading
import time
import unittest

import harness

COUNT = 3
AT_ONCE = 3
F_SETPIPE_SZ = 1031
HANGING = harness.BUILD / "tests" / "hung_share.so"
LOST = re.compile(r' result=("(?:[^"\\]|\\.)*")$', re.M)


class Fault:
    """A file of results to which something happens. `lasts`: results cannot be written before `mend`."""
    lasts = True

    def __init__(self, folder):
        self.folder = folder
        self.path = folder / "events"
        self.env = {}
        self.prepare()

    def prepare(self):  # before kdnetd starts
        pass

    def begin(self, daemon):  # while it runs, before the machines crash
        pass

    def mend(self, daemon):
        pass

    def text(self):
        """All that was written."""
        return "".join(p.read_text() for p in sorted(self.folder.glob("events*")) if p.is_file())

    def finish(self):
        pass


class MissingFolder(Fault):
    def prepare(self):
        self.path = self.folder / "later" / "events"

    def mend(self, daemon):
        self.path.parent.mkdir(exist_ok=True)

    def text(self):
        return self.path.read_text() if self.path.exists() else ""


class Folder(Fault):
    def prepare(self):
        self.path.mkdir()

    def mend(self, daemon):
        if self.path.is_dir():
            self.path.rmdir()


class Full(Fault):
    """In the middle of a line."""

    def begin(self, daemon):
        _, hard = resource.prlimit(daemon.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(daemon.pid, resource.RLIMIT_FSIZE, (self.path.stat().st_size + 300, hard))

    def mend(self, daemon):
        if daemon is None:
            return  # the limit died with it
        _, hard = resource.prlimit(daemon.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(daemon.pid, resource.RLIMIT_FSIZE, (hard, hard))


class FullDevice(Fault):
    def prepare(self):
        self.path.symlink_to("/dev/full")

    def mend(self, daemon):
        if self.path.is_symlink():
            self.path.unlink()


class Deleted(Fault):
    lasts = False

    def begin(self, daemon):
        self.path.unlink()


class Renamed(Fault):
    lasts = False

    def begin(self, daemon):
        self.path.rename(self.folder / "events.1")


class Replaced(Fault):
    lasts = False

    def begin(self, daemon):
        other = self.folder / "other"
        other.write_text("")
        self.path.rename(self.folder / "events.1")
        other.rename(self.path)


class HalfALine(Fault):
    lasts = False

    def prepare(self):
        self.path.write_text('{"time":"2026-11-22T10:48:11.91')


class Fifo(Fault):
    """Nobody reads it until it is mended."""

    def prepare(self):
        os.mkfifo(self.path)
        self.reader = None
        self.got = b""

    def open(self):
        if self.reader is None:
            self.reader = os.open(self.path, os.O_RDONLY | os.O_NONBLOCK)

    def mend(self, daemon):
        self.open()

    def text(self):
        try:
            while self.reader is not None and (some := os.read(self.reader, 65536)):
                self.got += some
        except BlockingIOError:
            pass
        return self.got.decode()

    def finish(self):
        if self.reader is not None:
            os.close(self.reader)


class SlowReader(Fifo):
    """It has the pipe open, and reads nothing until it is mended."""

    def prepare(self):
        super().prepare()
        self.open()
        fcntl.fcntl(self.reader, F_SETPIPE_SZ, 4096)


class ReaderCloses(Fifo):
    def prepare(self):
        super().prepare()
        self.open()

    def begin(self, daemon):
        os.close(self.reader)
        self.reader = None


class Hangs(Fault):
    """From the start: it cannot even be opened."""

    def prepare(self):
        share = self.folder / "hung"
        share.mkdir()
        self.flag = share / "hangs"
        self.path = share / "events"
        self.env = {"LD_PRELOAD": str(HANGING)}
        self.flag.touch()

    def mend(self, daemon):
        self.flag.unlink(missing_ok=True)

    def text(self):
        return self.path.read_text() if self.path.exists() else ""


class HangsLater(Hangs):
    def prepare(self):
        super().prepare()
        self.flag.unlink()

    def begin(self, daemon):
        self.flag.touch()


FAULTS = (MissingFolder, Folder, Full, FullDevice, Deleted, Renamed, Replaced, HalfALine, Fifo, SlowReader, ReaderCloses)
SHARES = (Hangs, HangsLater)


def told_whole(log):
    """Results that the log has whole."""
    return [json.loads(ast.literal_eval(quoted)) for quoted in LOST.findall(log)]


def parse(text):
    """Events, and what is none: halves of lines."""
    good, bad = [], []
    for line in text.splitlines():
        try:
            good.append(json.loads(line))
        except ValueError:
            bad.append(line)
    return good, bad


class Trial:
    """One fault × one end."""

    def __init__(self, case, fault, number):
        self.case = case
        self.folder = case.folder / f"trial{number}"
        self.folder.mkdir()
        self.fault = fault(self.folder)
        self.number = number
        self.listen = [harness.place(case.ip, harness.free_port(case.ip))]
        self.daemon = self.start()

    def start(self):
        options = []
        for round_number in range(2):
            for i in range(COUNT):
                key = harness.key_text(1, 2, 1 + round_number, 1 + i)
                options += ["--target", f"r{round_number}m{i}={key}"]
        return harness.Daemon(self.case, *options, listen=self.listen, events=self.fault.path, env=self.fault.env)

    def crash(self, round_number):
        machines = harness.Machines(self.case, self.listen[0], harness.key_text(1, 2, 1 + round_number, 1), "--count", COUNT,
                                    "--status", "0xC000007F", "--dump-ms", 50, scenario="bugcheck",
                                    seed=self.number * 1000 + round_number * 100 + 1)
        for summary in machines.wait():
            assert (summary["traps_again"], summary["released_wrongly"]) == (0, 0), summary

    def written(self):
        return parse(self.fault.text())

    def missing(self, round_number, *sources):
        wanted = {(f"r{round_number}m{i}", phase) for i in range(COUNT) for phase in ("bugcheck_first", "shutdown")}
        return wanted - {(e["target"], e["phase"]) for events in sources for e in events if e["event"] == "crash_status"}

    def wait_written(self, round_number):
        end = time.monotonic() + harness.PATIENCE
        while missing := self.missing(round_number, self.written()[0]):
            if time.monotonic() > end:
                raise AssertionError(f"not written: {missing}")
            time.sleep(0.05)

    def run(self, end):
        self.wait_open()
        self.fault.begin(self.daemon)
        self.crash(0)
        getattr(self, end)()
        for event in self.written()[0]:
            self.case.schema.check(event)

    def wait_open(self):
        """kdnetd serves before it has opened the file."""
        end = time.monotonic() + harness.PATIENCE
        while not self.fault.path.exists() and type(self.fault) not in (MissingFolder, Hangs):
            assert time.monotonic() < end, "the file is not made"
            time.sleep(0.01)

    def reload(self):
        self.daemon.signal(signal.SIGHUP)
        self.daemon.wait_log("configuration read again")
        self.fault.mend(self.daemon)
        self.wait_written(0)
        self.crash(1)
        self.wait_written(1)
        self.daemon.stop()
        self.no_half_lines()

    def no_half_lines(self):
        bad = self.written()[1]
        assert len(bad) <= (1 if isinstance(self.fault, HalfALine) else 0), bad

    def term(self):
        began = time.monotonic()
        self.daemon.stop(expect=1 if self.fault.lasts else 0)
        assert time.monotonic() - began < harness.PATIENCE
        whole = told_whole(self.daemon.log_text())
        missing = self.missing(0, self.written()[0], whole)
        assert not missing, f"lost without a word: {missing}"
        if self.fault.lasts:
            assert re.search(r"results were lost: .* lines=\d+ statuses=\d+", self.daemon.log_text()), self.daemon.log_text()
        assert not self.missing_kinds(whole), self.missing_kinds(whole)

    def missing_kinds(self, whole):
        """Not only statuses: what each machine told is there."""
        kinds = ("connected", "bugcheck", "break_in", "released")
        there = {(e["target"], e["event"]) for e in self.written()[0] + whole}
        return {(f"r0m{i}", kind) for i in range(COUNT) for kind in kinds} - there

    def kill(self):
        self.daemon.kill()
        self.daemon.log.join(harness.PATIENCE)
        log = self.daemon.log_text()
        for target, phase in self.missing(0, self.written()[0]):
            assert re.search(f"target={target} .*phase={phase}", log), f"lost without a word: {target} {phase}"
        self.fault.mend(None)
        self.daemon = self.start()
        self.crash(1)
        self.wait_written(1)
        self.daemon.stop()


class Results(harness.Case):
    def run_all(self, trials):
        wrong, waiting = [], queue.SimpleQueue()
        for one in trials:
            waiting.put(one)

        def work():
            while True:
                try:
                    number, fault, end = waiting.get_nowait()
                except queue.Empty:
                    return
                trial = None
                try:
                    trial = Trial(self, fault, number)
                    trial.run(end)
                except Exception as error:  # each is told, whatever it died of
                    log = trial.daemon.log_text()[-3000:] if trial else ""
                    wrong.append(f"{fault.__name__}, {end}: {type(error).__name__}: {error}\n{log}")
                finally:
                    if trial:
                        trial.fault.mend(trial.daemon if trial.daemon.process.poll() is None else None)
                        trial.fault.finish()

        threads = [threading.Thread(target=work) for _ in range(AT_ONCE)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertFalse(wrong, "\n".join(wrong))

    def matrix(self, faults, first):
        pairs = [(fault, end) for fault in faults for end in ("reload", "term", "kill")]
        self.run_all([(first + number, fault, end) for number, (fault, end) in enumerate(pairs)])

    def test_disks_and_pipes(self):
        self.matrix(FAULTS, 1)

    @unittest.skipUnless(HANGING.exists(), "sanitizers want to be loaded first: no share hangs")
    def test_shares_that_hang(self):
        self.matrix(SHARES, 100)

    @unittest.skipUnless(HANGING.exists(), "sanitizers want to be loaded first: no share hangs")
    def test_a_share_that_hangs_is_left_for_another_file_at_a_reload(self):
        flag, share, other = (self.folder / name for name in ("hung/hangs", "hung/events", "other"))
        config = self.folder / "k.yaml"
        flag.parent.mkdir()
        flag.touch()
        place = harness.place(self.ip, harness.free_port(self.ip))

        def configure(path):
            config.write_text(f'listen: ["{place}"]\nevents: "{path}"\ntargets:\n  - {{name: m, key: 1.2.3.4}}\n')
            config.chmod(0o600)

        configure(share)
        env = {"LD_PRELOAD": str(HANGING)}
        daemon = harness.Daemon(self, "--config", config, listen=[], events=None, env=env)
        machines = harness.Machines(self, place, "1.2.3.4", "--dump-ms", 50, scenario="bugcheck")
        machines.wait()
        daemon.wait_log("result file does not answer")
        configure(other)
        daemon.signal(signal.SIGHUP)
        end = time.monotonic() + harness.PATIENCE
        while '"shutdown"' not in (other.read_text() if other.exists() else ""):
            self.assertLess(time.monotonic(), end, daemon.log_text())
            time.sleep(0.05)
        self.assertEqual(daemon.log_text().count("is given up"), 1)
        flag.unlink()
        daemon.stop()
        self.assertEqual([e["phase"] for e in parse(other.read_text())[0] if e["event"] == "crash_status"],
                         ["bugcheck_first", "shutdown"])


if __name__ == "__main__":
    harness.main(at_once=4)
