# SPDX-License-Identifier: Apache-2.0
"""The commands of kdnetctl that ask kdnetd, against a kdnetd that answers by the contract; and what is made from the
table of commands: check_client.py PROGRAM TREE."""
import json
import os
import re
import socket
import subprocess
import tempfile
import unicodedata
import unittest

import fake_server
from asking import CRASH, HOSTILE, PROGRAM, TREE, Case, environment, event, width
from fake_server import crash, target


class Reading(Case):
    def test_status(self):
        text = self.run_program("status").stdout
        for word in ("0.2.0", "0.0.0.0:50000", "connected=1", "/etc/kdnetd/kdnetd.yaml", "state=ok"):
            self.assertIn(word, text)
        self.assertEqual(self.lines("status"), [self.fake.status])

    def test_status_says_what_is_degraded(self):
        self.fake.status["degraded"] = [{"what": "listener", "name": "192.0.2.1:50000", "since": "2026-11-26T08:00:00.0Z",
                                         "why": "address not available"}]
        self.assertIn("address not available", self.run_program("status").stdout)

    def test_health(self):
        self.assertIn("ok", self.run_program("health").stdout)
        self.fake.ready = "draining"
        self.assertIn("draining", self.run_program("health", code=1).stdout)
        self.fake.healthy = "worker 1 hangs"
        told = self.lines("health", code=1)
        self.assertEqual([(line["check"], line["ok"]) for line in told], [("alive", False), ("ready", False)])

    def test_targets_page_by_page(self):
        self.fake.targets = [target(f"web-{i:05}") for i in range(2500)]
        self.assertEqual(len(self.lines("targets")), 2500)
        self.assertEqual(len(self.fake.requests), 3)
        self.assertEqual(len(self.run_program("targets").stdout.splitlines()), 2501)
        done = self.run_program("targets", "--limit", "10")
        self.assertEqual(len(done.stdout.splitlines()), 11)
        self.assertIn("10 of 2500", done.stderr)

    def test_targets_are_filtered_by_the_server(self):
        self.run_program("targets", "--state", "held", "--state", "lost", "--label", "rack=b&4", "-q", "ü x")
        self.assertEqual(self.fake.requests[0][1],
                         "/api/v1/targets?state=held&state=lost&label=rack%3Db%264&q=%C3%BC%20x&limit=1000")

    def test_show_tells_of_targets_and_crashes(self):
        self.fake.targets = [target("web-1", "held", held_until="2026-11-26T09:00:00.0Z")]
        self.fake.crashes = [crash(CRASH, "web-1")]
        text = self.run_program("show", "web-1").stdout
        for word in ("held", "2026-11-26 10:00:00+01:00", "15519032be73d58a", CRASH, "written", "5.0 s",
                     "D1 DRIVER_IRQL_NOT_LESS_OR_EQUAL"):
            self.assertIn(word, text)
        self.fake.targets[0]["kernel"]["pdb"] = {"name": "ntkrnlmp.pdb", "guid": "0" * 32, "age": 1}
        self.assertIn("pdb=ntkrnlmp.pdb", self.run_program("show", "web-1").stdout)
        self.fake.crashes[0].update(cause={"address": "0xFFFFF800EE42C90B", "place": "examplenic.sys+0x190b"},
                                    stack=["ntoskrnl.exe!KiPageFault+0x42e", "examplenic.sys+0x190b"])
        self.fake.crashes[0]["evidence"]["dump_log"] = {"last_line": "Dump completed successfully."}
        text = self.run_program("show", CRASH).stdout
        for word in ("ntoskrnl.exe!KiPageFault+0x42e", "examplenic.sys+0x190b", "Dump completed successfully.","DRIVER_IRQL_NOT_LESS_OR_EQUAL", "0xFFFFF800EE42C90B", "shutdown", "dump_block", "bad pointer",
                     "instruction that did it", "that the cause names"):
            self.assertIn(word, text)
        self.assertEqual(self.lines("show", CRASH), self.fake.crashes)
        self.assertIn("no target has this name", self.run_program("show", "web-2", code=4).stderr)
        self.run_program("show", "0" * 16, code=4)

    def test_show_says_what_an_engineer_asks_first(self):
        module = {"name": "examplenic.sys", "base": "0xFFFFF800EE420000", "offset": "0x190B", "stamp": "0x5F3A1B2C",
                  "size": 32768, "pdb": {"name": "examplenic.pdb", "guid": "4B444E45542D5441524745540000000D", "age": 1}}
        unknown = dict(verdict="unknown", reason="symbol_absent", status=None, bucket="D1 examplenic.sys+0x190b@5F3A1B2C",
                       assessment={"likely": "written", "strength": "strong",
                                   "because": ["screen showed 100 percent", "dump step is over"]},
                       cause={"address": "0xFFFFF800EE42190B", "place": "examplenic.sys!Read+0xb", "module": module})
        self.fake.crashes = [crash(CRASH, "web-1", **unknown)]
        text = " ".join(self.run_program("show", CRASH).stdout.split())
        order = ("bug check 0x000000D1 DRIVER_IRQL_NOT_LESS_OR_EQUAL", "parameter 4", "cause examplenic.sys!Read+0xb",
                 "time stamp 0x5F3A1B2C", "examplenic.pdb 4B444E45542D5441524745540000000D1", "driver blamed examplenic.sys",
                 "verdict unknown, probably written", "because screen showed 100 percent; dump step is over",
                 "reason symbol_absent: the kernel's symbols do not have", "look at the driver", "dump look on the machine")
        self.assertEqual(sorted(order, key=text.index), list(order))
        self.assertIn("unknown, probably written", self.run_program("crashes").stdout)
        for changes, words in (({"bucket": "133 build 20348", "cause": None}, ()),
                               ({"bucket": "D1 ntoskrnl.exe+0x5@00000001"}, ("none: only the kernel itself",)),
                               ({"bugcheck": {"code": "0x00ABCDEF", "name": None, "parameters": ["0x1"]}},
                                ("0x00ABCDEF", "parameter 1 0x1", "bug check code reference")),
                               ({"bugcheck": None}, ("stopped without one",)),
                               ({"assessment": {"likely": "not_started", "strength": "weak", "because": []}},
                                ("unknown, perhaps not started",)),
                               ({"verdict": "written"}, ("verdict written", "AlwaysKeepMemoryDump")),
                               ({"verdict": "failed"}, ("verdict failed", "its free space")),
                               ({"verdict": "not_started"}, ("not_started", "CrashControl"))):
            self.fake.crashes = [crash(CRASH, "web-1", **dict(unknown, **changes))]
            text = " ".join(self.run_program("show", CRASH).stdout.split())
            for word in words:
                self.assertIn(word, text)

    def test_what_a_bug_check_means_is_whole_on_any_screen(self):
        self.fake.crashes = [crash(CRASH, "web-1")]
        meaning = "A driver touched memory at an IRQL at which it may not, or through a bad pointer."
        for columns in (80, 160):
            shown = self.on_terminal("show", CRASH, COLUMNS=str(columns))
            lines = [line.rstrip("\r") for line in re.sub(r"\x1b\[[0-9;]*m", "", shown).split("\n")]
            self.assertLessEqual(max(map(len, lines)), columns)
            self.assertIn(meaning, " ".join(" ".join(lines).split()))

    def test_a_target_that_is_called_like_a_crash(self):
        self.fake.targets = [target(CRASH)]
        self.assertEqual(self.lines("show", CRASH)[0]["name"], CRASH)

    def test_crashes(self):
        self.fake.crashes = [crash(f"{i:016x}", "web-1") for i in range(150)]
        self.assertEqual(len(self.lines("crashes")), 100)
        self.assertEqual(len(self.lines("crashes", "--limit", "120")), 120)
        text = self.run_program("crashes", "--since", "24h", "--verdict", "failed", "--limit", "1").stdout
        self.assertIn("2026-11-26 09:14:03+01:00", text)
        self.assertEqual(self.fake.requests[-1][1], "/api/v1/crashes?since=24h&verdict=failed&limit=1")
        self.assertIn("2026-11-26 08:14:03Z", self.run_program("crashes", "--utc").stdout)
        done = self.run_program("crashes", "--since", "nonsense", code=1)
        self.assertIn("since is a duration or a time", done.stderr)

    def test_nothing_matches(self):
        for command, text in (("targets", "no target"), ("crashes", "no crash"), ("unknown", "nobody"),
                              ("buckets", "no crash")):
            done = self.run_program(command)
            self.assertEqual(done.stdout, "")
            self.assertIn(text, done.stderr)

    def test_unknown_and_buckets(self):
        self.fake.unknown = [{"address": "192.0.2.9", "first_seen": "2026-11-26T08:00:00.0Z",
                              "last_seen": "2026-11-26T08:14:03.0Z", "count": 12, "version": 5, "hint": "wrong key",
                              "remedy": "compare bcdedit /dbgsettings", "target": None}]
        self.assertIn("compare bcdedit", self.run_program("unknown").stdout)
        self.assertEqual(self.lines("unknown"), self.fake.unknown)
        self.fake.buckets = [{"bucket": "D1 in examplenic.sys+0x1234", "count": 900, "machines": 812,
                              "first": "2026-11-26T08:00:00.0Z", "last": "2026-11-26T08:04:00.0Z",
                              "verdicts": {"written": 800, "failed": 100}}]
        self.assertIn("D1 in examplenic.sys+0x1234", self.run_program("buckets", "--since", "1h").stdout)
        self.assertEqual(self.lines("buckets"), self.fake.buckets)

    def test_events(self):
        self.fake.events = [event(i) for i in range(150)] + [event(200, "crash_status", verdict="failed")]
        self.assertEqual(len(self.lines("events")), 100)
        self.assertEqual(self.lines("events", "--tail", "3"), self.fake.events[-3:])
        self.assertEqual(len(self.lines("events", "--type", "crash_status")), 1)
        self.assertIn("verdict=failed", self.run_program("events", "--tail", "1").stdout)
        self.assertEqual(len(self.lines("events", "--since", "2016-11-26T08:14:59Z")), 2)
        self.assertEqual(self.lines("events", "--since", "1s"), [])

    def test_objects_and_large_numbers_in_events_are_told(self):
        cause = {"address": "0xFFFFF800EE42C90B", "place": "examplenic.sys+0x190b", "module": None}
        self.fake.events = [event(1, "crash_status", cause=cause, bugcheck={"code": "0x000000D1", "name": None}),
                            event(2, "released", halted_ms=266255123.125, other={"a": 1, "b": {"c": {}}})]
        first, second = self.run_program("events").stdout.splitlines()
        self.assertIn(" cause=examplenic.sys+0x190b", first)
        self.assertIn(" bugcheck=0x000000D1", first)
        self.assertIn(" halted_ms=266255123.125 ", second)
        self.assertIn(" other=a=1 b={…}", second)

    def test_events_are_followed_over_a_restart(self):
        self.fake.events = [event(1), event(2)]
        process = subprocess.Popen([PROGRAM, "events", "--follow", "--json"], stdout=subprocess.PIPE, text=True,
                                   env=environment(KDNETD_SOCKET=self.fake.path), stderr=subprocess.DEVNULL)
        self.addCleanup(process.wait)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.kill)
        self.assertEqual(json.loads(process.stdout.readline())["id"], "c1-1-1")
        self.assertEqual(json.loads(process.stdout.readline())["id"], "c1-1-2")
        self.fake.events.append(event(3))
        self.assertEqual(json.loads(process.stdout.readline())["id"], "c1-1-3")
        self.assertEqual(self.fake.requests[-1][3].get("Last-Event-ID"), "c1-1-2")

    def test_watch(self):
        self.fake.targets, self.fake.crashes = [target("web-1", "held")], [crash(CRASH, "web-1")]
        text = self.run_program("watch", "--count", "2", "--interval", "100ms").stdout
        self.assertEqual(text.count(CRASH), 2)
        self.assertNotIn("\x1b", text)
        shown = self.on_terminal("watch", "--count", "1", COLUMNS="100", LINES="20")
        self.assertTrue(shown.startswith("\x1b[H\x1b[2J"))


