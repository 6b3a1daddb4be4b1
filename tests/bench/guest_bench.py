#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The part of ./bench that needs a kernel's queue: runs in the VM, on vivid. All sides of a
comparison take turns in the same boot.

usage: guest_bench.py PROGRAMS OUTPUT

PROGRAMS is the folder of bench_fence, bench_stream and bench_wake. OUTPUT gets what was measured,
as JSON; run_bench.py makes rows of it.
"""

import json
import os
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import figures
import shim_bench
import trace_bench

tracing = Path("/sys/kernel/tracing")
latency_rounds = 3
latency_frames = 120
warm_up_frames = 8  # of each run, not counted: threads start, pages are touched
usage_rounds = 5
frames = 60

# Name, arguments of bench_stream.
streams = {
    "raw": ["--mode", "raw"],
    "none": ["--mode", "none"],
    "fenced": ["--mode", "fenced"],
    "in": ["--mode", "in"],
    "out": ["--mode", "out"],
    "both": ["--mode", "both"],
    "out vgem": ["--mode", "out", "--provider", "vgem"],
    "both vgem": ["--mode", "both", "--provider", "vgem"],
}
polled_streams = {
    "raw polled": ["--mode", "raw", "--polled"],
    "none polled": ["--mode", "none", "--polled"],
    "both polled": ["--mode", "both", "--polled"],
}


class Guest:
    def __init__(self, programs):
        self.programs = Path(programs)
        nodes = Path(os.environ["VM_TOOLS"]) / "guest" / "nodes.py"
        self.node = self._output([str(nodes), "vivid"]).split()[0]

    @staticmethod
    def _output(command, **environment):
        return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True,
                              env={**os.environ, **environment}).stdout

    def stream(self, arguments, **environment):
        command = [str(self.programs / "bench_stream"), "--frames", str(frames), *arguments]
        return json.loads(self._output([*command, self.node], **environment))

    def wake(self, job, side, *more):
        command = [str(self.programs / "bench_wake"), job, side, str(latency_frames), self.node]
        return json.loads(self._output([*command, *more]))["at"]

    def fences(self):
        command = [str(self.programs / "bench_fence"), "--benchmark_filter=vgem",
                   *figures.benchmark_options]
        return json.loads(self._output(command))


class Trace:
    """The kernel's trace of some events, for as long as it lasts."""

    def __init__(self, names, threads=()):
        self.switches = [tracing / "events" / name / "enable" for name in names]
        if threads:
            wanted = " || ".join(f'comm == "{name}"' for name in threads)
            (tracing / "events" / names[0] / "filter").write_text(wanted)
        (tracing / "trace_clock").write_text("mono")

    def _switch(self, value):
        for switch in self.switches:
            switch.write_text(value)

    def __enter__(self):
        (tracing / "trace").write_text("")
        self._switch("1")
        return self

    def __exit__(self, *_):
        self._switch("0")

    def text(self):
        return (tracing / "trace").read_text()


def calls_trace():
    return Trace(["raw_syscalls/sys_enter"], ("bench_stream", "v4lfence"))


def measure_calls(guest):
    found = {}
    for name, arguments in {**streams, **polled_streams}.items():
        with calls_trace() as trace:
            guest.stream(arguments)
            counts = figures.calls_between_markers(trace.text())
        found[name] = {side: {call: count / frames for call, count in counter.most_common()}
                       for side, counter in counts.items()}
    return found


def measure_usage(guest):
    """Medians of the rounds, per frame."""
    samples = defaultdict(lambda: defaultdict(list))
    for _ in range(usage_rounds):
        for name, arguments in streams.items():
            result = guest.stream(arguments)
            for key in ("cpu_ns", "switches", "wakeups"):
                samples[name][key].append(result[key] / frames)
    return {name: {key: figures.median(values) for key, values in of_one.items()}
            for name, of_one in samples.items()}


def measure_allocations(guest):
    hook = str(guest.programs / "libbench_allocs.so")
    return {name: guest.stream(streams[name], LD_PRELOAD=hook)["allocations"] / frames
            for name in ("raw", "both", "both vgem")}


def add_latencies(samples, starts_ns, ends_ns):
    samples += figures.latencies(starts_ns[warm_up_frames:], ends_ns[warm_up_frames:])


def enough(samples):
    """The samples, if most of what was tried gave one."""
    if len(samples) < latency_rounds * latency_frames * 0.8:
        raise ValueError(f"only {len(samples)} of the latencies could be measured")
    return samples


def measure_given(guest):
    found = defaultdict(list)
    for _ in range(latency_rounds):
        for side in ("ours", "bare"):
            with Trace(["vb2/vb2_qbuf"]) as trace:
                ended = guest.wake("given", side)
                given = [at for _, at, _ in figures.events(trace.text(), "vb2_qbuf")]
            add_latencies(found[side], ended, given[-len(ended):])
    return {side: enough(samples) for side, samples in found.items()}


def measure_awake(guest):
    found = defaultdict(list)
    sides = {"user": ("ours", "user"), "bare": ("bare",), "vgem": ("ours", "vgem")}
    for _ in range(latency_rounds):
        for name, (side, *provider) in sides.items():
            with Trace(["vb2/vb2_buf_done"]) as trace:
                awake = guest.wake("awake", side, *provider)
                done = [at for _, at, _ in figures.events(trace.text(), "vb2_buf_done")]
            add_latencies(found[name], done, awake)
    return {name: enough(samples) for name, samples in found.items()}


def measure_traced(guest):
    traced = trace_bench.Streams(guest.programs, guest.node)
    ways = (trace_bench.plain, trace_bench.traced)
    return {"calls": trace_bench.measure_calls(traced, (*ways, trace_bench.unseen), calls_trace),
            "usage": trace_bench.measure_usage(traced, (*ways, trace_bench.kernel_too))}


def main():
    if len(sys.argv) != 3:
        print(__doc__.strip(), file=sys.stderr)
        return 2
    guest = Guest(sys.argv[1])
    jobs = {
        "fences": guest.fences,
        "calls": lambda: measure_calls(guest),
        "usage": lambda: measure_usage(guest),
        "allocations": lambda: measure_allocations(guest),
        "given_ns": lambda: measure_given(guest),
        "awake_ns": lambda: measure_awake(guest),
        "traced": lambda: measure_traced(guest),
        "ctl": lambda: shim_bench.measure_ctl(guest.programs.parents[1] / "tools" / "v4lfence",
                                              guest.node),
    }
    problems = {}
    measured = {name: figures.attempt(problems, name, job) for name, job in jobs.items()}
    Path(sys.argv[2]).write_text(json.dumps({"measured": measured, "problems": problems}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
