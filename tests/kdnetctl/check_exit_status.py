# SPDX-License-Identifier: Apache-2.0
"""What is made from kdnetctl's own table of commands and options (--help prints it): bad input for each of them, and the
exit status of each command in each situation. check_exit_status.py PROGRAM TREE

KDNETD_TEST_SEED chooses the bad values.
"""
import os
import random
import re
import shutil
import socket
import subprocess
import threading
import unittest

import asking
import check_files
from asking import CRASH, KEYS, Case, environment
from fake_server import crash, target

SEED = int(os.environ.get("KDNETD_TEST_SEED", "20261126"))
COMMON = {"--socket", "--url", "--token-file", "--json", "--utc", "--help"}
# What a command needs besides its options, so that nothing but the bad value is wrong; nothing of it is there.
WORDS = {"show": ["x"], "ack": [CRASH], "release": ["x"], "reboot": ["x"], "read": ["x"], "token": ["add", "x"],
         "backup": ["/nowhere/at/all"], "republish": ["--since", "1h", "--sink", "x"], "fleet": ["targets"],
         "keygen": ["x"], "import": ["/nowhere/at/all.csv"], "check": ["/nowhere/at/all"], "decode": ["/nowhere/at/all"],
         "watch": ["--count", "1"]}
LOCAL = {"token", "keygen", "import", "check", "decode", "symbols", "fleet", "backup"}  # they ask no kdnetd, or another
MANY = {"release", "reboot", "read", "check", "decode", "symbols", "fleet"}  # take more than one word
BAD = ["", " ", "-1", "0", "99999999999999999999", "1e9", "nan", "0x", "%s%n%p", "../../../../etc/passwd", "a\x1b[2Jb",
       "\u202etxt", "a\nb", b"\xff\xfe\x80", b"\xc3", "x" * 5000, "=", "a=", "=b", "2026-13-45T99:99:99Z", "-1h", "[::", "'\";"]


class Commands(Case):
    table = {}  # the program is asked once

    def commands(self):
        """Each command's own options: {name: takes a value}."""
        if not Commands.table:
            Commands.table = self.ask_commands()
        return Commands.table

    def ask_commands(self):
        words = [line.split()[0] for line in self.run_program("--help").stdout.splitlines() if line.startswith("  ")]
        names = [word for word in words if word.isalpha() and word not in ("help", "completion")]
        return {name: self.options(name) for name in names}

    def options(self, name):
        found = re.findall(r"^  (--?[a-z][a-z0-9-]*)(\[?)(?:( )(\S+))?", self.run_program(name, "--help").stdout, re.M)
        return {option: optional == "" and space == " " for option, optional, space, _ in found if option not in COMMON}

    def refuse(self, *arguments):
        """Wrong usage: told with a way to help, and nobody was asked."""
        done = self.run_program(*arguments, code=2)
        self.assertEqual(done.stdout, "")
        self.assertIn("kdnetctl", done.stderr)
        self.assertEqual(self.fake.requests, [])
        return done.stderr


class Sweep(Commands):
    """Generated: no command crashes, passes a bad option over, or sends something for it."""

    def test_options_that_are_none(self):
        for name, options in self.commands().items():
            self.assertIn(f"Try: kdnetctl {name} --help", self.refuse(name, "--no-such-option"))
            for option, takes in options.items():
                if takes:
                    self.assertIn("needs a value", self.refuse(name, option))
                elif option not in ("--to-debugger",):
                    self.assertIn("takes no value", self.refuse(name, option + "=x"))

    def test_words(self):
        for name in self.commands():
            if name not in MANY:
                self.refuse(name, *WORDS.get(name, []), *["one-too-many"] * 3)
            if name in WORDS and WORDS[name][0][0] != "-":
                self.refuse(name)

    def test_values(self):
        chance = random.Random(SEED)
        print(f"seed {SEED} (set KDNETD_TEST_SEED to change it)")
        for name, options in self.commands().items():
            for option, takes in options.items():
                for value in chance.sample(BAD, 2) if takes else []:
                    self.try_value(name, option, value)

    def try_value(self, name, option, value):
        words = [word for word in WORDS.get(name, []) if word != option]
        arguments = [name, *words, option, value, "--socket", "/nowhere/kdnetd.sock"]
        if name in LOCAL - {"backup", "fleet"}:
            arguments = arguments[:-2]
        done = subprocess.run([os.path.abspath(asking.PROGRAM), *arguments], capture_output=True, timeout=60,
                                           check=False, env=environment(), stdin=subprocess.DEVNULL, cwd=self.folder)
        self.assertIn(done.returncode, (0, 1, 2, 3, 4), arguments)
        said = done.stderr.decode("utf-8", "surrogateescape")  # bytes that are not UTF-8 become surrogates
        harm = r"[\x00-\x08\x0b-\x1f\x7f]" if option == "--config" else r"[\x00-\x08\x0b-\x1f\x7f\u202e\ud800-\udfff]"
        self.assertIsNone(re.search(harm, said), f"{arguments}: {said!r}")  # the configuration's reports name its path as it is
        if done.returncode != 0:
            self.assertNotEqual(said + done.stdout.decode(), "", arguments)


