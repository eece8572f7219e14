#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The programs for Windows, under Wine: unit tests, configuration files, the service, the .msi.

usage: under_wine.py BUILD [NAME...]    BUILD: build/windows; NAME: only programs, files, units, workers, early, e2e, service, msi, slow_disk,
                                        outlets or signing;
                                        load: not by default; 2,000 machines crash within 300 ms, by 1 and 3 workers

Wine binds 127.x.y.z to all addresses, so all is on 127.0.0.1. What Wine cannot show is in docs/windows.md.
"""
import json
import pathlib
import re
import shutil
import socket
import statistics
import struct
import subprocess
import sys
import time
import urllib.request
import zipfile
from concurrent.futures import ThreadPoolExecutor

import early
import e2e
import firewall
import outlets
import receivers
import signing
import slow_disk
from wine import PATIENCE, SKIPPED, TREE, Wine, expect, free_port, native, say, text, told, wait, write_closed

GUIDAGE = "4B444E45542D544152474554000000011"
STATUS = {"0x0": "written", "0xC000007F": "failed"}
MACHINES = 10
UNIT_TIMEOUT_S = 600  # of a program that takes seconds: on a slow disk a hundred times as long
KEY = "1.2.3.4"
ELSEWHERE = re.compile(rb"systemctl \w+ kdnetd|journalctl|ss -ulpn|ip address`|sysctl -w|ulimit|TasksMax|CAP_NET|chown root"
                       rb"|chmod o-|[Rr]un it as root|use the Unix socket|/etc/kdnetd|/var/lib/kdnetd|/run/kdnetd|\$STATE_DIRECTORY")
TOKENS = "C:\\ProgramData\\kdnetd\\tokens"


def check_units(wine):
    """All that left_out.cmake does not name, two at a time."""
    programs = [wine.build / f"tests/{name}.exe" for name in (wine.build / "tests/units").read_text().split()]
    expect(programs, "unit tests were built")

    def run(program):
        try:
            done = wine.run(program, timeout=UNIT_TIMEOUT_S, cwd=program.parent)
        except subprocess.TimeoutExpired:
            return f"{program.stem}: does not end in {UNIT_TIMEOUT_S} s"
        return "" if done.returncode == 0 else f"{program.stem}: exit status {done.returncode}: {text(done)[-1500:]}"

    with ThreadPoolExecutor(2) as pool:
        failed = [said for said in pool.map(run, programs) if said]
    expect(not failed, f"{len(failed)} of {len(programs)} unit test programs fail", "\n".join(failed))
    return f"{len(programs)} programs"


def check_files(wine):
    """As Windows' editors write them: CRLF, a mark, UTF-16; in a path with a blank and umlauts."""
    plain = f'listen: "127.0.0.1:50000"\nevents: "-"\ntargets:\n  - {{name: a, key: {KEY}}}\n'
    kinds = {"crlf": plain.replace("\n", "\r\n").encode(), "bom": b"\xef\xbb\xbf" + plain.encode(),
             "utf-16le": b"\xff\xfe" + plain.encode("utf-16-le"), "utf-16be": b"\xfe\xff" + plain.encode("utf-16-be")}
    folder = wine.build / "Über uns äöü"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    folder.chmod(0o700)
    folder_name = "Z:" + str(folder).replace("/", "\\")
    for kind, content in kinds.items():
        path = folder / f"{kind} ß.yaml"
        path.write_bytes(content)
        path.chmod(0o600)
        done = wine.run(wine.build / "kdnetd.exe", "--check", "Z:" + str(path).replace("/", "\\"))
        expect(done.returncode == 0 and f"{kind} ß.yaml is right: 1 targets" in text(done), kind, done)
    wrong = folder / "wrong.yaml"
    wrong.write_text(plain + "no_such_option: 1\n")
    wrong.chmod(0o600)
    done = wine.run(wine.build / "kdnetd.exe", "--check", "Z:" + str(wrong).replace("/", "\\"))
    expect(done.returncode == 2 and "no_such_option" in text(done), "a mistake is named", done)
    wrong.write_text(plain.replace('"-"', f"'{folder_name}\\not there\\events.jsonl'"))
    done = wine.run(wine.build / "kdnetd.exe", "--check", "Z:" + str(wrong).replace("/", "\\"))
    expect(done.returncode == 2 and f"its folder {folder_name}\\not there is not there" in text(done), "a folder is missing",
           done)
    open_to_all = folder / "open.yaml"
    open_to_all.write_text(plain)
    open_to_all.chmod(0o644)
    done = wine.run(wine.build / "kdnetd.exe", "--check", "Z:" + str(open_to_all).replace("/", "\\"))
    expect(done.returncode == 2 and "icacls" in text(done) and "*S-1-5-32-544:F" in text(done), "what others read is refused", done)
    check_long_path(wine, folder, open_to_all)
    shutil.rmtree(folder)
    return ", ".join(kinds)


