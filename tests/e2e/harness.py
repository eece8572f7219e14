# SPDX-License-Identifier: Apache-2.0
"""Starts the real programs on loopback, reads what they say, and ends them by their ids.

A test module makes classes of Case, and ends with harness.main(), or with harness.main(at_once=4) when its tests mostly
wait. Each test gets a folder of its own and loopback addresses of its own, so that modules can run at the same time.
Whatever a test started is ended after it; when it failed, the logs of its programs are shown.

Environment: KDNETD_BUILD (folder of the programs), KDNETD_SOURCE (the tree), KDNETD_DATA (captures; may be missing).
KDNETD_WINE (folder of kdnetd.exe): kdnetd is that one, under Wine; the machines are those of KDNETD_BUILD. Wine binds
127.x.y.z to all addresses, so all is on 127.0.0.1; no signal reaches kdnetd.exe, so it is not ended but killed, and
SIGHUP is a reload by its API.
"""
import atexit
import json
import os
import pathlib
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import urllib.error
import urllib.request

try:
    import jsonschema
except ImportError:
    jsonschema = None

# Modules ask for these as harness.NAME.
from relay import Relay, is_data, is_poke  # noqa: F401
import wine_end
from side_by_side import SideBySide
from surroundings import (  # noqa: F401
    BUILD, DATA, GUIDAGE, PATIENCE, READ_DEADLINE, RVA, SCHEMA, SOURCE, SYMBOL, WINE, WINE_QUIET, WINE_TOKEN,
    free_port, has_ipv6, kdnetd, key_text, place, seconds, signal_at)


class Schema:
    """Holds each event against config/events.schema.json."""

    def __init__(self):
        self.validators = {}
        if jsonschema is None:
            sys.stderr.write("python3-jsonschema is missing: events are not held against the schema\n")
            return
        schema = json.loads(SCHEMA.read_text())
        jsonschema.Draft202012Validator.check_schema(schema)
        self.whole = jsonschema.Draft202012Validator(schema)
        for name in schema["properties"]["event"]["enum"]:
            part = {"$schema": schema["$schema"], "$defs": schema["$defs"], "$ref": f"#/$defs/{name}"}
            self.validators[name] = jsonschema.Draft202012Validator(part)

    def check(self, event):
        """The definition of the event's own kind: what `oneOf` comes to, and eight times as quick."""
        if jsonschema is None:
            return
        if event.get("event") not in self.validators:
            raise AssertionError(f"no such event in the schema: {event}")
        for error in self.validators[event["event"]].iter_errors(event):
            path = "/".join(str(part) for part in error.absolute_path)
            raise AssertionError(f"{event['event']}: {path}: {error.message}\n{json.dumps(event)}")


class Reader(threading.Thread):
    """The lines of a pipe, as they come."""

    def __init__(self, stream):
        super().__init__(daemon=True)
        self.stream = stream
        self.lines = []
        self.grown = threading.Condition()
        self.ended = False
        self.start()

    def run(self):
        for line in self.stream:
            with self.grown:
                self.lines.append(line)
                self.grown.notify_all()
        with self.grown:
            self.ended = True
            self.grown.notify_all()

    def wait(self, found, timeout):
        """Waits until found(lines) is true, and returns that; None when time is up or the pipe ended."""
        end = time.monotonic() + timeout
        with self.grown:
            while True:
                result = found(self.lines)
                left = end - time.monotonic()
                if result:
                    return result
                if left <= 0 or self.ended:
                    return None
                self.grown.wait(left)


def configuration(folder, options):
    """The text of the configuration that the options name; empty: there is none, or it cannot be read."""
    words = [str(option) for option in options]
    if "--config" not in words[:-1]:
        return ""
    try:
        return (pathlib.Path(folder) / words[words.index("--config") + 1]).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


