# SPDX-License-Identifier: Apache-2.0
"""The address that machines send to, in the place of keepalived or a router: passes datagrams to one collector or to none.

A collector sees a machine at an address of 127.3.0.0/24, the same whoever has the way; no right is needed for that."""
import selectors
import socket
import sys
import threading

LARGEST = 65536
LOOK_S = 0.2


def bound(ip):
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.bind((ip, 0))
    made.setblocking(False)
    return made


class Way(threading.Thread):
    """`to`: the collector that has the address, (ip, port); None: nobody has."""

    def __init__(self):
        super().__init__(daemon=True)
        self.front, self.backs = bound("127.0.0.1"), {}
        self.port = self.front.getsockname()[1]
        self.to, self.ended = None, False
        self.selector = selectors.DefaultSelector()
        self.selector.register(self.front, selectors.EVENT_READ, None)

    def end(self):
        self.ended = True
        self.join()
        for one in (self.front, *self.backs.values()):
            one.close()
        self.selector.close()

    def run(self):
        while not self.ended:
            for key, _ in self.selector.select(LOOK_S):
                self.pass_on(key.fileobj, key.data)

    def back_of(self, machine):
        if machine not in self.backs:
            self.backs[machine] = bound(f"127.3.0.{len(self.backs) % 250 + 1}")
            self.selector.register(self.backs[machine], selectors.EVENT_READ, machine)
        return self.backs[machine]

    def pass_on(self, at, machine):
        try:
            datagram, source = at.recvfrom(LARGEST)
            if machine:
                self.front.sendto(datagram, machine)
            elif self.to:
                self.back_of(source).sendto(datagram, self.to)
        except OSError:  # "connection refused": nobody is there
            pass


if __name__ == "__main__":
    sys.exit("this is a part of fleet.py")
