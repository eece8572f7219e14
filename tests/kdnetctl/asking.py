# SPDX-License-Identifier: Apache-2.0
"""kdnetctl, asked beside a kdnetd that answers by the contract. Who is run with PROGRAM TREE imports this."""
import json
import os
import pty
import select
import subprocess
import sys
import tempfile
import unicodedata
import unittest

import fake_server

PROGRAM, TREE = sys.argv.pop(1), sys.argv.pop(1)
CRASH = "6ae1abbada9a679d"
HOSTILE = "a\x1b[2Jb\u202ec\x07d\x9be\n\u2028f"
KEYS = ("1m770ts6ru0p.3671pemyie4i.2b8djy3wt5et.1p99ir125v4q", "29p34y6n3wd25.2q4f5zr37e3p3.12z8iq9y7jzb6.2cn6z43dvyrkt")
SILENCED = ("KDNETD_SOCKET", "KDNETD_URL", "KDNETD_TOKEN_FILE", "RUNTIME_DIRECTORY", "XDG_RUNTIME_DIR", "NO_COLOR",
            "COLUMNS", "LINES")


def environment(**more):
    kept = {name: value for name, value in os.environ.items() if name not in SILENCED and "proxy" not in name.lower()}
    return dict(kept, TZ="Europe/Berlin", **more)


def event(number, kind="connected", name="web-1", **more):
    return dict({"time": f"2016-11-26T08:14:{number % 60:02}.123456Z", "event": kind, "id": f"c1-1-{number}",
                 "collector": "c1", "target": name, "address": "192.0.2.7:1", "session": "1", "boot": None, "crash": None,
                 "labels": {}}, **more)


def width(text):
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


class Case(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="kdnetctl-")
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.fake = fake_server.Fake(self.folder)
        self.addCleanup(self.fake.close)

    def run_program(self, *arguments, env=None, code=0, **rest):
        done = subprocess.run([PROGRAM, *arguments], capture_output=True, text=True, timeout=60, check=False,
                              env=env or environment(KDNETD_SOCKET=self.fake.path), stdin=subprocess.DEVNULL, **rest)
        self.assertEqual(done.returncode, code, f"{arguments}\n{done.stdout}\n{done.stderr}")
        return done

    def lines(self, *arguments, **options):
        return [json.loads(line) for line in self.run_program(*arguments, "--json", **options).stdout.splitlines()]

    def on_terminal(self, *arguments, **env):
        """What a terminal is sent."""
        master, slave = pty.openpty()
        process = subprocess.Popen([PROGRAM, *arguments], stdout=slave, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL,
                                   env=environment(KDNETD_SOCKET=self.fake.path, TERM="xterm", **env))
        os.close(slave)
        data = b""
        while select.select([master], [], [], 60)[0]:
            try:
                some = os.read(master, 65536)
            except OSError:
                break
            if not some:
                break
            data += some
        os.close(master)
        process.communicate(timeout=60)
        self.assertEqual(process.returncode, 0)
        return data.decode()

    def asked(self):
        return [(method, path) for method, path, _, _ in self.fake.requests]
