#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The package's scripts, with a system of their own and commands that only note that they were called; and its logrotate
file, by logrotate. Usage: check_package.py BUILD_FOLDER SOURCE_FOLDER. real.py has the package under a real systemd."""
import os
import pathlib
import shutil
import stat
import subprocess
import sys
import tempfile
import unittest

SOURCE = pathlib.Path(sys.argv.pop())
BUILD = pathlib.Path(sys.argv.pop()).resolve()
GOOD = "targets: [{name: a, key: 1m770ts6ru0p.3671pemyie4i.2b8djy3wt5et.1p99ir125v4q}]\nlisten: '127.0.0.1:50000'\n"
WRONG = "targets: [{name: a, key: bad}]\n"


class Scripts(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="kdnetd-package-")
        self.addCleanup(folder.cleanup)
        self.root = pathlib.Path(folder.name, "root")
        self.calls = pathlib.Path(folder.name, "calls")
        self.commands = pathlib.Path(folder.name, "commands")
        self.commands.mkdir()
        for name in ("systemctl", "deb-systemd-invoke", "systemd-sysusers", "systemd-tmpfiles", "chgrp", "userdel", "groupdel"):
            self.command(name, "exit 0")
        self.command("kdnetd", f'exec {BUILD / "kdnetd"} "$@"')
        (self.root / "etc/kdnetd").mkdir(parents=True)
        (self.root / "run/systemd/system").mkdir(parents=True)
        self.configuration = self.root / "etc/kdnetd/kdnetd.yaml"

    def command(self, name, text):
        path = self.commands / name
        path.write_text(f'#!/bin/sh\necho "{name} $*" >>{self.calls}\n{text}\n')
        path.chmod(0o755)

    def configure(self, text, mode=0o644):
        self.configuration.write_text(text)
        self.configuration.chmod(mode)

    def run_script(self, name, *arguments):
        environment = {"PATH": f"{self.commands}:/usr/sbin:/usr/bin:/sbin:/bin", "DPKG_ROOT": str(self.root)}
        done = subprocess.run(["/bin/sh", SOURCE / "config/package" / name, *arguments], env=environment, timeout=60,
                              capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stderr

    def called(self, text):
        return self.calls.exists() and text in self.calls.read_text()

    def mode(self):
        return stat.S_IMODE(self.configuration.stat().st_mode)

    def test_first_installation_protects_the_keys(self):
        self.configure(GOOD)
        self.run_script("postinst", "configure", "")
        self.assertEqual(self.mode(), 0o640)
        self.assertTrue(self.called("chgrp kdnetd"))

    def test_upgrade_leaves_the_administrators_mode(self):
        self.configure(GOOD, 0o600)
        self.run_script("postinst", "configure", "0.1.0")
        self.assertEqual(self.mode(), 0o600)
        self.assertFalse(self.called("chgrp"))

    def test_upgrade_without_the_configuration(self):
        self.run_script("postinst", "configure", "0.1.0")
        self.run_script("postinst", "configure", "")
        self.assertTrue(self.called("try-restart kdnetd.service"))

    def test_upgrade_restarts_what_runs(self):
        self.configure(GOOD, 0o640)
        self.assertEqual(self.run_script("postinst", "configure", "0.1.0"), "")
        self.assertTrue(self.called("try-restart kdnetd"))

    def runs(self, caught, after):
        """A kdnetd runs, which catches these signals; USR2 gives another main process."""
        self.configure(GOOD, 0o640)
        (self.root / "proc/41").mkdir(parents=True, exist_ok=True)
        (self.root / "proc/41/status").write_text(f"Name:\tkdnetd\nSigCgt:\t{caught}\n")
        self.command("systemctl", f'case "$*" in *MainPID*) grep -q USR2 {self.calls} && echo {after} || echo 41 ;; esac')
        return self.run_script("postinst", "configure", "0.1.0")

    def test_upgrade_hands_over_to_the_new_program(self):
        self.assertEqual(self.runs("0000000180014a03", 42), "")
        self.assertTrue(self.called("--signal=USR2 kdnetd"))
        self.assertFalse(self.called("try-restart"))

    def test_upgrade_restarts_a_program_that_cannot_hand_over(self):
        self.assertEqual(self.runs("0000000180014203", 42), "")
        self.assertFalse(self.called("USR2"))
        self.assertTrue(self.called("try-restart kdnetd"))

    def test_upgrade_restarts_what_has_ended_instead_of_handing_over(self):
        self.assertEqual(self.runs("0000000180014a03", 0), "")
        self.assertTrue(self.called("try-restart kdnetd"))

    def policy(self, exit_status, action="*"):
        path = self.root / "usr/sbin/policy-rc.d"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f'#!/bin/sh\necho "policy-rc.d $*" >>{self.calls}\ncase "$2" in {action}) exit {exit_status} ;; esac\n')
        path.chmod(0o755)

    def test_a_policy_that_forbids_restarts_is_kept(self):
        for action in ("*", "restart", "try-restart"):
            self.policy(101, action)
            said = self.runs("0000000180014a03", 42)
            self.assertTrue(self.called("policy-rc.d kdnetd.service restart"))
            self.assertFalse(self.called("USR2"), action)
            self.assertFalse(self.called("deb-systemd-invoke"), action)
            self.assertIn("policy-rc.d forbids it", said)

    def test_other_words_of_a_policy_forbid_nothing(self):
        for exit_status in (0, 104, 106, 1):
            self.policy(exit_status)
            self.calls.unlink(missing_ok=True)
            self.assertEqual(self.runs("0000000180014a03", 42), "")
            self.assertTrue(self.called("--signal=USR2 kdnetd"), exit_status)

    def test_upgrade_starts_nothing_that_does_not_run(self):
        self.configure(GOOD, 0o640)
        self.command("systemctl", '[ "$1" != is-active ]')
        self.run_script("postinst", "configure", "0.1.0")
        self.assertFalse(self.called("try-restart"))

    def test_upgrade_with_a_wrong_configuration_restarts_nothing(self):
        self.configure(WRONG, 0o640)
        said = self.run_script("postinst", "configure", "0.1.0")
        self.assertFalse(self.called("try-restart"))
        self.assertIn("targets[0].key", said)
        self.assertIn("not restarted", said)

    def test_restart_that_fails_fails_no_upgrade(self):
        self.configure(GOOD, 0o640)
        self.command("deb-systemd-invoke", "exit 1")
        self.assertIn("could not be restarted", self.run_script("postinst", "configure", "0.1.0"))

    def test_without_systemd_nothing_is_started(self):
        shutil.rmtree(self.root / "run")
        self.configure(GOOD)
        self.run_script("postinst", "configure", "")
        self.run_script("prerm", "remove")
        self.assertFalse(self.called("systemctl"))

    def test_removal_stops_the_service_and_an_upgrade_does_not(self):
        self.run_script("prerm", "upgrade", "0.2.0")
        self.assertFalse(self.called("deb-systemd-invoke"))
        self.run_script("prerm", "remove")
        self.assertTrue(self.called("deb-systemd-invoke stop kdnetd.socket kdnetd.service"))

    def test_first_installation_makes_a_file_that_stays_the_administrators(self):
        (self.root / "usr/share/kdnetd").mkdir(parents=True)
        shutil.copy(SOURCE / "config/package/local.yaml", self.root / "usr/share/kdnetd/local.yaml")
        shutil.copy(SOURCE / "config/kdnetd.yaml", self.configuration)
        self.run_script("postinst", "configure", "")
        local = self.root / "etc/kdnetd/conf.d/local.yaml"
        self.assertEqual(stat.S_IMODE(local.stat().st_mode), 0o640)
        local.write_text(GOOD + 'events: "/var/log/kdnetd/events.jsonl"\n')
        for arguments in (("configure", "0.1.0"), ("configure", "")):
            self.run_script("postinst", *arguments)
            self.assertTrue(local.read_text().startswith(GOOD))
        done = subprocess.run([BUILD / "kdnetd", "--check=reload", self.configuration], capture_output=True, text=True,
                              timeout=60, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("1 target", done.stderr)

    def test_the_buffer_is_raised_and_never_lowered(self):
        limit = self.root / "proc/sys/net/core/rmem_max"
        limit.parent.mkdir(parents=True)
        for before, after in (("212992", "16777216"), ("33554432", "33554432")):
            limit.write_text(before + "\n")
            self.run_script("postinst", "configure", "0.1.0")
            self.assertEqual(limit.read_text().strip(), after)
        self.assertIn(f"net.core.rmem_max = {16 << 20}", (SOURCE / "config/kdnetd.sysctl").read_text())

    def test_purge_leaves_nothing(self):
        for name in ("etc/kdnetd/conf.d/keys.yaml", "var/lib/kdnetd/kdnetd.db", "var/log/kdnetd/events.jsonl",
                     "run/kdnetd/x", "etc/systemd/system/multi-user.target.wants/kdnetd.service"):
            (self.root / name).parent.mkdir(parents=True, exist_ok=True)
            (self.root / name).write_text("")
        self.run_script("postrm", "remove")
        self.assertTrue((self.root / "var/log/kdnetd/events.jsonl").exists())
        self.run_script("postrm", "purge")
        left = [str(path) for path in self.root.rglob("*") if "kdnetd" in path.name]
        self.assertEqual(left, [])


class Rotation(unittest.TestCase):
    def test_results_are_rotated_and_kdnetd_is_told(self):
        program = shutil.which("logrotate", path="/usr/sbin:/usr/bin")
        if not program:
            self.skipTest("logrotate is not here")
        with tempfile.TemporaryDirectory(prefix="kdnetd-rotate-") as name:
            folder = pathlib.Path(name)
            text = (SOURCE / "config/kdnetd.logrotate").read_text()
            self.assertIn("systemctl kill --signal=HUP kdnetd.service", text)
            told = folder / "told"
            for old, new in (("/var/log/kdnetd/", f"{folder}/"), ("    su kdnetd kdnetd\n", ""),
                             (" kdnetd kdnetd\n", "\n"), ("[ -d /run/systemd/system ]", "true"),
                             ("systemctl kill --signal=HUP kdnetd.service", f"touch {told}")):
                self.assertIn(old, text)
                text = text.replace(old, new)
            (folder / "rotate").write_text(text)
            (folder / "rotate").chmod(0o644)
            (folder / "events.jsonl").write_text("{}\n")
            done = subprocess.run([program, "-f", "-s", folder / "state", folder / "rotate"], capture_output=True,
                                  text=True, timeout=60, check=False, env=dict(os.environ, LANG="C"))
            self.assertEqual((done.returncode, done.stderr), (0, ""))
            self.assertEqual((folder / "events.jsonl.1").read_text(), "{}\n")
            self.assertEqual((folder / "events.jsonl").read_text(), "")
            self.assertTrue(told.exists())


if __name__ == "__main__":
    unittest.main()