class Acting(Case):
    def setUp(self):
        super().setUp()
        self.fake.targets = [target("web-1", "held"), target("web-2", "held"), target("web-3")]

    def posts(self):
        return [(path, body) for method, path, body, _ in self.fake.requests if method == "POST"]

    def test_release(self):
        self.assertIn("web-1: released", self.run_program("release", "web-1").stdout)
        self.assertEqual(self.posts(), [("/api/v1/targets/web-1/release", None)])
        self.assertEqual(self.lines("release", "web-1"), [{"target": "web-1", "id": "c1-0-1"}])
        self.assertIn("web-3 is connected, not held", self.run_program("release", "web-3", code=1).stderr)
        self.run_program("release", "web-9", code=4)

    def test_release_to_a_debugger(self):
        self.run_program("release", "web-1", "--to-debugger")
        self.run_program("release", "web-1", "--to-debugger=30m")
        self.assertEqual([body for _, body in self.posts()], [{"to_debugger": "10m"}, {"to_debugger": "30m"}])
        for wrong in ("x", "0s", "999ms", "8d", "169h"):
            self.assertIn("from 1s to 7d", self.run_program("release", "web-1", f"--to-debugger={wrong}", code=2).stderr)
        self.run_program("release", "web-2", "--to-debugger=7d")

    def test_more_than_one_machine_wants_yes(self):
        for arguments in (("web-1", "web-2"), ("--all", "--state", "held")):
            done = self.run_program("release", *arguments, code=2)
            self.assertIn("--yes", done.stderr)
            self.assertIn("2 machines", done.stderr)
        self.assertEqual(self.posts(), [])
        done = self.run_program("release", "--all", "--state", "held", "--yes")
        self.assertEqual(done.stdout.splitlines(), ["web-1: released", "web-2: released"])

    def test_one_that_is_refused_keeps_no_other(self):
        done = self.run_program("release", "web-3", "web-1", "web-9", "web-2", "--yes", code=1)
        self.assertEqual(done.stdout.splitlines(), ["web-1: released", "web-2: released"])

    def test_release_of_all_names_the_state(self):
        for arguments in (("--all",), ("--all", "--state", "lost"), ("--state", "held", "web-1"), (),
                          ("--all", "--state", "held", "web-1")):
            self.run_program("release", *arguments, code=2)
        self.assertEqual(self.posts(), [])

    def test_reboot_and_read(self):
        self.run_program("reboot", "web-1")
        self.run_program("read", "web-1")
        self.assertEqual(self.posts(), [("/api/v1/targets/web-1/reboot", None), ("/api/v1/targets/web-1/read", None)])
        self.assertIn("break_in: allowed", self.run_program("read", "--break-in", "web-1", code=1).stderr)

    def test_ack(self):
        self.fake.crashes = [crash(CRASH, "web-1")]
        self.assertIn("acknowledged", self.run_program("ack", CRASH, "--note", "näh").stdout)
        self.assertEqual(self.posts(), [(f"/api/v1/crashes/{CRASH}/ack", {"note": "näh"})])
        self.run_program("ack", "0" * 16, code=4)

    def test_reload_tells_every_mistake(self):
        self.assertIn("reloaded", self.run_program("reload").stdout)
        self.fake.reload = fake_server.problem("configuration", 422, "the old one stays in force", errors=[
            {"file": "/etc/kdnetd/kdnetd.yaml", "line": 7, "field": "targets[0].key", "detail": "is no key"}])
        done = self.run_program("reload", code=1)
        self.assertIn("/etc/kdnetd/kdnetd.yaml:7: targets[0].key: is no key", done.stderr)

    def test_drain(self):
        self.assertIn("yes", self.run_program("drain").stdout)
        self.assertIn("no", self.run_program("drain", "--undo").stdout)
        self.assertEqual(self.asked(), [("POST", "/api/v1/drain"), ("DELETE", "/api/v1/drain")])

    def test_names_are_escaped_in_paths(self):
        self.run_program("release", "../../status", code=4)
        self.assertEqual(self.fake.requests[0][1], "/api/v1/targets/..%2F..%2Fstatus/release")


