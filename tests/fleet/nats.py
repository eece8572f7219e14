# SPDX-License-Identifier: Apache-2.0
"""Servers of NATS on loopback, started and ended by tests, and a small client of their text protocol."""
import base64
import json
import os
import pathlib
import queue
import random
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time

import report

SERVER = (os.environ.get("KDNETD_NATS_SERVER") or
          shutil.which("nats-server", path=os.environ.get("PATH", "") + ":/usr/sbin"))
PATIENCE = 120.0
SKIPPED = 77
PREPARE = None  # a function that runs in each server's process before the server


def skip_without_server():
    if not SERVER:
        print("nothing tested: nats-server is not there (Debian: nats-server; or name it in KDNETD_NATS_SERVER)")
        sys.exit(SKIPPED)


def free_port():
    """Below the ports that outgoing connections take: it is still free when a server starts again."""
    while True:
        port = random.randrange(15000, 30000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                pass


def wait_until(what, why, patience=PATIENCE):
    end = time.monotonic() + patience
    while not (value := what()):
        if time.monotonic() > end:
            raise AssertionError(why() if callable(why) else why)
        time.sleep(0.05)
    return value


class Server:
    """One nats-server with JetStream, in a folder of its own."""

    def __init__(self, case, folder, name="n1", more="", cluster=None, tls=None, max_file="256MB"):
        self.max_file = max_file
        self.name, self.folder, self.process = name, pathlib.Path(folder) / name, None
        self.folder.mkdir(parents=True)
        self.port, self.route, self.more, self.cluster, self.tls = free_port(), free_port(), more, cluster, tls
        self.url = f"{'tls' if tls else 'nats'}://127.0.0.1:{self.port}"
        case.addCleanup(self.end)

    def write(self):
        text = (f'server_name: {self.name}\nlisten: "127.0.0.1:{self.port}"\njetstream {{ store_dir: "{self.folder}/js", '
                f"max_mem: 64MB, max_file: {self.max_file} }}\n{self.more}\n")
        if self.cluster:
            routes = ", ".join(f'"nats://127.0.0.1:{one.route}"' for one in self.cluster)
            text += f'cluster {{ name: fleet, listen: "127.0.0.1:{self.route}", routes: [{routes}] }}\n'
        if self.tls:
            text += "tls { " + ", ".join(f'{key}: {value}' for key, value in self.tls.items()) + " }\n"
        (self.folder / "conf").write_text(text)

    def start(self, wait=True):
        self.write()
        with open(self.folder / "log", "ab") as log:
            self.process = subprocess.Popen([SERVER, "-c", str(self.folder / "conf")], stdout=log, stderr=log, preexec_fn=PREPARE)
        if wait:
            wait_until(self.listens, lambda: f"{self.name} does not listen: " + (self.folder / "log").read_text()[-2000:])
        return self

    def listens(self):
        if self.process.poll() is not None:  # its port was taken meanwhile
            time.sleep(0.2)
            self.start(wait=False)
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def signal(self, number):
        self.process.send_signal(number)

    def kill(self):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.kill()
        if self.process:
            self.process.wait()

    end = kill


def cluster(case, folder, count=3, **options):
    servers = []
    for i in range(count):
        servers.append(Server(case, folder, f"n{i + 1}", cluster=servers, **options))
    for one in servers:
        one.start(wait=False)
    for one in servers:
        wait_until(one.listens, f"{one.name} does not listen")
    return servers


def is_placing(client):
    """Whether three servers take a stream of three replicas: newer ones may say for a while that they have no peers."""
    stream = {"name": "PLACE", "subjects": ["place"], "num_replicas": 3, "storage": "file"}
    answer = client.request("$JS.API.STREAM.CREATE.PLACE", stream, patience=5)
    if answer is None or answer.get("error"):
        return False
    client.request("$JS.API.STREAM.DELETE.PLACE")
    return True


class Client:
    """CONNECT, PUB, SUB over one socket; a thread reads. `opened`: a socket that is connected to a server already."""

    def __init__(self, case, port, user=None, opened=None):
        self.socket = opened or socket.create_connection(("127.0.0.1", port), 10)
        self.socket.settimeout(None)
        self.file = self.socket.makefile("rb")
        self.lock, self.queues, self.number = threading.Lock(), {}, 0
        self.inbox = f"_INBOX.t{random.getrandbits(48):x}"
        assert self.file.readline().startswith(b"INFO ")
        self.send(b"CONNECT " + json.dumps({"verbose": False, "headers": True, "no_responders": True, **(user or {})}).encode() + b"\r\nPING\r\n")
        threading.Thread(target=self.read, daemon=True).start()
        self.subscribe(self.inbox + ".*", "answers")
        case.addCleanup(self.close)

    def close(self):
        try:
            self.socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.socket.close()

    def send(self, data):
        with self.lock:
            self.socket.sendall(data)

    def subscribe(self, subject, name):
        self.number += 1
        self.queues[str(self.number)] = self.queues[name] = queue.Queue()
        self.send(f"SUB {subject} {self.number}\r\n".encode())
        return self.queues[name]

    def read(self):
        try:
            while line := self.file.readline():
                words = line.decode().split()
                if words[0] == "PING":
                    self.send(b"PONG\r\n")
                elif words[0] in ("MSG", "HMSG"):
                    data = self.file.read(int(words[-1]) + 2)[:-2]
                    headers = int(words[-2]) if words[0] == "HMSG" else 0
                    self.queues[words[2]].put((words[1], data[:headers].decode(), data[headers:]))
        except (OSError, ValueError):
            pass

    def publish(self, subject, data, reply="", headers=None):
        data = data.encode() if isinstance(data, str) else data
        if headers is None:
            self.send(f"PUB {subject} {reply} {len(data)}\r\n".encode() + data + b"\r\n")
            return
        head = ("NATS/1.0\r\n" + "".join(f"{k}: {v}\r\n" for k, v in headers.items()) + "\r\n").encode()
        self.send(f"HPUB {subject} {reply} {len(head)} {len(head) + len(data)}\r\n".encode() + head + data + b"\r\n")

    def request(self, subject, body="", patience=30.0, headers=None):
        """The answer's JSON; None: nobody answered."""
        self.number += 1
        reply = f"{self.inbox}.{self.number}"
        self.publish(subject, json.dumps(body) if body else "", reply, headers)
        end = time.monotonic() + patience
        while (left := end - time.monotonic()) > 0:
            try:
                to, _, data = self.queues["answers"].get(timeout=left)
            except queue.Empty:
                break
            if to == reply:
                return json.loads(data) if data else None
        return None

    def info(self, stream="CRASH"):
        answer = self.request(f"$JS.API.STREAM.INFO.{stream}")
        return answer if answer and "error" not in answer else None

    def all(self, stream):
        """The answers of the servers for each message of a stream."""
        state = (self.info(stream) or {"state": {"first_seq": 1, "last_seq": 0}})["state"]
        for seq in range(state["first_seq"], state["last_seq"] + 1):
            one = (self.request(f"$JS.API.STREAM.MSG.GET.{stream}", {"seq": seq}) or {}).get("message")
            if one:
                yield one

    def messages(self, stream="CRASH"):
        """All of a stream: (subject, headers, data)."""
        return [(one["subject"], base64.b64decode(one.get("hdrs", "")).decode(), base64.b64decode(one.get("data", "")))
                for one in self.all(stream)]

    def taken(self, stream="CRASH"):
        """(event, when the servers took it, in seconds) for each message of a stream."""
        return [(json.loads(base64.b64decode(one["data"])), report.seconds(one["time"])) for one in self.all(stream)]

    def count(self, stream="CRASH"):
        info = self.info(stream)
        return info["state"]["messages"] if info else 0
