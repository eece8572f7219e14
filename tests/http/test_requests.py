# SPDX-License-Identifier: Apache-2.0
"""Requests, good and bad: what is answered, and what nothing comes of."""
import json
import pathlib
import resource
import socket
import subprocess
import sys
import time
import unittest

import fake
from fake import ACT, PATIENCE, READ, get


class Reading(fake.Case):
    def test_every_answer_says_what_it_is(self):
        server = self.fake()
        for path, kind in (("/healthz", "text/plain; charset=utf-8"), ("/readyz", "text/plain; charset=utf-8"),
                           ("/api/v1/status", "application/json"), ("/api/v1/events", "application/x-ndjson"),
                           ("/metrics", "text/plain; version=0.0.4; charset=utf-8"), ("/", "text/html; charset=utf-8")):
            answer = server.ask(path)
            self.assertEqual(answer.status, 200, path)
            self.assertEqual(answer.headers["Content-Type"], kind)
            self.assertEqual(answer.headers["Cache-Control"], "no-store")
            self.assertIn("default-src 'none'", answer.headers["Content-Security-Policy"])
            self.assertNotIn("unsafe", answer.headers["Content-Security-Policy"])
            self.assertIsNone(answer.headers["Access-Control-Allow-Origin"])
            head = server.ask(path, "HEAD")
            self.assertEqual((head.status, head.body), (200, b""))
            self.assertEqual(head.headers["Content-Type"], kind)
        self.assertEqual(server.ask("/healthz").body, b"ok\n")

    def test_health_names_the_loop_and_readiness_the_reason(self):
        server = self.fake()
        server.tell("stuck worker-1")
        problem = self.check_problem(server.ask("/healthz"), 503, "not-ready")
        self.assertIn("worker-1", problem["detail"])
        self.assertEqual(server.ask("/readyz").status, 200)
        server.tell("ready 0")
        self.assertIn("draining", self.check_problem(server.ask("/readyz"), 503, "not-ready")["detail"])

    def test_lists_go_on_where_they_ended(self):
        server = self.fake("--targets", 250, "--crashes", 250)
        for path, member, key in (("/api/v1/targets", "targets", "name"), ("/api/v1/crashes", "crashes", "crash")):
            seen, cursor = [], ""
            while cursor is not None:
                page = server.ask(f"{path}?limit=99" + (f"&cursor={cursor}" if cursor else "")).json()
                self.assertEqual(page["total"], 250)
                seen += [one[key] for one in page[member]]
                cursor = page["next"]
            self.assertEqual(len(seen), 250)
            self.assertEqual(len(set(seen)), 250)
            if member == "targets":
                self.assertEqual(seen, sorted(seen))

    def test_filters_of_one_name_are_or_and_of_several_names_and(self):
        server = self.fake("--targets", 60)
        everyone = server.ask("/api/v1/targets?limit=1000").json()["targets"]
        held = server.ask("/api/v1/targets?state=held&state=lost").json()
        self.assertEqual({one["state"] for one in held["targets"]} - {"held", "lost"}, set())
        label = everyone[7]["labels"]
        both = server.ask(f"/api/v1/targets?label=rack={label['rack']}&label=site={label['site']}").json()
        want = [one["name"] for one in everyone if one["labels"] == label]
        self.assertEqual([one["name"] for one in both["targets"]], want)
        found = server.ask("/api/v1/targets?q=WEB").json()
        self.assertEqual(found["total"], sum("web" in one["name"] for one in everyone))

    def test_one_of_each(self):
        server = self.fake()
        target = server.ask("/api/v1/targets/db-01").json()
        self.assertEqual(target["state"], "held")
        self.assertTrue(all(crash["target"] == "db-01" for crash in target["crashes"]))
        crash = target["crashes"][0]["crash"]
        self.assertEqual(server.ask(f"/api/v1/crashes/{crash}").json()["crash"], crash)
        self.assertEqual(server.ask("/api/v1/targets/db%2D01").json()["name"], "db-01")
        self.check_problem(server.ask("/api/v1/targets/nobody"), 404, "no-such-target")
        self.check_problem(server.ask("/api/v1/targets/nobody/events"), 404, "no-such-target")
        self.check_problem(server.ask("/api/v1/crashes/ffffffffffffffff"), 404, "not-found")
        self.check_problem(server.ask("/api/v1/crashes/none"), 404, "not-found")

    def test_events_by_id_and_from_the_end(self):
        server = self.fake("--crashes", 50)
        lines = [json.loads(line) for line in server.ask("/api/v1/events").body.splitlines()]
        self.assertEqual(len(lines), 50)
        rest = server.ask(f"/api/v1/events?after={lines[30]['id']}").body.splitlines()
        self.assertEqual([json.loads(line)["id"] for line in rest], [line["id"] for line in lines[31:]])
        tail = server.ask("/api/v1/events?tail=3").body.splitlines()
        self.assertEqual([json.loads(line)["id"] for line in tail], [line["id"] for line in lines[-3:]])
        self.check_problem(server.ask("/api/v1/events?after=c-0-1"), 410, "gone")
        self.check_problem(server.ask("/api/v1/events?after=c-0-1&tail=3"), 400, "bad-request", "tail")

    def test_without_a_store(self):
        server = self.fake("--no-store")
        for path in ("/api/v1/events", "/api/v1/crashes", "/api/v1/buckets"):
            self.check_problem(server.ask(path), 503, "store")
        self.assertIsNone(server.ask("/api/v1/targets/db-01").json()["crashes"])
        self.assertEqual(server.ask("/api/v1/status").json()["store"]["state"], "none")


