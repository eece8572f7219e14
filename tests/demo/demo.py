#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""kdnetd at its job: a dozen simulated machines, what it finds out about each, and a table at the end.

In a terminal it draws a line a machine over time and redraws it in place; elsewhere it prints a line for each thing that
happens. Started by ./dev demo, which builds the programs first, and by the test demo/once. With --once it ends by itself, with
exit status 0 only if kdnetd and the machines themselves agree on everything that happened.
"""
import argparse
import ctypes
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import textwrap
import time

import screen
from machines import (AFTER, CRASH, DONE, GUIDAGE, MACHINES, Machine, conclusion, machine_crashed, questions, short, tone,
                      verdict)

RVA = "0x3010"
READY_S = 30
EVENTS_S = 45  # at most; a run takes about 15
LOOK_S = 0.05  # between two looks at kdnetd's results, and between two pictures
ASK_S = 0.5  # between two requests for the machines' own accounts
SETTLE_S = 1.0  # after the last expected event, for one that nobody expects
END_S = 5
PR_SET_PDEATHSIG = 1

GREETING = """\
One kdnetd and a dozen simulated Windows machines, all on this computer; each has kernel debugging over the network
on, and a fate of its own. When one stops, kdnetd asks it what became of its crash dump, and lets it go on.
"""
TITLE = ("kdnetd and simulated Windows machines, all on this computer. When one stops, kdnetd asks it what became of its "
         "crash dump, and lets it go on.")
FAREWELL = (
    "The machines' own accounts agree with kdnetd's in every case. \"unknown: no_symbols\" means: kdnetd saw the crash and "
    "let the machine go on, but was not told where that kernel keeps the status of its dump (README.md says why).",
    "Next, for a real machine, make its key, the line for kdnetd's configuration, and the commands to run on the machine:")
NEXT = "  build/demo/kdnetctl keygen web-17 --host-ip KDNETDS-ADDRESS --port 50000"

class Trouble(Exception):
    """Something that the person at the terminal must know; its text says what."""


def die_with_parent():
    """Runs in a child before its program: nothing is left behind if this program is killed."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def free_port():
    """For UDP and for TCP, whose outgoing connections take other ports than those of UDP."""
    while True:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe, socket.socket() as other:
            probe.bind(("127.0.0.1", 0))
            try:
                other.bind(probe.getsockname())
                return probe.getsockname()[1]
            except OSError:
                pass


def columns():
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else 160


def private(path, flags):
    """Opener of files that others must not read."""
    return os.open(path, flags, 0o600)


def tail(path, lines=8):
    with open(path, encoding="utf-8", errors="replace") as file:
        return "".join(file.readlines()[-lines:]).rstrip()


class Spawner:
    """Starts processes with their output in files, and ends every one of them, by its id."""

    def __init__(self, folder):
        self.folder, self.processes = folder, []

    def spawn(self, command, output, log):
        with open(output, "w", encoding="utf-8") as out, open(log, "w", encoding="utf-8") as errors:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=errors,
                                       start_new_session=True, preexec_fn=die_with_parent)
        self.processes.append(process)
        return process

    def end_all(self):
        for process in reversed(self.processes):
            end(process)


