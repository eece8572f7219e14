# SPDX-License-Identifier: Apache-2.0
"""Server-sent events: from now, from an event on, and for readers that do not read."""
import json
import socket
import time
import unittest

import fake
from fake import PATIENCE


class Stream:
    def __init__(self, server, query="", headers=(), local=False):
        self.sock = server.connect(local)
        request = [f"GET /api/v1/stream{query} HTTP/1.1", "Host: localhost", *headers, "", ""]
        self.sock.sendall("\r\n".join(request).encode())
        self.file = self.sock.makefile("rb")
        self.status = self.file.readline().split()[1]
        self.headers = {}
        for line in iter(self.file.readline, b"\r\n"):
            name, _, value = line.decode().partition(":")
            self.headers[name.lower()] = value.strip()
        self.retry = self.block()

    def block(self):
        """The lines until an empty one, comments left out; None: the stream has ended."""
        fields = {}
        for line in self.file:
            line = line.decode().rstrip("\n")
            if line == "" and fields:
                return fields
            if line != "" and not line.startswith(":"):
                name, _, value = line.partition(": ")
                fields[name] = value
        return None

    def ids(self, count):
        return [self.block()["id"] for _ in range(count)]

    def close(self):
        self.file.close()
        self.sock.close()


def ids_of(server, query=""):
    return [json.loads(line)["id"] for line in server.ask(f"/api/v1/events{query}").body.splitlines()]


def is_established(server, client):
    """Whether the server's end of a connection is: not when it has closed it, read or not (proc(5), /proc/net/tcp)."""
    ends = f"{server.port:04X}", f"{client.getsockname()[1]:04X}"
    rows = (row.split() for row in open("/proc/net/tcp", encoding="ascii").readlines()[1:])
    return any((row[1][-4:], row[2][-4:], row[3]) == (*ends, "01") for row in rows)


class Streams(fake.Case):
    def stream(self, *args, **more):
        stream = Stream(*args, **more)
        self.addCleanup(stream.close)
        return stream

    def test_from_now(self):
        server = self.fake()
        stream = self.stream(server)
        self.assertEqual((stream.status, stream.headers["content-type"]), (b"200", "text/event-stream; charset=utf-8"))
        self.assertEqual(stream.headers["x-accel-buffering"], "no")
        self.assertEqual(stream.retry, {"retry": "2000"})
        server.tell("publish 3")
        blocks = [stream.block() for _ in range(3)]
        self.assertEqual([block["id"] for block in blocks], ids_of(server, "?tail=3"))
        for block in blocks:
            self.assertEqual(json.loads(block["data"])["event"], block["event"])

    def test_from_an_event_on_in_memory_and_in_the_store(self):
        server = self.fake("--crashes", 3000)
        old = ids_of(server, "?limit=10000")
        server.tell("publish 20")
        everything = ids_of(server, "?limit=10000")
        stream = self.stream(server, f"?after={everything[-5]}")
        self.assertEqual(stream.ids(4), everything[-4:])
        again = self.stream(server, headers=[f"Last-Event-ID: {old[10]}"])
        self.assertEqual(again.ids(len(everything) - 11), everything[11:])
        server.tell("publish 2")
        self.assertEqual(again.ids(2), ids_of(server, "?tail=2"))
        self.assertEqual(stream.ids(2), ids_of(server, "?tail=2"))

    def test_an_event_that_is_gone_is_told(self):
        for option in ((), ("--no-store",)):
            server = self.fake(*option)
            server.tell("publish 1")
            if not option:
                want = {"oldest": ids_of(server)[0], "newest": ids_of(server, "?tail=1")[0]}
            stream = self.stream(server, "?after=c-0-1")
            block = stream.block()
            self.assertEqual(block["event"], "resync")
            if not option:
                self.assertEqual(json.loads(block["data"]), want)
            server.tell("publish 1")
            self.assertIn("id", stream.block())
            server.close()

    def test_filters(self):
        server = self.fake("--crashes", 0)
        stream = self.stream(server, "?type=break_in&type=released&target=db-01")
        server.tell("publish 100")
        block = stream.block()
        self.assertIn(block["event"], ("break_in", "released"))
        self.assertEqual(json.loads(block["data"])["target"], "db-01")

    def test_pings(self):
        server = self.fake("--ping-ms", 100)
        stream = self.stream(server)
        stream.sock.settimeout(PATIENCE)
        self.assertEqual(stream.file.readline(), b": ping\n")

    def test_as_many_as_there_may_be(self):
        server = self.fake("--streams", 5)
        streams = [self.stream(server) for _ in range(5)]
        self.check_problem(server.ask("/api/v1/stream"), 503, "busy")
        local = self.stream(server, local=True)
        streams[0].close()
        for _ in range(600):
            answer = server.ask("/api/v1/stream", "HEAD")
            if answer.status == 200:
                break
            time.sleep(0.1)
        server.tell("publish 1")
        for one in streams[1:] + [local]:
            self.assertIn("id", one.block())

    def test_who_does_not_read_is_closed_and_harms_nobody(self):
        server = self.fake()
        stuck = [socket.socket() for _ in range(20)]
        for sock in stuck:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            sock.settimeout(PATIENCE)
            sock.connect(("127.0.0.1", server.port))
            sock.sendall(b"GET /api/v1/stream HTTP/1.1\r\nHost: localhost\r\n\r\n")
            self.assertTrue(sock.recv(10))
        reader = self.stream(server)
        for _ in range(24):
            server.tell("publish 500")
            self.assertEqual(len(reader.ids(500)), 500)
        end = time.monotonic() + PATIENCE
        while any(is_established(server, sock) for sock in stuck):  # it takes two seconds of being behind
            self.assertLess(time.monotonic(), end)
            time.sleep(0.1)
        for sock in stuck:
            data = fake.read_all(sock)  # ends: the server has closed it
            self.assertLess(len(data), 24 * 500 * 300)
            sock.close()
        self.assertEqual(server.ask("/healthz").status, 200)
        server.tell("publish 1")
        self.assertIn("id", reader.block())


if __name__ == "__main__":
    unittest.main(verbosity=2)
