#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The table of differences judges what was measured, and README.md has it."""

import unittest

import differences
from differences import Row, judge

rows = [Row("a/known", ("6.1",), "ok", "EINVAL", "because")]


def problems(vivid, virtual, kernel="6.1"):
    return {probe: bool(problem) for probe, problem in judge(rows, kernel, vivid, virtual)}


class Judgement(unittest.TestCase):
    def test_expected_difference_is_well(self):
        self.assertEqual(problems({"a/known": "ok", "b": "1"}, {"a/known": "EINVAL", "b": "1"}),
                         {"a/known": False})

    def test_new_difference_is_told(self):
        self.assertEqual(problems({"a/known": "ok", "b": "1"}, {"a/known": "EINVAL", "b": "2"}),
                         {"a/known": False, "b": True})

    def test_row_that_is_no_difference_has_to_go(self):
        self.assertEqual(problems({"a/known": "ok"}, {"a/known": "ok"}), {"a/known": True})

    def test_row_with_other_answers_is_told(self):
        self.assertEqual(problems({"a/known": "ok"}, {"a/known": "EBUSY"}), {"a/known": True})

    def test_row_of_another_kernel_does_not_count(self):
        self.assertEqual(problems({"a/known": "ok"}, {"a/known": "EINVAL"}, "6.12"),
                         {"a/known": True})
        self.assertEqual(problems({"a/known": "ok"}, {"a/known": "ok"}, "6.12"), {})

    def test_row_without_a_probe_is_told(self):
        self.assertEqual(problems({"b": "1"}, {"b": "1"}), {"a/known": True})

    def test_probes_of_one_side_alone_are_told(self):
        self.assertEqual(problems({"b": "1"}, {}), {"probes": True})


class Table(unittest.TestCase):
    def test_readme_has_it(self):
        text = (differences.folder / "README.md").read_text()
        self.assertEqual(text, differences.readme_with(text, differences.load()),
                         "tests/unfenced_difference/differences.py --write")


if __name__ == "__main__":
    unittest.main()
