# SPDX-License-Identifier: MIT
"""The part of ./bench that has to do with `v4lfence exec`: programs with the preload shim beside
the same programs without it. run_bench.py calls it on this machine, guest_bench.py in the VM."""

import json
import os
import re
import subprocess
import tempfile
from collections import Counter
from pathlib import Path

import figures

node = "/dev/video80"
_call = re.compile(r"^(\d+) +(\w+)\(([^)]*)")
_marker = "getppid"
few, many = 60, 360  # frames of two runs; what a start costs goes away in their difference
traced_frames = 120
ctl_few, ctl_many = 30, 120
# v4l2-ctl says the rate now and then; `restart_syscall` and signals are strace's.
_not_counted = ("write", "restart_syscall", "rt_sigreturn")
# What readiness takes, of whoever does it: the socket that a program polls, and the poll itself.
_of_readiness = ("poll", "ppoll", "sendto", "recvfrom")


def _wrapped(program, options, command):
    return [str(program), "exec", *options, "--", *command]


def virtual(program, *command):
    return _wrapped(program, ("--virtual", f"camera={node}"), command)


def _usage(command):
    """(CPU time in ns, context switches that were waits) of a command and all that it started."""
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, used = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise ValueError(f"{' '.join(command)} ended with {child.returncode}")
    return (used.ru_utime + used.ru_stime) * 1e9, used.ru_nvcsw


def usage_per_frame(command_of, lengths=(few, many)):
    """Of command_of(frames): the difference of two lengths."""
    short, long = (_usage(command_of(frames)) for frames in lengths)
    return {key: max(0, after - before) / (lengths[1] - lengths[0])
            for key, before, after in zip(("cpu_ns", "switches"), short, long)}


def calls_of(log):
    """Counts of the calls in the steady state, between the second marker and the third:
    {"program": Counter, "server": Counter}. Raises ValueError when a marker is missing."""
    counts = {"program": Counter(), "server": Counter()}
    program, markers = None, 0
    for line in log.splitlines():
        found = _call.match(line)
        if not found:
            continue
        process, name, _ = found.groups()
        if name == _marker:
            program, markers = process, markers + 1
        elif markers == 2:
            counts["program" if process == program else "server"][name] += 1
    if markers != 4:
        raise ValueError(f"{markers} markers in the log of strace")
    return counts


def traced(command):
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "calls"
        subprocess.run(["strace", "-f", "-q", "-o", str(log), "-X", "raw", "-e", "raw=all",
                        *command], check=True, stdout=subprocess.DEVNULL)
        return calls_of(log.read_text())


def measure_host(programs, program):
    """A virtual camera in the program, and in a server; calls that have nothing to do with one."""
    stream = str(programs / "bench_stream")

    def inside(frames, *more):
        return [stream, "--mode", "none", "--polled", "--frames", str(frames), *more,
                "virtual:camera"]

    def served(frames, *more):
        return virtual(program, stream, "--mode", "raw", "--polled", "--frames", str(frames),
                       *more, node)

    def output_of(command):
        return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)

    return {
        "calls": output_of(virtual(program, str(programs / "bench_calls"), node,
                                   *figures.benchmark_options)),
        "pair_ns": {"inside": output_of(inside(many))["pair_ns"],
                    "served": output_of(served(many))["pair_ns"]},
        "usage": {"inside": usage_per_frame(inside), "served": usage_per_frame(served)},
        "per_frame": {side: {name: count / traced_frames for name, count in counter.items()}
                      for side, counter in traced(served(traced_frames)).items()},
    }


def host_rows(measured):
    medians = figures.medians_us(measured["calls"])
    rows = []
    for name in ("ioctl", "write and read", "open and close", "mmap and munmap", "poll", "stat"):
        bare = medians[f"bare/{name}"]
        rows.append(figures.row(f"host: preloaded, {name} of another file", medians[f"ours/{name}"],
                                bare, "us", round(1.1 * bare, 3)))
    rows.append(figures.row("host: preloaded, DQBUF with nothing there",
                            medians["ours/empty DQBUF"], medians["bare/empty DQBUF"], "us"))
    pair, usage = measured["pair_ns"], measured["usage"]
    rows.append(figures.row("host: camera in a server, QBUF and DQBUF", pair["served"] / 1000,
                            pair["inside"] / 1000, "us"))
    for key, what, unit, scale in (("cpu_ns", "CPU time", "us", 1000),
                                   ("switches", "wake-ups", "wake-ups", 1)):
        rows.append(figures.row(f"host: camera in a server, {what} per frame",
                                usage["served"][key] / scale, usage["inside"][key] / scale, unit))
    program, server = (measured["per_frame"][side] for side in ("program", "server"))
    rows.append(figures.row("host: camera in a server, program's calls per frame",
                            sum(program.values()), None, "calls"))
    rows.append(figures.row("host: camera in a server, all calls per frame",
                            sum(program.values()) + sum(server.values()), None, "calls"))
    rows.append(figures.row("host: camera in a server, readiness calls per frame",
                            sum(side.get(name, 0) for side in (program, server)
                                for name in _of_readiness), None, "calls"))
    return rows


# --- in the VM ----------------------------------------------------------------------------------


def counted(text):
    """{call: how often} of strace -c."""
    found = {}
    for line in text.splitlines():
        words = line.split()
        if len(words) in (5, 6) and words[0][0].isdigit() and words[-1] not in ("total",):
            found[words[-1]] = int(words[3])
    return found


def _ctl(video, frames):
    return ["v4l2-ctl", "-d", video, "--set-fmt-video=width=320,height=180", "--set-parm=60",
            "--stream-mmap", f"--stream-count={frames}"]


def measure_ctl(program, video):
    """v4l2-ctl raw, and wrapped by exec without a fence: calls by name, CPU time, per frame."""
    sides = {"raw": lambda command: command,
             "wrapped": lambda command: _wrapped(program, ("--wrap", video), command)}
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "counts"
        for side, started in sides.items():
            counts = []
            for frames in (ctl_few, ctl_many):
                subprocess.run(started(["strace", "-f", "-c", "-o", str(log),
                                        *_ctl(video, frames)]), check=True,
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
                counts.append(counted(log.read_text()))
            short, long = counts
            found[side] = {
                "calls": {name: (count - short.get(name, 0)) / (ctl_many - ctl_few)
                          for name, count in long.items() if name not in _not_counted},
                **usage_per_frame(lambda frames, started=started: started(_ctl(video, frames)),
                                  (ctl_few, ctl_many)),
            }
    return found


def ctl_rows(measured):
    raw, wrapped = measured["raw"], measured["wrapped"]
    calls = {side: sum(measured[side]["calls"].values()) for side in measured}
    return [
        figures.row("vm: v4l2-ctl wrapped, calls per frame", calls["wrapped"], calls["raw"],
                    "calls", round(calls["raw"], 3)),
        figures.row("vm: v4l2-ctl wrapped, CPU time per frame", wrapped["cpu_ns"] / 1000,
                    raw["cpu_ns"] / 1000, "us"),
        figures.row("vm: v4l2-ctl wrapped, wake-ups per frame", wrapped["switches"],
                    raw["switches"], "wake-ups"),
    ]
