# SPDX-License-Identifier: Apache-2.0
"""kdnet-target.exe pokes before kdnetd.exe is there: its computer is told "connection refused", and it goes on to listen."""
import json
import pathlib
import shutil
import socket
import subprocess

from wine import PATIENCE, expect, wait, write_closed

KEY = "1.2.3.4"
GUIDAGE = "4B444E45542D544152474554000000011"


def refusals():
    """Datagrams of this computer that nobody listened for."""
    names, counts = [line.split() for line in pathlib.Path("/proc/net/snmp").read_text().splitlines()
                     if line.startswith("Udp:")]
    return int(counts[names.index("NoPorts")])


def let_it_poke(socket_of_port):
    """Until its first poke has come, and a later one found nobody."""
    socket_of_port.settimeout(PATIENCE)
    try:
        socket_of_port.recv(2048)
    except TimeoutError:
        raise AssertionError("kdnet-target.exe does not poke") from None
    before = refusals()
    socket_of_port.close()
    wait(lambda: refusals() > before, "a poke is refused")


def start(wine, folder, name, *options):
    with open(folder / f"{name}.log", "wb") as log:
        return subprocess.Popen(["wine", str(wine.build / f"{name}.exe"), *options], env=wine.env, cwd=folder,
                                stdin=subprocess.DEVNULL, stdout=log, stderr=log)


def check_early(wine):
    folder, taken = wine.build / "early", socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    taken.bind(("127.0.0.1", 0))
    port = taken.getsockname()[1]
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700)
    write_closed(folder / "kdnetd.yaml", f'listen: "127.0.0.1:{port}"\nevents: events.jsonl\nhttp: none\nstore: none\n'
                 f'targets:\n  - {{name: m, key: {KEY}}}\n'
                 f'rva:\n  - {{guidage: {GUIDAGE}, symbol: IopFinalCrashDumpStatus, rva: 0x3010}}\n')
    programs = [start(wine, folder, "kdnet-target", "--host", f"127.0.0.1:{port}", "--key", KEY, "--bind", "127.0.0.1:0",
                      "--scenario", "bugcheck", "--status", "0x0", "--exit", "--duration-ms", "80000")]
    try:
        let_it_poke(taken)
        programs.append(start(wine, folder, "kdnetd", "--config", "kdnetd.yaml"))
        wait(lambda: programs[0].poll() is not None, "the machine has its crash behind it",
             lambda: (folder / "kdnetd.log").read_text("utf-8", "replace")[-2000:])
        expect(programs[0].returncode == 0, "kdnet-target.exe ends well", (folder / "kdnet-target.log").read_text())
        events = [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()]
        expect([e["verdict"] for e in events if e["event"] == "crash_status" and e["phase"] == "shutdown"] == ["written"],
               "its result is right", str(events)[-2000:])
    finally:
        taken.close()
        for program in programs:
            program.kill()
            program.wait(PATIENCE)
    return "a machine that poked before kdnetd was there"
