#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""clang-tidy has no complaint of a product source that this build compiles.

    tidy.py BUILD_FOLDER

Of clang-tidy 14 alone, Debian 12's: each version has other checks. `./dev lint` looks at the tests, too.
"""
import concurrent.futures
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

TREE = pathlib.Path(__file__).resolve().parents[2]
ROOMS = ("config", "kdnet", "service")
VERSION = 14
SKIPPED = 77
TOGETHER = 12  # files a process: to start one takes longer than to look at a small file


def skip(why):
    print(f"nothing tested: {why}")
    sys.exit(SKIPPED)


def sources(build):
    """The product's sources in the build's compile commands, relative to the tree."""
    commands = json.loads((build / "compile_commands.json").read_text())
    paths = {pathlib.Path(command["file"]).resolve() for command in commands}
    inside = sorted(path.relative_to(TREE).as_posix() for path in paths if path.is_relative_to(TREE))
    return [path for path in inside if path.split("/")[0] in ROOMS]


def complaints(build, files):
    """What clang-tidy writes of these files, without its count of what it did not tell."""
    done = subprocess.run(["clang-tidy", "--quiet", "-p", str(build), *files], cwd=TREE, capture_output=True,
                          text=True, check=False)
    if done.returncode == 0:
        return ""
    return done.stdout or done.stderr or f"clang-tidy ends with {done.returncode}\n"


def main(build):
    if not shutil.which("clang-tidy"):
        skip("clang-tidy is missing; apt-get install clang-tidy")
    version = subprocess.run(["clang-tidy", "--version"], capture_output=True, text=True, check=False).stdout
    found = re.search(r"version (\d+)", version)
    if not found or int(found[1]) != VERSION:
        skip(f"clang-tidy {VERSION} is needed (Debian 12's); here is {found[1] if found else 'another'}")
    if not (build / "compile_commands.json").exists():
        skip(f"{build} has no compile_commands.json")
    files = sources(build)
    assert len(files) > 100, "the compile commands lack the product's sources"
    parts = [files[i:i + TOGETHER] for i in range(0, len(files), TOGETHER)]
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        told = [text for text in pool.map(lambda part: complaints(build, part), parts) if text]
    sys.stdout.write("".join(told))
    print(f"{len(files)} sources, {'complaints above' if told else 'no complaint'}")
    return 1 if told else 0


if __name__ == "__main__":
    sys.exit(main(pathlib.Path(sys.argv[1]).resolve()))
