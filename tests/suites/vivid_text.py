# SPDX-License-Identifier: MIT
"""Reads the frame number that vivid writes into its pictures, as a person would.

How its digits look is learnt from frames whose numbers the driver tells; so nothing is known here
but where they stand: in the first line, behind blank, time and blank.
"""

import re
import tempfile
from pathlib import Path

import guest

_origin = (16, 16)
_glyph = (8, 16)
_column = 14  # of the number's first digit
_lit = 100  # the text is white on black
_digits_max = 6


def _cell(luma, column):
    """The pixels of one character, lit or not."""
    left, top = _origin[0] + column * _glyph[0], _origin[1]
    return tuple(luma(left + x, top + y) >= _lit
                 for y in range(_glyph[1]) for x in range(_glyph[0]))


def learn(node, size):
    """{cell: digit} of a vivid with all its text on. Leaves it in XR24 of this size, slow."""
    width, height = size
    # So slow that hardly a frame is lost where others want the processor too; and so many that a
    # digit comes although some are.
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "frames"
        ended = guest.run("v4l2-ctl", "-d", node, "-v",
                          f"width={width},height={height},pixelformat=XR24", "-p", "5",
                          "--stream-mmap=8", "--stream-count=30", f"--stream-to={path}",
                          "--verbose")
        said = ended.stdout + ended.stderr
        numbers = [int(found) for found in re.findall(r"\bseq: *(\d+)", said)]
        data = path.read_bytes()
    length = width * height * 4
    if not numbers or len(data) != length * len(numbers):
        raise ValueError(f"{len(data)} bytes of {len(numbers)} frames: {ended.last_words()}")
    glyphs = {}
    for at, number in enumerate(numbers):
        frame = data[at * length:(at + 1) * length]
        for place, digit in enumerate(str(number)):
            cell = _cell(lambda x, y, frame=frame: frame[(y * width + x) * 4 + 1], _column + place)
            if glyphs.setdefault(cell, digit) != digit:
                raise ValueError(f"{digit} looks like {glyphs[cell]} in frame {number}")
    if missing := set("0123456789") - set(glyphs.values()):
        raise ValueError(f"no frame had the digits {sorted(missing)}: {numbers}")
    return glyphs


def number_of(luma, glyphs):
    """The number in a picture; `luma(x, y)` is in 0..255. None: there is none."""
    text = ""
    for place in range(_digits_max):
        digit = glyphs.get(_cell(luma, _column + place))
        if digit is None:
            break
        text += digit
    return int(text) if text else None
