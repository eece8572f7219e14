#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the corpus of fuzz_dump_log, from scratch: memories with dump logs of each kind (see fuzz_dump_log.c)."""

import pathlib
import struct

FOLDER = pathlib.Path(__file__).resolve().parent / "corpus" / "dump_log"
BLOCK = 0xFFFFF80000001000
SIZE = 0x1800
LOG = 0x400
INIT = "DLOGFILE \r\nDump stack initialized at UTC: 2024/05/06 07:08:09\r\n"
NAMES = ("#BugCheckCode 0x00000000000000D1\r\n#BugCheckP1 0xFFFFF80012345678\r\n#BugCheckP2 0x0000000000000002\r\n"
         "#BugCheckP3 0x0000000000000000\r\n#BugCheckP4 0xFFFFF88000001234\r\n")
PROGRESS = ("Progress 0x00000022\r\nElapsed BugCheck duration 00001234ms\r\nDump Type: 5, Total Dump Size: 123456789\r\n"
            "Dumping physical memory to disk:  37%\r\nTotal pages:1000 Pages written:370\r\n")
FINAL = "Dump ended at UTC: 2024/05/06 07:09:09\r\nDump completed successfully.\r\n"


def case(text, flags=0, path=(0, 0, 0, 0), wide=False, narrow=False, driver=False):
    """Dump block at 0 of the memory, whose word at 0x48 points to the log; the driver's header at 0x1000."""
    memory = bytearray(SIZE)
    struct.pack_into("<I" if narrow else "<Q", memory, 0x48, (BLOCK + LOG) & (0xFFFFFFFF if narrow else 2**64 - 1))
    log = text.encode("utf-16-le" if wide else "ascii")
    memory[LOG : LOG + len(log)] = log
    if driver:
        memory[0x48:0x50] = bytes(8)
        memory[0x1000:0x1002], memory[0x103C] = b"MZ", 0x80
        memory[0x1080:0x1082] = b"PE"
        struct.pack_into("<HH", memory, 0x1086, 1, 0)
        struct.pack_into("<H", memory, 0x1094, 0xF0)
        struct.pack_into("<IIII", memory, 0x1080 + 24 + 0xF0 + 8, 0x400, 0, 0, 0)
        struct.pack_into("<I", memory, 0x1080 + 24 + 0xF0 + 36, 0xC0000040)
    return struct.pack("<BBBHI", flags, *path) + bytes(memory)


def main():
    FOLDER.mkdir(parents=True, exist_ok=True)
    cases = {
        "completed": case(INIT + NAMES + PROGRESS + FINAL),
        "wide": case(INIT + NAMES + PROGRESS + FINAL, wide=True),
        "narrow": case(INIT + NAMES + PROGRESS + FINAL, flags=1, narrow=True),
        "cut": case(INIT + NAMES + PROGRESS),
        "foreign": case(INIT + NAMES.replace("D1", "1E") + FINAL),
        "twice": case(INIT + NAMES + FINAL + INIT + NAMES + PROGRESS),
        "remembered": case(INIT + NAMES + PROGRESS + FINAL, flags=8, path=(1, 0x48, 0, 0)),
        "no_block": case(INIT + NAMES + FINAL, flags=2 | 4 | 8 | 16, path=(2, 0, 0x48, 8)),
        "driver": case(INIT + NAMES + PROGRESS + FINAL, flags=4, driver=True),
        "endless": struct.pack("<BBBHI", 0, 0, 0, 0, 0) + (INIT + NAMES + PROGRESS).encode(),
    }
    for name, data in cases.items():
        (FOLDER / name).write_bytes(data)


if __name__ == "__main__":
    main()
