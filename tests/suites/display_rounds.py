#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""What a display does when its program is killed or stopped in the middle of it, fifty times each:
it is never stuck for longer than a fence of vgem can be pending, and the next start works.

usage: display_rounds.py KERNEL
"""

import functools
import os
import random
import signal
import time

import guest
from display_run import FenceWatch, both_ways_problem, display, pause, problem_of, timeout_s
from display_run import vkms_cpus, words
from stream_run import read

rounds = 50
size = ["--size", "640x480", "--rate", "30"]
vgem = ["--fences", "vgem"]
# One round of so many kills a program before it shows anything, which takes about this long in
# software emulation; the others have shown a frame, and go on for a moment.
early_round = 5
start_max_s = 2.0
life_max_s = 0.5
pause_max_s = 0.3
long_stop_s = 11.5
# Of these frames the long stop comes somewhere in the first.
long_frames, frames_before = 200, 20
next_frames = 2


def next_start(node, to):
    """What is wrong with the program that comes next."""
    ended, told = display(node, *to, "--frames", str(next_frames))
    return problem_of(ended, told, frames=next_frames)


def killed(number, node, to, watch, chance):
    """Kills a program in a round; whether one of its fences was pending then."""
    before = watch.count()
    child = guest.start(*words(node, *to, "--frames", "0"))
    if number % early_round == 0:
        pause(chance.uniform(0, start_max_s))
    else:
        watch.wait(before + 2, child)
        pause(chance.uniform(0, life_max_s))
    at = time.monotonic()
    os.killpg(child.pid, signal.SIGKILL)
    child.communicate()
    return watch.was_pending(at)


def hits_problem(hits):
    if hits < rounds // 2:
        return f"the display waited for the program in {hits} of {rounds} rounds only"
    return None


def kills(report, node, chance):
    """After each, the next program has the display and shows its frames."""
    watch = FenceWatch("kills", "virtio_gpu")
    to = ["--card", "virtio_gpu", *size, *vgem]
    hits = 0
    problem = None
    for number in range(rounds):
        hits += killed(number, node, to, watch, chance)
        problem = next_start(node, to)
        if problem:
            problem = f"round {number}: {problem}"
            break
    report.tell("kill-9/next-start-works", problem)
    report.tell("kill-9/never-stuck", watch.problem(rounds))
    report.tell("kill-9/in-the-middle", hits_problem(hits))


def stopped(child, seconds):
    """Returns when it was stopped."""
    at = time.monotonic()
    os.kill(child.pid, signal.SIGSTOP)
    pause(seconds)
    os.kill(child.pid, signal.SIGCONT)
    return at


def stop_and_go(report, node, to, chance):
    """A program that is stopped for moments goes on."""
    frames = 400
    watch = FenceWatch("stops", "vkms")
    child = guest.start(*words(node, *to, "--frames", frames, "--timeout", "30"))
    watch.wait(2, child)
    done = hits = 0
    while done < rounds and child.poll() is None:
        pause(chance.uniform(0, pause_max_s))
        hits += watch.was_pending(stopped(child, chance.uniform(0, pause_max_s)))
        done += 1
    ended, told = read(guest.finish(child, timeout_s))
    problem = problem_of(ended, told, frames=frames) or both_ways_problem(told)
    report.tell("stop-and-go/goes-on", problem or (
        None if done == rounds else f"it had ended after {done} stops"))
    report.log(f"stop and go: {done} stops, {hits} with a fence pending, fences "
               f"{told and told['fences']}")
    report.tell("stop-and-go/never-stuck", watch.problem(frames // 2))
    report.tell("stop-and-go/in-the-middle", hits_problem(hits))
    report.tell("stop-and-go/next-start-works", next_start(node, to))


def long_stop_problem(ended, told):
    """Why this was no program that gave up on its fences and went on by the CPU."""
    if problem := problem_of(ended, told):
        return problem
    shown, unfinished = told["shown"], told["unfinished"]
    fences = told["fences"]
    if shown + unfinished != long_frames or shown <= frames_before:
        return f"{shown} frames were shown, {unfinished} pictures without one"
    if not fences["degraded"] or not fences["expired"] or not fences["cpu_waits"]:
        return f"no fence was given up on: {fences}"
    return None


def long_stop(report, node, to):
    """One that is stopped for longer than its fences can be pending gives up on them, and the
    display goes on without."""
    watch = FenceWatch("long-stop", "vkms")
    child = guest.start(*words(node, *to, "--frames", long_frames, "--timeout", "30"))
    watch.wait(frames_before, child)
    started = stopped(child, long_stop_s)
    ended, told = read(guest.finish(child, timeout_s))
    report.tell("long-stop/goes-on", long_stop_problem(ended, told))
    report.log(f"long stop: {time.monotonic() - started:.1f} s, {ended.how()}, fences "
               f"{told and told['fences']}")
    report.tell("long-stop/never-stuck", watch.problem(frames_before))
    report.tell("long-stop/next-start-works", next_start(node, to))


def stops(report, node, chance):
    to = ["--card", "vkms", *size, *vgem]
    stop_and_go(report, node, to, chance)
    long_stop(report, node, to)


def body(report):
    seed = random.randrange(1 << 32)
    report.log(f"seed {seed}")
    for_kills, for_stops = guest.nodes("vivid")
    guest.side_by_side(report, {
        "kills": functools.partial(kills, node=for_kills, chance=random.Random(seed)),
        "stops": functools.partial(stops, node=for_stops, chance=random.Random(seed + 1)),
    })


guest.main(guest.Machine("vivid vgem virtio-gpu vkms",
                         (("vivid", "n_devs=2 node_types=0x1,0x1"),),
                         cpus=vkms_cpus), body)
