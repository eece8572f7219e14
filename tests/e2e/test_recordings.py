# SPDX-License-Identifier: Apache-2.0
"""What a stranger with recorded pokes, and a neighbour with a key of its own, cannot take from a machine.

The stranger has no key: he plays pokes of eight boots of the machine, a thousand a second, from addresses of his own or with the
machine's. The machine is 50 ms away, so that its answer to a response is 50 times as late as the stranger's next poke.
"""
import socket
import threading
import time

import harness

BOOTS = 8
RATE = 1000
STATUS = "0xC0000001"


def record(case, key):
    """Two pokes of each boot."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sink:
        sink.bind((case.ip, 0))
        sink.settimeout(harness.PATIENCE)
        harness.Machines(case, harness.place(*sink.getsockname()), key, "--one-key", "--count", BOOTS, "--duration-ms", 3600,
                         scenario="idle", end=False)
        pokes = []
        while len(pokes) < 2 * BOOTS:
            datagram, _ = sink.recvfrom(65536)
            pokes += [datagram] if harness.is_poke(datagram) else []
    return pokes


class Stranger(threading.Thread):
    """Plays the pokes in turn, from each of the sockets in turn."""

    def __init__(self, case, host, sockets, pokes):
        super().__init__(daemon=True)
        ip, port = host.rsplit(":", 1)
        self.host = (ip, int(port))
        self.sockets, self.pokes = sockets, pokes
        self.over = threading.Event()
        case.started.append(self)
        self.start()

    def run(self):
        sent = 0
        begun = time.monotonic()
        while not self.over.wait(0.005):
            while sent < (time.monotonic() - begun) * RATE:
                try:
                    self.sockets[sent % len(self.sockets)].sendto(self.pokes[sent % len(self.pokes)], self.host)
                except OSError:
                    pass
                sent += 1

    def clean_up(self):
        self.over.set()
        self.join(harness.PATIENCE)

    def tell(self):
        pass


class Recordings(harness.Case):
    def sockets(self, count):
        made = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(count)]
        for one in made:
            one.bind((self.next_ip(), 0))
            self.addCleanup(one.close)
        return made

    def attack(self, workers, forged):
        """The attack comes first, then the machine; it crashes, reboots as another boot, and crashes again."""
        key = harness.key_text(6, 6, 6, 1 + 2 * workers + forged)
        pokes = record(self, key)
        config = self.file("kdnetd.yaml", f"targets:\n  - name: victim\n    key: {key}\n")
        daemon = harness.Daemon(self, "--config", config, "--workers", workers)
        relay = harness.Relay(self, daemon.listen[0])
        stranger = Stranger(self, daemon.listen[0], [relay.far] if forged else self.sockets(16), pokes)
        for _ in range(2):
            machine = harness.Machines(self, relay.place, key, "--path-ms", 50, "--status", STATUS, "--delay-ms", 500,
                                       scenario="bugcheck")
            summary = machine.wait()[0]  # it is not left halted
            self.assertEqual(summary["state"] if "state" in summary else "ended", "ended")
        stranger.clean_up()
        events = daemon.stop()
        self.check_events(events)
        told = [e["phase"] for e in events if e["event"] == "crash_status"]
        self.assertEqual(told, ["bugcheck_first", "shutdown"] * 2)
        self.assertEqual({e["status"] for e in events if e["event"] == "crash_status" and e["phase"] == "shutdown"}, {STATUS})

    def test_recordings_from_elsewhere_keep_no_machine_from_kdnetd(self):
        for workers in (1, 2):
            with self.subTest(workers=workers):
                self.attack(workers, False)

    def test_recordings_with_the_machines_address_neither(self):
        self.attack(1, True)


class Neighbours(harness.Case):
    def test_machines_that_send_with_one_address_are_all_served(self):
        """Either may take the other's place with its own key: the other is found there all the same."""
        machines = {}

        def to_all(relay, from_host, datagram):
            if not from_host:
                machines[relay.machine] = True
                return True
            for one in list(machines):
                relay.near.sendto(datagram, one)
            return False

        key = harness.key_text(6, 6, 7, 1)
        daemon = harness.Daemon(self, "--target", f"one={key}", "--target", f"two={harness.key_text(6, 6, 7, 2)}")
        relay = harness.Relay(self, daemon.listen[0], decide=to_all)
        both = harness.Machines(self, relay.place, key, "--count", 2, "--status", STATUS, "--delay-ms", 500, scenario="bugcheck")
        both.wait()
        events = daemon.stop()
        for name in ("one", "two"):
            told = [e["phase"] for e in events if e["event"] == "crash_status" and e["target"] == name]
            self.assertEqual(told, ["bugcheck_first", "shutdown"], name)

    def test_machine_with_another_hosts_key_is_asked_to_poke_at_once(self):
        """Two kdnetd answered it, and the one whose key it took goes away: the other hears of its break, and asks."""
        key = harness.key_text(6, 6, 8, 1)
        first, second = (harness.Daemon(self, "--target", f"victim={key}") for _ in range(2))
        relay = harness.Relay(self, first.listen[0])
        machine = harness.Machines(self, relay.place, key, "--delay-ms", 9000, scenario="int3")
        first.wait_event("connected")
        ip, port = second.listen[0].rsplit(":", 1)
        mine, relay.host = relay.host, (ip, int(port))
        second.wait_event("connected")  # with the machine's next poke
        relay.host = mine
        second.kill()
        begun = len(relay.seen)
        first.wait_event("crash_status")
        machine.wait()
        seen = [(from_host, datagram) for _, from_host, datagram in relay.seen[begun:]]
        broken = next(i for i, (from_host, datagram) in enumerate(seen) if not from_host and harness.is_data(datagram))
        after = [harness.is_poke(datagram) or len(datagram) < 64 and datagram[5] == 1
                 for _, datagram in seen[broken + 1:]]
        asked = broken + 1 + after.index(True)
        self.assertTrue(seen[asked][0], "the machine poked by itself before it was asked")


if __name__ == "__main__":
    harness.main(at_once=4)
