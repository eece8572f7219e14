# SPDX-License-Identifier: Apache-2.0
"""Windows of Wine's in the build folder, and what each check of it uses."""
import fcntl
import os
import pathlib
import socket
import subprocess
import sys
import time

TREE = pathlib.Path(__file__).resolve().parents[2]
SKIPPED = 77
PATIENCE = 90.0


def say(text):
    print(text, flush=True)


class Wine:
    """One of two that share nothing but the programs under test: the checks of one run beside those of the other.
    umask: of files that programs make there, -1: this program's. more(wine): what else the environment has."""

    def __init__(self, build, number=1, umask=-1, more=None):
        self.build = pathlib.Path(build)
        self.programs = self.build  # or where a package was unpacked
        self.prefix = self.build / ("wine" if number == 1 else f"wine{number}")
        self.umask = umask
        self.env = {k: v for k, v in os.environ.items() if k not in ("DISPLAY", "WAYLAND_DISPLAY")}
        self.env |= {"WINEPREFIX": str(self.prefix), "WINEDEBUG": "-all,err+all", "WINEDLLOVERRIDES": "mscoree,mshtml=",
                     "KDNETD_SOURCE": str(TREE), "KDNETD_BUILD": str(self.build),
                     "KDNETD_DATA": os.environ.get("KDNETD_DATA", str(TREE.parent / "shared/data"))}
        if more:
            self.env |= more(self)

    def __enter__(self):
        quiet = {"env": self.env, "stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL,
                 "check": False, "umask": self.umask}
        self.lock = open(f"{self.prefix}.lock", "w", encoding="ascii")
        fcntl.flock(self.lock, fcntl.LOCK_EX)  # one run at a time
        subprocess.run(["wineserver", "-k"], timeout=60, **quiet)  # of a run that was killed
        if not (self.prefix / "system.reg").exists():
            subprocess.run(["wine", "wineboot", "-i"], timeout=300, **quiet)
            subprocess.run(["wineserver", "-w"], timeout=120, **quiet)  # has ended: a server that runs does not come to stay
        # Services die a second after the last ordinary program, unless the server stays.
        done = subprocess.run(["wineserver", "-p"], timeout=60, **quiet)
        expect(done.returncode == 0, "Wine's server starts", done)
        # The first program starts those of Windows itself, which would hold a pipe of its output open, and which are
        # still starting when it has ended: no program under test is among them.
        subprocess.run(["wine", "cmd", "/c", "exit"], timeout=120, **quiet)
        wait(lambda: self.run("net", "start").returncode == 0, "Wine's services answer")
        return self

    def __exit__(self, *_):
        subprocess.run(["wineserver", "-k"], env=self.env, check=False, timeout=60)
        self.lock.close()

    def run(self, *arguments, timeout=300, cwd=None):
        return subprocess.run(["wine", *map(str, arguments)], env=self.env, capture_output=True, timeout=timeout, cwd=cwd,
                              stdin=subprocess.DEVNULL)

    @property
    def data(self):
        return self.prefix / "drive_c/ProgramData/kdnetd"


def expect(true, what, detail=""):
    """detail: a text, or a program that has ended."""
    if not true:
        raise AssertionError(f"{what}\n{told(detail) if isinstance(detail, subprocess.CompletedProcess) else detail}")


def wait(condition, what, detail=lambda: ""):
    end = time.monotonic() + PATIENCE
    while not condition():
        expect(time.monotonic() < end, f"waited in vain: {what}", detail())
        time.sleep(0.2)


def free_port(kind=socket.SOCK_DGRAM):
    with socket.socket(socket.AF_INET, kind) as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


def text(done):
    return ((done.stdout or b"") + (done.stderr or b"")).decode("utf-8", "replace")


def told(done):
    """With its exit status, which is all that is left of a program that was killed."""
    return f"{text(done)}(exit status {done.returncode})\n"


def native(name):
    """The simulator of this computer: another build of the same machine than the one under test."""
    for build in ("release", "demo", "asan"):
        program = TREE / "build" / build / name
        if program.exists():
            return str(program)
    say(f"nothing tested: {name} of this computer is not built (./dev build)")
    sys.exit(SKIPPED)


def write_closed(path, content):
    """Wine makes an access list of a file's mode: what others may read is refused."""
    path.touch(mode=0o600)
    path.chmod(0o600)
    path.write_text(content)
