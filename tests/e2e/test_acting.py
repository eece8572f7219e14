# SPDX-License-Identifier: Apache-2.0
"""What an operator does to machines through the API, and what is known of them over a restart of kdnetd."""
import contextlib
import http.client
import json
import signal
import socket
import threading
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

    def told(self, kind):
        lines = (self.folder / "events.json").read_text().splitlines()
        return [e for e in map(json.loads, lines) if e["event"] == kind]

    def results(self):
        return self.told("crash_status")

    def test_a_held_machine_is_read_again(self):
        daemon = self.begin("--policy", "break=hold")
        machine = harness.Machines(self, daemon.listen[0], KEY, scenario="int3")
        self.until_state("held")
        self.act("read")
        self.until_state("held")
        self.act("read", {"break_in": False})
        self.until_state("held")
        self.assertEqual([e["phase"] for e in self.results()], ["break"] * 3)
        self.act("release")
        machine.wait()
        self.until_state("connected")
        answer = self.act("read", expect=409)
        self.assertEqual(answer["state"], "connected")
        self.assertIn("break_in", answer["detail"])
        daemon.stop()
        self.assertEqual([(name, ok) for name, _, ok in self.actions()],
                         [("read", True), ("read", True), ("release", True), ("read", False)])

    def break_in_configuration(self, more=""):
        path = self.folder / "kdnetd.yaml"
        path.write_text("break_in: allowed\npolicy: {break: reboot}\n" + more)
        return "--config", path

    def test_a_running_machine_is_stopped_and_read(self):
        daemon = self.begin(*self.break_in_configuration())
        machine = harness.Machines(self, daemon.listen[0], KEY, scenario="idle", end=False)
        before = self.until_state("connected")
        action = self.act("read", {"break_in": True})
        result, = self.results()  # it is told when the answer comes
        self.assertEqual((result["phase"], result["crash"], result["target"]), ("break", None, "m"))
        self.until_state("connected")
        answer = self.act("read", {"break_in": True}, expect=429)
        self.assertIn("minute", answer["detail"])
        machine.process.kill()
        machine.process.wait()
        daemon.stop()
        self.assertEqual(self.actions(), [("read", "m", True), ("read", "m", False)])
        self.assertEqual(self.told("action")[0]["id"], action["id"])
        released, = self.told("released")
        self.assertEqual(released["action"], "continue")
        self.assertEqual(before["session"], result["session"])  # and it has not started anew

    def test_a_machine_that_does_not_stop_is_told(self):
        daemon = self.begin(*self.break_in_configuration())
        self.assertEqual(self.act("read", {"break_in": True}, expect=409)["state"], "never_seen")
        machine = harness.Machines(self, daemon.listen[0], KEY, scenario="idle", end=False)
        self.until_state("connected")
        machine.process.send_signal(signal.SIGSTOP)
        answer = self.act("read", {"break_in": True}, expect=409)
        self.assertEqual(answer["state"], "connected")
        self.assertIn("has not answered", answer["detail"])
        machine.process.send_signal(signal.SIGCONT)
        self.until(self.results, "the request waited in its socket, and is answered late")
        self.until_state("connected")
        machine.process.kill()
        machine.process.wait()
        daemon.stop()
        failed = self.told("action")[-1]
        self.assertFalse(failed["ok"])
        self.assertIn("has not answered", failed["detail"])

    def test_a_collector_that_dies_leaves_no_machine_stopped(self):
        daemon = self.begin(*self.break_in_configuration())
        machine = harness.Machines(self, daemon.listen[0], KEY, "--think", "40", scenario="idle", end=False)
        self.until_state("connected")
        asking = threading.Thread(target=self.ask_and_forget, args=("/api/v1/targets/m/read", {"break_in": True}))
        asking.start()
        self.until(lambda: self.target()["state"] == "halted", "m is stopped")
        daemon.process.send_signal(signal.SIGKILL)
        daemon.process.wait()
        asking.join()
        self.socket.unlink(missing_ok=True)
        self.begin(*self.break_in_configuration(), listen=daemon.listen)
        self.until(lambda: not self.target()["stale"] and self.target()["state"] == "connected" and self.results(),
                   "m runs")
        machine.process.kill()
        machine.process.wait()

    def ask_and_forget(self, path, body):
        with contextlib.suppress(OSError, http.client.HTTPException):
            self.ask("POST", path, body)

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
