#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""embed.py OUT.c MACHINE=FILE...: images as their loader lays them out, as arrays in C, for driver_image.h."""
import pathlib
import struct
import sys


def laid_out(path):
    file = path.read_bytes()
    nt, = struct.unpack_from("<I", file, 0x3C)
    sections, optional = struct.unpack_from("<H12xH", file, nt + 6)
    size, headers = struct.unpack_from("<II", file, nt + 24 + 56)
    memory = bytearray(size)
    memory[:headers] = file[:headers]
    for at in range(nt + 24 + optional, nt + 24 + optional + 40 * sections, 40):
        wanted, rva, raw, offset = struct.unpack_from("<IIII", file, at + 8)
        memory[rva : rva + min(wanted, raw)] = file[offset : offset + min(wanted, raw)]
    return memory


def main():
    out, rows = pathlib.Path(sys.argv[1]), ""
    text = '/* Made by service/kdnet-target/driver/embed.py. */\n#include "service/kdnet-target/driver_image.h"\n\n'
    for argument in sys.argv[2:]:
        machine, _, path = argument.partition("=")
        data = laid_out(pathlib.Path(path))
        lines = [", ".join(str(byte) for byte in data[at : at + 32]) for at in range(0, len(data), 32)]
        text += f"static const uint8_t bytes_{machine}[] = {{\n    " + ",\n    ".join(lines) + "};\n\n"
        rows += f"    {{KDNET_MACHINE_{machine}, sizeof bytes_{machine}, bytes_{machine}}},\n"
    text += f"const struct driver_image driver_images[] = {{\n{rows}    {{KDNET_MACHINE_UNKNOWN, 0, NULL}},\n}};\n"
    out.write_text(text)


main()
