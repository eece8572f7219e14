# SPDX-License-Identifier: Apache-2.0
"""A real machine's traffic: its boot, its prints, its fatal error in the boot loader, its shutdown."""
import harness

CAPTURE = harness.DATA / "windbg-v4.pcapng"
KEY = "8.8.8.8"


class Replay(harness.Case):
    def setUp(self):
        super().setUp()
        if not CAPTURE.is_file():
            self.skipTest("nothing tested: the capture windbg-v4.pcapng is not in KDNETD_DATA")

    def play(self, version, gap_ms):
        daemon = harness.Daemon(self, "--target", f"real={KEY}", prints=True)
        machines = harness.Machines(self, daemon.listen[0], KEY, "--replay", CAPTURE, "--replay-key", KEY,
                                    "--protocol", version, "--replay-gap-ms", gap_ms)
        summary, = machines.wait(60)
        events = daemon.stop()
        self.check_events(events)
        return summary, events

    def check_machine(self, summary):
        self.assertEqual(summary["state"], "ended", "it is left halted")
        self.assertEqual(summary["answers"], summary["questions"])
        self.assertGreaterEqual(summary["questions"], 33)
        # That nothing is sent twice is shown on a clock of the test's own: session/replay. Here a processor may be busy.
        for name in ("host_wrong_ids", "rejected", "traps_again", "released_wrongly"):
            self.assertEqual(summary[name], 0, name)
        self.assertEqual((summary["handshakes"], summary["load_symbols"], summary["breaks"]), (1, 1, 2))
        print(f"\nretransmissions {summary['retransmissions']}, repeats of kdnetd {summary['host_repeats']}, longest halt "
              f"{summary['longest_halt_ms']:.0f} ms")

    def check_events_of_it(self, events, version):
        prints = [e["text"] for e in events if e["event"] == "print"]
        self.assertEqual(len(prints), 6)
        self.assertEqual(prints[0], "BD: Boot Debugger Initialized\n")
        self.assertTrue(prints[-1].startswith("\n*** Fatal Error 0x00000001 :\n"), prints[-1])
        rest = [e for e in events if e["event"] != "print"]
        self.assertEqual([e["event"] for e in rest], ["connected", "break_in", "kernel", "crash_status", "released"])
        connected, halt, kernel, status, released = rest
        self.assertEqual((connected["version"], connected["took_over"]), (version, False))
        self.assertEqual(halt["phase"], "boot")
        self.assertEqual(halt["exception"], {"code": "0x80000003", "name": "STATUS_BREAKPOINT",
                                             "address": "0x00000000009CF07D", "first_chance": True})
        self.assertEqual((kernel["who"], kernel["build"], kernel["machine"]), ("boot", 10586, "x64"))
        self.assertEqual((status["phase"], status["verdict"], status["reason"]), ("boot", "unknown", "no_kernel"))
        self.assertIsNone(status["status"])
        self.assertEqual(status["source"], {"symbol": harness.SYMBOL, "address": None, "from": None})
        self.assertEqual(released["action"], "continue")

    def test_the_whole_capture_gives_one_result_and_no_retransmission(self):
        summary, events = self.play(4, 10)
        self.check_machine(summary)
        self.check_events_of_it(events, 4)

    def test_the_same_at_once_and_as_version_5(self):
        summary, events = self.play(5, 1)
        self.check_machine(summary)
        self.check_events_of_it(events, 5)


if __name__ == "__main__":
    harness.main()
