# SPDX-License-Identifier: Apache-2.0
"""Listeners: what can be opened serves, the rest is told and tried again; sockets in trouble; sandboxes and limits."""
import errno
import os
import shutil
import signal
import socket
import subprocess
import sys
import time

import harness

NO_CALLS = harness.BUILD / "tests" / "no_calls"
KEY = harness.key_text(9, 9, 9, 1)


class Listeners(harness.Case):
    def configure(self, *listens, more=""):
        text = "listen:\n" + "".join(f'  - "{listen}"\n' for listen in listens)
        return self.file("kdnetd.yaml", f"{text}targets: [{{name: a, key: {KEY}}}]\nread_deadline: 30s\n{more}")

    def start(self, *listens, workers=1, more="", **rest):
        config = self.configure(*listens, more=more)
        return harness.Daemon(self, "--config", config, "--workers", workers, listen=[], **rest)

    def reload(self, daemon, *listens, more=""):
        self.configure(*listens, more=more)
        before = len(daemon.log.lines)
        daemon.signal(signal.SIGHUP)
        daemon.wait_log('msg="configuration read again"', after=before)
        return before

    def crash(self, daemon, listen, count=1, bind=None):
        """A machine crashes there, and is served."""
        machine = harness.Machines(self, listen, KEY, *(("--bind", f"{bind}:0") if bind else ()), scenario="bugcheck")
        machine.wait()
        daemon.wait_event("crash_status", "a", phase="shutdown", count=count)

    def log_since(self, daemon, before):
        return "".join(daemon.log.lines[before:])

    def take(self, ip, port=0):
        taken = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        taken.bind((ip, port))
        self.addCleanup(taken.close)
        return taken

    def test_a_reload_between_an_address_and_the_wildcard_disturbs_nobody(self):
        for workers in (1, 2):
            with self.subTest(workers=workers):
                port = harness.free_port(self.ip)
                one, wild = harness.place(self.ip, port), f"0.0.0.0:{port}"
                daemon = self.start(one, workers=workers)
                idle = harness.Machines(self, one, KEY, scenario="idle", end=False)
                daemon.wait_event("connected", "a")
                for listens in ([wild], [one], [wild, one], [one], [one, wild], [wild]):
                    before = self.reload(daemon, *listens)
                    self.assertNotIn("cannot listen", self.log_since(daemon, before))
                time.sleep(4)  # a poke after the last, at least
                self.assertEqual(len(daemon.events("a", "connected")), 1, "the machine noticed")
                idle.stop(None)
                self.crash(daemon, one)
                self.check_events(daemon.stop())

    def test_the_last_listener_is_never_closed(self):
        taken = self.take(self.next_ip())
        one, other = harness.place(self.ip, harness.free_port(self.ip)), harness.place(*taken.getsockname())
        daemon = self.start(one)
        before = self.reload(daemon, other)
        daemon.wait_log("this one stays until one can", after=before)
        self.assertNotIn("no longer listening", self.log_since(daemon, before))
        self.crash(daemon, one)
        taken.close()
        before = self.reload(daemon, other)
        daemon.wait_log("no longer listening", after=before)
        self.crash(daemon, other, count=2)
        daemon.stop()

    def test_what_can_be_opened_serves_and_the_rest_is_tried_again(self):
        taken = self.take(self.next_ip())
        one, other = harness.place(self.ip, harness.free_port(self.ip)), harness.place(*taken.getsockname())
        daemon = self.start(one, other, workers=2)
        self.assertIn("not_open=1", daemon.wait_log("msg=serving"))
        daemon.wait_log("another program has this port")
        self.crash(daemon, one)
        taken.close()
        daemon.wait_log(f"msg=listening listen={other}")  # after 30 s
        self.assertEqual(daemon.log_text().count("cannot listen"), 1)
        self.crash(daemon, other, count=2)
        daemon.stop()

    def test_without_any_listener_it_ends_and_says_why(self):
        taken = self.take(self.next_ip())
        result = self.run_kdnetd("--listen", harness.place(*taken.getsockname()), "--target", f"a={KEY}")
        self.assertEqual(result.returncode, 1)
        self.assertIn("no listener can be opened", result.stderr)

    def test_the_wildcard_answers_from_the_address_that_was_asked(self):
        """Also what is sent by itself, and when another worker serves the machine."""
        for workers in (1, 3):
            with self.subTest(workers=workers):
                port = harness.free_port("0.0.0.0")
                daemon = self.start(f"0.0.0.0:{port}", workers=workers)
                asked = harness.place(self.next_ip(), port)
                relay = harness.Relay(self, asked)
                relay.far.connect(relay.host)  # takes nothing from another address
                machine = harness.Machines(self, relay.place, KEY, "--dump-ms", 2500, scenario="bugcheck")
                machine.wait()
                daemon.wait_event("crash_status", "a", phase="shutdown")
                self.check_events(daemon.stop())

    def test_check_names_an_address_beside_its_wildcard(self):
        result = self.run_kdnetd("--check", self.configure("127.0.0.1:50000", "0.0.0.0:50000"))
        self.assertEqual(result.returncode, 2)
        self.assertIn("127.0.0.1:50000 is part of the wildcard of its port", result.stderr + result.stdout)
        result = self.run_kdnetd("--check", self.configure("127.0.0.1:50000", "0.0.0.0:50001", "[::]:50000"))
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertEqual(self.run_kdnetd("--check", self.configure("192.0.2.77:50000")).returncode, 2)
        self.assertEqual(self.run_kdnetd("--check", self.configure("192.0.2.77:50000", more="freebind: true\n")).returncode, 0)

    def network_of_its_own(self, *addresses):
        """What runs a program in a network namespace that has these addresses; it goes with this test."""
        if os.geteuid() != 0 or not all(map(shutil.which, ("unshare", "nsenter", "ip"))):
            self.skipTest("network namespaces need root, unshare, nsenter and ip")
        holder = subprocess.Popen(["unshare", "-n", "sh", "-c", "echo; exec cat"], stdin=subprocess.PIPE,
                                  stdout=subprocess.PIPE)
        self.addCleanup(holder.wait)
        for stream in (holder.stdout, holder.stdin):
            self.addCleanup(stream.close)
        if holder.stdout.readline() != b"\n":
            self.skipTest("no network namespace can be made here")
        prefix = ("nsenter", "-t", str(holder.pid), "-n")
        for command in (["link", "set", "lo", "up"], *(["addr", "add", one, "dev", "lo"] for one in addresses)):
            if subprocess.run([*prefix, "ip", *command], check=False).returncode != 0:
                self.skipTest("the namespace takes no such address")
        return prefix

    def test_the_ipv6_wildcard_answers_from_the_address_that_was_asked(self):
        prefix = self.network_of_its_own("fd00::1/128", "fd00::2/128", "fd00::3/128")
        daemon = self.start("[::]:50000", workers=3, prefix=prefix)
        for count, asked in enumerate(("fd00::2", "fd00::3"), 1):
            watch = self.watch(prefix)
            harness.Machines(self, f"[{asked}]:50000", KEY, "--bind", "[fd00::1]:0", scenario="bugcheck",
                             prefix=prefix).wait()
            daemon.wait_event("crash_status", "a", phase="shutdown", count=count)
            self.assertEqual(watch(), {asked})
        daemon.stop()

    def watch(self, prefix):
        """From which addresses kdnetd sends, in a namespace: as the packets on its loopback say."""
        script = (
            "import socket, sys\n"
            "s = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(0x86dd)); s.bind(('lo', 0x86dd))\n"
            "s.settimeout(0.5); print(flush=True); seen = set()\n"
            "import threading; done = []\n"
            "threading.Thread(target=lambda: (sys.stdin.read(), done.append(1)), daemon=True).start()\n"
            "while not done:\n"
            "    try: p = s.recv(9000)\n"
            "    except TimeoutError: continue\n"
            "    if p[6] == 17 and p[40:42] == b'\\xc3\\x50': seen.add(socket.inet_ntop(socket.AF_INET6, p[8:24]))\n"
            "print(*seen)\n")
        watcher = subprocess.Popen([*prefix, sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                   text=True)
        watcher.stdout.readline()

        def seen():
            return set(watcher.communicate()[0].split())
        return seen

    def test_freebind_listens_on_an_address_that_is_not_here(self):
        here = harness.place(self.ip, harness.free_port(self.ip))
        daemon = self.start("192.0.2.77:50000", here)
        daemon.wait_log("no such address")
        self.assertIn("not_open=1", daemon.wait_log("msg=serving"))
        before = self.reload(daemon, "192.0.2.77:50000", here, more="freebind: true\n")
        daemon.wait_log("msg=listening listen=192.0.2.77:50000", after=before)
        self.crash(daemon, here)
        daemon.stop()

    # Sandboxes and limits.

    def sandboxed(self, *refused, workers=2, listens=None):
        if not NO_CALLS.exists():
            self.skipTest("no filters of system calls here")
        listens = listens or [harness.place(self.ip, harness.free_port(self.ip))]
        return self.start(*listens, workers=workers, prefix=(NO_CALLS, *refused, "--")), listens[0]

    def test_refused_calls_are_done_without(self):
        for number in (errno.ENOSYS, errno.EPERM):
            for names in (["recvmmsg"], ["sendmmsg"], ["recvmmsg", "sendmmsg"]):
                with self.subTest(number=number, names=names):
                    daemon, listen = self.sandboxed(*(f"{name}={number}" for name in names))
                    self.crash(daemon, listen)
                    daemon.wait_log("they go one by one")
                    self.assertEqual(daemon.log_text().count("they go one by one"), 1)
                    daemon.stop()

    def test_when_nothing_can_be_received_it_says_so_and_waits(self):
        daemon, listen = self.sandboxed(*(f"{name}={errno.EPERM}" for name in ("recvmmsg", "recvmsg", "recvfrom")))
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as anybody:
            anybody.sendto(b"x", (listen.rsplit(":", 1)[0], int(listen.rsplit(":", 1)[1])))
        daemon.wait_log("datagrams cannot be received here")
        before, since = daemon.cpu_seconds(), time.monotonic()
        time.sleep(3)
        self.assertLess(daemon.cpu_seconds() - before, 0.5 * (time.monotonic() - since))
        self.assertEqual(daemon.log_text().count("cannot be received"), 1)
        daemon.stop()

    def test_without_shared_ports_workers_send_with_the_socket_of_the_first(self):
        daemon, listen = self.sandboxed(f"reuseport={errno.ENOPROTOOPT}", workers=3)
        self.assertIn("workers=3 ", daemon.wait_log("msg=serving"))
        for count in (1, 2, 3):
            self.crash(daemon, listen, count=count, bind=self.next_ip())
        daemon.stop()

    def test_without_ipv6_the_rest_serves(self):
        listen = harness.place(self.ip, harness.free_port(self.ip))
        daemon, _ = self.sandboxed(f"ipv6={errno.EAFNOSUPPORT}", listens=[listen, "[::1]:50000"])
        daemon.wait_log("no such kind of address")
        self.crash(daemon, listen)
        daemon.stop()

    def test_few_files_mean_fewer_workers(self):
        if not shutil.which("prlimit"):
            self.skipTest("there is no prlimit")
        for files in (20, 16, 40):
            with self.subTest(files=files):
                listens = [harness.place(ip, harness.free_port(ip)) for ip in (self.ip, self.next_ip())]
                daemon = self.start(*listens, workers=4, prefix=("prlimit", f"--nofile={files}:{files}"))
                daemon.wait_log("workers: fewer serve than were asked for, because few files can be opened")
                self.crash(daemon, listens[0])
                daemon.stop()

    # Sockets that the administrator ends.

    def test_a_socket_that_was_aborted_is_watched_on(self):
        listen = harness.place(self.ip, harness.free_port(self.ip))
        daemon = self.start(listen, workers=2)
        for count in (1, 2, 3):
            ended = subprocess.run(["ss", "-K", "-u", "-a", "src", listen], capture_output=True, text=True, check=False) \
                if shutil.which("ss") and os.geteuid() == 0 else None
            if not ended or ended.returncode != 0 or listen not in ended.stdout:
                self.skipTest("ss -K ends no socket here (not root, or a kernel without it)")
            self.crash(daemon, listen, count=count)
        daemon.stop()


if __name__ == "__main__":
    harness.main(at_once=4)
