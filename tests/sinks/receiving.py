# SPDX-License-Identifier: Apache-2.0
"""A feeder with sinks, and a small receiver on loopback that checks what comes. Who is run with FEEDER imports this."""
import gzip
import http.server
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import unittest

FEEDER = sys.argv.pop(1)
PATIENCE = 60.0
os.environ.pop("http_proxy", None)


def event(n, kind="crash_status", verdict="written", phase="bugcheck_second", target="web-17", labels=None, **more):
    made = {"time": f"2026-11-25T10:00:{n % 60:02}.{n:06}Z", "event": kind, "id": f"c1-{n:016x}", "collector": "c1", "target": target,
            "address": "192.0.2.7:51111", "session": None, "boot": None, "crash": f"{n:016x}", "labels": labels or {}}
    if kind == "crash_status":
        made |= {"phase": phase, "verdict": verdict, "status": None, "status_name": "STATUS_DISK_FULL" if verdict == "failed" else None,
                 "reason": None, "bugcheck": {"code": "0x000000D1", "name": "DRIVER_IRQL_NOT_LESS_OR_EQUAL", "parameters": []}}
    return made | more


class Receiver:
    """An HTTP server that keeps each body, and answers as it is told."""

    def __init__(self, answer=None):
        self.bodies, self.lock = [], threading.Condition()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                status, reply, headers = (answer or (lambda *_: (200, "{}", {})))(self.path, self.headers, body)
                with outer.lock:
                    outer.bodies.append((self.path, self.headers, body, status))
                    outer.lock.notify_all()
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                reply = reply.encode()
                self.send_header("Content-Length", str(len(reply)))
                self.end_headers()
                try:
                    self.wfile.write(reply)
                except OSError:  # the sink was killed meanwhile
                    pass

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def wait(self, done):
        """Until done(bodies) is true; returns its value."""
        end = time.monotonic() + PATIENCE
        with self.lock:
            while not (value := done(self.bodies)):
                left = end - time.monotonic()
                assert left > 0, f"it did not come; there are {self.bodies[-3:]}"
                self.lock.wait(min(left, 1))
            return value

    def taken(self, parse):
        """Events of the bodies that were answered with 2xx."""
        return [one for path, headers, body, status in list(self.bodies) if status < 300 for one in parse(body)]

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class Case(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="kdnetd-sinks-"))
        self.addCleanup(shutil.rmtree, self.folder)
        self.wanted = {}

    def receiver(self, answer=None):
        one = Receiver(answer)
        self.addCleanup(one.close)
        return one

    def start(self, *sinks, **environment):
        config = self.folder / "kdnetd.yaml"
        config.write_text(json.dumps({"collector": "c1", "sinks": list(sinks)}))
        process = subprocess.Popen([FEEDER, str(config), str(self.folder / "kdnetd.db")], stdin=subprocess.PIPE,
                                   stderr=subprocess.PIPE, text=True, env=os.environ | environment)
        self.addCleanup(self.end, process)
        process.said = []
        process.reader = threading.Thread(target=lambda: process.said.extend(iter(process.stderr.readline, "")), daemon=True)
        process.reader.start()
        return process

    @staticmethod
    def end(process):
        if process.poll() is None:
            process.kill()
        process.wait()
        for pipe in (process.stdin, process.stderr):
            if pipe:
                try:
                    pipe.close()
                except OSError:
                    pass

    @staticmethod
    def tell(process, *events):
        for one in events:
            process.stdin.write(json.dumps(one) + "\n")
        process.stdin.flush()

    @staticmethod
    def counts(process):
        """What it last said of its sinks: {name: {field: value}}."""
        lines = re.findall(r"^(\w+) (?:http|syslog|journal) (delivered=.*)$", "".join(process.said), re.M)
        return {name: dict(re.findall(r'(\w+)=("[^"]*"|\S+)', rest)) for name, rest in lines} | {"": "".join(process.said)}

    def wait_counts(self, process, **wanted):
        """Until sink `s` says so. Returns its counts."""
        end = time.monotonic() + PATIENCE
        while True:
            process.stdin.write("status\n")
            process.stdin.flush()
            counts = self.counts(process).get("s", {})
            if all(counts.get(name) == str(value) for name, value in wanted.items()):
                return counts
            self.assertLess(time.monotonic(), end, process.said[-20:])
            time.sleep(0.05)

    def finish(self, process, **wanted):
        """Ends it, once sink `s` says what is wanted. Returns what it said last."""
        if wanted:
            self.wait_counts(process, **wanted)
        process.stdin.close()
        self.assertEqual(process.wait(PATIENCE), 0, process.said)
        process.reader.join(PATIENCE)
        return self.counts(process)

    def deliver(self, answer, fields, events, parse, count=None):
        """Events through one sink, until as many as are wanted have been taken. Returns (receiver, what was taken)."""
        receiver = self.receiver(answer)
        process = self.start({"name": "s", "type": "http", "url": receiver.url} | fields)
        self.tell(process, *events)
        receiver.wait(lambda _: len(receiver.taken(parse)) >= (len(events) if count is None else count))
        self.said = self.finish(process, **self.wanted)
        return receiver, receiver.taken(parse)


def lines_of(body):
    return [json.loads(line) for line in body.decode().splitlines()]
