#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Builds without optional parts compile and link: configured for real, and then only what differs is compiled.

options.py BUILD: the build folder with all parts, its objects built. For each set of options that are OFF: the sources
that are in its place, or that ask for it, are compiled; each symbol that the other objects want of the sources that are
left out must be in those that stand in for them.
"""
import concurrent.futures
import json
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
import tempfile

TREE = pathlib.Path(__file__).resolve().parents[2]
SKIPPED = 77
OTHERS = ["NATS", "CURL", "CAB", "XZ", "ZLIB", "SYSTEMD", "MMSG"]
SETS = [["HTTP", "STORE", *OTHERS], ["HTTP"], ["STORE"]]  # the first looks for the least
OURS = re.compile(r"^(service|config|kdnet)/")


def commands(build):
    """{source below the tree: (folder, command)} of our programs, not of tests."""
    found = {}
    for one in json.loads((build / "compile_commands.json").read_text()):
        path = os.path.relpath(one["file"], TREE)
        if OURS.match(path):
            found.setdefault(path, (one["directory"], one["command"]))
    return found


def symbols(objects, *options):
    said = subprocess.run(["nm", *options, *map(str, objects)], capture_output=True, text=True, check=True).stdout
    return {line.split()[-1] for line in said.splitlines() if line and not line.endswith(":")}


def object_of(build, command):
    return pathlib.Path(command[0]) / re.search(r" -o (\S+)", command[1]).group(1)


def compile_one(job):
    path, (folder, command), to = job
    words = shlex.split(re.sub(r" -o \S+", f" -o {to}", re.sub(r" -M\S* \S+| -MD", "", command)))
    words = ["-O0" if word in ("-O2", "-O3") else word for word in words if not word.startswith(("-D_FORTIFY", "-flto"))]
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, env={**os.environ, "CCACHE_DISABLE": "1"})
    return None if done.returncode == 0 else f"{path}: {done.stderr[-2000:]}"


def configure(folder, off):
    """As a new folder would be. What cmake asks the compiler is asked once, by the first set, and kept."""
    kept = folder.with_name("kept")
    if kept.exists():
        shutil.copytree(kept, folder)
    on = [f"-DKDNETD_{name}=ON" for name in ("HTTP", "STORE", *OTHERS) if f"-DKDNETD_{name}=OFF" not in off]
    done = subprocess.run(["cmake", "-S", TREE, "-B", folder, "-G", "Ninja", "-DCMAKE_BUILD_TYPE=Release", "-DBUILD_TESTING=OFF",
                           "-DCMAKE_EXPORT_COMPILE_COMMANDS=ON", "-DKDNETD_WERROR=ON", *on, *off], capture_output=True, text=True)
    if not kept.exists():
        shutil.copytree(folder, kept)
    return done


def check(build, whole, names, folder):
    off = [f"-DKDNETD_{name}=OFF" for name in names]
    done = configure(folder, off)
    if done.returncode != 0:
        return [f"{off}: cmake: {done.stderr[-2000:]}"]
    there = commands(folder)
    asks = re.compile("|".join(rf"\bKDNETD_{name}" for name in names))
    gone = [path for path in whole if path not in there]
    changed = [path for path in there if path not in whole or asks.search((TREE / path).read_text(errors="replace"))]
    jobs = [(path, there[path], str(folder / f"{at}.o")) for at, path in enumerate(changed)]
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        wrong = [f"{off}: {said}" for said in pool.map(compile_one, jobs) if said]
    stay = [object_of(build, whole[path]) for path in there if path in whole and path not in changed]
    left = [object_of(build, whole[path]) for path in gone]
    if wrong or not left:
        return wrong
    new = [job[2] for job in jobs]
    wanted = symbols(stay + new, "-u")
    missing = (wanted & symbols(left, "--defined-only", "-g")) - symbols(stay + new, "--defined-only", "-g")
    return [f"{off}: nothing stands in for: {', '.join(sorted(missing))}"] if missing else []


def main():
    build = pathlib.Path(sys.argv[1])
    whole = commands(build)
    built = [path for path in whole if object_of(build, whole[path]).exists()]
    if len(built) < len(whole) or not whole:
        print("nothing tested: not all is built")
        sys.exit(SKIPPED)
    wrong = []
    with tempfile.TemporaryDirectory(prefix="kdnetd-options-") as place:
        for names in SETS:
            folder = pathlib.Path(place) / "build"
            wrong += check(build, whole, names, folder)
            shutil.rmtree(folder)
    print("\n".join(wrong) or "each set of options compiles and links")
    sys.exit(1 if wrong else 0)


main()
