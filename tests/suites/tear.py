#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Nothing tears: a camera and a display with two pictures between them, fences both ways, delayed
at random, and what vkms really scanned out (tests/display/tear_test.cpp). The camera's fence goes
to KMS with the commit, or lies in the picture's memory alone. Without it the same run has to show
the fault, or it would prove nothing.

usage: tear.py KERNEL
"""

import json

import display_run
import guest

program = guest.built / "tests" / "display" / "tear_test"
many = 600
few = 60
# So long that what is not waited for is not there by chance.
long_ms = "150"


def run(*options, frames):
    """What the program saw, or the problem."""
    ended = guest.run(program, "--frames", frames, *options, timeout_s=900)
    if ended.status != 0:
        return None, f"{ended.how()}: {ended.last_words()}"
    told = json.loads(ended.stdout)
    if told["frames"] != frames:
        return None, f"{told['frames']} of {frames} frames"
    waited = told["waited"]
    if min(waited.values()) < frames // 2:
        return None, f"most fences had ended before anybody waited: {waited}"
    return told, None


def stamps(report, name, *options, frames=many):
    """Each frame is itself, top and bottom, when it comes on screen."""
    told, problem = run("--watch", "writeback", *options, frames=frames)
    if not problem and (told["right"] != frames or told["unheeded"]):
        problem = f"a frame was shown that was not there: {told}"
    report.tell(f"stamps/{name}", problem)
    report.log(f"{name}: {told}")


def steady(report, name, *options, frames=many):
    """No frame changes while it is on screen."""
    told, problem = run("--watch", "crc", *options, frames=frames)
    if not problem and (told["changed"] or told["stale"] or told["unheeded"]):
        problem = f"a frame was written while it was shown: {told}"
    if not problem and told["twice"] < frames // 10:
        problem = f"too few scan-outs could be compared: {told}"
    report.tell(f"steady/{name}", problem)
    report.log(f"{name}: {told}")


def fault(report, watch, kind, faults, *options):
    """The same without one of the fences; `faults` are the counts that have to tell it."""
    name = "/".join(["without-fence", watch, *(word.strip("-") for word in options), kind])
    ended = guest.run(program, "--frames", few, "--watch", watch, "--fault", kind, "--delay",
                      long_ms, *options, timeout_s=900)
    problem = None
    told = None
    if ended.status != 0:
        problem = f"{ended.how()}: {ended.last_words()}"
    else:
        told = json.loads(ended.stdout)
        if told["frames"] != few:
            problem = f"{told['frames']} of {few} frames"
        elif sum(told[count] for count in faults) < few // 4:
            problem = f"the fault does not show, so its absence proves nothing: {told}"
    report.tell(name, problem)
    report.log(f"{name}: {told}")


def body(report):
    stamps(report, "virtual-camera-600-frames")
    steady(report, "virtual-camera-600-frames")
    stamps(report, "virtual-camera-long-delays", "--delay", long_ms, frames=few)
    steady(report, "virtual-camera-long-delays", "--delay", long_ms, frames=few)
    # As fast as the display it would be gone before a second scan-out, most of the time.
    vivid = guest.nodes("vivid")[0]
    steady(report, "vivid-long-delays", "--device", vivid, "--delay", long_ms, frames=few)
    # KMS that gets no fence, and looks into the picture's memory.
    stamps(report, "virtual-camera-implicit", "--implicit", frames=many // 4)
    stamps(report, "virtual-camera-implicit-long-delays", "--implicit", "--delay", long_ms,
           frames=few)
    steady(report, "vivid-implicit-long-delays", "--implicit", "--device", vivid, "--delay",
           long_ms, frames=few)
    fault(report, "writeback", "early", ("old", "torn", "none"))
    fault(report, "writeback", "early", ("old", "torn", "none"), "--implicit")
    fault(report, "crc", "reuse", ("changed", "stale"))


guest.main(guest.Machine("vkms vivid vgem", (("vivid", "n_devs=1 node_types=0x1"),),
                         cpus=display_run.vkms_cpus), body)
