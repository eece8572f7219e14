# SPDX-License-Identifier: Apache-2.0
"""Wrong input, made from openapi.yaml: each path and parameter with wrong names, values, encodings, bodies and rights.

KDNETD_TEST_SEED changes what is drawn; the seed is printed.
"""
import json
import os
import random
import unittest
import urllib.parse

import fake
from fake import ACT, READ

try:
    import yaml
except ImportError:
    yaml = None

ARGUMENTS = {"name": "db-01", "crash": "0000000000000001", "file": "main.js"}
WRONG_VALUES = {"string": (5, True, None, [], {}), "boolean": (1, "yes", None, [], {})}
TEXTS = ("", "-1", "0", "1e9", "99999999999999999999", "yesterday", "2026-13-01T00:00:00Z", "=", "a=b=c", "../..", "<b>", "'", "\"", "ü", "💥", " ",
         "x" * 300)
SEED = int(os.environ.get("KDNETD_TEST_SEED", "20261126"))


def operations():
    document = yaml.safe_load((fake.SOURCE / "service" / "http" / "openapi.yaml").read_text())
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield method.upper(), path.format(**ARGUMENTS), operation


@unittest.skipUnless(yaml, "python3-yaml is not installed")
class Sweep(fake.Case):
    @classmethod
    def setUpClass(cls):
        print(f"seed {SEED} (set KDNETD_TEST_SEED to change it)", flush=True)

    def refused(self, answer, status, field=None):
        """A problem that names the field, and says more than that something is wrong."""
        self.assertEqual(answer.status, status, answer.body)
        problem = answer.json()
        self.assertEqual((answer.headers["Content-Type"], problem["status"]), ("application/problem+json", status))
        self.assertTrue(problem["type"].startswith("urn:kdnetd:problem:"), problem)
        self.assertGreater(len(problem["detail"].split()), 3, problem)
        if field:
            self.assertEqual(problem.get("field"), field, problem)
        return problem

    def test_names_and_encodings(self):
        server = self.fake("--tokens", self.tokens())
        for method, path, operation in operations():
            ask = lambda query: server.ask(f"{path}?{query}", method, token=ACT)
            with self.subTest(f"{method} {path}"):
                self.assertIn("no_such", self.refused(ask("no_such=1"), 400, "no_such")["detail"])
                for one in operation.get("parameters", []):
                    if one["in"] != "query":
                        continue
                    for bytes_ in ("%ff", "%00", "%0d%0a", "%zz", "%c0%80", "%ed%a0%80"):
                        self.refused(ask(f"{one['name']}={bytes_}"), 400, "query")
                    self.refused(ask(f"{one['name']}={'x' * 9000}"), 414)
        self.assertEqual(server.ask("/healthz").status, 200)

    def test_values(self):
        """Right, or a problem that names the parameter: nothing else."""
        server, draw = self.fake(), random.Random(SEED)
        for method, path, operation in operations():
            for one in (one for one in operation.get("parameters", []) if one["in"] == "query" and path != "/"):
                for text in (*TEXTS, *("".join(draw.choices("abz019.:=-_+/~ TZ%&", k=draw.randrange(1, 40))) for _ in range(6))):
                    with self.subTest(f"{path} {one['name']}={text!r}"):
                        # HEAD of a stream ends.
                        query = f"{path}?{one['name']}={urllib.parse.quote(text, safe='')}"
                        answer = server.ask(query, "HEAD" if path.endswith("/stream") else method)
                        if answer.status == 400 and not path.endswith("/stream"):
                            self.refused(answer, 400, one["name"])
                        self.assertIn(answer.status, (200, 400, 404, 410))
        self.assertEqual(server.ask("/healthz").status, 200)

    def test_bodies(self):
        server = self.fake("--tokens", self.tokens())
        for method, path, operation in operations():
            if method != "POST":
                continue
            schema = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
            ask = lambda body, kind="application/json": server.ask(path, "POST", body, {"Content-Type": kind}, token=ACT)
            with self.subTest(path):
                for body in (b"{", b"[]", b"7", b"\xff\xfe", b'{"a":1,"a":2}', b"{}x", b"[" * 3000):
                    self.refused(ask(body), 400, "body")
                self.refused(ask(b"{}", "text/plain"), 415)
                self.refused(ask(b"{}", "application/jsonx"), 415)
                self.refused(ask(b" " * 66000), 413)
                self.refused(ask(json.dumps({"no_such": 1}).encode()), 400, "no_such")
                for name, field in schema.get("properties", {}).items():
                    kinds = field["type"] if isinstance(field["type"], list) else [field["type"]]
                    for value in WRONG_VALUES[kinds[0]]:
                        if value is None and "null" in kinds:
                            continue
                        self.refused(ask(json.dumps({name: value}).encode()), 400, name)
                for name in schema.get("required", []):
                    self.refused(ask(b"{}"), 400, name)

    def test_rights_and_methods(self):
        server = self.fake("--tokens", self.tokens(), "--read", "token")
        allowed = {}
        for method, path, _ in operations():
            allowed.setdefault(path, set()).update({method, "HEAD"} if method == "GET" else {method})
        for method, path, _ in operations():
            public = path in ("/", "/healthz", "/readyz") or path.startswith("/page/")
            with self.subTest(f"{method} {path}"):
                if not public:
                    self.refused(server.ask(path, method), 401, "Authorization")
                    self.refused(server.ask(path, method, token="x" * 32), 401, "Authorization")
                if method in ("POST", "DELETE"):
                    self.refused(server.ask(path, method, token=READ), 403)
                for other in {"GET", "HEAD", "PUT", "PATCH", "DELETE", "POST", "OPTIONS"} - allowed[path] - {"HEAD"}:
                    answer = server.ask(path, other, token=ACT)
                    self.refused(answer, 405)
                    self.assertEqual(set(answer.headers["Allow"].split(", ")), allowed[path])
        self.assertFalse(server.ask("/api/v1/status", token=READ).json()["draining"])


if __name__ == "__main__":
    unittest.main(verbosity=2)