def check_long_path(wine, folder, open_to_all):
    """Of 260 characters and more; its machines in UTF-16. A remedy never names half of a path."""
    deep = folder.joinpath(*[f"Ordner für Server {number} " + "x" * 60 for number in range(4)])
    deep.mkdir(mode=0o700, parents=True)
    write_closed(deep / "schlüssel", "")
    (deep / "schlüssel").write_bytes(b"\xff\xfe" + f"a {KEY}\r\nb 1.2.3.5\r\n".encode("utf-16-le"))
    write_closed(deep / "k.yaml", 'listen: "127.0.0.1:50000"\nevents: "-"\ntargets_file: "schlüssel"\n')
    name = "Z:" + str(deep / "k.yaml").replace("/", "\\")
    done = wine.run(wine.build / "kdnetd.exe", "--check", name)
    expect(len(name) > 260 and done.returncode == 0 and "is right: 2 targets" in text(done), "a long path", done)
    shutil.copy(open_to_all, deep / "k.yaml")
    (deep / "k.yaml").chmod(0o644)
    done = wine.run(wine.build / "kdnetd.exe", "--check", name)
    expect(done.returncode == 2 and 'icacls "FILE" ' in text(done), "half a path is none", done)


# Arguments with a value that an option does not take, or without one that it wants, and what is said.
MISPLACED = (("kdnetd", ("--help=x",), "--help takes no value"), ("kdnetd", ("--core-dumps=yes",), "--core-dumps takes no value"),
             ("kdnetd", ("--listen",), "--listen wants a value"), ("kdnetd", ("--lisen=x",), "did you mean --listen?"),
             ("kdnetd", ("service", "install", "--firewall=x"), "what is '--firewall=x'?"),
             ("kdnetd", ("service", "install", "--config"), "--config wants a value"),
             ("kdnetd", ("--check", "C:\\nothing there.yaml"), "cannot be read: File not found; check the path"),
             ("kdnetctl", ("status", "--socket", "x"), "Windows has no Unix socket; use --url"),
             ("kdnetctl", ("crashes", "--help=x"), "takes no value"), ("kdnetctl", ("crashes", "--limit"), "needs a value"),
             ("kdnet-target", ("--help=x",), "--help takes no value"), ("kdnet-target", ("--host",), "--host wants a value"))


