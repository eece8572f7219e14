#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the corpus of the fuzz targets, from scratch: nothing in it comes from a capture."""

import pathlib
import struct

HERE = pathlib.Path(__file__).resolve().parent / "corpus"


def put(target, name, data):
    folder = HERE / target
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(data)


def packet(kind, ident, payload, leader=0x30303030):
    return struct.pack("<IHHII", leader, kind, len(payload), ident, sum(payload)) + payload


def exception():
    fixed = struct.pack("<IHHIIQQ", 0x3030, 0, 1, 4, 0, 0xFFFFE00000001000, 0xFFFFF80000002000)
    fixed += struct.pack("<IIQQII", 0x80000003, 0, 0, 0xFFFFF80000002000, 1, 0) + bytes(15 * 8)
    fixed += struct.pack("<II", 1, 0)
    return fixed + struct.pack("<QQIHH", 0, 0x400, 0x246, 16, 1) + b"\xcc" + bytes(15) + bytes(8)


def load_symbols(path, unload, base):
    fixed = struct.pack("<IHHIIQQ", 0x3031, 0, 0, 1, 0, 0, 0xFFFFF80000003000)
    fixed += struct.pack("<IIQQIIB", len(path), 0, base, 0, 0x1234, 0x5000, unload)
    return fixed.ljust(240, b"\0") + path


def manipulate(api, union=b"", data=b""):
    return struct.pack("<IHHII", api, 0, 0, 0x103, 0) + union.ljust(40, b"\0") + data


def pe(magic, directories):
    header = bytearray(0x200)
    header[0:2] = b"MZ"
    struct.pack_into("<I", header, 0x3C, 0x80)
    header[0x80:0x84] = b"PE\0\0"
    struct.pack_into("<H", header, 0x98, magic)
    struct.pack_into("<I", header, 0x98 + directories - 4, 16)
    struct.pack_into("<II", header, 0x98 + directories + 48, 0x1000, 56)
    return bytes(header)


def main():
    crash = (b"\n*** Fatal System Error: 0x000000d1\n                       "
             b"(0xFFFFF80000001000,0x0000000000000002,0x0000000000000000,0xFFFFF80000002000)\n\n")
    text = struct.pack("<IHHII", 0x3230, 0, 0, len(crash), 0) + crash
    prompt = struct.pack("<IHHII", 0x3231, 0, 0, 6, 2) + b"Break?"
    create = struct.pack("<II", 0x3430, 0).ljust(64, b"\0") + "\\a.sys\0".encode("utf-16-le")
    read = manipulate(0x3130, struct.pack("<QII", 0xFFFFF80000001000, 16, 16), bytes(range(16)))
    version = manipulate(0x3146, struct.pack("<HHBBHHBBBBH", 15, 19041, 6, 2, 7, 0x8664, 12, 3, 50, 0, 0)
                         + struct.pack("<QQQ", 0xFFFFF80000000000, 0xFFFFF80000001000, 0xFFFFF80000002000))
    changes = {"exception": exception(), "load": load_symbols(b"\\a.sys\0", 0, 0xFFFFF80000400000),
               "shutdown": load_symbols(b"", 1, 2**64 - 1)}
    contents = {"read": read, "version": version, "continue": manipulate(0x313C, struct.pack("<I", 0x10002))}
    for name, payload in changes.items():
        put("state_change", name, payload)
        put("packet", name, packet(7, 2, payload))
    for name, payload in contents.items():
        put("manipulate", name, payload)
        put("packet", name, packet(2, 0x80000000, payload))
    for name, payload in {"print": text, "prompt": prompt}.items():
        put("debug_io", name, payload)
        put("packet", name, packet(3, 4, payload))
    put("file_io", "create", create)
    put("packet", "create", packet(11, 6, create))
    put("packet", "ack", packet(4, 2, b"", 0x69696969))
    put("packet", "break-in", b"\x62")

    put("handshake", "poke", b"\1\1" + bytes(range(32)) + (bytes(10) + b"\xff\xff\x7f\0\0\1\xc3\x50") * 2 + bytes(274))
    put("handshake", "response", b"\1\2" + bytes(range(64)) + bytes(256))
    put("handshake", "check", bytes(8) + b"\1\0\0\x7f")
    put("datagram", "shortest", b"MDBG\4\0" + bytes(32))
    put("datagram", "poke-sized", b"MDBG\5\1" + bytes(range(256)) + bytes(112))
    put("kernel", "pe32", pe(0x10B, 96))
    put("kernel", "pe32-plus", pe(0x20B, 112))
    put("kernel", "codeview", bytes(12) + struct.pack("<IIII", 2, 37, 0x2000, 0))
    put("kernel", "record", b"RSDS" + bytes(range(16)) + struct.pack("<I", 1) + b"ntkrnlmp.pdb\0")
    put("kernel", "block", bytes(16) + b"KDBG" + struct.pack("<I", 0x368) + bytes(0x368 - 24))
    put("kernel", "text", crash)
    put("key", "short", b"1.2.3.4")
    put("key", "largest", b".".join([b"3w5e11264sgsf"] * 4))
    put("key", "capitals", b"ABC.0.00Z.9")


if __name__ == "__main__":
    main()
