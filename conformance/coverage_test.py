# SPDX-License-Identifier: MIT
"""Is everything that the suite could judge judged, or named in README.md with the reason why not?
The lines of SEMANTICS.md, the cases of the patchset's history, the rules of the fence contract."""

import re
import unittest
from pathlib import Path

_here = Path(__file__).resolve().parent
_number = re.compile(r"\d+(?:\.\d+)?")
_case = re.compile(r'"([a-z0-9-]+@[a-z0-9-]+)",\s*"([\d., ]*)",\s*"([#\w ]*)"')
_plain = re.compile(r'plain_case\(\s*"([a-z0-9-]+@[a-z0-9-]+)"')
_history_max = 125
# How many rules each group of the contract has.
_contract = {"F": 16, "T": 12, "M": 16, "R": 16, "S": 13, "B": 12, "W": 18, "L": 14, "E": 8,
             "V": 18, "K": 4, "Q": 18}


def cases():
    """{name: (lines, history)}, each a set of words."""
    found = {}
    for path in sorted((_here / "cases").glob("*.cpp")):
        text = path.read_text()
        for name, lines, history in _case.findall(text):
            found[name] = set(_number.findall(lines)), set(history.split())
        for name in _plain.findall(text):
            found[name] = set(), set()
    return found


def table(heading):
    """{first cell: second cell} of the table under a heading of README.md."""
    text = (_here / "README.md").read_text()
    section = text.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| *([^|]+?) *\| *([^|]*?) *\|$", section, re.M)
    return {first: second for first, second in rows if not first.startswith(("---", "number"))}


def span(cell):
    """The rules that "M01", "B01-B12" or "#13" names."""
    first, _, last = cell.partition("-")
    letter, begin = first[0], int(first[1:])
    end = int(last[1:]) if last else begin
    width = 0 if letter == "#" else 2
    return [f"{letter}{number:0{width}}" for number in range(begin, end + 1)]


def judged(cell):
    return set(re.findall(r"`([a-z0-9-]+@[a-z0-9-]+)`", cell))


class Coverage(unittest.TestCase):
    def setUp(self):
        self.cases = cases()

    def test_cases_are_found(self):
        self.assertGreater(len(self.cases), 250)

    def check_rules(self, heading, wanted):
        """Each rule has one row, which names the cases that list it, or says why there is none."""
        listed = {}
        for cell, second in table(heading).items():
            for rule in span(cell):
                self.assertNotIn(rule, listed, f"{rule} has two rows")
                listed[rule] = second
        self.assertEqual(sorted(wanted), sorted(listed))
        for rule, second in listed.items():
            having = {name for name, (_, history) in self.cases.items() if rule in history}
            self.assertEqual(judged(second), having, f"{rule}: the row and the cases differ")
            self.assertTrue(having or len(second) > 10, f"{rule}: neither a case nor a reason")

    def test_every_case_of_the_history(self):
        self.check_rules("The review of the patchset",
                         [f"#{number}" for number in range(1, _history_max + 1)])

    def test_every_rule_of_the_contract(self):
        self.check_rules("The contract of fences",
                         [f"{letter}{number:02}" for letter, count in _contract.items()
                          for number in range(1, count + 1)])

    def test_every_line_of_the_semantics(self):
        lines = {line.split()[0] for line in
                 (_here.parent / "tests/tidy/semantics_lines.txt").read_text().splitlines()
                 if line and not line.startswith("#")}
        pinned = set().union(*(lines for lines, _ in self.cases.values()))
        reasons = table("Lines that no case shows")
        self.assertLessEqual(pinned, lines, "a case names a line that is none")
        self.assertEqual(lines - pinned, set(reasons))
        for line, reason in reasons.items():
            self.assertGreater(len(reason), 10, line)

    def test_history_names_known_rules(self):
        for name, (_, history) in self.cases.items():
            for rule in history:
                self.assertRegex(rule, r"^#\d+$|^[A-Z]\d\d$", name)


if __name__ == "__main__":
    unittest.main()
