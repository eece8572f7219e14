#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Credentials files of a server with accounts: python3 check_credentials.py SINKS_FEEDER KDNETCTL."""
import shutil
import subprocess
import sys
import time
import unittest

import feeding
import jwt
import nats

KDNETCTL = None


class Credentials(feeding.Case):
    def setUp(self):
        super().setUp()
        operator = jwt.Key("operator")
        self.key, claim = jwt.account(operator)
        more = jwt.configuration(operator, jwt.account(operator, streams=False), [(self.key, claim)])
        self.server = nats.Server(self, self.folder, more=more).start()
        self.file = self.folder / "nats.creds"

    def write(self, text):
        self.file.write_text(text)
        self.file.chmod(0o600)

    def read(self, code):
        done = subprocess.run([KDNETCTL, "fleet", "targets", "--json", "--servers", self.server.url, "--credentials", str(self.file)],
                              capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, code, done)
        return done.stdout + done.stderr

    def refused(self):
        """Credentials that open nothing, and what is said of them."""
        return {"expired": (jwt.credentials(self.key, ends=time.time() - 60), "Auth"),
                "of an account that the server does not know": (jwt.credentials(jwt.Key("account")), "Auth"),
                "no credentials": ("not a credentials file\n", str(self.file))}

    def test_a_reader_with_bad_credentials_is_told_why(self):
        for name, (text, said) in self.refused().items():
            with self.subTest(name):
                self.write(text)
                self.assertIn(said, self.read(3))
        self.file.unlink()
        self.assertIn(str(self.file), self.read(3))

    def test_what_is_told_meanwhile_goes_out_when_the_credentials_are_right(self):
        self.write(self.refused()["expired"][0])
        feeder = feeding.Feeder(self, [self.server.url], credentials=str(self.file))
        feeder.tell(feeding.event(1), feeding.event(2, target="web-2"))
        nats.wait_until(lambda: "Auth" in "".join(map(str, [*feeder.counts().values(), *feeder.said])),
                        lambda: f"{feeder.counts()} {''.join(feeder.said[-20:])}")
        self.assertEqual(feeder.counts()["delivered"], 0)
        self.write(jwt.credentials(self.key))
        feeder.wait_delivered(2)
        told = self.read(0)
        self.assertIn("web-1", told)
        self.assertIn("web-2", told)


if __name__ == "__main__":
    nats.skip_without_server()
    if not shutil.which("openssl"):
        print("nothing tested: openssl is not there")
        sys.exit(nats.SKIPPED)
    KDNETCTL = sys.argv.pop()
    feeding.FEEDER = sys.argv.pop()
    unittest.main(verbosity=2)
