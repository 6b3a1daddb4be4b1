#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""GStreamer's v4l2src on the virtual cameras: what comes out at its other end are the camera's
frames, so many as were asked for, each later than the one before it. In a guest, with dma-bufs.

usage: clients_gst.py [KERNEL]
"""

import os
import re
import sys

import clients_stamps as stamps
import guest
from clients_run import cameras, ended_problem, folder, installed, job, lanes, multi, run, single, \
    size

_frames = 300
_large = (1280, 720)  # the stamps' squares outlive a JPEG decoder
_formats = {"YUY2": "YUYV", "NV12": "NV12", "I420": "YU12", "GRAY8": "GREY", "RGB": "RGB3",
            "BGRx": "XR24"}
_mmap, _userptr, _dmabuf, _import = 2, 3, 4, 5  # values of io-mode


def home(out):
    return {**os.environ, "HOME": str(out), "GST_REGISTRY": f"{out}/registry"}


def launch(out, node, io_mode, frames, *elements):
    source = f"v4l2src device={node} io-mode={io_mode} num-buffers={frames}"
    return run("gst-launch-1.0", "-q", *" ! ".join([source, *elements]).split(), env=home(out))


def raw(name):
    """Where sizes are a range, v4l2src believes that the largest one's rates are all there are."""
    rate = 240 if name == "YUY2" else 60
    return f"video/x-raw,format={name},width={size[0]},height={size[1]},framerate={rate}/1"


def frames_of(report, name, node, caps="YUY2", io_mode=_mmap, frames=_frames):
    """Memory of somebody downstream is imported: there has to be an element that has some."""
    converter = ["videoconvert", "video/x-raw,format=GRAY8"] if io_mode == _userptr else []
    written = "GREY" if converter else _formats[caps]
    with folder() as out:
        ended = launch(out, node, io_mode, frames, raw(caps), *converter,
                       f"filesink location={out}/frames")
        problem = ended_problem(ended)
        report.tell(name,
                    problem or stamps.file_problem(out / "frames", written, size, frames))


def jpeg(report, name, node, frames=60):
    width, height = _large
    with folder() as out:
        ended = launch(out, node, _mmap, frames,
                       f"image/jpeg,width={width},height={height},framerate=60/1", "jpegdec",
                       "videoconvert", "video/x-raw,format=GRAY8",
                       f"filesink location={out}/frames")
        problem = ended_problem(ended)
        report.tell(name, problem or stamps.file_problem(out / "frames", "GREY", _large, frames))


def dup(report):
    """It streams on a dup() of what it opened."""
    with folder() as out:
        ended = run("strace", "-f", "-e", "trace=dup", "-o", out / "calls", "gst-launch-1.0", "-q",
                    "v4l2src", f"device={single}", "num-buffers=30", "!", "fakesink",
                    env=home(out))
        dups = len(re.findall(r" dup\(\d+\) += \d+", (out / "calls").read_text()))
    problem = ended_problem(ended)
    report.tell("dup", problem or (None if dups else "it made none"))


def imported(report):
    """Memory of a display: v4l2src fills what kmssink then shows."""
    with folder() as out:
        ended = launch(out, single, _import, 60,
                       "video/x-raw,format=BGRx,width=640,height=480,framerate=60/1",
                       "kmssink driver-name=virtio_gpu force-modesetting=true")
    report.tell("dmabuf-import", ended_problem(ended))


def here(report):
    if why := installed("gstreamer1.0-plugins-good"):
        report.skip("v4l2src", why)
        return
    jobs = [dup]
    for kind, node in cameras.items():
        jobs += [job(frames_of, name=f"{kind}/{caps}", node=node, caps=caps)
                 for caps in ("YUY2", "NV12")]
        jobs += [job(frames_of, name=f"{kind}/userptr", node=node, io_mode=_userptr),
                 job(jpeg, name=f"{kind}/jpeg", node=node)]
    jobs += [job(frames_of, name=f"camera/{caps}", node=single, caps=caps, frames=60)
             for caps in ("I420", "GRAY8", "RGB", "BGRx")]
    lanes(report, jobs)


def in_guest(report):
    for kind, node in (("camera", single), ("camera-mplane", multi)):
        frames_of(report, f"{kind}/dmabuf", node, io_mode=_dmabuf, frames=100)
    imported(report)


if __name__ == "__main__":
    if len(sys.argv) == 1:
        guest.main_here(here)
    else:
        guest.main(guest.Machine("virtio-gpu"), in_guest)
