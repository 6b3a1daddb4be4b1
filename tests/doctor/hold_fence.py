#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""A process that has nothing of v4lfence and holds a fence of vgem: as a sync_file, and in a
dma-buf. Says "staged" and ends when stdin does. Behind the same descriptors there is a fresh fence
long before vgem ends the last one, after 10 s.

usage: hold_fence.py
"""

import fcntl
import os
import select
import struct
import sys
from pathlib import Path

create_dumb, handle_to_fd, attach_fence = 0xC02064B2, 0xC00C642D, 0xC0106441
export_sync_file, of_writers = 0xC0086202, 1
shared = os.O_CLOEXEC | os.O_RDWR
fresh_s = 2


def open_vgem():
    for node in sorted(Path("/sys/class/drm").glob("card*")):
        if (node / "device").resolve().name == "vgem":
            return os.open(Path("/dev/dri") / node.name, shared)
    raise OSError("no vgem")


def make_fence(vgem):
    """(sync_file, dma-buf) of a pending one."""
    dumb = struct.pack("=8I", 16, 16, 32, 0, 0, 0, 0, 0)
    handle = struct.unpack("=8I", fcntl.ioctl(vgem, create_dumb, dumb))[4]
    dma_buf = struct.unpack("=IIi", fcntl.ioctl(
        vgem, handle_to_fd, struct.pack("=IIi", handle, shared, -1)))[2]
    # Of a writer.
    fcntl.ioctl(vgem, attach_fence, struct.pack("=4I", handle, 1, 0, 0))
    # One who wants to read waits for that.
    sync_file = struct.unpack("=Ii", fcntl.ioctl(
        dma_buf, export_sync_file, struct.pack("=Ii", of_writers, -1)))[1]
    return sync_file, dma_buf


def main():
    vgem = open_vgem()
    held = make_fence(vgem)
    print(f"staged pid={os.getpid()} sync_file={held[0]} dma_buf={held[1]}", flush=True)
    while not select.select([sys.stdin], [], [], fresh_s)[0]:
        for fresh, place in zip(make_fence(vgem), held):
            os.dup2(fresh, place)
            os.close(fresh)


main()
