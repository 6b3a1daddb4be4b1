#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The conformance cases on the virtual cameras: on this machine with the fences of user space, and
in a guest, where there are dma-bufs, with those of vgem too.

usage: conform_virtual.py [KERNEL]
"""

import functools
import sys

import guest
from conform_run import conform

devices = {
    "camera": ("virtual:camera", False),
    "camera-mplane": ("virtual:camera-mplane", True),
}


def body(report, providers):
    """One process for each, all at once: each has devices of its own, and waits more than it
    works."""
    jobs = {}
    for device, (node, multi_planar) in devices.items():
        for fences in providers:
            name = f"{device}/{fences}"
            jobs[name] = functools.partial(
                conform, name=name, node=node, fences=fences, options=[],
                expected={"multi_planar": multi_planar, "start_minimum": 1, "driver": "v4lfence",
                          "provider": fences})
    guest.side_by_side(report, jobs)


if __name__ == "__main__":
    if len(sys.argv) == 1:
        guest.main_here(functools.partial(body, providers=("user", "eventfd")))
    else:
        # 6.12 has udmabuf and a heap built in; 6.1 has dma-bufs of vgem alone.
        guest.main(guest.Machine("vgem virtio-gpu"),
                   functools.partial(body, providers=("user", "vgem")))