def check_programs(wine):
    for name, arguments, said in MISPLACED:
        done = wine.run(wine.build / f"{name}.exe", *arguments)
        expect(done.returncode == 2 and said in text(done), f"{name} {' '.join(arguments)}", done)
    for name in ("kdnetd", "kdnetctl", "kdnet-target"):
        done = wine.run(wine.build / f"{name}.exe", "--version")
        expect(done.returncode == 0 and done.stdout.decode().startswith(name + " "), name, done)
        expect(b"\r" not in done.stdout, f"{name} prints bytes as they are", done.stdout)
        found = set(ELSEWHERE.findall((wine.build / f"{name}.exe").read_bytes()))
        expect(not found, f"{name} tells nobody to do what only Linux knows (config/remedies.h)", str(found))
    capture = wine.build / "one_frame.pcap"
    capture.write_bytes(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1) + struct.pack("<IIII", 1, 0, 60, 60) + bytes(60))
    done = wine.run(wine.build / "kdnetctl.exe", "decode", capture)
    expect("among 1 frames" in text(done), "a pcap file is read from its beginning", done)
    wine.env["KDNETD_URL"] = f"http://127.0.0.1:{free_port(socket.SOCK_STREAM)}"
    done = wine.run(wine.build / "kdnetctl.exe", "doctor")
    del wine.env["KDNETD_URL"]
    expect("kdnetd service start" in text(done), "doctor names the commands of this system", done)
    return "3 programs"


def write_config(wine, port, http, sinks="", wrong=False):
    names = subprocess.run([native("kdnet-target"), "--host", f"127.0.0.1:{port}", "--key", KEY, "--count", str(MACHINES),
                            "--print-targets"], capture_output=True, text=True, check=True, timeout=60).stdout
    write_closed(wine.data / "targets", names)
    config = (f'listen: "127.0.0.1:{port}"\nevents: \'C:\\ProgramData\\kdnetd\\log\\events.jsonl\'\n'
              f'http: "127.0.0.1:{http}"\nhttp_tokens: \'C:\\ProgramData\\kdnetd\\tokens\'\n'
              f'targets_file: targets\nrva:\n  - {{guidage: {GUIDAGE}, symbol: IopFinalCrashDumpStatus, rva: 0x3010}}\n{sinks}')
    write_closed(wine.data / "kdnetd.yaml", config + ("listne: 1\n" if wrong else ""))


def read_events(wine):
    path = wine.data / "log/events.jsonl"
    lines = path.read_bytes() if path.exists() else b""
    expect(b"\r" not in lines, "results have no carriage returns")
    return [json.loads(line) for line in lines.splitlines()]


def results(wine):
    return {(e["target"], e["verdict"]) for e in read_events(wine)
            if e["event"] == "crash_status" and e["phase"] == "shutdown"}


def read_log(wine):
    path = wine.data / "log/kdnetd.log"
    return path.read_text("utf-8", "replace") if path.exists() else ""


def crash(port, status, *more):
    return subprocess.Popen([native("kdnet-target"), "--host", f"127.0.0.1:{port}", "--key", KEY, "--count", str(MACHINES),
                             "--bind", "127.0.0.1:0", "--scenario", "bugcheck", "--status", status, "--exit",
                             "--duration-ms", "80000", *more], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def unpack(wine):
    """The .zip as an operator has it: nothing of the build but what is in there. Returns its folder."""
    packages = sorted(wine.build.glob("kdnetd-*-x64.zip"))
    expect(packages, "there is a .zip (build.sh packages)")
    folder = wine.prefix / "drive_c/Programme für Server"
    shutil.rmtree(folder, ignore_errors=True)
    with zipfile.ZipFile(packages[-1]) as package:
        package.extractall(folder)
    return folder / packages[-1].stem


def verb(wine, *words, code=0):
    done = wine.run(wine.programs / "kdnetd.exe", "service", *words)
    expect(done.returncode == code, f"service {' '.join(words)}: exit status {done.returncode}, not {code}",
           told(done) + read_log(wine)[-3000:])
    return text(done)


def check_http(wine, port):
    """The page, the metrics, and kdnetctl with the token that install has made."""
    for path, word in {"/": b"<html", "/metrics": b"process_cpu_seconds_total", "/api/v1/targets": b'"targets"'}.items():
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=PATIENCE) as answer:
            body = answer.read()
        expect(word in body, f"HTTP serves {path}", body[:500])
    wine.env["KDNETD_URL"] = f"http://127.0.0.1:{port}"
    wait(lambda: wine.run(wine.programs / "kdnetctl.exe", "crashes").returncode == 0, "the store is open: kdnetctl crashes",
         lambda: read_log(wine)[-2000:])
    for words in (["status"], ["targets"]):
        done = wine.run(wine.programs / "kdnetctl.exe", *words)
        expect(done.returncode == 0, f"kdnetctl {words[0]}", told(done) + read_log(wine)[-2000:])
    done = wine.run(wine.programs / "kdnetctl.exe", "reload")
    expect(done.returncode != 0 and "token" in text(done), "nobody acts without a token", done)
    done = wine.run(wine.programs / "kdnetctl.exe", "--token-file", TOKENS, "reload")
    expect(done.returncode == 0, "kdnetctl reload", told(done) + read_log(wine)[-2000:])