class Reaching(Case):
    def test_nobody_answers(self):
        for arguments in (("--socket", "/nowhere/kdnetd.sock"), ("--url", "http://127.0.0.1:1")):
            for command in ("status", "targets", "health", "events", "watch"):
                done = self.run_program(command, *arguments, code=3)
                self.assertIn("cannot be reached", done.stderr)
                self.assertIn(arguments[1], done.stderr)
                self.assertNotIn("port 80", done.stderr)

    @unittest.skipIf("KDNETD_DEAF" not in os.environ, "this libcurl waits for its threads")
    def test_name_servers_that_do_not_answer(self):
        """Nobody waits for the thread that asks them: the end comes with the message."""
        deaf = environment(LD_PRELOAD=os.environ["KDNETD_DEAF"],
                           ASAN_OPTIONS=os.environ.get("ASAN_OPTIONS", "detect_leaks=1") + ":verify_asan_link_order=0")
        for command in ("health", "events"):
            done = self.run_program(command, "--url", "http://kdnetd.example.net:9471", env=deaf, code=3)
            self.assertIn("cannot be reached at http://kdnetd.example.net:9471", done.stderr)

    def test_a_socket_that_nobody_serves(self):
        with tempfile.TemporaryDirectory() as folder:
            path = f"{folder}/kdnetd.sock"
            self.assertIn("there is no such socket", self.run_program("status", "--socket", path, code=3).stderr)
            with socket.socket(socket.AF_UNIX) as left:
                left.bind(path)
            self.assertIn("no kdnetd listens at this socket", self.run_program("status", "--socket", path, code=3).stderr)

    def test_an_option_without_a_command(self):
        self.assertIn("did you mean --socket?", self.run_program("--sokcet", "x", code=2).stderr)
        self.assertIn("none is named", self.run_program("--socket", "x", code=2).stderr)

    def test_the_socket_is_searched(self):
        self.run_program("status", env=environment(XDG_RUNTIME_DIR=self.folder))
        self.run_program("status", env=environment(RUNTIME_DIRECTORY=f"{self.folder}:/x", XDG_RUNTIME_DIR="/nowhere"))
        self.run_program("--socket", self.fake.path, "status", env=environment())
        self.run_program("status", "--socket", self.fake.path, env=environment(KDNETD_SOCKET="/nowhere"))

    def test_url_and_token(self):
        fake = fake_server.Fake(token="t" * 40)
        self.addCleanup(fake.close)
        done = self.run_program("status", "--url", fake.url, code=1)
        self.assertIn("http_tokens", done.stderr)
        self.assertIn("--token-file", done.stderr)
        path = os.path.join(self.folder, "token")
        for text in ("t" * 40, f"# ours\nname act {'t' * 40}\n"):
            with open(path, "w", encoding="ascii") as file:
                file.write(text)
            self.run_program("status", "--url", fake.url + "/", "--token-file", path)
            self.run_program("status", env=environment(KDNETD_URL=fake.url, KDNETD_TOKEN_FILE=path))
        with open(path, "w", encoding="ascii") as file:
            file.write("\n")
        self.assertIn("no token", self.run_program("status", "--url", fake.url, "--token-file", path, code=2).stderr)
        self.run_program("status", "--url", fake.url, "--token-file", path + "x", code=2)

    def test_wrong_usage(self):
        for arguments in (("status", "x"), ("targets", "--limit", "0"), ("targets", "--limit", "x"), ("show",), ("ack",),
                          ("status", "--socket", "a", "--url", "http://b"), ("status", "--url", "ftp://b"),
                          ("targets", "--sate", "held"), ("events", "--since", "yesterday"), ("watch", "--interval", "1"),
                          ("events", "--since", "1h", "--tail", "1")):
            self.assertIn("Try: kdnetctl", self.run_program(*arguments, code=2).stderr)
        self.assertEqual(self.fake.requests, [])

    def test_what_is_no_kdnetd(self):
        for raw in ((200, "text/html", b"<html>"), (200, "application/json", b"[]"), (200, "application/json", b""),
                    (200, "application/json", b"\xff\xfe"), (500, "text/html", b"<html>"), (302, "text/html", b"")):
            self.fake.raw = raw
            self.assertIn("kdnetd", self.run_program("status", code=1).stderr)

    def test_answers_of_another_shape_break_nothing(self):
        for body in ({}, {"targets": {}}, {"targets": [1, None, "x", []]}, {"targets": [{"name": 7, "state": []}]},
                     {"targets": [{}], "next": "same", "total": "x"}):
            self.fake.raw = (200, "application/json", json.dumps(body).encode())
            self.run_program("targets", "--limit", "50")
            for command in (("status",), ("crashes",), ("show", "x"), ("watch", "--count", "1"), ("unknown",)):
                self.run_program(*command)


