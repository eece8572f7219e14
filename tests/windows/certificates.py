# SPDX-License-Identifier: Apache-2.0
"""Certificates of 127.0.0.1 for tests, made by openssl: a good one, one that has expired, and another authority."""
import datetime
import ssl
import subprocess

from wine import expect

CONFIG = """[ca]
default_ca = own
[own]
dir = .
database = ./index.txt
serial = ./serial
new_certs_dir = .
default_md = sha256
policy = any
[any]
commonName = supplied
[leaf]
subjectAltName = IP:127.0.0.1,DNS:localhost
extendedKeyUsage = serverAuth
[authority]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign, cRLSign
[req]
distinguished_name = name
[name]
"""


def openssl(folder, *arguments):
    done = subprocess.run(["openssl", *map(str, arguments)], cwd=folder, capture_output=True, timeout=120, stdin=subprocess.DEVNULL)
    expect(done.returncode == 0, f"openssl {' '.join(map(str, arguments))}", done)


def make_authority(folder):
    folder.mkdir()
    (folder / "config").write_text(CONFIG)
    (folder / "index.txt").write_text("")
    (folder / "serial").write_text("1000\n")
    openssl(folder, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-config", "config", "-extensions", "authority",
            "-subj", f"/CN=kdnetd {folder.name}", "-keyout", "ca.key", "-out", "ca.pem")
    return folder


def make_leaf(authority, name, first_day, last_day):
    def day(offset):
        return (datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=offset)).strftime("%Y%m%d%H%M%SZ")

    openssl(authority, "req", "-newkey", "rsa:2048", "-nodes", "-config", "config", "-subj", f"/CN={name}", "-keyout", f"{name}.key",
            "-out", f"{name}.csr")
    openssl(authority, "ca", "-batch", "-config", "config", "-extensions", "leaf", "-cert", "ca.pem", "-keyfile", "ca.key",
            "-startdate", day(first_day), "-enddate", day(last_day), "-in", f"{name}.csr", "-out", f"{name}.pem", "-notext")


class Certificates:
    """ca, other_ca: files of authorities; good(), expired(): contexts of servers; files("good"): its certificate and key."""

    def __init__(self, folder):
        self.own = make_authority(folder / "authority")
        self.ca, self.other_ca = self.own / "ca.pem", make_authority(folder / "stranger") / "ca.pem"
        make_leaf(self.own, "good", -1, 1)
        make_leaf(self.own, "expired", -20, -10)

    def files(self, name):
        return self.own / f"{name}.pem", self.own / f"{name}.key"

    def context(self, name):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*self.files(name))
        return context
