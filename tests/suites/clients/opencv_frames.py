#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Reads frames of a camera with OpenCV and checks the stamps in them.

usage: opencv_frames.py PATH|NUMBER|PIPELINE V4L2|ANY|GSTREAMER COUNT
"""

import sys
from pathlib import Path

import cv2

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import clients_stamps as stamps  # noqa: E402


def main(source, backend, count):
    capture = cv2.VideoCapture(int(source) if source.isdigit() else source,
                               getattr(cv2, f"CAP_{backend}"))
    if not capture.isOpened():
        return "it does not open"
    seen = []
    for _ in range(int(count)):
        good, frame = capture.read()
        if not good:
            return f"no frame after {len(seen)}"
        height, width = frame.shape[:2]
        fourcc = "RGB3" if frame.ndim == 3 else "GREY"  # which GStreamer takes where there is one
        seen.append(stamps.of_frame(frame.tobytes(), fourcc, (width, height)))
    name = capture.getBackendName()
    capture.release()
    print(f"{len(seen)} frames of {width}x{height} by {name}")
    return stamps.rise_problem(seen, int(count))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
