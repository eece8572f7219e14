# SPDX-License-Identifier: Apache-2.0
"""The firewall's rule: what netsh.exe is told. Wine's own does nothing, so another stands in its place."""
import shutil

from wine import expect, text


class Recorder:
    """The commands that netsh.exe of the folder of Windows was given."""

    def __init__(self, wine):
        self.wine, self.lines = wine, wine.build / "netsh.lines"
        self.netsh = wine.prefix / "drive_c/windows/system32/netsh.exe"
        self.kept = self.netsh.with_suffix(".kept")
        self.before = dict(wine.env)

    def __enter__(self):
        shutil.copy2(self.netsh, self.kept)
        self.netsh.unlink()
        shutil.copy(self.wine.build / "tests/record.exe", self.netsh)
        self.wine.env["WINEDLLOVERRIDES"] += ";netsh.exe=n"
        self.wine.env["KDNETD_RECORD"] = "Z:" + str(self.lines).replace("/", "\\")
        self.lines.unlink(missing_ok=True)
        return self

    def __exit__(self, *_):
        self.wine.env.clear()
        self.wine.env.update(self.before)
        self.kept.replace(self.netsh)

    def take(self):
        lines = self.lines.read_text().splitlines() if self.lines.exists() else []
        self.lines.unlink(missing_ok=True)
        return lines


def check_firewall(wine, program):
    """program: as Windows names it, in a path with blanks and umlauts."""
    def run(*words):
        done = wine.run(wine.programs / "kdnetd.exe", "service", *words)
        return done.returncode, text(done), told.take()

    with Recorder(wine) as told:
        code, said, lines = run("install", "--firewall")
        expect(code == 0 and len(lines) == 2 and "delete rule name=kdnetd" in lines[0], "an older rule goes", said + str(lines))
        for word in ("firewall add rule name=kdnetd", "dir=in", "action=allow", "protocol=UDP", f'program="{program}"'):
            expect(word in lines[1], f"the rule: {word}", lines[1])
        _, said, lines = run("selftest")
        expect("ok           Windows' firewall has the rule kdnetd" in said, "selftest finds the rule", said + str(lines))
        code, said, lines = run("uninstall")
        expect(code == 0 and len(lines) == 1 and "delete rule name=kdnetd" in lines[0], "uninstall takes the rule away",
               said + str(lines))
