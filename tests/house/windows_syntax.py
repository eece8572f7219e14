#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every product source parses for Windows: clang and mingw-w64's headers, without building anything.

Those outside platform/ are parsed for 32 bits as well, so that no number loses its upper half unseen where size_t and long
are short.

A source that includes a header of POSIX, or calls what only POSIX has, fails here on each computer with clang and
mingw-w64-common. #ifdef _WIN32 outside platform/ is counted, too: five at most, each with its reason on its line.
"""
import concurrent.futures
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
import tempfile

TREE = pathlib.Path(__file__).resolve().parents[2]
WINDOWS = TREE / "service/platform/windows"
MINGW = [pathlib.Path("/usr/share/mingw-w64/include"), pathlib.Path("/usr/x86_64-w64-mingw32/include")]
SKIPPED = 77
AT_ONCE = 40  # sources a process
# Headers of libraries, which are the same on all systems.
LIBRARIES = ["uv.h", "uv", "openssl", "jansson.h", "jansson_config.h", "yaml.h", "curl", "mspack.h", "lzma.h", "lzma",
             "pcap.h", "pcap", "zlib.h", "zconf.h", "sqlite3.h", "event2", "nats", "cyaml", "librdkafka"]
# What only this system has.
ELSEWHERE = re.compile(r"platform/(posix|linux|systemd)/|_posix\.c$|_linux\.c$|_systemd\.c$")
TARGET = ["--target=x86_64-w64-windows-gnu"]
TARGET32 = ["--target=i686-w64-windows-gnu", "-D__MINGW_USE_VC2005_COMPAT", "-Wshorten-64-to-32"]  # with 64 bits for time_t
FLAGS = ["-std=gnu11", "-D_GNU_SOURCE", "-D__USE_MINGW_ANSI_STDIO=1",
         "-D_WIN32_WINNT=0x0A00", "-DWIN32_LEAN_AND_MEAN", "-DUNICODE", '-DKDNETD_VERSION="0"', '-DKDNETD_ETC="/etc"', "-DKDNETD_CAB", "-DKDNETD_XZ",
         "-DKDNETD_ZLIB", "-DCURL_STATICLIB", "-DLZMA_API_STATIC", "-DYAML_DECLARE_STATIC", "-nostdlibinc",
         "-Wall", "-Wextra", "-Wmissing-prototypes", "-Wno-format", "-Wno-unknown-warning-option", "-Wno-bitwise-instead-of-logical",
         "-Wno-missing-braces", "-Werror"]  # the last but one: UV_ONCE_INIT of libuv 1.49 and later


def skip(why):
    print(f"nothing tested: {why}")
    sys.exit(SKIPPED)


def link_libraries(folder):
    """A folder with the libraries' headers and nothing else of this system's."""
    places = [pathlib.Path("/usr/include"), *pathlib.Path("/usr/include").glob("*-linux-gnu")]
    for name in LIBRARIES:
        found = [place / name for place in places if (place / name).exists()]
        if found and found[0].is_dir():
            (folder / name).mkdir()
            for place in reversed(found):
                for header in place.iterdir():
                    link = folder / name / header.name
                    link.unlink(missing_ok=True)
                    link.symlink_to(header)
        elif found:
            (folder / name).symlink_to(found[0])


def configure_libevent(folder):
    """libevent's header of what a system has is this system's: Windows has no sockets of POSIX."""
    header = folder / "event2/event-config.h"
    if header.exists():
        text = header.read_text()
        header.unlink()
        absent = r"#define EVENT__HAVE_(SYS_UIO|NETDB|NETINET_IN6?|NETINET_TCP|ARPA_INET|SYS_SOCKET|SYS_UN)_H 1\n"
        header.write_text(re.sub(absent, "", text))


def write_messages(folder):
    """What windmc would make of messages.mc: numbers."""
    text = (WINDOWS / "messages.mc").read_text()
    lines = [f"#define {name} ((DWORD){number}L)\n"
             for number, name in re.findall(r"MessageId=(\d+).*SymbolicName=(\w+)", text)]
    assert lines
    (folder / "messages.h").write_text("".join(lines))


def run(arguments):
    return subprocess.run(arguments, cwd=TREE, capture_output=True, text=True, timeout=300)


def precompile(clang, flags, header, out):
    done = run([clang, *flags, "-x", "c-header", str(WINDOWS / "compat" / header), "-o", str(out)])
    if done.returncode != 0:
        sys.exit(f"{header}:\n{done.stderr}")
    return out


def cc1(clang, arguments, source):
    """The compiler proper, as the driver would call it for one source, which is last and taken away: given many sources it
    starts once, and to start it takes as long as to parse a dozen of them."""
    told = run([clang, "-###", *arguments, "-fsyntax-only", str(source)]).stderr
    line = next((line for line in told.splitlines() if '"-cc1"' in line), None)
    assert line, told
    words = shlex.split(line)
    assert words[-1] == str(source), line
    return [word for word in words[:-1] if word != "-disable-free"]


def check(compiler, some):
    """What is said of sources that do not parse."""
    if run([*compiler, *map(str, some)]).returncode == 0:
        return []
    told = [(source, run([*compiler, str(source)])) for source in some]
    wrong = [f"{source} does not parse for Windows:\n{done.stderr}" for source, done in told if done.returncode != 0]
    return wrong or [f"these do not parse together: {' '.join(map(str, some))}"]


def sources():
    found = [path.relative_to(TREE) for room in ("kdnet", "config", "service") for path in (TREE / room).rglob("*.c")]
    return sorted(path for path in found if not ELSEWHERE.search(str(path)))


def check_conditions():
    places, silent = [], []
    for room in ("kdnet", "config", "service"):
        for path in sorted((TREE / room).rglob("*.[ch]")):
            where = str(path.relative_to(TREE))
            if "platform/" in where:
                continue
            asked = re.findall(r"^\s*#\s*(?:if|ifdef|ifndef|elif)\b.*_WIN(?:32|64).*$", path.read_text(), re.M)
            places += [where] * len(asked)
            silent += [f"{where}: {line}" for line in asked if "/*" not in line]
    if len(places) > 5:
        sys.exit("more than five places outside platform/ ask for _WIN32: " + ", ".join(places))
    if silent:
        sys.exit("_WIN32 without a reason in a comment on its line: " + "; ".join(silent))


def prepare(clang, flags, folder, some):
    """Compilers, each with the sources that it is to check."""
    folder.mkdir()
    slim = precompile(clang, flags, "compat.h", folder / "compat.pch")
    full = precompile(clang, flags, "sockets.h", folder / "sockets.pch")
    work = []
    for header, kdnet in ((slim, True), (full, False)):
        of_it = [source for source in some if (source.parts[0] == "kdnet") == kdnet]
        compiler = cc1(clang, [*flags, "-include-pch", str(header)], of_it[0])
        work += [(compiler, of_it[start:start + AT_ONCE]) for start in range(0, len(of_it), AT_ONCE)]
    return work


def main():
    check_conditions()
    clang = shutil.which("clang")
    mingw = [place for place in MINGW if (place / "winsock2.h").exists()]
    if not clang:
        skip("clang is not there")
    if not mingw:
        skip("mingw-w64's headers are not there (mingw-w64-common)")
    if not (pathlib.Path("/usr/include/uv/win.h")).exists():
        skip("libuv's headers for Windows are not there (uv/win.h)")
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        link_libraries(folder)
        configure_libevent(folder)
        write_messages(folder)
        flags = [*FLAGS, f"-I{TREE}", f"-I{TREE}/kdnet/include", "-isystem", str(WINDOWS / "compat"), "-isystem", name, "-isystem", str(mingw[0])]
        work = prepare(clang, [*TARGET, *flags], folder / "64", sources())
        work += prepare(clang, [*TARGET32, *flags], folder / "32",
                        [source for source in sources() if "platform" not in source.parts and "windows" not in source.stem])
        with concurrent.futures.ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool:
            wrong = sum(pool.map(lambda job: check(*job), work), [])
    print("\n".join([*wrong, f"{len(sources())} sources, {len(wrong)} wrong"]))
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
