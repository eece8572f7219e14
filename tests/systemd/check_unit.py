#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The unit as systemd reads it: no unknown setting, and a sandbox that stays tight. Usage: check_unit.py BUILD_FOLDER

Exit status 77: nothing tested, systemd-analyze is not here.
"""
import pathlib
import shutil
import subprocess
import sys
import tempfile

EXPOSURE_TENTHS = 12  # of 100, as `systemd-analyze security` counts


def analyze(*arguments):
    done = subprocess.run(["systemd-analyze", *map(str, arguments)], capture_output=True, text=True, timeout=120, check=False)
    return done.returncode, done.stdout + done.stderr


def installed(build, folder):
    """The unit as it is installed, but with a program that is there: verify looks for it."""
    text = (build / "kdnetd.service").read_text()
    start = next(line for line in text.splitlines() if line.startswith("ExecStart="))
    program = start.removeprefix("ExecStart=").split()[0]
    unit = folder / "kdnetd.service"
    unit.write_text(text.replace(f"={program} ", f"={build / 'kdnetd'} "))
    return unit


def main():
    if not shutil.which("systemd-analyze"):
        print("nothing tested: systemd-analyze is not here (package systemd)")
        return 77
    with tempfile.TemporaryDirectory(prefix="kdnetd-unit-") as name:
        unit = installed(pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(name))
        code, said = analyze("verify", "--man=no", unit)
        # It exits with 0 on a setting that it does not know: any word about our unit counts.
        about = [line for line in said.splitlines() if unit.name in line]
        if code != 0 or about:
            print(f"systemd-analyze verify ({code}):\n{said}")
            return 1
        code, said = analyze("security", "--offline=true", f"--threshold={EXPOSURE_TENTHS}", unit)
        print(said[-400:])
        return 0 if code == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
