# SPDX-License-Identifier: Apache-2.0
"""A newcomer: docs/getting-started.md followed by the letter, with the key that keygen printed, in a container that has
nothing but the package. Commands and blocks are read from the manual: what it says is what is done."""
import json
import os
import pathlib
import re
import stat
import sys
import time

TREE = pathlib.Path(__file__).resolve().parents[2]
sys.path.append(str(TREE / "tests/http"))
import browser  # noqa: E402, pylint: disable=wrong-import-position

LOCAL = "etc/kdnetd/conf.d/local.yaml"
KEY = re.compile(r"\b[0-9a-z]{1,13}(?:\.[0-9a-z]{1,13}){3}\b")
TOKEN = re.compile(r"\b[0-9A-Za-z_-]{32,}\b")
PAGE_S = 1  # a crash is on the page within it, on a computer that is not busy
HOLD = "policy: {bugcheck_first: hold}\n"
TOKENS = "/etc/kdnetd/tokens"


class Manual:
    def __init__(self):
        text = (TREE / "docs/getting-started.md").read_text(encoding="utf-8")
        self.commands = re.findall(r"^    (\S.*)$", text, re.M)
        self.blocks = re.findall(r"^```yaml\n(.*?)^```", text, re.M | re.S)

    def command(self, start):
        """The one that starts so."""
        return next(one for one in self.commands if one.startswith(start)).split()