class Daemon:
    """kdnetd, with its results on a pipe unless `events` names a file. `prefix`: what runs it in its own place."""

    def __init__(self, case, *options, listen=None, rva=True, events="-", wait=True, env=None, prints=False,
                 prefix=(), pass_fds=()):
        self.case = case
        self.listen = listen if listen is not None else [place(case.ip, free_port(case.ip))]
        self.command = [*map(str, prefix), *kdnetd()]
        for one in self.listen:
            self.command += ["--listen", one]
        if rva:
            self.command += ["--rva", RVA]
        if "--read-deadline" not in options:
            self.command += ["--read-deadline", READ_DEADLINE]
        config = configuration(case.folder, options)
        self.api = None  # of kdnetd.exe, to be told to reload
        if "--http" not in options and "http:" not in config:
            self.command += self._own_http() if WINE else ["--http", "none"]  # many would fight for the default
        if "--http-socket" not in options and "http_socket:" not in config and not WINE:
            self.command += ["--http-socket", "none"]
        if events:
            self.command += ["--events", str(events)]
        if prints:
            self.command += ["--prints"]
        self.command += [str(option) for option in options]
        self.notify = None
        self.env = dict(os.environ, **(env or {}))
        if "NOTIFY_SOCKET" not in (env or {}) and not WINE:
            self._open_notify()
        self.env.setdefault("ASAN_OPTIONS", "detect_leaks=1")
        self.parsed = []
        self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, text=True, errors="replace", env=self.env,
                                        cwd=case.folder, pass_fds=pass_fds)
        self.out = Reader(self.process.stdout)
        self.log = Reader(self.process.stderr)
        case.started.append(self)
        if wait:
            self.wait_ready()

    @property
    def pid(self):
        return self.process.pid

    def _open_notify(self):
        path = tempfile.mktemp(prefix="notify-", dir=self.case.folder)
        self.notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.notify.bind(path)
        self.notify.settimeout(1)
        self.env["NOTIFY_SOCKET"] = path

    def _wait_notified(self):
        """READY=1, as systemd waits for it; a build without libsystemd says nothing, and is ready soon."""
        try:
            while self.notify and "READY=1" not in self.notify.recv(4096).decode().splitlines():
                pass
        except TimeoutError:
            pass
        self._close_notify()

    def _close_notify(self):
        if self.notify:
            self.notify.close()  # what is told later goes nowhere, and kdnetd does not mind
        self.notify = None

    def wait_ready(self):
        if not self.log.wait(lambda lines: any("msg=serving" in line for line in lines), PATIENCE):
            raise AssertionError(f"kdnetd is not ready: {' '.join(self.command)}\n{self.log_text()}")
        self._wait_notified()
        self.ready = time.time()

    def log_text(self):
        return "".join(self.log.lines)

    def wait_log(self, text, timeout=PATIENCE, after=0):
        found = self.log.wait(lambda lines: [line for line in lines[after:] if text in line], timeout)
        if not found:
            raise AssertionError(f"the log does not say {text!r}:\n{self.log_text()}")
        return found[0]

    def _parse(self, lines):
        for line in lines[len(self.parsed):]:
            try:
                self.parsed.append(json.loads(line))
            except ValueError:
                raise AssertionError(f"not JSON on standard output: {line!r}") from None
        return self.parsed

    def events(self, target=None, kind=None):
        with self.out.grown:
            parsed = list(self._parse(self.out.lines))
        return [e for e in parsed if (target is None or e["target"] == target) and (kind is None or e["event"] == kind)]

    def wait_events(self, found, what, timeout=PATIENCE):
        """Waits until found(events) is true, and returns it."""
        result = self.out.wait(lambda lines: found(self._parse(lines)), timeout)
        if not result:
            told = "\n".join(json.dumps(event) for event in self.parsed[-30:])
            raise AssertionError(f"no {what} in {timeout} s; kdnetd {self.state()}; last events:\n{told}")
        return result

    def wait_event(self, kind, target=None, timeout=PATIENCE, count=1, **fields):
        def find(events):
            good = [e for e in events if e["event"] == kind and (target is None or e["target"] == target) and
                    all(e.get(name) == value for name, value in fields.items())]
            return good if len(good) >= count else None
        return self.wait_events(find, f"{count} × {kind} {target or ''} {fields or ''}", timeout)[-1]

    def state(self):
        code = self.process.poll()
        return "runs" if code is None else f"ended with {code}"

    def _own_http(self):
        self.api = place(self.case.ip, free_port(self.case.ip, socket.SOCK_STREAM))
        return ["--http", self.api, "--http-tokens", self.case.file("tokens", f"tests act {WINE_TOKEN}\n").name]

    def _reload_under_wine(self):
        request = urllib.request.Request(f"http://{self.api}/api/v1/reload", b"",
                                         {"Authorization": f"Bearer {WINE_TOKEN}"})
        end = time.monotonic() + PATIENCE
        while True:
            try:
                urllib.request.urlopen(request, timeout=PATIENCE).close()
                return
            except urllib.error.HTTPError as error:
                if error.code != 503 or time.monotonic() > end:  # a mistake, which is in the log
                    return
            except urllib.error.URLError as error:  # the thread of HTTP has not opened it yet
                if not isinstance(error.reason, ConnectionRefusedError) or time.monotonic() > end:
                    raise
            time.sleep(0.05)  # the reload before is not quite over, though it is in the log

    def signal(self, number):
        if WINE and number == signal.SIGHUP:
            self._reload_under_wine()
        else:
            signal_at(self.process, number)

    def kill(self):
        self._kill()
        if WINE:
            wine_end.wait_ports(self)

    def _kill(self):
        if WINE:
            wine_end.kill(self, [one for one in self.case.started if isinstance(one, Machines)])
            return
        self.signal(signal.SIGKILL)
        self.process.wait(PATIENCE)

    def memory_kib(self):
        for line in pathlib.Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1])
        return 0

    def socket_drops(self):
        """Datagrams that its IPv4 sockets had no room for, as the kernel counts them."""
        ports = {int(one.rsplit(":", 1)[1]) for one in self.listen}
        drops = 0
        for line in pathlib.Path(f"/proc/{self.pid}/net/udp").read_text().splitlines()[1:]:
            fields = line.split()
            address, port = fields[1].split(":")
            ip = socket.inet_ntoa(bytes.fromhex(address)[::-1])
            if int(port, 16) in ports and ip == self.case.ip:
                drops += int(fields[-1])
        return drops

    def cpu_seconds(self):
        fields = pathlib.Path(f"/proc/{self.pid}/stat").read_text().rsplit(") ", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def stop(self, expect=0):
        """Ends it as systemd would; a sanitizer's complaint shows as another exit status."""
        if WINE:
            return self._end_under_wine()
        self.signal(signal.SIGTERM)
        try:
            code = self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"kdnetd does not end when told to\n{self.log_text()}") from None
        self.out.join(PATIENCE)
        self.log.join(PATIENCE)
        if code != expect:
            raise AssertionError(f"kdnetd ended with {code}, not {expect}\n{self.log_text()}")
        return self.events()

    def _end_under_wine(self):
        """When it has said all."""
        said = -1
        while said != len(self.out.lines):
            said = len(self.out.lines)
            time.sleep(WINE_QUIET)
        self.kill()
        self.out.join(PATIENCE)
        self.log.join(PATIENCE)
        return self.events()

    def clean_up(self):
        self._close_notify()
        if self.process.poll() is None:
            self._kill()
        self.out.join(PATIENCE)
        self.log.join(PATIENCE)
        for stream in (self.process.stdout, self.process.stderr):
            stream.close()

    def tell(self):
        lines = self.log.lines
        cut = lines if len(lines) <= 60 else lines[:20] + [f"… {len(lines) - 60} lines …\n"] + lines[-40:]
        sys.stderr.write(f"--- log of kdnetd {self.pid}, {self.state()}: {' '.join(self.command)}\n{''.join(cut)}")


