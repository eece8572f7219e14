# SPDX-License-Identifier: Apache-2.0
"""Symbol servers that are good, slow, broken or hostile, behind kdnetd: each crash has its result in time, and the next
one is answered from what was remembered.

The symbols are real: a PE and PDB pair by clang and lld-link whose status lies where the simulated kernel has it, in a
cabinet by gcab.
"""
import http.server
import os
import re
import shutil
import socket
import subprocess
import threading
import time
import unittest

import harness

NGINX = os.environ.get("KDNETD_NGINX") or shutil.which("nginx", path=os.environ.get("PATH", "") + ":/usr/sbin")
NGINX_CONFIGURATION = """
daemon off; master_process off; pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{ }}
http {{
  access_log {folder}/access.log; client_body_temp_path {folder}; proxy_temp_path {folder};
  fastcgi_temp_path {folder}; uwsgi_temp_path {folder}; scgi_temp_path {folder};
  server {{ listen 127.0.0.1:{port}; root {folder}/share; }}
}}
"""
TOOLS = ("clang", "lld-link", "llvm-pdbutil", "gcab")
MISSING = [tool for tool in TOOLS if not shutil.which(tool)]
# .data is the third section, at 0x3000; the status is at 0x3010 (service/kdnet-target/machine.h).
SOURCE = """
unsigned Before[4] = {1, 2, 3, 4};
unsigned long IopFinalCrashDumpStatus = 0xffffffff;
const char Constant[] = "x";
int F(void) { return (int)(IopFinalCrashDumpStatus + Before[0] + Constant[0]); }
"""


