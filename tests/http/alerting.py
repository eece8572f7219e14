# SPDX-License-Identifier: Apache-2.0
"""Debian's Prometheus and Alertmanager, each on a port of its own, and what they say."""
import json
import shutil
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request

PROMETHEUS = shutil.which("prometheus")
ALERTMANAGER = shutil.which("prometheus-alertmanager") or shutil.which("alertmanager")


class Program:
    def __init__(self, folder, name, command):
        self.log = open(folder / f"{name}.log", "w+", encoding="utf-8")
        self.process = subprocess.Popen(command, cwd=folder, stdout=self.log, stderr=self.log)

    def said(self):
        self.log.seek(0)
        return self.log.read()[-4000:]

    def close(self):
        self.process.terminate()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()


def start_alertmanager(folder, port):
    config = folder / "alertmanager.yml"
    config.write_text(json.dumps({"route": {"receiver": "nobody"}, "receivers": [{"name": "nobody"}]}))
    return Program(folder, "alertmanager", [ALERTMANAGER, f"--config.file={config}", f"--web.listen-address=127.0.0.1:{port}",
                                            f"--storage.path={folder / 'alertmanager'}", "--cluster.listen-address="])


def start_prometheus(folder, port, scraped, rules, alertmanager=None):
    config = folder / "prometheus.yml"
    static = lambda at: [{"targets": [f"127.0.0.1:{at}"]}]
    config.write_text(json.dumps({
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"}, "rule_files": [str(rules)],
        "alerting": {"alertmanagers": [{"static_configs": static(alertmanager)}] if alertmanager else []},
        "scrape_configs": [{"job_name": "kdnetd", "static_configs": static(scraped)}]}))
    return Program(folder, "prometheus", [PROMETHEUS, f"--config.file={config}", f"--web.listen-address=127.0.0.1:{port}",
                                          f"--storage.tsdb.path={folder / 'prometheus'}"])


def ask(port, path, **parameters):
    """The answer's JSON; None while nobody answers."""
    try:
        query = urllib.parse.urlencode(parameters)
        return json.load(urllib.request.urlopen(f"http://127.0.0.1:{port}{path}?{query}", timeout=5))
    except (OSError, ValueError):
        return None


def wait(question, patience=90.0):
    """The first value that is true; None after so long."""
    end = time.monotonic() + patience
    while time.monotonic() < end:
        if value := question():
            return value
        time.sleep(0.1)
    return None


def samples(port, query):
    answer = ask(port, "/api/v1/query", query=query)
    return answer and answer["data"]["result"]


def alerts(port, name):
    return [one for one in ask(port, "/api/v2/alerts") or [] if one["labels"]["alertname"] == name]
