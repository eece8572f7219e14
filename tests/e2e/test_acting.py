# SPDX-License-Identifier: Apache-2.0
"""What an operator does to machines through the API, and what is known of them over a restart of kdnetd."""
import http.client
import json
import signal
import socket
import time

import harness

KEY = "1.2.3.4"


class Local(http.client.HTTPConnection):
    """HTTP by a Unix socket."""

    def __init__(self, path):
        super().__init__("localhost", timeout=harness.PATIENCE)
        self.path = str(path)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(harness.PATIENCE)
        self.sock.connect(self.path)


class Acting(harness.Case):
    def begin(self, *options, listen=None):
        self.socket = self.folder / "api.sock"
        daemon = harness.Daemon(self, "--target", f"m={KEY}", "--http", "none", "--http-socket", self.socket,
                                "--store", self.folder / "kdnetd.db", *options, events=self.folder / "events.json",
                                listen=listen)
        self.until(self.is_open, "the API's socket is open")
        return daemon

    def is_open(self):
        try:
            return self.ask("GET", "/healthz")[0] == 200
        except (FileNotFoundError, ConnectionRefusedError):
            return False

    def until(self, true, what):
        end = time.monotonic() + harness.PATIENCE
        while time.monotonic() < end:
            found = true()
            if found:
                return found
            time.sleep(0.02)
        self.fail(f"never: {what}")

    def ask(self, method, path, body=None):
        connection = Local(self.socket)
        connection.request(method, path, json.dumps(body) if body is not None else None,
                           {"Content-Type": "application/json"} if body is not None else {})
        response = connection.getresponse()
        text = response.read().decode()
        connection.close()
        return response.status, json.loads(text) if text.startswith("{") else text

    def target(self):
        return self.ask("GET", "/api/v1/targets/m")[1]

    def until_state(self, state):
        return self.until(lambda: self.target()["state"] == state and self.target(), f"m is {state}")

    def act(self, path, body=None, expect=202):
        status, answer = self.ask("POST", f"/api/v1/targets/m/{path}", body)
        self.assertEqual(status, expect, answer)
        return answer

    def crashes(self):
        """Those in the store; none while it is not open yet."""
        return self.ask("GET", "/api/v1/crashes")[1].get("crashes", [])

    def actions(self):
        lines = (self.folder / "events.json").read_text().splitlines()
        events = [json.loads(line) for line in lines]
        self.check_events(events)
        return [(e["action"], e["target"], e["ok"]) for e in events if e["event"] == "action"]

    def test_a_held_machine_is_released(self):
        daemon = self.begin("--policy", "break=hold")
        machine = harness.Machines(self, daemon.listen[0], KEY, scenario="int3")
        held = self.until_state("held")
        self.assertEqual((held["stale"], held["held_until"], held["version"]), (False, None, 5))
        self.assertIn("id", self.act("release"))
        machine.wait()
        self.until_state("connected")
        self.assertEqual(self.act("release", expect=409)["state"], "connected")
        self.assertEqual(self.act("take_back", expect=409)["state"], "connected")
        self.assertEqual(self.ask("POST", "/api/v1/targets/nobody/release")[0], 404)
        self.assertEqual(self.act("read", {"break_in": True}, expect=403)["type"], "urn:kdnetd:problem:forbidden")
        daemon.stop()
        self.assertEqual(self.actions(), [("release", "m", True), ("release", "m", False), ("take_back", "m", False),
                                          ("read", "m", False)])

    def test_a_held_machine_reboots(self):
        daemon = self.begin("--policy", "break=hold")
        harness.Machines(self, daemon.listen[0], KEY, scenario="int3", end=False)
        session = self.until_state("held")["session"]
        self.act("reboot")
        self.until(lambda: self.target()["state"] == "connected" and self.target()["session"] != session,
                   "m is connected again")
        daemon.stop()
        self.assertEqual(self.actions(), [("reboot", "m", True)])

    def test_a_held_machine_is_handed_over_and_taken_back(self):
        daemon = self.begin("--policy", "break=hold")
        machine = harness.Machines(self, daemon.listen[0], KEY, scenario="int3")
        self.until_state("held")
        self.act("release", {"to_debugger": "10m"})
        self.assertEqual(self.target()["state"], "handed_over")
        self.act("release", expect=409)
        time.sleep(3.5)  # its poke comes, and gets no answer
        self.assertEqual(self.target()["state"], "handed_over")
        self.act("take_back")
        self.until_state("held")
        self.act("release", {"to_debugger": "1s"})  # it is over by itself
        self.until_state("held")
        self.act("release")
        machine.wait()
        daemon.stop()

    def test_drain_reload_and_acknowledge(self):
        daemon = self.begin()
        machine = harness.Machines(self, daemon.listen[0], KEY, "--status", "0xC000007F", scenario="bugcheck")
        machine.wait()
        crash = self.until(self.crashes, "the crash is there")[0]
        self.until(lambda: self.crashes()[0]["verdict"] == "failed", "its dump failed")
        self.assertIsNone(crash["acknowledged"])
        status, answer = self.ask("POST", f"/api/v1/crashes/{crash['crash']}/ack", {"note": "seen"})
        self.assertEqual(status, 200, answer)
        known = self.ask("GET", f"/api/v1/crashes/{crash['crash']}")[1]
        self.assertEqual(known["acknowledged"]["note"], "seen")
        self.assertEqual(self.ask("GET", "/readyz")[0], 200)
        self.assertTrue(self.ask("POST", "/api/v1/drain")[1]["draining"])
        self.assertEqual(self.ask("GET", "/readyz")[0], 503)
        self.assertFalse(self.ask("DELETE", "/api/v1/drain")[1]["draining"])
        self.assertEqual(self.ask("GET", "/readyz")[0], 200)
        self.assertEqual(self.ask("POST", "/api/v1/reload")[0], 200)
        daemon.stop()
        self.assertEqual([(name, ok) for name, _, ok in self.actions()],
                         [("ack", True), ("drain", True), ("undrain", True), ("reload", True)])

    def test_what_was_known_is_there_after_a_kill(self):
        daemon = self.begin()
        machine = harness.Machines(self, daemon.listen[0], KEY, "--status", "0xC000007F", scenario="bugcheck", end=False)
        self.until(lambda: [c for c in self.crashes() if c["verdict"] == "failed"], "the crash is there")
        before = self.until_state("connected")
        time.sleep(1.5)  # states are stored once a second
        machine.process.kill()
        machine.process.wait()
        daemon.process.send_signal(signal.SIGKILL)
        daemon.process.wait()
        self.socket.unlink(missing_ok=True)
        self.begin(listen=daemon.listen)
        after = self.until(lambda: self.target()["stale"] and self.target(), "m is as stored")
        for field in ("state", "boot", "session", "address", "last_crash", "kernel"):
            self.assertEqual(after[field], before[field], field)
        crash, = self.until(self.crashes, "the crash is there")
        self.assertEqual((crash["verdict"], crash["target"]), ("failed", "m"))


if __name__ == "__main__":
    harness.main(at_once=2)
