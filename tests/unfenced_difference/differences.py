#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The differences that are expected between stock vb2 and the virtual camera: differences.json, the
judgement of what was measured, and the table of README.md.

usage: differences.py --write      writes the table anew
"""

import json
import sys
from dataclasses import dataclass
from pathlib import Path

folder = Path(__file__).resolve().parent
kernels = ("6.1", "6.12")
_begin, _end = "<!-- table -->\n", "<!-- end of table -->\n"


@dataclass(frozen=True)
class Row:
    probe: str
    kernels: tuple
    vivid: str
    virtual: str
    reason: str


def load(path=folder / "differences.json"):
    """Raises ValueError on a row that says too little."""
    rows = [Row(entry["probe"], tuple(entry["kernels"]), entry["vivid"], entry["virtual"],
                entry["reason"]) for entry in json.loads(path.read_text())]
    for row in rows:
        if not row.reason.strip() or not row.kernels or set(row.kernels) - set(kernels):
            raise ValueError(f"{row.probe}: it needs a reason, and its kernels")
        if row.vivid == row.virtual:
            raise ValueError(f"{row.probe}: that is no difference")
    return rows


def judge(rows, kernel, vivid, virtual):
    """(probe, problem or None) of each expected difference and of each new one. The table may only
    shrink: a row that is no difference any more has to go."""
    if vivid.keys() != virtual.keys():
        yield "probes", f"asked of one alone: {sorted(vivid.keys() ^ virtual.keys())}"
        return
    expected = {row.probe: row for row in rows if kernel in row.kernels}
    for probe in sorted(expected.keys() - vivid.keys()):
        yield probe, "a row of the table, and no probe"
    for probe in vivid:
        seen = (vivid[probe], virtual[probe])
        row = expected.get(probe)
        if row is None:
            if seen[0] != seen[1]:
                yield probe, f"new difference: vivid {seen[0]!r}, virtual {seen[1]!r}"
        elif seen[0] == seen[1]:
            yield probe, f"no difference any more ({seen[0]!r}): take {kernel} out of its row"
        elif seen != (row.vivid, row.virtual):
            yield probe, f"another difference: vivid {seen[0]!r}, virtual {seen[1]!r}"
        else:
            yield probe, None


def table(rows):
    lines = ["| probe | kernel | vivid | virtual | reason |", "|---|---|---|---|---|"]
    lines += [f"| {row.probe} | {', '.join(row.kernels)} | {row.vivid} | {row.virtual} | "
              f"{row.reason} |" for row in sorted(rows, key=lambda row: (row.probe, row.kernels))]
    return "\n".join(lines) + "\n"


def readme_with(text, rows):
    head, _, rest = text.partition(_begin)
    return head + _begin + table(rows) + _end + rest.partition(_end)[2]


def main(arguments):
    if arguments != ["--write"]:
        print(__doc__.strip(), file=sys.stderr)
        return 2
    path = folder / "README.md"
    path.write_text(readme_with(path.read_text(), load()))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