def crash_all(wine, port):
    """Each machine twice, and its result once each time, in the file and in the log."""
    for status, verdict in STATUS.items():
        machines = crash(port, status)
        said = machines.communicate(timeout=PATIENCE)[0].decode()
        expect(machines.returncode == 0, f"machines end well ({machines.returncode})", said + read_log(wine)[-3000:])
        wait(lambda: len([r for r in results(wine) if r[1] == verdict]) == MACHINES, f"ten results: {verdict}",
             lambda: str(results(wine)))
        wait(lambda: said_results(wine, verdict) == {r[0] for r in results(wine) if r[1] == verdict},
             f"the messages have the ten results: {verdict}", lambda: read_log(wine)[-3000:])


def said_results(wine, verdict):
    """The targets whose last break the messages tell with this verdict."""
    lines = [line for line in read_log(wine).splitlines() if f"verdict={verdict} " in f"{line} " and "phase=shutdown" in line]
    return {found[1] for line in lines if (found := re.search(r"target=(\S+)", line))}


def check_sinks(wine, soc, syslog):
    """What the file has, each receiver has."""
    wanted = results(wine)
    wait(lambda: wanted <= {(e["target"], e["verdict"]) for e in soc.events
                            if e["event"] == "crash_status" and e["phase"] == "shutdown"}, "the HTTP sink has each result",
         lambda: f"{len(soc.events)} events\n" + read_log(wine)[-2000:])
    wait(lambda: len([d for d in syslog.datagrams if b'"failed"' in d or b"failed" in d]) >= MACHINES,
         "the syslog sink has each result", lambda: f"{syslog.datagrams[:3]}\n" + read_log(wine)[-2000:])


def check_reload(wine, configure):
    configure(wrong=True)
    verb(wine, "reload")
    wait(lambda: "listne" in read_log(wine), "the mistake is in the log", lambda: read_log(wine)[-2000:])
    verb(wine, "status")
    configure()
    again = read_log(wine).count("configuration read again")
    verb(wine, "reload")
    wait(lambda: read_log(wine).count("configuration read again") > again, "read again", lambda: read_log(wine)[-2000:])


def check_stop(wine, port):
    """Amid inquiries. Returns how long it took."""
    before = len(read_events(wine))
    machines = crash(port, "0x0", "--think", "30")
    wait(lambda: len(read_events(wine)) > before, "machines crash again")
    started = time.monotonic()
    verb(wine, "stop")
    stopped_s = time.monotonic() - started
    machines.kill()
    machines.communicate()
    verb(wine, "status", code=1)
    expect("stopping" in read_log(wine), "the end is in the log", read_log(wine)[-1000:])
    return stopped_s


def check_wrong_start(wine, configure):
    """Its exit status is told, and no service tries again and again."""
    configure(wrong=True)
    before = read_log(wine).count("listne")
    verb(wine, "start", code=1)
    expect(read_log(wine).count("listne") > before, "its mistake is in the log", read_log(wine)[-2000:])
    expect("exit status 2" in text(wine.run(wine.programs / "kdnetd.exe", "service", "status")), "exit status 2 is told")


