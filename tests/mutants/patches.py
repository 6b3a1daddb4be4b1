# SPDX-License-Identifier: MIT
"""The mutants as files: N.M-short-name.patch, a few words about it and a diff of product code.

    Line: 4.1
    Breaks: what is wrong now, in one sentence.
    Killed by: Suite.test                  (or conform:case-name, as in INVARIANTS.md)
    With: tsan                             (optional: the sanitizer that sees it)
    On: vivid-mplane                       (optional: the device of a conformance case)

What a file says is checked against INVARIANTS.md: the test must be one that pins that very line.
"""

import re
import sys
from dataclasses import dataclass
from pathlib import Path

sys.dont_write_bytecode = True
top = Path(__file__).resolve().parents[2]
folder = Path(__file__).resolve().parent
sys.path.insert(0, str(top / "tests" / "tidy"))

import invariants  # noqa: E402

_field = re.compile(r"^(Line|Breaks|Killed by|With|On): (.*)$")
_name = re.compile(r"^(\d+(?:\.\d+)?)(?:\.row)?-[a-z0-9-]+$")
_file = re.compile(r"^\+\+\+ b/(\S+)$", re.M)
_mandatory = ("Line", "Breaks", "Killed by")
devices = ("vivid", "vivid-mplane", "virtual:camera", "virtual:camera-mplane")
# What only one kind of device has is judged there; section 6 is about the bridge.
_bridge = "6."
_kernel_only = ("v4lfence/bridge/",)
_virtual_only = ("v4lfence/vb2/", "v4lfence/v4l2/", "v4lfence/drivers/")


class Malformed(Exception):
    """A patch that does not say what it must."""


@dataclass(frozen=True)
class Mutant:
    name: str
    line: str  # of SEMANTICS.md; 2 and 3 are the tables of those sections
    breaks: str
    pin: str
    sanitizer: str
    device: str  # empty: where the runner finds one
    files: tuple[str, ...]
    diff: str

    @property
    def case(self):
        """The conformance case that kills it; empty when a unit test does."""
        return self.pin.partition("conform:")[2]

    def device_where(self, has_virtual):
        """Where its case runs: on a device that has what is broken, at best a virtual one."""
        if self.device:
            return self.device
        if any(path.startswith(_virtual_only) for path in self.files):
            return "virtual:camera"
        only_bridge = self.line.startswith(_bridge) or any(
            path.startswith(_kernel_only) for path in self.files)
        return "virtual:camera" if has_virtual and not only_bridge else "vivid"


def parse(name, text):
    head, mark, diff = text.partition("\n--- a/")
    if not mark:
        raise Malformed("holds no diff")
    fields = {}
    for line in head.splitlines():
        if match := _field.match(line):
            fields[match.group(1)] = match.group(2).strip()
        elif line.strip():
            raise Malformed(f"does not begin with its fields: {line}")
    if missing := [field for field in _mandatory if not fields.get(field)]:
        raise Malformed(f"lacks {', '.join(missing)}")
    match = _name.match(name)
    if not match or match.group(1) != fields["Line"]:
        raise Malformed(f"is called {name} and says it breaks line {fields['Line']}")
    diff = f"--- a/{diff}"
    files = tuple(_file.findall(diff))
    if not files or not all(path.startswith("v4lfence/") for path in files):
        raise Malformed("changes something else than v4lfence/")
    if fields.get("On", devices[0]) not in devices:
        raise Malformed(f"wants an unknown device: {fields['On']}")
    return Mutant(name, fields["Line"], fields["Breaks"], fields["Killed by"],
                  fields.get("With", ""), fields.get("On", ""), files, diff)


def natural(name):
    """The key to sort by: rows of a table first, numbers as numbers."""
    parts = re.split(r"(\d+)", name.replace(".row", ".0"))
    return [int(part) if part.isdigit() else part for part in parts]


def load(where=folder):
    """(mutants in the order of their lines, [(name, why) of those that are none])."""
    mutants, bad = [], []
    for path in sorted(where.glob("*.patch"), key=lambda path: natural(path.stem)):
        try:
            mutants.append(parse(path.stem, path.read_text()))
        except Malformed as why:
            bad.append((path.stem, str(why)))
    return mutants, bad


def pins(text):
    """{line: the tests that pin it} of INVARIANTS.md."""
    found = {}
    for row in text.splitlines():
        if match := invariants.row_of(row):
            number, _, cell = match
            names = [name.strip() for name in cell.replace("`", "").split(",")]
            if not cell.strip().startswith("not yet"):
                found.setdefault(number, set()).update(names)
            else:
                found.setdefault(number, set())
    return found


def wrong_pins(mutants, known):
    """[(name, why)]: a mutant must be killed by a test that stands for its line."""
    return [(mutant.name, f"{mutant.pin} does not pin {mutant.line} in INVARIANTS.md")
            for mutant in mutants if mutant.pin not in known.get(mutant.line, ())]


def without_mutant(mutants, known):
    """The lines that have a test and no mutant."""
    broken = {mutant.line for mutant in mutants}
    return [line for line in sorted(known, key=natural) if known[line] and line not in broken]


def table(mutants):
    """As README.md shows it."""
    rows = ["| mutant | breaks | in | killed by |", "|---|---|---|---|"]
    for mutant in mutants:
        where = "<br>".join(f"`{path}`" for path in mutant.files)
        how = f" under {mutant.sanitizer}" if mutant.sanitizer else ""
        rows.append(f"| {mutant.name} | {mutant.breaks} | {where} | `{mutant.pin}`{how} |")
    return "\n".join(rows) + "\n"
