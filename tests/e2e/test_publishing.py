# SPDX-License-Identifier: Apache-2.0
"""kdnetd publishes what its machines do to a real server of NATS, across kill -9, a stream that is lost, and broken servers."""
import json
import os
import pathlib
import subprocess
import sys

import harness

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "fleet"))
import nats  # noqa: E402

KEYS = [harness.key_text(1, 2, 3, 40 + n) for n in range(4)]


class Publishing(harness.Case):
    def setUp(self):
        super().setUp()
        self.server = nats.Server(self, self.folder / "nats").start()
        self.client = nats.Client(self, self.server.port)
        self.file("targets", "".join(f"web.{n} {key}\n" for n, key in enumerate(KEYS)))
        self.file("kdnetd.yaml", "collector: c1\ntargets_file: targets\nhttp: none\nhttp_socket: kdnetd.sock\nstore: kdnetd.db\n"
                  f"nats: {{servers: [\"{self.server.url}\"]}}\n")

    def begin(self, listen=None):
        return harness.Daemon(self, "--config", "kdnetd.yaml", listen=listen, events="events.jsonl")

    def ctl(self, *arguments, code=0):
        done = subprocess.run([str(harness.BUILD / "kdnetctl"), *arguments], capture_output=True, text=True, timeout=harness.PATIENCE, cwd=self.folder,
                              env=dict(os.environ, KDNETD_SOCKET=str(self.folder / "kdnetd.sock"), COLUMNS="200"))
        self.assertEqual(done.returncode, code, done)
        return done.stdout + done.stderr

    def crash(self, place, key):
        return harness.Machines(self, place, key, "--dump-ms", 50, scenario="bugcheck", end=False)

    def told(self):
        text = (self.folder / "events.jsonl").read_text()
        return [json.loads(line) for line in text[:text.rfind("\n") + 1].splitlines()]

    def results(self):
        return [one for one in self.told() if one["event"] == "crash_status"]

    def in_stream(self):
        return [json.loads(data)["id"] for _, _, data in self.client.messages()]

    def wait_published(self):
        """All that the result file has, each id once."""
        wanted = {one["id"] for one in self.told()}
        nats.wait_until(lambda: wanted <= set(self.in_stream()), lambda: f"missing: {sorted(wanted - set(self.in_stream()))[:5]}")
        found = self.in_stream()
        self.assertEqual(len(found), len(set(found)))

    def test_nothing_is_lost_by_kills_and_a_lost_stream_is_filled_again(self):
        daemon = self.begin()
        machine = self.crash(daemon.listen[0], KEYS[0])
        nats.wait_until(lambda: len(self.in_stream()) > 2, "nothing is published")
        daemon.kill()  # -9, in the midst of a crash
        daemon.process.wait(harness.PATIENCE)
        machine.stop(None)
        self.server.kill()
        daemon = self.begin(daemon.listen)
        machine = self.crash(daemon.listen[0], KEYS[1])  # the server is away: the machine is served all the same
        nats.wait_until(lambda: any(one["target"] == "web.1" and one["phase"] == "shutdown" for one in self.results()), "no result")
        halted = [one["halted_ms"] for one in self.told() if one["event"] == "released" and one["target"] == "web.1"]
        self.assertTrue(halted)
        self.server.start()
        self.client = nats.Client(self, self.server.port)
        self.wait_published()
        self.assertEqual({subject for subject, _, _ in self.client.messages() if subject.endswith("web%2E1")}, {"kdnet.crash.c1.web%2E1"})
        nats.wait_until(lambda: "nats" in self.ctl("status"), "the status does not have the sink")  # told once a second
        machine.stop(None)

        self.assertTrue(self.client.request("$JS.API.STREAM.DELETE.CRASH")["success"])
        self.ctl("republish", "--since", "1d", "--sink", "none-such", code=4)
        self.ctl("republish", "--since", "soon", "--sink", "nats", code=1)
        self.ctl("republish", "--since", "1d", "--sink", "nats")
        self.wait_published()
        action = [one for one in self.told() if one["event"] == "action"]
        self.assertEqual([(one["action"], one["ok"]) for one in action], [("republish", True)])
        text = self.ctl("fleet", "crashes", "--config", "kdnetd.yaml")
        self.assertRegex(text, r"web\.1 +written ")
        self.assertRegex(self.ctl("fleet", "collectors", "--config", "kdnetd.yaml"), r"c1 +ok ")
        daemon.stop()

    def test_mistakes_name_line_field_and_remedy(self):
        self.file("open.creds", "x", mode=0o644)
        for lines, said in (
                ("servers: [\"http://x\"]", "kdnetd.yaml:2:13: nats.servers[0]: is no address of a NATS server; write nats://HOST:4222"),
                ("subject: 'kdnet.{rack}'", "nats.subject: has an unknown placeholder; write {collector} or {target}"),
                ("subject: '{target}.x'", "nats.subject: begins with a placeholder or $; write a word"),
                ("subject: 'a..b'", "nats.subject: has nothing between two dots"),
                ("stream: a.b", "nats.stream: is no name of a stream"),
                ("stream: CRASH", "nats: has no servers; add servers:"),
                ("servers: [n1]\n  tls: {cert: /x}", "nats.tls.cert: is alone; add its key"),
                ("servers: [n1]\n  credentials: /nowhere.creds", "kdnetd.yaml:3:16: nats.credentials: /nowhere.creds "),
                (f"servers: [n1]\n  credentials: {self.folder}/open.creds", "holds a key and is open to every user")):
            self.file("wrong.yaml", f"nats:\n  {lines}\ntargets: [{{name: a, key: 1.2.3.4}}]\nhttp: none\nhttp_socket: none\n")
            done = self.run_kdnetd("--check", "--config", "wrong.yaml", "--listen", harness.place(self.ip, harness.free_port(self.ip)))
            self.assertEqual(done.returncode, 2, done)
            self.assertIn(said.replace("kdnetd.yaml", "wrong.yaml"), done.stderr)
        self.file("wrong.yaml", "nats: {servers: ['nats://user:geheim@n1']}\ntargets_file: targets\n", mode=0o644)
        done = self.run_kdnetd("--check", "--config", "wrong.yaml")
        self.assertIn("open to every user", done.stderr)
        self.assertNotIn("geheim", done.stderr)


if __name__ == "__main__":
    nats.skip_without_server()
    harness.main()