def check_selftest(wine):
    """What Wine can show is ok; its own holes it tells, and never that all is well."""
    listed = text(wine.run(wine.programs / "kdnetd.exe", "service", "selftest"))
    for line in ("it runs as NT SERVICE\\kdnetd", "the path of the program is quoted",
                 "the Event Log finds the texts of its messages", "%ProgramData%\\kdnetd is closed to other users",
                 "sockets of this service's kind can be opened",
                 "kdnetd serves a machine of kdnet-target that crashes on this computer"):
        expect(f"ok           {line}" in listed, f"selftest: {line}", listed)
    expect("it has 20 seconds when Windows shuts down" in listed and "What a person has to try" in listed, "selftest", listed)


def expect_closed(wine, *names):
    """Wine shows an access list as a mode, and the owner is in the group."""
    for name in names:
        file = wine.data / name
        expect(file.exists() and file.stat().st_mode & 0o07 == 0, f"install makes {name}, and nobody else uses it",
               oct(file.stat().st_mode) if file.exists() else "not there")


def program_of_service(wine):
    """Where Windows starts it from; reg writes as a console of old does."""
    listed = wine.run("reg", "query", r"HKLM\System\CurrentControlSet\Services\kdnetd", "/v", "ImagePath").stdout.decode("cp437")
    found = re.search(r'"C:\\([^"]*)"', listed)
    expect(found, "the path of the program is quoted", listed)
    return wine.prefix / "drive_c" / found[1].replace("\\", "/")


def check_service(wine):
    """kdnetd.exe of the unpacked .zip, installed by its own verb."""
    shutil.rmtree(wine.data, ignore_errors=True)
    wine.programs = unpack(wine)
    port, http, soc, syslog = free_port(), free_port(socket.SOCK_STREAM), receivers.Http(), receivers.Udp()
    sinks = (f'sinks:\n  - {{name: soc, type: http, format: ndjson, url: "http://127.0.0.1:{soc.port}/"}}\n'
             f'  - {{name: syslog, type: syslog, transport: udp, address: "127.0.0.1:{syslog.port}"}}\n')

    def configure(wrong=False):
        write_config(wine, port, http, sinks, wrong)

    wine.run(wine.programs / "kdnetd.exe", "service", "uninstall")
    verb(wine, "status", code=3)
    verb(wine, "install")
    expect(program_of_service(wine) == wine.programs / "kdnetd.exe", "the service is that of the .zip")
    expect_closed(wine, "", "log", "state", "kdnetd.yaml", "tokens")
    configure()
    verb(wine, "start")
    try:
        verb(wine, "status")
        crash_all(wine, port)
        check_http(wine, http)
        check_sinks(wine, soc, syslog)
        expect((wine.data / "state/kdnetd.db").exists(), "the store is in the folder state")
        check_reload(wine, configure)
        stopped_s = check_stop(wine, port)
        check_wrong_start(wine, configure)
        check_selftest(wine)
    finally:
        verb(wine, "uninstall")
        soc.close()
        syslog.close()
    expect((wine.data / "kdnetd.yaml").exists() and (wine.data / "targets").exists(), "configuration and keys stay")
    verb(wine, "status", code=3)
    program = (wine.programs / "kdnetd.exe").relative_to(wine.prefix / "drive_c")
    firewall.check_firewall(wine, "C:\\" + str(program).replace("/", "\\"))
    return f"{wine.programs.name}.zip: {2 * MACHINES} results, stopped amid inquiries in {stopped_s:.1f} s"