class Machines:
    """kdnet-target: one process, one machine or many."""

    def __init__(self, case, host, key, *options, scenario=None, seed=None, end=True, prefix=()):
        self.command = [*map(str, prefix), str(BUILD / "kdnet-target"), "--host", host, "--key", key, "--json"]
        if scenario:
            self.command += ["--scenario", scenario]
        if end:
            self.command += ["--exit"]
        # Its seed makes a machine's random: two machines with one seed are one machine, and the later one a recording.
        self.command += ["--seed", str(seed if seed is not None else case.next_seed())]
        self.command += [str(option) for option in options]
        self.output = tempfile.TemporaryFile("w+", dir=case.folder)
        self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=self.output,
                                        stderr=subprocess.STDOUT, cwd=case.folder)
        self.begun = time.time()
        case.started.append(self)

    def text(self):
        if not self.output.closed:
            self.output.seek(0)
            self.said = self.output.read()
        return self.said

    def summaries(self):
        out = []
        for line in self.text().splitlines():
            try:
                out.append(json.loads(line))
            except ValueError:
                raise AssertionError(f"kdnet-target says: {self.text()[:2000]}") from None
        return out

    def wait(self, timeout=PATIENCE, expect=0):
        """Waits for its end, and returns the summary of each machine."""
        try:
            code = self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            signal_at(self.process, signal.SIGTERM)
            try:
                self.process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                pass
            raise AssertionError(f"not ended after {timeout} s: {' '.join(self.command)}\n{self.text()[:3000]}") from None
        if expect is not None and code != expect:
            raise AssertionError(f"ended with {code}: {' '.join(self.command)}\n{self.text()[:3000]}")
        return self.summaries()

    def stop(self, expect=0):
        signal_at(self.process, signal.SIGTERM)
        return self.wait(PATIENCE, expect)

    def clean_up(self):
        if self.process.poll() is None:
            signal_at(self.process, signal.SIGKILL)
            self.process.wait(PATIENCE)
        self.text()
        self.output.close()

    def tell(self):
        code = self.process.poll()
        if code not in (0, None):
            sys.stderr.write(f"--- {' '.join(self.command)} ended with {code}\n{self.text()[:2000]}\n")


