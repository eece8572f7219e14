#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""kdnetd as config/Containerfile runs it, in a container of bubblewrap's: process 1, a read-only root, keys in a secret
that its group reads. Usage: check_container.py BUILD_FOLDER SOURCE_FOLDER

Exit status 77: nothing tested, bubblewrap is not here or may not make a container.
"""
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest

SOURCE = pathlib.Path(sys.argv.pop()).resolve()
BUILD = pathlib.Path(sys.argv.pop()).resolve()
PATIENCE_S = 60
KEY = "1m770ts6ru0p.3671pemyie4i.2b8djy3wt5et.1p99ir125v4q"
USER = 947
ROOT = os.geteuid() == 0


def box(folder):
    """bubblewrap's words: a root that nobody writes, and the places that the image has."""
    words = ["bwrap", "--tmpfs", "/"]
    for path in ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/etc/ld.so.cache", "/etc/ssl"):
        words += ["--ro-bind-try", path, path]
    words += ["--dev", "/dev", "--proc", "/proc", "--bind", f"{folder}/state", "/var/lib/kdnetd"]
    for path, place in (("secrets", "/run/secrets"), ("kdnetd.yaml", "/etc/kdnetd/kdnetd.yaml"),
                        ("conf.d", "/etc/kdnetd/conf.d"), ("kdnetd", "/sbin.d/kdnetd")):
        words += ["--ro-bind", f"{folder}/{path}", place]
    words += ["--remount-ro", "/", "--unshare-user", "--unshare-pid", "--unshare-ipc", "--unshare-uts", "--cap-drop", "ALL",
              "--as-pid-1", "--die-with-parent", "--setenv", "KDNETD_SOCKET", "/var/lib/kdnetd/kdnetd.sock"]
    return (["setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups"] if ROOT else []) + [str(w) for w in words]


def wait_for(condition, what):
    end = time.monotonic() + PATIENCE_S
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"not within {PATIENCE_S} s: {what}")
        time.sleep(0.1)


class Container(unittest.TestCase):
    def setUp(self):
        name = tempfile.mkdtemp(prefix="kdnetd-container-")
        self.addCleanup(shutil.rmtree, name, ignore_errors=True)
        self.folder = pathlib.Path(name)
        self.folder.chmod(0o755)
        for part in ("state", "secrets", "conf.d"):
            (self.folder / part).mkdir()
        shutil.copy(SOURCE / "config/kdnetd.yaml", self.folder)
        shutil.copy(BUILD / "kdnetd", self.folder)
        shutil.copy(SOURCE / "config/container.yaml", self.folder / "conf.d/local.yaml")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
            free.bind(("127.0.0.1", 0))
            self.place = f"127.0.0.1:{free.getsockname()[1]}"
        (self.folder / "conf.d/test.yaml").write_text(
            f'listen: "{self.place}"\nhttp: none\n'
            "rva:\n  - {guidage: 4B444E45542D544152474554000000011, symbol: IopFinalCrashDumpStatus, rva: 0x3010}\n")
        secret = self.folder / "secrets/kdnetd-targets"
        secret.write_text(f"web-17 {KEY}\n")
        secret.chmod(0o440)
        if ROOT:
            os.chown(secret, 0, USER)
            os.chown(self.folder / "state", USER, USER)

    def start(self):
        self.log, self.events = open(self.folder / "log", "w+"), open(self.folder / "events", "w+")
        self.addCleanup(self.log.close)
        self.addCleanup(self.events.close)
        reader, writer = os.pipe()
        daemon = subprocess.Popen([*box(self.folder), "--info-fd", str(writer), "/sbin.d/kdnetd", "--config",
                                   "/etc/kdnetd/kdnetd.yaml"], stdin=subprocess.DEVNULL, stdout=self.events,
                                  stderr=self.log, pass_fds=[writer])
        os.close(writer)
        self.addCleanup(daemon.wait, PATIENCE_S)
        self.addCleanup(daemon.kill)
        with os.fdopen(reader) as info:
            self.pid = json.loads(info.read())["child-pid"]
        wait_for(lambda: "msg=serving" in self.said(self.log) or daemon.poll() is not None, "it serves")
        self.assertIsNone(daemon.poll(), self.said(self.log))
        return daemon

    @staticmethod
    def said(file):
        file.seek(0)
        return file.read()

    def ask(self, *words):
        """Through the state's folder: what is in the container lets nobody but root in."""
        return subprocess.run([BUILD / "kdnetctl", "--socket", self.folder / "state/kdnetd.sock", *words],
                              capture_output=True, text=True, timeout=PATIENCE_S, check=False)

    def test_serves_as_process_1_with_a_read_only_root(self):
        daemon = self.start()
        status = pathlib.Path(f"/proc/{self.pid}/status").read_text()
        self.assertRegex(status, r"NSpid:\s+\d+\s+1\n")
        wait_for(lambda: self.ask("health").returncode == 0, "kdnetctl health")
        done = subprocess.run([BUILD / "kdnet-target", "--host", self.place, "--key", KEY, "--scenario", "bugcheck", "--exit"],
                              capture_output=True, text=True, timeout=PATIENCE_S, check=False)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        wait_for(lambda: self.said(self.events).count('"crash_status"') == 2, "two results on the standard output")
        wait_for(lambda: "web-17" in self.ask("crashes").stdout, "kdnetctl crashes")
        os.kill(self.pid, signal.SIGHUP)
        wait_for(lambda: "configuration read again" in self.said(self.log), "the secret is read again")
        os.kill(self.pid, signal.SIGTERM)
        self.assertEqual(daemon.wait(PATIENCE_S), 0, self.said(self.log))
        self.assertNotIn("level=err", self.said(self.log))
        self.assertNotIn(KEY, self.said(self.log))

    def test_health_tells_by_its_exit_status(self):
        done = subprocess.run([BUILD / "kdnetctl", "--socket", self.folder / "nobody", "health"], capture_output=True,
                              text=True, timeout=PATIENCE_S, check=False)
        self.assertEqual(done.returncode, 3, done.stderr)

    def test_the_image_has_what_the_configuration_names(self):
        image = (SOURCE / "config/Containerfile").read_text()
        for words in ("gid=947,mode=0440", f"--gid {USER} kdnetd", f"--uid {USER} ", "COPY config/container.yaml",
                      'CMD ["kdnetctl", "health"]', "USER kdnetd", "VOLUME /var/lib/kdnetd"):
            self.assertIn(words, image)
        place = re.search(r'http_socket: "(.*)"', (SOURCE / "config/container.yaml").read_text()).group(1)
        self.assertIn(f"KDNETD_SOCKET={place}\n", image)


def container_works():
    with tempfile.TemporaryDirectory() as name:
        for part in ("state", "secrets", "conf.d"):
            pathlib.Path(name, part).mkdir()
        for file in ("kdnetd.yaml", "kdnetd"):
            pathlib.Path(name, file).write_text("")
        pathlib.Path(name).chmod(0o755)
        try:
            return subprocess.run([*box(name), "true"], capture_output=True, timeout=PATIENCE_S, check=False).returncode == 0
        except OSError:
            return False


if __name__ == "__main__":
    if not container_works():
        print("nothing tested: bubblewrap is not here, or may not make a container")
        sys.exit(77)
    unittest.main()
