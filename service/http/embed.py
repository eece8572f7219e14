#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""embed.py OUT.c FILE...: the files as arrays in C, for page.h."""
import pathlib
import sys

TYPES = {".html": "text/html; charset=utf-8", ".css": "text/css; charset=utf-8",
         ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}


def array(number, data):
    rows = [", ".join(str(byte) for byte in data[at:at + 32]) for at in range(0, len(data), 32)]
    return f"static const unsigned char file_{number}[] = {{\n    " + ",\n    ".join(rows or ["0"]) + "};\n"


def main():
    out, paths = pathlib.Path(sys.argv[1]), [pathlib.Path(path) for path in sys.argv[2:]]
    text = "/* Made by service/http/embed.py. */\n#include \"service/http/page.h\"\n\n"
    rows = ""
    for number, path in enumerate(paths):
        data = path.read_bytes()
        text += array(number, data)
        rows += f"    {{\"{path.name}\", \"{TYPES[path.suffix]}\", file_{number}, {len(data)}}},\n"
    text += f"\nconst struct page_file page_files[] = {{\n{rows}    {{NULL, NULL, NULL, 0}},\n}};\n"
    out.write_text(text)


main()
