#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Stock v4l2-ctl on the virtual cameras: what it lists, and what it streams; each frame of a file
is later than the one before it. In a guest, with dma-bufs.

usage: clients_ctl.py [KERNEL]
"""

import json
import re
import subprocess
import sys

import clients_stamps as stamps
import guest
from clients_run import cameras, ended_problem, folder, job, lanes, multi, run, shows, single, \
    size, start

_frames = 100
_changes = 500  # that no program waits for, before one counts as not told
_listings = ("--all", "--list-formats-ext", "--list-buffers", "--list-ctrls-menus",
             "--list-inputs", "--list-standards", "--list-dv-timings", "--get-priority")


def ctl(node, *options, **arguments):
    return run("v4l2-ctl", "-d", node, *options, **arguments)


def formats_of(kind):
    told = subprocess.run([guest.program, "devices", "--json"], check=True, text=True,
                          stdout=subprocess.PIPE)
    device, = [device for device in json.loads(told.stdout)["devices"]
               if device["path"] == f"virtual:{kind}"]
    return [entry["fourcc"] for queue in device["queues"] for entry in queue["formats"]]


def listings(report, kind, node):
    ended = ctl(node, "--all")
    # Of a multi-planar device v4l2-ctl does not know how to ask for the rate.
    rate = ["Frames per second: 30.000"] if node == single else []
    shows(report, f"{kind}/all", ended, "Driver name      : v4lfence", "Video input : 0",
          "Pixel Format      : 'YUYV'", "brightness", "test_pattern", *rate)
    ended = ctl(node, "--list-formats-ext")
    shows(report, f"{kind}/list-formats-ext", ended,
          *(f"'{fourcc}'" for fourcc in formats_of(kind)), "Size: Discrete 1920x1080",
          "Size: Stepwise", "Interval: Discrete 0.033s (30.000 fps)")
    shows(report, f"{kind}/list-buffers", ctl(node, "--list-buffers"))
    shows(report, f"{kind}/list-ctrls-menus", ctl(node, "--list-ctrls-menus"), "brightness",
          "Test Card", "Solid Blue")
    shows(report, f"{kind}/all-at-once", ctl(node, *_listings), "v4lfence", "Size: Stepwise")


def settings(report, kind, node):
    """What one program sets, the next one finds."""
    ended = run("sh", "-c", f"v4l2-ctl -d {node} -c brightness=77 "
                "--set-fmt-video=width=1280,height=720,pixelformat=MJPG && "
                f"v4l2-ctl -d {node} -C brightness --get-fmt-video")
    shows(report, f"{kind}/settings-stay", ended, "brightness: 77", "1280/720", "'MJPG'")


def number(report):
    """A node may be named by its number, or be the one that everybody takes first."""
    shows(report, "node-by-number", run("v4l2-ctl", "-d80", "--info"), "v4lfence")
    ended = guest.run(guest.program, "exec", "--virtual", "camera=/dev/video0", "--",
                      "v4l2-ctl", "--list-devices", "--info")
    shows(report, "list-devices", ended, "v4lfence", "/dev/video0")


def events(report, kind, node):
    """A control is changed until each of the programs that wait for that has been told.

    They write to a file each: an event is two lines, and those of three programs mix.
    """
    ways = ("wait", "poll", "epoll")
    with folder() as out:
        waits = "".join(f"stdbuf -oL v4l2-ctl -d {node} --{how}-for-event=ctrl=brightness "
                        f"> {out}/{how} & waiting=\"$waiting $!\"; " for how in ways)
        told = " && ".join(f"grep -qs 'value: [0-9] ' {out}/{how}" for how in ways)
        ended = run("sh", "-c", f"{waits} for n in $(seq {_changes}); do {told} && break; "
                    f"v4l2-ctl -d {node} -c brightness=$((n % 10)) || exit; done; "
                    "kill $waiting 2> /dev/null; wait; exit 0")
        event = re.compile(r"event \d+, pending \d+: ctrl: brightness\s+value: \d ")
        missing = [how for how in ways if not event.search((out / how).read_text())]
    report.tell(f"{kind}/event-of-another-program", ended_problem(ended) or
                (f"not told: {', '.join(missing)}" if missing else None))


def fast(node):
    """v4l2-ctl cannot set the rate of a multi-planar device."""
    return ["-c", "free_running=1"] if node == multi else ["-p", "120"]


def stream(report, name, node, how, fourcc="YUYV", frames=_frames):
    with folder() as out:
        wanted = f"width={size[0]},height={size[1]},pixelformat={fourcc}"
        ended = ctl(node, f"--set-fmt-video={wanted}", *fast(node), *how,
                    f"--stream-count={frames}", f"--stream-to={out}/frames")
        problem = ended_problem(ended)
        report.tell(name, problem or stamps.file_problem(out / "frames", fourcc, size, frames))


def mjpeg(report, kind, node):
    with folder() as out:
        ended = ctl(node, "--set-fmt-video=width=640,height=480,pixelformat=MJPG",
                    *fast(node), "--stream-mmap", "--stream-count=60", f"--stream-to={out}/frames")
        problem = ended_problem(ended)
        if not problem:
            data = (out / "frames").read_bytes()
            starts, ends = data.count(b"\xff\xd8\xff"), data.count(b"\xff\xd9")
            problem = None if (starts, ends) == (60, 60) else f"{starts} starts, {ends} ends"
        report.tell(f"{kind}/stream/MJPG", problem)


def streams(kind, node):
    ways = {"mmap": ["--stream-mmap"], "mmap-8": ["--stream-mmap=8"], "user": ["--stream-user"],
            "poll": ["--stream-mmap", "--stream-poll"],
            "user-poll": ["--stream-user", "--stream-poll"],
            "no-query": ["--stream-mmap", "--stream-no-query"]}
    for name, how in ways.items():
        yield job(stream, name=f"{kind}/stream/{name}", node=node, how=how)
    fourccs = ("NV12", "YU12", "RGB3", "GREY") + (("NM12", "YM12") if node == multi else ())
    for fourcc in fourccs:
        yield job(stream, name=f"{kind}/stream/{fourcc}", node=node, how=["--stream-mmap"],
                  fourcc=fourcc, frames=30)
    if node == single:  # libv4l2 knows no other
        yield job(stream, name=f"{kind}/stream/libv4l2", node=node, how=["-w", "--stream-mmap"])
        yield job(stream, name=f"{kind}/stream/libv4l2-poll", node=node,
                  how=["-w", "--stream-mmap", "--stream-poll"])


def here(report):
    jobs = [number]
    for kind, node in cameras.items():
        jobs += streams(kind, node)
        jobs += [job(one, kind=kind, node=node) for one in (mjpeg, listings, settings, events)]
    lanes(report, jobs)


def in_guest(report):
    """Memory of one camera, for the other one to fill, and the other way round."""
    nodes = list(cameras.items())
    for (kind, node), (_, other) in zip(nodes, reversed(nodes)):
        for name, more in (("dmabuf", []), ("dmabuf-poll", ["--stream-poll"])):
            stream(report, f"{kind}/stream/{name}", node,
                   ["--stream-dmabuf", "-E", other, *more], frames=40)


if __name__ == "__main__":
    if len(sys.argv) == 1:
        guest.main_here(here)
    else:
        guest.main(guest.Machine("virtio-gpu"), in_guest)
