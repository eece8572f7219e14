#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs the whole suite with tiny sizes, and holds its JSON against README.md: that it works, never how quick anything is."""
import json
import os
import subprocess
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
BUILD = os.environ["KDNETD_BUILD"]
NAMES = ["open", "receive", "workers", "hosts", "identify", "crash", "start", "growth", "idle", "symbols", "http", "causes", "publish"]
sys.path.insert(0, HERE)
import figures_publish  # noqa: E402
NUMBER = (int, float)
FORM = {"figure": str, "what": str, "unit": str, "better": str, "ours": NUMBER, "floor": (*NUMBER, type(None)),
        "floor_is": (str, type(None)), "ratio": (*NUMBER, type(None)), "goal": (dict, type(None)),
        "met": (bool, type(None)), "n": int, "rounds": int, "note": (str, type(None)), "command": str, "date": str}
MACHINE = {"cpu": str, "cores": int, "memory_gib": int, "kernel": str, "openssl": str, "libuv": str, "compiler": str,
           "load_before": NUMBER}
EXPECTED = {"open": 6, "receive": 2, "workers": 1, "hosts": 8, "identify": 6, "crash": 18, "start": 3, "growth": 5, "idle": 1,
            "symbols": 2, "http": 3, "causes": 5, "publish": 2 if figures_publish.server() else 0}


def suite(*arguments):
    return subprocess.run([sys.executable, "-B", os.path.join(HERE, "bench.py"), "--programs", BUILD, "--tiny",
                           *arguments], capture_output=True, text=True, timeout=900)


class Form(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "figures.json")
            cls.run_ = suite("--json", path)
            with open(path, encoding="utf-8") as file:
                cls.said = json.load(file)

    def test_every_name_is_measured(self):
        self.assertEqual(list(self.said["seconds"]), NAMES)
        counts = {name: sum(row["figure"] == name for row in self.said["figures"]) for name in NAMES}
        self.assertEqual(counts, EXPECTED, f"{self.said['failures']}\n{self.run_.stderr}")

    def test_failures_are_told_and_are_the_exit_status(self):
        self.assertEqual(self.run_.returncode, 1 if self.said["failures"] else 0, self.run_.stderr)
        for failure in self.said["failures"]:  # what a machine that stands still for seconds may lose is no mistake here
            self.assertNotIn("not measured", failure)

    def test_the_object_has_its_form(self):
        self.assertEqual((self.said["form"], self.said["tiny"]), (1, True))
        self.assertEqual(set(self.said["machine"]), set(MACHINE))
        for name, kind in MACHINE.items():
            self.assertIsInstance(self.said["machine"][name], kind, name)

    def test_each_figure_has_its_form(self):
        for row in self.said["figures"]:
            self.assertEqual(set(row), set(FORM))
            for name, kind in FORM.items():
                self.assertIsInstance(row[name], kind, f"{name} of {row}")
            self.assertIn(row["better"], ("more", "less"))
            self.assertEqual(row["command"], f"./dev bench {row['figure']}")
            self.assertGreater(row["n"], 0)

    def test_ratio_and_goal_follow_from_the_figures(self):
        for row in self.said["figures"]:
            self.assertEqual(row["ratio"] is None, not (row["ours"] and row["floor"]))
            if row["ratio"] is not None:
                better = row["ours"] / row["floor"] if row["better"] == "more" else row["floor"] / row["ours"]
                self.assertAlmostEqual(row["ratio"], better)
                self.assertTrue(row["floor_is"])
            goal = row["goal"]
            value = row[goal["of"]] if goal else None
            if value is None:
                self.assertIsNone(row["met"])
                continue
            expected = value >= goal["at_least"] if "at_least" in goal else value <= goal["at_most"]
            self.assertEqual(row["met"], expected)

    def test_each_figure_is_a_line_of_the_table(self):
        lines = self.run_.stdout.splitlines()
        self.assertEqual(len(lines), 2 + len(self.said["figures"]))
        for row, line in zip(self.said["figures"], lines[2:]):
            self.assertTrue(line.startswith(row["figure"]) and row["what"] in line and row["unit"] in line, line)


class Names(unittest.TestCase):
    def test_one_figure_alone(self):
        said = suite("open")
        self.assertEqual(said.returncode, 0, said.stderr)
        self.assertEqual({line.split()[0] for line in said.stdout.splitlines()[2:]}, {"open"})

    def test_a_name_that_there_is_not(self):
        said = suite("opne")
        self.assertEqual(said.returncode, 2)
        self.assertIn("no figure is called 'opne'", said.stderr)


if __name__ == "__main__":
    unittest.main()
