# SPDX-License-Identifier: Apache-2.0
"""The driver of the client, and what is true of a store after each answer. Who is run with DRIVER curl|offline imports
this."""
import os
import pathlib
import select
import shutil
import subprocess
import sys
import tempfile
import unittest

from misbehaving import GUIDAGE, NAME, PDB, Server

DRIVER = sys.argv[1] if len(sys.argv) > 1 else "symbol_server_driver"
OFFLINE = len(sys.argv) > 2 and sys.argv[2] == "offline"
OTHER = "8E3373D6124E747F0E72EF8E02E676B32"
START = 1700000000
DAY = 24 * 3600
PATIENCE = 20.0  # sanitizers are slow; each case has a deadline of its own below this


class Driver:
    def __init__(self, environment=None, **settings):
        clean = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
        clean.update(environment or {})
        settings.setdefault("now", START)
        self.process = subprocess.Popen([DRIVER] + [f"{name}={value}" for name, value in settings.items()], env=clean,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.first = self.line(PATIENCE)

    def line(self, deadline):
        ready, _, _ = select.select([self.process.stdout], [], [], deadline)
        if not ready:
            raise AssertionError(f"no answer within {deadline} s")
        line = b""
        while not line.endswith(b"\n"):  # unbuffered: select must know what is left
            byte = os.read(self.process.stdout.fileno(), 1)
            if byte == b"":
                raise AssertionError("the driver died: " + self.process.stderr.read().decode(errors="replace"))
            line += byte
        return line.decode().rstrip("\n")

    def tell(self, *words):
        self.process.stdin.write(("\t".join(str(word) for word in words) + "\n").encode())
        self.process.stdin.flush()

    def ask(self, *words, deadline=PATIENCE):
        self.tell(*words)
        return self.line(deadline)

    def fetch(self, name=NAME, guidage=GUIDAGE, deadline=PATIENCE):
        return self.ask("fetch", name, guidage, deadline=deadline).split("\t")

    def end(self):
        _, errors = self.process.communicate(timeout=PATIENCE)
        return self.process.returncode, errors.decode(errors="replace")


class Case(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="kdnetd-symbols-"))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.store = self.folder / "above" / "store"
        self.server = Server()
        self.addCleanup(self.server.server_close)
        self.addCleanup(self.server.shutdown)

    def driver(self, behaviour=None, url=None, **settings):
        driver = Driver(directory=self.store, url=url or self.server.at(behaviour), **settings)
        self.assertEqual(driver.first, "ready")
        self.addCleanup(self.check_end, driver)
        return driver

    def check_end(self, driver):
        if driver.process.returncode is None:
            code, errors = driver.end()
            self.assertEqual((code, errors), (0, ""))

    def partials(self):
        folder = self.store / ".kdnetd-partial"
        return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []

    def stored(self):
        """What the store holds but our own files, whose names begin with a dot."""
        return sorted(str(path.relative_to(self.store)) for path in self.store.glob("[!.]*/**/*"))

    def check_ok(self, answer, name=NAME, content=PDB, guidage=GUIDAGE):
        result, path, reason = answer
        self.assertEqual((result, reason), ("ok", ""))
        self.assertEqual(path, str(self.store / NAME / guidage / name))
        self.assertEqual(pathlib.Path(path).read_bytes(), content)
        self.assertEqual(self.partials(), [])

    def check_not(self, answer, result, pattern):
        self.assertEqual(answer[:2], [result, ""])
        self.assertRegex(answer[2], pattern)
        self.assertEqual(self.partials(), [])
        self.assertEqual(self.stored(), [])

    def check_remembered(self, driver, answer, seconds):
        """The same again, without a request."""
        again = driver.fetch()
        self.assertEqual(again, answer[:2] + [f"{answer[2]}; asked again in {seconds} s"])
        self.assertEqual(self.server.files(), [])
