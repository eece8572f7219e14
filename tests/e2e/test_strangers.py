# SPDX-License-Identifier: Apache-2.0
"""A configured machine is never called unknown, however many keys there are.

A poke from a new address is tried against the keys in slices between the rounds of kdnetd's loop, while rows move from the list of
unseen to that of seen targets.
"""
import harness

KEYS, COUNT = 20000, 150


class Strangers(harness.Case):
    def test_no_configured_machine_is_called_unknown(self):
        lines = [f"m{i} {harness.key_text(1, 1, 1, 1 + i)}\n" for i in range(KEYS)]
        self.file("targets", "".join(lines))
        daemon = harness.Daemon(self, "--config", self.file("kdnetd.yaml", "targets_file: targets\n"))
        herds = [harness.Machines(self, daemon.listen[0], harness.key_text(1, 1, 1, 1 + first), "--count", COUNT,
                                  scenario="idle", end=False) for first in (0, KEYS - COUNT)]

        def all_connected(events):
            return len({e["target"] for e in events if e["event"] == "connected"}) == 2 * COUNT

        daemon.wait_events(all_connected, f"{2 * COUNT} connected", 2 * harness.PATIENCE)
        daemon.signal(harness.signal.SIGUSR1)
        daemon.wait_log("msg=summary")
        for herd in herds:
            herd.stop(None)
        events = daemon.stop()
        self.assertEqual([e for e in events if e["event"] == "unknown_target"], [])

    def test_recorded_pokes_of_its_earlier_boots_do_not_hurt_a_machine(self):
        """Somebody else sends them from another address while the machine crashes."""
        key = harness.key_text(1, 2, 3, 4)
        daemon = harness.Daemon(self, "--target", f"web-1={key}")
        machines = harness.Machines(self, daemon.listen[0], key, "--rate", 500, scenario="stale-pokes")
        machines.wait()
        events = daemon.stop()
        self.assertEqual([e["verdict"] for e in events if e["event"] == "crash_status"][-1], "written")
        self.assertEqual([e for e in events if e["event"] == "unknown_target"], [])


if __name__ == "__main__":
    harness.main()
