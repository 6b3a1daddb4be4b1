# SPDX-License-Identifier: MIT
"""As much of the C API as a test needs that must block in the very call: libv4lfence by ctypes."""

import ctypes
import errno
import os
import struct

import guest

in_fence, out_fence = 0x00200000, 0x00400000
_reqbufs, _qbuf, _dqbuf, _streamon = 0xC0145608, 0xC058560F, 0xC0585611, 0x40045612
_capture, _mmap = 1, 1
_buffer_size, _flags_at, _memory_at, _fence_at = 88, 12, 60, 76


class Api:
    def __init__(self):
        self._lib = ctypes.CDLL(str(guest.built / "v4lfence" / "capi" / "libv4lfence.so.0"),
                                use_errno=True)

    def call(self, name, *arguments):
        """0 or more, or a negative errno."""
        value = getattr(self._lib, f"v4lfence_{name}")(*arguments)
        return value if value >= 0 else -ctypes.get_errno()

    def fence_wait(self, fd, timeout_ms):
        """(0 or a negative errno, state, error)"""
        result = ctypes.create_string_buffer(16)
        status = self.call("fence_wait", fd, timeout_ms, result)
        return (status, *struct.unpack_from("=ii", result))


class Capture:
    """A blocking file of a single-planar capture device with memory of its own. Raises OSError."""

    def __init__(self, api, node, fences, count):
        self._api = api
        self.fd = self._well(api.call("open", node.encode(), os.O_RDWR | os.O_CLOEXEC), node)
        self._well(api.call("set_provider", self.fd, fences.encode()), fences)
        self._well(self._ioctl(_reqbufs, struct.pack("=5I", count, _capture, _mmap, 0, 0))[0],
                   "REQBUFS")

    @staticmethod
    def _well(status, what):
        if status < 0:
            raise OSError(-status, f"{what}: {os.strerror(-status)}")
        return status

    def _ioctl(self, request, data):
        buffer = ctypes.create_string_buffer(data, len(data))
        return self._api.call("ioctl", self.fd, ctypes.c_ulong(request), buffer), buffer.raw

    def queue(self, index, fence=None):
        """The out-fence."""
        data = bytearray(_buffer_size)
        struct.pack_into("=II", data, 0, index, _capture)
        struct.pack_into("=I", data, _flags_at, out_fence | (0 if fence is None else in_fence))
        struct.pack_into("=I", data, _memory_at, _mmap)
        struct.pack_into("=i", data, _fence_at, -1 if fence is None else fence)
        status, raw = self._ioctl(_qbuf, bytes(data))
        self._well(status, f"QBUF of {index}")
        return struct.unpack_from("=i", raw, _fence_at)[0]

    def start(self):
        self._well(self._ioctl(_streamon, struct.pack("=i", _capture))[0], "STREAMON")

    def dequeue(self):
        """0 or the negative errno of DQBUF."""
        data = bytearray(_buffer_size)
        struct.pack_into("=I", data, 4, _capture)
        struct.pack_into("=I", data, _memory_at, _mmap)
        return self._ioctl(_dqbuf, bytes(data))[0]

    def close(self):
        return self._api.call("close", self.fd)


def name_of(status):
    return errno.errorcode.get(-status, str(status)) if status < 0 else str(status)
