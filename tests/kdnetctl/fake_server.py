# SPDX-License-Identifier: Apache-2.0
"""A kdnetd that answers by the contract of its HTTP interface, from lists that a test fills: on a Unix socket or TCP."""
import http.server
import json
import os
import socketserver
import threading
import urllib.parse


def problem(name, status, detail, **more):
    return status, dict({"type": f"urn:kdnetd:problem:{name}", "title": name.replace("-", " "), "status": status,
                         "detail": detail, "instance": None}, **more)


def target(name, state="connected", **more):
    return dict({"name": name, "state": state, "since": "2026-11-26T08:00:00.000000Z", "address": "192.0.2.7:51111",
                 "version": 5, "boot": "15519032be73d58a", "session": "395fe37bd9537f4f",
                 "last_seen": "2026-11-26T08:14:03.123456Z",
                 "kernel": {"build_lab": "20348.288.amd64fre.fe_release.210507-1500", "machine": "x64"},
                 "listener": "0.0.0.0:50000", "worker": 0, "held_until": None, "last_crash": None, "labels": {},
                 "stale": False}, **more)


def crash(name, machine, **more):
    return dict({"crash": name, "target": machine, "time": "2026-11-26T08:14:03.123456Z",
                 "bugcheck": {"code": "0x000000D1", "name": "DRIVER_IRQL_NOT_LESS_OR_EQUAL",
                              "parameters": ["0xFFFFBEEB8DA1658E", "0x2", "0x0", "0xFFFFF800EE42C90B"], "from": "memory"},
                 "verdict": "written", "reason": None, "status": "0x00000000", "assessment": None, "bucket": None,
                 "phases": [{"id": f"{name}-shutdown-written", "time": "2026-11-26T08:14:08.123456Z", "phase": "shutdown",
                             "verdict": "written", "status": "0x00000000", "reason": None, "collector": "c1",
                             "read_ms": 0.4, "halted_ms": 1.1}],
                 "dump_ms": 5012.25, "halted_ms": 2.5, "kernel": {"build_lab": "20348.288", "machine": "x64", "pdb": None},
                 "evidence": {"dump_block": "0xFFFF9A8F1C2D3000"}, "labels": {}, "acknowledged": None}, **more)


