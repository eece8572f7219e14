#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Each sink against a small receiver on loopback that checks what comes: python3 check_receivers.py FEEDER.

Outcomes are waited for, never for how long they take.
"""
import collections
import datetime
import functools
import json
import os
import pathlib
import re
import socket
import ssl
import subprocess
import sys
import threading
import time
import unittest

from receiving import PATIENCE, Case, event, lines_of

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "http"))
import alerting  # noqa: E402

SECOND_1 = int(datetime.datetime.fromisoformat("2026-11-25T10:00:01+00:00").timestamp())


class Formats(Case):
    EVENTS = [event(1), event(2, verdict="failed"), event(3, verdict="unknown"), event(4, kind="lost"), event(5, target="db-1")]

    def test_ndjson_is_a_line_an_event(self):
        token = self.folder / "token"
        token.write_text("secret\n")
        receiver, taken = self.deliver(None, {"token_file": str(token), "gzip": True}, self.EVENTS, lines_of)
        self.assertEqual(taken, self.EVENTS)
        path, headers = receiver.bodies[0][:2]
        self.assertEqual((path, headers["Content-Type"], headers["Authorization"], headers["Content-Encoding"]),
                         ("/", "application/x-ndjson", "Bearer secret", "gzip"))

    def test_hec(self):
        token = self.folder / "token"
        token.write_text("secret")
        receiver, taken = self.deliver(lambda *_: (200, '{"text":"Success","code":0}', {}), {"format": "hec", "token_file": str(token)},
                                       self.EVENTS, lines_of)
        self.assertEqual(receiver.bodies[0][0], "/services/collector/event")
        self.assertEqual(receiver.bodies[0][1]["Authorization"], "Splunk secret")
        self.assertEqual([one["event"] for one in taken], self.EVENTS)
        first = taken[0]
        self.assertEqual(first["time"], SECOND_1 + 0.000001)
        self.assertEqual((first["host"], first["source"], first["sourcetype"]), ("web-17", "kdnetd", "kdnetd:event"))
        self.assertEqual(first["fields"], {"id": "c1-0000000000000001", "crash": "0000000000000001", "verdict": "written"})
        self.assertNotIn("verdict", taken[3]["fields"])

    def test_loki_has_a_stream_for_each_set_of_labels(self):
        def parse(body):
            return [(stream["stream"], ns, line) for stream in json.loads(body)["streams"] for ns, line in stream["values"]]

        receiver, taken = self.deliver(lambda *_: (204, "", {}), {"format": "loki"}, self.EVENTS, parse)
        self.assertEqual(receiver.bodies[0][0], "/loki/api/v1/push")
        for labels, ns, line in taken:
            made = json.loads(line)
            wanted = {"job": "kdnetd", "collector": "c1", "event": made["event"]}
            self.assertEqual(labels, wanted | ({"verdict": made["verdict"]} if "verdict" in made else {}))
            n = int(made["id"][3:], 16)
            self.assertEqual(int(ns), (SECOND_1 - 1 + n) * 10**9 + n * 1000)
        for body in receiver.bodies:
            for stream in json.loads(body[2])["streams"]:
                times = [int(ns) for ns, _ in stream["values"]]
                self.assertEqual(times, sorted(times))
        self.assertEqual(sorted(json.loads(line)["id"] for _, _, line in taken), [one["id"] for one in self.EVENTS])

    def test_bulk_counts_each_item_for_itself(self):
        tries = collections.Counter()

        def answer(path, headers, body):
            items = []
            for action in lines_of(body)[::2]:
                name = action["create"]["_id"]
                tries[name] += 1
                status = {2: 409, 3: 400, 4: 201 if tries[name] > 1 else 503}.get(int(name[-1]), 201)
                items.append({"create": {"_id": name, "status": status, "error": {"reason": "no"}}})
            return 200, json.dumps({"errors": True, "items": items}), {}

        receiver = self.receiver(answer)
        process = self.start({"name": "s", "type": "http", "format": "bulk", "index": "crashes", "url": receiver.url})
        self.tell(process, *self.EVENTS)
        receiver.wait(lambda _: tries[self.EVENTS[2]["id"]] == 3 and tries[self.EVENTS[3]["id"]] == 2)
        self.tell(process, event(6))
        receiver.wait(lambda _: tries[event(6)["id"]] == 1)
        self.finish(process, rejected=1, delivered=5)
        self.assertEqual([tries[one["id"]] for one in self.EVENTS], [1, 1, 3, 2, 1])
        action, document = lines_of(receiver.bodies[0][2])[:2]
        self.assertEqual(action, {"create": {"_index": "crashes", "_id": self.EVENTS[0]["id"]}})
        self.assertEqual(document, self.EVENTS[0] | {"@timestamp": self.EVENTS[0]["time"]})

    def test_otlp(self):
        def parse(body):
            return json.loads(body)["resourceLogs"][0]["scopeLogs"][0]["logRecords"]

        receiver, taken = self.deliver(lambda *_: (200, '{"partialSuccess":{}}', {}), {"format": "otlp"}, self.EVENTS, parse)
        self.assertEqual(receiver.bodies[0][0], "/v1/logs")
        self.assertEqual([one["severityNumber"] for one in taken], [9, 17, 13, 9, 9])
        self.assertEqual([json.loads(one["body"]["stringValue"]) for one in taken], self.EVENTS)
        self.assertTrue(all(one["timeUnixNano"].isdigit() for one in taken))
        attributes = {one["key"]: one["value"]["stringValue"] for one in taken[0]["attributes"]}
        self.assertEqual(attributes, {"event": "crash_status", "id": self.EVENTS[0]["id"], "target": "web-17",
                                      "crash": self.EVENTS[0]["crash"], "verdict": "written"})

    def test_otlp_rejected_records_are_a_refusal(self):
        poison = self.EVENTS[1]["id"]

        def answer(path, headers, body):
            rejected = "1" if poison.encode() in body else 0
            return 200, json.dumps({"partialSuccess": {"rejectedLogRecords": rejected}}), {}

        receiver = self.receiver(answer)
        process = self.start({"name": "s", "type": "http", "format": "otlp", "url": receiver.url})
        self.tell(process, *self.EVENTS)
        wanted = {one["id"] for one in self.EVENTS}
        receiver.wait(lambda bodies: {name for name in wanted - {poison} for body in bodies
                                      if name.encode() in body[2] and poison.encode() not in body[2]} == wanted - {poison})
        self.finish(process, rejected=1, delivered=4)

    def test_alertmanager_is_told_of_last_breaks_and_lost_machines(self):
        events = [*self.EVENTS, event(6, phase="bugcheck_first"), event(7, phase="break"), event(8, kind="connected")]
        receiver, taken = self.deliver(None, {"format": "alertmanager"}, events, json.loads, 5)
        self.assertEqual(receiver.bodies[0][0], "/api/v2/alerts")
        self.assertEqual([one["labels"]["severity"] for one in taken], ["info", "critical", "warning", "info", "info"])
        self.assertEqual(taken[1]["labels"], {"alertname": "KdnetdCrashDump", "collector": taken[1]["labels"]["collector"],
                                              "severity": "critical", "target": "web-17", "verdict": "failed"})
        self.assertEqual(taken[3]["labels"]["alertname"], "KdnetdTargetLost")
        self.assertEqual((taken[0]["startsAt"], taken[0]["endsAt"]), ("2026-11-25T10:00:01.000001Z", "2026-11-26T10:00:01.000001Z"))
        self.assertIn("DISK_FULL", taken[1]["annotations"]["summary"])

    @unittest.skipUnless(alerting.ALERTMANAGER, "prometheus-alertmanager is not installed")
    def test_a_real_alertmanager_takes_one_alert_of_a_failed_dump(self):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        manager = alerting.start_alertmanager(self.folder, port)
        try:
            self.assertTrue(alerting.wait(lambda: alerting.ask(port, "/api/v2/status")), manager.said())
            process = self.start({"name": "s", "type": "http", "format": "alertmanager", "url": f"http://127.0.0.1:{port}", "verdict": ["failed"]})
            now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.000000Z")
            self.tell(process, event(1, time=now), event(2, verdict="failed", time=now), event(3, kind="connected", time=now))
            self.assertTrue(alerting.wait(lambda: alerting.alerts(port, "KdnetdCrashDump")), manager.said())
            alert, = alerting.alerts(port, "KdnetdCrashDump")
            self.finish(process)
        finally:
            manager.close()
        self.assertEqual((alert["labels"]["verdict"], alert["labels"]["target"], alert["startsAt"][:19]), ("failed", "web-17", now[:19]))

    def test_slack_says_how_many_more_there_are(self):
        hostile = event(1, verdict="failed", status_name="<script>&")
        receiver = self.receiver(lambda *_: (500 if len(receiver.bodies) == 0 else 200, "ok", {}))
        process = self.start({"name": "s", "type": "http", "format": "slack", "url": receiver.url + "/hook/x", "events": ["crash_status"]})
        self.tell(process, hostile, *(event(n) for n in range(2, 15)))
        total = receiver.wait(lambda bodies: sum(self.told(body[2]) for body in bodies if body[3] == 200) >= 14)
        self.assertTrue(total)
        self.finish(process)
        texts = [json.loads(body[2])["text"] for body in receiver.bodies if body[3] == 200]
        self.assertEqual(receiver.bodies[0][0], "/hook/x")
        self.assertIn("web-17: its crash dump failed (&lt;script&gt;&amp;), bug check 0x000000D1", texts[0])

    @staticmethod
    def told(body):
        lines = json.loads(body)["text"].splitlines()
        more = re.fullmatch(r"and (\d+) more", lines[-1])
        return len(lines) - 1 + int(more.group(1)) if more else len(lines)


class Answers(Case):
    def test_a_poisoned_event_is_given_up_alone(self):
        poison = event(7)["id"]
        tries = collections.Counter()

        def answer(path, headers, body):
            names = [one["id"] for one in lines_of(body)]
            tries.update(["alone"] if names == [poison] else [])
            return (400, "bad event", {}) if poison in names else (200, "", {})

        events = [event(n) for n in range(1, 20)]
        self.wanted = {"delivered": 18, "rejected": 1}
        receiver, taken = self.deliver(answer, {}, events, lines_of, 18)
        self.assertEqual([one["id"] for one in taken], [one["id"] for one in events if one["id"] != poison])
        self.assertEqual(tries["alone"], 3)
        self.assertIn("bad event", self.said["s"]["error"])

    def test_what_is_busy_is_asked_again(self):
        def answer(path, headers, body):
            number = len(receiver_of[0].bodies)
            return [(503, "", {}), (429, "", {"Retry-After": "2"}), (200, "", {})][min(number, 2)]

        receiver_of = [self.receiver(answer)]
        process = self.start({"name": "s", "type": "http", "url": receiver_of[0].url})
        self.tell(process, event(1))
        receiver_of[0].wait(lambda bodies: len(bodies) == 3)
        self.finish(process, delivered=1, errors=2, rejected=0)

    def test_what_is_not_allowed_gives_nothing_up(self):
        receiver = self.receiver(lambda *_: (401, "who are you", {}))
        process = self.start({"name": "s", "type": "http", "url": receiver.url})
        self.tell(process, event(1))
        receiver.wait(lambda bodies: len(bodies) == 1)
        said = self.finish(process, delivered=0, rejected=0, failing=1)
        self.assertIn("who are you", said["s"]["error"])
        fresh = self.receiver()
        process = self.start({"name": "s", "type": "http", "url": fresh.url})
        fresh.wait(lambda bodies: len(fresh.taken(lines_of)) == 1)
        self.finish(process)

    def test_a_corrected_token_is_tried_at_once(self):
        token = self.folder / "token"
        for name, correct in (("replaced", lambda: self.replace(token, "right\n")), ("made", lambda: token.write_text("right\n"))):
            with self.subTest(name):
                receiver = self.receiver(lambda _path, headers, _body: (200 if headers["Authorization"] == "Bearer right" else 403, "", {}))
                token.write_text("wrong\n")
                if name == "made":
                    token.unlink()
                process = self.start({"name": "s", "type": "http", "url": receiver.url, "token_file": str(token)})
                self.tell(process, event(1))
                self.wait_counts(process, failing=1)  # the next try is 4 to 6 min away
                correct()
                receiver.wait(lambda _: receiver.taken(lines_of))
                self.finish(process, delivered=1, failing=0)
                (self.folder / "kdnetd.db").unlink()

    @staticmethod
    def replace(path, text):
        other = path.with_suffix(".new")
        other.write_text(text)
        other.rename(path)

    def test_a_reload_tries_again_at_once(self):
        allowed = threading.Event()
        receiver = self.receiver(lambda *_: (200 if allowed.is_set() else 403, "", {}))
        process = self.start({"name": "s", "type": "http", "url": receiver.url})
        self.tell(process, event(1))
        self.wait_counts(process, failing=1)
        allowed.set()
        process.stdin.write("reload\n")
        process.stdin.flush()
        receiver.wait(lambda _: receiver.taken(lines_of))
        self.finish(process, delivered=1, failing=0)

    def test_an_error_is_cut_between_two_characters(self):
        receiver = self.receiver(lambda *_: (403, "\N{EURO SIGN}" * 100, {}))  # 200 bytes of an answer are told
        process = self.start({"name": "s", "type": "http", "url": receiver.url})
        self.tell(process, event(1))
        said = self.finish(process, failing=1)
        self.assertEqual(said["s"]["error"], '"HTTP 403: ' + "\N{EURO SIGN}" * 66 + '"')

    def test_only_what_is_wanted_comes(self):
        fields = {"events": ["crash_status", "lost"], "verdict": ["failed"], "label": ["rack=b4"]}
        rack = {"rack": "b4"}
        events = [event(1, verdict="failed", labels=rack), event(2, labels=rack), event(3, verdict="failed"),
                  event(4, kind="lost", labels=rack), event(5, kind="connected", labels=rack),
                  event(6, verdict="failed", labels=rack | {"os": "x"})]
        _, taken = self.deliver(None, fields, events, lines_of, 3)
        self.assertEqual([one["id"] for one in taken], [events[i]["id"] for i in (0, 3, 5)])

    def test_one_that_hangs_holds_up_no_other(self):
        held = threading.Event()
        self.addCleanup(held.set)
        hangs, works = self.receiver(lambda *_: (held.wait(PATIENCE), (200, "", {}))[1]), self.receiver()
        process = self.start({"name": "a", "type": "http", "url": hangs.url}, {"name": "b", "type": "http", "url": works.url})
        self.tell(process, *(event(n) for n in range(1, 50)))
        works.wait(lambda _: len(works.taken(lines_of)) == 49)
        said = self.finish(process)  # it ends although one hangs
        self.assertEqual(said["a"]["delivered"], "0")

    def test_nothing_is_missing_after_kills(self):
        receiver = self.receiver(lambda *_: (200 if len(receiver.bodies) % 3 else 503, "", {}))
        sink = {"name": "s", "type": "http", "url": receiver.url, "batch": 7}
        events = [event(n) for n in range(1, 121)]
        for start in range(0, 120, 40):
            process = self.start(sink)
            self.tell(process, *events[start:start + 40])
            wanted = start + 10
            receiver.wait(lambda _: len({one["id"] for one in receiver.taken(lines_of)}) >= wanted)
            time.sleep(0.3)  # what was told is in the store: this is about the sinks
            process.kill()
            process.wait()
        process = self.start(sink)
        receiver.wait(lambda _: len({one["id"] for one in receiver.taken(lines_of)}) == 120)
        self.finish(process)


@unittest.skipIf("KDNETD_DEAF" not in os.environ, "this libcurl waits for its threads")
class Names(Case):
    """The receiver's name is searched for, and the search never ends: nobody waits for it."""

    def begin(self):
        mark = self.folder / "mark"
        process = self.start({"name": "s", "type": "http", "url": "http://receiver.example.net"}, LD_PRELOAD=os.environ["KDNETD_DEAF"],
                             KDNETD_DEAF_MARK=str(mark), ASAN_OPTIONS=os.environ.get("ASAN_OPTIONS", "detect_leaks=1") + ":verify_asan_link_order=0")
        self.tell(process, event(1))
        end = time.monotonic() + PATIENCE
        while not mark.exists():
            self.assertLess(time.monotonic(), end, process.said)
            time.sleep(0.02)
        return process

    def test_the_end(self):
        self.finish(self.begin())

    def test_a_try_is_over_in_time(self):
        process = self.begin()
        said = self.finish(process, errors=1, failing=1)["s"]
        self.assertIn("timed out", said["error"])


