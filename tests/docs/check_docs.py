#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Holds the documents against the tree: python3 check_docs.py TREE VERSION BUILD. Links lead somewhere, the version is one,
commands are those that the programs in BUILD have."""
import functools
import glob
import json
import os
import re
import shutil
import subprocess
import sys
import unittest

TREE = VERSION = BUILD = None
README_WORDS_MAX = 1400
LINK = re.compile(r"\]\(([^)\s]+)\)")
SKIPPED = ("build", ".git")


def documents():
    for folder, folders, files in os.walk(TREE):
        folders[:] = [name for name in folders if name not in SKIPPED]
        yield from (os.path.join(folder, name) for name in files if name.endswith(".md"))


def text_of(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def anchors(path):
    """The anchors of a document's headings, as forges make them."""
    headings = re.findall(r"^#+ (.*)$", text_of(path), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-") for heading in headings}


PROGRAMS = ("kdnetctl", "kdnetd", "kdnet-target", "./dev")


def commands_of(text):
    """What begins with a program of ours: lines of blocks, and code in the text."""
    fences = re.findall(r"^```(?:sh|console|bash)?\n(.*?)^```", text, re.M | re.S)
    lines = [line for block in fences for line in block.splitlines()] + re.findall(r"^    (\S.*)$", text, re.M)
    lines += re.findall(r"`([^`\n]+)`", text)
    for line in lines:
        for command in re.split(r" && |; | \| ", line.partition(" #")[0]):
            words = command.strip().removeprefix("$ ").split()
            if words and words[0] in PROGRAMS:
                yield " ".join(words)


@functools.cache
def help_of(program, *words):
    done = subprocess.run([os.path.join(BUILD, program), *words], capture_output=True, text=True, check=False, timeout=60)
    return done.stdout


class Documents(unittest.TestCase):
    def test_each_link_leads_somewhere(self):
        seen = 0
        for document in documents():
            for link in LINK.findall(text_of(document)):
                if link.startswith(("https://", "http://")):
                    continue
                path, _, anchor = link.partition("#")
                target = os.path.normpath(os.path.join(os.path.dirname(document), path)) if path else document
                with self.subTest(document=os.path.relpath(document, TREE), link=link):
                    self.assertTrue(os.path.exists(target), "no such file")
                    if anchor:
                        self.assertIn(anchor, anchors(target))
                seen += 1
        self.assertGreater(seen, 0)

    def test_each_fact_is_where_a_newcomer_is_sent(self):
        """CONTRIBUTING's questions: a file each, and what is to be found in it."""
        table = text_of(os.path.join(TREE, "CONTRIBUTING.md")).partition("## Where is the fact?")[2]
        rows = re.findall(r"^\| ([^|]+\?) \| ([^|]+) \| `([^`|]+)` \|$", table, re.M)
        self.assertGreaterEqual(len(rows), 10)
        self.assertEqual(len(rows), table.count("? |"), "a row has another form")
        for question, files, fact in rows:
            with self.subTest(question=question):
                paths = [os.path.join(TREE, path) for path in LINK.findall(files)]
                self.assertTrue(paths and all(os.path.isfile(path) for path in paths), files)
                self.assertTrue(all(fact in text_of(path) for path in paths), f"{fact} is not there")

    def test_the_readme_is_short(self):
        self.assertLess(len(text_of(os.path.join(TREE, "README.md")).split()), README_WORDS_MAX)

    def test_the_manual_is_six_pages(self):
        self.assertLessEqual(len(glob.glob(f"{TREE}/docs/*")), 6)

    def test_the_manual_has_each_metric_and_only_messages_that_there_are(self):
        manual = text_of(os.path.join(TREE, "docs/operating.md"))
        written = text_of(os.path.join(TREE, "service/http/metrics.c"))
        metrics = {name for name in re.findall(r'"((?:kdnetd|process)_[a-z_]+)"', written)}
        counters = text_of(os.path.join(TREE, "service/runtime/counters.def"))
        metrics |= {f"kdnetd_{name}" for name in re.findall(r"^(?:WORKER|SESSION)_[A-Z]+\((\w+),", counters, re.M)}
        told = set(re.findall(r"`((?:kdnetd|process)_[a-z_]+?)(?:_total)?(?:\{[a-z,]+\})?`", manual))
        self.assertEqual(told, metrics)
        sources = glob.glob(f"{TREE}/service/**/*.c", recursive=True)
        said = re.sub(r'"\s*"', "", " ".join(text_of(path) for path in sources))
        messages = re.findall(r"^\| (`.*?`) \|", manual.partition("## Messages of the log")[2], re.M)
        self.assertGreater(len(messages), 30)
        for row in messages:
            for message in re.findall(r"`([^`]+)`", row):
                with self.subTest(message=message):
                    self.assertIn(message, said)

    def test_the_design_has_each_event_of_the_contract(self):
        schema = json.loads(text_of(os.path.join(TREE, "config/events.schema.json")))
        design = text_of(os.path.join(TREE, "service/DESIGN.md"))
        rows = re.findall(r"^\| `([a-z_]+)` \|", design.partition("## 3. Results")[2].partition("## 4.")[0], re.M)
        self.assertEqual(sorted(rows), sorted(schema["properties"]["event"]["enum"]))

    def test_each_reason_of_the_contract_has_words(self):
        """In the manual, in kdnetctl show and on the page."""
        schema = json.loads(text_of(os.path.join(TREE, "config/events.schema.json")))
        places = [one["properties"]["reason"]["enum"] for one in [schema, *schema["$defs"].values()]
                  if "enum" in one.get("properties", {}).get("reason", {})]
        reasons = {reason for place in places for reason in place if reason and "timeout" in place}
        self.assertIn("overloaded", reasons)
        manual = text_of(os.path.join(TREE, "docs/results.md"))
        shown = text_of(os.path.join(TREE, "service/kdnetctl/crash_view.c"))
        page = text_of(os.path.join(TREE, "service/http/page/say.js")).partition("const REASONS = {")[2].partition("}")[0]
        for reason in reasons:
            with self.subTest(reason=reason):
                self.assertIn(f"| `{reason}` |", manual)
                self.assertIn(f'{{"{reason}", "', shown)
                self.assertRegex(page, rf"\b{reason}: ")

    def test_each_command_is_one_that_there_is(self):
        """Commands of ours in blocks and in the text: name and options are in that command's --help."""
        seen = 0
        for document in [f"{TREE}/README.md", *glob.glob(f"{TREE}/docs/*.md")]:
            for command in commands_of(text_of(document)):
                with self.subTest(document=os.path.relpath(document, TREE), command=command):
                    self.check_command(command.split())
                seen += 1
        self.assertGreater(seen, 60)

    def check_command(self, words):
        program, *words = words
        if program == "kdnetctl":
            names = set(re.findall(r"^  ([a-z]+) +", help_of("kdnetctl", "--help"), re.M)) | {"completion", "help"}
            name = next((word for word in words if word in names), None)
            if words and words[0].startswith("--"):
                name = name or "status"
            self.assertTrue(name or not words, "no such command")
            text = help_of("kdnetctl", "--help") + (help_of("kdnetctl", name, "--help") if name else "")
        elif program == "./dev":
            text = text_of(f"{TREE}/dev")
            self.assertIn(words[0] if words else "help", re.findall(r"^  ([a-z]+)\b", text, re.M))
        elif words[:1] == ["service"]:  # of Windows alone
            text = " ".join(text_of(path) for path in glob.glob(f"{TREE}/service/platform/windows/*.c"))
        else:
            text = help_of(program, "--help")
        for word in words:
            option = re.match(r"--[a-z][a-z-]*", word)
            if option:
                self.assertIn(option.group(), re.findall(r"--[a-z][a-z-]*", text))

    @unittest.skipUnless(shutil.which("mandoc"), "mandoc is not here")
    def test_the_manual_pages_are_clean(self):
        pages = [*glob.glob(f"{TREE}/service/man/*.[0-9]"), *glob.glob(f"{TREE}/config/*.[0-9]")]
        self.assertGreaterEqual(len(pages), 4)
        done = subprocess.run(["mandoc", "-T", "lint", "-W", "warning", *pages], capture_output=True, text=True, check=False)
        self.assertEqual((done.returncode, done.stdout + done.stderr), (0, ""))

    def test_the_version_is_the_same_everywhere(self):
        newest = re.search(r"^## \[([^]]+)\]", text_of(os.path.join(TREE, "CHANGELOG.md")), re.M)
        self.assertEqual(newest and newest.group(1), VERSION)
        packages = re.findall(r"kdnetd_([0-9.]+)_", text_of(os.path.join(TREE, "README.md")))
        self.assertEqual(set(packages), {VERSION})


if __name__ == "__main__":
    BUILD, VERSION, TREE = sys.argv.pop(), sys.argv.pop(), sys.argv.pop()
    unittest.main()
