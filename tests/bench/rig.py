# SPDX-License-Identifier: Apache-2.0
"""The programs that the suite measures, and those it measures with: started, pinned, asked, ended by their ids."""
import json
import os
import re
import select
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "demo"))
from demo import GUIDAGE, RVA, die_with_parent, free_port, private, tail  # noqa: E402

PATIENCE_S = 60.0  # for an answer that should take a moment


class Trouble(Exception):
    """A figure cannot be measured; its text says why."""


def cores():
    return sorted(os.sched_getaffinity(0))


def thread_ns(pid):
    """Each thread's time on a processor so far."""
    times = {}
    for thread in os.listdir(f"/proc/{pid}/task"):
        try:
            with open(f"/proc/{pid}/task/{thread}/schedstat", encoding="ascii") as file:
                times[thread] = int(file.read().split()[0])
        except OSError:  # it has ended
            pass
    return times


def cpu_ns(pid):
    """All threads' time together."""
    return sum(thread_ns(pid).values())


def resident_bytes(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmRSS:")) * 1024


def wait_taken(port, patience=PATIENCE_S):
    """Until no datagram waits at the UDP sockets of this port."""
    end, wanted, empty = time.monotonic() + patience, f":{port:04X}", 0
    while empty < 2:  # the last batch is being worked on
        with open("/proc/net/udp", encoding="ascii") as file:
            rows = [line.split() for line in file if wanted in line]
        empty = empty + 1 if not any(row[1].endswith(wanted) and row[4].split(":")[1] != "00000000" for row in rows) else 0
        if time.monotonic() > end:
            raise Trouble(f"datagrams wait at port {port} and are not taken")
        time.sleep(0.001)


class Program:
    """A process with pipes to and from it. `core`: 0 for who makes load, 1 for who is measured; None: any. `nice`: before
    the neighbours, where that is allowed."""

    def __init__(self, command, core, log, nice=-10):
        self.command, self.log, available = command, log, cores()

        def prepare():
            die_with_parent()
            try:
                os.nice(nice)
            except OSError:
                pass
            if core is not None:
                os.sched_setaffinity(0, {available[core % len(available)]})

        with open(log, "wb") as errors:
            self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors,
                                            start_new_session=True, preexec_fn=prepare)
        self.pid, self.rest = self.process.pid, b""

    def finds_port_taken(self):
        """Of those that listen, whether they have ended for that."""
        return False

    def line(self, patience=PATIENCE_S):
        end = time.monotonic() + patience
        while b"\n" not in self.rest:
            left = end - time.monotonic()
            if left <= 0 or not select.select([self.process.stdout], [], [], left)[0]:
                raise Trouble(f"{os.path.basename(self.command[0])} does not answer: {tail(self.log)}")
            piece = os.read(self.process.stdout.fileno(), 65536)
            if not piece:
                raise Trouble(f"{os.path.basename(self.command[0])} has ended: {tail(self.log)}")
            self.rest += piece
        found, self.rest = self.rest.split(b"\n", 1)
        return found.decode()

    def tell(self, text):
        try:
            os.write(self.process.stdin.fileno(), text.encode() + b"\n")
        except BrokenPipeError:
            raise Trouble(f"{os.path.basename(self.command[0])} has ended: {tail(self.log)}") from None

    def ask(self, text, patience=PATIENCE_S):
        self.tell(text)
        return json.loads(self.line(patience))

    def end(self):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            pipe.close()


class Kdnetd(Program):
    """kdnetd with a configuration of its own, results in a file."""

    def __init__(self, rig, targets, extra="", port=None, core=1):
        self.port, self.folder = port or free_port(), rig.folder_for("kdnetd")
        self.config, self.events = os.path.join(self.folder, "kdnetd.yaml"), os.path.join(self.folder, "events")
        self.targets = os.path.join(self.folder, "targets")
        with open(self.targets, "w", encoding="utf-8", opener=private) as file:
            file.write(targets)
        workers = "workers: 1\n" if rig.has_workers and "workers:" not in extra else ""
        with open(self.config, "w", encoding="utf-8", opener=private) as file:
            file.write(f'listen: ["127.0.0.1:{self.port}"]\ntargets_file: targets\nevents: {self.events}\n'
                       f"rva:\n  - guidage: {GUIDAGE}\n    symbol: nt!IopFinalCrashDumpStatus\n    rva: {RVA}\n"
                       f"log_level: notice\n{workers}{extra}")
        self.started_ns = time.monotonic_ns()
        super().__init__([rig.program("kdnetd"), "--config", self.config], core, os.path.join(self.folder, "log"))
        self.seen = 0

    def finds_port_taken(self):
        return self.wait_log("msg=listening|already in use").group(0) != "msg=listening"

    def wait_log(self, found, patience=PATIENCE_S, since=0):
        """Waits for a line of the log that matches; the match."""
        end, ended_before = time.monotonic() + patience, False
        while True:
            with open(self.log, encoding="utf-8", errors="replace") as file:
                file.seek(since)
                match = re.search(found, file.read(), re.M)
            if match:
                return match
            ended = self.process.poll() is not None and ended_before  # what it said last is there by now
            ended_before = self.process.poll() is not None
            if ended or time.monotonic() > end:
                raise Trouble(f"kdnetd does not say {found!r}:\n{tail(self.log)}")
            time.sleep(0.002)

    def ready(self):
        self.wait_log("msg=serving")
        return self

    def summary(self):
        """All its counters."""
        since = os.path.getsize(self.log)
        self.process.send_signal(signal.SIGUSR1)
        line = self.wait_log(r"^.*msg=summary .*\n", since=since).group(0)
        return {name: int(value) for name, value in re.findall(r"(\w+)=(\d+)(?=\s)", line)}

    def accounted(self):
        """Datagrams that came, and were some target's."""
        now = self.summary()
        lost = sum(now.get(name, 0) for name in ("not_kdnet", "wrong_key", "unknown_pokes", "too_many", "deferred"))
        return now["received"] - lost

    def settled(self):
        """The same, once nothing comes any more."""
        before = -1
        while (now := self.accounted()) != before:
            before = now
            time.sleep(0.05)
        return now


