#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Unit tests that find more in the guest than on most machines: fences and dma-bufs of the kernel,
and sockets of another one.

usage: units.py KERNEL
"""

import os

import guest

# Where a fence of the kernel is made or judged, a dma-buf mapped, a descriptor made to be polled.
programs = ("unit_fence", "unit_sync", "unit_bridge", "unit_capi", "unit_vb2", "unit_vb2_queue",
            "unit_v4l2_readiness")


def body(report):
    results = os.environ.get("OUT", "/run")
    for name in programs:
        xml = f"{results}/{name}.xml"
        ended = guest.run(guest.built / name, f"--gtest_output=xml:{xml}", timeout_s=300)
        report.log(ended.stdout + ended.stderr)
        # Whoever collects the results reads each failure there.
        if not os.path.exists(xml) or ended.status is None or \
                ("OUT" not in os.environ and ended.status):
            report.tell(name, f"{ended.how()}: {ended.last_words()}")


guest.main(guest.Machine("vivid vgem virtio-gpu"), body)
