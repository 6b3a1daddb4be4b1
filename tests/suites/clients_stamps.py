# SPDX-License-Identifier: MIT
"""Reads the stamps of the virtual camera (v4lfence/drivers/picture/stamp.hpp) out of pictures that
some program wrote, so that what a program got can be told from what the camera made.
"""

import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

_check_key = 0x5A5A5A5A
_dark, _bright = 96, 160
# Bytes of a frame, of a pixel's place, and of the one of its bytes that says how bright it is.
_formats = {"YUYV": (2, 2, 0), "NV12": (1.5, 1, 0), "YU12": (1.5, 1, 0), "NM12": (1.5, 1, 0),
            "YM12": (1.5, 1, 0), "GREY": (1, 1, 0), "RGB3": (3, 3, 1), "XR24": (4, 4, 1)}


@dataclass(frozen=True)
class Stamp:
    sequence: int
    captured_at_ns: int


@dataclass(frozen=True)
class _Plan:
    square: int
    columns: int
    rows: int


def _plan(width, height):
    if width < 128 or height < 64:
        raise ValueError(f"{width}x{height} has no room for the time")
    return _Plan(max(min(width // 160, height // 32) // 2 * 2, 4), 32, 4)


def _read_at(plan, first_row, luma):
    bits = 0
    for index in range(plan.columns * plan.rows):
        x = index % plan.columns * plan.square + plan.square // 2
        y = first_row + index // plan.columns * plan.square + plan.square // 2
        mean = (luma(x - 1, y - 1) + luma(x, y - 1) + luma(x - 1, y) + luma(x, y)) / 4
        if _dark < mean < _bright:
            return None
        bits = bits << 1 | (mean >= _bright)
    data = bits.to_bytes(16, "big")
    sequence, time_ns, check = struct.unpack(">IQI", data)
    return Stamp(sequence, time_ns) if zlib.crc32(data[:12]) ^ _check_key == check else None


def read(width, height, luma):
    """The stamp of a picture, where top and bottom agree, or None. `luma(x, y)` is in 0..255."""
    plan = _plan(width, height)
    top = _read_at(plan, 0, luma)
    bottom = _read_at(plan, height - plan.rows * plan.square, luma)
    return top if top == bottom else None


def frame_size(fourcc, size):
    return int(size[0] * size[1] * _formats[fourcc][0])


def of_frame(frame, fourcc, size):
    """Of a frame without padding."""
    _, step, at = _formats[fourcc]
    width, height = size
    return read(width, height, lambda x, y: frame[(y * width + x) * step + at])


def of_file(path, fourcc, size):
    """Of each of the frames that follow one another in a file; a rest counts as a frame."""
    length = frame_size(fourcc, size)
    with Path(path).open("rb") as file:
        while frame := file.read(length):
            yield of_frame(frame, fourcc, size) if len(frame) == length else None


def rise_problem(stamps, frames):
    """Why these are not so many frames, each later than the one before; None: they are."""
    stamps = list(stamps)
    if len(stamps) != frames:
        return f"{len(stamps)} frames instead of {frames}"
    if None in stamps:
        return f"frame {stamps.index(None)} has no stamp"
    for before, after in zip(stamps, stamps[1:]):
        if after.sequence <= before.sequence or after.captured_at_ns <= before.captured_at_ns:
            return f"{after} came after {before}"
    return None


def file_problem(path, fourcc, size, frames):
    """Why a file is not of so many frames in their order; None: it is, to the byte."""
    expected = frames * frame_size(fourcc, size)
    if not Path(path).exists():
        return "nothing was written"
    if (written := Path(path).stat().st_size) != expected:
        return f"{written} bytes instead of {expected}"
    return rise_problem(of_file(path, fourcc, size), frames)