_all_started = []


def _end_all():
    for one in _all_started:
        one.clean_up()


class Started(list):
    """What a test started; ended at exit too, when the test was interrupted."""

    def append(self, one):
        super().append(one)
        _all_started.append(one)


class Case(unittest.TestCase):
    maxDiff = None
    schema = None

    @classmethod
    def setUpClass(cls):
        Case.schema = Case.schema or Schema()

    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="kdnetd-e2e-"))
        atexit.register(shutil.rmtree, self.folder, ignore_errors=True)
        self.started = Started()
        # 127/8 is all loopback. 127.1.x.y are kdnet-target's own.
        draw = random.SystemRandom()
        self.network = f"127.{draw.randrange(2, 255)}.{draw.randrange(1, 255)}"
        self.last_ip = 1
        self.seeds = 0
        self.ip = "127.0.0.1" if WINE else f"{self.network}.1"

    def tearDown(self):
        outcome = self._outcome.result
        failed = any(test is self or getattr(test, "test_case", None) is self
                     for test, _ in outcome.errors + outcome.failures)
        for one in reversed(self.started):
            one.clean_up()
            _all_started.remove(one)
        if failed:
            for one in self.started:
                one.tell()
        shutil.rmtree(self.folder, ignore_errors=True)

    def next_ip(self):
        self.last_ip += 1
        return f"{self.network}.{self.last_ip}"

    def next_seed(self):
        self.seeds += 1
        return 1000 * self.seeds

    def file(self, name, text, mode=0o600):
        path = self.folder / name
        path.write_text(text)
        path.chmod(mode)
        return path

    def run_kdnetd(self, *options, timeout=PATIENCE):
        return subprocess.run([*kdnetd(), *map(str, options)], stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=timeout, cwd=self.folder)

    def check_events(self, events):
        for event in events:
            self.schema.check(event)


def main(at_once=1):
    """Runs the tests of the module that calls it; `at_once` more than 1 is for those that mostly wait."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C: unittest lets it through
    atexit.register(_end_all)
    if at_once == 1:
        unittest.main(verbosity=2)
    unittest.main(testRunner=SideBySide(at_once))
