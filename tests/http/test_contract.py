# SPDX-License-Identifier: Apache-2.0
"""openapi.yaml, the rules for Prometheus and the dashboard say what the server does."""
import contextlib
import json
import re
import shutil
import subprocess
import unittest
import urllib.parse

import alerting
import fake

try:
    import jsonschema
    import yaml
except ImportError:
    jsonschema = yaml = None

OPENAPI = fake.SOURCE / "service" / "http" / "openapi.yaml"
RULES = fake.SOURCE / "config" / "prometheus"
DASHBOARD = fake.SOURCE / "config" / "grafana" / "kdnetd.json"
OPEN = "application/openmetrics-text; version=1.0.0; charset=utf-8"


def routes():
    """Of route.c: {(method, path): parameters}, with {} for the argument."""
    text = (fake.SOURCE / "service" / "http" / "route.c").read_text()
    table = text[text.index("routes[] = {"):text.index("#define ROUTES")]
    found = re.findall(r'\{"(GET|POST|DELETE)",\s*"([^"]+)",\s*"([^"]*)"', table)
    return {(method.lower(), path.replace("*", "{}")): set(names.split()) for method, path, names in found}


class Contract(fake.Case):
    @unittest.skipUnless(yaml, "python3-yaml or python3-jsonschema is not installed")
    def test_paths_and_parameters(self):
        document = yaml.safe_load(OPENAPI.read_text())
        told = {}
        for path, methods in document["paths"].items():
            for method, operation in methods.items():
                names = {one["name"] for one in operation.get("parameters", []) if one["in"] == "query"}
                told[method, re.sub(r"\{\w+\}", "{}", path)] = names
        self.assertEqual(told, routes())

    @unittest.skipUnless(yaml, "python3-yaml or python3-jsonschema is not installed")
    def test_answers(self):
        document = yaml.safe_load(OPENAPI.read_text())
        server = self.fake()

        def check(path, answer, status, method="get"):
            self.assertEqual(answer.status, status, path)
            content = document["paths"][path][method]["responses"][str(status)]["content"]
            reference = content["application/json"]["schema"]["$ref"]
            jsonschema.Draft202012Validator({"$ref": reference, "components": document["components"]}).validate(answer.json())

        crash = server.ask("/api/v1/crashes?limit=1").json()["crashes"][0]["crash"]
        for path in ("status", "targets", "map", "targets/{name}", "crashes", "crashes/{crash}", "buckets", "unknown"):
            check("/api/v1/" + path, server.ask("/api/v1/" + path.format(name="db-01", crash=crash)), 200)
        check("/api/v1/targets/{name}/release", server.ask("/api/v1/targets/db-01/release", "POST", local=True), 202, "post")
        check("/api/v1/drain", server.ask("/api/v1/drain", "POST", local=True), 200, "post")

    def test_every_event_that_there_is_can_be_asked_for(self):
        server = self.fake()
        schema = json.loads((fake.SOURCE / "config" / "events.schema.json").read_text())
        for kind in schema["properties"]["event"]["enum"]:
            self.assertEqual(server.ask(f"/api/v1/events?type={kind}").status, 200, kind)


class Metrics(fake.Case):
    def names(self):
        text = self.fake("--targets", 3).ask("/metrics").body.decode()
        return set(re.findall(r"^(?:# TYPE )?([a-z_]+)(?:\{| )", text, re.M))

    def test_both_formats(self):
        server = self.fake("--metrics-targets", "yes")
        plain, opened = server.ask("/metrics"), server.ask("/metrics", headers={"Accept": OPEN + ",text/plain;q=0.5"})
        self.assertEqual(opened.headers["Content-Type"], OPEN)
        self.assertTrue(opened.body.endswith(b"# EOF\n"))
        self.assertNotIn(b"# EOF", plain.body)
        self.assertIn(b"# TYPE kdnetd_crashes_total counter\n", plain.body)
        self.assertIn(b"# TYPE kdnetd_crashes counter\n", opened.body)
        self.assertIn(b'kdnetd_crash_status_total{phase="shutdown",verdict="failed"} 0\n', plain.body)
        self.assertIn(b'kdnetd_target_state{target="db-01",state="held"} 1\n', plain.body)
        families = re.findall(rb"^# TYPE (\S+)", plain.body, re.M)
        self.assertEqual(len(families), len(set(families)))

    @unittest.skipUnless(shutil.which("promtool"), "promtool is not installed")
    def test_promtool_takes_them(self):
        body = self.fake().ask("/metrics").body
        done = subprocess.run(["promtool", "check", "metrics"], input=body, capture_output=True, timeout=60)
        self.assertEqual((done.returncode, done.stderr), (0, b""), done.stdout)

    @unittest.skipUnless(shutil.which("promtool"), "promtool is not installed")
    def test_rules(self):
        done = subprocess.run(["promtool", "test", "rules", "rules_test.yaml"], cwd=RULES, capture_output=True, text=True,
                              timeout=60)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    @unittest.skipUnless(alerting.PROMETHEUS, "prometheus is not installed")
    def test_a_real_prometheus_scrapes_it(self):
        """And Alertmanager, where it is installed, is told of a failed dump: once."""
        server, port, manager_port = self.fake(), fake.free_port(), fake.free_port()
        with contextlib.ExitStack() as programs:
            manager = alerting.start_alertmanager(self.folder, manager_port) if alerting.ALERTMANAGER else None
            prometheus = alerting.start_prometheus(self.folder, port, server.port, RULES / "rules.yaml", manager_port)
            for program in filter(None, (manager, prometheus)):
                programs.callback(program.close)
            failed = 'kdnetd_crash_status_total{phase="shutdown",verdict="failed"}'
            self.assertTrue(alerting.wait(lambda: alerting.samples(port, f"up == 1 and on(job) {failed} == 0")), prometheus.said())
            if not manager:
                self.skipTest("prometheus-alertmanager is not installed; Prometheus scrapes")
            server.tell("crash")
            self.assertTrue(alerting.wait(lambda: alerting.alerts(manager_port, "KdnetdDumpFailed")),
                            prometheus.said() + manager.said())
            alert, = alerting.alerts(manager_port, "KdnetdDumpFailed")
        self.assertEqual((alert["labels"]["verdict"], alert["labels"]["severity"]), ("failed", "critical"))

    def test_rules_and_dashboard_name_metrics_that_there_are(self):
        names = self.names()
        dashboard = DASHBOARD.read_text()
        json.loads(dashboard)
        for text in (dashboard, (RULES / "rules.yaml").read_text()):
            used = set(re.findall(r"\b(kdnetd_[a-z_]+|process_[a-z_]+)\b", text)) - {"kdnetd_alerts"}
            self.assertTrue(used)
            self.assertEqual(used - names, set())


if __name__ == "__main__":
    unittest.main(verbosity=2)
