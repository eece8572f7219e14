#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""libkdnet as others use it: installed, and nothing but what was installed. Usage: check_library.py BUILD SOURCE CC CMAKE"""
import os
import pathlib
import re
import select
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import unittest

CMAKE, CC, SOURCE, BUILD = sys.argv.pop(), sys.argv.pop(), pathlib.Path(sys.argv.pop()), pathlib.Path(sys.argv.pop())
HERE = SOURCE / "tests/libkdnet"
HOST = HERE / "host.c"
CXX = shutil.which("c++")
STRICT = ["-Wall", "-Wextra", "-Wpedantic", "-Wshadow", "-Wconversion", "-Werror"]
C, CPP = [CC, "-std=gnu11", "-x", "c"], [CXX, "-std=gnu++17", "-x", "c++"]
LANGUAGES = {"C": C} | ({"C++": CPP} if CXX else {})
KEY, RVA = "29p34y6n3wd25.2q4f5zr37e3p3.12z8iq9y7jzb6.2cn6z43dvyrkt", "3010"
WANTED = ["bugcheck_first: bug check D1, dump not_started", "shutdown: bug check D1, dump failed"]
PATIENCE_S = 60


def run(*command, **more):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False, timeout=300, **more)
    if done.returncode != 0:
        raise AssertionError(f"{shlex.join(map(str, command))}\n{done.stdout}{done.stderr}")
    return done.stdout


def free_port():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


def lines_of(process, count):
    """The first lines that a program prints, within PATIENCE_S."""
    text, until = b"", time.monotonic() + PATIENCE_S
    while text.count(b"\n") < count and time.monotonic() < until:
        if select.select([process.stdout], [], [], 1)[0]:
            piece = os.read(process.stdout.fileno(), 4096)
            if not piece:
                break
            text += piece
    return text.decode().splitlines()


def verdicts_of_one_crash(program, environment):
    port = str(free_port())
    with subprocess.Popen([program, port, KEY, RVA], stdout=subprocess.PIPE, env=environment) as host:
        target = subprocess.Popen([BUILD / "kdnet-target", "--host", f"127.0.0.1:{port}", "--key", KEY, "--scenario", "bugcheck",
                                   "--status", "0xC000007F", "--dump-ms", "50", "--reboot-ms", "50"], stdout=subprocess.DEVNULL)
        try:
            return lines_of(host, len(WANTED))
        finally:
            for process in (host, target):
                process.kill()
            target.wait()


def declared_in(headers):
    """The functions and variables that installed headers declare, by what the preprocessor leaves of them."""
    text = "".join(f"#include <kdnet/{header}>\n" for header in headers)
    out = subprocess.run([*C, "-E", f"-I{Installed.prefix}/include", "-"], input=text, capture_output=True, text=True, check=True)
    ours, keep = [], False
    for line in out.stdout.splitlines():
        if line.startswith("# "):
            keep = "/include/kdnet/" in line
        elif keep and not line.startswith("#"):
            ours.append(line)
    text = re.sub(r"\s+", " ", " ".join(ours))
    while re.search(r"\{[^{}]*\}", text):
        text = re.sub(r"\{[^{}]*\}", "", text)
    found = set()
    for declaration in text.split(";"):
        match = re.search(r"\b(kdnet_\w+) ?\(", declaration) or re.search(r"\bextern\b.*\b(kdnet_\w+) ?(?:\[|$)", declaration)
        if match and "typedef" not in declaration:
            found.add(match.group(1))
    return found


