#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Which lines and functions of the product the tests ran: report.py BUILD_FOLDER.

BUILD_FOLDER was built by gcc with --coverage, and tests ran there. Prints line coverage by folder and in all, then
each function that no test ran. Writes BUILD_FOLDER/unrun_lines.txt: FILE:FIRST-LAST of all lines that no test ran.
"""
import collections
import concurrent.futures
import json
import os
import pathlib
import subprocess
import sys

SOURCE = pathlib.Path(__file__).resolve().parents[2]
FOLDERS = ("kdnet", "config", "service")  # the product: not the tests themselves


class Source:
    """What ran of one source file, in whatever programs it is."""

    def __init__(self):
        self.lines = collections.Counter()
        self.functions = collections.Counter()  # (line, name)

    def add(self, report):
        for line in report["lines"]:
            self.lines[line["line_number"]] += line["count"]
        for function in report["functions"]:
            self.functions[(function["start_line"], function["name"])] += function["execution_count"]

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


def read_counts(notes):
    """What gcov says of one object; a .gcno whose object never ran counts with zeros."""
    counts = notes.with_suffix(".gcda")
    done = subprocess.run(["gcov", "--json-format", "--stdout", str(counts if counts.exists() else notes)],
                          capture_output=True, text=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def read_sources(build):
    """FILE, relative to the tree: Source."""
    sources = collections.defaultdict(Source)
    notes = [path for folder in FOLDERS for path in (build / folder).rglob("*.gcno")]
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for reports in pool.map(read_counts, notes):
            for report in (file for one in reports for file in one["files"]):
                path = pathlib.Path(os.path.normpath(build / report["file"]))
                if path.is_relative_to(SOURCE) and not path.is_relative_to(build):
                    sources[path.relative_to(SOURCE)].add(report)
    return sources


def print_folders(sources):
    folders = collections.defaultdict(lambda: [0, 0])
    for path, source in sources.items():
        for name in (str(path.parent), "all"):
            folders[name][0] += source.ran()
            folders[name][1] += len(source.lines)
    print(f"{'folder':20} {'lines':>7} {'ran':>7} {'%':>6}")
    for name in sorted(folders, key=lambda name: (name == "all", name)):
        ran, lines = folders[name]
        print(f"{name:20} {lines:7} {ran:7} {100 * ran / max(lines, 1):6.1f}")


def print_unrun_functions(sources):
    unrun = [(path, line, name) for path, source in sorted(sources.items())
             for (line, name), count in sorted(source.functions.items()) if count == 0]
    count = sum(len(source.functions) for source in sources.values())
    print(f"\n{len(unrun)} of {count} functions were not run by any test:")
    for path, line, name in unrun:
        print(f"  {path}:{line} {name}")


def write_unrun_lines(sources, path):
    with open(path, "w") as file:
        for source in sorted(sources):
            for first, last in sources[source].unrun_ranges():
                file.write(f"{source}:{first}-{last}\n")


def main():
    build = pathlib.Path(sys.argv[1]).resolve()
    sources = read_sources(build)
    if not sources:
        sys.exit(f"report.py: {build} has no .gcno files: build it with --coverage")
    print_folders(sources)
    print_unrun_functions(sources)
    write_unrun_lines(sources, build / "unrun_lines.txt")
    print(f"\nlines that no test ran: {build / 'unrun_lines.txt'}")


if __name__ == "__main__":
    main()
