#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the corpus of fuzz_evidence, from scratch: a length byte and so many bytes for each read (see fuzz_evidence.c)."""

import struct

import make_corpus as parts


def read(data=b""):
    return bytes([len(data)]) + data


def whole(data=b""):
    """As much as is asked for."""
    return b"\xff" + data


def pointer(value):
    return read(struct.pack("<Q", value))


def entry(following, base, name, length):
    """A KLDR_DATA_TABLE_ENTRY of x64."""
    data = bytearray(0x68)
    struct.pack_into("<Q", data, 0, following)
    struct.pack_into("<Q", data, 0x30, base)
    struct.pack_into("<HHxxxxQ", data, 0x58, length, length, name)
    return read(bytes(data))


def main():
    values = read(bytes(range(24))) + read(b"a text".ljust(160, b"\0"))
    chain = pointer(0xFFFFE00000001000) + read(struct.pack("<HHxxxxQ", 20, 22, 0xFFFFE00000002000))
    chain += read("faulty.sys".encode("utf-16-le"))
    far = pointer(0xFFFFE00000005000) * 3 + pointer(7)
    names = read("hal.dll".encode("utf-16-le").ljust(20, b"\0")) + read("faulty.sys".encode("utf-16-le"))
    walk = pointer(0xFFFFE00000010000)
    found = (walk + entry(0xFFFFE00000010100, 0xFFFFF80055550000, 0xFFFFE00000020000, 20) + names[:21] +
             entry(0xFFFFE00000010200, 0xFFFFF80066660000, 0xFFFFE00000020100, 20) + names[21:] +
             entry(0xFFFFF80012342300, 0xFFFFF80077770000, 0, 20))
    pe = bytearray(250)  # PE32, whose directories come early
    pe[0:2], pe[0x3c:0x40], pe[0x40:0x44] = b"MZ", struct.pack("<I", 0x40), b"PE\0\0"
    struct.pack_into("<H", pe, 0x40 + 24, 0x10b)
    struct.pack_into("<I", pe, 0x40 + 24 + 92, 16)
    struct.pack_into("<II", pe, 0x40 + 24 + 96 + 48, 0x800, 28)
    headers = read(bytes(pe))
    directory = read(struct.pack("<IIHHIIII", 0, 0, 0, 0, 2, 40, 0x900, 0x900))
    record = read(b"RSDS" + bytes(16) + struct.pack("<I", 1) + b"faulty.pdb\0")
    files = {
        "nothing": b"",
        "values": values + chain + far,
        "null": read(bytes(24)) + whole() + pointer(0) + pointer(0),
        "short": read(bytes(5)) + read(b"te") + read(b"\1") + whole(b"x") * 8,
        "found": values + chain + far + found + headers + directory + record + pointer(9),
        "loop": values + chain + far + walk + entry(0xFFFFE00000010000, 1, 2, 20) * 4,
        "endless": values + chain + far + walk + b"".join(entry(0xFFFFE00000010000 + 0x100 * i, 1, 2, 6)
                                                          for i in range(1, 8)),
    }
    for name, data in files.items():
        parts.put("evidence", name, data)


if __name__ == "__main__":
    main()