def serve(wine, machines, workers, spread_ms):
    """kdnetd.exe as a program serves machines that crash once each. Returns the results and how long each was halted, ms."""
    folder, port = wine.build / "serve", free_port()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700)
    options = ["--host", f"127.0.0.1:{port}", "--key", KEY, "--count", str(machines)]
    names = subprocess.run([native("kdnet-target"), *options, "--print-targets"], capture_output=True, text=True, check=True,
                           timeout=60).stdout
    write_closed(folder / "targets", names)
    write_closed(folder / "kdnetd.yaml", f'listen: "127.0.0.1:{port}"\ntargets_file: targets\nevents: events.jsonl\n'
                 f'workers: {workers}\nhttp: none\nstore: none\nrva:\n  - {{guidage: {GUIDAGE}, symbol: IopFinalCrashDumpStatus, rva: 0x3010}}\n')
    with open(folder / "log", "wb") as log:
        daemon = subprocess.Popen(["wine", str(wine.build / "kdnetd.exe"), "--config", "kdnetd.yaml"], env=wine.env,
                                  cwd=folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        wait(lambda: b"msg=serving" in (folder / "log").read_bytes(), "it serves",
             lambda: (folder / "log").read_text("utf-8", "replace")[-2000:])
        done = subprocess.run([native("kdnet-target"), *options, "--scenario", "bugcheck", "--status", "0x0", "--exit",
                               "--duration-ms", "120000", "--spread-ms", str(spread_ms)], capture_output=True, timeout=180)
        expect(done.returncode == 0, f"machines end well ({done.returncode})", text(done)[-2000:])

        def events(kind):
            lines = (folder / "events.jsonl").read_text().splitlines()
            return [e for e in map(json.loads, lines) if e["event"] == kind]

        wait(lambda: len({e["target"] for e in events("crash_status") if e["phase"] == "shutdown"}) == machines,
             "each machine has its result", lambda: str(len(events("crash_status"))))
        written = [e for e in events("crash_status") if e["phase"] == "shutdown"]
        expect(len(written) == machines and {e["verdict"] for e in written} == {"written"}, "each result is right, and once",
               str(len(written)))
        return [e["halted_ms"] for e in events("released")], (folder / "log").read_text("utf-8", "replace")
    finally:
        daemon.terminate()
        daemon.wait(PATIENCE)
        wine.run("taskkill", "/f", "/im", "kdnetd.exe")


def check_workers(wine):
    """Machines of other workers than that which receives."""
    _, log = serve(wine, 60, 3, 0)
    expect("workers=3 " in log, "three workers serve", log[-2000:])
    return "60 results by 3 workers"


def check_load(wine):
    """Told, not judged: the computer and Wine have their part in it."""
    told = []
    for workers in (1, 3):
        halted, _ = serve(wine, 2000, workers, 300)
        told.append(f"{workers} workers: 2000 results, halted {statistics.median(halted):.0f} ms (median of "
                    f"{len(halted)} halts), {max(halted):.0f} ms at most")
    return "; ".join(told)


def make_older(wine):
    """A package of the same files, with a lower version."""
    package = wine.build / "older.msi"
    folders = sorted((wine.build / "package").glob("kdnetd-*-x64"))
    done = subprocess.run(["wixl", "-a", "x64", "-D", "VERSION=0.0.1", "-D", "FILES=.", "-o", str(package),
                           str(TREE / "service/platform/windows/kdnetd.wxs")], cwd=folders[-1], capture_output=True,
                          timeout=120)
    expect(done.returncode == 0, "wixl makes an older package", done)
    return package


def msiexec(wine, how, package):
    return wine.run("msiexec", how, "Z:" + str(package).replace("/", "\\"), "/qn", timeout=300)


def status_code(wine, program):
    return wine.run(program, "service", "status").returncode


def check_msi(wine):
    packages = sorted(wine.build.glob("kdnetd-*-x64.msi"))
    if not packages or not shutil.which("wixl"):
        return "left out: there is no .msi, or no wixl"
    shutil.rmtree(wine.data, ignore_errors=True)
    program = wine.prefix / "drive_c/Program Files/kdnetd/kdnetd.exe"
    older = make_older(wine)
    done = msiexec(wine, "/i", older)
    expect(done.returncode == 0 and program.exists(), f"install ({done.returncode})", done)
    expect(status_code(wine, program) == 1, "the service is there, and stopped")
    write_config(wine, free_port(), free_port(socket.SOCK_STREAM))
    kept = {name: (wine.data / name).read_bytes() for name in ("kdnetd.yaml", "targets", "tokens")}
    expect(wine.run(program, "service", "start").returncode == 0, "it starts", read_log(wine)[-2000:])
    done = msiexec(wine, "/i", packages[-1])
    expect(done.returncode == 0 and program.exists(), f"upgrade ({done.returncode})", done)
    expect(status_code(wine, program) in (0, 1), "the service is there after the upgrade")
    expect(all((wine.data / name).read_bytes() == content for name, content in kept.items()), "an upgrade changes no file")
    done = msiexec(wine, "/x", packages[-1])
    expect(done.returncode == 0 and not program.exists(), f"uninstall ({done.returncode})", done)
    expect(status_code(wine, wine.build / "kdnetd.exe") == 3, "the service is gone")
    expect(all((wine.data / name).read_bytes() == content for name, content in kept.items()), "uninstall removes no key")
    return "installed, upgraded, removed; configuration and keys stay"


def is_older(program):
    built = program.stat().st_mtime
    rooms = [TREE / room for room in ("kdnet", "config", "service")]
    return any(path.stat().st_mtime > built for room in rooms for path in room.rglob("*.[ch]"))


CHECKS = {"programs": check_programs, "outlets": outlets.check_outlets, "signing": signing.check_signing,
          "files": check_files, "units": check_units, "workers": check_workers,
          "early": early.check_early, "e2e": e2e.check_e2e,
          "service": check_service, "msi": check_msi, "slow_disk": slow_disk.check_slow_disk, "load": check_load}
SECOND = ("e2e",)  # run in the second Windows, beside the others; tests/windows/CMakeLists.txt says the same


def run_checks(build, number, names):
    """In a Windows of their own. Unit tests write files with keys, which nobody else may read. Returns whether all hold."""
    own = ("units", "slow_disk")
    units, slow = ([name for name in names if name == one] for one in own)
    others = [name for name in names if name not in own]
    return all([run_some(build, number, some, **how) for some, how in
                ((others, {}), (units, {"umask": 0o077}), (slow, {"more": slow_disk.preload})) if some])


def run_some(build, number, names, umask=-1, more=None):
    good = True
    with Wine(build, number, umask, more) as wine:
        for name in names:
            started = time.monotonic()
            try:
                said = CHECKS[name](wine)
                say(f"ok     {name} ({time.monotonic() - started:.1f} s): {said}")
            except (AssertionError, subprocess.TimeoutExpired) as wrong:
                good = False
                say(f"FAILED {name} ({time.monotonic() - started:.1f} s): {wrong}")
    return good


def main():
    build, wanted = pathlib.Path(sys.argv[1]).resolve(), sys.argv[2:] or [name for name in CHECKS if name != "load"]
    for program in ("wine", "wineserver"):
        if not shutil.which(program):
            say(f"nothing tested: {program} is not there")
            sys.exit(SKIPPED)
    program = build / "kdnetd.exe"
    if not program.exists():
        say("nothing tested: kdnetd.exe is not built (./dev windows)")
        sys.exit(SKIPPED)
    if is_older(program):
        say("nothing tested: kdnetd.exe is older than its sources (./dev windows)")
        sys.exit(SKIPPED)
    if set(wanted) - {"programs", "files", "units", "signing"}:
        native("kdnet-target")  # or it ends here: sys.exit in a thread ends nothing
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(run_checks, build, 1, [name for name in wanted if name not in SECOND])
        second = pool.submit(run_checks, build, 2, [name for name in wanted if name in SECOND])
        good = [first.result(), second.result()]
    sys.exit(0 if all(good) else 1)


if __name__ == "__main__":
    main()
