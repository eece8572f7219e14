# SPDX-License-Identifier: Apache-2.0
"""Many machines, few faults: each has its group, on any processor, whatever is known of its symbols."""
import json
import subprocess
import time

import harness
import test_acting

COMMON = 60
STAMP = "5F3A1B2C"
# Options of kdnet-target, the group, and the frame that its stack has: the same for each machine of the row.
OTHERS = [
    (("--bugcheck", "0xD1", "--cause", "0x1678"), f"D1 faulty.sys+0x1678@{STAMP}", "faulty.sys+0x1678"),
    (("--bugcheck", "0x3B", "--cause", "0x1dd0", "--images", 200), f"3B faulty.sys+0x1dd0@{STAMP}", "faulty.sys+0x1dd0"),
    (("--bugcheck", "0x8E", "--cause", "0x1234", "--machine", "x86", "--protocol", 2), "8E faulty.sys+0x1234@", "faulty.sys+0x1234"),
    (("--bugcheck", "0x7E", "--cause", "0x1a30", "--machine", "arm64"), f"7E faulty.sys+0x1a30@{STAMP}", "faulty.sys+0x1a30"),
    (("--bugcheck", "0xC5", "--cause", "0x19a0", "--no-reboot"), f"C5 faulty.sys+0x19a0@{STAMP}", "faulty.sys+0x19a0"),
]


class Causes(harness.Case):
    def ask(self, path):
        connection = test_acting.Local(self.socket)
        connection.request("GET", path)
        answer = json.loads(connection.getresponse().read())
        connection.close()
        return answer

    def crash_all(self, daemon):
        """A common fault on many machines, each other one on one."""
        started = [harness.Machines(self, daemon.listen[0], harness.key_text(3, 3, 3, 1), "--count", COMMON, "--cause", "0x1234",
                                    "--dump-ms", 100, scenario="bugcheck")]
        for i, (options, _, _) in enumerate(OTHERS):
            started.append(harness.Machines(self, daemon.listen[0], harness.key_text(4, 4, 4, 1 + i), "--dump-ms", 100, *options,
                                            scenario="bugcheck"))
        for machines in started:
            machines.wait()

    def groups(self):
        """The groups, when all machines are in them."""
        end, found = time.monotonic() + harness.PATIENCE, []
        while sum(group["machines"] for group in found) < COMMON + len(OTHERS):
            self.assertLess(time.monotonic(), end, found)
            try:
                found = self.ask("/api/v1/buckets").get("buckets", [])
            except OSError:
                found = []  # the socket is not there yet
            time.sleep(0.05)
        return found

    def test_each_fault_has_its_group_and_its_machines(self):
        self.socket = self.folder / "api.sock"
        targets = [o for i in range(COMMON) for o in ("--target", f"c{i}={harness.key_text(3, 3, 3, 1 + i)}")]
        targets += [o for i in range(len(OTHERS)) for o in ("--target", f"o{i}={harness.key_text(4, 4, 4, 1 + i)}")]
        daemon = harness.Daemon(self, *targets, "--http", "none", "--http-socket", self.socket, "--store", self.folder / "kdnetd.db")
        self.crash_all(daemon)
        found = self.groups()
        self.assertEqual(found[0]["bucket"], f"D1 faulty.sys+0x1234@{STAMP}")
        self.assertEqual((found[0]["machines"], len(found)), (COMMON, len(OTHERS) + 1))
        for i, (_, bucket, frame) in enumerate(OTHERS):
            first = daemon.wait_event("crash_status", f"o{i}", phase="bugcheck_first")
            self.assertTrue(first["bucket"].startswith(bucket), first)
            self.assertIn(frame, first["stack"])
            self.assertIn({"bucket": first["bucket"], "machines": 1}, [{k: one[k] for k in ("bucket", "machines")} for one in found])
        said = subprocess.run([str(harness.BUILD / "kdnetctl"), "buckets", "--socket", self.socket], capture_output=True, text=True,
                              timeout=harness.PATIENCE, check=True).stdout
        self.assertEqual(sum("faulty.sys+0x" in line for line in said.splitlines()), len(OTHERS) + 1, said)
        self.check_events(daemon.stop())


if __name__ == "__main__":
    harness.main()
