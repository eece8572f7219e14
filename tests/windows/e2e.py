# SPDX-License-Identifier: Apache-2.0
"""Tests of tests/e2e with kdnetd.exe under Wine, and machines of this computer.

Their harness starts it where KDNETD_WINE says. Run are those that were seen to hold there however busy the computer is.

Left out by nature: acting, command_line, deaf, listeners, operator, reload, stall and workers send signals, preload
libraries or filter system calls; inherited hands sockets over; causes and sinks use the Unix socket of HTTP, which
kdnetd.exe does not have. Left out because they count repeats or measure times, which a busy Wine changes: policy,
think, and the others of network. The rest was not tried.
"""
import pathlib
import subprocess
import sys

from wine import TREE, expect, native

TESTS = {"leftovers": ["Leftovers"],
         "network": ["Network.test_a_machine_comes_back_from_another_port", "Network.test_each_datagram_arrives_twice"]}


def run_module(wine, name, tests):
    env = wine.env | {"KDNETD_WINE": str(wine.build), "KDNETD_BUILD": str(pathlib.Path(native("kdnet-target")).parent)}
    done = subprocess.run([sys.executable, "-B", f"test_{name}.py", *tests], cwd=TREE / "tests/e2e", env=env, timeout=400,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    expect(done.returncode == 0, f"e2e/{name}", done.stdout.decode("utf-8", "replace")[-6000:])


def check_e2e(wine):
    for name, tests in TESTS.items():
        run_module(wine, name, tests)
    return ", ".join(TESTS)
