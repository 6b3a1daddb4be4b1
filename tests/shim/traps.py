#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The traps that programs have in store for a preloaded library, each in a process of its own: on
a virtual camera here, on wrapped vivid in a guest. And programs that stand out by themselves: with
functions of the C library's names, with a camera before main, static ones, another library
preloaded beside.

usage: traps.py [KERNEL]
"""

import functools
import sys

import ways
from ways import guest

program = ways.programs / "shim_traps"
v4l2convert = "/usr/lib/x86_64-linux-gnu/libv4l/v4l2convert.so"
enoent = 2


def names():
    return guest.run(program, "--list").stdout.split()


def trap(report, way, name):
    ways.tell(report, f"{way.name}/{name}", way.run(program, name, way.node))


def server_is_killed(report, way):
    """What is run is killed by what it runs, which speaks for itself."""
    ended = way.run(program, "server-is-killed", way.node)
    report.tell(f"{way.name}/server-is-killed", None if ended.stdout.endswith("outlived\n") else
                f"{ended.how()}: {ended.last_words()}")


def own_function(report, way, name):
    ways.tell(report, f"{way.name}/{name.replace('_', '-')}",
              way.run(ways.programs / f"shim_{name}", way.node))


def early(report, way):
    ways.tell(report, f"{way.name}/opened-before-main",
              way.run("env", f"EARLY_NODE={way.node}", ways.programs / "shim_early"))


def static_program(report, way):
    """Nothing of ours is in it: it sees what is there."""
    ended = way.run(ways.programs / "shim_plain_open_static", way.node)
    expected = f"{enoent if way.name == 'virtual' else 0} 0 1\n"
    report.tell(f"{way.name}/static-program", None if ended.stdout == expected else
                f"{ended.how()}, said {ended.stdout!r}, expected {expected!r}; {ended.stderr}")


def beside_v4l2convert(report, way):
    """Behind us, where exec leaves it; and in front of us."""
    stream = "flags-are-kept"
    command = (program, stream, way.node)
    ways.tell(report, f"{way.name}/v4l2convert-behind", guest.run(
        "env", f"LD_PRELOAD={v4l2convert}", *way.words(*command), timeout_s=ways.hang_s))
    ways.tell(report, f"{way.name}/v4l2convert-in-front", way.run(
        "sh", "-c", f'LD_PRELOAD="{v4l2convert}:$LD_PRELOAD" exec "$@"', "sh", *command))


def jobs_of(way):
    jobs = [functools.partial(trap, way=way, name=name) for name in names()
            if name != "server-is-killed"]
    if way.name == "virtual":
        jobs.append(functools.partial(server_is_killed, way=way))
    jobs += [functools.partial(own_function, way=way, name=name)
             for name in ("own_close", "own_malloc")]
    return jobs + [functools.partial(job, way=way)
                   for job in (early, static_program, beside_v4l2convert)]


def lane(report, jobs):
    for job in jobs:
        try:
            job(report)
        except (OSError, ValueError) as error:
            report.tell(str(job), f"{type(error).__name__}: {error}")


def body(report, found):
    """Each way has a camera of its own, and takes its share."""
    found = found()
    if not names():
        report.tell("traps", "there are none")
    shares = {way.node: jobs_of(way)[i::len(found)] for i, way in enumerate(found)}
    guest.side_by_side(report, {node: functools.partial(lane, jobs=jobs)
                                for node, jobs in shares.items()})


if __name__ == "__main__":
    if len(sys.argv) == 1:
        guest.main_here(functools.partial(body, found=lambda: [
            ways.virtual(f"/dev/video{number}") for number in (80, 81, 82, 83)]))
    else:
        machine = guest.Machine("vivid vgem virtio-gpu",
                                (("vivid", "n_devs=2 node_types=0x1,0x1"),))
        guest.main(machine, functools.partial(body, found=lambda: [
            ways.wrapped(node) for node in guest.nodes("vivid")]))
