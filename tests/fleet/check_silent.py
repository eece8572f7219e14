#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Servers that take a connection and then say nothing, or hardly anything: `kdnetctl fleet` ends by itself and says where; kdnetd goes on to
another server, and ends when it is told to."""
import pathlib
import subprocess
import sys

import mute
import nats

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))
import harness


class Silent(harness.Case):
    def fleet(self, kind, what="crashes"):
        server = mute.Mute(self, kind)
        done = subprocess.run([harness.BUILD / "kdnetctl", "fleet", what, "--servers", server.url], capture_output=True, text=True,
                              timeout=harness.PATIENCE, check=False)
        self.assertEqual(done.returncode, 3, done)
        self.assertIn(server.url, done.stderr)
        self.assertIn("--servers", done.stderr)  # a next step

    def test_silent(self):
        self.fleet("silent", "watch")

    def test_greets(self):
        self.fleet("greets", "targets")

    def test_trickles(self):
        self.fleet("trickles", "collectors")

    def test_stops_in_tls(self):
        self.fleet("stops in TLS")

    def test_trickles_in_tls(self):
        self.fleet("trickles in TLS")

    def test_kdnetd_goes_on_to_another_server(self):
        if not nats.SERVER:
            self.skipTest("nats-server is not there")
        first, other = mute.Mute(self, "greets"), nats.Server(self, self.folder)
        listen = harness.place(self.ip, harness.free_port(self.ip))
        self.file("c.yaml", f'collector: c1\nlisten: ["{listen}"]\nstate: .\ntargets: [{{name: web-1, key: {harness.key_text(1, 1, 1, 1)}}}]\n'
                  f'nats: {{servers: ["{first.url}", "{other.url}"], hints: HINTS}}\n')
        daemon = harness.Daemon(self, "--config", "c.yaml", listen=[])
        harness.Machines(self, listen, harness.key_text(1, 1, 1, 1), "--dump-ms", 50, scenario="bugcheck").wait()
        nats.wait_until(lambda: len(first.opened) >= 2, "kdnetd never asked the first server")  # for results, and for hints
        other.start()
        client = nats.Client(self, other.port)
        nats.wait_until(lambda: any(one["event"] == "crash_status" for one, _ in client.taken()), daemon.log_text)
        other.kill()
        daemon.stop()


if __name__ == "__main__":
    harness.main(at_once=6)
