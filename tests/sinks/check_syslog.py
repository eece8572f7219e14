#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Syslog and the journal, each against a small receiver that checks what comes: python3 check_syslog.py FEEDER.

Outcomes are waited for, never for how long they take.
"""
import json
import re
import shutil
import socket
import ssl
import subprocess
import threading
import time
import unittest

from receiving import PATIENCE, Case, event


class Syslog(Case):
    FORM = re.compile(r'<(\d+)>1 (\S+) (\S+) kdnetd - (\S+) \[kdnetd@32473((?: \w+="(?:[^"\\\]]|\\.)*")*)\] (\{.*\})', re.S)

    def listen(self, context=None):
        listener = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(listener.close)
        self.frames, self.lock, self.connections = [], threading.Condition(), []

        def serve():
            while True:
                try:
                    connection = listener.accept()[0]
                except OSError:
                    return
                self.connections.append(connection)
                try:
                    connection = context.wrap_socket(connection, server_side=True) if context else connection
                    threading.Thread(target=self.read, args=(connection,), daemon=True).start()
                except OSError:
                    pass

        threading.Thread(target=serve, daemon=True).start()
        return f"127.0.0.1:{listener.getsockname()[1]}"

    def read(self, connection):
        data = b""
        while True:
            try:
                more = connection.recv(65536)
            except OSError:
                return
            if not more:
                return
            data += more
            while (found := re.match(rb"(\d+) ", data)) and len(data) >= found.end() + int(found.group(1)):
                end = found.end() + int(found.group(1))
                with self.lock:
                    self.frames.append(data[found.end():end].decode())
                    self.lock.notify_all()
                data = data[end:]

    def wait(self, count):
        end = time.monotonic() + PATIENCE
        with self.lock:
            while len(self.frames) < count:
                assert time.monotonic() < end, self.frames
                self.lock.wait(1)

    def check(self, frames, events, facility=3):
        self.assertEqual(len(frames), len(events))
        for frame, made in zip(frames, events):
            found = self.FORM.fullmatch(frame)
            self.assertTrue(found, frame)
            severity = {"failed": 3, "unknown": 4}.get(made.get("verdict"), 5)
            self.assertEqual((int(found[1]), found[2], found[4]), (facility * 8 + severity, made["time"], made["event"]))
            self.assertIn(f'id="{made["id"]}"', found[5])
            self.assertEqual(json.loads(found[6]), made)

    def test_tcp(self):
        events = [event(1), event(2, verdict="failed"), event(3, verdict="unknown"), event(4, kind="lost")]
        process = self.start({"name": "s", "type": "syslog", "address": self.listen(), "facility": "local3"})
        self.tell(process, *events)
        self.wait(4)
        self.finish(process, delivered=4)
        self.check(self.frames, events, 19)

    def test_what_a_broken_connection_may_have_lost_is_sent_again(self):
        process = self.start({"name": "s", "type": "syslog", "address": self.listen()})
        self.tell(process, event(1), event(2))
        self.wait(2)
        self.connections[0].shutdown(socket.SHUT_RDWR)
        self.tell(process, event(3))
        end = time.monotonic() + PATIENCE
        while {json.loads(self.FORM.fullmatch(one)[6])["id"] for one in self.frames[2:]} != {event(n)["id"] for n in (1, 2, 3)}:
            self.assertLess(time.monotonic(), end, self.frames)
            time.sleep(0.05)
        self.finish(process)

    def test_a_connection_that_breaks_while_nothing_comes_is_noticed(self):
        process = self.start({"name": "s", "type": "syslog", "address": self.listen()})
        self.tell(process, event(1), event(2))
        self.wait(2)
        self.connections[0].shutdown(socket.SHUT_RDWR)
        self.wait(4)
        self.assertEqual([json.loads(self.FORM.fullmatch(one)[6])["id"] for one in self.frames[2:4]], [event(1)["id"], event(2)["id"]])
        self.finish(process)

    def test_tls_checks_the_receiver(self):
        key, certificate = self.folder / "key", self.folder / "certificate"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", certificate, "-days", "2",
                        "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"], check=True, capture_output=True)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        address = self.listen(context)
        sink = {"name": "s", "type": "syslog", "transport": "tls", "address": address}
        process = self.start(sink)
        self.tell(process, event(1))
        self.wait_counts(process, failing=1)
        self.assertEqual(self.frames, [])
        self.finish(process)
        process = self.start(sink | {"ca_file": str(certificate)})
        self.wait(1)
        self.finish(process)
        self.check(self.frames, [event(1)])

    def test_an_event_too_large_for_udp_is_cut_between_two_characters(self):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
            receiver.bind(("127.0.0.1", 0))
            receiver.settimeout(PATIENCE)
            process = self.start({"name": "s", "type": "syslog", "transport": "udp", "address": f"127.0.0.1:{receiver.getsockname()[1]}"})
            for before in range(4):
                text = "y" * before + "\N{COLLISION SYMBOL}" * 16300
                process.stdin.write(json.dumps(event(1 + before, text=text), ensure_ascii=False) + "\n")
                process.stdin.flush()
                frame = receiver.recv(65536)
                self.assertTrue(65000 - 4 < len(frame) <= 65000, len(frame))
                self.assertTrue(frame.decode().endswith("\N{COLLISION SYMBOL}"))
        self.finish(process)

    def test_udp(self):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
            receiver.bind(("127.0.0.1", 0))
            receiver.settimeout(PATIENCE)
            process = self.start({"name": "s", "type": "syslog", "transport": "udp", "address": f"127.0.0.1:{receiver.getsockname()[1]}"})
            self.tell(process, event(1), event(2))
            frames = [receiver.recv(65536).decode() for _ in range(2)]
        self.finish(process)
        self.check(frames, [event(1), event(2)])

    @unittest.skipUnless(shutil.which("rsyslogd"), "rsyslog is not installed")
    def test_rsyslog_understands_it(self):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        out, config = self.folder / "out", self.folder / "rsyslog.conf"
        config.write_text(f'module(load="imtcp")\ninput(type="imtcp" address="127.0.0.1" port="{port}")\n'
                          f'template(name="t" type="string" string="%APP-NAME% %MSGID% %syslogseverity-text% %STRUCTURED-DATA%\\n")\n'
                          f'action(type="omfile" file="{out}" template="t")\n')
        daemon = subprocess.Popen(["rsyslogd", "-n", "-i", str(self.folder / "pid"), "-f", str(config)], stdout=subprocess.DEVNULL,
                                  stderr=subprocess.DEVNULL)
        self.addCleanup(self.end, daemon)
        process = self.start({"name": "s", "type": "syslog", "address": f"127.0.0.1:{port}"})
        self.tell(process, event(1, verdict="failed"))
        end = time.monotonic() + PATIENCE
        while not out.exists() or not out.read_text().endswith("\n"):
            self.assertLess(time.monotonic(), end)
            time.sleep(0.05)
        self.finish(process)
        self.assertRegex(out.read_text(), r'^kdnetd crash_status err \[kdnetd@32473 id="c1-0000000000000001" target="web-17" verdict="failed"')


class Journal(Case):
    def test_events_have_native_fields(self):
        path = str(self.folder / "journal")
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as journal:
            journal.bind(path)
            journal.settimeout(PATIENCE)
            process = self.start({"name": "s", "type": "journal", "address": path})
            self.tell(process, event(1, verdict="failed"), event(2, kind="lost"))
            got = [dict(line.split("=", 1) for line in journal.recv(1 << 20).decode().splitlines()) for _ in range(2)]
        self.finish(process)
        self.assertEqual(got[0]["PRIORITY"], "3")
        self.assertEqual((got[0]["SYSLOG_IDENTIFIER"], got[0]["KDNETD_TARGET"], got[0]["KDNETD_VERDICT"]), ("kdnetd", "web-17", "failed"))
        self.assertIn("its crash dump failed", got[0]["MESSAGE"])
        self.assertEqual(json.loads(got[0]["KDNETD_JSON"]), event(1, verdict="failed"))
        self.assertEqual((got[1]["PRIORITY"], got[1]["KDNETD_EVENT"]), ("5", "lost"))
        self.assertNotIn("KDNETD_VERDICT", got[1])


if __name__ == "__main__":
    unittest.main()
