#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Servers of NATS that kdnetd may not use, or must not trust: credentials that have expired, a certificate of another authority,
a certificate that has expired. `kdnetctl doctor` says it and what to do; machines are served; once it is mended all goes out."""
import json
import pathlib
import shutil
import subprocess
import sys
import time

import certificates
import jwt
import nats

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))
import harness


class Trust(certificates.Maker, harness.Case):
    def serve(self, url, more):
        """kdnetd with a machine that crashes."""
        listen = harness.place(self.ip, harness.free_port(self.ip))
        self.file("c.yaml", f'collector: c1\nlisten: ["{listen}"]\nstate: .\ntargets: [{{name: web-1, key: {harness.key_text(1, 1, 1, 1)}}}]\n'
                  f'nats: {{servers: ["{url}"], {more}}}\n')
        self.daemon = harness.Daemon(self, "--config", "c.yaml", "--http-socket", "socket", listen=[])
        harness.Machines(self, listen, harness.key_text(1, 1, 1, 1), "--dump-ms", 50, scenario="bugcheck").wait()

    def doctor(self):
        done = subprocess.run([harness.BUILD / "kdnetctl", "--socket", self.path("socket"), "doctor", "--json"], capture_output=True,
                              text=True, timeout=harness.PATIENCE, check=False)
        lines = [json.loads(line) for line in done.stdout.splitlines()]
        return done.returncode, [line["detail"] for line in lines if line.get("result") == "wrong"], lines[-1]

    def wait_wrong(self, detail, step):
        def found():
            code, wrong, end = self.doctor()
            return code == 1 and any("sink nats" in line and detail in line for line in wrong) and step in end["next_step"] and end["cause"] is None
        nats.wait_until(found, lambda: f"{self.doctor()}\n{self.daemon.log_text()}")

    def check_mended(self, server, more):
        """What was told meanwhile is in the stream, and doctor finds nothing wrong."""
        done = nats.wait_until(lambda: self.read(server, more), lambda: f"{self.doctor()}\n{self.daemon.log_text()}")
        self.assertEqual([one["target"] for one in done], ["web-1"])
        nats.wait_until(lambda: not any("sink" in line for line in self.doctor()[1]), self.doctor)

    def read(self, server, more):
        done = subprocess.run([harness.BUILD / "kdnetctl", "fleet", "crashes", "--json", "--servers", server.url, *more], capture_output=True,
                              text=True, timeout=harness.PATIENCE, check=False)
        self.said = done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()] if done.returncode == 0 else []

    def test_credentials_that_have_expired(self):
        operator = jwt.Key("operator")
        key, claim = jwt.account(operator)
        more = jwt.configuration(operator, jwt.account(operator, streams=False), [(key, claim)])
        server = nats.Server(self, self.folder, more=more).start()
        self.file("creds", jwt.credentials(key, ends=time.time() - 60))
        self.serve(server.url, f'credentials: "{self.path("creds")}"')
        self.wait_wrong("Auth", "nats.credentials")
        self.file("creds", jwt.credentials(key))
        self.check_mended(server, ["--credentials", str(self.path("creds"))])

    def test_a_certificate_of_another_authority(self):
        self.authority("one")
        shutil.copy(self.authority("other"), self.path("trusted.pem"))
        server = self.tls("one")
        self.serve(server.url, f'tls: {{ca: "{self.path("trusted.pem")}"}}')
        self.wait_wrong("certificate", "nats.tls.ca")
        self.assertEqual(self.read(server, ["--ca", str(self.path("trusted.pem"))]), [])
        self.assertIn("certificate", self.said)
        shutil.copy(self.path("one.pem"), self.path("trusted.pem"))
        self.check_mended(server, ["--ca", str(self.path("trusted.pem"))])

    def test_a_certificate_that_has_expired(self):
        ca = self.authority("one")
        server = self.tls("one", days=-1)
        self.serve(server.url, f'tls: {{ca: "{ca}"}}')
        self.wait_wrong("certificate", "nats.tls.ca")
        server.kill()
        self.certify("one")
        server.start()
        self.check_mended(server, ["--ca", str(ca)])


if __name__ == "__main__":
    nats.skip_without_server()
    certificates.skip_without_openssl()
    harness.main(at_once=3)
