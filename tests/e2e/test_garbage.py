# SPDX-License-Identifier: Apache-2.0
"""What strangers send, and what they recorded, changes nothing for machines."""
import random
import socket
import threading
import time

import harness

SEED = 715517
CRASHING = 20
PER_ROUND = 40
LOG_LINES_BESIDE_RESULTS = 12
LINES_A_CRASH = 8  # connected thrice, crashed, two results, two releases
STATUS = "0xC000007F"
CRASH = ["connected", "connected", "bugcheck", "break_in", "kernel", "crash_status", "released", "break_in", "crash_status",
         "released", "connected"]


class Attack(threading.Thread):
    """Sends what `make(draw)` makes, in rounds, from one socket, until stopped."""

    def __init__(self, place, make, ip, seed):
        super().__init__(daemon=True)
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((ip, 0))
        host, port = place.rsplit(":", 1)
        self.host = (host, int(port))
        self.make = make
        self.draw = random.Random(seed)
        self.over = threading.Event()
        self.sent = 0
        self.sent_bytes = 0
        self.answer_bytes = 0
        self.start()

    def run(self):
        while not self.over.wait(0.01):
            for _ in range(PER_ROUND):
                datagram = self.make(self.draw)
                try:
                    self.socket.sendto(datagram, self.host)
                    self.sent += 1
                    self.sent_bytes += len(datagram)
                except OSError:
                    pass
            self.read_answers()

    def read_answers(self):
        while True:
            try:
                answer = self.socket.recv(65536, socket.MSG_DONTWAIT)
            except OSError:
                return
            self.answer_bytes += len(answer)

    def stop(self, least=0):
        """Ends it when it has sent so many; returns how many it sent."""
        while self.sent < least and self.is_alive():
            time.sleep(0.01)
        self.over.set()
        self.join(harness.PATIENCE)
        self.read_answers()
        self.socket.close()
        return self.sent


def random_bytes(draw):
    return draw.randbytes(draw.choice((0, 1, 5, 6, 21, 22, 38, 100, 374, 700, 1400, 9000)))


def valid_header(draw):
    """MDBG, a version, a channel, whole blocks: all that can be right without a key."""
    version, channel = draw.choice((0, 1, 2, 3, 4, 5, 6, 255)), draw.choice((0, 1, 1, 2))
    return b"MDBG" + bytes((version, channel)) + draw.randbytes(16 * draw.choice((1, 2, 3, 22, 23, 60)))


