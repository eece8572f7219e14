#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Which lines and functions of the product the tests ran: report.py BUILD_FOLDER.

clang built BUILD_FOLDER with -fprofile-instr-generate=BUILD_FOLDER/counts/%c%m.profraw -fcoverage-mapping, and tests
ran there. Each process counts straight in the file of its program (%c: mapped, %m: shared), so that a process that is
killed, or forks, or ends while others end, has counted all the same.

Prints line coverage by folder and in all, each function that no test ran, and the sources that were not built here, so
are not in the figures. Writes BUILD_FOLDER/unrun_lines.txt: FILE:FIRST-LAST of all lines that no test ran.

A line counts when it holds code: not one that is empty, a comment, a preprocessor's, or nothing but braces. A line of which only a part
ran has run, as gcov would say too.
"""
import collections
import os
import pathlib
import re
import shutil
import subprocess
import sys

SOURCE = pathlib.Path(__file__).resolve().parents[2]
FOLDERS = ("kdnet", "config", "service")  # the product: not the tests themselves
WANTED_ALL, WANTED_FOLDER = 97.0, 92.0
NO_CODE = re.compile(r"\s*(?:[{}();,]|\belse\b|\bdo\b)*\s*(?:else|do)?\s*[{};]*\s*")


class Source:
    """What ran of one source file, in whatever programs it is."""

    def __init__(self, path):
        self.lines = collections.Counter()
        self.functions = collections.Counter()  # (line, name)
        self.code = lines_of_code((SOURCE / path).read_text(encoding="utf-8"))

    def add_line(self, line, count):
        if line in self.code:
            self.lines[line] += count

    def ran(self):
        return sum(count > 0 for count in self.lines.values())

    def unrun_ranges(self):
        """(first, last) of lines that did not run, where no line that ran is between them."""
        ranges, open_range = [], None
        for line in sorted(self.lines):
            if self.lines[line]:
                open_range = None
            elif open_range:
                open_range[1] = line
            else:
                open_range = [line, line]
                ranges.append(open_range)
        return ranges


def lines_of_code(text):
    """The numbers of the lines that hold more than braces and comments."""
    text = re.sub(r"/\*.*?\*/", lambda comment: "\n" * comment.group().count("\n"), text, flags=re.DOTALL)
    return {number for number, line in enumerate(text.splitlines(), 1)
            if not line.lstrip().startswith("#") and not NO_CODE.fullmatch(re.sub(r"//.*", "", line))}


def tool(name):
    """clang's companion of that name, of clang's version."""
    version = subprocess.run(["clang", "-dumpversion"], capture_output=True, text=True, check=True).stdout
    found = shutil.which(f"{name}-{version.split('.')[0]}") or shutil.which(name)
    if not found:
        sys.exit(f"report.py: {name} is not there: install llvm of the version of clang ({version.strip()})")
    return found


def export_counts(build):
    """What llvm-cov says of all objects of the product, as lcov writes it; an object that never ran has zeros."""
    counts = sorted(str(path) for path in (build / "counts").glob("*.profraw"))
    if not counts:
        sys.exit(f"report.py: {build}/counts has no counts: ./dev coverage builds and runs what counts")
    merged = build / "counts.profdata"
    (build / "counts.list").write_text("\n".join(counts) + "\n", encoding="utf-8")
    subprocess.run([tool("llvm-profdata"), "merge", "--sparse", "--failure-mode=all", "-f", str(build / "counts.list"),
                    "-o", str(merged)], check=True)
    objects = sorted(str(path) for folder in FOLDERS for path in (build / folder).rglob("*.c.o"))
    done = subprocess.run([tool("llvm-cov"), "export", "--format=lcov", "--instr-profile", str(merged), objects[0],
                           *(f"--object={path}" for path in objects[1:])],
                          stdout=subprocess.PIPE, text=True, check=True)
    return done.stdout


def read_sources(build):
    """FILE, relative to the tree: Source."""
    sources, source = {}, None
    for line in export_counts(build).splitlines():
        kind, _, rest = line.partition(":")
        if kind == "SF":
            path = pathlib.Path(os.path.normpath(build / rest))
            source = None
            if path.is_relative_to(SOURCE) and path.relative_to(SOURCE).parts[0] in FOLDERS:
                source = sources.setdefault(path.relative_to(SOURCE), Source(path.relative_to(SOURCE)))
        elif source and kind == "DA":
            number, count = rest.split(",")[:2]
            source.add_line(int(number), int(count))
        elif source and kind == "FN":
            number, name = rest.split(",", 1)
            names[name] = (int(number), name.rpartition(":")[2])
        elif source and kind == "FNDA":
            count, name = rest.split(",", 1)
            source.functions[names[name]] += int(count)
        elif kind == "end_of_record":
            names = {}
        if kind == "SF":
            names = {}
    return sources


def print_folders(sources):
    folders = collections.defaultdict(lambda: [0, 0])
    for path, source in sources.items():
        for name in (str(path.parent), "all") if source.lines else ():
            folders[name][0] += source.ran()
            folders[name][1] += len(source.lines)
    print(f"{'folder':24} {'lines':>7} {'ran':>7} {'%':>6}")
    for name in sorted(folders, key=lambda name: (name == "all", name)):
        ran, lines = folders[name]
        percent = 100 * ran / max(lines, 1)
        wanted = WANTED_ALL if name == "all" else WANTED_FOLDER
        print(f"{name:24} {lines:7} {ran:7} {percent:6.1f}{'' if percent >= wanted else f'  below {wanted:g} %'}")


def print_unrun_functions(sources):
    unrun = [(path, line, name) for path, source in sorted(sources.items())
             for (line, name), count in sorted(source.functions.items()) if count == 0]
    count = sum(len(source.functions) for source in sources.values())
    print(f"\n{len(unrun)} of {count} functions were not run by any test:")
    for path, line, name in unrun:
        print(f"  {path}:{line} {name}")


def print_not_built(sources):
    """What another system, or an option that is off, would build."""
    there = {path.relative_to(SOURCE) for folder in FOLDERS for path in (SOURCE / folder).rglob("*.c")}
    absent = collections.Counter(str(path.parent) for path in there - sources.keys())
    if absent:
        print("\nnot built here, so not counted: "
              + ", ".join(f"{folder} ({count} files)" for folder, count in sorted(absent.items())))


def write_unrun_lines(sources, path):
    with open(path, "w", encoding="utf-8") as file:
        for source in sorted(sources):
            for first, last in sources[source].unrun_ranges():
                file.write(f"{source}:{first}-{last}\n")


def main():
    build = pathlib.Path(sys.argv[1]).resolve()
    sources = read_sources(build)
    print_folders(sources)
    print_unrun_functions(sources)
    print_not_built(sources)
    write_unrun_lines(sources, build / "unrun_lines.txt")
    print(f"\nlines that no test ran: {build / 'unrun_lines.txt'}")


if __name__ == "__main__":
    main()