class Floor(Program):
    """bench_receive: the receiver that does nothing but receive and verify."""

    def __init__(self, rig, count, nap_ms=0, core=1):
        self.port = free_port()
        command = [rig.bench("receive"), str(count), f"127.0.0.1:{self.port}", str(nap_ms)]
        super().__init__(command, core, os.path.join(rig.folder_for("floor"), "log"))

    def finds_port_taken(self):
        try:
            self.line()  # ready
        except Trouble:
            if "in use" in tail(self.log):
                return True
            raise
        return False

    def accounted(self):
        return self.ask("count")["verified"]

    settled = accounted


class Crowd(Program):
    """bench_load, against one receiver."""

    def __init__(self, rig, count, port):
        command = [rig.bench("load"), "host", str(count), f"127.0.0.1:{port}"]
        super().__init__(command, 0, os.path.join(rig.folder_for("crowd"), "log"))
        self.count = count

    def connect(self, seconds, all_of_them=True):
        said = self.ask(f"connect {seconds}", seconds + PATIENCE_S)
        if all_of_them and said["connected"] != self.count:
            raise Trouble(f"only {said['connected']} of {self.count} targets were connected after {seconds} s")
        return said

    def load(self, datagrams, run, rate=0, strangers=0, measure=None):
        """Seals, calls measure(), sends; what bench_load says."""
        self.tell(f"load {datagrams} {run} {rate} {strangers}")
        self.line()
        if measure:
            measure()
        return self.ask("go", PATIENCE_S + (datagrams / rate if rate else 0))


    def bursts(self, receiver, datagrams, run, size):
        """
        Bursts at a receiver that stands still meanwhile, so that its socket is full and never empty until it has taken
        all: what it takes then is what it can, however quick the sender is. Datagrams accounted, and the time on a
        processor that they took.
        """
        self.tell(f"bursts {datagrams} {run} {size}")
        self.line()
        before, spent, sent = receiver.settled(), 0, 0
        while sent < datagrams // run * run:
            os.kill(receiver.pid, signal.SIGSTOP)
            try:
                sent = self.ask("go")["sent"]
                began = cpu_ns(receiver.pid)
            finally:
                os.kill(receiver.pid, signal.SIGCONT)
            wait_taken(receiver.port)
            spent += cpu_ns(receiver.pid) - began
        return receiver.settled() - before, spent


def bursts_at_once(pairs, datagrams, size):
    """
    The same at several receivers, which then take theirs at the same time: datagrams accounted, and the time of the
    thread that was busiest, summed over the bursts. The senders rest meanwhile.
    """
    for receiver, sender in pairs:
        sender.tell(f"bursts {datagrams} 1 {size}")
        sender.line()
    before, spent, sent = sum(receiver.settled() for receiver, _ in pairs), 0, 0
    while sent < datagrams:
        for receiver, _ in pairs:
            os.kill(receiver.pid, signal.SIGSTOP)
        try:
            for _, sender in pairs:
                sent = sender.ask("go")["sent"]
            began = [thread_ns(receiver.pid) for receiver, _ in pairs]
        finally:
            for receiver, _ in pairs:
                os.kill(receiver.pid, signal.SIGCONT)
        for receiver, _ in pairs:
            wait_taken(receiver.port)
        ended = [thread_ns(receiver.pid) for receiver, _ in pairs]
        spent += max(now - then.get(thread, 0) for then, after in zip(began, ended) for thread, now in after.items())
    return sum(receiver.settled() for receiver, _ in pairs) - before, spent


class Rig:
    """Where programs are, what runs, and a folder for their files."""

    def __init__(self, programs, folder):
        self.programs, self.folder, self.running, self.made = programs, folder, [], 0
        said = subprocess.run([self.program("kdnetd"), "--help"], capture_output=True, text=True, check=True)
        self.has_workers = "--workers" in said.stdout

    def program(self, name):
        return os.path.join(self.programs, name)

    def bench(self, name):
        return os.path.join(self.programs, "tests", "bench", f"bench_{name}")

    def folder_for(self, what):
        self.made += 1
        path = os.path.join(self.folder, f"{what}-{self.made}")
        os.mkdir(path)
        return path

    def start(self, kind, *arguments):
        """Once more when another program has taken the port meanwhile."""
        for _ in range(5):
            program = kind(self, *arguments)
            self.running.append(program)
            if not program.finds_port_taken():
                break
            self.running.pop().end()
        return program

    def end_all(self):
        while self.running:
            self.running.pop().end()

    def output(self, command, core=None):
        """What a program says that runs to its end."""
        program = Program(command, core, os.path.join(self.folder_for("run"), "log"))
        self.running.append(program)
        said, _ = program.process.communicate()
        self.running.remove(program)
        if program.process.returncode != 0:
            raise Trouble(f"{os.path.basename(command[0])}: {tail(program.log)}")
        return said.decode()

    def targets(self, count, addressed):
        return self.output([self.bench("load"), "targets", str(count), "1" if addressed else "0"])
