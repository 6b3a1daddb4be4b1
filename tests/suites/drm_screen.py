# SPDX-License-Identifier: MIT
"""A program that shows a picture on a display and is not its master any more, as one on another
console: what `v4lfence display` finds and has to put back."""

import ctypes
import fcntl
import mmap
import os
from dataclasses import dataclass
from pathlib import Path

_bytes_per_pixel = 4
_connected = 1


class _Version(ctypes.Structure):
    _fields_ = [("numbers", ctypes.c_int * 3), ("name_size", ctypes.c_size_t),
                ("name", ctypes.c_void_p), ("rest", ctypes.c_size_t * 4)]


class _Resources(ctypes.Structure):
    _fields_ = [("fbs", ctypes.c_uint64), ("crtcs", ctypes.c_uint64),
                ("connectors", ctypes.c_uint64), ("encoders", ctypes.c_uint64),
                ("fb_count", ctypes.c_uint32), ("crtc_count", ctypes.c_uint32),
                ("connector_count", ctypes.c_uint32), ("encoder_count", ctypes.c_uint32),
                ("limits", ctypes.c_uint32 * 4)]


class _Mode(ctypes.Structure):
    _fields_ = [("clock", ctypes.c_uint32), ("timings", ctypes.c_uint16 * 10),
                ("refresh", ctypes.c_uint32), ("flags", ctypes.c_uint32),
                ("type", ctypes.c_uint32), ("name", ctypes.c_char * 32)]


class _Connector(ctypes.Structure):
    _fields_ = [("encoders", ctypes.c_uint64), ("modes", ctypes.c_uint64),
                ("props", ctypes.c_uint64), ("prop_values", ctypes.c_uint64),
                ("mode_count", ctypes.c_uint32), ("prop_count", ctypes.c_uint32),
                ("encoder_count", ctypes.c_uint32), ("encoder", ctypes.c_uint32),
                ("id", ctypes.c_uint32), ("type", ctypes.c_uint32 * 2),
                ("connection", ctypes.c_uint32), ("rest", ctypes.c_uint32 * 4)]


class _Crtc(ctypes.Structure):
    _fields_ = [("connectors", ctypes.c_uint64), ("connector_count", ctypes.c_uint32),
                ("id", ctypes.c_uint32), ("framebuffer", ctypes.c_uint32),
                ("place", ctypes.c_uint32 * 2), ("gamma_size", ctypes.c_uint32),
                ("has_mode", ctypes.c_uint32), ("mode", _Mode)]


class _Dumb(ctypes.Structure):
    _fields_ = [("height", ctypes.c_uint32), ("width", ctypes.c_uint32), ("bpp", ctypes.c_uint32),
                ("flags", ctypes.c_uint32), ("handle", ctypes.c_uint32),
                ("pitch", ctypes.c_uint32), ("size", ctypes.c_uint64)]


class _MapDumb(ctypes.Structure):
    _fields_ = [("handle", ctypes.c_uint32), ("pad", ctypes.c_uint32), ("offset", ctypes.c_uint64)]


class _Framebuffer(ctypes.Structure):
    _fields_ = [("id", ctypes.c_uint32), ("width", ctypes.c_uint32), ("height", ctypes.c_uint32),
                ("pitch", ctypes.c_uint32), ("bpp", ctypes.c_uint32), ("depth", ctypes.c_uint32),
                ("handle", ctypes.c_uint32)]


def _request(number, size):
    return 3 << 30 | size << 16 | ord("d") << 8 | number


def _call(card, number, argument):
    fcntl.ioctl(card, _request(number, ctypes.sizeof(argument)), argument)
    return argument


def _driver(card):
    name = ctypes.create_string_buffer(32)
    _call(card, 0x00, _Version(name_size=len(name) - 1, name=ctypes.addressof(name)))
    return name.value.decode()


def _open_card(driver):
    for node in sorted(Path("/dev/dri").glob("card*")):
        card = os.open(node, os.O_RDWR | os.O_CLOEXEC)
        if _driver(card) == driver:
            return card
        os.close(card)
    raise ValueError(f"no card of {driver}")


def _numbers(count):
    return (ctypes.c_uint32 * max(count, 1))()


@dataclass(frozen=True)
class Shown:
    """A framebuffer's number, and the mode's name: "1024x768"."""

    framebuffer: int
    mode: str


class Screen:
    """Shows one colour in a mode, on the first connector with something on it, and is there until
    its end. Raises OSError, ValueError."""

    def __init__(self, driver, mode, colour=b"\x30\x90\xd0\x00"):
        self._card = _open_card(driver)
        try:
            self._show(mode, colour)
        except BaseException:
            os.close(self._card)
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.close(self._card)

    def shown(self):
        """What is on now, whosever it is."""
        crtc = _call(self._card, 0xa1, _Crtc(id=self._crtc))
        return Shown(crtc.framebuffer, crtc.mode.name.decode() if crtc.has_mode else "off")

    def _show(self, mode_name, colour):
        found = _call(self._card, 0xa0, _Resources())
        crtcs, connectors = _numbers(found.crtc_count), _numbers(found.connector_count)
        _call(self._card, 0xa0, _Resources(
            crtcs=ctypes.addressof(crtcs), crtc_count=found.crtc_count,
            connectors=ctypes.addressof(connectors), connector_count=found.connector_count))
        self._crtc = crtcs[0]
        connector, modes = self._first_connected(list(connectors))
        mode = next((one for one in modes if one.name.decode() == mode_name), None)
        if mode is None:
            raise ValueError(f"no mode {mode_name}")
        framebuffer = self._paint(mode.timings[0], mode.timings[5], colour)
        driven = (ctypes.c_uint32 * 1)(connector)
        _call(self._card, 0xa2, _Crtc(
            connectors=ctypes.addressof(driven), connector_count=1, id=self._crtc,
            framebuffer=framebuffer, has_mode=1, mode=mode))
        fcntl.ioctl(self._card, ord("d") << 8 | 0x1f)  # no master any more

    def _first_connected(self, connectors):
        for number in connectors:
            told = _call(self._card, 0xa7, _Connector(id=number))
            if told.connection == _connected:
                modes = (_Mode * max(told.mode_count, 1))()
                _call(self._card, 0xa7, _Connector(id=number, modes=ctypes.addressof(modes),
                                                   mode_count=told.mode_count))
                return number, list(modes)
        raise ValueError("nothing is connected")

    def _paint(self, width, height, colour):
        dumb = _call(self._card, 0xb2,
                     _Dumb(width=width, height=height, bpp=8 * _bytes_per_pixel))
        place = _call(self._card, 0xb3, _MapDumb(handle=dumb.handle))
        with mmap.mmap(self._card, dumb.size, offset=place.offset) as memory:
            memory[:] = colour * (dumb.size // len(colour))
        return _call(self._card, 0xae, _Framebuffer(
            width=width, height=height, pitch=dumb.pitch, bpp=8 * _bytes_per_pixel, depth=24,
            handle=dumb.handle)).id
