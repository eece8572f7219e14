# SPDX-License-Identifier: Apache-2.0
"""TLS: certificates that are good, are replaced, are half-written, have expired."""
import http.client
import shutil
import ssl
import subprocess
import time
import unittest
import warnings

import fake
from fake import ACT, PATIENCE


class Tls(fake.Case):
    def make(self, name, expired=False):
        """A certificate of `name`, its key beside it."""
        cert, key = self.folder / f"{name}.pem", self.folder / f"{name}.key"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                        "-keyout", key, "-out", cert, "-subj", f"/CN={name}", "-days", "2", "-addext",
                        "subjectAltName=IP:127.0.0.1"], check=True, capture_output=True)
        if expired:
            done = subprocess.run(["openssl", "x509", "-in", cert, "-signkey", key, "-days", "-1", "-out", cert], check=False,
                                  capture_output=True)
            if done.returncode != 0:
                self.skipTest("this openssl makes no certificate of yesterday")
        return cert, key

    def ask(self, server, path="/healthz", context=None, **more):
        context = context or ssl._create_unverified_context()
        connection = http.client.HTTPSConnection("127.0.0.1", server.port, context=context, timeout=PATIENCE)
        connection.request("GET", path, **more)
        certificate = connection.sock.getpeercert(True)
        response = connection.getresponse()
        body = response.read()
        connection.close()
        return response.status, body, certificate

    def test_requests_and_streams(self):
        cert, key = self.make("one")
        server = self.fake("--cert", cert, "--key", key)
        context = ssl.create_default_context(cafile=str(cert))
        self.assertEqual(self.ask(server, context=context)[:2], (200, b"ok\n"))
        self.assertEqual(self.ask(server, "/api/v1/events")[0], 200)
        self.assertEqual(server.raw(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"), b"")
        old = ssl._create_unverified_context()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            old.maximum_version = ssl.TLSVersion.TLSv1_1
        with self.assertRaises((ssl.SSLError, ConnectionError)):
            self.ask(server, context=old)

    def test_files_that_change_are_read_again_and_bad_ones_are_not_used(self):
        cert, key = self.make("one")
        other, other_key = self.make("two")
        server = self.fake("--cert", cert, "--key", key)
        first = self.ask(server)[2]
        whole = other.read_bytes()
        for broken in (whole[:len(whole) // 2], b"", b"no certificate\n"):
            cert.write_bytes(broken)
            server.tell("configure")
            self.assertEqual(self.ask(server)[2], first)
            degraded = server.ask("/api/v1/status", local=True).json()["degraded"]
            self.assertEqual([one["what"] for one in degraded], ["http_tls"])
        cert.write_bytes(whole)  # does not fit the key
        server.tell("configure")
        self.assertEqual(self.ask(server)[2], first)
        shutil.copy(other_key, key)
        for _ in range(300):  # nobody says so: the files are looked at
            if self.ask(server)[2] == ssl.PEM_cert_to_DER_cert(whole.decode()):
                break
            time.sleep(0.1)
        self.assertEqual(self.ask(server)[2], ssl.PEM_cert_to_DER_cert(whole.decode()))
        self.assertEqual(server.ask("/api/v1/status", local=True).json()["degraded"], [])

    def test_an_expired_one_takes_no_place(self):
        cert, key = self.make("one")
        server = self.fake("--cert", cert, "--key", key)
        first = self.ask(server)[2]
        old, old_key = self.make("old", expired=True)
        shutil.copy(old_key, key)
        shutil.copy(old, cert)
        server.tell("configure")
        self.assertEqual(self.ask(server)[2], first)
        degraded, = server.ask("/api/v1/status", local=True).json()["degraded"]
        self.assertEqual((degraded["what"], degraded["name"]), ("http_tls", str(cert)))
        self.assertIn("expired", degraded["why"])
        new, new_key = self.make("new")
        shutil.copy(new_key, key)
        shutil.copy(new, cert)
        server.tell("configure")
        self.assertNotEqual(self.ask(server)[2], first)
        self.assertEqual(server.ask("/api/v1/status", local=True).json()["degraded"], [])

    def test_clients_may_need_a_certificate(self):
        cert, key = self.make("one")
        client, client_key = self.make("client")
        server = self.fake("--cert", cert, "--key", key, "--client-ca", client)
        with self.assertRaises((ssl.SSLError, ConnectionError, http.client.RemoteDisconnected)):
            self.ask(server)
        context = ssl._create_unverified_context()
        context.load_cert_chain(client, client_key)
        self.assertEqual(self.ask(server, context=context)[0], 200)

    def test_an_address_that_others_reach_is_not_served_in_the_clear(self):
        server = self.fake("--address", f"0.0.0.0:{fake.free_port()}", tcp=False)
        degraded = server.ask("/api/v1/status", local=True).json()["degraded"]
        self.assertEqual([one["what"] for one in degraded], ["http"])
        self.assertIn("http_tls_cert", degraded[0]["why"])
        server.close()
        cert, key = self.make("one")
        port = fake.free_port()
        server = self.fake("--address", f"0.0.0.0:{port}", "--cert", cert, "--key", key, "--tokens", self.tokens(),
                           tcp=False)
        server.port = port
        for _ in range(300):
            if not server.ask("/api/v1/status", local=True).json()["degraded"]:
                break
            time.sleep(0.1)
        self.assertEqual(self.ask(server, "/api/v1/status")[0], 401)
        self.assertEqual(self.ask(server, "/api/v1/status", headers={"Authorization": f"Bearer {ACT}"})[0], 200)


if __name__ == "__main__":
    if shutil.which("openssl"):
        unittest.main(verbosity=2)
    print("nothing tested: openssl is not installed")
