#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""One word, one meaning: words that were given up for the field's own stand in no source and no document.

The words that replace them are in OLD, beside those that they replace.
"""
import pathlib
import re
import sys
import unittest

TREE = pathlib.Path(__file__).resolve().parents[2]
KINDS = {".c", ".h", ".def", ".md", ".yaml", ".example", ".js", ".html", ".1", ".5", ".8"}
# What was given up -> what to write. Whole words, in any case; an underscore divides words, too.
OLD = {
    r"former li(fe|ves)": "previous process",
    r"said_again": "duplicate_breaks",
    r"nudged?": "solicit_poke",
    r"withheld": "release_gate",
    r"inquiry": "break_handler",
    r"trials?": "key_search",
    r"pile": "batch",
    r"bell": "wakeup",
    r"mail": "message",
    r"told (of|about) one by one": "logged individually",
}
# Where the word is somebody else's: the names of syslog's facilities, a server called mail.
EXCEPT = re.compile(r"kern,? user,? mail|mail-\d+|mail\.(example|corp)")


def texts(tree):
    """(relative path, text) of the product's sources, its manuals and the documents."""
    for path in sorted(tree.glob("*.md")):
        if path.name != "CHANGELOG.md":  # it says what was called how
            yield path.relative_to(tree).as_posix(), path.read_text()
    for room in ("config", "docs", "kdnet", "service"):
        for path in sorted((tree / room).rglob("*")):
            if path.suffix in KINDS and path.is_file():
                yield path.relative_to(tree).as_posix(), path.read_text()


def complaints(named):
    """PATH:LINE: what stands there; what to write."""
    patterns = {re.compile(rf"(?<![a-zA-Z])({old})(?![a-zA-Z])", re.I): new for old, new in OLD.items()}
    any_of = re.compile("|".join(pattern.pattern for pattern in patterns), re.I)
    for path, text in named:
        for number, line in enumerate(text.splitlines(), 1):
            if not any_of.search(line) or EXCEPT.search(line):
                continue
            for pattern, new in patterns.items():
                found = pattern.search(line)
                if found:
                    yield f"{path}:{number}: '{found[0]}'; write: {new}"


class Words(unittest.TestCase):
    def test_no_word_that_was_given_up(self):
        self.assertEqual(list(complaints(texts(TREE))), [])

    def test_the_tree_is_read(self):
        paths = [path for path, _ in texts(TREE)]
        self.assertGreater(len(paths), 400)
        self.assertIn("README.md", paths)
        self.assertIn("service/man/kdnetd.8", paths)

    def test_a_word_is_found(self):
        for planted in ("/* A poke of our former life. */", "bool nudge_all(void);", "unsigned said_again;"):
            self.assertEqual(len(list(complaints([("x.c", planted)]))), 1, planted)
        for right in ("/* A mailbox. */", "    mail-01   run", "pileup"):
            self.assertEqual(list(complaints([("x.c", right)])), [], right)


if __name__ == "__main__":
    unittest.main()
