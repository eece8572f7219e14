#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""kdnetd as a process: start, signals, reload, service manager, strangers, slow and absent readers of its results.

Each check_* function is one behaviour. Usage: check_daemon.py BUILD_FOLDER [CHECK]... Several checks run side by side,
each in a process of its own: most of their time they wait.
"""

import concurrent.futures
import json
import os
import random
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time

PATIENCE_S = 60  # of what should take a moment: only a broken kdnetd meets it
AT_ONCE = 4
ALONE = ("check_more_machines_than_inquiries_that_crash_at_once_all_get_results",)  # busy, not waiting
# Each process has loopback addresses of its own, as the e2e tests do.
HOST = f"127.{random.SystemRandom().randrange(2, 255)}.{random.SystemRandom().randrange(1, 255)}.1"
BUILD = os.path.abspath(sys.argv[1] if len(sys.argv) > 1 else os.environ.get("KDNETD_BUILD", "build"))
RVA = "4B444E45542D544152474554000000011:IopFinalCrashDumpStatus=0x3010"


def free_port():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.bind((HOST, 0))
        return s.getsockname()[1]


class Daemon:
    def __init__(self, *arguments, folder, port=None, environment=None, stdout=subprocess.DEVNULL, events=True):
        self.port = port or free_port()
        self.folder = folder
        self.events_path = os.path.join(folder, "events")
        self.log_path = os.path.join(folder, "log")
        command = [os.path.join(BUILD, "kdnetd")]
        if "--config" not in arguments:
            command += ["--listen", f"{HOST}:{self.port}"]
        if events:
            command += ["--events", self.events_path]
        command += ["--http", "none", "--http-socket", "none"]  # the defaults belong to one of many that run side by side
        command += list(arguments)
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(command, stdout=stdout, stderr=log, env={**os.environ, **(environment or {})})
        wait_for(lambda: "msg=serving" in self.log() or self.process.poll() is not None, "kdnetd serves")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        """As the service manager ends it, so that sanitizers and coverage have their say."""
        try:
            self.stop()
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise
        assert "Sanitizer" not in self.log(), self.log()

    def log(self):
        with open(self.log_path, errors="replace") as f:
            return f.read()

    def events(self, name=None):
        if not os.path.exists(self.events_path):
            return []
        with open(self.events_path) as f:
            events = [json.loads(line) for line in f if line.endswith("\n")]
        return [e for e in events if name is None or e["event"] == name]

    def signal(self, number):
        self.process.send_signal(number)

    def stop(self, timeout=PATIENCE_S):
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout)


def target(port, key, *arguments):
    command = [os.path.join(BUILD, "kdnet-target"), "--host", f"{HOST}:{port}", "--key", key, *arguments]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def wait_for(condition, what):
    end = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end, f"not within {PATIENCE_S} s: {what}"
        time.sleep(0.01)


def end(process):
    process.kill()
    process.wait()


def check_port_that_is_taken_ends_with_1_and_names_the_remedy(folder):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.bind((HOST, 0))
        with Daemon("--target", "t=1.2.3.4", folder=folder, port=s.getsockname()[1]) as d:
            assert d.process.wait(PATIENCE_S) == 1
            assert "ss -ulpn" in d.log()


def check_wrong_options_end_with_2(folder):
    kdnetd = os.path.join(BUILD, "kdnetd")
    for arguments in (["--nonsense"], ["--listen", "1.2.3.4"], ["--target", "a=1.2.3"], ["--check", "/nonexistent"],
                      ["--lost-after", "1h30"], ["--policy", "break=explode"], ["stray"]):
        done = subprocess.run([kdnetd, *arguments], capture_output=True, text=True, timeout=PATIENCE_S)
        assert done.returncode == 2 and done.stderr and not done.stdout, arguments
    config = os.path.join(folder, "k.yaml")
    with open(config, "w") as f:
        f.write("targets:\n  - {name: a, key: 1.2.3.4}\n")
    os.chmod(config, 0o600)
    for arguments in (["--check", config], ["--config", config, "--check"]):
        assert subprocess.run([kdnetd, *arguments], capture_output=True, timeout=PATIENCE_S).returncode == 0, arguments


def has_systemd():
    linked = subprocess.run(["ldd", os.path.join(BUILD, "kdnetd")], capture_output=True, text=True, check=False)
    return "libsystemd" in linked.stdout


def check_service_manager_is_told(folder):
    if not has_systemd():
        print("    nothing tested: kdnetd is built without libsystemd")
        return
    path = os.path.join(folder, "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
        s.bind(path)
        s.settimeout(PATIENCE_S)
        with Daemon("--target", "t=1.2.3.4", folder=folder,
                    environment={"NOTIFY_SOCKET": path, "WATCHDOG_USEC": "200000"}) as d:
            told = s.recv(4096).decode()
            while told.startswith("FDSTORE"):  # sockets that are kept over a restart come first
                told = s.recv(4096).decode()
            if told != "READY=1":
                raise AssertionError(told)
            seen = []
            while seen.count("WATCHDOG=1") < 1 or select.select([s], [], [], 0)[0]:  # others may have waited
                seen.append(s.recv(4096).decode())
            started, before = time.monotonic(), len(seen)
            while seen[before:].count("WATCHDOG=1") < 5:
                seen.append(s.recv(4096).decode())
            assert seen[0] == "STATUS=serving 1 targets, 0 connected, 0 halted", seen
            assert time.monotonic() - started > 0.25, "twice in the 200 ms that the service manager waits, not all the time"
            d.signal(signal.SIGHUP)
            while not seen[-1].startswith("RELOADING=1\nMONOTONIC_USEC="):
                seen.append(s.recv(4096).decode())
            while seen[-1] == "WATCHDOG=1" or seen[-1].startswith("RELOADING"):
                seen.append(s.recv(4096).decode())
            assert seen[-1] == "READY=1", seen
            assert d.stop() == 0
            s.setblocking(False)
            while seen[-1] != "STOPPING=1":
                seen.append(s.recv(4096).decode())


def check_unknown_machine_is_told_once_with_a_hint(folder):
    with Daemon("--target", "t=1.2.3.4", folder=folder) as d:
        stranger = target(d.port, "5.6.7.8", "--protocol", "4")
        try:
            wait_for(lambda: d.events("unknown_target"), "an unknown_target event")
            time.sleep(4)
            events = d.events("unknown_target")
            assert len(events) == 1 and events[0]["version"] == 4 and events[0]["count"] >= 1, events
            assert "bcdedit /dbgsettings" in events[0]["hint"] and events[0]["target"] is None
            assert d.log().count("no configured key opens it") == 1
        finally:
            end(stranger)


def check_machine_at_a_wrong_address_is_told_with_its_target(folder):
    key = os.path.join(folder, "key")
    write(key, "1.2.3.4 192.0.2.1 strict=true\n")
    with Daemon("--target", f"t=@{key}", folder=folder) as d:
        machine = target(d.port, "1.2.3.4")
        try:
            wait_for(lambda: d.events("unknown_target"), "an unknown_target event")
            assert "key of target t, which is configured for 192.0.2.1" in d.events("unknown_target")[0]["hint"]
            assert not d.events("connected")
        finally:
            end(machine)


def check_garbage_leaves_a_machine_served_and_the_log_short(folder):
    draw = random.Random(1)
    with Daemon("--target", "t=1.2.3.4", folder=folder) as d, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        machine = target(d.port, "1.2.3.4", "--scenario", "bugcheck", "--dump-ms", "1500", "--delay-ms", "500", "--exit")
        for i in range(20000):
            header = b"MDBG" + bytes([draw.choice((2, 4, 5)), draw.choice((0, 1))])
            body = draw.randbytes(draw.choice((0, 1, 15, 16, 32, 352, 368, 1024)))
            s.sendto((header if i % 4 else b"") + body, (HOST, d.port))
            if i % 100 == 0:
                time.sleep(0.005)
        assert machine.wait(PATIENCE_S) == 0
        wait_for(lambda: len(d.events("crash_status")) == 2, "two results")
        assert d.log().count("\n") < 30, d.log()
        d.signal(signal.SIGUSR1)
        wait_for(lambda: "msg=summary" in d.log(), "a summary")


def write(path, text):
    with open(path, "w") as f:
        f.write(text)
    os.chmod(path, 0o600)


def check_strange_data_gets_no_answer_longer_than_itself(folder):
    names = [f"--target=t{i}=1.2.3.{i}" for i in range(1, 30)]
    with Daemon(*names, folder=folder) as d, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        for length, most in ((38, 1), (118, 3), (390, 10)):
            time.sleep(0.1)
            s.sendto(b"MDBG\x05\x00" + bytes(length - 6), (HOST, d.port))
            s.settimeout(PATIENCE_S)
            answers = [s.recv(2048)]
            s.settimeout(0.3)
            try:
                while True:
                    answers.append(s.recv(2048))
            except TimeoutError:
                pass
            assert 1 <= len(answers) <= most, (length, len(answers))
            assert sum(map(len, answers)) <= length
            assert all(a[:6] == b"MDBG\x05\x01" for a in answers)


def check_reload_adds_and_removes_without_touching_the_others(folder):
    port, other_port = free_port(), free_port()
    config = os.path.join(folder, "k.yaml")
    write(config, f'listen: ["{HOST}:{port}"]\ntargets_file: targets\n')
    write(os.path.join(folder, "targets"), "stays 1.1.1.1\ngoes 2.2.2.2\n")
    with Daemon("--config", config, folder=folder, port=port) as d:
        machines = [target(port, "1.1.1.1"), target(port, "2.2.2.2"), target(port, "3.3.3.3")]
        try:
            wait_for(lambda: len(d.events("connected")) == 2, "two connected")
            write(os.path.join(folder, "targets"), "stays 1.1.1.1\ncomes 3.3.3.3\n")
            write(config, f'listen: ["{HOST}:{port}", "{HOST}:{other_port}"]\ntargets_file: targets\n')
            d.signal(signal.SIGHUP)
            wait_for(lambda: len(d.events("connected")) == 3, "the new one connected")
            machines.append(target(other_port, "1.1.1.1"))
            names = [e["target"] for e in d.events("connected")]
            assert sorted(names[:2]) == ["goes", "stays"] and names[2] == "comes", names
            assert d.log().count("target removed") == 1

            write(os.path.join(folder, "targets"), "stays 1.1.1.1\nbad 3.3.3\n")
            d.signal(signal.SIGHUP)
            wait_for(lambda: "configuration is wrong" in d.log(), "the mistake is told")
            os.rename(d.events_path, d.events_path + ".1")
            d.signal(signal.SIGHUP)
            wait_for(lambda: os.path.exists(d.events_path), "the result file is opened again")
            assert d.stop() == 0
        finally:
            for machine in machines:
                end(machine)


def check_reloads_in_a_row_end_with_the_last_and_disturb_nobody(folder):
    port = free_port()
    config, targets = os.path.join(folder, "k.yaml"), os.path.join(folder, "targets")
    many = "".join(f"other-{i} 9.9.{i}.1{' 127.9.9.9' if i % 2 else ''}\n" for i in range(1, 20000))
    write(config, f'listen: ["{HOST}:{port}"]\ntargets_file: targets\n')
    write(targets, many + "stays 1.1.1.1\n")
    with Daemon("--config", config, folder=folder, port=port) as d:
        machines = [target(port, "1.1.1.1"), target(port, "3.3.3.3")]
        try:
            wait_for(lambda: len(d.events("connected")) == 1, "the machine connected")
            for turn in range(5):
                name = "comes 3.3.3.3\n" if turn == 4 else f"other-{turn + 20000} 9.9.{turn + 20000}.1\n"
                some = many if turn % 2 == 0 else many[:len(many) // 2].rsplit("\n", 1)[0] + "\n"
                write(targets + ".new", some + "stays 1.1.1.1\n" + name)
                os.replace(targets + ".new", targets)  # kdnetd may be reading: it sees the one or the other
                d.signal(signal.SIGHUP)
            wait_for(lambda: len(d.events("connected")) == 2, "the one of the last reload connected")
            assert [e["target"] for e in d.events("connected")] == ["stays", "comes"]
            assert not d.events("lost")
            d.signal(signal.SIGHUP)
            assert d.stop() == 0
        finally:
            for machine in machines:
                end(machine)


def check_absent_reader_of_results_changes_nothing_for_machines(folder):
    read_end, write_end = os.pipe()
    with Daemon("--target", "t=1.2.3.4", "--events", "-", folder=folder, stdout=write_end, events=False) as d:
        os.close(write_end)
        os.close(read_end)
        machine = target(d.port, "1.2.3.4", "--scenario", "bugcheck", "--exit")
        assert machine.wait(PATIENCE_S) == 0
        assert d.log().count("nobody reads the results") == 1
        assert d.stop() == 1
        assert "results were lost" in d.log()


def fleet_config(folder, port, count):
    listing = subprocess.run([os.path.join(BUILD, "kdnet-target"), "--host", "127.0.0.1:1", "--key", "1.2.3.4", "--count",
                              str(count), "--print-targets"], capture_output=True, text=True, check=True)
    write(os.path.join(folder, "targets"), listing.stdout)
    config = os.path.join(folder, "k.yaml")
    write(config, f'listen: ["{HOST}:{port}"]\ntargets_file: targets\n')
    return config


def check_more_machines_than_inquiries_that_crash_at_once_all_get_results(folder):
    count, port = 1500, free_port()
    config = fleet_config(folder, port, count)
    with Daemon("--config", config, "--rva", RVA, "--read-deadline", "30s", folder=folder, port=port) as d:
        fleet = target(port, "1.2.3.4", "--count", str(count), "--scenario", "bugcheck", "--dump-ms", "1000", "--delay-ms",
                       "8000", "--exit")
        assert fleet.wait(5 * PATIENCE_S) == 0
        assert d.stop() == 0
        seen = {}
        for e in d.events("crash_status"):
            seen.setdefault(e["target"], []).append((e["phase"], e["verdict"], e["status"]))
        wanted = [("bugcheck_first", "not_started", "0xFFFFFFFF"), ("shutdown", "written", "0x00000000")]
        wrong = {name: results for name, results in seen.items() if results != wanted}
        assert len(seen) == count and not wrong, (len(seen), list(wrong.items())[:3])


def check_slow_reader_of_results_gets_them_all_and_machines_do_not_wait(folder):
    read_end, write_end = os.pipe()
    count = 100
    port = free_port()
    config = fleet_config(folder, port, count)
    with Daemon("--config", config, "--events", "-", "--rva", RVA, "--read-deadline", "30s", folder=folder, port=port,
                stdout=write_end, events=False) as d:
        os.close(write_end)
        fleet = target(port, "1.2.3.4", "--count", str(count), "--scenario", "bugcheck", "--delay-ms", "4000", "--exit")
        assert fleet.wait(PATIENCE_S) == 0
        d.signal(signal.SIGTERM)
        text = b""
        while select.select([read_end], [], [], PATIENCE_S)[0]:
            some = os.read(read_end, 65536)
            if not some:
                break
            text += some
        assert d.process.wait(PATIENCE_S) == 0
        events = [json.loads(line) for line in text.splitlines()]
        results = [e for e in events if e["event"] == "crash_status"]
        assert len(results) == 2 * count, len(results)
        assert {e["verdict"] for e in results if e["phase"] == "shutdown"} == {"written"}
    os.close(read_end)


def check_reader_that_never_reads_does_not_keep_kdnetd_from_ending(folder):
    read_end, write_end = os.pipe()
    os.set_blocking(write_end, False)
    try:
        while True:
            os.write(write_end, b"\n" * 4096)
    except BlockingIOError:
        os.set_blocking(write_end, True)
    with Daemon("--target", "t=1.2.3.4", "--events", "-", folder=folder, stdout=write_end, events=False) as d:
        machine = target(d.port, "1.2.3.4", "--scenario", "bugcheck", "--exit")
        assert machine.wait(PATIENCE_S) == 0
        assert d.stop() == 1
        assert "results were lost" in d.log()
    os.close(write_end)
    os.close(read_end)


def check_machine_that_halts_while_kdnetd_is_dead_is_released_after_its_restart(folder):
    port = free_port()
    for address in ("", "@127.1.0.1"):
        arguments = ("--target", f"t=1.2.3.4{address}", "--rva", RVA)
        with Daemon(*arguments, folder=folder, port=port) as d:
            before = len(d.events("released"))
            machine = target(port, "1.2.3.4", "--bind", "127.1.0.1:0", "--scenario", "int3", "--delay-ms", "1500", "--exit")
            wait_for(lambda: d.events("connected"), "connected")
            d.process.kill()
        time.sleep(2)
        os.unlink(d.log_path)
        with Daemon(*arguments, folder=folder, port=port) as d:
            started = time.monotonic()
            wait_for(lambda: len(d.events("released")) > before, "released")
            print(f"    released {time.monotonic() - started:.3f} s after the restart")
            assert machine.wait(PATIENCE_S) == 0


def check_two_machines_with_one_key_are_told(folder):
    with Daemon("--target", "t=1.2.3.4", folder=folder) as d:
        machines = [target(d.port, "1.2.3.4"), target(d.port, "1.2.3.4", "--seed", "2")]
        try:
            wait_for(lambda: "two machines seem to share the key" in d.log(), "the warning")
            time.sleep(4)
            assert d.log().count("two machines seem to share the key") == 1
        finally:
            for machine in machines:
                end(machine)


def check_two_machines_with_one_key_both_go_on(folder):
    with Daemon("--target", "t=1.2.3.4", "--rva", RVA, folder=folder) as d:
        machines = [target(d.port, "1.2.3.4", "--seed", str(n), "--scenario", "int3", "--delay-ms", "2000", "--exit")
                    for n in (1, 2)]
        for machine in machines:
            assert machine.wait(PATIENCE_S) == 0
        results = d.events("crash_status")
        assert len({e["address"] for e in results if e["verdict"] == "not_started"}) == 2, results


def check_machine_that_another_host_has_is_told_and_left_alone(folder):
    with Daemon("--target", "t=1.2.3.4", folder=folder) as d:
        machine = target(d.port, "1.2.3.4", "--scenario", "elsewhere")
        try:
            wait_for(lambda: "names another host as its debugger" in d.log(), "the warning")
            time.sleep(7)
            lines = [line for line in d.log().splitlines() if "names another host" in line]
            assert len(lines) == 1, lines
            assert "level=warning" in lines[0] and "target=t " in lines[0] and "other=192.0.2.99:50000" in lines[0], lines
            assert len(d.events("connected")) == 1
        finally:
            end(machine)


def run_check(name):
    """Returns whether it passed; prints how it went."""
    with tempfile.TemporaryDirectory(prefix="kdnetd-check-") as folder:
        started = time.monotonic()
        try:
            globals()[name](folder)
            print(f"ok      {name} ({time.monotonic() - started:.1f} s)", flush=True)
            return True
        except Exception as error:  # each check is told, whatever it died of
            print(f"FAILED  {name}: {type(error).__name__}: {error}", flush=True)
            log = os.path.join(folder, "log")
            if os.path.exists(log):
                with open(log, errors="replace") as f:
                    print("        " + f.read()[-3000:].replace("\n", "\n        "))
            return False


def run_alone(name):
    """The check in a process of its own."""
    done = subprocess.run([sys.executable, "-B", os.path.abspath(__file__), BUILD, name], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, check=False)
    print(done.stdout, end="", flush=True)
    return done.returncode == 0


def main():
    chosen = sys.argv[2:]
    if len(chosen) == 1:
        return 0 if run_check(chosen[0]) else 1
    checks = chosen or sorted(name for name in globals() if name.startswith("check_"))
    passed = [run_alone(name) for name in checks if name in ALONE]
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        passed += pool.map(run_alone, [name for name in checks if name not in ALONE])
    return 0 if all(passed) else 1


if __name__ == "__main__":
    sys.exit(main())
