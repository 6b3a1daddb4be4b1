#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The rows of ./bench about displays: `v4lfence display` with fences both ways beside the same loop
that waits for frames, on vivid, in the VM. Both take turns in one boot, first on an idle machine,
then beside programs that use all of it.

usage: display_bench.py PROGRAM OUTPUT

PROGRAM is the command. OUTPUT gets what was measured, as JSON; run_bench.py makes rows of it.
"""

import contextlib
import json
import os
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import figures
from guest_bench import Trace

modules = "vivid vgem virtio-gpu vkms"
rounds = 3
frames = 60
warm_up_frames = 8  # of each run, not counted
states = {"idle": 0, "loaded": 2}  # and how many burn the CPU
sides = {"ours": ("--fences", "vgem"), "bare": ("--no-fences",)}
picture = ("--size", "640x480", "--format", "XR24")
# virtio-gpu shows at once, vkms at its vertical blanks. Frames come so slowly that none waits for
# the one before it, even in software emulation, and at another moment between two vertical blanks
# each: 12.5 a second is no divisor of 60.
slowly = ("--buffers", "4", "--rate", "12.5")
loops = {
    "virtio_gpu": ("--card", "virtio_gpu", *slowly),
    "vkms": ("--card", "vkms", "--mode", "640x480@60", *slowly),
}
# But with two pictures, where capture and display have to alternate, as fast as both can: 640x480
# at 60 Hz, which vivid's HDMI input has and its webcam has not. Each run begins at a moment of its
# own between two vertical blanks, which decides much: more of them.
alternating = ("--card", "vkms", "--mode", "640x480@60", "--buffers", "2")
alternating_rounds = 8
inputs = {"webcam": ("-i", "0"), "hdmi": ("-i", "3", "--set-dv-bt-timings", "index=0")}


# --- in the guest --------------------------------------------------------------------------------


@contextlib.contextmanager
def load(count):
    """So many programs that do nothing but use the CPU."""
    burning = [subprocess.Popen(["/bin/sh", "-c", "while :; do :; done"]) for _ in range(count)]
    try:
        yield
    finally:
        for program in burning:
            program.kill()
            program.wait()


def shown(program, node, options):
    """A run: its latencies by the kernel's own clock, which knows neither side's promises."""
    with Trace(["vb2/vb2_buf_done", "drm/drm_vblank_event_delivered"]) as trace:
        done = subprocess.run([program, "display", node, "--json", "--frames", str(frames),
                               *picture, *options], stdout=subprocess.PIPE, text=True, check=True)
        text = trace.text()
    told = json.loads(done.stdout)
    if told["shown"] != frames or told["skipped"]:
        raise ValueError(f"{told['shown']} of {frames} frames shown, {told['skipped']} skipped")
    return {"latencies_ns": latencies_of(text), "turns": told["wakeups_per_frame"],
            "switches": told["cost"]["voluntary_switches"] / frames,
            "frame_us": 1e6 / told["rate"]}


def latencies_of(trace):
    """From the end of each frame to its flip: the first one behind it that is not an earlier
    frame's. Raises ValueError where a frame has none."""
    ends = [at for _, at, _ in figures.events(trace, "vb2_buf_done")][:frames]
    flips = iter([at for _, at, _ in figures.events(trace, "drm_vblank_event_delivered")])
    found = []
    for end in ends:
        flip = next((at for at in flips if at >= end), None)
        if flip is not None:
            found.append(flip - end)
    if len(found) != frames:
        raise ValueError(f"{len(found)} flips of {frames} frames")
    return found[warm_up_frames:]


def measure(program):
    """{"runs": {what: [run, ...]}, "problems": {what: why the last failed run of it did}}."""
    nodes = Path(os.environ["VM_TOOLS"]) / "guest" / "nodes.py"
    node = subprocess.run([nodes, "vivid"], stdout=subprocess.PIPE, text=True,
                          check=True).stdout.split()[0]
    runs, problems = defaultdict(list), {}

    def in_turns(state, loop, options):
        for side, fences in sides.items():
            key = f"{loop} {state} {side}"
            run = figures.attempt(problems, key, lambda: shown(program, node, [*options, *fences]))
            if run:
                runs[key].append(run)

    for state, count in states.items():
        with load(count):
            choose(node, "webcam")
            for _ in range(rounds):
                for loop, options in loops.items():
                    in_turns(state, loop, options)
            choose(node, "hdmi")
            for _ in range(alternating_rounds):
                in_turns(state, "alternating", alternating)
    return {"runs": runs, "problems": problems}


def choose(node, name):
    subprocess.run(["v4l2-ctl", "-d", node, *inputs[name]], stdout=subprocess.DEVNULL, check=True)


# --- on the host ---------------------------------------------------------------------------------


def rows(runs):
    """Of latencies and rates only the ratio means something. A pair with a side that was never
    measured has none."""
    def median(figure):
        return lambda of_side: figures.median([one[figure] for one in of_side])

    def latency(percent):
        return lambda of_side: figures.percentile(
            [at for one in of_side for at in one["latencies_ns"]], percent) / 1000

    table = []

    def add(name, loop, state, figure, unit):
        ours, bare = (runs.get(f"{loop} {state} {side}") for side in ("ours", "bare"))
        if ours and bare:
            table.append(figures.row(f"vm: {name}", figure(ours), figure(bare), unit))

    for loop in loops:
        for state in states:
            for percent in (50, 95):
                add(f"{loop}, {state}, capture done to flip, p{percent}", loop, state,
                    latency(percent), "us")
            add(f"{loop}, {state}, turns of the program's loop per frame", loop, state,
                median("turns"), "turns")
            add(f"{loop}, {state}, wake-ups of all its threads per frame", loop, state,
                median("switches"), "wake-ups")
    for state in states:
        add(f"vkms at 60 Hz, two pictures in turns, {state}, time of a frame", "alternating", state,
            median("frame_us"), "us")
    return table


if __name__ == "__main__":
    if len(sys.argv) != 3:
        print(__doc__.strip(), file=sys.stderr)
        sys.exit(2)
    Path(sys.argv[2]).write_text(json.dumps(measure(sys.argv[1])))
