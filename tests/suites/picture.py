# SPDX-License-Identifier: MIT
"""Reads what `v4lfence stream --save` writes: PNG files of 8 bits, RGB with or without alpha."""

import struct
import zlib
from dataclasses import dataclass

_magic = b"\x89PNG\r\n\x1a\n"
_channels = {2: 3, 6: 4}  # colour type: bytes of a pixel
_on = 100  # a channel this bright counts as lit
# From left to right, as (red, green, blue) lit or not.
bars = ((1, 1, 1), (1, 1, 0), (0, 1, 1), (0, 1, 0), (1, 0, 1), (1, 0, 0), (0, 0, 1), (0, 0, 0))


@dataclass(frozen=True)
class Picture:
    width: int
    height: int
    rows: list
    step: int

    def pixel(self, x, y):
        return tuple(self.rows[y][x * self.step:x * self.step + 3])


def _chunks(data):
    at = len(_magic)
    while at < len(data):
        length, kind = struct.unpack(">I4s", data[at:at + 8])
        yield kind, data[at + 8:at + 8 + length]
        at += length + 12


def _nearest(left, up, corner):
    guess = left + up - corner
    return min((left, up, corner), key=lambda value: abs(guess - value))


_predict = (lambda a, b, c: 0, lambda a, b, c: a, lambda a, b, c: b,
            lambda a, b, c: (a + b) // 2, _nearest)


def _unfilter(kind, row, above, step):
    predict = _predict[kind]
    for i in range(len(row)):
        left, corner = (row[i - step], above[i - step]) if i >= step else (0, 0)
        row[i] = (row[i] + predict(left, above[i], corner)) & 0xFF
    return row


def read(path):
    """Raises ValueError on what is no such picture."""
    data = path.read_bytes()
    if not data.startswith(_magic):
        raise ValueError("no PNG")
    parts = list(_chunks(data))
    width, height, depth, colour = struct.unpack(">IIBB", dict(parts)[b"IHDR"][:10])
    if depth != 8 or colour not in _channels:
        raise ValueError(f"a PNG of {depth} bits and colour type {colour}")
    step = _channels[colour]
    packed = zlib.decompress(b"".join(part for kind, part in parts if kind == b"IDAT"))
    line = width * step + 1
    if len(packed) != line * height:
        raise ValueError("a PNG with too few pixels")
    rows, above = [], bytes(width * step)
    for start in range(0, len(packed), line):
        above = _unfilter(packed[start], bytearray(packed[start + 1:start + line]), above, step)
        rows.append(above)
    return Picture(width, height, rows, step)


def bars_problem(picture, size):
    """Why this is not a picture of eight colour bars, or None."""
    if (picture.width, picture.height) != size:
        return f"the picture is {picture.width}x{picture.height}"
    y = picture.height * 15 // 16  # below vivid's text
    seen = [picture.pixel((2 * bar + 1) * picture.width // 16, y) for bar in range(len(bars))]
    lit = tuple(tuple(int(value > _on) for value in pixel) for pixel in seen)
    return None if lit == bars else f"the bars have the colours {seen}"


def same_problem(screen, shot):
    """Why the screen does not show this picture, from its top left corner on."""
    if (screen.width, screen.height) < (shot.width, shot.height):
        return f"the screen has {screen.width}x{screen.height}"
    for y in range(shot.height):
        for x in range(0, shot.width, 3):
            if screen.pixel(x, y) != shot.pixel(x, y):
                return f"at {x},{y} the screen shows {screen.pixel(x, y)}, not {shot.pixel(x, y)}"
    return None
