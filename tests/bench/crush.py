#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Presses on kdnetd's HTTP: crush.py ADDR:PORT STREAMS STUCK SLOW RATE. Says `ready` when all connections are made, and
a line of JSON with what it did when its standard input ends."""
import json
import resource
import select
import socket
import sys
import time

PIPELINED = 50  # requests at once
ASKED = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"


class Crowd:
    def __init__(self, address, streams, stuck, slow):
        self.address, self.streams = address, []
        for number in range(streams):
            one = self.connect(4096 if number < stuck else None)
            one.sendall(b"GET /api/v1/stream HTTP/1.1\r\nHost: localhost\r\n\r\n")
            if number >= stuck:
                self.streams.append(one)
            else:
                self.keep = getattr(self, "keep", []) + [one]  # nobody ever reads them
        self.slow = [self.start_slow() for _ in range(slow)]
        self.done = {"requests": 0, "bytes_of_streams": 0, "streams_closed": 0, "slow_closed": 0, "flood_failed": 0}
        self.flood, self.owed = None, 0

    def connect(self, buffer=None):
        one = socket.socket()
        if buffer:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        one.settimeout(60)
        one.connect(self.address)
        one.setblocking(False)
        return one

    def start_slow(self):
        one = self.connect()
        one.send(b"GET / HTTP/1.1\r\nHost: local")
        return one

    def read_streams(self):
        for one in select.select(self.streams, [], [], 0)[0] if self.streams else []:
            try:
                data = one.recv(1 << 16)
            except OSError:
                data = b""
            self.done["bytes_of_streams"] += len(data)
            if not data:
                self.streams.remove(one)
                one.close()
                self.done["streams_closed"] += 1

    def drip(self):
        for at, one in enumerate(self.slow):
            try:
                one.send(b"h")
            except OSError:
                one.close()
                self.done["slow_closed"] += 1
                try:
                    self.slow[at] = self.start_slow()
                except OSError:
                    pass

    def ask(self):
        """One lot of requests, once the one before is answered."""
        try:
            if not self.flood:
                self.flood = self.connect()
                self.owed = 0
            if self.owed > 0:
                data = self.flood.recv(1 << 16)
                self.owed = self.owed - data.count(b"HTTP/1.1 200") if data else -1
            if self.owed < 0:
                raise OSError("closed")
            if self.owed == 0:
                self.flood.send(ASKED * PIPELINED)
                self.owed = PIPELINED
                self.done["requests"] += PIPELINED
        except BlockingIOError:
            pass
        except OSError:
            self.flood = self.flood and self.flood.close()
            self.done["flood_failed"] += 1


def wait_open(address, patience=60):
    """HTTP's thread opens its address when it gets a processor: kdnetd waits for it with nothing."""
    end = time.monotonic() + patience
    while True:
        try:
            return socket.create_connection(address, 1).close()
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.05)


def main():
    host, port = sys.argv[1].rsplit(":", 1)
    streams, stuck, slow, rate = map(int, sys.argv[2:6])
    wanted = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, wanted))
    wait_open((host, int(port)))
    crowd = Crowd((host, int(port)), streams, stuck, slow)
    print("ready", flush=True)
    begun = dripped = read = time.monotonic()
    while not select.select([sys.stdin], [], [], 0.0005)[0]:
        now = time.monotonic()
        if crowd.done["requests"] < rate * (now - begun):
            crowd.ask()
        if now - read > 0.05:
            read = now
            crowd.read_streams()
        if now - dripped > 1:
            dripped = now
            crowd.drip()
    print(json.dumps(crowd.done | {"seconds": round(time.monotonic() - begun, 3)}), flush=True)


main()