class Wrong(fake.Case):
    def test_parameters(self):
        server = self.fake()
        for path, field in (("/api/v1/targets?foo=1", "foo"), ("/healthz?x", "x"), ("/api/v1/targets?limit=0", "limit"),
                            ("/api/v1/targets?limit=1001", "limit"), ("/api/v1/targets?limit=1e2", "limit"),
                            ("/api/v1/targets?limit=-1", "limit"), ("/api/v1/targets?limit=", "limit"),
                            ("/api/v1/targets?limit=1&limit=2", "limit"), ("/api/v1/targets?state=up", "state"),
                            ("/api/v1/targets?label=rack", "label"), ("/api/v1/targets?label==x", "label"),
                            ("/api/v1/targets?cursor=n.%20", "cursor"), ("/api/v1/targets?cursor=c.1", "cursor"),
                            ("/api/v1/targets?q=" + "x" * 129, "q"), ("/api/v1/crashes?since=yesterday", "since"),
                            ("/api/v1/crashes?since=2026-02-30T00:00:00Z", "since"),
                            ("/api/v1/crashes?until=2026-01-01T25:00:00Z", "until"),
                            ("/api/v1/crashes?since=99999999999999999d", "since"),
                            ("/api/v1/crashes?verdict=good", "verdict"), ("/api/v1/crashes?code=D1x", "code"),
                            ("/api/v1/crashes?code=123456789", "code"), ("/api/v1/crashes?target=a%2Fb", "target"),
                            ("/api/v1/crashes?cursor=c.x.0", "cursor"),
                            ("/api/v1/crashes?cursor=c.0.0123456789abcdef", "cursor"),
                            ("/api/v1/crashes?cursor=c.9999999999999999999.0123456789abcdef", "cursor"),
                            ("/api/v1/crashes?cursor=c.99999999999999999999999.0123456789abcdef", "cursor"),
                            ("/api/v1/crashes?cursor=c.1.0123456789ABCDEF", "cursor"),
                            ("/api/v1/crashes?cursor=c.1.0123456789abcdef0", "cursor"),
                            ("/api/v1/buckets?limit=0", "limit"), ("/api/v1/buckets?since=-1h", "since"), ("/api/v1/events?after=a%20b", "after"),
                            ("/api/v1/events?tail=10001", "tail"), ("/api/v1/events?type=nothing", "type"),
                            ("/api/v1/stream?after=%22", "after"), ("/api/v1/stream?type=x", "type"),
                            ("/api/v1/targets?q=%ff", "query"), ("/api/v1/targets?q=%00", "query"),
                            ("/api/v1/targets?q=%0a", "query"), ("/api/v1/targets?q=%c0%80", "query"),
                            ("/api/v1/targets?q=%zz", "query"), ("/api/v1/targets?" + "&".join(["q=1"] * 65), "query"),
                            ("/api/v1/targets?" + "&".join(["state=lost"] * 64) + "&q=1", "query"),
                            ("/api/v1/targets/%00", "path")):
            with self.subTest(path):
                self.check_problem(server.ask(path), 400, "bad-request", field)
        unknown = self.check_problem(server.ask("/api/v1/targets?foo=1&limit=3&bar=2"), 400, "bad-request", "foo")
        self.assertIn("foo, bar", unknown["detail"])
        self.assertEqual(server.ask("/api/v1/crashes?since=2026-01-01T00:00:00%2B01:00&code=0xd1&code=3B").status, 200)
        self.assertEqual(server.ask("/api/v1/crashes?since=2026-01-01T00:00:00.123456789Z&until=24h").status, 200)

    def test_methods(self):
        server = self.fake()
        for path, method, allowed in (("/healthz", "POST", "GET, HEAD"), ("/api/v1/drain", "GET", "POST, DELETE"),
                                      ("/api/v1/targets", "OPTIONS", "GET, HEAD"), ("/", "BREW", "GET, HEAD"),
                                      ("/api/v1/targets/db-01/release", "PUT", "POST")):
            answer = server.ask(path, method)
            self.check_problem(answer, 405, "method")
            self.assertEqual(answer.headers["Allow"], allowed)
        for path in ("/nothing", "/api/v1", "/api/v2/status", "/api/v1/targets/", "/api/v1/targets/a/b", "/page/x.js",
                     "/page/../etc/passwd", "//healthz", "/healthz/"):
            self.check_problem(server.ask(path), 404, "not-found")

    def test_hosts(self):
        server = self.fake("--name", "kdnet.example.com")
        for host, status in (("localhost", 200), ("LOCALHOST:1", 200), ("127.0.0.1:9471", 200), ("[::1]", 200),
                             ("kdnet.example.com:80", 200), ("evil.example.com", 421), ("127.0.0.2", 421), ("", 421),
                             ("[::1", 421), ("localhost:x", 421), ("localhost.evil.com", 421), ("::1", 421)):
            answer = server.ask("/healthz", headers={"Host": host})
            self.assertEqual(answer.status, status, host)
            if status == 421:
                self.check_problem(answer, 421, "wrong-host", "Host")
        self.assertEqual(server.ask("/healthz", headers={"Host": "anything"}, local=True).status, 200)

    def test_bytes_that_are_no_request(self):
        server = self.fake()
        long = b"GET /?" + b"q" * 9000
        many = b"GET / HTTP/1.1\r\nHost: localhost\r\n"
        for data, status, name in (
                (b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n", 400, "bad-request"),
                (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400, "bad-request"), (b"GET\r\n\r\n", 400, "bad-request"),
                (b"GET / HTTP/1.1\r\n\r\n", 400, "bad-request"), (b"GET / HTTP/3\r\nHost: x\r\n\r\n", 400, "bad-request"),
                (b"G\x00T / HTTP/1.1\r\nHost: localhost\r\n\r\n", 400, "bad-request"),
                (get("/", "X: a\x00b"), 400, "bad-request"), (get("/", "X : a"), 400, "bad-request"),
                (get("/", " folded"), 400, "bad-request"), (get("/", "no colon"), 400, "bad-request"),
                (get("/", "Host: localhost"), 400, "bad-request"), (get("/", "X: a\rb"), 400, "bad-request"),
                (get("/", "Content-Length: 1", "Content-Length: 2"), 400, "bad-request"),
                (get("/", "Content-Length: -1"), 400, "bad-request"),
                (get("/", "Content-Length: 99999999999999999999"), 400, "bad-request"),
                (get("/", "Content-Length: 1", "Transfer-Encoding: chunked"), 400, "bad-request"),
                (get("/", "Transfer-Encoding: gzip"), 400, "bad-request"),
                (get("/a b"), 400, "bad-request"), (get("/#f"), 400, "bad-request"), (get("ftp://x/"), 400, "bad-request"),
                (get("/\xe4"), 400, "bad-request"), (long, 414, "uri-too-long"),
                (long + b" HTTP/1.1\r\n\r\n", 414, "uri-too-long"),
                (many + b"X: y\r\n" * 3000, 431, "headers-too-large"),
                (many + b"X: y\r\n" * 101 + b"\r\n", 431, "headers-too-large"),
                (get("/healthz", "Content-Length: 65537"), 413, "too-large")):
            with self.subTest(data[:60]):
                self.check_raw_problem(server.raw(data), status, name)
        self.assertEqual(server.ask("/healthz").status, 200)

    def test_another_protocol_is_told_before_its_line_ends(self):
        server = self.fake()
        for data in (b"\x16\x03\x01\x02\x00\x01\x00", b"\x80\x2e\x01", b"\x05\x01\x00", b"\x00", b" GET", b"\r\n\xff"):
            with self.subTest(data), server.connect() as sock:
                sock.sendall(data)
                self.check_raw_problem(fake.read_all(sock), 400, "bad-request")

    def test_bodies(self):
        server = self.fake("--tokens", self.tokens())
        release = "/api/v1/targets/db-01/release"
        for body, field in ((b"{", "body"), (b"[]", "body"), (b"\xff", "body"), (b'{"a":1,"a":2}', "body"),
                            (b'{"x":1}', "x"), (b'{"to_debugger":5}', "to_debugger"), (b"[" * 5000, "body"),
                            (b'{"to_debugger":"soon"}', "to_debugger"), (b'{"to_debugger":"8d"}', "to_debugger")):
            with self.subTest(body[:40]):
                self.check_problem(server.ask(release, "POST", body, token=ACT), 400, "bad-request", field)
        self.check_problem(server.ask(release, "POST", b"{}", {"Content-Type": "text/plain"}, token=ACT), 415, "media-type")
        self.check_problem(server.ask("/api/v1/targets/db-01/read", "POST", {"break_in": 1}, token=ACT), 400,
                           "bad-request", "break_in")
        ack = "/api/v1/crashes/0000000000000001/ack"
        for note in ("x" * 1001, "a\nb", 5, ["x"]):
            self.check_problem(server.ask(ack, "POST", {"note": note}, token=ACT), 400, "bad-request", "note")
        self.check_problem(server.ask(ack, "POST", b"x" * 70000, token=ACT), 413, "too-large")
        auth = f"Authorization: Bearer {ACT}"
        head = f"POST {ack} HTTP/1.1\r\nHost: localhost\r\n{auth}\r\nContent-Type: application/json\r\n"
        chunked = head + "Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
        good = server.raw((chunked + "5\r\n{\"not\r\n9;x=y\r\ne\":\"seen\"\r\n1\r\n}\r\n0\r\nT: x\r\n\r\n").encode())
        self.assertTrue(good.startswith(b"HTTP/1.1 200 "), good)
        for rest in ("x\r\n", "5\r\n{}xxxzz\r\n", "-1\r\n", "10001\r\n", "ffffffffffffffffff\r\n", "1" * 300):
            data = server.raw((chunked + rest).encode())
            self.assertTrue(data.startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 413 ")), data)
        expects = head + "Content-Length: 2\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n{}"
        self.assertTrue(server.raw(expects.encode()).startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 "))


class Acting(fake.Case):
    def test_roles(self):
        server = self.fake("--tokens", self.tokens())
        drain = "/api/v1/drain"
        missing = server.ask(drain, "POST")
        self.check_problem(missing, 401, "token-missing")
        self.assertTrue(missing.headers["WWW-Authenticate"].startswith("Bearer"))
        self.check_problem(server.ask(drain, "POST", token="x" * 32), 401, "token-missing")
        self.check_problem(server.ask(drain, "POST", headers={"Authorization": "Basic eDp5"}), 401, "token-missing")
        self.check_problem(server.ask(drain, "POST", token=READ), 403, "forbidden")
        self.assertTrue(server.ask(drain, "POST", token=ACT).json()["draining"])
        self.assertTrue(server.ask(drain, "POST", local=True).json()["draining"])
        self.assertEqual(server.ask("/api/v1/status").status, 200)
        self.check_problem(server.ask("/api/v1/status", token="x" * 32), 401, "token-missing")

    def test_reading_may_need_a_token(self):
        server = self.fake("--tokens", self.tokens(), "--read", "token")
        for path in ("/metrics", "/api/v1/status", "/api/v1/stream", "/api/v1/events"):
            self.check_problem(server.ask(path), 401, "token-missing")
        for token in (READ, ACT):
            self.assertEqual(server.ask("/api/v1/status", token=token).status, 200)
        for path in ("/healthz", "/readyz", "/"):
            self.assertEqual(server.ask(path).status, 200)
        self.assertEqual(server.ask("/api/v1/status", local=True).status, 200)

    def test_tokens_that_cannot_be_used_leave_those_of_before(self):
        path = self.tokens()
        server = self.fake("--tokens", path)
        for text, mode in ((f"alice act {'n' * 32}\nbob read short\n", 0o600), (f"alice act {'n' * 32}\n", 0o644),
                           (f"a b act {'n' * 32}\n", 0o600), (f"a admin {'n' * 32}\n", 0o600),
                           (f"a act {'n' * 32}\na read {'m' * 32}\n", 0o600), ("\x00" * 50, 0o600)):
            path.write_text(text)
            path.chmod(mode)
            server.tell("configure")
            self.assertEqual(server.ask("/api/v1/drain", "POST", token=ACT).status, 200, text)
            degraded = server.ask("/api/v1/status").json()["degraded"]
            self.assertEqual([one["what"] for one in degraded], ["http_tokens"], text)
            self.assertNotIn("n" * 32, degraded[0]["why"])
            self.assertNotIn("n" * 32, server.said())
        path.write_text(f"# none\n\nalice act {'n' * 32}\n")
        path.chmod(0o640)
        server.tell("configure")
        self.assertEqual(server.ask("/api/v1/drain", "POST", token="n" * 32).status, 200)
        self.check_problem(server.ask("/api/v1/drain", "POST", token=ACT), 401, "token-missing")
        self.assertEqual(server.ask("/api/v1/status").json()["degraded"], [])

    def test_outcomes(self):
        server = self.fake()
        ask = lambda path, method="POST", body=None: server.ask(path, method, body, local=True)
        done = ask("/api/v1/targets/db-01/release")
        self.assertEqual((done.status, done.json()), (202, {"id": "fake-0000000000000000-1"}))
        self.assertEqual(ask("/api/v1/targets/db-01/release", body={"to_debugger": "10m"}).status, 202)
        self.assertEqual(self.check_problem(ask("/api/v1/targets/db-02/release"), 409, "wrong-state")["state"], "connected")
        self.check_problem(ask("/api/v1/targets/nobody/release"), 404, "no-such-target")
        self.check_problem(ask("/api/v1/targets/a%20b/release"), 404, "no-such-target")
        self.assertIn("break_in", self.check_problem(ask("/api/v1/targets/db-01/read", body={"break_in": True}), 403,
                                                     "forbidden")["detail"])
        often = ask("/api/v1/targets/db-01/take_back")
        self.check_problem(often, 429, "too-often")
        self.assertEqual(often.headers["Retry-After"], "42")
        mistakes = self.check_problem(ask("/api/v1/reload"), 422, "configuration")
        self.assertEqual(mistakes["errors"][0]["line"], 3)
        self.assertEqual(ask("/api/v1/drain", "DELETE").status, 200)
        self.assertEqual(ask("/api/v1/crashes/0000000000000001/ack", body={"note": "sëen"}).status, 200)


class Connections(fake.Case):
    def test_many_requests_on_one(self):
        server = self.fake()
        with server.connect() as sock:
            sock.sendall(get("/healthz") * 20 + get("/api/v1/targets") * 5 + get("/healthz", "Connection: close"))
            data = fake.read_all(sock)
        self.assertEqual(data.count(b"HTTP/1.1 200 OK"), 26)
        self.assertEqual(data.count(b"Connection: close"), 1)

    def test_old_clients_and_half_closed_ones(self):
        server = self.fake()
        self.assertTrue(server.raw(b"GET /healthz HTTP/1.0\r\n\r\n", local=True).endswith(b"ok\n"))
        with server.connect() as sock:
            sock.sendall(get("/api/v1/targets"))
            sock.shutdown(socket.SHUT_WR)
            self.assertIn(b'"total"', fake.read_all(sock))
        absolute = get("http://localhost/healthz", "Connection: close").replace(b"Host: localhost", b"Host: evil")
        self.assertTrue(server.raw(absolute).endswith(b"ok\n"))

    def test_a_request_that_never_ends_is_refused(self):
        server = self.fake("--request-ms", 1000, "--idle-ms", 3000, "--late-ms", 500)
        begun = time.monotonic()
        with server.connect() as slow, server.connect() as silent:
            slow.settimeout(0.1)
            data = b""
            for byte in get("/healthz", "X: " + "y" * 500):
                try:
                    slow.sendall(bytes([byte]))
                    piece = slow.recv(4096)
                    if not piece:
                        break
                    data += piece
                    break
                except TimeoutError:
                    pass
            slow.settimeout(PATIENCE)
            self.check_raw_problem(data + fake.read_all(slow), 408, "slow")
            self.assertEqual(fake.read_all(silent), b"")
        self.assertGreater(time.monotonic() - begun, 0.9)

    def test_idle_connections_end(self):
        server = self.fake("--request-ms", 60000, "--idle-ms", 500)
        with server.connect() as sock:
            sock.sendall(get("/healthz"))
            data = fake.read_all(sock)
        self.assertTrue(data.endswith(b"ok\n"))

    def test_the_longest_idle_gives_its_place(self):
        server = self.fake("--connections", 20, "--local", 4)
        idle = [server.connect() for _ in range(60)]
        slow = [server.connect() for _ in range(60)]
        for sock in slow:
            sock.sendall(b"GET /heal")
        for _ in range(5):
            self.assertEqual(server.ask("/healthz").status, 200)
            self.assertEqual(server.ask("/healthz", local=True).status, 200)
        self.assertEqual(fake.read_all(idle[0]), b"")
        for sock in idle + slow:
            sock.close()

    def test_the_unix_socket_is_served_while_tcp_is_pressed(self):
        """Streams that are read and some that never are, slow requests, a flood: kdnetctl's socket has its own places."""
        server = self.fake("--connections", 150, "--streams", 80)
        crush = [sys.executable, "-B", str(fake.SOURCE / "tests" / "bench" / "crush.py"), f"127.0.0.1:{server.port}", "80", "10", "60", "2000"]
        with subprocess.Popen(crush, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as crowd:
            self.assertEqual(crowd.stdout.readline(), "ready\n")
            for _ in range(5):
                server.tell("publish 50")
                self.assertEqual(server.ask("/healthz", local=True).status, 200)
            crowd.communicate("end\n", timeout=PATIENCE)

    def test_the_unix_socket_is_answered_before_all_questions_that_wait(self):
        """More questions to the store than may wait: those of TCP are told so, kdnetctl's is the next one."""
        server = self.fake("--crashes", 2000)
        asked = [server.connect() for _ in range(300)]
        for sock in asked:
            sock.sendall(get("/api/v1/crashes?limit=1000", "Connection: close"))
        for path in ("/api/v1/crashes", "/api/v1/status", "/api/v1/targets/db-01"):
            self.assertEqual(server.ask(path, local=True).status, 200, path)
        for sock in asked:
            sock.close()

    def test_the_unix_socket_is_served_without_descriptors(self):
        """Those of TCP, streams too, give theirs to it; TCP is served again when there are some."""
        server = self.fake()
        streams = [server.connect() for _ in range(3)]
        for sock in streams:
            sock.sendall(get("/api/v1/stream"))
            sock.recv(10)
        pid = server.process.pid
        used = len(list(pathlib.Path(f"/proc/{pid}/fd").iterdir()))
        files = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (used, files[1]))
        waiting = server.connect()
        for _ in range(3):
            self.assertEqual(server.ask("/healthz", local=True).status, 200)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, files)
        self.assertEqual(server.ask("/healthz").status, 200)
        for sock in [*streams, waiting]:
            sock.close()

    def test_an_address_that_is_taken_is_tried_again(self):
        with socket.socket() as other:
            other.bind(("127.0.0.1", 0))
            other.listen()
            port = other.getsockname()[1]
            server = self.fake("--address", f"127.0.0.1:{port}", "--retry-ms", 200, tcp=False)
            degraded = server.ask("/api/v1/status", local=True).json()["degraded"]
            self.assertEqual([one["what"] for one in degraded], ["http"])
            self.assertIn("another kdnetd", degraded[0]["why"])
        server.port = port
        for _ in range(600):
            try:
                self.assertEqual(server.ask("/healthz").status, 200)
                break
            except ConnectionRefusedError:
                time.sleep(0.1)
        self.assertEqual(server.ask("/api/v1/status").json()["degraded"], [])
        self.assertEqual(server.said().count("http: cannot be opened"), 1)

    def test_the_socket_of_another_one_stays(self):
        server = self.fake()
        second = self.fake()
        self.assertIn("http_socket: cannot be opened", second.said())
        self.assertEqual(server.ask("/healthz", local=True).status, 200)
        mode = (self.folder / "kdnetd.sock").stat().st_mode & 0o777
        self.assertEqual(mode, 0o660)

    def test_a_leftover_socket_is_replaced_and_a_file_is_not(self):
        path = self.folder / "kdnetd.sock"
        with socket.socket(socket.AF_UNIX) as left:
            left.bind(str(path))
        self.assertEqual(self.fake().ask("/healthz", local=True).status, 200)
        self.fakes[0].close()
        self.assertFalse(path.exists())
        path.write_text("mine")
        server = self.fake()
        self.assertIn("http_socket: cannot be opened", server.said())
        self.assertEqual(path.read_text(), "mine")


if __name__ == "__main__":
    unittest.main(verbosity=2)