class Newcomer:
    def __init__(self, box, wait_for):
        self.box, self.wait_for, self.manual = box, wait_for, Manual()
        self.key = self.token = None

    def run(self, start, **options):
        return self.box.run(*self.manual.command(start), **options)

    def adds_a_machine(self):
        printed = self.run("kdnetctl keygen web-17")
        block = re.search(r"^targets:\n(?:  .*\n)+", printed, re.M).group()
        self.key = KEY.search(block).group()
        shown, rva = self.manual.blocks
        assert re.sub(KEY, "KEY", shown) == re.sub(KEY, "KEY", block), "the manual's block is not what keygen prints"
        (self.box.root / LOCAL).write_text((self.box.root / LOCAL).read_text() + block + rva +
                                           "sinks:\n  - {name: sd, type: journal}\n")
        self.run("kdnetd --check")
        self.run("systemctl enable --now kdnetd")
        self.wait_for(lambda: "web-17" in self.run("kdnetctl targets"), "the machine in kdnetctl targets")
        said = self.run("kdnetctl doctor web-17", check=False)
        assert "never_heard" in self.box.run("kdnetctl", "doctor", "web-17", "--json", check=False), said

    def machine(self):
        words = [self.key if KEY.fullmatch(word) else word for word in self.manual.command("kdnet-target")]
        return self.box.start(*words)

    def newest(self):
        lines = self.box.run("kdnetctl", "crashes", "--json", check=False).splitlines()
        return json.loads(lines[0]) if lines and lines[0].startswith("{") else {}

    def sees_the_crash_everywhere(self):
        machine = self.machine()
        self.wait_for(lambda: self.newest().get("verdict") == "written", "a crash with its verdict")
        crash = self.newest()["crash"]
        assert machine.wait(60) == 0, machine.stdout.read()
        assert "web-17" in self.run("kdnetctl crashes --since 1h")
        self.run("kdnetctl show web-17")
        self.wait_for(lambda: crash in self.box.run("journalctl", "KDNETD_TARGET=web-17", "-o", "json"), "the journal")
        metrics = self.fetch("/metrics")
        assert 'kdnetd_crash_status_total{phase="shutdown",verdict="written"} 1' in metrics, metrics
        self.box.systemctl("kill", "-s", "KILL", "kdnetd")
        self.wait_for(lambda: self.newest().get("crash") == crash, "the crash in the store after kill -9")

    def fetch(self, path):
        """What a program gets over HTTP: Debian's base has no curl, but bash."""
        script = f'exec 3<>/dev/tcp/127.0.0.1/9471; printf "GET {path} HTTP/1.1\\r\\nHost: localhost\\r\\nConnection: close\\r\\n\\r\\n" >&3; cat <&3'
        return self.box.run("bash", "-c", script)

    def holds(self):
        with open(self.box.root / LOCAL, "a", encoding="utf-8") as file:
            file.write(HOLD + f"http_tokens: {TOKENS}\n")
        self.token = TOKEN.search(self.box.run("kdnetctl", "token", "add", "duty", "--role", "act", "--file", TOKENS)).group()
        self.box.run("chgrp", "kdnetd", TOKENS)
        self.box.run("chmod", "640", TOKENS)
        self.box.systemctl("reload", "kdnetd")

    def is_held(self):
        return "web-17" in self.box.run("kdnetctl", "targets", "--state", "held", "--json")

    def releases_by_command(self):
        machine = self.machine()
        self.wait_for(self.is_held, "a machine that is held")
        self.box.run("kdnetctl", "show", "web-17")
        self.box.run("kdnetctl", "release", "web-17")
        assert machine.wait(60) == 0, machine.stdout.read()
        self.wait_for(lambda: self.newest().get("verdict") == "written", "the dump of a machine that was released")

    def releases_by_page(self):
        with Page(self.box) as page:
            page.go("http://127.0.0.1:9471/")
            page.wait("document.getElementById('live').textContent === 'live'", "the page is live")
            page.wait("document.querySelectorAll('.crashes tbody tr').length > 0", "the earlier crashes on the page")
            rows = page.run("document.querySelectorAll('.crashes tbody tr').length")
            machine = self.machine()
            self.wait_for(self.is_held, "a machine that is held")
            begun = time.monotonic()
            page.wait(f"document.querySelectorAll('.crashes tbody tr').length > {rows}", "the crash on the page")
            after = time.monotonic() - begun
            page.wait("document.querySelector('.hands')?.innerText.includes('web-17 is held')", "the held machine on the page")
            page.run("[...document.querySelectorAll('.hands button')].find((one) => one.textContent === 'Release').focus()")
            page.key("Enter")  # by keyboard alone, from here on
            page.wait("document.querySelector('dialog[open] h2')", "the question")
            page.run("document.querySelector('dialog button.main').focus()")
            page.key("Enter")
            page.wait("document.querySelector('dialog[open] h2')?.textContent.startsWith('A token')", "the question for the token")
            page.type(self.token)
            page.key("Enter")
            assert machine.wait(60) == 0, machine.stdout.read()
        assert os.environ.get("KDNETD_STRICT") != "1" or after < PAGE_S, f"on the page after {after:.2f} s"
        return f"on the page {after:.2f} s after kdnetctl had it"


class Page(browser.Browser):
    """A browser of this computer, in the container's network."""

    def __init__(self, box):
        self.script = box.root.parent / "browser"
        self.script.write_text(f'#!/bin/sh\nexec nsenter -t {box.child()} -n {browser.PROGRAM} "$@"\n')
        self.script.chmod(self.script.stat().st_mode | stat.S_IXUSR)
        program, browser.PROGRAM = browser.PROGRAM, str(self.script)
        try:
            super().__init__()
        finally:
            browser.PROGRAM = program

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
        self.script.unlink()


def follow(box, wait_for):
    """Each step; returns what was measured. The configuration is as it was, afterwards."""
    before = (box.root / LOCAL).read_text()
    newcomer = Newcomer(box, wait_for)
    newcomer.adds_a_machine()
    newcomer.sees_the_crash_everywhere()
    newcomer.holds()
    newcomer.releases_by_command()
    said = newcomer.releases_by_page() if browser.PROGRAM else "page left out: chromium is not here"
    box.systemctl("stop", "kdnetd")
    (box.root / LOCAL).write_text(before)
    return said
