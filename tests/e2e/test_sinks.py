# SPDX-License-Identifier: Apache-2.0
"""Events that kdnetd sends on from its store, counted by id where they arrive, across kill -9."""
import http.server
import json
import subprocess
import threading
import time
import unittest

import harness


class Receiver:
    """Takes each event of ndjson bodies; every third body is told to come again."""

    def __init__(self, port=0):
        self.ids, self.lines, self.bodies, self.lock = set(), [], 0, threading.Lock()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                with outer.lock:
                    outer.bodies += 1
                    status = 503 if outer.bodies % 3 == 2 else 200
                    if status == 200:
                        events = [json.loads(line) for line in body.splitlines()]
                        outer.lines += events
                        outer.ids |= {one["id"] for one in events}
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class Sinks(harness.Case):
    def configure(self, text):
        self.file("kdnetd.yaml", "targets: [{name: a, key: 1.2.3.4}]\nhttp: none\nhttp_socket: none\ncollector: c1\n" + text)

    def told(self):
        """What the result file says, whole lines alone."""
        text = (self.folder / "events.jsonl").read_text()
        return [json.loads(line) for line in text[:text.rfind("\n") + 1].splitlines()]

    def wait_for(self, what, missing=lambda: None):
        end = time.monotonic() + harness.PATIENCE
        while not what():
            self.assertLess(time.monotonic(), end, missing())
            time.sleep(0.05)

    def test_no_event_is_missing_at_the_receiver_after_kills(self):
        receiver = Receiver()
        self.addCleanup(receiver.close)
        self.configure(f"store: {self.folder}/kdnetd.db\nsinks: [{{name: s, type: http, url: '{receiver.url}', batch: 3}}]\n")
        listen = [harness.place(self.ip, harness.free_port(self.ip))]
        for turn in range(3):
            daemon = harness.Daemon(self, "--config", "kdnetd.yaml", listen=listen, events="events.jsonl")
            before = len(self.told())
            machine = harness.Machines(self, listen[0], "1.2.3.4", "--dump-ms", 50, scenario="bugcheck", end=False)
            self.wait_for(lambda: len([one for one in self.told()[before:] if one["event"] == "crash_status"]) >= 1 + turn % 2)
            self.wait_for(lambda: receiver.ids)  # the sink is known to the store: a new one begins behind what is there
            daemon.kill()
            daemon.process.wait(harness.PATIENCE)
            machine.stop(None)
        daemon = harness.Daemon(self, "--config", "kdnetd.yaml", listen=listen, events="events.jsonl")
        wanted = {one["id"] for one in self.told()}
        self.wait_for(lambda: wanted <= receiver.ids, lambda: [one for one in self.told() if one["id"] in wanted - receiver.ids])
        daemon.stop()
        self.assertGreater(len([one for one in self.told() if one["event"] == "crash_status"]), 3)

    def status(self):
        done = subprocess.run([harness.BUILD / "kdnetctl", "status", "--json", "--socket", self.folder / "s"], capture_output=True, text=True,
                              timeout=harness.PATIENCE)
        return json.loads(done.stdout) if done.returncode == 0 else None

    def degraded(self):
        status = self.status()
        return status and [(one["what"], one["name"]) for one in status["degraded"]]

    def behind_s(self):
        return self.status()["sinks"][0]["behind_seconds"]

    def test_a_sink_that_takes_nothing_is_degraded_until_it_does(self):
        port = harness.free_port("127.0.0.1")
        self.file("kdnetd.yaml", f"targets: [{{name: a, key: 1.2.3.4}}]\nhttp: none\nhttp_socket: {self.folder}/s\ncollector: c1\nstore: {self.folder}/kdnetd.db\n"
                  f"sinks: [{{name: s, type: http, url: 'http://127.0.0.1:{port}/'}}]\n")
        listen = [harness.place(self.ip, harness.free_port(self.ip))]
        daemon = harness.Daemon(self, "--config", "kdnetd.yaml", listen=listen, events="events.jsonl")
        self.wait_for(lambda: self.degraded() == [])
        machine = harness.Machines(self, listen[0], "1.2.3.4", scenario="idle", end=False)
        self.wait_for(lambda: self.degraded() == [("sink", "s")], self.degraded)
        self.wait_for(lambda: self.status()["sinks"])  # the store is asked for them now and then
        before = self.behind_s()
        self.wait_for(lambda: self.behind_s() > before + 1)  # nothing new happens, and what waits grows old
        receiver = Receiver(port)
        self.addCleanup(receiver.close)
        self.wait_for(lambda: self.degraded() == [], self.degraded)
        self.wait_for(lambda: self.behind_s() == 0)
        machine.stop(None)
        daemon.stop()

    def test_without_a_store_it_is_said_that_nothing_is_sent(self):
        self.configure("store: none\nsinks: [{name: s, type: http, url: 'http://127.0.0.1:9/'}]\n")
        daemon = harness.Daemon(self, "--config", "kdnetd.yaml")
        daemon.wait_log("sinks: there is no store")
        daemon.stop()


if __name__ == "__main__":
    harness.main()
