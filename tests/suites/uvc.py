#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The stock uvcvideo driver with the emulated USB camera: conformance, 300 frames whose painted
numbers are their sequence numbers, bad and lost frames, a picture that freezes, and unplugging in
mid-stream with fences pending on both sides.

usage: uvc.py KERNEL
"""

import functools
from pathlib import Path

import guest
from camera import Camera
from conform_run import conform
from stream_run import job_failed, problem_of, stream
from unplugs import blocking_dequeue, lanes, unplugs

small = ["--size", "320x180", "--format", "YUYV", "--timeout", "30"]
fenced = ["--in-fence", "chain", "--out-fence", "--pixels", "painted"]
nodrop = Path("/sys/module/uvcvideo/parameters/nodrop")


def judge(report, fences):
    camera = Camera(f"conform-{fences}")
    conform(report, f"conform/{fences}", camera.plug(), fences,
            ["--unplug-command", f"{camera.script} stop {camera.name}"],
            {"driver": "uvcvideo", "provider": fences})
    report.log(f"camera {camera.name}: {camera.last_words()}")
    camera.unplug()
    report.tell(f"conform/{fences}/replugged", works(camera.plug()))
    camera.unplug()


def works(node):
    """A camera that was plugged in again works."""
    return problem_of(*stream(node, *small, "--frames", "12", "--allow-bad", "60", *fenced))


def numbers(report, memory, fences):
    """Painted in the picture, told as `sequence`: the same, also where a busy machine loses some.
    """
    frames = 300
    with Camera(f"numbers-{memory}") as node:
        ended, told = stream(node, *small, "--rate", "15", "--frames", frames, "--memory", memory,
                             "--fences", fences, "--allow-bad", "300", *fenced)
    report.tell(f"300-painted-numbers/{memory}/{fences}", problem_of(
        ended, told, frames=frames, errors=0, out_of_order=0))


def lost_frames(report):
    """Frames that uvcvideo throws away are gaps in `sequence`; numbers and fences stay right."""
    with Camera("lost", "--error-every", "5") as node:
        ended, told = stream(node, *small, "--rate", "15", "--frames", "40", "--allow-bad", "200",
                             *fenced)
    problem = problem_of(ended, told, frames=40, errors=0)
    report.tell("lost-frames-are-gaps",
                problem or (None if told["lost"] >= 8 else f"{told['lost']} frames lost"))


def bad_frames(report, fault):
    """With nodrop=1 they come: with the error flag, and an out-fence that says so."""
    with Camera(fault, f"--{fault}", "5") as node:
        ended, told = stream(node, *small, "--rate", "15", "--frames", "40", "--allow-bad", "200",
                             "--in-fence", "chain", "--out-fence", "--pixels", "none")
    problem = problem_of(ended, told, frames=40)
    report.tell(f"bad-frames/{fault}",
                problem or (None if told["errors"] >= 7 else f"{told['errors']} with errors"))


def freeze(report):
    """No frames for longer than --timeout: a sentence that says who waits, and nothing pending."""
    with Camera("freeze", "--freeze-after", "5") as node:
        ended, told = stream(node, "--size", "320x180", "--rate", "30", "--frames", "30",
                             "--timeout", "3", *fenced)
        problem = problem_of(ended, told, status=job_failed)
        if not problem and not 0 < told["frames"] <= 5:
            problem = f"{told['frames']} frames"
        report.tell("freeze-is-told", problem or (None if told["failure"] else "no word of it"))


def phase(report, no_drop, jobs):
    """uvcvideo looks at `nodrop` when a camera is plugged in."""
    nodrop.write_text(str(no_drop))
    guest.side_by_side(report, jobs)


def body(report):
    phase(report, 1, {fault: functools.partial(bad_frames, fault=fault)
                      for fault in ("error-every", "short-every")})
    phase(report, 0, {
        "conform-user": functools.partial(judge, fences="user"),
        "conform-vgem": functools.partial(judge, fences="vgem"),
        "numbers-mmap": functools.partial(numbers, memory="mmap", fences="user"),
        "numbers-dmabuf": functools.partial(numbers, memory="dmabuf", fences="vgem"),
        "lost": lost_frames,
        "freeze": freeze,
    })
    phase(report, 0, {
        **{f"unplugs-{lane}": functools.partial(unplugs, lane=lane) for lane in range(lanes)},
        **{f"blocking-{fences}": functools.partial(blocking_dequeue, fences=fences)
           for fences in ("user", "vgem")},
    })


# One processor: two guests have no more anyway, and the races of vhci-hcd are rarer.
guest.main(guest.Machine("vhci-hcd uvcvideo vgem virtio-gpu",
                         (("usbcore", "autosuspend=-1"),), cpus=1), body)