def closing_server(path, over):
    """Takes connections and closes them without a word."""
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(path)
        listening.listen(8)
        listening.settimeout(0.1)
        while not over.is_set():
            try:
                listening.accept()[0].close()
            except TimeoutError:
                pass


# The exit status of each command that asks kdnetd. `there`: kdnetd knows what it is about, and does it; `unknown`: no
# such target or crash; `wrong_state`: 409; `bad`: a word or value that is none. None: there is no such case.
TABLE = {
    # command          there                                      unknown                  wrong_state            bad
    "status": (["status"], None, None, ["status", "x"]),
    "health": (["health"], None, None, ["health", "x"]),
    "targets": (["targets"], None, None, ["targets", "--limit", "x"]),
    "show": (["show", "web-1"], ["show", "nobody"], None, ["show"]),
    "crashes": (["crashes"], None, None, ["crashes", "--limit", "0"]),
    "ack": (["ack", CRASH], ["ack", "0123456789abcdef"], None, ["ack"]),
    "buckets": (["buckets"], None, None, ["buckets", "x"]),
    "events": (["events"], None, None, ["events", "--tail", "-1"]),
    "watch": (["watch", "--count", "1"], None, None, ["watch", "--count", "x"]),
    "release": (["release", "web-2"], ["release", "nobody"], ["release", "web-1"], ["release", "--all"]),
    "reboot": (["reboot", "web-2"], ["reboot", "nobody"], ["reboot", "web-1"], ["reboot"]),
    "read": (["read", "web-2"], ["read", "nobody"], ["read", "web-1"], ["read"]),
    "doctor": (["doctor", "web-1"], ["doctor", "nobody"], None, ["doctor", "a", "b"]),
    "unknown": (["unknown"], None, None, ["unknown", "x"]),
    "reload": (["reload"], None, None, ["reload", "x"]),
    "drain": (["drain"], None, None, ["drain", "x"]),
}
FEW = ("status", "release", "events", "doctor")  # where each other command would say the same


