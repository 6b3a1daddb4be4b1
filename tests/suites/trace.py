#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""`v4lfence trace`: of a program that it starts and of one that runs, its JSON, its picture, how it
ends; in a guest with the kernel's events too.

usage: trace.py [KERNEL]
"""

import collections
import contextlib
import functools
import json
import os
import re
import select
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import guest
import picture
import trace_check

tracefs = Path("/sys/kernel/tracing")
frames = 60
arrows_min = frames // 6
lacking = 77
_patience_s = 120


def trace(*options, command=(), **arguments):
    words = [guest.program, "trace", *options, *(("--", *command) if command else ())]
    return guest.run(*words, **arguments)


def stream(device, count=frames, fences="user"):
    """A stream in which each frame waits for the out-fence of another."""
    return [guest.program, "stream", device, "--size", "320x180", "--frames", count,
            "--in-fence", "chain", "--out-fence", "--fences", fences, "--allow-bad", count]


def summary_of(ended):
    """The table, behind what the traced program has printed."""
    return json.loads(ended.stdout.strip().splitlines()[-1])


def sources_of(summary):
    return [source for process in summary["processes"] for source in process["sources"]]


def queue_problem(summary, count=frames):
    queues = [source for source in sources_of(summary) if source["kind"] == "queue"]
    if len(queues) != 1:
        return f"queues {[queue['name'] for queue in queues]}"
    if queues[0]["frames"] < count:
        return f"{queues[0]['frames']} of {count} frames"
    if sum(process["lost"] for process in summary["processes"]):
        return f"events were lost: {summary['processes']}"
    return None


def out_fences(told):
    return [event for event in trace_check.of_phase(told, "X") if event["cat"] == "out-fence"]


def fences_problem(told):
    fences = out_fences(told)
    if len(fences) < frames:
        return f"{len(fences)} out-fences for {frames} frames"
    if not trace_check.of_phase(told, "s"):
        return "no arrow from a fence to what waited for it"
    return None


def stream_problem(summary, told):
    return queue_problem(summary) or fences_problem(told)


def display(device, *options):
    return [guest.program, "display", device, "--frames", frames, "--json", *options]


def display_problem(summary, told, least=frames - 1):
    """A queue and a display in one process, each on a board of its own, with arrows both ways."""
    kinds = sorted(source["kind"] for source in sources_of(summary))
    if len(summary["processes"]) != 1 or kinds != ["display", "queue"]:
        return f"there are {kinds} in {len(summary['processes'])} processes"
    shown = next(source for source in sources_of(summary) if source["kind"] == "display")
    if shown["errors"] or shown["frames"] < frames or not shown["commit_to_flip_ms"]:
        return f"the display is told as {shown}"
    slices = collections.Counter(event["cat"] for event in trace_check.of_phase(told, "X"))
    if slices["commit"] < frames or slices["on screen"] < least:
        return f"its lanes have {dict(slices)}"
    lanes = lanes_of(told)
    ways = collections.Counter(
        (kind_of(lanes[start["pid"], start["tid"]]), kind_of(lanes[end["pid"], end["tid"]]))
        for start, end in trace_check.arrows(told))
    # Fences that have ended already when they are handed over have none: on a machine that is late,
    # many.
    there, back = ways["out-fence", "on its way"], ways["on screen", "in-fence"]
    if there < arrows_min or back < arrows_min:
        return f"arrows go {dict(ways)}"
    return queue_problem(summary)


def kind_of(lane):
    """What lane a name is of."""
    kinds = ("in-fence", "out-fence", "on its way", "on screen")
    return next((kind for kind in kinds if lane.startswith(kind)), lane)


def lanes_of(told):
    return {(event["pid"], event["tid"]): event["args"]["name"]
            for event in trace_check.of_phase(told, "M") if event["name"] == "thread_name"}


def whole(report, name, command, *options, check=stream_problem):
    """JSON, picture and table of a program agree with what it is."""
    with tempfile.TemporaryDirectory() as folder:
        output, shot = Path(folder) / "t.json", Path(folder) / "t.png"
        ended = trace("--output", output, "--picture", shot, "--json", *options,
                      command=command)
        problem = None if ended.status == 0 else f"{ended.how()}: {ended.last_words()}"
        told = None
        if not problem:
            told = trace_check.read(output)
            problem = (trace_check.problem_of(told) or check(summary_of(ended), told)
                       or picture_problem(shot))
        if out := os.environ.get("OUT") or os.environ.get("V4LFENCE_RESULTS"):
            for path in (output, shot):
                if path.exists():
                    (Path(out) / f"{name.replace('/', '-')}{path.suffix}").write_bytes(
                        path.read_bytes())
    report.tell(name, problem)
    return told


def picture_problem(path):
    """Why this is no picture with lanes in it: many rows that are each of several colours."""
    image = picture.read(path)
    rows = range(0, image.height, 4)
    drawn = sum(len({image.pixel(x, y) for x in range(0, image.width, 4)}) > 2 for y in rows)
    return None if drawn > len(rows) // 4 else f"{drawn} of {len(rows)} rows have anything in them"


def last_frames(report, device):
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "t.json"
        ended = trace("--frames", "10", "--output", output, "--json", command=stream(device))
        problem = None if ended.status == 0 else f"{ended.how()}: {ended.last_words()}"
        if not problem:
            queue = summary_of(ended)["processes"][0]["sources"][0]
            problem = trace_check.problem_of(trace_check.read(output))
            problem = problem or (None if queue["frames"] == 10 else f"{queue['frames']} frames")
    report.tell("last-frames", problem)


def statuses(report):
    """As a command that runs another one."""
    for name, command, status, words in (
            ("status/of-the-program", ["sh", "-c", "exit 7"], 7, "nothing to trace"),
            ("status/killed", ["sh", "-c", "kill -9 $$"], 128 + signal.SIGKILL, "nothing"),
            ("status/no-such-program", ["/nowhere/program"], 127, "No such file"),
            ("status/not-executable", ["/etc/passwd"], 126, "ermission denied"),
            ("status/nothing-to-trace", ["true"], 1, "nothing to trace")):
        ended = trace(command=command)
        good = ended.status == status and words in ended.stderr
        report.tell(name, None if good else f"{ended.how()}: {ended.last_words()}")
    for name, options, status in (
            ("usage/pid-and-command", ("--pid", "1", "--", "true"), 2),
            ("usage/two-ends", ("--duration", "1", "--frames", "1"), 2),
            ("usage/kernel", ("--kernel", "perhaps"), 2)):
        ended = guest.run(guest.program, "trace", *options)
        report.tell(name, None if ended.status == status else ended.how())


def no_such_place(report, device):
    ended = trace("--output", "/nowhere/t.json", command=stream(device, 5))
    good = ended.status == 1 and "/nowhere/t.json: No such file" in ended.stderr
    report.tell("output-cannot-be-written",
                None if good else f"{ended.how()}: {ended.last_words()}")


def until(condition):
    end = time.monotonic() + _patience_s
    while not (found := condition()):
        if time.monotonic() > end:
            return None
        select.select([], [], [], 0.05)
    return found


def has_board(pid):
    """False too where it ends meanwhile."""
    with contextlib.suppress(OSError):
        for link in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(OSError):
                if os.readlink(link).startswith("/memfd:v4lfence-board"):
                    return True
    return False


def running(report, device):
    """A program that runs already, while it runs and while it is stopped."""
    child = guest.start(*stream(device, 100000), stdout=subprocess.DEVNULL)
    try:
        if not until(lambda: has_board(child.pid)):
            report.tell("running", "the stream shows nothing of itself")
            return
        ended = trace("--pid", child.pid, "--frames", "5", "--json")
        problem = None if ended.status == 0 else f"{ended.how()}: {ended.last_words()}"
        report.tell("running", problem or queue_problem(summary_of(ended), 5))
        os.kill(child.pid, signal.SIGSTOP)
        ended = trace("--pid", child.pid, "--duration", "0", "--json")
        problem = None if ended.status == 0 else f"{ended.how()}: {ended.last_words()}"
        report.tell("stopped", problem or queue_problem(summary_of(ended), 5))
        os.kill(child.pid, signal.SIGCONT)
        ended = trace("--duration", "0.2", "--json")
        pids = [process["pid"] for process in summary_of(ended)["processes"]]
        report.tell("every-program", None if child.pid in pids else f"only {pids}")
    finally:
        os.killpg(child.pid, signal.SIGKILL)
        guest.finish(child)


def interrupted(report, device):
    """Ctrl-C reaches the program too, and the files are written."""
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "t.json"
        child = guest.start(guest.program, "trace", "--output", output, "--",
                            *stream(device, 100000))
        started = until(lambda: any(map(has_board, children_of(child.pid))))
        os.kill(child.pid, signal.SIGINT)
        ended = guest.finish(child)
        problem = None if started else "the stream did not start"
        problem = problem or (None if ended.status == 130 else ended.how())
        problem = problem or trace_check.problem_of(trace_check.read(output))
    report.tell("ctrl-c", problem)
    if tracefs.joinpath("instances").exists():
        report.tell("ctrl-c/no-instance-left", instances_problem())


def children_of(pid):
    with contextlib.suppress(OSError):
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []


def instances_problem():
    left = list((tracefs / "instances").glob("v4lfence-*"))
    return f"still there: {left}" if left else None


def no_kernel_events(report, device):
    """The machine lacks them, and says how to have them."""
    if (tracefs / "instances").exists():
        report.skip("no-kernel-events", "this machine has them")
        return
    ended = trace("--kernel", "yes", command=stream(device, 5))
    good = ended.status == lacking and "mount -t tracefs" in ended.stderr
    report.tell("no-kernel-events", None if good else f"{ended.how()}: {ended.last_words()}")


def here(report):
    device = "virtual:camera"
    jobs = {
        "virtual": functools.partial(whole, name="virtual", command=stream(device)),
        "statuses": statuses,
    }
    for job in (last_frames, no_kernel_events, no_such_place, running, interrupted):
        jobs[job.__name__] = functools.partial(job, device=device)
    guest.one_by_one(report, jobs)


def kernel_problem(told):
    """The events of the kernel are there, and where they belong in time."""
    marks = trace_check.of_phase(told, "i")
    wanted = {"vb2_qbuf", "vb2_buf_queue", "vb2_buf_done", "v4l2_dqbuf", "dma_fence_signaled"}
    if missing := wanted - {event["name"] for event in marks}:
        return f"no {sorted(missing)}"
    done = collections.defaultdict(list)
    for event in marks:
        if event["name"] == "vb2_buf_done":
            done[int(event["args"]["index"])].append(event["ts"])
    # A fence ends after the kernel has finished its own buffer, and before it does so again.
    rounds = collections.Counter()
    for fence in sorted(out_fences(told), key=lambda event: event["args"]["job"])[:frames]:
        index = int(re.search(r" (\d+) #\d+$", fence["name"])[1])
        at = rounds[index]
        rounds[index] += 1
        end = fence["ts"] + fence["dur"]
        if at >= len(done[index]):
            return f"{fence['name']} ended, and the kernel finished its buffer {at} times"
        # Times of the kernel's are told in microseconds.
        if end + 1 < done[index][at] or any(end > again for again in done[index][at + 1:at + 2]):
            return f"{fence['name']} ended at {end}, and its buffer was finished at {done[index]}"
    return None


def kernel_events(report, device):
    told = whole(report, "vivid", stream(device, fences="vgem"), "--kernel", "yes")
    report.tell("vivid/kernel-events", kernel_problem(told) if told else "no trace")
    report.tell("vivid/no-instance-left", instances_problem())


def displays(report, device):
    command = display(device, "--card", "virtio_gpu", "--fences", "vgem", "--size", "640x480",
                      "--rate", "10")
    whole(report, "display", command, "--kernel", "yes", check=display_problem)


def in_guest(report):
    if not (tracefs / "instances").exists():
        subprocess.run(["mount", "-t", "tracefs", "nodev", str(tracefs)], check=True)
    device = guest.nodes("vivid")[0]
    guest.one_by_one(report, {job.__name__: functools.partial(job, device=device)
                              for job in (kernel_events, displays, running, interrupted)})


if __name__ == "__main__":
    if len(sys.argv) == 1:
        guest.main_here(here)
    else:
        guest.main(guest.Machine("vivid vgem virtio-gpu",
                                 (("vivid", "n_devs=1 node_types=0x1"),)), in_guest)
