#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes corpus/pdb, corpus/cab and corpus/isf: make_corpus_symbols.py WRITE_TINY, the program of write_tiny.c. Needs gcab."""
import gzip
import json
import lzma
import os
import subprocess
import sys

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "corpus")

for folder in ("pdb", "cab", "isf"):
    os.makedirs(os.path.join(HERE, folder), exist_ok=True)
subprocess.run([sys.argv[1], HERE], check=True)
for name, flags in (("lzx", ()), ("zip", ("--zip",))):
    path = os.path.join(HERE, "cab", name)
    source = os.path.join(HERE, "cab", "ntkrnlmp.pdb")
    os.link(os.path.join(HERE, "pdb", "x64"), source)
    subprocess.run(["gcab", *flags, "-n", "-c", path, "ntkrnlmp.pdb"], cwd=os.path.dirname(path), check=True)
    os.remove(source)

table = {
    "base_types": {"char": {"endian": "little", "kind": "char", "signed": True, "size": 1}},
    "metadata": {"format": "6.1.0", "windows": {"pdb": {
        "GUID": "11111111" + "0" * 24, "age": 1, "database": "ntkrnlmp.pdb", "machine_type": 34404}}},
    "symbols": {"KiBugCheckData": {"address": 4660}, "Other": {"address": 7, "type": {"kind": "x", "l": [1, -2.5e3, None]}},
                "Escaped\u00e4\n\"": {"address": 9}},
}
text = json.dumps(table, indent=1).encode()
# preset 0: a small dictionary, which is allocated for each input.
contents = {"plain": text, "gz": gzip.compress(text, mtime=0), "xz": lzma.compress(text, preset=0),
            "short": b'{"symbols":{"_KiBugCheckData":{"address":1}},"metadata":{"windows":{"pdb":{"machine_type":332}}}}'}
for name, content in contents.items():
    with open(os.path.join(HERE, "isf", name), "wb") as file:
        file.write(content)
