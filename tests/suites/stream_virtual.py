#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""`v4lfence stream` on the virtual cameras: each format with each kind of memory and each provider
that there is; sizes, rates and in-fences; and long streams, which may not grow. In a guest, what
this machine may lack: dma-bufs and the fences of vgem.

Every picture says which frame it is and when it was captured, at its top and at its bottom, and the
command reads both.

usage: stream_virtual.py [KERNEL]
"""

import functools
import itertools
import json
import subprocess
import sys

import guest
from stream_run import problem_of, stream

cameras = {"camera": "virtual:camera", "camera-mplane": "virtual:camera-mplane"}
# These need the multi-planar API.
several_planes = ("NM12", "YM12")
# Three of each ten frames may be late where many want the processor.
late_frames = 60
long_frames = 100_000
fenced_frames = 20_000
growth_max_kib = 256
stamps = {"painted_number", "painted_time", "not_torn"}


def devices():
    told = subprocess.run([guest.program, "devices", "--json"], check=True, text=True,
                          stdout=subprocess.PIPE)
    return json.loads(told.stdout)


def formats_of(machine, node):
    queue, = [device for device in machine["devices"] if device["path"] == node][0]["queues"]
    return [entry["fourcc"] for entry in queue["formats"]]


def unseen(told, wanted=frozenset(stamps)):
    """Promises that the report had to make, and did not."""
    missing = wanted - {promise["name"] for promise in told["promises"]}
    return f"never promised: {', '.join(sorted(missing))}" if missing else None


def short(report, name, node, options, frames=24, wanted=frozenset(stamps), **expected):
    ended, told = stream(node, "--frames", frames, *options)
    problem = problem_of(ended, told, frames=frames, errors=0, out_of_order=0, **expected)
    report.tell(name, problem or unseen(told, wanted))


def has_dma_bufs(report):
    """Memory of the kernel's, from a device that is not the camera."""
    ended, _ = stream(cameras["camera"], "--frames", 1, "--memory", "dmabuf")
    if ended.status == 77:
        report.skip("dmabuf", ended.last_words())
    return ended.status != 77


def formats(machine, memories, providers):
    """As fast as it goes, so that nothing but an order can be late."""
    for kind, node in cameras.items():
        for fourcc, memory, fences in itertools.product(formats_of(machine, node), memories,
                                                        providers):
            yield functools.partial(
                short, name=f"{kind}/{fourcc}/{memory}/{fences}", node=node, lost=0, options=[
                    "--rate", "free", "--size", "320x240", "--format", fourcc, "--memory", memory,
                    "--fences", fences, "--in-fence", "chain"])


def other_formats(report, machine):
    missing = [fourcc for fourcc in several_planes
               if fourcc not in formats_of(machine, cameras["camera-mplane"])
               or fourcc in formats_of(machine, cameras["camera"])]
    report.tell("planes", f"{missing} are not where they belong" if missing else None)


def sizes():
    """The smallest have no room for all that the stamps say."""
    number = frozenset({"painted_number"})
    cases = [("YUYV", "3840x2160", stamps), ("YUYV", "1920x1080", stamps),
             ("NV12", "130x66", stamps), ("RGB3", "641x359", stamps), ("MJPG", "1280x720", stamps),
             ("GREY", "127x63", number | {"not_torn"}), ("RGB3", "17x16", number)]
    for fourcc, size, wanted in cases:
        yield functools.partial(
            short, name=f"size/{fourcc}/{size}", node=cameras["camera"], wanted=frozenset(wanted),
            lost=0, options=["--rate", "free", "--size", size, "--format", fourcc])


def rates():
    """By the clock, where a frame that nobody has a buffer for is lost."""
    for rate, in_fence in ((240, "none"), (120, "chain"), (60, "timer")):
        options = ["--rate", rate, "--size", "320x240", "--in-fence", in_fence, "--out-fence",
                   "--timer-ms", "1..20"]
        yield functools.partial(
            short, name=f"rate/{rate}/{in_fence}", node=cameras["camera"], frames=90,
            options=options + ([] if in_fence == "timer" else ["--allow-bad", late_frames]))


def growth_of(told):
    warm, end = told["footprint"]["warm"], told["footprint"]["at_end"]
    return (end["resident_kib"] - warm["resident_kib"], end["descriptors"] - warm["descriptors"])


def long(report, name, frames, descriptors_max, options):
    ended, told = stream(cameras["camera"], "--frames", frames, "--rate", "free",
                         "--size", "320x240", *options)
    problem = problem_of(ended, told, frames=frames, lost=0, errors=0) or unseen(told)
    if not problem:
        memory_kib, descriptors = growth_of(told)
        report.log(f"{name}: {told['rate']:.0f} frames/s, {memory_kib:+} KiB, "
                   f"{descriptors:+} descriptors")
        if memory_kib >= growth_max_kib:
            problem = f"it grew by {memory_kib} KiB"
        elif descriptors > descriptors_max:
            problem = f"it opened {descriptors} descriptors"
    report.tell(name, problem)


def refusals(report):
    """What only a virtual camera can, and what it cannot."""
    ended = guest.run(guest.program, "stream", cameras["camera"], "--raw")
    problem = None if ended.status == 2 and "--raw" in ended.stderr else \
        f"{ended.how()}: {ended.last_words()}"
    report.tell("no-raw", problem)


def lane(report, jobs):
    for job in jobs:
        job(report)


def side_by_side(report, jobs, lanes=2):
    guest.side_by_side(report, {
        f"lane-{i}": functools.partial(lane, jobs=jobs[i::lanes]) for i in range(lanes)})


def in_guest(report):
    if not has_dma_bufs(report):
        report.tell("dmabuf", "the guest should have dma-bufs")
    side_by_side(report, list(formats(devices(), ("dmabuf",), ("user", "vgem"))))


def here(report):
    machine = devices()
    providers = [entry["name"] for entry in machine["providers"] if entry["available"]]
    memories = ("mmap", "userptr") + (("dmabuf",) if has_dma_bufs(report) else ())
    other_formats(report, machine)
    refusals(report)
    jobs = [*formats(machine, memories, providers), *sizes()]
    # A chain has more fences in flight at one moment than at another.
    jobs += [functools.partial(long, name=f"{fenced_frames}-frames-chained", frames=fenced_frames,
                               descriptors_max=16, options=["--in-fence", "chain"])]
    side_by_side(report, jobs)
    lane(report, rates())
    long(report, f"{long_frames}-frames", long_frames, 0, [])


if __name__ == "__main__":
    if len(sys.argv) == 1:
        guest.main_here(here)
    else:
        guest.main(guest.Machine("vgem virtio-gpu"), in_guest)