class Fake:
    """`state` is what it knows; `requests` what it was asked: (method, path with query, body, headers)."""

    def __init__(self, folder=None, token=None):
        self.targets, self.crashes, self.events, self.unknown, self.buckets = [], [], [], [], []
        self.requests, self.token, self.healthy, self.ready = [], token, "ok", "ok"
        self.reload = (200, {"ok": True})
        self.raw = None  # (status, type, bytes) for each path, whatever it is
        self.status = {"version": "0.2.0", "collector": "c1", "started": "2026-11-26T07:00:00.000000Z",
                       "uptime_seconds": 4443.5, "workers": 2, "draining": False,
                       "listeners": [{"address": "0.0.0.0:50000", "open": True, "heard_at": "2026-11-26T08:14:03.0Z"}],
                       "targets": {"connected": 1}, "sinks": [],
                       "store": {"path": "/var/lib/kdnetd/kdnetd.db", "state": "ok", "events": 5, "bytes": 4096,
                                 "error": None},
                       "configuration": {"path": "/etc/kdnetd/kdnetd.yaml", "read_at": "2026-11-26T07:00:00.0Z",
                                         "error": None}, "degraded": []}
        fake = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def address_string(self):
                return "local"

            def log_message(self, *_):
                pass

            def do_GET(self):
                fake.serve(self)

            do_POST = do_DELETE = do_GET

        class Unix(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
            daemon_threads = True

        if folder is not None:
            self.path = os.path.join(folder, "kdnetd.sock")
            self.server = Unix(self.path, Handler)
        else:
            self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
            self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True)
        self.thread.start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    def serve(self, request):
        body = request.rfile.read(int(request.headers.get("Content-Length") or 0))
        self.requests.append((request.command, request.path, json.loads(body) if body else None, dict(request.headers)))
        url = urllib.parse.urlsplit(request.path)
        query = urllib.parse.parse_qs(url.query)
        if self.raw:
            return self.send(request, *self.raw)
        if self.token and request.headers.get("Authorization") != f"Bearer {self.token}":
            return self.send_json(request, *problem("token-missing", 401, "send a token of http_tokens"))
        if url.path in ("/healthz", "/readyz"):
            text = self.healthy if url.path == "/healthz" else self.ready
            return self.send(request, 200 if text == "ok" else 503, "text/plain", text.encode())
        if url.path == "/api/v1/stream":
            return self.stream(request, query)
        if url.path == "/api/v1/events":
            lines = self.chosen(query)
            return self.send(request, 200, "application/x-ndjson", "".join(json.dumps(e) + "\n" for e in lines).encode())
        parts = [urllib.parse.unquote(part) for part in url.path.split("/")[3:]]
        return self.send_json(request, *self.answer(request.command, parts, query, body))

    def chosen(self, query):
        events = [e for e in self.events if e["event"] in query.get("type", [e["event"]]) and
                  e["target"] in query.get("target", [e["target"]])]
        after = query.get("after")
        if after:
            events = events[[e["id"] for e in events].index(after[0]) + 1:]
        if "tail" in query:
            events = events[-int(query["tail"][0]):]
        return events[:int(query.get("limit", ["1000"])[0])]

    def stream(self, request, query):
        """What is stored behind the id that is named, or all; then the end, as of a server that is restarted."""
        last = request.headers.get("Last-Event-ID")
        events = self.chosen({k: v for k, v in query.items() if k != "after"})
        if last:
            events = events[[e["id"] for e in events].index(last) + 1:]
        text = "retry: 2000\n\n: ping\n\n"
        for event in events:
            text += f"id: {event['id']}\nevent: {event['event']}\ndata: {json.dumps(event)}\n\n"
        self.send(request, 200, "text/event-stream", text.encode())

    def page(self, query, member, items):
        limit, start = int(query.get("limit", ["100"])[0]), int(query.get("cursor", ["0"])[0])
        end = start + limit
        return 200, {"total": len(items), member: items[start:end], "next": str(end) if end < len(items) else None}

    def answer(self, method, parts, query, body):
        if parts == ["status"]:
            return 200, self.status
        if parts == ["unknown"]:
            return 200, {"total": len(self.unknown), "unknown": self.unknown}
        if parts == ["buckets"]:
            return 200, {"buckets": self.buckets}
        if parts == ["reload"]:
            return self.reload
        if parts == ["drain"]:
            return 200, {"draining": method == "POST", "halted": 1, "held": 2, "heard_last_10s": 3}
        if parts == ["targets"]:
            states = query.get("state")
            return self.page(query, "targets", [t for t in self.targets if not states or t["state"] in states])
        if parts == ["crashes"]:
            if query.get("since") == ["nonsense"]:
                return problem("bad-request", 400, "since is a duration or a time", field="since")
            return self.page(query, "crashes", self.crashes)
        if parts[0] == "crashes":
            found = [c for c in self.crashes if c["crash"] == parts[1]]
            return (200, found[0]) if found else problem("not-found", 404, "no crash has this name")
        if parts[0] == "targets":
            found = [t for t in self.targets if t["name"] == parts[1]]
            if not found:
                return problem("no-such-target", 404, "no target has this name; see /api/v1/targets")
            return self.act(found[0], parts[2:], body)
        return problem("not-found", 404, "nothing is here")

    def act(self, found, action, body):
        if not action:
            return 200, dict(found, crashes=[c for c in self.crashes if c["target"] == found["name"]])
        if action == ["read"] and body and json.loads(body).get("break_in"):
            return problem("forbidden", 403, "break_in: allowed in the configuration lets kdnetd stop running machines")
        if found["state"] != "held":
            return problem("wrong-state", 409, f"{found['name']} is {found['state']}, not held", state=found["state"])
        return 202, {"id": "c1-0-1"}

    def send_json(self, request, status, body):
        kind = "application/json" if status < 400 else "application/problem+json"
        self.send(request, status, kind, json.dumps(body).encode())

    @staticmethod
    def send(request, status, kind, body):
        request.send_response(status)
        request.send_header("Content-Type", kind)
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body)
