#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Events to one server of NATS, and what can go wrong with it: python3 check_publish.py FEEDER."""
import json
import select
import socket
import subprocess
import sys
import threading
import unittest

import feeding
import nats


class Relay(threading.Thread):
    """Passes bytes between its port and a server; `silent`: takes them, and passes none on."""

    def __init__(self, case, port):
        super().__init__(daemon=True)
        self.to, self.silent, self.ended = port, False, False
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"nats://127.0.0.1:{self.listener.getsockname()[1]}"
        self.start()
        case.addCleanup(self.end)

    def end(self):
        self.ended = True
        self.listener.close()

    def run(self):
        while not self.ended:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.pass_on, args=[client], daemon=True).start()

    def pass_on(self, client):
        with client, socket.create_connection(("127.0.0.1", self.to)) as server:
            while not self.ended:
                for one in select.select([client, server], [], [], 0.2)[0]:
                    try:
                        data = one.recv(65536)
                        if not data:
                            return
                        if not self.silent:
                            (server if one is client else client).sendall(data)
                    except OSError:
                        return


class Publish(feeding.Case):
    def server(self, **options):
        return nats.Server(self, self.folder, **options).start()

    def test_each_event_comes_once_under_its_id_and_subject(self):
        server = self.server()
        client = nats.Client(self, server.port)
        one, two = (feeding.Feeder(self, [server.url], name) for name in ("c.1", "c2"))
        events = [feeding.event(n, target="web.1" if n % 2 else "web-2") for n in range(300)]
        nobody = feeding.event(900, target=None, kind="reload", crash=None, id="c.1-0-1")
        one.tell(*events, nobody)
        two.tell(*events)  # the other collector says the same of the same crashes
        one.wait_delivered(301)
        two.wait_delivered(300)
        self.check_ids(client, {event["id"] for event in events} | {"c.1-0-1"})
        config = client.info()["config"]
        self.assertEqual((config["subjects"], config["num_replicas"], config["storage"]), (["kdnet.crash.*.*"], 1, "file"))
        self.assertGreaterEqual(config["duplicate_window"], 600 * 10**9)
        subjects = {subject for subject, _, _ in client.messages()}
        self.assertLessEqual({"kdnet.crash.c%2E1.-"}, subjects)
        self.assertLessEqual(subjects, {f"kdnet.crash.{c}.{t}" for c in ("c%2E1", "c2") for t in ("web%2E1", "web-2", "-")})
        for _, headers, data in client.messages():
            self.assertIn(f"Nats-Msg-Id: {json.loads(data)['id']}\r\n", headers)
        nats.wait_until(lambda: {json.loads(data)["collector"] for _, _, data in client.messages("KV_CRASH_collectors")} == {"c.1", "c2"},
                        "a collector does not say that it is there")
        self.assertEqual(one.counts()["errors"], 0)

    def test_nothing_is_lost_while_servers_and_collectors_are_killed(self):
        server = self.server()
        feeder = feeding.Feeder(self, [server.url])
        feeder.tell(*[feeding.event(n) for n in range(100)])
        feeder.wait_delivered(100)
        server.kill()
        feeder.tell(*[feeding.event(n) for n in range(100, 600)])
        nats.wait_until(lambda: feeder.counts()["failing"], "it does not say that it fails")
        server.start()
        nats.wait_until(lambda: feeder.counts()["delivered"] > 100, lambda: feeder.counts())
        feeder.kill()  # kill -9, wherever it is
        feeder.start()
        feeder.tell(*[feeding.event(n) for n in range(600, 700)])
        self.check_ids(nats.Client(self, server.port), {feeding.event(n)["id"] for n in range(700)}, "broker killed, then the collector",
                       feeder)
        nats.wait_until(lambda: not feeder.counts()["failing"], lambda: feeder.counts())

    def test_a_stream_that_was_deleted_is_made_again(self):
        server = self.server()
        client = nats.Client(self, server.port)
        feeder = feeding.Feeder(self, [server.url])
        feeder.tell(*[feeding.event(n) for n in range(50)])
        feeder.wait_delivered(50)
        self.assertTrue(client.request("$JS.API.STREAM.DELETE.CRASH")["success"])
        feeder.tell(*[feeding.event(n) for n in range(50, 100)])
        feeder.wait_delivered(100)
        self.check_ids(client, {feeding.event(n)["id"] for n in range(50, 100)}, "stream deleted", feeder)

    def test_servers_that_say_nothing_are_left(self):
        server = self.server()
        dumb = socket.create_server(("127.0.0.1", 0))  # takes connections, and says nothing
        self.addCleanup(dumb.close)
        relay = Relay(self, server.port)
        feeder = feeding.Feeder(self, [f"nats://127.0.0.1:{dumb.getsockname()[1]}", relay.url])
        feeder.tell(*[feeding.event(n) for n in range(50)])
        feeder.wait_delivered(50)
        relay.silent = True  # reads, and says nothing more
        feeder.tell(*[feeding.event(n) for n in range(50, 100)])
        nats.wait_until(lambda: feeder.counts()["failing"], "it does not say that it fails")
        relay.silent = False
        feeder.wait_delivered(100)
        self.check_ids(nats.Client(self, server.port), {feeding.event(n)["id"] for n in range(100)}, "broker silent", feeder)

    def test_an_event_that_is_too_large_costs_itself_alone(self):
        server = self.server(more="max_payload: 65536")
        feeder = feeding.Feeder(self, [server.url])
        feeder.tell(*[feeding.event(n, pad=100000 if n == 20 else 0) for n in range(40)])
        feeder.wait_delivered(39)
        nats.wait_until(lambda: feeder.counts()["rejected"] == 1, lambda: feeder.counts())
        self.assertIn("max_payload", feeder.counts()["error"])
        self.check_ids(nats.Client(self, server.port), {feeding.event(n)["id"] for n in range(40) if n != 20})

    def test_a_stream_that_does_not_take_the_subject_is_told(self):
        server = self.server()
        client = nats.Client(self, server.port)
        client.request("$JS.API.STREAM.CREATE.CRASH", {"name": "CRASH", "subjects": ["other.>"], "storage": "memory", "num_replicas": 1})
        feeder = feeding.Feeder(self, [server.url])
        feeder.tell(feeding.event(1))
        nats.wait_until(lambda: "does not take the subject kdnet.crash.*.*" in feeder.counts()["error"], lambda: feeder.counts())
        nats.wait_until(lambda: client.count("KV_CRASH_collectors") > 0, lambda: "who cannot deliver has no heartbeat")
        client.request("$JS.API.STREAM.UPDATE.CRASH", {"name": "CRASH", "subjects": ["other.>", "kdnet.crash.>"], "storage": "memory", "num_replicas": 1})
        feeder.wait_delivered(1)
        self.assertEqual(client.count(), 1)
        nats.wait_until(lambda: "forgets ids after 120 s" in "".join(feeder.said), lambda: feeder.said)

    def certificates(self):
        def openssl(*arguments):
            subprocess.run(["openssl", *arguments], cwd=self.folder, check=True, capture_output=True, timeout=60)
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-keyout", "ca.key",
                "-out", "ca.pem", "-subj", "/CN=test ca")
        (self.folder / "ext").write_text("subjectAltName=IP:127.0.0.1\n")
        for name in ("server", "client"):
            openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", f"{name}.key", "-out",
                    f"{name}.csr", "-subj", f"/CN={name}")
            openssl("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-out",
                    f"{name}.pem", "-extfile", "ext")
        return {name: str(self.folder / name) for name in ("ca.pem", "server.pem", "server.key", "client.pem", "client.key")}

    def test_tls_with_certificates_on_both_sides_and_passwords(self):
        paths = self.certificates()
        more = 'authorization { users: [{user: "kdnetd", password: "geheim"}] }'
        server = self.server(more=more, tls={"cert_file": f'"{paths["server.pem"]}"', "key_file": f'"{paths["server.key"]}"',
                                             "ca_file": f'"{paths["ca.pem"]}"', "verify": "true"})
        url = server.url.replace("tls://", "tls://kdnetd:geheim@")
        stranger = feeding.Feeder(self, [server.url], "c2", tls={"ca": paths["ca.pem"]})
        stranger.tell(feeding.event(1, collector="c2"))
        feeder = feeding.Feeder(self, [url], tls={"ca": paths["ca.pem"], "cert": paths["client.pem"], "key": paths["client.key"]})
        feeder.tell(*[feeding.event(n) for n in range(20)])
        feeder.wait_delivered(20)
        nats.wait_until(lambda: stranger.counts()["failing"] and stranger.counts()["error"], lambda: stranger.counts())
        self.assertEqual(stranger.counts()["delivered"], 0)
        self.assertNotIn("geheim", "".join(feeder.said) + "".join(stranger.said))


if __name__ == "__main__":
    nats.skip_without_server()
    feeding.FEEDER = sys.argv.pop(1)
    unittest.main(verbosity=2)