class Demo:
    def __init__(self, options):
        self.options = options
        self.folder = tempfile.mkdtemp(prefix="kdnetd-demo-")
        self.spawner = Spawner(self.folder)
        self.machines = [Machine(i, *row) for i, row in enumerate(MACHINES)]
        if options.replay:
            story = f"replay of {os.path.basename(options.replay)}"
            arguments = ["--replay", options.replay, "--replay-key", options.replay_key, "--delay-ms", "9000"]
            self.machines.append(Machine(len(MACHINES), "captured-01", story, arguments, None))
        self.by_name = {m.name: m for m in self.machines}
        self.kdnetd, self.started, self.events, self.rest = None, time.monotonic(), None, ""
        self.screen, self.newest, self.asked, self.footer = screen.screen_for(sys.stdout), None, 0.0, ""

    def path(self, name):
        return os.path.join(self.folder, name)

    def program(self, name):
        return os.path.join(self.options.programs, name)

    def say(self, name, text):
        if not self.screen:
            print(f"{time.monotonic() - self.started:6.1f} s  {name:<11}  {text}", flush=True)

    # Starting and ending

    def write_configuration(self, port):
        lines = ["listen:", f'  - "127.0.0.1:{port}"', f'events: "{self.path("events.jsonl")}"',
                 f"read_deadline: {self.options.read_deadline}", "rva:",
                 f"  - guidage: {GUIDAGE}", "    symbol: nt!IopFinalCrashDumpStatus", f"    rva: {RVA}", "targets:"]
        for machine in self.machines:
            lines += [f"  - name: {machine.name}", f"    key: {machine.key}"]
        with open(self.path("kdnetd.yaml"), "w", encoding="utf-8", opener=private) as file:
            file.write("\n".join(lines) + "\n")

    def start_kdnetd(self):
        for _ in range(5):  # another program may take the port in between
            port = free_port()
            self.write_configuration(port)
            log = self.path("kdnetd.log")
            command = [self.program("kdnetd"), "--config", self.path("kdnetd.yaml")]
            open(self.path("events.jsonl"), "a", encoding="utf-8", opener=private).close()  # kdnetd may open it late
            self.kdnetd = self.spawner.spawn(command, os.devnull, log)
            give_up = time.monotonic() + READY_S
            while time.monotonic() < give_up and self.kdnetd.poll() is None:
                if "msg=serving" in tail(log):
                    self.events = open(self.path("events.jsonl"), encoding="utf-8")
                    return port
                time.sleep(0.02)
            if self.kdnetd.poll() is None or "in use" not in tail(log):
                break
        raise Trouble(f"kdnetd did not start:\n{tail(log)}")

    def start_machine(self, machine, port):
        arguments = machine.arguments.split() if isinstance(machine.arguments, str) else machine.arguments
        command = [self.program("kdnet-target"), "--host", f"127.0.0.1:{port}", "--key", machine.key,
                   "--bind", f"{machine.address}:0", "--json", *arguments]
        output = self.path(machine.name)
        machine.process = self.spawner.spawn(command, output + ".json", output + ".log")

    def end_machine(self, machine):
        if not machine.process:
            return
        code = end(machine.process)
        account = self.account(machine)
        if account:
            machine.on_account({**account, "exit": code})
        else:
            machine.summary = None

    def account(self, machine):
        """The newest whole line of a machine's own account of itself; None: there is none."""
        try:
            with open(self.path(machine.name + ".json"), encoding="utf-8") as file:
                return json.loads(file.read().rpartition("\n")[0].rpartition("\n")[2])
        except (OSError, ValueError):
            return None

    def ask_machines(self):
        """Takes the machines' own accounts, and asks for newer ones. One that is connected listens to USR1."""
        if time.monotonic() - self.asked < ASK_S:
            return
        self.asked = time.monotonic()
        for machine in self.machines:
            if not (machine.connected and machine.expected == []):
                continue
            account = self.account(machine)
            if account:
                machine.on_account(account)
            if not account or account["state"] != "ended":
                machine.process.send_signal(signal.SIGUSR1)

    def leave_screen(self):
        if self.screen:
            self.screen.leave()

    def close(self):
        self.leave_screen()
        self.spawner.end_all()
        if self.events:
            self.events.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    # What kdnetd says

    def look(self):
        self.rest += self.events.read()
        *lines, self.rest = self.rest.split("\n")
        for line in lines:
            event = json.loads(line)
            machine = self.by_name.get(event["target"])
            if machine:
                getattr(self, "on_" + event["event"], lambda m, e: None)(machine, event)
        self.check_alive()

    def check_alive(self):
        if self.kdnetd.poll() is not None:
            raise Trouble(f"kdnetd ended with status {self.kdnetd.returncode}:\n{tail(self.path('kdnetd.log'))}")
        for machine in self.machines:
            if machine.process and machine.process.poll() is not None:
                raise Trouble(f"{machine.name}: kdnet-target ended with status {machine.process.returncode}:\n"
                              f"{tail(self.path(machine.name + '.log'))}")

    def on_connected(self, machine, event):
        machine.connected += 1
        if event["rebooted"] and not machine.bugcheck and machine.timeline.steps:
            machine.timeline.steps[-1].word = "boot loader"
        if event["rebooted"] or machine.connected == 1:
            machine.timeline.add("", "run", None)
        if event["rebooted"]:
            self.say(machine.name, "is back after a reboot" if machine.bugcheck else "has started its kernel")
            machine.bugcheck = None
        elif machine.connected == 1:
            self.say(machine.name, f"connects from {event['address']} (KDNET version {event['version']})")

    def on_bugcheck(self, machine, event):
        machine.bugcheck = event
        self.say(machine.name, f"CRASHES: {short(event['code'])} {event['name']}")

    def on_break_in(self, machine, event):
        machine.phase = event["phase"]
        if machine.phase == "bugcheck_first":
            code = short(machine.bugcheck["code"]) if machine.bugcheck else ""
            machine.timeline.add("✖", "break", "bad", True, code)
        elif machine.phase not in CRASH:
            machine.timeline.add("✖", "break" if event["exception"] else "boot loader", "busy", True)
        if event["phase"] == "break":
            exception = event["exception"]
            self.say(machine.name, f"stops: {exception['name'] or exception['code']} at {exception['address']}")
        elif event["phase"] == "boot":
            self.say(machine.name, "stops in the boot loader")

    def on_crash_status(self, machine, event):
        machine.results.append(event)
        self.newest = event
        if event["phase"] in ("bugcheck_second", "shutdown"):
            machine.timeline.end(event["since_first_ms"] and event["since_first_ms"] / 1000)
            machine.timeline.add(*conclusion(event))
        self.say(machine.name, f"{verdict(event)} {DONE.get(event['phase'], '')}")

    def on_released(self, machine, event):
        machine.timeline.end(event["halted_ms"] / 1000)
        if event["action"] == "hold":
            machine.held = True
            machine.timeline.add("■", "held", "bad")
        else:
            machine.halted_ms.append(event["halted_ms"])
            machine.timeline.add(*AFTER.get(machine.phase, ("", "run", None)))

    def on_lost(self, machine, _event):
        machine.timeline.add("✖", "lost", "bad")
        self.say(machine.name, "is lost: no datagram for 30 s")

    # The whole

    def draw(self):
        if not self.screen:
            return
        words = ("", None)
        if self.newest:
            done = DONE.get(self.newest["phase"], "")
            words = (f"{self.newest['target']}: {verdict(self.newest)} {done}", tone(self.newest))
        self.screen.draw(self.machines, self.newest, words, self.footer, TITLE)

    def look_and_draw(self):
        self.look()
        self.ask_machines()
        self.draw()
        time.sleep(LOOK_S)

    def wait(self):
        give_up, quiet_since = time.monotonic() + EVENTS_S, None
        while time.monotonic() < give_up:
            self.look_and_draw()
            waiting = [m for m in self.machines if m.expected is not None and m.missing()]
            replay = [m for m in self.machines if m.expected is None and not (m.connected and m.results)]
            if waiting or (replay and time.monotonic() - self.started < 30):
                quiet_since = None
            elif quiet_since is None:
                quiet_since = time.monotonic()
            elif time.monotonic() - quiet_since >= SETTLE_S:
                return

    def run(self):
        if not self.screen:
            print(GREETING, flush=True)
        port = self.start_kdnetd()
        how = "It ends by itself, in a quarter of a minute." if self.options.once else "Ctrl-C ends it all."
        self.footer = f"kdnetd listens at 127.0.0.1:{port}. {how}"
        for machine in self.machines:
            self.start_machine(machine, port)
        self.wait()
        if not self.options.once:
            self.stay(port)
        for machine in self.machines:
            self.end_machine(machine)
        self.look_once_more()
        if self.screen:
            self.screen.keep(self.machines)
        print()
        self.table(live=False)
        right = all(m.is_right() if m.expected is not None else self.replay_is_right(m) for m in self.machines)
        self.farewell(right)
        return 0 if right else 1

    def look_once_more(self):
        for machine in self.machines:
            machine.process = None
        self.look()

    def stay(self, port):
        if not self.screen:
            print()
            self.table(live=True)
            print(f"\nkdnetd listens on at 127.0.0.1:{port}, and the machines stay connected. Ctrl-C ends it all.",
                  flush=True)
        try:
            while True:
                self.look_and_draw()
        except KeyboardInterrupt:
            if not self.screen:
                print()

    def replay_is_right(self, machine):
        summary = machine.summary
        if not machine.connected or not summary:
            return False
        return summary["exit"] == 0 and summary["questions"] == summary["answers"]

    def table(self, live):
        rows = [("machine", "what happens to it", "crash dump?", "status", "stopped for")]
        for machine in self.machines:
            rows.append((machine.name, machine.story, *self.row(machine)))
        widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
        if sum(widths) + 2 * len(widths) > columns():  # a narrow terminal: without what happens to it
            rows, widths = [(row[0], *row[2:]) for row in rows], [widths[0], *widths[2:]]
        for i, row in enumerate(rows):
            print("  ".join(text.ljust(width) for text, width in zip(row, widths)).rstrip())
            if i == 0:
                print("  ".join("-" * width for width in widths))
        if live:
            return
        for machine in self.machines:
            if machine.summary and machine.expected is None:
                said = machine.summary
                print(f"\nThe capture, as its machine lived through it: {said['questions']} questions for files, "
                      f"{said['answers']} answered;\n{said['prints']} texts printed, stopped {said['breaks']} times, "
                      f"{said['retransmissions']} packets that it had to send twice.")

    def row(self, machine):
        results = machine.results
        stopped = sum(machine.halted_ms)
        halted = "held" if machine.held else f"{stopped:.1f} ms" if machine.halted_ms else "never"
        if not machine.connected:
            return "never connected", "-", "-"
        if not results:
            return "no crash", "-", f"{questions(machine.answered)}, answered" if machine.answered else halted
        last = results[-1]
        status = last["status_name"] or last["status"] or "-"
        if not machine_crashed(results):
            return ("unknown: no kernel yet" if last["reason"] == "no_kernel" else "no crash"), "-", halted
        words = {"written": "WRITTEN", "failed": "FAILED", "not_started": "NOT STARTED"}
        return words.get(last["verdict"], f"unknown: {last['reason']}"), status, halted

    def farewell(self, right):
        for machine in self.machines:
            if machine.expected is not None and not machine.is_right():
                print(f"\nNOT AS EXPECTED: {machine.name}: results {machine.outcome()}, expected {machine.expected}; "
                      f"the machine says {json.dumps(machine.summary)}")
            elif machine.expected is None and not self.replay_is_right(machine):
                print(f"\nNOT AS EXPECTED: {machine.name}: the machine says {json.dumps(machine.summary)}")
        if not right:
            print(f"\nThe end of kdnetd's log:\n{tail(self.path('kdnetd.log'), 20)}")
            return
        for paragraph in FAREWELL:
            print("\n" + textwrap.fill(paragraph, min(120, columns() - 1)))
        print(NEXT)


def end(process):
    """Ends a process of ours, by its id; returns its exit status."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(END_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    return process.returncode


def on_signal(_number, _frame):
    raise KeyboardInterrupt


def main():
    parser = argparse.ArgumentParser(description="kdnetd against a dozen simulated machines")
    parser.add_argument("--programs", required=True, help="the build folder, with kdnetd and kdnet-target")
    parser.add_argument("--once", action="store_true", help="end by itself")
    parser.add_argument("--read-deadline", default="2s", help="kdnetd's (default %(default)s)")
    parser.add_argument("--replay", help="a capture that one more machine plays")
    parser.add_argument("--replay-key", default="8.8.8.8", help="the key of that capture (default %(default)s)")
    options = parser.parse_args()
    return play(Demo(options))


def play(demo):
    """Runs it, and hands the terminal back however it ends; the exit status."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, on_signal)
    try:
        return demo.run()
    except Trouble as trouble:
        demo.leave_screen()
        print(f"demo: {trouble}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        if demo.screen:
            demo.screen.keep(demo.machines)
        print("\ndemo: ended", file=sys.stderr)
        return 130
    finally:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        demo.close()


if __name__ == "__main__":
    sys.exit(main())
