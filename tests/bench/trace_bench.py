# SPDX-License-Identifier: MIT
"""The part of ./bench about tracing: a stream with `v4lfence trace` beside it, what that costs the
stream and what the tracer takes itself; and a stream that cannot be traced, because it shows
nothing of itself. All sides take turns. run_bench.py calls it on this machine, guest_bench.py in
the VM."""

import json
import subprocess
from collections import defaultdict

import figures

rounds = 5
frames = 60
plain, traced, kernel_too, unseen = "plain", "traced", "kernel too", "unseen"


class Streams:
    """Runs bench_stream with fences both ways on `node`, in any of the ways above."""

    def __init__(self, programs, node):
        self._tracer = str(programs.parents[1] / "tools" / "v4lfence")
        self._stream = [str(programs / "bench_stream"), "--mode", "both",
                        "--frames", str(frames), node]

    def run(self, way):
        """(what the stream says of itself, the process that was started)."""
        command = list(self._stream)
        if way == unseen:
            command.insert(1, "--unseen")
        elif way != plain:
            kernel = "yes" if way == kernel_too else "no"
            command = [self._tracer, "trace", "--json", "--kernel", kernel, "--", *command]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as started:
            said = started.communicate()[0]
        if started.returncode != 0:
            raise ValueError(f"{' '.join(command)} ended with {started.returncode}")
        of_stream, *of_tracer = said.splitlines()
        if way in (traced, kernel_too):
            check_summary(json.loads(of_tracer[-1]))
        return json.loads(of_stream), started.pid


def check_summary(summary):
    """What did not trace every frame costs nothing, and says nothing."""
    seen = sum(source["frames"] for process in summary["processes"]
               for source in process["sources"])
    lost = sum(process["lost"] for process in summary["processes"])
    if seen < frames or lost:
        raise ValueError(f"the tracer saw {seen} of {frames} frames, {lost} events were lost")


def measure_usage(streams, ways):
    """{way: {figure: per frame}}: of CPU times the least of the rounds, to which a busy machine has
    added least; of the rest the median. `parent_cpu_ns` of a traced stream is the tracer's."""
    samples = {way: defaultdict(list) for way in ways}
    for _ in range(rounds):
        for way in ways:
            result, _ = streams.run(way)
            for key in ("cpu_ns", "parent_cpu_ns", "switches"):
                samples[way][key].append(result[key] / frames)
    return {way: {key: min(values) if key.endswith("_ns") else figures.median(values)
                  for key, values in of_one.items()} for way, of_one in samples.items()}


def measure_calls(streams, ways, trace):
    """{way: {side: calls per frame}}; `trace` makes a Trace of sys_enter."""
    found = {}
    for way in ways:
        with trace() as running:
            _, process = streams.run(way)
            counts = figures.calls_between_markers(
                running.text(), process if way in (traced, kernel_too) else None)
        found[way] = {side: sum(counter.values()) / frames for side, counter in counts.items()}
    return found


def cpu_rows(where, usage):
    """The tracer's figures have the plain program's as their peer: the ratio is its share."""
    def us(way, key="cpu_ns"):
        return usage[way][key] / 1000

    said = {traced: "traced", kernel_too: "traced, kernel's events too"}
    rows = []
    for way in (way for way in said if way in usage):
        rows.append(figures.row(f"{where}: {said[way]}, CPU time per frame", us(way), us(plain),
                                "us"))
        rows.append(figures.row(f"{where}: {said[way]}, CPU time of the tracer per frame",
                                us(way, "parent_cpu_ns"), us(plain), "us"))
    return rows


def host_rows(programs):
    return cpu_rows("host", measure_usage(Streams(programs, "virtual:camera"), (plain, traced)))


def calls_rows(calls):
    def of_program(way):
        return calls[way]["program"] + calls[way]["library"]

    return [
        figures.row("vm: traced, calls per frame", of_program(traced), of_program(plain), "calls"),
        figures.row("vm: traced, calls of the tracer per frame", calls[traced]["tracer"],
                    of_program(plain), "calls"),
        figures.row("vm: trace board, calls per frame", of_program(plain), of_program(unseen),
                    "calls"),
    ]


def guest_rows(measured):
    usage = measured["usage"]
    return [*calls_rows(measured["calls"]),
            figures.row("vm: traced, wake-ups per frame", usage[traced]["switches"],
                        usage[plain]["switches"], "wake-ups"),
            *cpu_rows("vm", usage)]
