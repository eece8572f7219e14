#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""kdnetd's package under a real systemd: installed, started, reloaded, killed, stopped by the watchdog, configured wrongly.

A Debian is made once (mmdebstrap, about two minutes; kept in --cache), the package is installed in it, and it is booted in
a container (systemd-nspawn) without a network but its own loopback. As root. ./dev test --systemd makes the package and
runs this. Exit status: 0 all is well.
"""
import argparse
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time

PATIENCE_S = 60
WATCHDOG_S = 30  # WatchdogSec= of the unit
PACKAGES = "systemd,systemd-sysv,dbus,iproute2,procps"
EVENTS = "var/log/kdnetd/events.jsonl"
CONFIGURATION = """\
listen: ["127.0.0.1:50000"]
events: "/var/log/kdnetd/events.jsonl"
rva:
  - {guidage: 4B444E45542D544152474554000000011, symbol: IopFinalCrashDumpStatus, rva: 0x3010}
targets:
  - {name: web-01, key: 1.2.3.4}
"""


def run(*command, check=True, **options):
    done = subprocess.run([str(c) for c in command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, errors="replace", check=False, **options)
    if check and done.returncode != 0:
        raise AssertionError(f"{' '.join(map(str, command))}: exit status {done.returncode}\n{done.stdout[-3000:]}")
    return done.stdout


def wait_for(condition, what, seconds=PATIENCE_S):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"not within {seconds} s: {what}")
        time.sleep(0.2)


def make_root(cache):
    """A Debian with systemd, made once."""
    root = cache / "debian"
    if not (root / "made").exists():
        shutil.rmtree(root, ignore_errors=True)
        cache.mkdir(parents=True, exist_ok=True)
        run("mmdebstrap", "--variant=minbase", f"--include={PACKAGES}", "bookworm", root)
        (root / "made").write_text("")
    return root


def install(root, package):
    shutil.copy(package, root / "tmp" / "kdnetd.deb")
    environment = dict(os.environ, DEBIAN_FRONTEND="noninteractive", PATH="/usr/sbin:/usr/bin:/sbin:/bin")
    run("chroot", root, "apt-get", "-q", "update", env=environment)
    run("chroot", root, "dpkg", "--purge", "kdnetd", env=environment)  # the root is kept: what a run before left goes
    run("chroot", root, "apt-get", "-q", "-y", "--no-install-recommends", "install", "/tmp/kdnetd.deb", env=environment)


class Container:
    def __init__(self, root):
        self.root = root
        self.log = open(root.parent / "container.log", "w", encoding="utf-8")
        command = ["systemd-nspawn", "-D", root, "--private-network", "--register=no", "--keep-unit", "-M",
                   f"kdnetd-{os.getpid()}", "--boot"]
        self.process = subprocess.Popen([str(c) for c in command], stdin=subprocess.DEVNULL, stdout=self.log,
                                        stderr=subprocess.STDOUT)

    def child(self):
        children = pathlib.Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return children[0] if children else None

    def run(self, *command, check=True):
        return run("nsenter", "-t", self.child(), "-a", *command, check=check)

    def systemctl(self, *words, check=True):
        return self.run("systemctl", *words, check=check).strip()

    def show(self, name):
        return self.systemctl("show", "-p", name, "--value", "kdnetd")

    def state(self):
        return self.systemctl("is-active", "kdnetd", check=False)

    def begin(self):
        def is_up():
            return self.child() and self.systemctl("is-system-running", check=False) in ("running", "degraded")
        wait_for(is_up, "the container is up")
        self.run("ip", "link", "set", "lo", "up")

    def end(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(PATIENCE_S)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.log.close()

    def configure(self, text):
        (self.root / "etc/kdnetd/kdnetd.yaml").write_text(text)

    def crash(self):
        self.run("kdnet-target", "--host", "127.0.0.1:50000", "--key", "1.2.3.4", "--scenario", "bugcheck", "--exit")

    def results(self):
        lines = (self.root / EVENTS).read_text().splitlines()
        return [e for e in map(json.loads, lines) if e["event"] == "crash_status"]

    def journal(self, *options):
        return self.run("journalctl", "-u", "kdnetd", "--no-pager", "-o", "cat", *options)


def starts_and_gives_results(box):
    box.configure(CONFIGURATION)
    box.systemctl("enable", "kdnetd")
    box.systemctl("restart", "kdnetd")  # a new package runs already, with its own configuration
    assert box.state() == "active"
    assert box.show("StatusText").startswith("serving 1 targets"), box.show("StatusText")
    assert box.show("User") == "kdnetd"
    box.crash()
    wait_for(lambda: len(box.results()) == 2, "two results")
    assert box.results()[-1]["verdict"] == "written", box.results()
    assert (box.root / EVENTS).stat().st_mode & 0o007 == 0, "results are not for everybody"


def reload_is_told_and_counts(box):
    before = box.show("MainPID")
    box.systemctl("reload", "kdnetd")
    assert (box.state(), box.show("MainPID")) == ("active", before)
    assert "configuration read again" in box.journal()


def priorities_reach_the_journal(box):
    box.configure("targets: [{name: a, key: bad}]\n")
    box.systemctl("reload", "kdnetd")
    assert "configuration is wrong" in box.journal("-p", "err")
    assert box.state() == "active"
    box.configure(CONFIGURATION)


def killed_it_comes_back(box):
    before = box.show("MainPID")
    box.systemctl("kill", "-s", "KILL", "kdnetd")
    wait_for(lambda: box.state() == "active" and box.show("MainPID") not in ("0", before), "it is started again")
    count = len(box.results())
    box.crash()
    wait_for(lambda: len(box.results()) == count + 2, "two more results")


def a_loop_that_stands_still_is_ended_by_the_watchdog(box):
    before = box.show("MainPID")
    box.run("kill", "-STOP", before)
    wait_for(lambda: box.state() == "active" and box.show("MainPID") not in ("0", before), "the watchdog's restart",
             WATCHDOG_S + PATIENCE_S)


def a_wrong_configuration_is_not_tried_again_and_again(box):
    box.configure("targets: [{name: a, key: bad}]\n")
    box.systemctl("restart", "kdnetd", check=False)
    time.sleep(3)  # RestartSec is 1 s
    assert (box.state(), box.show("ExecMainStatus"), box.show("NRestarts")) == ("failed", "2", "0")
    assert "targets[0].key" in box.journal()
    box.configure(CONFIGURATION)
    box.systemctl("restart", "kdnetd")
    assert box.state() == "active"


def stopping_is_clean(box):
    box.systemctl("stop", "kdnetd")
    assert (box.state(), box.show("Result")) == ("inactive", "success")


CHECKS = [starts_and_gives_results, reload_is_told_and_counts, priorities_reach_the_journal, killed_it_comes_back,
          a_loop_that_stands_still_is_ended_by_the_watchdog, a_wrong_configuration_is_not_tried_again_and_again,
          stopping_is_clean]


def main():
    parser = argparse.ArgumentParser(description="kdnetd's package under a real systemd")
    parser.add_argument("package", help="the .deb")
    parser.add_argument("--cache", default="/var/cache/kdnetd-test", help="where the Debian is kept (default %(default)s)")
    options = parser.parse_args()
    if os.geteuid() != 0:
        sys.exit("real.py: a container needs root; run it as root")
    root = make_root(pathlib.Path(options.cache))
    shutil.rmtree(root / "var/log/kdnetd", ignore_errors=True)
    install(root, options.package)
    box, failed = Container(root), 0
    try:
        box.begin()
        for check in CHECKS:
            begun = time.monotonic()
            try:
                check(box)
                said = "ok"
            except AssertionError as error:
                failed += 1
                said = f"FAILED: {error}\n{box.journal('-n', '30')}"
            print(f"{check.__name__.replace('_', ' ')} ... {said} ({time.monotonic() - begun:.1f} s)", flush=True)
    finally:
        box.end()
    print(f"{len(CHECKS) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
