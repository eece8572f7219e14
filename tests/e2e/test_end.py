# SPDX-License-Identifier: Apache-2.0
"""kdnetd is told to end while its disk and its network hang: it is over before a service manager loses patience, and a
disk that is only slow has all results by then.
"""
import json
import signal
import time
import unittest

import harness

HANGING, DEAF = (harness.BUILD / "tests" / name for name in ("hung_share.so", "deaf.so"))
END_S = 20  # what Windows gives; it takes 14 at most (service/server/stop_time.h), and the computer may be busy
SLOW_MS = 400


def key(number):
    return f"1.2.3.{number}"


@unittest.skipUnless(HANGING.exists(), "sanitizers want to be loaded first: nothing hangs")
class End(harness.Case):
    def start(self, preloaded, more=""):
        """Results, store and hints are on a share."""
        self.share = self.folder / "hung"
        self.share.mkdir()
        self.place = harness.place(self.ip, harness.free_port(self.ip))
        config = self.file("kdnetd.yaml", f"""
listen: ["{self.place}"]
events: "{self.share}/events"
targets: [{{name: quick, key: {key(4)}}}, {{name: silent, key: {key(5)}}}]
http: none
http_socket: "{self.folder}/http"
{more}""")
        return harness.Daemon(self, "--config", config, "--read-deadline", "60s", listen=[], events=None,
                              env={"LD_PRELOAD": ":".join(map(str, preloaded)), "STATE_DIRECTORY": str(self.share)})

    def hang(self, text):
        (self.share / "hangs").write_text(text)

    def crash(self, number, *options, **more):
        return harness.Machines(self, self.place, key(number), "--dump-ms", 50, *options, scenario="bugcheck", **more)

    def term(self, daemon, expect):
        begun = time.monotonic()
        daemon.signal(signal.SIGTERM)
        self.assertEqual(daemon.process.wait(harness.PATIENCE), expect, daemon.log_text())
        return time.monotonic() - begun

    @unittest.skipUnless(DEAF.exists(), "this libcurl waits for its threads")
    def test_while_everything_hangs(self):
        """The disk, a machine that is being read, and the names of a receiver and of a symbol server."""
        (self.folder / "symbols").mkdir()
        daemon = self.start((HANGING, DEAF), f"""
symbols: ["srv*{self.folder}/symbols*http://symbols.example.net/"]
sinks: [{{name: away, type: http, url: "http://receiver.example.net:8080/", format: ndjson}}]
""")
        self.crash(4).wait()
        self.hang("")
        self.crash(4, "--seed", 7).wait()
        self.crash(5, "--think", 60_000, "--think-profile", "crash", end=False)
        daemon.wait_log("msg=\"machine has crashed\" target=silent")
        took = self.term(daemon, 1)
        log = daemon.log_text()
        print(f"{took:.1f} s while everything hangs")
        self.assertLess(took, END_S, log)
        self.assertIn("hangs; it is not waited for", log)
        self.assertIn("results that could not be written are in this log", log)
        self.assertIn("not_even_here=0", log)

    def test_a_slow_disk_has_all_results(self):
        daemon = self.start((HANGING,))
        self.hang(str(SLOW_MS))
        self.crash(4).wait()
        took = self.term(daemon, 0)
        print(f"{took:.1f} s with {SLOW_MS} ms for each call")
        told = [json.loads(line) for line in (self.share / "events").read_text().splitlines()]
        self.assertEqual([e["phase"] for e in told if e["event"] == "crash_status"], ["bugcheck_first", "shutdown"])
        self.assertNotIn("level=error", daemon.log_text())


if __name__ == "__main__":
    harness.main()
