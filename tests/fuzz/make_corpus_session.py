#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the corpus of fuzz_session, from scratch: records of an operation, a length and bytes (see fuzz_session.c)."""

import struct

import make_corpus as parts

BODY, PACKET, REPLY, CONTROL, WAIT, POKE = range(6)
NO_REPLY, NO_ACK = 0x80, 0x40


def record(operation, data=b""):
    return bytes([operation, len(data)]) + data


def packet(kind, payload):
    return record(PACKET, bytes([kind]) + payload[:254])


def main():
    crash = (b"\n*** Fatal System Error: 0x000000d1\n                       "
             b"(0xFFFFF80000001000,0x0000000000000002,0x0000000000000000,0xFFFFF80000002000)\n\n")
    text = struct.pack("<IHHII", 0x3230, 0, 0, len(crash), 0) + crash
    prompt = struct.pack("<IHHII", 0x3231, 0, 0, 6, 2) + b"Break?"
    create = struct.pack("<II", 0x3430, 0).ljust(64, b"\0") + "\\a.sys\0".encode("utf-16-le")
    stop = parts.exception()
    load = parts.load_symbols(b"\\a.sys\0", 0, 0xFFFFF80000400000)
    shutdown = parts.load_symbols(b"", 1, 2**64 - 1)
    files = {
        "silent": record(WAIT, b"\xff"),
        "answers": record(CONTROL, b"\0\0") + record(POKE) + b"\0\0",
        "again": packet(7, stop) * 2 + record(WAIT, b"\x10") + packet(7, stop),
        "load": packet(7, load) + record(WAIT, b"\5") + packet(7, load),
        "shutdown": packet(7, shutdown) + record(WAIT, b"\x20"),
        "crash": packet(3, text) + packet(7, stop) + record(WAIT, b"\x40") + packet(7, shutdown),
        "questions": packet(3, prompt) + packet(11, create) + record(WAIT, b"\2") + packet(3, prompt),
        "reset": record(CONTROL, b"\2\0") + record(CONTROL, b"\2\2") + record(CONTROL, b"\1\0") + record(WAIT, b"\4"),
        "reply-version": record(REPLY | NO_REPLY, bytes(56)) + record(WAIT, b"\3"),
        "reply-read": record(REPLY | NO_REPLY, b"\1" + bytes(80)),
        "rekey": record(POKE) + record(WAIT | NO_REPLY, b"\x40") + record(POKE | NO_ACK) + record(WAIT, b"\x40"),
        "body": record(BODY, b"\x62") + record(BODY, parts.packet(7, 4, stop)[:250]) + record(BODY),
        "old-state": packet(1, stop) + record(WAIT, b"\5"),
    }
    for name, data in files.items():
        parts.put("session", name, data)


if __name__ == "__main__":
    main()
