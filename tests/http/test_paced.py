# SPDX-License-Identifier: Apache-2.0
"""Requests and connections at a pace: floods wait their turn, and kdnetctl's socket waits for nobody."""
import socket
import time
import unittest

import fake
from fake import PATIENCE, get


class Paced(fake.Case):
    """Requests over TCP begin so often and no oftener: 20 a second, ten of them at once."""

    def paced(self, *more):
        return self.fake("--requests", 20, *more)

    def test_a_flood_is_answered_at_the_pace_and_in_order(self):
        server = self.paced()
        begun = time.monotonic()
        with server.connect() as sock:
            sock.sendall(get("/healthz") * 29 + get("/healthz", "Connection: close"))
            self.assertEqual(fake.read_all(sock).count(b"HTTP/1.1 200 OK\r\n"), 30)
        self.assertGreaterEqual(time.monotonic() - begun, 18 / 20)  # eleven began at once

    def test_one_connection_in_the_queue_is_one_turn(self):
        server = self.paced()
        with server.connect() as greedy, server.connect() as modest:
            greedy.sendall(get("/healthz") * 200)
            greedy.settimeout(PATIENCE)
            data = b""
            while data.count(b"HTTP/1.1 200 OK\r\n") < 13:  # now it waits for each
                data += greedy.recv(65536)
            modest.sendall(get("/healthz", "Connection: close"))
            self.assertTrue(fake.read_all(modest).startswith(b"HTTP/1.1 200 OK\r\n"))
            greedy.setblocking(False)
            try:
                while piece := greedy.recv(65536):
                    data += piece
            except BlockingIOError:
                pass
            self.assertLess(data.count(b"HTTP/1.1 200 OK\r\n"), 200)

    def test_the_unix_socket_waits_for_nobody(self):
        server = self.paced()
        with server.connect() as greedy:
            greedy.sendall(get("/healthz") * 200)
            answered = server.raw(get("/healthz") * 99 + get("/healthz", "Connection: close"), local=True)
            self.assertEqual(answered.count(b"HTTP/1.1 200 OK\r\n"), 100)
            self.assertLess(greedy.recv(1 << 20).count(b"HTTP/1.1 200 OK\r\n"), 200)

    def test_who_has_said_all_may_close_its_half_while_it_waits(self):
        server = self.paced()
        with server.connect() as greedy, server.connect() as half:
            greedy.sendall(get("/healthz") * 40)
            greedy.recv(1)
            half.sendall(get("/healthz"))
            half.shutdown(socket.SHUT_WR)
            self.assertTrue(fake.read_all(half).startswith(b"HTTP/1.1 200 OK\r\n"))

    def test_who_leaves_while_it_waits_takes_no_turn(self):
        server = self.paced()
        for _ in range(50):
            with server.connect() as leaver:
                leaver.sendall(get("/healthz") * 50)
                leaver.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        begun = time.monotonic()
        self.assertEqual(server.ask("/healthz").status, 200)
        self.assertLess(time.monotonic() - begun, PATIENCE / 2)
        self.assertEqual(server.close(), 0)

    def test_whose_turn_does_not_come_is_told_so(self):
        server = self.fake("--requests", 1, "--call-ms", 300)
        with server.connect() as sock:
            sock.sendall(get("/healthz") * 3)
            answers = fake.read_all(sock)
        self.assertIn(b"HTTP/1.1 503 Service Unavailable\r\n", answers)
        self.assertIn(b"wait for their turn", answers)
        self.assertIn(b"Retry-After: 1\r\n", answers)
        self.assertEqual(server.ask("/healthz", local=True).status, 200)

    def test_connections_are_accepted_at_their_pace(self):
        server = self.fake("--accepts", 20)
        begun = time.monotonic()
        for _ in range(30):
            self.assertEqual(server.ask("/healthz").status, 200)
        self.assertGreaterEqual(time.monotonic() - begun, 18 / 20)
        begun = time.monotonic()
        self.assertEqual(server.ask("/healthz", local=True).status, 200)
        self.assertLess(time.monotonic() - begun, PATIENCE / 2)


if __name__ == "__main__":
    unittest.main(verbosity=2)