class Screens(Case):
    def setUp(self):
        super().setUp()
        self.fake.targets = [
            target("web-1", labels={"rack": HOSTILE}), target("x" * 63, "held", address="[2001:db8:1:2:3:4:5:6]:65535"),
            target("wide", labels={"a": "機" * 60}), target("mark", labels={"a": "e\u0301" * 40})]
        module = dict.fromkeys(("name", "base", "offset", "stamp", "size"), HOSTILE)
        self.fake.crashes = [crash(CRASH, "web-1", verdict="failed", reason=HOSTILE, status=HOSTILE, stack=[HOSTILE, 1, None],
                                   bucket=f"D1 {HOSTILE}+0x1@1", bugcheck={"code": HOSTILE, "name": "機" * 60,
                                                                           "parameters": [HOSTILE, 1, None, {}]},
                                   cause={"address": HOSTILE, "place": HOSTILE, "module": dict(
                                       module, pdb={"name": "機" * 60, "guid": HOSTILE, "age": HOSTILE})},
                                   assessment={"likely": HOSTILE, "strength": HOSTILE, "because": [HOSTILE * 9, 7, None]},
                                   evidence={HOSTILE: HOSTILE, "bugcheck_driver": "e\u0301" * 90,
                                             "dump_log": {"last_line": HOSTILE}}, acknowledged={"by": HOSTILE, "note": HOSTILE})]
        self.fake.buckets = [{"bucket": HOSTILE, "count": 1, "machines": 1, "first": HOSTILE, "last": HOSTILE,
                              "verdicts": {HOSTILE: 1}}]
        self.fake.events = [event(1, "print", text=HOSTILE * 20)]
        self.fake.unknown = [{"address": HOSTILE, "remedy": HOSTILE, "count": 1}]
        self.commands = (("targets",), ("crashes",), ("show", "web-1"), ("show", CRASH), ("events",), ("unknown",),
                         ("buckets",), ("status",))

    def assert_harmless(self, text, colours=False):
        if colours:
            for code in ("0", "1", "2", "31", "32", "33"):
                text = text.replace(f"\x1b[{code}m", "")
        for character in text.replace("\r\n", "").replace("\n", ""):
            self.assertNotIn(unicodedata.category(character), ("Cc", "Cf", "Zl", "Zp"), repr(text))
        return text

    def test_nothing_is_wider_than_the_terminal(self):
        for columns in (40, 80, 160):
            for command in self.commands:
                shown = self.assert_harmless(self.on_terminal(*command, COLUMNS=str(columns)), colours=True)
                for line in shown.splitlines():
                    self.assertLessEqual(width(line), columns, line)
            self.assertIn("…", self.on_terminal("targets", COLUMNS=str(columns)))

    def test_in_a_pipe_nothing_is_cut_and_nothing_coloured(self):
        for command in self.commands:
            text = self.run_program(*command).stdout
            self.assert_harmless(text)
            self.assertNotIn("…", text)
        text = self.run_program("targets", env=environment(KDNETD_SOCKET=self.fake.path, COLUMNS="20")).stdout
        self.assertIn("x" * 63, text)
        self.assertIn("機" * 60, text)

    def test_colours_are_for_terminals_and_can_be_refused(self):
        self.assertIn("\x1b[31m", self.on_terminal("targets", COLUMNS="80"))
        self.assertNotIn("\x1b", self.on_terminal("targets", COLUMNS="80", NO_COLOR="1"))

    def test_problems_and_json_are_harmless(self):
        self.fake.reload = fake_server.problem("configuration", 422, HOSTILE, errors=[{"file": HOSTILE}])
        self.assert_harmless(self.run_program("reload", code=1).stderr)
        for command in self.commands[:-1]:
            self.assert_harmless(self.run_program(*command, "--json").stdout)


