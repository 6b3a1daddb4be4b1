#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""FFmpeg's v4l2 input on the virtual camera: its frames, so many as were asked for, each later than
the one before it; and what it costs that it asks for its first frame without a pause. It does not
know multi-planar devices.

usage: clients_ffmpeg.py
"""

import itertools
import re

import clients_stamps as stamps
import guest
from clients_run import ended_problem, folder, job, lanes, multi, run, shows, single, size

_frames = 300
_large = (1280, 720)
_pixels = {"yuyv422": "YUYV", "nv12": "NV12", "yuv420p": "YU12", "gray": "GREY", "rgb24": "RGB3"}
_questions_min = 300


def source(node, *options):
    return ["ffmpeg", "-nostdin", "-hide_banner", "-f", "v4l2", *options, "-i", node]


def raw(report, pixels):
    with folder() as out:
        ended = run(*source(single, "-input_format", pixels, "-video_size",
                            "x".join(map(str, size)), "-framerate", "240"),
                    "-frames:v", _frames, "-c", "copy", "-f", "rawvideo", out / "frames")
        problem = ended_problem(ended)
        report.tell(f"{_frames}-frames/{pixels}", problem or stamps.file_problem(
            out / "frames", _pixels[pixels], size, _frames))


def jpeg(report):
    with folder() as out:
        ended = run(*source(single, "-input_format", "mjpeg", "-video_size", "1280x720",
                            "-framerate", "60"),
                    "-frames:v", 60, "-fps_mode", "passthrough", "-pix_fmt", "gray",
                    "-f", "rawvideo", out / "frames")
        problem = ended_problem(ended)
        report.tell("mjpeg", problem or stamps.file_problem(out / "frames", "GREY", _large, 60))


def listings(report):
    ended = run(*source(single, "-list_formats", "all"))
    shows(report, "list-formats", ended, "yuyv422", "mjpeg", "nv12", "1920x1080",
          status=ended.status)
    ended = run("ffmpeg", "-hide_banner", "-sources", "v4l2")
    shows(report, "sources", ended, "/dev/video80")


def refusal(report):
    """As it does with every device that has no single-planar queue."""
    ended = run(*source(multi), "-frames:v", 1, "-f", "null", "-")
    shows(report, "multi-planar-refused", ended, "Not a video capture device", status=ended.status)


def spin(report):
    """Until the first frame it asks without a pause. Each question is one fcntl(), apart from the
    one in sixty-four that goes to the device."""
    with folder() as out:
        ended = run("strace", "-f", "-o", out / "calls", *source(single, "-framerate", "5"),
                    "-frames:v", 3, "-f", "null", "-")
        trace = (out / "calls").read_text()
    asked, others = longest_spin(trace)
    report.log(f"{asked} questions in a row, with {others} other calls between them")
    few = None if asked >= _questions_min else f"{asked} questions only"
    dear = None if others * 8 < asked else f"{others} other calls beside {asked} questions"
    report.tell("question-costs-one-fcntl", ended_problem(ended) or few or dear)


def longest_spin(trace):
    """(questions, other calls between them) of the thread and the time that asked most. A run ends
    where sixteen other calls follow one another."""
    threads = {}
    for thread, call in re.findall(r"^(\d+) +(\w+\([^)]*)", trace, re.MULTILINE):
        threads.setdefault(thread, []).append("F_GETFL" in call)
    best = (0, 0)
    for calls in threads.values():
        asked, others = 0, 0
        for is_question, group in itertools.groupby(calls):
            length = len(list(group))
            if is_question:
                asked += length
                best = max(best, (asked, others))
            elif length > 16:
                asked, others = 0, 0
            else:
                others += length
    return best


def here(report):
    lanes(report, [listings, refusal, spin, jpeg,
                   *(job(raw, pixels=pixels) for pixels in _pixels)])


if __name__ == "__main__":
    guest.main_here(here)
