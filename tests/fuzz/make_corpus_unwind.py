#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the corpus of fuzz_unwind, from scratch: what unwind data of each kind looks like (see fuzz_unwind.c)."""

import pathlib
import struct

FOLDER = pathlib.Path(__file__).resolve().parent / "corpus" / "unwind"


def case(machine, pc, entries, table, info):
    """Table at 0 of the memory, unwind data at 0x100, code at 0x200."""
    memory = bytearray(0x400)
    memory[: len(table)] = table
    memory[0x100 : 0x100 + len(info)] = info
    memory[0x200:0x208] = bytes.fromhex("4883c4285f5bc390")
    return struct.pack("<BIIH", machine, pc, 0, entries) + bytes(memory)


def x64(codes, flags=1, prolog=8, frame=0, tail=b""):
    return bytes([flags, prolog, len(codes) // 2, frame]) + codes + tail


def main():
    FOLDER.mkdir(parents=True, exist_ok=True)
    table = struct.pack("<III", 0x200, 0x300, 0x100)
    chain = struct.pack("<III", 0x200, 0x300, 0x120)
    cases = {
        "x64_push": case(0, 0x240, 2, table, x64(bytes.fromhex("08420430"))),
        "x64_large": case(0, 0x240, 2, table, x64(bytes.fromhex("08015000 0411 00100000"))),
        "x64_frame": case(0, 0x240, 2, table, x64(bytes.fromhex("0803 0442 0250"), frame=0x25)),
        "x64_saves": case(0, 0x240, 2, table, x64(bytes.fromhex("08340200 0765 10000000 0642"))),
        "x64_chain": case(0, 0x240, 2, table, x64(b"", flags=0x21, tail=chain) + bytes(16) + x64(bytes.fromhex("0842"))),
        "x64_interrupt": case(128, 0x240, 2, table, x64(bytes.fromhex("081a"))),
        "x64_epilog": case(128, 0x200, 2, table, x64(bytes.fromhex("0842 0470 0230"), prolog=0)),
        "x64_version2": case(0, 0x240, 2, table, x64(bytes.fromhex("0416 1006 0842"), flags=2)),
        "arm64_packed": case(1, 0x240, 1, struct.pack("<II", 0x200, 1 | 64 << 2 | 3 << 16 | 3 << 21 | 8 << 23), b""),
        "arm64_xdata": case(1, 0x240, 1, struct.pack("<II", 0x200, 0x100),
                            struct.pack("<I", 64 | 1 << 22 | 2 << 27) + struct.pack("<I", 0x20) + bytes.fromhex("e183e6cc03e4e3e3")),
        "arm64_extended": case(129, 0x204, 1, struct.pack("<II", 0x200, 0x100),
                               struct.pack("<II", 64, 1 | 1 << 16) + struct.pack("<I", 0x20) + bytes.fromhex("fc84e4e3")),
        "x86": case(2, 0x240, 0, b"", struct.pack("<II", 0xA0000100, 0x80000240)),
    }
    for name, data in cases.items():
        (FOLDER / name).write_bytes(data)


if __name__ == "__main__":
    main()