class Exits(Commands):
    def setUp(self):
        super().setUp()
        self.fake.targets = [target("web-1", address="127.0.0.9:51111"), target("web-2", "held")]
        self.fake.crashes = [crash(CRASH, "web-1")]
        self.fake.events = [asking.event(1)]
        self.fake.status["listeners"][0]["address"] = "127.0.0.1:1"

    @staticmethod
    def column(at):
        return [row[at] for row in TABLE.values() if row[at]]

    def test_each_command_that_asks_is_in_the_table(self):
        asks = {name for name in self.commands() if "--socket" in self.run_program(name, "--help").stdout}
        self.assertEqual(asks - LOCAL - {"republish"}, set(TABLE))

    def test_what_is_there_is_unknown_or_in_another_state(self):
        for at, code in ((0, 0), (1, 4), (2, 1)):
            for arguments in self.column(at):
                self.run_program(*arguments, code=code)

    def test_wrong_usage(self):
        for arguments in self.column(3):
            self.refuse(*arguments)

    def unreachable(self, path, names=TABLE):
        """doctor says what is wrong: that it is down."""
        for name in names:
            done = self.run_program(*TABLE[name][0], env=environment(KDNETD_SOCKET=path), code=1 if name == "doctor" else 3)
            self.assertIn("cannot be reached", done.stdout + done.stderr)
            self.assertIn(path, done.stdout + done.stderr)

    def test_no_service(self):
        self.unreachable(os.path.join(self.folder, "nobody.sock"))

    def test_a_file_that_is_no_socket(self):
        path = os.path.join(self.folder, "file")
        with open(path, "w", encoding="ascii"):
            self.unreachable(path, FEW)

    def test_who_answers_says_nothing(self):
        path, over = os.path.join(self.folder, "closing.sock"), threading.Event()
        thread = threading.Thread(target=closing_server, args=(path, over))
        thread.start()
        try:
            while not os.path.exists(path):
                over.wait(0.01)
            self.unreachable(path, FEW)
        finally:
            over.set()
            thread.join()

    @unittest.skipUnless(os.geteuid() == 0, "only root becomes another user")
    def test_no_right_to_the_socket(self):
        os.chmod(self.folder, 0o755)
        os.chmod(self.fake.path, 0o600)
        program = shutil.copy(asking.PROGRAM, os.path.join(self.folder, "kdnetctl"))  # its folder may be root's
        for arguments in self.column(0):
            done = subprocess.run(
                [program, *arguments], capture_output=True, text=True, timeout=60, check=False, user=65534, group=65534,
                extra_groups=[], env=environment(KDNETD_SOCKET=self.fake.path))
            self.assertEqual(done.returncode, 1 if arguments[0] == "doctor" else 3, (arguments, done.stderr))

    def test_no_token_and_none_that_may(self):
        for problem in (("token-missing", 401), ("forbidden", 403)):
            self.fake.raw = (problem[1], "application/problem+json",
                             f'{{"type":"urn:kdnetd:problem:{problem[0]}","title":"no","status":{problem[1]},'
                             '"detail":"the remedy"}'.encode())
            for arguments in self.column(0):
                done = self.run_program(*arguments, code=1)
                if arguments[0] != "health":
                    self.assertIn("the remedy", done.stdout + done.stderr, arguments)

    def test_a_reload_with_mistakes_and_a_service_that_is_not_ready(self):
        self.fake.reload = (422, {"type": "urn:kdnetd:problem:configuration", "title": "wrong", "status": 422,
                                  "detail": "see errors", "errors": []})
        self.run_program("reload", code=1)
        self.fake.ready = "draining"
        self.run_program("health", code=1)

    def test_those_that_ask_nobody(self):
        path = os.path.join(self.folder, "file")
        with open(path, "w", encoding="ascii") as file:
            file.write("listen: 7\n")
        os.chmod(path, 0o600)
        for code, arguments in ((0, ("keygen", "web-1", "--host-ip", "192.0.2.1")), (2, ("keygen",)),
                                (2, ("keygen", "web-1", "--host-ip", "x")), (2, ("import", path + "x")),
                                (2, ("import", path)), (2, ("check", path)), (2, ("check", path + "x")),
                                (1, ("decode", path)), (1, ("decode", path + "x")), (2, ("decode",)), (2, ("symbols",)),
                                (2, ("token", "remove", "x")), (1, ("token", "add", "x", "--file", "/nowhere/at/all")),
                                (2, ("fleet", "nothing")), (2, ("crashes", "--verdict", "writen")),
                                (2, ("fleet", "crashes", "--verdict", "writen")), (0, ("completion", "bash")), (2, ("completion", "tcsh")),
                                (2, ("nothing",)), (2, ()), (0, ("--version",)), (0, ("--help",)), (2, ("help", "x"))):
            self.run_program(*arguments, code=code)


