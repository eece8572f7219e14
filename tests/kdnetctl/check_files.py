# SPDX-License-Identifier: Apache-2.0
"""Files that kdnetctl reads and makes: copies of the store, tokens, lists of machines: check_files.py PROGRAM TREE."""
import contextlib
import os
import resource
import signal
import sqlite3
import stat
import unittest

from asking import KEYS, Case, environment


def small_files():
    """As a full disk: a file takes no more than 300 bytes."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (300, 300))


class Backup(Case):
    def test_a_copy_of_the_store(self):
        store, out = os.path.join(self.folder, "kdnetd.db"), os.path.join(self.folder, "copy.db")
        with contextlib.closing(sqlite3.connect(store)) as database:
            database.execute("PRAGMA journal_mode=WAL")
            database.execute("CREATE TABLE t(x)")
            database.execute("INSERT INTO t VALUES(7)")
            database.commit()
            self.fake.status["store"]["path"] = store
            self.run_program("backup", out)
        with contextlib.closing(sqlite3.connect(out)) as database:
            self.assertEqual(database.execute("SELECT x FROM t").fetchall(), [(7,)])
        self.run_program("backup", out)
        self.run_program("backup", out + "2", "--store", store, env=environment())
        self.fake.status["store"]["path"] = os.path.relpath(store)
        self.run_program("backup", out + "4")
        self.fake.status["store"]["path"] = None
        self.assertIn("no store", self.run_program("backup", out + "3", code=1).stderr)
        self.run_program("backup", out + "3", "--store", store + "x", code=1)


class Tokens(Case):
    def test_tokens_are_added_one_by_one(self):
        path = os.path.join(self.folder, "tokens")
        first = self.run_program("token", "add", "page", "--file", path).stdout.strip()
        second = self.run_program("token", "add", "ops", "--role", "act", "--file", path).stdout.strip()
        with open(path, encoding="ascii") as file:
            self.assertEqual(file.read(), f"page read {first}\nops act {second}\n")
        self.assertGreaterEqual(len(first), 32)
        self.assertNotEqual(first, second)
        self.assertEqual(stat.S_IMODE(os.stat(path).st_mode) & 0o007, 0)
        self.assertIn("already", self.run_program("token", "add", "ops", "--file", path, code=1).stderr)
        os.chmod(path, 0o640)
        self.run_program("token", "add", "more", "--file", path)
        self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o640)
        self.assertEqual(os.listdir(self.folder).count("tokens"), 1)

    def test_wrong_usage(self):
        path = os.path.join(self.folder, "tokens")
        for arguments in (("add",), ("remove", "x"), ("add", "a b"), ("add", ""), ("add", "x", "--role", "root")):
            self.run_program("token", *arguments, "--file", path, code=2)
        self.assertFalse(os.path.exists(path))
        self.run_program("token", "add", "x", "--file", os.path.join(self.folder, "no", "folder"), code=1)


class Lists(Case):
    """Machines out of CSV files."""

    def write(self, text, name="machines.csv"):
        path = os.path.join(self.folder, name)
        with open(path, "wb") as file:
            file.write(text.encode() if isinstance(text, str) else text)
        return path

    def check(self, targets):
        """The configuration's own reader takes what was made."""
        os.chmod(targets, 0o600)
        path = self.write(f'listen: ["127.0.0.1:50000"]\ntargets_file: "{targets}"\n', "kdnetd.yaml")
        return self.run_program("check", path).stdout

    def test_import_makes_a_targets_file(self):
        path = self.write(f"name,key,address,port,rack,owner\nweb-1,{KEYS[0]},192.0.2.7,50000,b4,\n"
                          f"web-2,{KEYS[1]},2001:db8::1,,,ops\n")
        text = self.run_program("import", path).stdout
        lines = [line for line in text.splitlines() if not line.startswith("#")]
        self.assertEqual(lines, [f"web-1 {KEYS[0]} 192.0.2.7 port=50000 rack=b4", f"web-2 {KEYS[1]} 2001:db8::1 owner=ops"])
        out = os.path.join(self.folder, "targets")
        self.run_program("import", path, "--out", out)
        with open(out, encoding="utf-8") as file:
            self.assertEqual(file.read(), text)
        self.assertIn("2 targets", self.check(out))
        self.assertIn("exists", self.run_program("import", path, "--out", out, code=2).stderr)

    def test_what_spreadsheets_write(self):
        for text in (f'\ufeff"name";"key";"owner"\r\n"web-1";"{KEYS[0]}";"""ops"";x"\r\n\r\n',
                     f'# ours\n\nname , key, owner\nweb-1,  {KEYS[0]} ,"""ops"";x"'):
            self.assertIn(f'web-1 {KEYS[0]} owner="ops";x', self.run_program("import", self.write(text)).stdout)

    def test_mistakes_name_file_line_and_field_and_nothing_is_written(self):
        key = KEYS[0]
        for text, told in (
                ("", ": is empty"), ("name,key\n", ": names no machine"), ("key\nx\n", ":1: name: this column is missing"),
                ("name,key,name\n", ":1: name: this column is there twice"), ("name,key,Rack No\n", ":1: Rack No: is no"),
                (f"name,key\nweb-1,{key}\n,{key}\n", ":3: name: is empty"), ("name,key\nweb-1,\n", ":2: key: is missing"),
                ("name,key\nweb-1,1.2.3\n", ":2: "), (f"name,key\nw b,{key}\n", ":2: name: 'w b' has a character"),
                (f"name,key\nweb-1,{key}\nweb-1,{KEYS[1]}\n", ":3: name: 'web-1' is that of line 2"),
                (f"name,key\nweb-1,{key}\nweb-2,{key}\n", ":3: key: is that of line 2"),
                (f"name,key,address\nweb-1,{key},300.1.1.1\n", ":2: "), (f"name,key\nweb-1,{key},x\n", ":2: has more"),
                (f"name,key,port\nweb-1,{key},0\n", ":2: port: '0'"), (f"name,key,rack\nweb-1,{key},a b\n", ":2: rack: "),
                (f'name,key\n"web-1,{key}\n', ":2: a quote is opened"), (f'name,key\n"a"b,{key}\n', ":2: something follows"),
                ("name,key\n" + "\0", ": has NUL")):
            out = os.path.join(self.folder, "out")
            path = self.write(text)
            done = self.run_program("import", path, "--out", out, code=2)
            self.assertIn(path + told, done.stderr)
            self.assertNotIn(key, done.stderr)
            self.assertFalse(os.path.exists(out))
        self.run_program("import", path + "x", code=2)

    def test_keys_for_500_machines(self):
        rows = "".join(f"srv-{i:03},192.0.2.{i % 250 + 1},{'10.0.0.1' if i == 7 else ''},r{i % 9}\n" for i in range(500))
        path, out = self.write("name,address,host_ip,rack\n" + rows), os.path.join(self.folder, "out")
        self.run_program("keygen", "--from", path, "--out", out, "--host-ip", "192.0.2.10", "--nodhcp")
        self.assertEqual(stat.S_IMODE(os.stat(out).st_mode), 0o700)
        self.assertEqual(len(os.listdir(out)), 501)
        with open(os.path.join(out, "targets"), encoding="utf-8") as file:
            lines = [line.split() for line in file if not line.startswith("#")]
        self.assertEqual(len({line[1] for line in lines}), 500)
        self.assertEqual(lines[7][2:], ["192.0.2.8", "rack=r7"])
        for line in lines:
            with open(os.path.join(out, line[0] + ".ps1"), encoding="utf-8") as file:
                script = file.read()
            self.assertIn(f"$Key = '{line[1]}'", script)
            self.assertIn("$HostIp = '10.0.0.1'" if line[0] == "srv-007" else "$HostIp = '192.0.2.10'", script)
            self.assertIn("nodhcp", script)
        self.assertIn("500 targets", self.check(os.path.join(out, "targets")))
        self.assertIn("there already", self.run_program("keygen", "--from", path, "--out", out, "--host-ip", "1.2.3.4",
                                                        code=2).stderr)

    def test_a_machine_has_settings_of_its_own(self):
        path = self.write("name,host_ip,port,busparams,nodhcp,noumex\nweb-1,2001:db8::1,50001,5.0.0,true,true\nweb-2,,,,false,\n")
        out = os.path.join(self.folder, "out")
        self.run_program("keygen", "--from", path, "--out", out, "--host-ip", "192.0.2.10", "--port", "50000", "--nodhcp")
        scripts = {}
        for name in ("web-1", "web-2"):
            with open(os.path.join(out, name + ".ps1"), encoding="utf-8") as file:
                scripts[name] = file.read()
        for word in ("2001:db8::1", "50001", "5.0.0", "nodhcp", "noumex"):
            self.assertIn(word, scripts["web-1"])
        self.assertIn("192.0.2.10", scripts["web-2"])
        for word in ("50001", "5.0.0", "noumex"):
            self.assertNotIn(word, scripts["web-2"])
        with open(os.path.join(out, "targets"), encoding="utf-8") as file:
            lines = {line.split()[0]: line.split()[2:] for line in file if not line.startswith("#")}
        self.assertEqual(lines, {"web-1": ["port=50001"], "web-2": []})

    def test_nothing_is_left_when_a_script_cannot_be_written(self):
        path, out = self.write("name\nweb-1\n" + "x" * 40 + "\n"), os.path.join(self.folder, "out")
        done = self.run_program("keygen", "--from", path, "--out", out, "--host-ip", "192.0.2.10", code=1,
                                preexec_fn=small_files)
        self.assertIn("nothing is left of it", done.stderr)
        self.assertFalse(os.path.exists(out) or os.path.exists(out + ".new"))

    def test_keys_for_many_with_mistakes(self):
        out = os.path.join(self.folder, "out")
        for text, told in (("name\nweb-1\n", ":2: host_ip: is missing"), ("name,host_ip\nweb-1,0.0.0.0\n", ":2: host_ip: "),
                           (f"name,key\nweb-1,{KEYS[0]}\n", ":2: key: keygen makes"),
                           ("name,nodhcp\nweb-1,maybe\n", ":2: nodhcp: 'maybe'"),
                           ("name,busparams\nweb-1,1.2\n", ":2: busparams: '1.2'")):
            self.assertIn(told, self.run_program("keygen", "--from", self.write(text), "--out", out, code=2).stderr)
        path = self.write("name\nweb-1\n")
        for arguments in (("--from", path), ("--out", out, "web-1", "--host-ip", "1.2.3.4"), ("--from", path, "--out", out, "x"),
                          ("--from", path, "--out", out, "--host-ip", "::"),
                          ("--from", path, "--out", out, "--host-ip", "1.2.3.4", "--port", "0")):
            self.run_program("keygen", *arguments, code=2)
        self.run_program("keygen", "--from", path, "--out", "/nowhere/at/all", "--host-ip", "1.2.3.4", code=1)
        self.assertEqual(sorted(os.listdir(self.folder)), ["kdnetd.sock", "machines.csv"])


if __name__ == "__main__":
    unittest.main()
