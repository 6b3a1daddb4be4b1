#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""What a program that uses no fence sees of the virtual camera, beside raw vivid: the same
questions to both, and no other differences than tests/unfenced_difference/differences.json has.

usage: unfenced_difference.py KERNEL
"""

import json
import sys

import guest

sys.path.insert(0, str(guest.top / "tests" / "unfenced_difference"))
import differences  # noqa: E402

probes = guest.built / "tests" / "unfenced_difference" / "unfenced_probes"
timeout_s = 300


def answers(side, node):
    ended = guest.run(probes, side, node, timeout_s=timeout_s)
    guest.keep(f"unfenced-{side}.json", ended.stdout)
    try:
        return json.loads(ended.stdout)
    except ValueError as error:
        raise ValueError(f"{side}: {ended.how()}: {ended.last_words()}") from error


def body(report):
    kernel = sys.argv[1]
    try:
        vivid = answers("raw", guest.nodes("vivid")[0])
        virtual = answers("library", "virtual:camera")
    except ValueError as error:
        report.tell("probes", str(error))
        return
    problems = dict(differences.judge(differences.load(), kernel, vivid, virtual))
    for probe in vivid:
        report.tell(probe, problems.pop(probe, None))
    for probe, problem in problems.items():
        report.tell(probe, problem)


guest.main(guest.Machine("vivid vgem virtio-gpu", (("vivid", "n_devs=1 node_types=0x1"),)), body)
