#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Address hints in a bucket, when a collector's targets change by a reload: what was added is found there, and asked; what was
removed is forgotten; another name takes along what is known."""
import pathlib
import signal
import sys

import nats

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))
import harness

COUNT = 4


class Reloaded(harness.Case):
    def start(self, side, listen, targets):
        (pathlib.Path(self.folder) / f"state-{side}").mkdir()
        self.file(f"targets-{side}", targets)
        self.file(f"{side}.yaml", f'collector: {side}\nlisten: ["{listen}"]\ntargets_file: [targets-{side}]\nstate: state-{side}\n'
                  f'store: none\nnats: {{servers: ["{self.server.url}"], hints: hints}}\n')
        return harness.Daemon(self, "--config", f"{side}.yaml", listen=[])

    def line(self, i, name=None, key=None):
        return f"{name or f'm{i}'} {harness.key_text(1, 1, 1, key or 1 + i)}\n"

    def kept(self, side):
        """Where each machine is, as that collector remembers it on disk."""
        path = pathlib.Path(self.folder) / f"state-{side}" / "hints"
        lines = path.read_text().splitlines()[1:] if path.exists() else []
        return {one.split()[0]: one.split()[1] for one in lines}

    def reload(self, daemon, side, targets, names):
        self.file(f"targets-{side}", targets)
        daemon.signal(signal.SIGHUP)
        nats.wait_until(lambda: set(self.kept(side)) == set(names), lambda: f"{self.kept(side)}, not {names}\n{daemon.log_text()}")

    def test_targets_come_go_and_get_other_names_and_keys(self):
        self.server = nats.Server(self, self.folder).start()
        port = harness.free_port(self.ip)
        ours, theirs = harness.place(self.ip, port), harness.place("127.0.0.1", harness.free_port("127.0.0.1"))
        lines = [self.line(i) for i in range(COUNT)]
        first, second = self.start("a", ours, "".join(lines)), self.start("b", theirs, lines[0])
        machines = harness.Machines(self, ours, harness.key_text(1, 1, 1, 1), "--count", COUNT, scenario="idle", end=False)
        nats.wait_until(lambda: len(self.kept("a")) == COUNT and len(self.kept("b")) == 1, "the machines are not known")
        where = self.kept("a")
        self.reload(second, "b", "".join(lines), {f"m{i}" for i in range(COUNT)})  # added
        self.assertEqual(self.kept("b"), where)
        self.reload(second, "b", "".join(lines[1:]), {"m1", "m2", "m3"})  # removed
        self.reload(second, "b", self.line(1, "db1") + self.line(2, key=77) + lines[3], {"db1", "m2", "m3"})
        self.assertEqual(self.kept("b"), {"db1": where["m1"], "m2": where["m2"], "m3": where["m3"]})
        first.kill()
        machines.stop()
        self.check_events(second.stop())


if __name__ == "__main__":
    nats.skip_without_server()
    harness.main()
