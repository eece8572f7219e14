# SPDX-License-Identifier: Apache-2.0
"""Small receivers on loopback of what the sinks send."""
import gzip
import http.server
import json
import re
import socket
import ssl
import threading


class Http:
    """Keeps each event of NDJSON that is posted. With a context, over TLS."""

    def __init__(self, context=None):
        self.events = []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                outer.events += [json.loads(line) for line in body.splitlines() if line]
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            def finish_request(self, request, client_address):
                request.settimeout(30)  # the handshake here, so that one that fails holds up no other
                super().finish_request(context.wrap_socket(request, server_side=True) if context else request, client_address)

            def handle_error(self, request, client_address):
                pass  # a client that does not trust us

        self.server = Server(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class Udp:
    """Keeps each datagram."""

    def __init__(self):
        self.datagrams = []
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.settimeout(0.2)
        self.port = self.socket.getsockname()[1]
        self.ends = False
        self.thread = threading.Thread(target=self.receive, daemon=True)
        self.thread.start()

    def receive(self):
        while not self.ends:
            try:
                self.datagrams.append(self.socket.recv(65536))
            except socket.timeout:
                pass

    def close(self):
        self.ends = True
        self.thread.join()
        self.socket.close()


class Stream:
    """Keeps each message of syslog, counted by octets. With a context, over TLS."""

    def __init__(self, context=None):
        self.messages, self.context = [], context
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                connection = self.listener.accept()[0]
            except OSError:
                return
            threading.Thread(target=self.read, args=(connection,), daemon=True).start()

    def read(self, connection):
        data = b""
        try:
            connection.settimeout(120)
            connection = self.context.wrap_socket(connection, server_side=True) if self.context else connection
            while more := connection.recv(65536):
                data += more
                while (found := re.match(rb"(\d+) ", data)) and len(data) >= found.end() + int(found.group(1)):
                    end = found.end() + int(found.group(1))
                    self.messages.append(data[found.end():end])
                    data = data[end:]
        except (OSError, ssl.SSLError):
            pass
        finally:
            connection.close()

    def close(self):
        self.listener.close()
