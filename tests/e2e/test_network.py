# SPDX-License-Identifier: Apache-2.0
"""Networks that lose, double and delay, and machines that move."""
import random
import threading

import harness

SEED = 88172645
MACHINES = 12
STATUS = "0xC0000185"
KINDS = ["connected", "connected", "bugcheck", "break_in", "kernel", "crash_status", "released", "break_in", "crash_status",
         "released", "connected"]


class Network(harness.Case):
    def crash_through(self, decide_of, *options):
        targets = [w for i in range(MACHINES) for w in ("--target", f"m{i}={harness.key_text(8, 8, 8, 1 + i)}")]
        daemon = harness.Daemon(self, *targets, *options)
        machines = []
        for i in range(MACHINES):
            relay = harness.Relay(self, daemon.listen[0], decide=decide_of(i))
            machines.append(harness.Machines(self, relay.place, harness.key_text(8, 8, 8, 1 + i), "--status", STATUS,
                                             "--dump-ms", 300, scenario="bugcheck"))
        summaries = [machine.wait()[0] for machine in machines]
        events = daemon.stop()
        self.check_events(events)
        for summary in summaries:
            for name in ("traps_again", "released_wrongly"):
                self.assertEqual(summary[name], 0, f"seed {SEED}: {summary}")
        return daemon, summaries

    def check_results(self, daemon, i, acknowledged=True):
        first, last = daemon.events(f"m{i}", "crash_status")
        self.assertEqual((first["phase"], first["verdict"], first["status"]), ("bugcheck_first", "not_started", "0xFFFFFFFF"))
        self.assertEqual((last["phase"], last["verdict"], last["status"]), ("shutdown", "failed", STATUS))
        actions = [e["action"] for e in daemon.events(f"m{i}", "released")]
        if not acknowledged and len(actions) == 1:
            return  # the machine's last ACK was lost, and it is gone: nobody can know that it went on
        self.assertEqual(actions, ["continue", "continue"])

    def test_each_datagram_arrives_twice(self):
        def decide_of(_):
            def decide(relay, from_host, datagram):
                relay.pass_on(from_host, datagram)
            return decide

        daemon, summaries = self.crash_through(decide_of)
        for i, summary in enumerate(summaries):
            self.assertEqual([e["event"] for e in daemon.events(f"m{i}")], KINDS, summary)
            self.check_results(daemon, i)
            self.assertEqual(summary["handshakes"], 3, "the same poke got two keys")

    def test_a_fifth_is_lost_and_some_come_late(self):
        """Later than the next ones: kept back by 1 to 40 ms."""
        def decide_of(i):
            draw = random.Random(SEED + i)

            def decide(relay, from_host, datagram):
                chance = draw.random()
                if chance < 0.2:
                    return False
                if chance < 0.35:
                    timer = threading.Timer(draw.uniform(0.001, 0.04), relay.pass_on, (from_host, datagram))
                    timer.daemon = True
                    timer.start()
                    return False
                return True
            return decide

        daemon, _ = self.crash_through(decide_of)
        for i in range(MACHINES):
            self.check_results(daemon, i, acknowledged=False)

    def test_a_slow_network_gives_its_results(self):
        """60 ms each way. That kdnetd's patience follows the round trips that it measures is shown in session/patience."""
        def decide_of(_):
            def decide(relay, from_host, datagram):
                timer = threading.Timer(0.06, relay.pass_on, (from_host, datagram))
                timer.daemon = True
                timer.start()
                return False
            return decide

        daemon, _ = self.crash_through(decide_of)
        for i in range(MACHINES):
            self.check_results(daemon, i)
            for event in daemon.events(f"m{i}", "crash_status"):
                self.assertGreater(event["rtt_ms"], 110)

    def test_a_machine_comes_back_from_another_port(self):
        daemon = harness.Daemon(self, "--target", "m=1.1.1.1")
        harness.Machines(self, daemon.listen[0], "1.1.1.1", "--new-port", "--status", STATUS, scenario="bugcheck").wait()
        events = daemon.stop()
        self.check_events(events)
        self.assertEqual([e["event"] for e in events], KINDS)
        self.assertNotEqual(events[0]["address"], events[-1]["address"])
        self.assertEqual(len({e["address"] for e in events[:-1]}), 1)


if __name__ == "__main__":
    harness.main(at_once=4)
