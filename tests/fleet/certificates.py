# SPDX-License-Identifier: Apache-2.0
"""Authorities of our own, and what they sign, made by openssl."""
import pathlib
import shutil
import subprocess
import sys
import time

import nats


def skip_without_openssl():
    if not shutil.which("openssl"):
        print("nothing tested: openssl is not there")
        sys.exit(nats.SKIPPED)


class Maker:
    """Beside harness.Case: in the case's folder."""

    def path(self, name):
        return pathlib.Path(self.folder) / name

    def openssl(self, *words):
        subprocess.run(["openssl", *map(str, words)], cwd=self.folder, check=True, capture_output=True, timeout=60)

    def authority(self, name):
        self.openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", 2, "-keyout", f"{name}.key",
                     "-out", f"{name}.pem", "-subj", f"/CN={name}")
        return self.path(f"{name}.pem")

    def certify(self, ca, days=2):
        """server.pem and server.key, signed by that authority; -1 day: expired."""
        self.file("ext", "subjectAltName=IP:127.0.0.1\n")
        self.openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "server.key", "-out", "server.csr",
                     "-subj", "/CN=server")
        self.openssl("x509", "-req", "-in", "server.csr", "-CA", f"{ca}.pem", "-CAkey", f"{ca}.key", "-set_serial", time.time_ns(), "-days", days,
                     "-out", "server.pem", "-extfile", "ext")

    def tls(self, ca, days=2):
        """A server with such a certificate."""
        self.certify(ca, days)
        server = nats.Server(self, self.folder, tls={"cert_file": f'"{self.path("server.pem")}"', "key_file": f'"{self.path("server.key")}"'})
        return server.start()
