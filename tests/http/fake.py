# SPDX-License-Identifier: Apache-2.0
"""Starts http_fake, and talks to it, byte by byte where that matters."""
import http.client
import json
import os
import pathlib
import shutil
import socket
import subprocess
import tempfile
import time
import unittest

SOURCE = pathlib.Path(os.environ.get("KDNETD_SOURCE", pathlib.Path(__file__).resolve().parents[2]))
BUILD = pathlib.Path(os.environ.get("KDNETD_BUILD", SOURCE / "build" / "release"))
PATIENCE = 60.0
ACT = "a" * 32
READ = "r" * 32


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Answer:
    def __init__(self, response, body):
        self.status = response.status
        self.headers = response.headers
        self.body = body

    def json(self):
        return json.loads(self.body)


class Fake:
    """http_fake on an address and a socket of its own."""

    def __init__(self, *options, folder, tcp=True):
        self.folder = folder
        self.port = free_port()
        self.socket = str(folder / "kdnetd.sock")
        command = [str(BUILD / "tests" / "http_fake"), "--socket", self.socket]
        if tcp:
            command += ["--address", f"127.0.0.1:{self.port}"]
        self.closed_log = ""
        self.log = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen([*command, *map(str, options)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=self.log, text=True)
        assert self.process.stdout.readline() == "open\n"
        self.wait_open(tcp)

    def wait_open(self, tcp):
        """Both are open when the Unix socket is: TCP is next, on the same thread."""
        for _ in range(6000):
            try:
                self.connect(local=not tcp).close()
                return
            except OSError:
                if self.process.poll() is not None:
                    break
                time.sleep(0.01)
        raise AssertionError(f"http_fake does not listen: {self.said()}")

    def said(self):
        if self.closed_log:
            return self.closed_log
        self.log.seek(0)
        return self.log.read()

    def cpu_s(self):
        words = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")

    def tell(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        assert self.process.stdout.readline() == "done\n"

    def connect(self, local=False):
        sock = socket.socket(socket.AF_UNIX if local else socket.AF_INET)
        sock.settimeout(PATIENCE)
        try:
            sock.connect(self.socket if local else ("127.0.0.1", self.port))
        except OSError:
            sock.close()
            raise
        return sock

    def ask(self, path, method="GET", body=None, headers=None, local=False, token=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        connection.sock = self.connect(local)
        headers = dict(headers or {})
        if token:
            headers["Authorization"] = f"Bearer {token}"
        if body is not None and not isinstance(body, (bytes, str)):
            body = json.dumps(body)
        if body is not None:
            headers.setdefault("Content-Type", "application/json")
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        answer = Answer(response, response.read())
        connection.close()
        return answer

    def raw(self, data, local=False):
        """Sends bytes, and returns all that comes until the server closes."""
        with self.connect(local) as sock:
            sock.sendall(data)
            return read_all(sock)

    def close(self):
        if self.process.poll() is None:
            try:
                self.process.stdin.write("quit\n")
                self.process.stdin.close()
                self.process.wait(PATIENCE)
            except (OSError, subprocess.TimeoutExpired):
                self.process.kill()
                self.process.wait()
        if self.closed_log:
            return self.process.returncode
        self.process.stdout.close()
        self.closed_log = self.said() or "nothing"
        self.log.close()
        return self.process.returncode


def get(path, *headers, version="1.1"):
    """The bytes of a request."""
    return "\r\n".join([f"GET {path} HTTP/{version}", "Host: localhost", *headers, "", ""]).encode()


def read_all(sock):
    data = b""
    while True:
        try:
            piece = sock.recv(65536)
        except ConnectionResetError:
            return data
        if not piece:
            return data
        data += piece


class Case(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="kdnetd-http-"))
        self.fakes = []

    def tearDown(self):
        codes = [fake.close() for fake in self.fakes]
        shutil.rmtree(self.folder, ignore_errors=True)
        for fake, code in zip(self.fakes, codes):
            self.assertEqual(code, 0, fake.said())

    def fake(self, *options, **more):
        fake = Fake(*options, folder=self.folder, **more)
        self.fakes.append(fake)
        return fake

    def tokens(self):
        path = self.folder / "tokens"
        path.write_text(f"alice act {ACT}\nbob read {READ}\n")
        path.chmod(0o600)
        return path

    def check_problem(self, answer, status, name, field=None):
        self.assertEqual(answer.status, status, answer.body)
        self.assertEqual(answer.headers["Content-Type"], "application/problem+json")
        problem = answer.json()
        self.assertEqual(problem["type"], f"urn:kdnetd:problem:{name}")
        self.assertEqual(problem["status"], status)
        for member in ("title", "detail", "instance"):
            self.assertIn(member, problem)
        if field:
            self.assertEqual(problem.get("field"), field, problem)
        return problem

    def check_raw_problem(self, data, status, name):
        head, _, body = data.partition(b"\r\n\r\n")
        self.assertTrue(head.startswith(f"HTTP/1.1 {status} ".encode()), data[:200])
        self.assertIn(b"Content-Type: application/problem+json", head)
        self.assertEqual(json.loads(body)["type"], f"urn:kdnetd:problem:{name}")
