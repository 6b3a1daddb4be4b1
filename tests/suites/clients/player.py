#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""A program of the camera's that does what it is told on standard input, one word a line, and
answers each with a line of `ok` or with what went wrong:

    look          reads capabilities, formats and controls
    take          asks for buffers and streams
    frames        waits for a few frames
    refused       asks for buffers that somebody else has
    give          stops and lets the buffers go

usage: player.py NODE
"""

import ctypes
import errno
import fcntl
import mmap
import os
import sys

_u32 = ctypes.c_uint32
_single, _multi = 1, 9  # V4L2_BUF_TYPE_VIDEO_CAPTURE and _MPLANE
_mmap = 1
_multi_planar = 0x1000  # of the capabilities
_next_control = 0x80000000
_buffers, _frames = 4, 5


class Plane(ctypes.Structure):
    _fields_ = [("bytesused", _u32), ("length", _u32), ("offset", ctypes.c_uint64),
                ("rest", _u32 * 12)]


class Buffer(ctypes.Structure):
    _fields_ = [("index", _u32), ("type", _u32), ("bytesused", _u32), ("flags", _u32),
                ("field", _u32), ("time", ctypes.c_int64 * 2), ("timecode", _u32 * 4),
                ("sequence", _u32), ("memory", _u32), ("m", ctypes.c_uint64), ("length", _u32),
                ("rest", _u32 * 2)]


def _request(direction, number, size):
    return direction << 30 | size << 16 | ord("V") << 8 | number


_querycap = _request(2, 0, 104)
_enum_fmt = _request(3, 2, 64)
_g_fmt = _request(3, 4, 208)
_reqbufs = _request(3, 8, 20)
_querybuf, _qbuf, _dqbuf = (_request(3, number, ctypes.sizeof(Buffer)) for number in (9, 15, 17))
_streamon, _streamoff = (_request(1, number, 4) for number in (18, 19))
_queryctrl = _request(3, 36, 68)


class Player:
    def __init__(self, node):
        self._fd = os.open(node, os.O_RDWR)
        capability = fcntl.ioctl(self._fd, _querycap, bytes(104))
        caps = int.from_bytes(capability[88:92], sys.byteorder)
        self._type = _multi if caps & _multi_planar else _single
        self._maps = []
        self._last = -1

    def look(self):
        fcntl.ioctl(self._fd, _querycap, bytes(104))
        fcntl.ioctl(self._fd, _g_fmt, self._words(208, self._type))
        formats = self._each(_enum_fmt, 64, lambda _, n: self._words(64, n, self._type))
        controls = self._each(_queryctrl, 68, lambda seen, _: self._words(
            68, (int.from_bytes(seen[:4], sys.byteorder) if seen else 0) | _next_control))
        return None if formats > 4 and controls > 10 else f"{formats} formats, {controls} controls"

    def take(self):
        if (made := self._ask_for(_buffers)) < 2:
            return f"{made} buffers"
        for index in range(made):
            buffer, planes = self._buffer(index)
            fcntl.ioctl(self._fd, _querybuf, buffer)
            length, offset = (planes[0].length, planes[0].offset) if self._type == _multi else \
                (buffer.length, buffer.m)
            self._maps.append(mmap.mmap(self._fd, length, offset=offset))
            fcntl.ioctl(self._fd, _qbuf, buffer)
        fcntl.ioctl(self._fd, _streamon, self._words(4, self._type))
        self._last = -1
        return self.frames()

    def frames(self):
        for _ in range(_frames):
            buffer, planes = self._buffer(0)
            fcntl.ioctl(self._fd, _dqbuf, buffer)
            if buffer.sequence <= self._last:
                return f"frame {buffer.sequence} came after {self._last}"
            self._last = buffer.sequence
            if not any(self._maps[buffer.index][:64]):
                return "the frame is empty"
            fcntl.ioctl(self._fd, _qbuf, buffer)
        return None

    def refused(self):
        try:
            return f"got {self._ask_for(_buffers)} buffers"
        except OSError as error:
            return None if error.errno == errno.EBUSY else str(error)

    def give(self):
        fcntl.ioctl(self._fd, _streamoff, self._words(4, self._type))
        for one in self._maps:
            one.close()
        self._maps = []
        self._ask_for(0)

    def _ask_for(self, count):
        told = fcntl.ioctl(self._fd, _reqbufs, self._words(20, count, self._type, _mmap))
        return int.from_bytes(told[:4], sys.byteorder)

    def _buffer(self, index):
        planes = (Plane * 8)()
        buffer = Buffer(index=index, type=self._type, memory=_mmap)
        if self._type == _multi:
            buffer.m, buffer.length = ctypes.addressof(planes), len(planes)
        return buffer, planes

    def _each(self, request, size, words):
        """How often it can be asked until EINVAL."""
        seen, count = None, 0
        while True:
            try:
                seen = fcntl.ioctl(self._fd, request, words(seen, count))
            except OSError as error:
                if error.errno != errno.EINVAL:
                    raise
                return count
            count += 1

    @staticmethod
    def _words(size, *values):
        return b"".join(value.to_bytes(4, sys.byteorder) for value in values).ljust(size, b"\0")


def main(node):
    player = Player(node)
    print("ok", flush=True)
    for line in sys.stdin:
        try:
            answer = getattr(player, line.strip())()
        except OSError as error:
            answer = f"{line.strip()}: {error}"
        print(answer or "ok", flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
