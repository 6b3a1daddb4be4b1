#!/usr/bin/python3 -IS
# SPDX-License-Identifier: MIT
"""Prints the numbers painted into the emulated camera's frames, one a line.

usage: numbers.py FILE [WIDTHxHEIGHT] [YUYV|NV12]

FILE holds raw frames one after the other (v4l2-ctl --stream-to=FILE); default 640x360 YUYV.
"""

import sys


def number(frame: bytes, width: int, step: int) -> int:
    """32 squares of 8x8 pixels at the top left, looked at in their middles."""
    row = 4 * width * step
    bits = ("1" if frame[row + (8 * square + 4) * step] > 125 else "0" for square in range(32))
    return int("".join(bits), 2)


def main(arguments: list[str]) -> int:
    if not 1 <= len(arguments) <= 3 or arguments[0] in ("-h", "--help"):
        print(__doc__.strip(), file=sys.stderr)
        return 2
    width, height = map(int, (arguments[1] if len(arguments) > 1 else "640x360").split("x"))
    packed = len(arguments) < 3 or arguments[2] == "YUYV"
    size = width * height * 2 if packed else width * height * 3 // 2
    with open(arguments[0], "rb") as frames:
        while len(frame := frames.read(size)) == size:
            print(number(frame, width, 2 if packed else 1))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
