#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Each sink against a small receiver on loopback that checks what comes: python3 check_receivers.py FEEDER.

Outcomes are waited for, never for how long they take.
"""
import collections
import datetime
import functools
import gzip
import http.server
import json
import os
import pathlib
import re
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "http"))
import alerting  # noqa: E402

FEEDER = None
PATIENCE = 60.0
SECOND_1 = int(datetime.datetime.fromisoformat("2026-11-25T10:00:01+00:00").timestamp())


def event(n, kind="crash_status", verdict="written", phase="bugcheck_second", target="web-17", labels=None, **more):
    made = {"time": f"2026-11-25T10:00:{n % 60:02}.{n:06}Z", "event": kind, "id": f"c1-{n:016x}", "collector": "c1", "target": target,
            "address": "192.0.2.7:51111", "session": None, "boot": None, "crash": f"{n:016x}", "labels": labels or {}}
    if kind == "crash_status":
        made |= {"phase": phase, "verdict": verdict, "status": None, "status_name": "STATUS_DISK_FULL" if verdict == "failed" else None,
                 "reason": None, "bugcheck": {"code": "0x000000D1", "name": "DRIVER_IRQL_NOT_LESS_OR_EQUAL", "parameters": []}}
    return made | more


class Receiver:
    """An HTTP server that keeps each body, and answers as it is told."""

    def __init__(self, answer=None):
        self.bodies, self.lock = [], threading.Condition()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                status, reply, headers = (answer or (lambda *_: (200, "{}", {})))(self.path, self.headers, body)
                with outer.lock:
                    outer.bodies.append((self.path, self.headers, body, status))
                    outer.lock.notify_all()
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                reply = reply.encode()
                self.send_header("Content-Length", str(len(reply)))
                self.end_headers()
                try:
                    self.wfile.write(reply)
                except OSError:  # the sink was killed meanwhile
                    pass

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def wait(self, done):
        """Until done(bodies) is true; returns its value."""
        end = time.monotonic() + PATIENCE
        with self.lock:
            while not (value := done(self.bodies)):
                left = end - time.monotonic()
                assert left > 0, f"it did not come; there are {self.bodies[-3:]}"
                self.lock.wait(min(left, 1))
            return value

    def taken(self, parse):
        """Events of the bodies that were answered with 2xx."""
        return [one for path, headers, body, status in list(self.bodies) if status < 300 for one in parse(body)]

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class Case(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="kdnetd-sinks-"))
        self.addCleanup(shutil.rmtree, self.folder)
        self.wanted = {}

    def receiver(self, answer=None):
        one = Receiver(answer)
        self.addCleanup(one.close)
        return one

    def start(self, *sinks):
        config = self.folder / "kdnetd.yaml"
        config.write_text(json.dumps({"collector": "c1", "sinks": list(sinks)}))
        process = subprocess.Popen([FEEDER, str(config), str(self.folder / "kdnetd.db")], stdin=subprocess.PIPE,
                                   stderr=subprocess.PIPE, text=True)
        self.addCleanup(self.end, process)
        process.said = []
        process.reader = threading.Thread(target=lambda: process.said.extend(iter(process.stderr.readline, "")), daemon=True)
        process.reader.start()
        return process

    @staticmethod
    def end(process):
        if process.poll() is None:
            process.kill()
        process.wait()
        for pipe in (process.stdin, process.stderr):
            if pipe:
                try:
                    pipe.close()
                except OSError:
                    pass

    @staticmethod
    def tell(process, *events):
        for one in events:
            process.stdin.write(json.dumps(one) + "\n")
        process.stdin.flush()

    @staticmethod
    def counts(process):
        """What it last said of its sinks: {name: {field: value}}."""
        lines = re.findall(r"^(\w+) (?:http|syslog|journal) (delivered=.*)$", "".join(process.said), re.M)
        return {name: dict(re.findall(r'(\w+)=("[^"]*"|\S+)', rest)) for name, rest in lines} | {"": "".join(process.said)}

    def wait_counts(self, process, **wanted):
        """Until sink `s` says so. Returns its counts."""
        end = time.monotonic() + PATIENCE
        while True:
            process.stdin.write("status\n")
            process.stdin.flush()
            counts = self.counts(process).get("s", {})
            if all(counts.get(name) == str(value) for name, value in wanted.items()):
                return counts
            self.assertLess(time.monotonic(), end, process.said[-20:])
            time.sleep(0.05)

    def finish(self, process, **wanted):
        """Ends it, once sink `s` says what is wanted. Returns what it said last."""
        if wanted:
            self.wait_counts(process, **wanted)
        process.stdin.close()
        self.assertEqual(process.wait(PATIENCE), 0, process.said)
        process.reader.join(PATIENCE)
        return self.counts(process)

    def deliver(self, answer, fields, events, parse, count=None):
        """Events through one sink, until as many as are wanted have been taken. Returns (receiver, what was taken)."""
        receiver = self.receiver(answer)
        process = self.start({"name": "s", "type": "http", "url": receiver.url} | fields)
        self.tell(process, *events)
        receiver.wait(lambda _: len(receiver.taken(parse)) >= (len(events) if count is None else count))
        self.said = self.finish(process, **self.wanted)
        return receiver, receiver.taken(parse)


def lines_of(body):
    return [json.loads(line) for line in body.decode().splitlines()]


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


class Syslog(Case):
    FORM = re.compile(r'<(\d+)>1 (\S+) (\S+) kdnetd - (\S+) \[kdnetd@32473((?: \w+="(?:[^"\\\]]|\\.)*")*)\] (\{.*\})', re.S)

    def listen(self, context=None):
        listener = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(listener.close)
        self.frames, self.lock, self.connections = [], threading.Condition(), []

        def serve():
            while True:
                try:
                    connection = listener.accept()[0]
                except OSError:
                    return
                self.connections.append(connection)
                try:
                    connection = context.wrap_socket(connection, server_side=True) if context else connection
                    threading.Thread(target=self.read, args=(connection,), daemon=True).start()
                except OSError:
                    pass

        threading.Thread(target=serve, daemon=True).start()
        return f"127.0.0.1:{listener.getsockname()[1]}"

    def read(self, connection):
        data = b""
        while True:
            try:
                more = connection.recv(65536)
            except OSError:
                return
            if not more:
                return
            data += more
            while (found := re.match(rb"(\d+) ", data)) and len(data) >= found.end() + int(found.group(1)):
                end = found.end() + int(found.group(1))
                with self.lock:
                    self.frames.append(data[found.end():end].decode())
                    self.lock.notify_all()
                data = data[end:]

    def wait(self, count):
        end = time.monotonic() + PATIENCE
        with self.lock:
            while len(self.frames) < count:
                assert time.monotonic() < end, self.frames
                self.lock.wait(1)

    def check(self, frames, events, facility=3):
        self.assertEqual(len(frames), len(events))
        for frame, made in zip(frames, events):
            found = self.FORM.fullmatch(frame)
            self.assertTrue(found, frame)
            severity = {"failed": 3, "unknown": 4}.get(made.get("verdict"), 5)
            self.assertEqual((int(found[1]), found[2], found[4]), (facility * 8 + severity, made["time"], made["event"]))
            self.assertIn(f'id="{made["id"]}"', found[5])
            self.assertEqual(json.loads(found[6]), made)

    def test_tcp(self):
        events = [event(1), event(2, verdict="failed"), event(3, verdict="unknown"), event(4, kind="lost")]
        process = self.start({"name": "s", "type": "syslog", "address": self.listen(), "facility": "local3"})
        self.tell(process, *events)
        self.wait(4)
        self.finish(process, delivered=4)
        self.check(self.frames, events, 19)

    def test_what_a_broken_connection_may_have_lost_is_sent_again(self):
        process = self.start({"name": "s", "type": "syslog", "address": self.listen()})
        self.tell(process, event(1), event(2))
        self.wait(2)
        self.connections[0].shutdown(socket.SHUT_RDWR)
        self.tell(process, event(3))
        end = time.monotonic() + PATIENCE
        while {json.loads(self.FORM.fullmatch(one)[6])["id"] for one in self.frames[2:]} != {event(n)["id"] for n in (1, 2, 3)}:
            self.assertLess(time.monotonic(), end, self.frames)
            time.sleep(0.05)
        self.finish(process)

    def test_a_connection_that_breaks_while_nothing_comes_is_noticed(self):
        process = self.start({"name": "s", "type": "syslog", "address": self.listen()})
        self.tell(process, event(1), event(2))
        self.wait(2)
        self.connections[0].shutdown(socket.SHUT_RDWR)
        self.wait(4)
        self.assertEqual([json.loads(self.FORM.fullmatch(one)[6])["id"] for one in self.frames[2:4]], [event(1)["id"], event(2)["id"]])
        self.finish(process)

    def test_tls_checks_the_receiver(self):
        key, certificate = self.folder / "key", self.folder / "certificate"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", certificate, "-days", "2",
                        "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"], check=True, capture_output=True)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        address = self.listen(context)
        sink = {"name": "s", "type": "syslog", "transport": "tls", "address": address}
        process = self.start(sink)
        self.tell(process, event(1))
        self.wait_counts(process, failing=1)
        self.assertEqual(self.frames, [])
        self.finish(process)
        process = self.start(sink | {"ca_file": str(certificate)})
        self.wait(1)
        self.finish(process)
        self.check(self.frames, [event(1)])

    def test_an_event_too_large_for_udp_is_cut_between_two_characters(self):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
            receiver.bind(("127.0.0.1", 0))
            receiver.settimeout(PATIENCE)
            process = self.start({"name": "s", "type": "syslog", "transport": "udp", "address": f"127.0.0.1:{receiver.getsockname()[1]}"})
            for before in range(4):
                text = "y" * before + "\N{COLLISION SYMBOL}" * 16300
                process.stdin.write(json.dumps(event(1 + before, text=text), ensure_ascii=False) + "\n")
                process.stdin.flush()
                frame = receiver.recv(65536)
                self.assertTrue(65000 - 4 < len(frame) <= 65000, len(frame))
                self.assertTrue(frame.decode().endswith("\N{COLLISION SYMBOL}"))
        self.finish(process)

    def test_udp(self):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
            receiver.bind(("127.0.0.1", 0))
            receiver.settimeout(PATIENCE)
            process = self.start({"name": "s", "type": "syslog", "transport": "udp", "address": f"127.0.0.1:{receiver.getsockname()[1]}"})
            self.tell(process, event(1), event(2))
            frames = [receiver.recv(65536).decode() for _ in range(2)]
        self.finish(process)
        self.check(frames, [event(1), event(2)])

    @unittest.skipUnless(shutil.which("rsyslogd"), "rsyslog is not installed")
    def test_rsyslog_understands_it(self):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        out, config = self.folder / "out", self.folder / "rsyslog.conf"
        config.write_text(f'module(load="imtcp")\ninput(type="imtcp" address="127.0.0.1" port="{port}")\n'
                          f'template(name="t" type="string" string="%APP-NAME% %MSGID% %syslogseverity-text% %STRUCTURED-DATA%\\n")\n'
                          f'action(type="omfile" file="{out}" template="t")\n')
        daemon = subprocess.Popen(["rsyslogd", "-n", "-i", str(self.folder / "pid"), "-f", str(config)], stdout=subprocess.DEVNULL,
                                  stderr=subprocess.DEVNULL)
        self.addCleanup(self.end, daemon)
        process = self.start({"name": "s", "type": "syslog", "address": f"127.0.0.1:{port}"})
        self.tell(process, event(1, verdict="failed"))
        end = time.monotonic() + PATIENCE
        while not out.exists() or not out.read_text().endswith("\n"):
            self.assertLess(time.monotonic(), end)
            time.sleep(0.05)
        self.finish(process)
        self.assertRegex(out.read_text(), r'^kdnetd crash_status err \[kdnetd@32473 id="c1-0000000000000001" target="web-17" verdict="failed"')


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


class Journal(Case):
    def test_events_have_native_fields(self):
        path = str(self.folder / "journal")
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as journal:
            journal.bind(path)
            journal.settimeout(PATIENCE)
            process = self.start({"name": "s", "type": "journal", "address": path})
            self.tell(process, event(1, verdict="failed"), event(2, kind="lost"))
            got = [dict(line.split("=", 1) for line in journal.recv(1 << 20).decode().splitlines()) for _ in range(2)]
        self.finish(process)
        self.assertEqual(got[0]["PRIORITY"], "3")
        self.assertEqual((got[0]["SYSLOG_IDENTIFIER"], got[0]["KDNETD_TARGET"], got[0]["KDNETD_VERDICT"]), ("kdnetd", "web-17", "failed"))
        self.assertIn("its crash dump failed", got[0]["MESSAGE"])
        self.assertEqual(json.loads(got[0]["KDNETD_JSON"]), event(1, verdict="failed"))
        self.assertEqual((got[1]["PRIORITY"], got[1]["KDNETD_EVENT"]), ("5", "lost"))
        self.assertNotIn("KDNETD_VERDICT", got[1])


if __name__ == "__main__":
    FEEDER = sys.argv.pop(1)
    os.environ.pop("http_proxy", None)
    unittest.main()
