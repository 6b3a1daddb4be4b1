#!/usr/bin/python3 -IS
# SPDX-License-Identifier: MIT
"""Prints the video nodes of a driver, one a line, in the order of their numbers.

usage: nodes.py DRIVER [KIND]

DRIVER is what VIDIOC_QUERYCAP says (vivid, uvcvideo, vim2m, "v4l2 loopback" …), KIND one of
capture (default), output, m2m, metadata, vbi or any. Exit status 1 if there is none.
"""

import fcntl
import os
import struct
import sys

_QUERYCAP = 0x80685600
_CAPABILITY = struct.Struct("=16s32s32sIII3I")
# V4L2_CAP_… bits, single- and multi-planar
_KINDS = {
    "capture": 0x00001001,
    "output": 0x00002002,
    "m2m": 0x0000C000,
    "metadata": 0x08800000,
    "vbi": 0x000000F0,
    "any": 0xFFFFFFFF,
}


def capability(node: str) -> tuple[str, int] | None:
    """Driver and device capabilities of a node; None where it is gone or no V4L2 node."""
    try:
        fd = os.open(node, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        answer = fcntl.ioctl(fd, _QUERYCAP, bytes(_CAPABILITY.size))
    except OSError:
        return None
    finally:
        os.close(fd)
    driver, _, _, _, _, device_caps, *_ = _CAPABILITY.unpack(answer)
    return driver.split(b"\0")[0].decode(errors="replace"), device_caps


def main(arguments: list[str]) -> int:
    if len(arguments) not in (1, 2) or arguments[-1] in ("-h", "--help"):
        print(__doc__.strip(), file=sys.stderr)
        return 0 if arguments == ["--help"] else 2
    wanted = arguments[0]
    kind = arguments[1] if len(arguments) == 2 else "capture"
    if kind not in _KINDS:
        print(f"nodes.py: no kind {kind}; one of {', '.join(_KINDS)}", file=sys.stderr)
        return 2
    numbers = [name.removeprefix("video") for name in os.listdir("/dev")
               if name.startswith("video") and name[5:].isdigit()]
    found = False
    for node in (f"/dev/video{number}" for number in sorted(numbers, key=int)):
        if (answer := capability(node)) and answer[0] == wanted and answer[1] & _KINDS[kind]:
            print(node)
            found = True
    return 0 if found else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
