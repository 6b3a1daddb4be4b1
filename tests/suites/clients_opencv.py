#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""OpenCV's VideoCapture on the virtual camera, from Python: by path and by number, and through
GStreamer, which it prefers.

usage: clients_opencv.py
"""

import os

import guest
from clients_run import ended_problem, folder, helpers, installed, job, lanes, single

_pipeline = f"v4l2src device={single} ! videoconvert ! video/x-raw,format=BGR ! appsink"


def frames(report, name, source, backend):
    node = "/dev/video0" if source == "0" else single
    with folder() as out:
        ended = guest.run(
            guest.program, "exec", "--virtual", f"camera={node}", "--", "/usr/bin/python3",
            helpers / "opencv_frames.py", source, backend, "30",
            env={**os.environ, "HOME": str(out), "GST_REGISTRY": f"{out}/registry",
                 "OPENCV_LOG_LEVEL": "ERROR"})
    report.tell(name, ended_problem(ended))


def here(report):
    if why := installed("python3-opencv"):
        report.skip("VideoCapture", why)
        return
    lanes(report, [job(frames, name=name, source=source, backend=backend)
                   for name, source, backend in (
                       ("path", single, "V4L2"), ("path-any", single, "ANY"),
                       ("pipeline", _pipeline, "GSTREAMER"), ("number", "80", "V4L2"),
                       ("number-any", "80", "ANY"), ("number-0", "0", "V4L2"),
                       ("number-0-any", "0", "ANY"))])


if __name__ == "__main__":
    guest.main_here(here)
