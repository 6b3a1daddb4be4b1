#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Several programs on one camera: fifty rounds in which two of them change places and are killed;
programs of other people beside each other; and the end of the process that has the cameras, which
every program takes for the end of the device.

usage: clients_shared.py
"""

import os
import signal
import subprocess

import guest
from clients_run import cameras, ended_problem, folder, helpers, job, lanes, run, single, start

_rounds = 50
_end_s = 15


def rounds(report, kind, node):
    """The helper tells the rounds itself."""
    ended = run("/usr/bin/python3", helpers / "rounds.py", f"rounds/{kind}", node, _rounds // 2,
                timeout_s=360)
    lines = ended.stdout.splitlines()
    for line in lines:
        name, _, problem = line.removeprefix("not ").removeprefix("ok ").partition(" - ")
        report.tell(name, problem)
    if ended.status != 0 or len(lines) != _rounds // 2:
        report.tell(f"rounds/{kind}", f"{ended.how()} after {len(lines)} rounds: "
                    f"{ended.last_words()}")


def beside(report, kind, node):
    """v4l2-ctl asks for everything while another one streams."""
    ended = run("sh", "-c", f"v4l2-ctl -d {node} --stream-mmap --stream-count=120 & "
                f"for i in 1 2 3 4 5; do v4l2-ctl -d {node} --all --list-formats-ext "
                "--list-buffers --list-ctrls-menus || exit 9; done; wait $!")
    problem = ended_problem(ended)
    frames = (ended.stdout + ended.stderr).count("<")
    if not problem and frames != 120:
        problem = f"{frames} frames"
    if not problem and "VIDIOC_QUERYBUF" not in ended.stdout:
        problem = "the buffers of the one that streams are not listed"
    report.tell(f"beside/{kind}", problem)


def killed_server(report, name, command, first_words):
    """The program ends by itself, and not by a signal."""
    with folder() as out:
        running = start("sh", "-c", f"{command}; echo ended with $?",
                        env={**os.environ, "HOME": str(out), "GST_REGISTRY": f"{out}/registry"},
                        stderr=subprocess.STDOUT)
        said = ""
        while first_words not in said and (more := running.stdout.read(1)):
            said += more
        os.kill(running.pid, signal.SIGKILL)
        ended = guest.finish(running, _end_s)
        if ended.status is None:
            problem = "the program goes on"
        elif "ended with" not in ended.stdout:
            problem = f"it was killed: {ended.last_words()}"
        else:
            status = int(ended.last_words().split()[-1])
            problem = f"ended with {status}" if status >= 128 else None
        report.tell(f"server-killed/{name}", problem)


def here(report):
    jobs = [job(rounds, kind=kind, node=node) for kind, node in cameras.items()]
    jobs += [job(beside, kind=kind, node=node) for kind, node in cameras.items()]
    forever = f"v4l2-ctl -d {single} --stream-mmap"
    programs = {
        "v4l2-ctl": (forever, "<<<<"),
        "v4l2-ctl-poll": (f"{forever} --stream-poll", "<<<<"),
        "ffmpeg": (f"ffmpeg -nostdin -f v4l2 -i {single} -f null -", "frame= "),
        "gst-launch": (f"gst-launch-1.0 v4l2src device={single} ! fakesink", "PLAYING"),
    }
    jobs += [job(killed_server, name=name, command=command, first_words=words)
             for name, (command, words) in programs.items()]
    lanes(report, jobs)


if __name__ == "__main__":
    guest.main_here(here)