class Certificates(Case):
    """What is wrong with a receiver's certificate is told, with what to do; the events are kept, and go when it is mended."""

    def openssl(self, *words):
        done = subprocess.run(["openssl", *map(str, words)], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            self.skipTest(f"this openssl cannot: {done.stderr[:200]}")

    def authority(self, name):
        self.openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", self.folder / f"{name}.key", "-out", self.folder / f"{name}.ca",
                     "-days", "2", "-subj", f"/CN={name}")
        return self.folder / f"{name}.ca"

    def certificate(self, authority, name, address="127.0.0.1", days="2"):
        request, key, made = (self.folder / f"{name}.{end}" for end in ("csr", "key", "crt"))
        extension = self.folder / "extension"
        extension.write_text(f"subjectAltName=IP:{address}\n")
        self.openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", key, "-out", request, "-subj", "/CN=receiver")
        self.openssl("x509", "-req", "-in", request, "-CA", self.folder / f"{authority}.ca", "-CAkey", self.folder / f"{authority}.key",
                     "-CAcreateserial", "-days", days, "-extfile", extension, "-out", made)
        return made, key

    def secure(self, made, key, clients=None, early_session=False):
        """A receiver with this certificate; more connections use what it is told later."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(made, key)
        if clients or early_session:  # TLS 1.3 may reset the connection before it says why; and it gives its sessions late
            context.maximum_version = ssl.TLSVersion.TLSv1_2
        if clients:
            context.load_verify_locations(clients)
            context.verify_mode = ssl.CERT_REQUIRED
        receiver, kept = self.receiver(), []
        receiver.server.handle_error = lambda *_: None  # those that do not trust it leave
        accept = receiver.server.get_request

        def get_request():
            connection, place = accept()
            connection = context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
            kept.append(connection._sslobj)  # a connection that goes without a word takes its session along
            return connection, place

        receiver.server.get_request = get_request
        return receiver, context

    def sink(self, name, receiver, ca_file):
        ca = self.folder / f"{name}.ca_file"
        ca.write_text(ca_file.read_text())
        return {"name": name, "type": "http", "url": receiver.url.replace("http:", "https:"), "ca_file": str(ca)}

    def wait_said(self, process, name, field, *words, patience=PATIENCE):
        end = time.monotonic() + patience
        while not all(word in self.counts(process).get(name, {}).get(field, "") for word in words):
            self.assertLess(time.monotonic(), end, (name, words, self.counts(process).get(name)))
            process.stdin.write("status\n")
            process.stdin.flush()
            time.sleep(0.05)

    def test_each_fault_is_told_and_mended(self):
        right, other = self.authority("right"), self.authority("other")
        good = self.certificate("right", "good")
        elsewhere = self.certificate("right", "elsewhere", "127.0.0.77")
        receivers = {"authority": self.secure(*good), "elsewhere": self.secure(*elsewhere), "resumed": self.secure(*elsewhere, early_session=True),
                     "old": self.secure(*self.certificate("right", "old", days="-1")), "client": self.secure(*good, clients=right)}
        words = {"authority": ["ca_file"], "elsewhere": ["for another name"], "resumed": ["for another name"], "old": ["expired", "needs a new certificate"],
                 "client": ["which a sink cannot show"]}
        process = self.start(*(self.sink(name, receiver, other if name == "authority" else right)
                               for name, (receiver, _) in receivers.items()))
        self.tell(process, event(1), event(2))
        mended = {"authority": lambda: (self.folder / "authority.ca_file").write_text(right.read_text()),
                  **{name: functools.partial(receivers[name][1].load_cert_chain, *good) for name in ("elsewhere", "resumed", "old")},
                  "client": lambda: setattr(receivers["client"][1], "verify_mode", ssl.CERT_NONE)}
        for name in receivers:  # each at once: the next try comes later after each one that fails
            self.wait_said(process, name, "error", *words[name])
            mended[name]()
        for name, (receiver, _) in receivers.items():
            self.wait_said(process, name, "delivered", "2", patience=2 * PATIENCE)
            self.assertEqual(len(receiver.taken(lines_of)), 2)
        self.finish(process)


if __name__ == "__main__":
    unittest.main()
