#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Implicit synchronization: streams of vivid and of virtual cameras whose fences lie in dma-bufs.
The conformance cases (implicit@...) are run with all others by conform.py and conform_virtual.py,
the unit tests by units.py.

usage: implicit.py KERNEL
"""

import functools

import guest
from stream_run import problem_of, stream

# A guest on a busy machine may lose any number of frames, and vivid sends a number twice where it
# takes longer than half an interval to paint a frame; none may be bad.
small = ["--size", "320x180", "--timeout", "30", "--rate", "6", "--frames", "20", "--allow-bad",
         "1000"]


def streams(report, name, node, options):
    """In-fences by time and by chain; each plane's dma-buf waits for its frame."""
    for memory in ("mmap", "dmabuf"):
        for in_fence, implicit in (("none", "out"), ("timer", "in"), ("timer", "both"),
                                   ("chain", "both")):
            ended, told = stream(node, *small, *options, "--memory", memory, "--in-fence", in_fence,
                                 "--implicit", implicit, "--out-fence")
            problem = problem_of(ended, told, frames=20, errors=0, out_of_order=0)
            if not problem and in_fence == "timer" and told["in_fences"]["pending_at_qbuf"] == 0:
                problem = f"no buffer was held: {told['in_fences']}"
            report.tell(f"{name}/{memory}/{in_fence}/{implicit}", problem)


def refusals(report, node):
    """What cannot be is said in a sentence."""
    for name, options, words in (
            ("userptr", ["--memory", "userptr", "--implicit", "out"], "no dma-bufs"),
            ("no-in-fence", ["--implicit", "in"], "--in-fence timer"),
            ("other-fences", ["--implicit", "out", "--fences", "user"], "choose vgem")):
        ended = guest.run(guest.program, "stream", node, *options)
        said = ended.status == 2 and words in " ".join(ended.stderr.split())
        report.tell(f"refused/{name}", None if said else f"{ended.how()}: {ended.last_words()}")


def body(report):
    stream_one, stream_two = guest.nodes("vivid")
    guest.side_by_side(report, {
        "refusals": functools.partial(refusals, node="virtual:camera"),
        "stream-vivid": functools.partial(streams, name="vivid", node=stream_one,
                                          options=["--format", "YUYV", "--pixels", "bars"]),
        "stream-vivid-mplane": functools.partial(streams, name="vivid-mplane", node=stream_two,
                                                 options=["--format", "NM16"]),
        "stream-camera": functools.partial(streams, name="camera", node="virtual:camera",
                                           options=[]),
        "stream-camera-mplane": functools.partial(streams, name="camera-mplane",
                                                  node="virtual:camera-mplane", options=[]),
    })


vivid = "n_devs=2 node_types=0x1,0x1 multiplanar=1,2"
if __name__ == "__main__":
    guest.main(guest.Machine("vivid vgem virtio-gpu", (("vivid", vivid),)), body)
