# SPDX-License-Identifier: Apache-2.0
"""Where the programs are, as the environment says; addresses and ports of loopback, keys, times."""
import datetime
import os
import pathlib
import socket

SOURCE = pathlib.Path(os.environ.get("KDNETD_SOURCE", pathlib.Path(__file__).resolve().parents[2]))
BUILD = pathlib.Path(os.environ.get("KDNETD_BUILD", SOURCE / "build" / "asan"))
DATA = pathlib.Path(os.environ.get("KDNETD_DATA", SOURCE.parent / "shared" / "data"))
SCHEMA = SOURCE / "config" / "events.schema.json"
WINE = os.environ.get("KDNETD_WINE")

GUIDAGE = "4B444E45542D544152474554000000011"
SYMBOL = "nt!IopFinalCrashDumpStatus"
RVA = f"{GUIDAGE}:IopFinalCrashDumpStatus=0x3010"
PATIENCE = 120.0  # of a wait that should take a moment: only a broken program meets it
# A processor that is busy elsewhere for two seconds is no fault of kdnetd's: a test of the deadline names its own.
READ_DEADLINE = "30s"
WINE_QUIET = 1.0  # what kdnetd.exe has to say comes in less
WINE_TOKEN = "a-token-of-the-tests-under-wine-and-nobody-else"

_digits = "0123456789abcdefghijklmnopqrstuvwxyz"


def kdnetd():
    """The words that start it."""
    return ["wine", str(pathlib.Path(WINE) / "kdnetd.exe")] if WINE else [str(BUILD / "kdnetd")]


def base36(value):
    text = ""
    while True:
        value, digit = divmod(value, 36)
        text = _digits[digit] + text
        if value == 0:
            return text


def key_text(*parts):
    """A key w.x.y.z of four numbers."""
    return ".".join(base36(part) for part in parts)


def seconds(event):
    """The time of an event, in seconds since 1970."""
    return datetime.datetime.fromisoformat(event["time"]).timestamp()


def free_port(ip, kind=socket.SOCK_DGRAM):
    family = socket.AF_INET6 if ":" in ip else socket.AF_INET
    with socket.socket(family, kind) as probe:
        probe.bind((ip, 0))
        return probe.getsockname()[1]


def is_free(one):
    ip, port = one.rsplit(":", 1)
    with socket.socket(socket.AF_INET6 if "[" in ip else socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((ip.strip("[]"), int(port)))
        except OSError:
            return False
    return True


def place(ip, port):
    return f"[{ip}]:{port}" if ":" in ip else f"{ip}:{port}"


def has_ipv6():
    try:
        free_port("::1")
    except OSError:
        return False
    return True


def signal_at(process, number):
    """Never to a group, never by name."""
    if process.poll() is None:
        process.send_signal(number)