class Installed(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory(prefix="libkdnet-")
        cls.addClassCleanup(folder.cleanup)
        cls.folder = pathlib.Path(folder.name)
        cls.prefix = cls.folder / "prefix"
        run(CMAKE, "--install", BUILD, "--prefix", cls.prefix, "--component", "libkdnet")
        cls.libraries = next(cls.prefix.rglob("libkdnet.a")).parent
        cls.shared = cls.libraries / "libkdnet.so"
        cls.environment = os.environ | {"PKG_CONFIG_PATH": str(cls.libraries / "pkgconfig"),
                                        "LD_LIBRARY_PATH": str(cls.libraries)}

    def headers(self):
        return sorted(path.name for path in (self.prefix / "include/kdnet").iterdir())

    def pkg_config(self, *options):
        return run("pkg-config", *options, env=self.environment).split()

    def check(self, program):
        self.assertEqual(verdicts_of_one_crash(program, self.environment), WANTED)

    def test_nothing_else_is_installed(self):
        paths = [path.relative_to(self.prefix).as_posix() for path in self.prefix.rglob("*") if not path.is_dir()]
        self.assertGreaterEqual(len(self.headers()), 10)
        for path in paths:
            self.assertRegex(path, r"^include/kdnet/\w+\.h$|^lib.*/libkdnet\.(a|so[.0-9]*)$|^lib.*/pkgconfig/kdnet\.pc$"
                                   r"|^lib.*/cmake/kdnet/kdnet-[\w-]+\.cmake$")

    def test_it_works_below_another_root(self):
        root = self.folder / "root"
        run(CMAKE, "--install", BUILD, "--component", "libkdnet", env=os.environ | {"DESTDIR": str(root)})
        file = next(root.rglob("kdnet.pc"))
        flags = run("pkg-config", "--cflags", "--libs", "kdnet", env=os.environ | {"PKG_CONFIG_PATH": str(file.parent)}).split()
        folders = [pathlib.Path(flag[2:]) for flag in flags if flag[:2] in ("-I", "-L")]
        self.assertTrue((folders[0] / "kdnet/kdnet.h").exists(), flags)
        self.assertTrue((folders[1] / "libkdnet.a").exists(), flags)

    def test_each_header_stands_alone(self):
        for name, compiler in LANGUAGES.items():
            compiler = [word.replace("=gnu", "=c") for word in compiler]
            for header in self.headers():
                with self.subTest(language=name, header=header):
                    run(*compiler, *STRICT, "-fsyntax-only", f"-I{self.prefix}/include", "-",
                        input=f"#include <kdnet/{header}>\nextern int nothing;\n")

    @unittest.skipUnless(CXX, "there is no C++ compiler: C alone was tried")
    def test_c_plus_plus_is_tried(self):
        self.assertIn("C++", LANGUAGES)

    def test_kdnet_h_has_them_all(self):
        self.assertEqual(declared_in(["kdnet.h"]), declared_in(self.headers()))

    def test_headers_show_what_the_library_has(self):
        self.assertTrue(self.shared.exists(), "no shared library is installed")
        lines = run("nm", "-D", "--defined-only", self.shared).splitlines()
        exported = {line.split()[-1].split("@")[0] for line in lines if " A " not in line}
        declared = declared_in(self.headers())
        self.assertGreater(len(declared), 40)
        self.assertEqual(exported, declared)

    def test_the_static_library_takes_no_other_names(self):
        lines = run("nm", "-g", "--defined-only", self.libraries / "libkdnet.a").splitlines()
        names = {line.split()[-1] for line in lines if len(line.split()) == 3}
        self.assertEqual([name for name in names if not name.startswith("kdnet_")], [])

    def test_its_name_and_version_are_one(self):
        version = self.pkg_config("--modversion", "kdnet")[0]
        header = (self.prefix / "include/kdnet/version.h").read_text()
        numbers = re.findall(r"#define KDNET_VERSION_(?:MAJOR|MINOR|PATCH) (\d+)", header)
        self.assertIn(f'"{version}"', header)
        self.assertEqual(".".join(numbers), version)
        self.assertIn("[libkdnet.so.1]", run("readelf", "-d", self.shared))
        self.assertTrue((self.libraries / "libkdnet.so.1").is_symlink())

    def test_host_by_pkg_config(self):
        for name, compiler in LANGUAGES.items():
            for kind in ("shared", "static"):
                with self.subTest(language=name, kind=kind):
                    program = self.folder / f"host-{kind}-{name}"
                    flags = self.pkg_config("--cflags", "--libs", *(["--static"] if kind == "static" else []), "kdnet")
                    if kind == "static":
                        flags = [str(self.libraries / "libkdnet.a") if flag == "-lkdnet" else flag for flag in flags]
                    run(*compiler, *STRICT, HOST, "-x", "none", "-o", program, *flags)
                    self.assertEqual("libkdnet.so.1" in run("readelf", "-d", program), kind == "shared")
                    self.check(program)

    def test_host_by_cmake(self):
        build = self.folder / "cmake"
        languages = "C;CXX" if CXX else "C"
        run(CMAKE, "-G", "Ninja", "-S", HERE / "user", "-B", build, f"-DCMAKE_PREFIX_PATH={self.prefix}", f"-DHOST={HOST}",
            f"-DLANGUAGES={languages}", f"-DCMAKE_C_COMPILER={CC}")
        run(CMAKE, "--build", build, "--parallel", "2")
        programs = sorted(path for path in build.glob("host_*") if path.is_file() and os.access(path, os.X_OK))
        self.assertEqual(len(programs), 2 * len(LANGUAGES))
        for program in programs:
            with self.subTest(program=program.name):
                self.check(program)

    def test_the_page_has_this_program(self):
        program, page = HOST.read_text(), (SOURCE / "kdnet/include/kdnet/README.md").read_text()
        self.assertLessEqual(len(program.splitlines()), 60)
        self.assertIn(f"```c\n{program}```\n", page)


if __name__ == "__main__":
    unittest.main()