def listens(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, behave):
        self.asked, self.behave, self.go_on = [], behave, threading.Event()
        super().__init__(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def handle_error(self, request, client_address):
        pass


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.asked.append(self.path)
        try:
            self.server.behave(self, self.path.rsplit("/", 1)[1])
        except ConnectionError:
            self.close_connection = True

    def log_message(self, *arguments):
        pass

    def give(self, status, body=b"", length=None):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        self.wfile.write(body)


@unittest.skipIf(MISSING, f"not installed: {', '.join(MISSING)}: no symbol files can be made")
class SymbolServers(harness.Case):
    def setUp(self):
        super().setUp()
        folder = self.folder
        (folder / "x.c").write_text(SOURCE)
        subprocess.run(["clang", "--target=x86_64-pc-windows-msvc", "-g", "-gcodeview", "-O0", "-fno-common", "-c", "x.c",
                        "-o", "x.obj"], cwd=folder, check=True)
        subprocess.run(["lld-link", "/debug", "/entry:F", "/subsystem:native", "/nodefaultlib", "/out:ntoskrnl.exe",
                        "/pdb:ntkrnlmp.pdb", "x.obj"], cwd=folder, check=True)
        subprocess.run(["gcab", "-z", "-c", "ntkrnlmp.pd_", "ntkrnlmp.pdb"], cwd=folder, check=True)
        summary = subprocess.run(["llvm-pdbutil", "dump", "--summary", "ntkrnlmp.pdb"], cwd=folder, check=True, text=True,
                                 capture_output=True).stdout
        guid = re.search(r"GUID: \{(.*?)\}", summary).group(1).replace("-", "")
        self.guidage = f"{guid}{int(re.search(r'Age: ([0-9]+)', summary).group(1)):X}"
        self.pdb, self.cabinet = ((folder / name).read_bytes() for name in ("ntkrnlmp.pdb", "ntkrnlmp.pd_"))

    def start(self, behave, *options):
        self.server = Server(behave)
        self.addCleanup(self.server.server_close)
        self.addCleanup(self.server.shutdown)
        place = f"srv*{self.folder / 'local'}*http://127.0.0.1:{self.server.server_address[1]}"
        daemon = harness.Daemon(self, "--target", "web=1.2.3.4", "--symbols", place, *options, rva=False)
        if "was built without libcurl" in daemon.log_text():
            self.skipTest("this build asks no symbol servers")
        return daemon

    def crash(self, daemon, count):
        """A crash of one machine; returns its two results."""
        machines = harness.Machines(self, daemon.listen[0], "1.2.3.4", "--status", "0xC000007F", "--guidage", self.guidage,
                                    scenario="bugcheck")
        machines.wait()
        daemon.wait_event("crash_status", "web", count=count)
        results = daemon.events("web", "crash_status")[-2:]
        self.check_events(results)
        return results

    def check_found(self, results):
        self.assertEqual([(r["status"], r["source"]["from"]) for r in results],
                         [("0xFFFFFFFF", "pdb_http"), ("0xC000007F", "pdb_http")])

    def check_unknown(self, results, reason, tried=None):
        self.assertEqual([(r["verdict"], r["reason"]) for r in results],
                         [("not_started", reason), ("unknown", reason)])
        if tried:
            self.assertRegex(results[1]["tried"], tried)

    def check_bad(self, behave, tried):
        """No symbols, with what the server did; the next crash asks nobody."""
        daemon = self.start(behave)
        self.check_unknown(self.crash(daemon, 2), "no_symbols", tried)
        asked = len(self.server.asked)
        self.assertGreater(asked, 0)
        self.check_unknown(self.crash(daemon, 4), "no_symbols", tried)
        self.assertEqual(len(self.server.asked), asked)
        daemon.stop()

    def test_a_compressed_file_is_fetched_once(self):
        def behave(handler, name):
            handler.give(200, self.cabinet) if name == "ntkrnlmp.pd_" else handler.give(404)
        daemon = self.start(behave)
        self.check_found(self.crash(daemon, 2))
        asked = list(self.server.asked)
        self.assertEqual(asked[-1].split("/")[1:], ["ntkrnlmp.pdb", self.guidage, "ntkrnlmp.pd_"])
        self.server.shutdown()
        self.check_found(self.crash(daemon, 4))
        self.assertEqual(self.server.asked, asked)
        daemon.stop()

    @unittest.skipUnless(NGINX, "nginx is not installed")
    def test_nginx_serves_a_store(self):
        place = self.folder / "share" / "ntkrnlmp.pdb" / self.guidage
        place.mkdir(parents=True)
        (place / "ntkrnlmp.pd_").write_bytes(self.cabinet)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        configuration = self.file("nginx.conf", NGINX_CONFIGURATION.format(folder=self.folder, port=port))
        nginx = subprocess.Popen([NGINX, "-c", configuration, "-e", self.folder / "error.log"], stdout=subprocess.DEVNULL,
                                 stderr=subprocess.DEVNULL)
        self.addCleanup(nginx.wait)
        self.addCleanup(nginx.kill)
        deadline = time.monotonic() + harness.PATIENCE
        while not listens(port) and time.monotonic() < deadline:
            time.sleep(0.05)
        daemon = harness.Daemon(self, "--target", "web=1.2.3.4", "--symbols",
                                f"srv*{self.folder / 'local'}*http://127.0.0.1:{port}", rva=False)
        self.check_found(self.crash(daemon, 2))
        nginx.terminate()
        nginx.wait()
        self.check_found(self.crash(daemon, 4))
        daemon.stop()

    def test_a_slow_server_delays_no_machine_and_serves_the_next_crash(self):
        def behave(handler, name):
            handler.server.go_on.wait(harness.PATIENCE)
            handler.give(200, self.pdb) if name == "ntkrnlmp.pdb" else handler.give(404)
        daemon = self.start(behave, "--read-deadline", "1s")
        self.check_unknown(self.crash(daemon, 2), "timeout")
        self.assertRegex(daemon.log_text(), r'hint="symbols are being fetched from http://127\.0\.0\.1')
        self.assertNotIn("loss on its network", daemon.log_text())
        self.server.go_on.set()
        daemon.wait_log("symbol found")
        results = self.crash(daemon, 4)
        if "timeout" not in (results[0]["reason"], results[1]["reason"]):  # a busy processor may take a second
            self.check_found(results)
        self.assertEqual(len(self.server.asked), 1)
        daemon.stop()

    def test_a_missing_file(self):
        self.check_bad(lambda handler, name: handler.give(404), "404")

    def test_a_server_error(self):
        self.check_bad(lambda handler, name: handler.give(500), "500")

    def test_half_a_file(self):
        def behave(handler, name):
            handler.give(200, self.pdb[:len(self.pdb) // 2], len(self.pdb))
            handler.close_connection = True
        self.check_bad(behave, "http://127.0.0.1")

    def test_garbage(self):
        self.check_bad(lambda handler, name: handler.give(200, b"<html>sign in</html>" * 100), "http://127.0.0.1")

    def test_two_gigabytes_of_zeros(self):
        def behave(handler, name):
            handler.give(200, b"", 2 << 30)
            while True:
                handler.wfile.write(bytes(65536))
        self.check_bad(behave, "http://127.0.0.1")

    def test_symbols_of_another_kernel(self):
        other = self.pdb.replace(bytes.fromhex(self.guidage[:8])[::-1], b"\1\2\3\4")
        self.assertNotEqual(other, self.pdb)
        self.check_bad(lambda handler, name: handler.give(200, other), "another image")


if __name__ == "__main__":
    harness.main(at_once=4)
