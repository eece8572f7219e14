# SPDX-License-Identifier: Apache-2.0
"""A relay that records, loses, doubles and delays: between one machine and kdnetd."""
import os
import select
import socket
import threading
import time

from surroundings import PATIENCE, place


class Relay(threading.Thread):
    """Stands between one machine and kdnetd, and notes each datagram: (time, from_host, bytes).

    The machine sends to `place`; kdnetd sees `ip` and a port. `decide(relay, from_host, datagram)` may keep a datagram
    back by returning False, and pass it on itself, later or twice. Packet contents are sealed: what can be seen is the version, the channel and the length.
    """

    def __init__(self, case, host, ip=None, decide=None):
        super().__init__(daemon=True)
        host_ip, port = host.rsplit(":", 1)
        self.ip = ip or case.next_ip()
        self.host = (host_ip, int(port))
        self.near = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.near.bind((self.ip, 0))
        self.far = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.far.bind((self.ip, 0))
        self.place = place(*self.near.getsockname())
        self.far_place = place(*self.far.getsockname())
        self.machine = None
        self.decide = decide
        self.seen = []
        self.wake_read, self.wake_write = os.pipe()
        case.started.append(self)
        self.start()

    def run(self):
        while True:
            ready, _, _ = select.select([self.near, self.far, self.wake_read], [], [])
            if self.wake_read in ready:
                return
            for one in ready:
                self._receive(one)

    def _receive(self, one):
        try:
            datagram, source = one.recvfrom(65536)
        except OSError:  # "connection refused": kdnetd is not there
            return
        from_host = one is self.far
        if not from_host:
            self.machine = source
        self.seen.append((time.time(), from_host, datagram))
        if self.decide is None or self.decide(self, from_host, datagram) is not False:
            self.pass_on(from_host, datagram)

    def pass_on(self, from_host, datagram):
        try:
            if not from_host:
                self.far.sendto(datagram, self.host)
            elif self.machine:
                self.near.sendto(datagram, self.machine)
        except OSError:  # closed, or nobody is there
            pass

    def count(self, from_host, since=0.0):
        return sum(1 for when, host, _ in list(self.seen) if host == from_host and when >= since)

    def wait_quiet(self, duration):
        """Waits until nothing came from kdnetd for that long, in seconds."""
        end = time.monotonic() + PATIENCE
        while self.count(True, time.time() - duration) > 0:
            if time.monotonic() > end:
                raise AssertionError(f"kdnetd does not stop sending: {self.count(True)} datagrams")
            time.sleep(0.05)

    def clean_up(self):
        if self.wake_write is None:
            return
        os.write(self.wake_write, b"x")
        self.join(PATIENCE)
        self.near.close()
        self.far.close()
        os.close(self.wake_read)
        os.close(self.wake_write)
        self.wake_write = None

    def tell(self):
        pass


def is_data(datagram):
    return len(datagram) > 6 and datagram[5] == 0


def is_poke(datagram):
    return len(datagram) == 374 and datagram[5] == 1