class Tables(Case):
    told = {}  # the program is asked once for each

    def help(self, *command):
        if command not in self.told:
            self.told[command] = self.run_program(*command, "--help").stdout
        return self.told[command]

    def commands(self):
        words = [line.split()[0] for line in self.help().splitlines() if line.startswith("  ")]
        return [word for word in words if word.isalpha() and word not in ("help", "completion")]

    def options(self, command):
        return set(re.findall(r"^  (--?[a-z][a-z0-9-]*)", self.help(command), re.M))

    def test_the_completions_in_the_tree_are_those_of_the_program(self):
        for shell, name in (("bash", "kdnetctl.bash"), ("zsh", "_kdnetctl"), ("fish", "kdnetctl.fish")):
            with open(os.path.join(TREE, "service/kdnetctl/completions", name), encoding="utf-8") as file:
                self.assertEqual(file.read(), self.run_program("completion", shell).stdout,
                                 f"kdnetctl completion {shell} >service/kdnetctl/completions/{name}")
        self.run_program("completion", "tcsh", code=2)

    def test_the_documents_name_commands_and_options_that_exist(self):
        seen = 0
        for folder, name in [("docs", name) for name in os.listdir(os.path.join(TREE, "docs"))] + [("", "README.md")]:
            with open(os.path.join(TREE, folder, name), encoding="utf-8") as file:
                text = file.read()
            for command, rest in re.findall(r"kdnetctl ([a-z]+)([^`|\n]*)", text):
                if command in ("help", "goes", "asks", "shows"):
                    continue
                seen += 1
                self.assertIn(command, self.commands(), name)
                for option in re.findall(r" (--[a-z-]+)", rest.split("#")[0]):
                    self.assertIn(option, self.options(command), f"{name}: {command} {rest}")
        self.assertGreater(seen, 20)

    def test_the_manual_has_each_command_and_option(self):
        with open(os.path.join(TREE, "service/man/kdnetctl.1"), encoding="utf-8") as file:
            manual = file.read()
        told = dict(re.findall(r"^\.It Cm (\w+)(.*?)(?=^\.It Cm |^\.Sh )", manual, re.M | re.S))
        self.assertEqual(list(told), self.commands())
        common = set("--" + name for name in re.findall(r"^\.It Fl -([a-z-]+)", manual, re.M))
        self.assertEqual(common, {"--socket", "--url", "--token-file", "--json", "--utc", "--help"})
        for command, text in told.items():
            named = set("-" + name for name in re.findall(r"\bFl (-?[a-z][a-z0-9-]*)", text))
            options = self.options(command)
            if "--socket" in options:
                options -= common
            self.assertEqual(named | {"--help"}, options | {"--help"}, command)

    def test_bash_completes(self):
        script = os.path.join(self.folder, "kdnetctl")
        with open(script, "w", encoding="utf-8") as file:
            file.write(self.run_program("completion", "bash").stdout)
        for words, expected in ((("kdnetctl", "tar"), "targets"), (("kdnetctl", "release", "--to-d"), "--to-debugger"),
                                (("kdnetctl", "status", "--js"), "--json")):
            told = subprocess.run(["bash", "-c", f"source {script}; COMP_WORDS=({' '.join(words)}); "
                                   f"COMP_CWORD={len(words) - 1}; _kdnetctl; echo ${{COMPREPLY[@]}}"],
                                  capture_output=True, text=True, timeout=60, check=True)
            self.assertEqual((told.stdout.strip(), told.stderr), (expected, ""))


if __name__ == "__main__":
    unittest.main()
