# SPDX-License-Identifier: Apache-2.0
"""The end of a kdnetd.exe that runs under Wine.

Wine's server keeps the socket of a process that is killed amid a call of it, for as long as the server runs: seen on a
busy computer at one in ten kills of a kdnetd that was reading a machine, with no process left that had the port. So the
machines pause until kdnetd waits for them, and then it is killed, which is an end without notice all the same.
"""
import pathlib
import signal
import time

from surroundings import PATIENCE, is_free, signal_at

QUIET_S = 0.05  # without a thread that ran
BUSY_S = 5.0  # so long at most until it is quiet
PORTS_S = 20.0  # until the server has noticed the end


def _switches(pid):
    """How often its threads ran; changes while one of them does. None: it has ended, or one runs now."""
    total = 0
    try:
        for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
            for line in (task / "status").read_text().splitlines():
                name, _, value = line.partition(":")
                if name == "State" and value.split()[0] not in "SI":
                    return None
                if name.endswith("ctxt_switches"):
                    total += int(value)
    except OSError:
        return None
    return total


def _wait_quiet(daemon):
    end = time.monotonic() + BUSY_S
    before = None
    while daemon.process.poll() is None and time.monotonic() < end:
        now = _switches(daemon.pid)
        if now is not None and now == before:
            return
        before = now
        time.sleep(QUIET_S)


def kill(daemon, machines):
    for one in machines:
        signal_at(one.process, signal.SIGSTOP)
    try:
        _wait_quiet(daemon)
        daemon.signal(signal.SIGKILL)
        daemon.process.wait(PATIENCE)
    finally:
        for one in machines:
            signal_at(one.process, signal.SIGCONT)


def wait_ports(daemon):
    """A test may start another one there."""
    end = time.monotonic() + PORTS_S
    while not all(is_free(one) for one in daemon.listen):
        if time.monotonic() > end:
            raise AssertionError(f"Wine's server still has {' or '.join(daemon.listen)} {PORTS_S:.0f} s after the end of "
                                 "kdnetd.exe: no fault of kdnetd's; `ss -ulpn` names who has it")
        time.sleep(0.05)
