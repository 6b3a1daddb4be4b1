#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The tests of the display library that change what a display shows: on virtio-gpu, which takes no
memory of others, and on vkms, which has overlay planes.

usage: units_display.py KERNEL
"""

import os

import guest

program = "unit_kms_display"


def body(report):
    xml = f"{os.environ.get('OUT', '/run')}/{program}.xml"
    ended = guest.run(guest.built / program, f"--gtest_output=xml:{xml}", timeout_s=400)
    report.log(ended.stdout + ended.stderr)
    # Whoever collects the results reads each failure there.
    if not os.path.exists(xml) or ended.status is None or \
            ("OUT" not in os.environ and ended.status):
        report.tell(program, f"{ended.how()}: {ended.last_words()}")


guest.main(guest.Machine("vivid vgem virtio-gpu vkms", (("vkms", "enable_overlay=1"),)), body)
