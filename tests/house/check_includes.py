#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Draws the includes of the sources by room and fails when one points the wrong way.

A room is a folder of kdnet/ or service/, with what is below it. It may include the rooms that ARROWS names, and itself;
kdnet/ and config/ lie below all of service/, kdnet/include (what is installed) below all of kdnet/. Within a room no
files include each other in a circle: a header, its NAME_internal.h and its source count as one. A header
NAME_internal.h is included from its own room alone.

    check_includes.py [--draw] [TREE]
"""
import pathlib
import re
import sys

# Room -> the rooms below it that it may include. "*": all.
ARROWS = {
    "kdnet/include": set(),
    "kdnet/base": set(),
    "kdnet/crypto": {"kdnet/base"},
    "kdnet/wire": {"kdnet/crypto", "kdnet/base"},
    "kdnet/kernel": {"kdnet/wire", "kdnet/base"},
    "kdnet/unwind": {"kdnet/wire", "kdnet/base"},
    "kdnet/crash": {"kdnet/unwind", "kdnet/kernel", "kdnet/wire", "kdnet/base"},
    "kdnet/session": {"kdnet/crash", "kdnet/kernel", "kdnet/wire", "kdnet/crypto", "kdnet/base"},
    "service": "*",  # main.c
    "service/server": "*",
    "service/worker": {"service/targets", "service/net", "service/runtime", "service/platform", "service/output"},
    "service/targets": {"service/net", "service/runtime"},
    "service/output": {"service/net", "service/runtime", "service/platform"},
    "service/store": {"service/output", "service/runtime", "service/platform"},
    "service/sinks": {"service/store", "service/fleet", "service/output", "service/runtime", "service/platform"},
    "service/http": {"service/store", "service/net", "service/runtime", "service/platform"},
    "service/fleet": {"service/net", "service/runtime", "service/platform"},
    "service/symbols": {"service/runtime", "service/platform"},
    "service/net": set(),
    "service/runtime": {"service/platform"},
    "service/platform": {"service/net"},
    "service/capture": {"service/platform"},
    "service/kdnetctl": {"service/capture", "service/symbols", "service/store", "service/fleet", "service/platform", "service/runtime"},
    "service/kdnet-target": {"service/capture", "service/platform"},
    "config": set(),
}
BELOW = ("config", "kdnet")  # what each room of service/ may include besides
INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"', re.M)


def room_of(path):
    """service/platform/linux/x.c is of the room service/platform."""
    parts = pathlib.PurePosixPath(path).parts
    return "/".join(parts[:2]) if parts[0] in ("service", "kdnet") and len(parts) > 2 else parts[0]


def sources(tree):
    for top in ("service", "config", "kdnet"):
        for path in sorted((tree / top).rglob("*")):
            if path.suffix in (".c", ".h", ".def"):
                yield path.relative_to(tree).as_posix()


def includes(tree, planted):
    """(file, included file), of the tree's own files; `planted`: files and what is added to their text."""
    for name in sources(tree):
        for included in INCLUDE.findall((tree / name).read_text() + planted.get(name, "")):
            places = [place for place in (included, f"kdnet/include/{included}") if (tree / place).exists()]
            if places:
                yield name, places[0]


def is_allowed(room, other):
    if room == other:
        return True
    if room.startswith("kdnet/"):
        return other == "kdnet/include" or other in ARROWS.get(room, ())
    if room == "config":
        return other.startswith("kdnet")
    if other.split("/")[0] in BELOW:
        return True
    arrows = ARROWS.get(room)
    return arrows == "*" and other != "service" or arrows is not None and other in arrows


def stem(name):
    path = pathlib.PurePosixPath(name)
    return str(path.parent / path.stem.removesuffix("_internal"))


def circles(edges):
    """The sets of nodes that reach each other, of more than one node."""
    below = {}
    for a, b in edges:
        below.setdefault(a, set()).add(b)

    def reach(node):
        seen, todo = set(), [node]
        while todo:
            for other in below.get(todo.pop(), ()):
                if other not in seen:
                    seen.add(other)
                    todo.append(other)
        return seen

    reached = {node: reach(node) for node in below}
    found = {frozenset([a] + [b for b in reached[a] if a in reached.get(b, ())]) for a in reached if a in reached[a]}
    return [circle for circle in found if len(circle) > 1]


def check(tree, planted=None):
    """Returns the complaints, one a line."""
    complaints, inside, folders = [], set(), set()
    for name, included in includes(tree, planted or {}):
        room, other = room_of(name), room_of(included)
        if not is_allowed(room, other):
            complaints.append(f"{name} includes {included}: {room} may not include {other}")
        if included.endswith("_internal.h") and room != other:
            complaints.append(f"{name} includes {included}, which is for {other} alone")
        if room == other and stem(name) != stem(included):
            inside.add((stem(name), stem(included)))
        if room != other:
            folders.add((room, other))
    for circle in circles(inside):
        complaints.append("include each other in a circle: " + ", ".join(sorted(circle)))
    for circle in circles(folders):
        complaints.append("rooms include each other in a circle: " + ", ".join(sorted(circle)))
    return complaints


def draw(tree):
    arrows = {}
    for name, included in includes(tree, {}):
        room, other = room_of(name), room_of(included)
        if room != other:
            arrows.setdefault(room, set()).add(other)
    for room in sorted(arrows):
        print(f"{room:22} -> {', '.join(sorted(arrows[room]))}")


def main(arguments):
    drawing = "--draw" in arguments
    paths = [a for a in arguments if a != "--draw"]
    tree = pathlib.Path(paths[0] if paths else pathlib.Path(__file__).resolve().parents[2])
    if drawing:
        draw(tree)
        return 0
    complaints = check(tree)
    for complaint in complaints:
        print(complaint)
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
