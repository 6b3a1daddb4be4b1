# SPDX-License-Identifier: MIT
"""Does each promise have a test, and does each test that INVARIANTS.md names exist? See tidy.py."""

import re

_number = r"\d+(?:\.\d+)?"
_row = re.compile(rf"^\|\s*({_number})\s*\|([^|]*)\|([^|]*)\|?\s*$")
_test = re.compile(
    r"(?:^[ \t]*//[ \t]*Pins:[ \t]*([\d., \t]+)\n)?"
    r"^[ \t]*(?:TYPED_)?TEST(?:_F|_P)?\(\s*(\w+)\s*,\s*(\w+)\s*\)",
    re.M,
)
_case = re.compile(r'"([\w@./-]+)"(?=\s*,\s*(?:\.lines\s*=\s*)?"([\d., ]*)"|)')
_not_yet = re.compile(r"^not yet: issue \S.*?[,:] ?\S")


def row_of(line):
    """(number, where, pinned by) of a row of INVARIANTS.md; None of any other line."""
    match = _row.match(line)
    return match and match.groups()


def _numbers(text):
    return set(re.findall(_number, text or ""))


def promises(text):
    """{number: part that may come later, or None} of semantics_lines.txt."""
    table = {}
    for line in text.splitlines():
        if line and not line.startswith("#"):
            number, _, later = line.partition(" later: ")
            table[number.strip()] = later.strip() or None
    return table


def unit_tests(sources):
    """{Suite.name: numbers it pins} over all GoogleTest files."""
    found = {}
    for source in sources:
        if source.suffix == ".cpp" and source.is_test:
            for pins, suite, name in _test.findall(source.text):
                found.setdefault(f"{suite}.{name}", set()).update(_numbers(pins))
    return found


def _cases(sources):
    """{case name: numbers that the literal after it lists, or None where it lists none}."""
    found = {}
    for source in sources:
        if source.path.startswith("conformance/cases/") and source.suffix == ".cpp":
            for name, lines in _case.findall(source.text):
                found[name] = _numbers(lines) or found.get(name)
    return found


def _scripts(sources):
    return {s.path.rsplit("/", 1)[-1] for s in sources
            if s.path.startswith(("tests/vm/", "tests/suites/"))}


class _Judge:
    def __init__(self, sources, table):
        self.tests = unit_tests(sources)
        self.cases = _cases(sources)
        self.scripts = _scripts(sources)
        self.paths = {source.path for source in sources}
        self.table = table

    def pin(self, number, name):
        """Why `name` cannot stand for promise `number`, or None."""
        kind, colon, rest = name.partition(":")
        if colon and kind == "conform":
            return self._pin_by_case(number, rest)
        if colon and kind == "vm":
            return None if rest in self.scripts else f"no script of tests/ is called {rest}"
        if name not in self.tests:
            return f"no test is called {name}"
        if number not in self.tests[name]:
            return f"{name} has no `// Pins: {number}` above it"
        return None

    def _pin_by_case(self, number, name):
        if name not in self.cases:
            return f"no conformance case is called {name}"
        lines = self.cases[name]
        return None if lines is None or number in lines else f"case {name} does not list {number}"

    def row(self, number, where, pinned_by):
        """(problem, ...) of one row."""
        if number not in self.table:
            return [f"SEMANTICS.md has no line {number}"]
        cell = pinned_by.replace("`", "").strip()
        if cell.startswith("not yet"):
            if not _not_yet.match(cell):
                return [f"{number}: write `not yet: issue N, reason`"]
            return [] if self.table[number] else [f"{number} is due now: it needs a test"]
        problems = []
        place = where.replace("`", "").strip().partition(":")[0]
        if place not in self.paths:
            problems.append(f"{number}: `where` names no file: {place or 'nothing'}")
        names = [name.strip() for name in re.split(r",|<br>", cell) if name.strip()]
        if not names:
            problems.append(f"{number} names no test")
        return problems + [why for name in names if (why := self.pin(number, name))]


def findings(sources, table):
    """(path, line, problem) of INVARIANTS.md and of the `// Pins:` comments."""
    judge, seen, out = _Judge(sources, table), set(), []
    page = next((s for s in sources if s.path == "INVARIANTS.md"), None)
    if page is None:
        return [("INVARIANTS.md", 1, "is missing: each promise names the test that pins it")]
    for at, line in enumerate(page.lines, 1):
        if row := row_of(line):
            seen.add(row[0])
            out += [("INVARIANTS.md", at, why) for why in judge.row(*row)]
    out += [("INVARIANTS.md", 1, f"promise {n} has no row") for n in table if n not in seen]
    for source in sources:
        if source.is_cxx and source.is_test:
            for at, match in _pins(source):
                unknown = _numbers(match.group(1)) - set(table)
                out += [(source.path, at, f"pins {n}, which SEMANTICS.md has not")
                        for n in sorted(unknown)]
    return out


def _pins(source):
    for match in re.finditer(r"//[ \t]*Pins:([^\n]*)", source.text):
        yield source.line_at(match.start()), match
