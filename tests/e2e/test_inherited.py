# SPDX-License-Identifier: Apache-2.0
"""A restart loses no datagram: the service manager keeps the sockets, and hands them over at the next start. Here a test
plays the service manager: LISTEN_FDS as sd_listen_fds(3) says, and the descriptor store of sd_notify(3)."""
import array
import fcntl
import os
import pathlib
import re
import signal
import socket
import threading
import time

import harness

WORKERS = 3
MANY = 60  # datagrams while nobody listens


class Manager(threading.Thread):
    """What systemd would keep: sockets by name."""

    def __init__(self, case):
        super().__init__(daemon=True)
        self.path = str(pathlib.Path(case.folder, "notify-manager"))
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.path)
        self.kept, self.unit, self.lock, self.closing = {}, [], threading.Lock(), False
        self.main = None  # (process id, when it was named)
        self.start()

    def run(self):
        while not self.closing:
            data, control, _, _ = self.socket.recvmsg(4096, socket.CMSG_SPACE(64))
            fields = dict(line.split("=", 1) for line in data.decode().splitlines() if "=" in line)
            descriptors = array.array("i")
            for level, kind, payload in control:
                if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                    descriptors.frombytes(payload[:len(payload) - len(payload) % 4])
            with self.lock:
                if fields.get("FDSTORE") == "1":
                    self.kept[fields["FDNAME"]] = socket.socket(fileno=descriptors[0])
                elif "MAINPID" in fields:
                    self.main = (int(fields["MAINPID"]), time.time())
                elif fields.get("FDSTOREREMOVE") == "1" and fields["FDNAME"] in self.kept:
                    self.kept.pop(fields["FDNAME"]).close()

    def listen(self, ip):
        """As a socket unit does."""
        one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        one.bind((ip, 0))
        self.unit.append(one)
        return harness.place(*one.getsockname())

    def begin(self, case, *options, listen, workers, more="", events="-"):
        with self.lock:
            named = [("kdnetd.socket", one) for one in self.unit] + sorted(self.kept.items(), reverse=True)
        given = [fcntl.fcntl(one.fileno(), fcntl.F_DUPFD, 100) for _, one in named]  # kdnetd shall have each once
        moves = " ".join(f"{3 + i}<&{one} {one}<&-" for i, one in enumerate(given))
        script = f'exec {moves}; LISTEN_PID=$$ exec "$@"' if named else 'exec "$@"'
        environment = {"NOTIFY_SOCKET": self.path, "LISTEN_FDS": str(len(named)),
                       "LISTEN_FDNAMES": ":".join(name for name, _ in named)}
        path = pathlib.Path(case.folder, "workers.yaml")
        path.write_text(f"workers: {workers}\n{more}")
        try:
            return harness.Daemon(case, "--config", path, *options, listen=listen, env=environment,
                                  prefix=("/bin/bash", "-c", script, "kdnetd"), pass_fds=given, events=events)
        finally:
            for one in given:
                os.close(one)

    def wait_kept(self, case, count):
        for _ in range(600):
            with self.lock:
                if len(self.kept) == count:
                    return
            threading.Event().wait(0.1)
        raise AssertionError(f"{len(self.kept)} sockets are kept, not {count}")

    def wait_main(self, case, before=None):
        """Another process is the main one."""
        for _ in range(int(10 * harness.PATIENCE)):
            if self.main != before:
                return self.main
            threading.Event().wait(0.1)
        raise AssertionError("no successor was named")

    def clean_up(self):
        self.closing = True
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as end:
            end.sendto(b"END=1", self.path)
        self.join()
        for one in [*self.kept.values(), *self.unit, self.socket]:
            one.close()

    def tell(self):
        pass


