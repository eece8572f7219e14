#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The very end of a process, when libraries are in its way (late.c): `kdnetctl fleet` ends all the same, with its own exit status and all
that it had to print; OpenSSL stays whole for the threads of libnats: python3 check_ending.py LATE."""
import json
import os
import pathlib
import subprocess
import sys

import certificates
import feeding
import nats

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))
import harness

LATE = None
COUNT = 200


def surroundings(late):
    sanitizer = os.environ.get("ASAN_OPTIONS", "detect_leaks=1") + ":verify_asan_link_order=0"
    return {"LD_PRELOAD": LATE, "KDNETD_LATE": late, "ASAN_OPTIONS": sanitizer}


class Ending(certificates.Maker, harness.Case):
    def fleet(self, late, *words):
        return subprocess.run([harness.BUILD / "kdnetctl", "fleet", *words], env={**os.environ, **surroundings(late)}, capture_output=True,
                              text=True, timeout=harness.PATIENCE, check=False)

    def filled(self):
        """A server with COUNT crashes."""
        server = nats.Server(self, self.folder).start()
        client = nats.Client(self, server.port)
        made = client.request("$JS.API.STREAM.CREATE.CRASH", {"name": "CRASH", "subjects": ["kdnet.crash.>"], "storage": "memory", "num_replicas": 1})
        self.assertNotIn("error", made)
        for i in range(COUNT):
            client.publish("kdnet.crash.c1.x", json.dumps(feeding.event(i)))
        nats.wait_until(lambda: client.count() == COUNT, client.count)
        return server

    def test_all_was_printed(self):
        done = self.fleet("hang", "crashes", "--json", "--servers", self.filled().url)
        self.assertEqual((done.returncode, len(done.stdout.splitlines())), (0, COUNT), done)

    def test_no_stream(self):
        done = self.fleet("hang", "targets", "--servers", nats.Server(self, self.folder).start().url)
        self.assertEqual((done.returncode, len(done.stderr.splitlines())), (1, 1), done)

    def test_no_server(self):
        done = self.fleet("hang", "watch", "--servers", f"nats://127.0.0.1:{nats.free_port()}")
        self.assertEqual((done.returncode, len(done.stderr.splitlines())), (3, 1), done)

    def test_nowhere_to_write(self):
        server = self.filled()
        with open("/dev/full", "wb") as full:
            done = subprocess.run([harness.BUILD / "kdnetctl", "fleet", "crashes", "--servers", server.url], stdout=full, stderr=subprocess.PIPE,
                                  env={**os.environ, **surroundings("hang")}, timeout=harness.PATIENCE, check=False)
        self.assertEqual(done.returncode, 1, done)

    def test_threads_of_libnats(self):
        """Of kdnetd and of kdnetctl: both have used TLS."""
        ca = self.authority("one")
        server = self.tls("one")
        listen = harness.place(self.ip, harness.free_port(self.ip))
        self.file("c.yaml", f'collector: c1\nlisten: ["{listen}"]\nstate: .\ntargets: [{{name: web-1, key: {harness.key_text(1, 1, 1, 1)}}}]\n'
                  f'nats: {{servers: ["{server.url}"], tls: {{ca: "{ca}"}}}}\n')
        daemon = harness.Daemon(self, "--config", "c.yaml", listen=[], env=surroundings("tell"))
        harness.Machines(self, listen, harness.key_text(1, 1, 1, 1), "--dump-ms", 50, scenario="bugcheck").wait()

        def read():
            done = self.fleet("tell", "crashes", "--json", "--servers", server.url, "--ca", str(ca))
            return done if done.stdout else None
        done = nats.wait_until(read, daemon.log_text)
        self.assertEqual((done.returncode, done.stderr), (0, "late: OpenSSL is there\n"), done)
        daemon.stop()
        self.assertIn("late: OpenSSL is there", daemon.log_text())


if __name__ == "__main__":
    nats.skip_without_server()
    certificates.skip_without_openssl()
    LATE = sys.argv.pop(1)
    harness.main(at_once=5)
