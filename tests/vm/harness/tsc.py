# SPDX-License-Identifier: MIT
"""The rate of this machine's time stamp counter, which QEMU's emulated CPUs show to the guest.

Left to itself a guest counts its ticks against an emulated timer for some milliseconds. On a busy
host QEMU is not running for most of these, and the guest's clock is wrong for good: 16 times too
fast has been seen, so that every limit of time in there was passed at once.
"""

import ctypes
import mmap
import platform
import time

# rdtsc; shl rdx, 32; or rax, rdx; ret
_READ_COUNTER = bytes.fromhex("0f31 48c1e220 4809d0 c3")
_WINDOW_NS = 50_000_000
_TRIES = 5


def khz() -> int | None:
    """In thousands a second, to some parts in 100000; None where this is no x86-64, or the system
    allows no code that was not loaded from a file."""
    if platform.machine() != "x86_64":
        return None
    try:
        page = mmap.mmap(-1, mmap.PAGESIZE,
                         prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    except OSError:
        return None
    with page:
        page.write(_READ_COUNTER)
        code = ctypes.c_char.from_buffer(page)
        read_counter = ctypes.CFUNCTYPE(ctypes.c_uint64)(ctypes.addressof(code))
        start = _moment(read_counter)
        end = start
        while end[0] < start[0] + _WINDOW_NS:
            end = _moment(read_counter)
        del code, read_counter
    return round((end[1] - start[1]) * 1_000_000 / (end[0] - start[0]))


def _moment(read_counter) -> tuple[float, int]:
    """A time in ns with the count at it: of some looks the one that was interrupted least."""
    looks = []
    for _ in range(_TRIES):
        before = time.clock_gettime_ns(time.CLOCK_MONOTONIC_RAW)
        count = read_counter()
        after = time.clock_gettime_ns(time.CLOCK_MONOTONIC_RAW)
        looks.append((after - before, (before + after) / 2, count))
    _, at_ns, count = min(looks)
    return at_ns, count