class Inherited(harness.Case):
    def setUp(self):
        super().setUp()
        self.manager = Manager(self)
        self.started.append(self.manager)

    def send(self, place):
        """Datagrams that are no KDNET, of many machines."""
        ip, port = place.rsplit(":", 1)
        for i in range(MANY):
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
                one.bind((f"127.{1 + i % 9}.{i}.1", 0))
                one.sendto(b"x" * 40, (ip, int(port)))

    def received(self, daemon):
        before = len(daemon.log.lines)
        daemon.signal(signal.SIGUSR1)
        return int(re.search(r" received=(\d+)", daemon.wait_log("msg=summary", after=before)).group(1))

    def check_all_came(self, daemon):
        for _ in range(100):
            if self.received(daemon) >= MANY:
                return
            threading.Event().wait(0.1)
        self.fail(f"{self.received(daemon)} of {MANY} datagrams came")

    def restart(self, listen, before, after, kill):
        daemon = self.manager.begin(self, listen=listen, workers=before)
        self.manager.wait_kept(self, 0 if self.manager.unit else before)
        if kill:
            daemon.kill()
        else:
            daemon.stop()
        self.send(listen[0])
        daemon = self.manager.begin(self, listen=listen, workers=after)
        self.check_all_came(daemon)
        return daemon

    def serves(self, listen, daemon):
        key = harness.key_text(1, 2, 3, 4)
        machines = harness.Machines(self, listen[0], key, scenario="bugcheck")
        daemon.wait_event("crash_status", phase="shutdown")
        machines.wait()

    def test_the_sockets_are_kept_over_a_restart(self):
        for kill in (False, True):
            listen = [harness.place(self.ip, harness.free_port(self.ip))]
            self.restart(listen, WORKERS, WORKERS, kill).stop()
            self.manager.wait_kept(self, WORKERS)
            for one in self.manager.kept.values():
                one.close()
            self.manager.kept.clear()

    def test_with_other_workers_than_before(self):
        listen = [harness.place(self.ip, harness.free_port(self.ip))]
        self.restart(listen, 1, WORKERS, False).stop()

    def test_sockets_of_workers_that_are_no_more_are_closed(self):
        """What waits in them is lost: machines say it again."""
        listen = [harness.place(self.ip, harness.free_port(self.ip))]
        options = ("--target", f"m={harness.key_text(1, 2, 3, 4)}")
        daemon = self.manager.begin(self, listen=listen, workers=WORKERS)
        self.manager.wait_kept(self, WORKERS)
        daemon.stop()
        daemon = self.manager.begin(self, *options, listen=listen, workers=1)
        self.manager.wait_kept(self, 1)
        self.serves(listen, daemon)
        daemon.stop()

    def test_a_socket_unit_has_datagrams_before_the_first_start(self):
        listen = [self.manager.listen(self.ip)]
        self.send(listen[0])
        daemon = self.manager.begin(self, listen=listen, workers=WORKERS)
        self.check_all_came(daemon)
        daemon.stop()
        self.restart(listen, WORKERS, WORKERS, False).stop()

    def test_machines_are_served_by_inherited_sockets(self):
        listen = [self.manager.listen(self.ip)]
        options = ("--target", f"m={harness.key_text(1, 2, 3, 4)}")
        daemon = self.manager.begin(self, *options, listen=listen, workers=WORKERS)
        self.serves(listen, daemon)
        daemon.stop()

    def test_a_socket_that_is_not_listened_at_is_told_and_closed(self):
        self.manager.listen(self.ip)
        listen = [harness.place(self.ip, harness.free_port(self.ip))]
        daemon = self.manager.begin(self, listen=listen, workers=1)
        daemon.wait_log("kdnetd.socket has addresses that are not in `listen`")
        daemon.stop()


    def test_an_address_that_is_no_longer_wanted_is_no_longer_kept(self):
        first, second = (harness.place(self.ip, harness.free_port(self.ip)) for _ in range(2))
        daemon = self.manager.begin(self, listen=[first, second], workers=2)
        self.manager.wait_kept(self, 4)
        daemon.stop()
        daemon = self.manager.begin(self, listen=[second], workers=2)
        self.manager.wait_kept(self, 2)
        self.assertNotIn("kdnetd.socket", daemon.log_text())
        daemon.stop()


if __name__ == "__main__":
    harness.main(at_once=3)
