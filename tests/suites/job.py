#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The main job, as ./run starts it (tools/run_job.py): on a virtual camera, or in a guest from
vivid to its display, with the screen pictured by the machine.

usage: job.py [KERNEL]
"""

import os
import sys
import tempfile

import guest

frames = 60
held = "every promise was checked and held"


def job(report, name, folder, *options):
    ended = guest.run(sys.executable, guest.top / "tools" / "run_job.py", "--frames", frames,
                      "--out", folder, *options, timeout_s=1000)
    good = ended.status == 0 and held in ended.stdout
    report.tell(name, None if good else f"{ended.how()}: {ended.last_words()}")
    report.log(ended.stdout)


def body(report):
    name, options = "virtual-camera", ["--device", "virtual:camera"]
    if len(sys.argv) > 1:
        name, options = "display", ["--vm", "--kernel", sys.argv[1]]
    with tempfile.TemporaryDirectory() as folder:
        job(report, name, os.environ.get("V4LFENCE_RESULTS", folder), *options)


guest.main_here(body)
