#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""`v4lfence stream` on vivid: every kind of memory with every kind of in-fence and out-fence, and
what the command does at a deadline, at Ctrl-C, with JSON and with pictures.

vivid in software emulation may lose a frame by itself when its thread runs late, so frames come
slowly here and the short streams allow a few gaps; all other promises are kept to the letter.

usage: stream.py KERNEL
"""

import functools
import itertools
import tempfile
from pathlib import Path

import guest
import picture
import stops
from stream_run import frames_shown, interrupted, problem_of, read, stream, words

size = (320, 180)
patient = ["--size", f"{size[0]}x{size[1]}", "--timeout", "30"]
small = [*patient, "--rate", "15"]
slow = [*patient, "--rate", "10"]
# vivids: for the short streams side by side, one for the long stream, one that has an output too,
# and one with planes.
devices = 4 + 1 + 1 + 1
at_bars = ["--pixels", "bars"]


def short(report, node, name, options):
    """A stream of a few frames that keeps every promise."""
    ended, told = stream(node, "--frames", "20", "--out-fence", "--allow-bad", "20", *options)
    report.tell(name, problem_of(ended, told, frames=20, out_of_order=0))


def matrix():
    for memory, in_fence, fences in itertools.product(
            ("mmap", "userptr", "dmabuf"), ("none", "timer", "chain"), ("user", "eventfd", "vgem")):
        yield functools.partial(
            short, name=f"{memory}/{in_fence}/{fences}", options=[
                *small, "--format", "YUYV", *at_bars, "--memory", memory,
                "--in-fence", in_fence, "--fences", fences])


def long_chain(report, node):
    """The main job: order kept, each frame waits for an earlier one's out-fence. How many frames
    vivid loses is up to the machine: on a busy one more than 30."""
    frames = 300
    ended, told = stream(node, *slow, "--format", "YUYV", *at_bars, "--frames", frames,
                         "--in-fence", "chain", "--out-fence", "--fences", "user",
                         "--allow-bad", "300")
    report.tell("300-frames-chained",
                problem_of(ended, told, frames=frames, errors=0, out_of_order=0))


def sync_files(report, node):
    ended, told = stream(node, *small, "--frames", "20", "--in-fence", "chain", "--out-fence",
                         "--fences", "vgem", "--allow-bad", "20")
    problem = problem_of(ended, told)
    if not problem and told["out_fences"]["sync_file_info_ok"] != told["out_fences"]["made"]:
        problem = f"not every fence is a sync_file: {told['out_fences']}"
    report.tell("sync-file-info-answers", problem)


def deadline(report, node):
    """Some in-fences end in time, some do not: those frames carry the error flag."""
    ended, told = stream(node, *small, "--frames", "40", "--in-fence", "timer", "--timer-ms",
                         "1..400", "--deadline", "150", "--out-fence", "--allow-bad", "400")
    problem = problem_of(ended, told, frames=40)
    if not problem and not 0 < told["errors"] <= told["in_fences"]["expired"]:
        problem = f"{told['errors']} frames with errors, in-fences {told['in_fences']}"
    report.tell("deadline", problem)


def raw(report, node):
    ended, told = stream(node, *small, "--frames", "20", "--raw", "--allow-bad", "20")
    report.tell("raw", problem_of(ended, told, frames=20))


def free_running(report, node):
    """A kernel's camera has its own clock, and a sentence says so."""
    ended = guest.run(guest.program, "stream", node, *small[:2], "--rate", "free")
    said = ended.status == 2 and "cannot run free" in ended.stderr
    report.tell("no-free-running", None if said else f"{ended.how()}: {ended.last_words()}")


def two_planes(report, node):
    for memory, fences in (("mmap", "user"), ("userptr", "vgem"), ("dmabuf", "user")):
        short(report, node, f"two-planes/{memory}/{fences}", [
            *small, "--format", "NM16", "--memory", memory, "--in-fence", "chain",
            "--fences", fences])


def saved(report, node, fourcc):
    """A frame is saved and looked at, and the text report names it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "frame.png"
        ended = guest.run(guest.program, "stream", node, *small, "--format", fourcc, "--frames",
                          "3", "--allow-bad", "9", "--out-fence", "--save", path)
        problem = None if ended.status == 0 else f"{ended.how()}: {ended.last_words()}"
        if not problem and str(path) not in ended.stdout:
            problem = "the summary does not name the picture"
        if not problem:
            try:
                problem = picture.bars_problem(picture.read(path), size)
            except (OSError, ValueError) as error:
                problem = str(error)
    report.tell(f"saved/{fourcc}", problem)


def interrupted_json(report, node, in_fence):
    """Ctrl-C in mid-stream: status 130, nothing pending, and a progress bar while it went on."""
    with frames_shown(*words(node, *small, "--in-fence", in_fence, "--frames", "100000",
                             "--out-fence", "--allow-bad", "1000")) as running:
        running.wait_for_frames(5)
        running.interrupt()
        ended, told = read(running.finish())
    problem = None if "/100000 frames" in running.bar else f"no progress bar: {running.bar!r}"
    problem = problem or problem_of(ended, told, status=interrupted, interrupted=True)
    problem = problem or (None if told["frames"] >= 5 else "it ended too early")
    report.tell(f"ctrl-c/{in_fence}", problem)


def interrupted_text(report, node):
    """The same for a person: the summary is there."""
    with frames_shown(guest.program, "stream", node, *small, "--in-fence", "chain", "--out-fence",
                      "--allow-bad", "1000") as running:
        running.wait_for_frames(2)
        running.interrupt()
        ended = running.finish()
    problem = None if ended.status == interrupted else ended.how()
    missing = [word for word in ("ended by a signal", "out-fences", "promises")
               if word not in ended.stdout]
    report.tell("ctrl-c/summary", problem or (f"no {missing} in the summary" if missing else None))


def lane(report, node, jobs):
    for job in jobs:
        job(report, node)


def body(report):
    *singles, multi_planar = guest.nodes("vivid")
    long_node, stopped_node = singles.pop(), singles.pop()
    jobs = [*matrix(), sync_files, deadline, raw, free_running, interrupted_text]
    jobs += [functools.partial(interrupted_json, in_fence=kind)
             for kind in ("none", "timer", "chain")]
    jobs += [functools.partial(saved, fourcc=name) for name in ("YUYV", "NV12", "RGB3")]
    lanes = {f"lane-{i}": functools.partial(lane, node=node, jobs=jobs[i::len(singles)])
             for i, node in enumerate(singles)}
    guest.side_by_side(report, {
        **lanes,
        "long-chain": functools.partial(long_chain, node=long_node),
        "two-planes": functools.partial(two_planes, node=multi_planar),
    })
    # Alone: it keeps the machine busy, and the others would lose frames.
    guest.one_by_one(report, {
        "stop-and-go": functools.partial(stops.stop_and_go, node=stopped_node),
    })


node_types = ["0x1"] * (devices - 3) + ["0x101", "0x1", "0x1"]
vivid = f"n_devs={devices} node_types={','.join(node_types)} " \
        f"multiplanar={','.join(['1'] * (devices - 1))},2"
guest.main(guest.Machine("vivid vgem virtio-gpu", (("vivid", vivid),)), body)