class Garbage(harness.Case):
    def daemon_and_keys(self, *options, count=CRASHING):
        targets = []
        for i in range(count):
            targets += ["--target", f"m{i}={harness.key_text(4, 4, 4, 1 + i)}"]
        return harness.Daemon(self, *targets, *options), harness.key_text(4, 4, 4, 1)

    def record(self, daemon, key):
        """A machine behind a relay; what it and kdnetd said while it connected."""
        relay = harness.Relay(self, daemon.listen[0])
        machine = harness.Machines(self, relay.place, key, "--duration-ms", 3500, scenario="int3", end=False)
        machine.wait()
        return relay, [d for _, _, d in relay.seen]

    def crash_all(self, daemon, key, count=CRASHING):
        return harness.Machines(self, daemon.listen[0], key, "--count", count, "--status", STATUS, "--dump-ms", 800,
                                "--delay-ms", 1000, scenario="bugcheck")

    def check_crashes(self, daemon, machines, names):
        for summary in machines:
            self.assertEqual(summary["handshakes"], 3, summary)
            for name in ("host_wrong_ids", "traps_again", "released_wrongly"):
                self.assertEqual(summary[name], 0, f"{name}: {summary}")
        for name in names:
            kinds = [e["event"] for e in daemon.events(name)]
            self.assertEqual(kinds, CRASH, name)
            first, last = daemon.events(name, "crash_status")
            self.assertEqual((first["phase"], first["status"]), ("bugcheck_first", "0xFFFFFFFF"))
            self.assertEqual((last["phase"], last["status"], last["verdict"]), ("shutdown", STATUS, "failed"))

    def check_log(self, daemon, results):
        lines = daemon.log_text().splitlines()
        beside = [line for line in lines if "target=" not in line]
        self.assertLessEqual(len(beside), LOG_LINES_BESIDE_RESULTS, "\n".join(beside[:30]))
        self.assertLessEqual(len(lines), results + LOG_LINES_BESIDE_RESULTS)

    def attacked(self, make):
        daemon, key = self.daemon_and_keys()
        attacks = [Attack(daemon.listen[0], make, self.next_ip(), SEED + i) for i in range(2)]
        machines = self.crash_all(daemon, key).wait()
        for attack in attacks:
            attack.stop(1500)
        daemon.signal(harness.signal.SIGUSR1)
        daemon.wait_log("msg=summary")
        for attack in attacks:  # data without a session may be a machine's: it is asked to poke (PROTOCOL section 3)
            self.assertLess(attack.answer_bytes, attack.sent_bytes / 20, "strangers get no answers to speak of")
        events = daemon.stop()
        self.check_events(events)
        self.check_crashes(daemon, machines, [f"m{i}" for i in range(CRASHING)])
        self.check_log(daemon, LINES_A_CRASH * CRASHING)
        strangers = [e for e in events if e["event"] == "unknown_target"]
        self.assertLessEqual(len(strangers), 4, strangers[:5])
        return events

    def test_random_bytes_change_nothing(self):
        self.attacked(random_bytes)

    def test_valid_headers_with_wrong_tags_change_nothing(self):
        self.attacked(valid_header)

    def test_truncated_and_damaged_datagrams_of_a_real_session_change_nothing(self):
        daemon, key = self.daemon_and_keys()
        relay, recorded = self.record(daemon, key)
        daemon.stop()
        self.assertGreater(len(recorded), 20)

        def damaged(draw):
            datagram = bytearray(draw.choice(recorded))
            if draw.random() < 0.5:
                return bytes(datagram[:draw.randrange(len(datagram))])
            datagram[draw.randrange(len(datagram))] ^= 1 << draw.randrange(8)
            return bytes(datagram)

        self.attacked(damaged)

    def replayed_from_its_own_address(self, wanted):
        """What the machine sent in this boot and in an earlier one, again and again, with its own source address."""
        daemon, key = self.daemon_and_keys(count=1)
        relay, earlier = self.record(daemon, key)
        told, boot = len(daemon.events()), len(relay.seen)
        earlier = [d for _, from_host, d in relay.seen if not from_host and wanted(d)]
        machine = harness.Machines(self, relay.place, key, "--status", STATUS, "--dump-ms", 1500, "--delay-ms", 1500,
                                   scenario="bugcheck")
        over, sent = threading.Event(), [0, 0]

        def replay():
            draw = random.Random(SEED)
            host, port = daemon.listen[0].rsplit(":", 1)
            while not over.wait(0.02):
                current = [d for _, from_host, d in relay.seen[boot:] if not from_host and wanted(d)]
                for i, recorded in enumerate((earlier, current)):
                    for datagram in draw.sample(recorded, min(5, len(recorded))):
                        relay.far.sendto(datagram, (host, int(port)))
                        sent[i] += 1

        thread = threading.Thread(target=replay)
        daemon.wait_events(lambda events: len(events) > told, "connected")
        thread.start()
        try:
            summary, = machine.wait()
        finally:
            over.set()
            thread.join()
        self.assertGreater(min(sent), 20)
        self.check_events(daemon.stop())
        self.assertEqual(daemon.events(kind="crash_status")[-1]["status"], STATUS)
        self.assertEqual((summary["traps_again"], summary["released_wrongly"]), (0, 0))
        return summary["handshakes"], daemon.events()[told:], daemon

    def test_old_pokes_from_the_machines_own_address_change_nothing(self):
        handshakes, events, daemon = self.replayed_from_its_own_address(harness.is_poke)
        self.assertEqual(handshakes, 3)
        self.assertEqual([e["event"] for e in events], CRASH)
        self.check_log(daemon, 20)

    def test_old_data_from_the_machines_own_address_harms_nothing(self):
        """It looks like a machine that has another key: kdnetd may ask it to poke, and agree on a new one. No more."""
        _, events, daemon = self.replayed_from_its_own_address(harness.is_data)
        new = sum(e["event"] == "connected" for e in events) - CRASH.count("connected")
        self.assertLessEqual(new, 3, "at first after a second, then each time after twice as long")
        self.assertEqual([e["event"] for e in events if e["event"] != "connected"], [k for k in CRASH if k != "connected"])
        self.check_log(daemon, 20 + new)

    def test_a_recording_played_by_a_stranger_changes_nothing(self):
        daemon, key = self.daemon_and_keys(count=CRASHING)
        relay, recorded = self.record(daemon, key)
        told = len(daemon.events())
        last_key = harness.key_text(4, 4, 4, 2)
        attack = Attack(daemon.listen[0], lambda draw: draw.choice(recorded), self.next_ip(), SEED)
        machines = self.crash_all(daemon, last_key, CRASHING - 1).wait()
        attack.stop()
        # The same response again, to whoever asks again (DESIGN section 5): never longer than the poke.
        self.assertLessEqual(attack.answer_bytes, attack.sent_bytes)
        self.check_events(daemon.stop())
        self.check_crashes(daemon, machines, [f"m{i}" for i in range(1, CRASHING)])
        self.assertEqual([e for e in daemon.events("m0") if harness.seconds(e) > harness.seconds(daemon.events()[told - 1])],
                         [], "nothing is told of the machine whose recording was played")

    def test_many_machines_with_wrong_keys_are_summarised(self):
        daemon, key = self.daemon_and_keys(count=3)
        machines = harness.Machines(self, daemon.listen[0], harness.key_text(6, 6, 6, 6), "--count", 300, "--duration-ms",
                                    7000, scenario="idle", end=False)
        ours = self.crash_all(daemon, key, 3).wait()
        machines.wait(expect=None)
        events = daemon.stop()
        self.check_events(events)
        self.check_crashes(daemon, ours, [f"m{i}" for i in range(3)])
        strangers = [e for e in events if e["event"] == "unknown_target"]
        self.assertGreaterEqual(len(strangers), 10)
        self.assertLessEqual(len(strangers), 110, "300 machines that poke every 3 s: a summary, not a flood")
        self.assertLessEqual(len(daemon.log.lines), len(strangers) + LINES_A_CRASH * 3 + LOG_LINES_BESIDE_RESULTS)
        for event in strangers:
            self.assertIsNone(event["target"])
            self.assertGreaterEqual(event["count"], 1)
            self.assertRegex(event["hint"], "bcdedit")


if __name__ == "__main__":
    harness.main(at_once=4)
