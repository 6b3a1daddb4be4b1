#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""`v4lfence display` on a display of software: the whole cycle with fences of user space both ways,
checked by what the virtual camera writes into its frames; and what the command says where there is
nothing to show on.

usage: display_virtual.py
"""

import functools
import json
import tempfile
from pathlib import Path

import guest
from stream_run import frames_shown, interrupted, job_failed, read, reason, success

wrong_usage, lacking = 2, 77
camera = "virtual:camera"
stamps = {"painted_number", "painted_time", "not_torn"}
of_every_run = {"all_frames", "shown_in_order", "not_given_on_screen", "still_on_screen"}
of_fences = {"shown_after_end", "nothing_pending"}


def words(*options, to="null", node=camera):
    return [guest.program, "display", node, "--to", to, "--json", *map(str, options)]


def display(*options, **more):
    """(how it ended, its report or None)."""
    return read(guest.run(*words(*options, **more)))


def problem_of(ended, told, status=success, promises=frozenset(), **expected):
    """What is not as it should be. `expected` are values of the report; a__b is b of a."""
    if ended.status != status or not told:
        why = reason(told) if told else ended.last_words()
        return f"{ended.how()}, expected {status}: {why or ended.last_words()}"
    missing = set(promises) - {promise["name"] for promise in told["promises"]}
    if missing:
        return f"never promised: {', '.join(sorted(missing))}"
    for key, value in expected.items():
        found = functools.reduce(lambda part, name: part[name], key.split("__"), told)
        if found != value:
            return f"{key} is {found}, expected {value}"
    return None


def refused(ended, status, said):
    """A sentence on stderr and nothing on stdout."""
    if ended.status == status and said in ended.stderr and not ended.stdout:
        return None
    return f"{ended.how()}, expected {status} and {said!r}: {ended.last_words()}"


def both_ways(report, buffers, rate):
    """Every picture is handed over before its frame, and every buffer goes back with a fence."""
    frames = 90
    ended, told = display("--frames", frames, "--buffers", buffers, "--rate", rate)
    problem = problem_of(ended, told, promises=of_every_run | of_fences | stamps, shown=frames,
                         errors=0, fences__early=True, fences__to_display=frames,
                         fences__to_camera=frames - 1, fences__cpu_waits=0)
    if not problem and told["wakeups_per_frame"] > 1:
        problem = f"{told['wakeups_per_frame']} wake-ups a frame"
    # It may be late now and then where many want the processor.
    if not problem and told["fences"]["pending_at_commit"] < frames / 2:
        problem = f"only {told['fences']['pending_at_commit']} frames were waited for by fence"
    report.tell(f"both-ways/{buffers}-buffers/{rate}", problem)


def no_fences(report, buffers):
    frames = 60
    ended, told = display("--frames", frames, "--buffers", buffers, "--rate", 60, "--no-fences")
    report.tell(f"no-fences/{buffers}-buffers", problem_of(
        ended, told, promises=of_every_run | stamps, shown=frames, fences__early=False,
        fences__to_display=0, fences__to_camera=0, fences__cpu_waits=frames))


def provider(report, name):
    ended, told = display("--frames", 40, "--rate", 60, "--fences", name)
    report.tell(f"fences/{name}", problem_of(
        ended, told, promises=of_every_run | of_fences | stamps, shown=40,
        environment__provider=name))


def formats(report, node, fourcc):
    ended, told = display("--frames", 12, "--rate", 60, "--format", fourcc, "--size", "320x240",
                          node=node)
    report.tell(f"format/{node}/{fourcc}", problem_of(
        ended, told, promises=of_every_run | of_fences | stamps, shown=12,
        picture__format=fourcc))


def free_running(report):
    """A camera that is faster than the display fills every buffer and waits."""
    ended, told = display("--frames", 60, "--rate", "free", "--size", "320x240")
    report.tell("free-running", problem_of(
        ended, told, promises=of_every_run | of_fences | stamps, shown=60, lost=0))


def one_frame(report):
    ended, told = display("--frames", 1)
    report.tell("one-frame", problem_of(ended, told, shown=1))


def files(report):
    with tempfile.TemporaryDirectory() as folder:
        raw = Path(folder) / "frames.raw"
        ended, told = display("--frames", 10, "--size", "320x240", "--format", "YUYV", to=raw)
        problem = problem_of(ended, told, shown=10)
        size = raw.stat().st_size if raw.exists() else 0
        if not problem and size != 10 * 320 * 240 * 2:
            problem = f"the file has {size} bytes"
        report.tell("to-file/raw", problem)
        png, shot = Path(folder) / "last.png", Path(folder) / "shot.png"
        ended, told = display("--frames", 5, "--size", "320x240", "--shot", shot, to=png)
        problem = problem_of(ended, told, shown=5)
        if not problem and png.read_bytes()[:4] != b"\x89PNG":
            problem = "that is no picture"
        if not problem and png.read_bytes() != shot.read_bytes():
            problem = "--shot and --to show different pictures"
        report.tell("to-file/png", problem)
        ended, _ = display("--frames", 3, to=Path(folder) / "no" / "folder.raw")
        report.tell("to-file/no-folder", refused(ended, job_failed, "cannot be written"))
        where = Path(folder) / "report.json"
        ended = guest.run(guest.program, "display", camera, "--to", "null", "--frames", "5",
                          "--report", where)
        said = ended.status == success and "promises" in ended.stdout and \
            json.loads(where.read_text())["shown"] == 5
        report.tell("report-and-text", None if said else f"{ended.how()}: {ended.last_words()}")


def full_disk(report):
    ended, _ = display("--frames", 30, to="/dev/full")
    said = ended.status == job_failed and "cannot be written" in ended.stderr
    report.tell("to-file/full", None if said else f"{ended.how()}: {ended.last_words()}")


def ctrl_c(report):
    with frames_shown(*words("--frames", 100000)) as running:
        running.wait_for_frames(5)
        running.interrupt()
        ended = running.finish()
    ended, told = read(ended)
    problem = problem_of(ended, told, status=interrupted, interrupted=True,
                         promises=of_fences | stamps)
    report.tell("ctrl-c", problem or (None if told["shown"] > 0 else "nothing was shown"))


def refusals(report):
    """Each ends with its status and a sentence that says why."""
    cases = {
        "no-such-card": (["--card", "/dev/dri/none"], "kms", lacking, "/dev/dri/none"),
        "no-such-camera": (["--frames", "1"], "null", lacking, "virtual:nothing"),
        "card-of-software": (["--card", "vkms"], "null", wrong_usage, "--card"),
        "bad-plane": (["--plane", "cursor"], "null", wrong_usage, "--plane"),
        "no-fences-and-vgem": (["--no-fences", "--fences", "vgem"], "null", wrong_usage,
                               "--no-fences"),
        "no-such-provider": (["--fences", "magic"], "null", wrong_usage, "magic"),
        "one-buffer": (["--buffers", "1"], "null", wrong_usage, "--buffers"),
    }
    for name, (options, to, status, said) in cases.items():
        node = "virtual:nothing" if name == "no-such-camera" else camera
        ended, _ = display(*options, to=to, node=node)
        report.tell(f"refusal/{name}", refused(ended, status, said))


def without_display(report):
    """A machine with no card says so, and what can be done instead."""
    if Path("/dev/dri").exists():
        report.skip("no-display", "this machine has /dev/dri")
        return
    ended, _ = display(to="kms")
    report.tell("no-display", refused(ended, lacking, "--to null"))


def here(report):
    jobs = [functools.partial(both_ways, buffers=buffers, rate=rate)
            for buffers, rate in ((2, 25), (3, 50), (4, 30))]
    jobs += [functools.partial(no_fences, buffers=buffers) for buffers in (2, 4)]
    jobs += [functools.partial(provider, name=name) for name in ("user", "eventfd")]
    jobs += [functools.partial(formats, node=camera, fourcc=fourcc)
             for fourcc in ("XR24", "RGB3", "NV12", "YU12", "YUYV", "GREY", "MJPG")]
    jobs += [functools.partial(formats, node="virtual:camera-mplane", fourcc="NM12"),
             free_running, one_frame, files, full_disk, ctrl_c, refusals, without_display]
    for job in jobs:
        job(report)


if __name__ == "__main__":
    guest.main_here(here)
