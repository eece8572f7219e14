# SPDX-License-Identifier: Apache-2.0
"""The service on a computer whose disk is slow, hangs, or takes no results: it serves, and ends when it is told to.

Such a disk is slow_disk.c, preloaded in a Windows of this check alone.
"""
import json
import re
import shutil
import socket
import subprocess
import time

from wine import PATIENCE, expect, free_port, native, text, told, wait, write_closed

KEY = "1.2.3.4"
GUIDAGE = "4B444E45542D544152474554000000011"
MACHINES = 3
SLOW_MS = 300
HANGS_MS = 600_000
PRESHUTDOWN_S = 20  # service/platform/windows/install.c


def preload(wine):
    """Into the environment of a Windows that has not begun."""
    return {"LD_PRELOAD": native("tests/slow_disk.so"), "KDNETD_SLOW_DISK": str(mark(wine))}


def mark(wine):
    return wine.build / "slow_disk"


def hold_writes(wine):
    return mark(wine).with_name("slow_disk.write")


def set_disk(wine, ms):
    mark(wine).write_text(str(ms), encoding="ascii")


def verb(wine, *words, code=0):
    done = wine.run(wine.build / "kdnetd.exe", "service", *words)
    expect(done.returncode == code, f"service {' '.join(words)}: exit status {done.returncode}, not {code}",
           told(done) + read_log(wine)[-3000:])
    return text(done)


def read_log(wine):
    path = wine.data / "log/kdnetd.log"
    return path.read_text("utf-8", "replace") if path.exists() else ""


def results(wine):
    path = wine.data / "log/events.jsonl"
    events = [json.loads(line) for line in (path.read_text("utf-8") if path.exists() else "").splitlines()]
    return [e["id"] for e in events if e["event"] == "crash_status" and e["phase"] == "shutdown"]


def configure(wine, port, http):
    names = subprocess.run([native("kdnet-target"), "--host", f"127.0.0.1:{port}", "--key", KEY, "--count", str(MACHINES),
                            "--print-targets"], capture_output=True, text=True, check=True, timeout=60).stdout
    write_closed(wine.data / "targets", names)
    write_closed(wine.data / "kdnetd.yaml",
                 f'listen: "127.0.0.1:{port}"\nevents: \'C:\\ProgramData\\kdnetd\\log\\events.jsonl\'\n'
                 f'http: "127.0.0.1:{http}"\ntargets_file: targets\n'
                 f'rva:\n  - {{guidage: {GUIDAGE}, symbol: IopFinalCrashDumpStatus, rva: 0x3010}}\n')


def crash_all(wine, port, seed):
    """Crashes of their own: with one seed they would be the same again."""
    done = subprocess.run([native("kdnet-target"), "--host", f"127.0.0.1:{port}", "--key", KEY, "--count", str(MACHINES),
                           "--bind", "127.0.0.1:0", "--scenario", "bugcheck", "--status", "0x0", "--exit",
                           "--duration-ms", "80000", "--seed", str(seed)], capture_output=True, timeout=PATIENCE)
    expect(done.returncode == 0, f"machines end well ({done.returncode})", told(done) + read_log(wine)[-3000:])


def crashes_stored(wine):
    listed = text(wine.run(wine.build / "kdnetctl.exe", "crashes"))
    return len(re.findall(r"\bwritten\b", listed))


def expect_stopped(wine, what, exit_status):
    """As told: then Windows does not start it again. What a process that just went away leaves is exit code 1067."""
    listed = text(wine.run("sc", "query", "kdnetd"))
    found = re.search(r"WIN32_EXIT_CODE\s*:\s*(\d+).*?SERVICE_EXIT_CODE\s*:\s*(\d+)", listed, re.S)
    expect("STOPPED" in listed and found and int(found[2]) == exit_status, f"{what}: its end was told", listed)


def check_slow(wine, port):
    set_disk(wine, SLOW_MS)
    verb(wine, "start")
    verb(wine, "status")
    crash_all(wine, port, 1000)
    wait(lambda: len(results(wine)) == MACHINES, "results on a slow disk", lambda: read_log(wine)[-3000:])
    wait(lambda: crashes_stored(wine) == MACHINES, "crashes in the store on a slow disk", lambda: read_log(wine)[-3000:])
    took = stop_in_time(wine, "a slow disk")
    expect_stopped(wine, "a slow disk", 0)
    expect("level=error" not in read_log(wine), "a slow disk is no error", read_log(wine)[-3000:])
    return took


def stop_in_time(wine, what):
    """Before Windows would end it when it shuts down. Returns how long it took."""
    begun = time.monotonic()
    verb(wine, "stop")
    took = time.monotonic() - begun
    expect(took < PRESHUTDOWN_S, f"{what}: it ends in time ({took:.1f} s)", read_log(wine)[-3000:])
    return took


def check_hanging(wine, port):
    set_disk(wine, 0)
    verb(wine, "start")
    set_disk(wine, HANGS_MS)
    crash_all(wine, port, 2000)
    wait(lambda: len(results(wine)) == 2 * MACHINES, "results while the store hangs", lambda: read_log(wine)[-3000:])
    took = stop_in_time(wine, "a disk that hangs")
    set_disk(wine, 0)
    expect_stopped(wine, "a disk that hangs", 0)
    expect("hangs; it is not waited for" in read_log(wine), "what was logged last is in the log", read_log(wine)[-3000:])
    return took


def check_held_results(wine, port):
    verb(wine, "start")
    wait(lambda: crashes_stored(wine) == 2 * MACHINES, "what the store lacked it has from the result file",
         lambda: read_log(wine)[-3000:])
    hold_writes(wine).write_text("events.jsonl", encoding="ascii")
    crash_all(wine, port, 3000)
    set_disk(wine, HANGS_MS)
    took = stop_in_time(wine, "everything hangs")
    set_disk(wine, 0)
    hold_writes(wine).unlink()
    expect_stopped(wine, "results that cannot be written", 1)
    return took


def check_slow_disk(wine):
    shutil.rmtree(wine.data, ignore_errors=True)
    set_disk(wine, 0)
    hold_writes(wine).unlink(missing_ok=True)
    port, http = free_port(), free_port(socket.SOCK_STREAM)
    wine.env["KDNETD_URL"] = f"http://127.0.0.1:{http}"
    wine.run(wine.build / "kdnetd.exe", "service", "uninstall")
    verb(wine, "install")
    configure(wine, port, http)
    try:
        took = [check(wine, port) for check in (check_slow, check_hanging, check_held_results)]
    finally:
        set_disk(wine, 0)
        hold_writes(wine).unlink(missing_ok=True)
        verb(wine, "uninstall")
    return f"fsync in {SLOW_MS} ms, never, and writes that hang: stopped in " + ", ".join(f"{one:.1f}" for one in took) + " s"
