#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The bridge on other nodes than cameras: outputs (vivid), both sides of a memory-to-memory device
(vim2m), a codec (vicodec), and a driver that is not videobuf2 (v4l2loopback).

usage: units_nodes.py KERNEL
"""

import os

import guest

program = "unit_vm_nodes"


def body(report):
    xml = f"{os.environ.get('OUT', '/run')}/{program}.xml"
    ended = guest.run(guest.built / program, f"--gtest_output=xml:{xml}", timeout_s=300)
    report.log(ended.stdout + ended.stderr)
    # Whoever collects the results reads each failure there.
    if not os.path.exists(xml) or ended.status is None or \
            ("OUT" not in os.environ and ended.status):
        report.tell(program, f"{ended.how()}: {ended.last_words()}")


guest.main(guest.Machine("vivid vim2m vicodec v4l2loopback",
                         (("vivid", "n_devs=2 node_types=0x100,0x100 multiplanar=1,2"),)), body)
