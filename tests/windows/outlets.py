# SPDX-License-Identifier: Apache-2.0
"""Sinks and the API with TLS: kdnetd.exe under Wine, and receivers and clients of this computer.

By name, for libcurl's Schannel knows no addresses in certificates; and each with its authority, for Wine's Schannel
trusts whom it likes where none is named.
"""
import json
import shutil
import socket
import ssl
import subprocess
import urllib.error
import urllib.request

import receivers
from certificates import Certificates
from wine import PATIENCE, expect, free_port, native, text, wait, write_closed

GUIDAGE = "4B444E45542D544152474554000000011"
KEY = "1.2.3.4"
TOKEN = "0123456789abcdef0123456789abcdef"


def windows_path(path):
    return "Z:" + str(path).replace("/", "\\")


class Outlets:
    """name -> its receiver, the authority it is checked by, and whether what arrives there may."""

    def __init__(self, certificates):
        def http(name):
            return receivers.Http(certificates.context(name))

        def stream(name):
            return receivers.Stream(certificates.context(name))

        own, other = certificates.ca, certificates.other_ca
        self.all = {"http-good": (http("good"), own, True), "http-stranger": (http("good"), other, False),
                    "http-expired": (http("expired"), own, False),
                    "tls-good": (stream("good"), own, True), "tls-stranger": (stream("good"), other, False),
                    "tls-expired": (stream("expired"), own, False),
                    "tcp": (receivers.Stream(), None, True)}

    def configuration(self):
        lines = ["sinks:\n"]
        for name, (receiver, ca, _) in self.all.items():
            ca_file = f", ca_file: '{windows_path(ca)}'" if ca else ""
            if name.startswith("http"):
                place = f'type: http, format: ndjson, url: "https://localhost:{receiver.port}/"'
            else:
                place = f'type: syslog, transport: {name.split("-")[0]}, address: "localhost:{receiver.port}"'
            lines.append(f"  - {{name: {name}, {place}{ca_file}}}\n")
        return "".join(lines)

    def taken(self, name):
        receiver = self.all[name][0]
        return receiver.events if name.startswith("http") else receiver.messages

    def wanted(self):
        return [name for name, (_, _, arrives) in self.all.items() if arrives]

    def unwanted(self):
        return [name for name, (_, _, arrives) in self.all.items() if not arrives]

    def close(self):
        for receiver, _, _ in self.all.values():
            receiver.close()


class Api:
    def __init__(self, port, certificates):
        self.place, self.ca = f"https://localhost:{port}", certificates.ca
        self.context = ssl.create_default_context(cafile=str(certificates.ca))

    def ask(self, path, token=None, post=False):
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        request = urllib.request.Request(self.place + path, headers=headers, method="POST" if post else "GET")
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE, context=self.context) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as refused:
            return refused.code, refused.read()

    def sinks(self):
        return {sink["name"]: sink for sink in json.loads(self.ask("/api/v1/status", TOKEN)[1])["sinks"]}


def check_api(wine, api, certificates, folder):
    """Over TLS, with a token; kdnetctl checks the certificate."""
    expect(api.ask("/api/v1/reload", post=True)[0] == 401, "nobody acts without a token")
    expect(api.ask("/api/v1/reload", "wrong" * 8, post=True)[0] == 401, "nobody acts with another token")
    status, said = api.ask("/api/v1/reload", TOKEN, post=True)
    expect(status in (200, 202), "the token lets one act", str(said))
    wine.env["KDNETD_URL"] = api.place
    for ca, fails in ((certificates.ca, False), (certificates.other_ca, True)):
        wine.env["SSL_CERT_FILE"] = windows_path(ca)
        done = wine.run(wine.build / "kdnetctl.exe", "--token-file", windows_path(folder / "tokens"), "status")
        expect((done.returncode != 0) == fails, f"kdnetctl and the authority {ca}", done)
        expect(not fails or "certificate" in text(done).lower(), "kdnetctl names the certificate", done)
    del wine.env["KDNETD_URL"], wine.env["SSL_CERT_FILE"]


def write_all(folder, port, http, outlets, certificates):
    certificate, key = certificates.files("good")
    key.chmod(0o600)
    write_closed(folder / "tokens", f"test act {TOKEN}\n")
    write_closed(folder / "kdnetd.yaml",
                 f'listen: "127.0.0.1:{port}"\nevents: events.jsonl\nworkers: 1\nstore: kdnetd.db\nhttp: "127.0.0.1:{http}"\n'
                 f"http_tls_cert: '{windows_path(certificate)}'\nhttp_tls_key: '{windows_path(key)}'\nhttp_tokens: tokens\n"
                 f"targets:\n  - {{name: web-17, key: {KEY}}}\n"
                 f"rva:\n  - {{guidage: {GUIDAGE}, symbol: IopFinalCrashDumpStatus, rva: 0x3010}}\n" + outlets.configuration())


def crash(port):
    done = subprocess.run([native("kdnet-target"), "--host", f"127.0.0.1:{port}", "--bind", "127.0.0.1:0", "--key", KEY,
                           "--scenario", "bugcheck", "--status", "0x0", "--exit", "--duration-ms", "80000"],
                          capture_output=True, timeout=PATIENCE)
    expect(done.returncode == 0, "the machine ends well", done)


def has_result(taken):
    return any("crash_status" in (item["event"] if isinstance(item, dict) else item.decode()) for item in taken)


def check_sinks(api, outlets):
    for name in outlets.wanted():
        wait(lambda name=name: has_result(outlets.taken(name)), f"{name} gets the result", lambda: str(api.sinks()))
    for name in outlets.unwanted():
        wait(lambda name=name: api.sinks()[name]["last_error"], f"{name} says what is wrong", lambda: str(api.sinks()))
        error = api.sinks()[name]["last_error"]
        expect("certificate" in error.lower(), f"{name}: the message names the certificate", error)
        expect(outlets.taken(name) == [], f"{name} gets nothing")
    return {name: api.sinks()[name]["last_error"] for name in outlets.unwanted()}


def check_outlets(wine):
    folder = wine.build / "outlets"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700)
    certificates = Certificates(folder)
    outlets, port, http = Outlets(certificates), free_port(), free_port(socket.SOCK_STREAM)
    write_all(folder, port, http, outlets, certificates)
    with open(folder / "log", "wb") as log:
        daemon = subprocess.Popen(["wine", str(wine.build / "kdnetd.exe"), "--config", "kdnetd.yaml"], env=wine.env,
                                  cwd=folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        wait(lambda: b"msg=serving" in (folder / "log").read_bytes() or daemon.poll() is not None, "it serves",
             lambda: (folder / "log").read_text("utf-8", "replace")[-2000:])
        expect(daemon.poll() is None, "it starts", (folder / "log").read_text("utf-8", "replace")[-2000:])
        api = Api(http, certificates)
        crash(port)
        errors = check_sinks(api, outlets)
        check_api(wine, api, certificates, folder)
    finally:
        daemon.terminate()
        daemon.wait(PATIENCE)
        wine.run("taskkill", "/f", "/im", "kdnetd.exe")
        outlets.close()
    return f"{', '.join(outlets.wanted())}; " + "; ".join(f"{name}: {error}" for name, error in errors.items())
