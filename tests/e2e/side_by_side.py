# SPDX-License-Identifier: Apache-2.0
"""Runs the tests of a module that mostly wait: several at a time, each in a process of its own."""
import atexit
import os
import signal
import sys
import tempfile
import unittest


def _each_test(suite):
    for one in suite:
        if isinstance(one, unittest.TestSuite):
            yield from _each_test(one)
        else:
            yield one


class SideBySide:
    """A runner that gives each test a process of its own, `at_once` of them at a time, and prints what each one says."""

    def __init__(self, at_once):
        self.at_once = at_once
        self.running = {}  # process id: what it says, a file
        self.testsRun = self.failed = 0  # unittest asks for the first, since Python 3.12
        self.skipped = []

    def wasSuccessful(self):
        return self.failed == 0

    def run(self, suite):
        waiting = list(_each_test(suite))
        try:
            while waiting or self.running:
                while waiting and len(self.running) < self.at_once:
                    self._begin(waiting.pop(0))
                self._end_one()
        finally:
            for pid in self.running:
                os.kill(pid, signal.SIGTERM)
            while self.running:
                self._end_one()
        return self

    def _begin(self, test):
        said = tempfile.TemporaryFile("w+")
        sys.stdout.flush()
        pid = os.fork()
        if pid != 0:
            self.running[pid] = said
            self.testsRun += 1
            return
        code = 1
        try:
            os.dup2(said.fileno(), sys.stdout.fileno())
            os.dup2(said.fileno(), sys.stderr.fileno())
            result = unittest.TextTestRunner(verbosity=2).run(unittest.TestSuite([test]))
            code = 0 if result.wasSuccessful() else 1
        finally:
            sys.stdout.flush()
            atexit._run_exitfuncs()  # os._exit runs none of them
            os._exit(code)

    def _end_one(self):
        pid, status = os.wait()
        said = self.running.pop(pid)
        self.failed += status != 0
        said.seek(0)
        sys.stdout.write(said.read())
        sys.stdout.flush()
        said.close()
