# SPDX-License-Identifier: Apache-2.0
"""A symbol server that behaves as the first part of the path says, and the files that it has."""
import http.server
import pathlib
import re
import shutil
import socket
import ssl
import struct
import subprocess
import tempfile
import threading
import time

NAME = "ntkrnlmp.pdb"
PACKED = "ntkrnlmp.pd_"
GUIDAGE = "8E3373D6124E747F0E72EF8E02E676B31"


def make_pdb(blocks=64, size=4096):
    """An MSF container by its superblock; the rest is of no interest here."""
    head = b"Microsoft C/C++ MSF 7.00\r\n\x1aDS\0\0\0" + struct.pack("<6I", size, 1, blocks, 16, 0, 3)
    return head + bytes(i * 7 & 255 for i in range(blocks * size - len(head)))


PDB = make_pdb()


def checked(line):
    """A line of .kdnetd-negative with its checksum, FNV-1a."""
    value = 0xcbf29ce484222325
    for byte in line.encode():
        value = (value ^ byte) * 0x100000001b3 % 2**64
    return f"{line} {value:016x}"


def make_cabinet():
    """A real one where gcab is there, else the header of one."""
    gcab = shutil.which("gcab")
    if gcab is None:
        return b"MSCF\0\0\0\0" + struct.pack("<I", 4096) + bytes(4096 - 12)
    with tempfile.TemporaryDirectory() as folder:
        pathlib.Path(folder, NAME).write_bytes(PDB)
        subprocess.run([gcab, "-c", "-z", PACKED, NAME], cwd=folder, check=True, stdout=subprocess.DEVNULL)
        return pathlib.Path(folder, PACKED).read_bytes()


CABINET = make_cabinet()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 30

    def do_GET(self):
        path = re.sub(r"^http://[^/]*", "", self.path)
        self.server.asked.append((self.path, dict(self.headers)))
        behaviour, *rest = path.strip("/").split("/")
        try:
            getattr(self, "be_" + behaviour)(rest[-1] if rest else "", path)
        except (ConnectionError, ssl.SSLError, socket.timeout):
            self.close_connection = True

    def log_message(self, *arguments):
        pass

    def answer(self, status, body=b"", **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), str(value))
        if "Content_Length" not in headers:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.write(body)

    def open_end(self):
        """A body that ends with the connection."""
        self.send_response(200)
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True

    def write(self, data):
        self.wfile.write(data)
        self.server.sent += len(data)

    def missing(self):
        self.answer(404, b"<html>no such file, and a page of some length that says so</html>")

    def be_good(self, file, path):
        self.answer(200, PDB) if file == NAME else self.missing()

    def be_packed(self, file, path):
        self.answer(200, CABINET) if file == PACKED else self.missing()

    def be_cabinet_as_plain(self, file, path):
        self.answer(200, CABINET)

    def be_pdb_as_packed(self, file, path):
        self.answer(200, PDB) if file == PACKED else self.missing()

    def be_missing(self, file, path):
        self.missing()

    def be_late(self, file, path):
        """Long enough for other threads to come along."""
        time.sleep(0.5)
        self.be_good(file, path)

    def be_late_missing(self, file, path):
        time.sleep(0.3)
        self.missing()

    def be_gone_then_packed(self, file, path):
        self.answer(200, CABINET) if file == PACKED else self.answer(403)

    def be_garbage_then_packed(self, file, path):
        self.answer(200, CABINET) if file == PACKED else self.answer(200, b"<html>welcome</html>")

    def be_pointer(self, file, path):
        self.answer(200, b"PATH:\\\\server\\share\\x.pdb") if file == "file.ptr" else self.missing()

    def be_message(self, file, path):
        self.answer(200, b"MSG: not here") if file == "file.ptr" else self.missing()

    def be_error(self, file, path):
        self.answer(500, b"oops")

    def be_busy(self, file, path):
        self.answer(503, b"", Retry_After=120)

    def be_forbidden(self, file, path):
        self.answer(403, b"")

    def be_drip(self, file, path):
        self.send_response(200)
        self.send_header("Content-Length", str(len(PDB)))
        self.end_headers()
        for at in range(0, len(PDB), 100):
            self.write(PDB[at:at + 100])
            time.sleep(0.25)

    def be_silence(self, file, path):
        time.sleep(8)
        self.close_connection = True

    def be_half(self, file, path):
        self.answer(200, PDB[:len(PDB) // 2], Content_Length=len(PDB))
        self.close_connection = True

    def be_half_unannounced(self, file, path):
        self.open_end()
        self.write(PDB[:len(PDB) // 2])

    def be_half_cabinet(self, file, path):
        if file == PACKED:
            self.open_end()
            self.write(CABINET[:len(CABINET) // 2])
        else:
            self.missing()

    def be_empty(self, file, path):
        self.answer(200)

    def be_garbage(self, file, path):
        self.answer(200, b"<html>sign in to the guest network</html>" * 100)

    def be_almost(self, file, path):
        """The right magic, and a count of blocks that fits nothing."""
        self.answer(200, PDB[:32] + b"\xff" * 4064)

    def be_huge(self, file, path):
        self.answer(200, b"", Content_Length=2 << 30)
        while True:
            self.write(bytes(65536))

    def be_zeros(self, file, path):
        self.open_end()
        while True:
            self.write(bytes(65536))

    def be_endless(self, file, path):
        """Begins as a PDB, then zeros without end."""
        self.open_end()
        self.write(PDB[:4096])
        while True:
            self.write(bytes(65536))

    def be_loop(self, file, path):
        self.answer(302, Location=path)

    def be_moved(self, file, path):
        self.answer(302, Location=path.replace("/moved/", "/good/"))

    def be_moved_to_file(self, file, path):
        self.answer(302, Location="file:///etc/passwd")

    def be_moved_to_ftp(self, file, path):
        self.answer(302, Location="ftp://127.0.0.1/x.pdb")

    def be_moved_down(self, file, path):
        self.answer(302, Location=self.server.downgrade + path.replace("/moved_down/", "/good/"))

    def be_once_broken(self, file, path):
        """An error for one file, the other is good."""
        self.answer(500) if GUIDAGE in path else self.be_good(file, path)


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    downgrade = ""

    def __init__(self, context=None):
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked, self.sent = [], 0
        self.scheme = "http"
        if context is not None:
            self.socket = context.wrap_socket(self.socket, server_side=True)
            self.scheme = "https"
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def handle_error(self, request, client_address):
        pass

    def at(self, behaviour):
        return f"{self.scheme}://127.0.0.1:{self.server_address[1]}/{behaviour}"

    def files(self):
        """The last part of what was asked since the last call."""
        asked, self.asked = self.asked, []
        return [path.rsplit("/", 1)[1] for path, _ in asked]
