#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Is each mutant what it says, does it still apply, and does the judge believe nothing unproven?"""

import unittest
from pathlib import Path

import copies
import judges
import patches

_patch = """Line: 4.1
Breaks: the order.
Killed by: Suite.test

--- a/v4lfence/sync/line.cpp
+++ b/v4lfence/sync/line.cpp
@@ -1 +1 @@
-a
+b
"""


class EveryPatch(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.mutants, cls.bad = patches.load()
        cls.pins = patches.pins((patches.top / "INVARIANTS.md").read_text())

    def test_says_what_it_must(self):
        self.assertEqual(self.bad, [])

    def test_is_killed_by_a_test_of_its_line(self):
        self.assertEqual(patches.wrong_pins(self.mutants, self.pins), [])

    def test_each_line_with_a_test_has_one(self):
        self.assertEqual(patches.without_mutant(self.mutants, self.pins), [])

    def test_applies(self):
        for mutant in self.mutants:
            with self.subTest(mutant.name):
                copies.apply(mutant.diff, patches.top, "--check")

    def test_is_in_the_table(self):
        readme = (patches.folder / "README.md").read_text()
        is_there = patches.table(self.mutants) in readme
        self.assertTrue(is_there, "replace it by what mutants.py --table prints")


class Parsing(unittest.TestCase):
    def test_fields(self):
        mutant = patches.parse("4.1-order", _patch)
        self.assertEqual((mutant.line, mutant.pin, mutant.case), ("4.1", "Suite.test", ""))
        self.assertEqual(mutant.files, ("v4lfence/sync/line.cpp",))
        self.assertEqual([mutant.device_where(has) for has in (True, False)],
                         ["virtual:camera", "vivid"])
        for layer, device in (("bridge", "vivid"), ("vb2", "virtual:camera")):
            mutant = patches.parse("4.1-order", _patch.replace("/sync/", f"/{layer}/"))
            self.assertEqual({mutant.device_where(has) for has in (True, False)}, {device})
        mutant = patches.parse("4.1-order", f"On: vivid-mplane\n{_patch}")
        self.assertEqual(mutant.device_where(True), "vivid-mplane")

    def test_case(self):
        mutant = patches.parse("4.1-order", _patch.replace("Suite.test", "conform:order@once"))
        self.assertEqual(mutant.case, "order@once")

    def test_what_is_none(self):
        for name, text in (("4.2-order", _patch), ("order", _patch),
                           ("4.1-order", _patch.replace("Breaks: the order.\n", "")),
                           ("4.1-order", _patch.replace("v4lfence/", "conformance/")),
                           ("4.1-order", _patch.replace("Line", "Row")),
                           ("4.1-order", f"On: the moon\n{_patch}"),
                           ("4.1-order", "Line: 4.1\n")):
            with self.assertRaises(patches.Malformed):
                patches.parse(name, text)

    def test_pins_of_a_line(self):
        pins = patches.pins("| 1.1 | `a.cpp`: x | `A.b`, `conform:c@d` |\n"
                            "| 1.1 | `a.cpp` | not yet: issue 5, outputs |\n"
                            "| 7.6 | `a.cpp` | not yet: issue 4, layouts |\n")
        self.assertEqual(pins, {"1.1": {"A.b", "conform:c@d"}, "7.6": set()})
        mutant = patches.parse("4.1-order", _patch)
        self.assertEqual(patches.without_mutant([mutant], pins), ["1.1"])
        self.assertEqual([name for name, _ in patches.wrong_pins([mutant], pins)], ["4.1-order"])

    def test_order_of_names(self):
        names = ["6.10-a", "6.2-a", "2.row-b", "2.1-a"]
        self.assertEqual(sorted(names, key=patches.natural),
                         ["2.row-b", "2.1-a", "6.2-a", "6.10-a"])


class Judging(unittest.TestCase):
    def test_report_of_a_case(self):
        passed = '{"cases": [{"name": "a", "result": "passed", "message": ""}]}'
        self.assertTrue(judges.verdict_of_report(0, "", passed).passed)
        self.assertFalse(judges.verdict_of_report(-11, "", passed).passed)
        self.assertFalse(judges.verdict_of_report(None, "", passed).passed)
        skipped = passed.replace("passed", "skipped")
        self.assertFalse(judges.verdict_of_report(0, "", skipped).passed)
        self.assertFalse(judges.verdict_of_report(0, "", '{"cases": []}').passed)
        self.assertFalse(judges.verdict_of_report(0, "", "").passed)

    def test_unit_filter_finds_parameters_too(self):
        self.assertEqual(judges.unit_filter(["A.b"]), "A.b:*/A.b/*:A/*.b")

    def test_hang_is_noticed_and_ended(self):
        status, _ = judges.run(["sh", "-c", "read x < /dev/zero; yes > /dev/null"], 0.2)
        self.assertIsNone(status)

    def test_what_has_changed_does_not_apply(self):
        diff = patches.parse("4.1-order", _patch).diff
        with self.assertRaises(copies.Broken):
            copies.apply(diff, Path(patches.top), "--check")


if __name__ == "__main__":
    unittest.main()