class Lists(check_files.Lists):
    """CSV as programs and people write it. Those of check_files run there."""

    def targets(self, *arguments):
        text = self.run_program("import", *arguments).stdout
        return [line for line in text.splitlines() if line and not line.startswith("#")]

    def test_forms_that_mean_the_same(self):
        wanted = [f"web-1 {KEYS[0]} rack=b4", f"web-2 {KEYS[1]}"]
        plain = f"name,key,rack\nweb-1,{KEYS[0]},b4\nweb-2,{KEYS[1]},\n"
        for text in (plain, "\ufeff" + plain, plain.replace("\n", "\r\n"), plain.replace(",", ";"), plain.rstrip("\n"),
                     "\n\n" + plain.replace("\n", "\n\n"), plain.replace("web-1", '"web-1"').replace("b4", '"b4"')):
            self.assertEqual(self.targets(self.write(text)), wanted, text)

    def test_names_in_other_encodings(self):
        for text in (f"name,key\nbüro,{KEYS[0]}\n", f"name,key\nbüro,{KEYS[0]}\n".encode("latin-1"),
                     f"name,key\nweb-1,{KEYS[0]}\n".encode("utf-16"), b"\xff\xfe\x00\x00"):
            done = self.run_program("import", self.write(text), code=2)
            self.assertRegex(done.stderr, r"machines\.csv:?\d*: ?")
            self.assertNotIn(KEYS[0], done.stderr)
            self.assertEqual(done.stdout, "")

    def test_a_wrong_field_is_named(self):
        for row, field in ((f"web-1,1.2.3,", "key"), (f"web-1,={KEYS[0]},", "key"), ("wéb," + KEYS[0] + ",", "name"),
                           (f"{'n' * 65},{KEYS[0]},", "name"), (f"web-1,{KEYS[0]},10.0.0.256", "address"),
                           (f"web-1,{KEYS[0]},0.0.0.0", "address")):
            done = self.run_program("import", self.write(f"name,key,address\n{row}\n"), code=2)
            self.assertRegex(done.stderr, rf"machines\.csv:2: {field}: ", row)

    def test_a_label_with_umlauts(self):
        self.assertEqual(self.targets(self.write(f"name,key,room\nweb-1,{KEYS[0]},Büro\n")), [f"web-1 {KEYS[0]} room=Büro"])

    def test_a_huge_one_and_a_long_line(self):
        key = KEYS[0].split(".")
        rows = "".join(f"m-{i},{key[0][:-5]}{10000 + i}.{'.'.join(key[1:])}\n" for i in range(20000))
        self.assertEqual(len(self.targets(self.write("name,key\n" + rows))), 20000)
        for text in ("name,key\n" + "x" * 200000, "name,key\n" + "," * 100000, "name" + ",a" * 5000 + "\n",
                     'name,key\n"' + "\n" * 50000):
            self.assertRegex(self.run_program("import", self.write(text), code=2).stderr, r"machines\.csv:\d+: ")


# What is inherited runs in check_files.
for inherited in [name for name in dir(check_files.Lists) if name.startswith("test_")]:
    setattr(Lists, inherited, None)


class Includes(Commands):
    """conf.d/*.yaml: what is wrong in one of them is told with its name and line."""

    def check(self, files, code):
        folder = os.path.join(self.folder, "conf.d")
        os.makedirs(folder, exist_ok=True)
        for name in os.listdir(folder):
            os.unlink(os.path.join(folder, name))
        main = os.path.join(self.folder, "kdnetd.yaml")
        for path, text in ((main, 'listen: ["127.0.0.1:50000"]\ninclude: "conf.d/*.yaml"\n'),
                           *((os.path.join(folder, name), text) for name, text in files.items())):
            with open(path, "wb") as file:
                file.write(text if isinstance(text, bytes) else text.encode())
            os.chmod(path, 0o600)
        done = self.run_program("check", main, code=code)
        return done.stdout + done.stderr

    def test_good_ones(self):
        good = {"a.yaml": f"targets: [{{name: a, key: {KEYS[0]}}}]\n", "b.yaml": f"\ufefftargets: [{{name: b, key: {KEYS[1]}}}]\r\n",
                "empty.yaml": "", "other.txt": "{{{"}
        self.assertIn("2 targets", self.check(good, 0))
        self.assertIn("0 targets", self.check({}, 0))

    def test_bad_ones(self):
        good = {"a.yaml": f"targets: [{{name: a, key: {KEYS[0]}}}]\n"}
        for text, told in (("listen: 7\n", "b.yaml:1"), ("targets: [{name: a, key: bad}]\n", "b.yaml:1"),
                           (f"targets: [{{name: a, key: {KEYS[1]}}}]\n", "b.yaml:1"),
                           ("nothing: 1\n", "b.yaml:1"), ("a: [\n", "b.yaml:"), (b"a: \xc3(\n", "b.yaml:1"), ("\0", "b.yaml:1"),
                           ("- 1\n", "b.yaml:1"), ("&a [*a]\n", "b.yaml:1"), ("x" * 100000, "b.yaml:1")):
            said = self.check(dict(good, **{"b.yaml": text}), 2)
            self.assertIn(told, said, text[:50])
            self.assertNotIn(KEYS[0], said)


if __name__ == "__main__":
    unittest.main(verbosity=2)
