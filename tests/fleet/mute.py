# SPDX-License-Identifier: Apache-2.0
"""Servers that take connections, and then say nothing, or only a greeting, or one byte now and then."""
import json
import socket
import threading

import nats

KINDS = {"silent": None, "greets": False, "trickles": False, "stops in TLS": True, "trickles in TLS": True}
HELLO = b"\x16\x03\x03\x40\x00\x02\x00\x3f\xf0\x03\x03"  # of a server: the beginning of a long message


class Mute:
    def __init__(self, case, kind):
        self.kind, self.port, self.opened = kind, nats.free_port(), []
        self.url = f"nats://127.0.0.1:{self.port}"
        self.ended = threading.Event()
        self.socket = socket.create_server(("127.0.0.1", self.port))
        threading.Thread(target=self.run, daemon=True).start()
        case.addCleanup(self.end)

    def info(self):
        said = {"server_id": "x", "version": "2.9.10", "proto": 1, "host": "127.0.0.1", "port": self.port, "headers": True,
                "max_payload": 1 << 20, "tls_required": KINDS[self.kind]}
        return b"INFO " + json.dumps(said).encode() + b"\r\n"

    def run(self):
        while True:
            try:
                one, _ = self.socket.accept()
            except OSError:
                return
            self.opened.append(one)
            threading.Thread(target=self.serve, args=(one,), daemon=True).start()

    def trickle(self, one, byte):
        while not self.ended.wait(0.1):
            one.sendall(byte)

    def serve(self, one):
        try:
            if self.kind == "trickles":
                self.trickle(one, b"I")
            if self.kind != "silent":
                one.sendall(self.info())
            if self.kind == "trickles in TLS":
                one.recv(1000)
                one.sendall(HELLO)
                self.trickle(one, b"\x03")
        except OSError:
            pass

    def end(self):
        self.ended.set()
        for one in (self.socket, *self.opened):
            one.close()
