#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The conformance cases on bridged vivid: single-planar, multi-planar, and with a driver minimum of
two; with fences of user space and of vgem. One device for each, all at once: the cases wait more
than they work. Last, each device is unplugged.

usage: conform.py KERNEL
"""

import functools
import sys

import guest
from conform_run import conform, conform_raw

# What vivid calls multiplanar and supports_requests, and what the report must say.
devices = {
    "single": (1, 1, {"multi_planar": False, "start_minimum": 1}),
    "multi": (2, 1, {"multi_planar": True, "start_minimum": 1}),
}
# Later kernels need one buffer in any case.
if "6.1" in sys.argv:
    devices["minimum-2"] = (1, 0, {"multi_planar": False, "start_minimum": 2})
configurations = [(device, fences) for device in devices for fences in ("user", "vgem")]


def vivid_parameters():
    chosen = [devices[device] for device, _ in configurations]
    columns = {
        "node_types": ["0x1" for _ in chosen],
        "multiplanar": [planes for planes, _, _ in chosen],
        "supports_requests": [requests for _, requests, _ in chosen],
    }
    return f"n_devs={len(chosen)} " + " ".join(
        f"{name}={','.join(map(str, values))}" for name, values in columns.items())


def body(report):
    nodes = guest.nodes("vivid")
    conform_raw(report, "raw-node", nodes[0])
    jobs = {}
    for (device, fences), node in zip(configurations, nodes, strict=True):
        name = f"{device}/{fences}"
        jobs[name] = functools.partial(
            conform, name=name, node=node, fences=fences,
            options=["--unplug-command", f"v4l2-ctl -d {node} --set-ctrl disconnect=1"],
            expected=devices[device][2] | {"driver": "vivid", "provider": fences})
    guest.side_by_side(report, jobs)


guest.main(guest.Machine("vivid vgem virtio-gpu", (("vivid", vivid_parameters()),)), body)
