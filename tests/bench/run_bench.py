#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Measures v4lfence beside the bare calls it stands on; prints a table, writes out/bench.json.

The first rows are measured on this machine, the others in a VM with one virtual CPU, on vivid. A VM
without hardware virtualisation is slow and jumpy: there the ratio means something, since both sides
took turns in one boot; counts of calls, wake-ups and allocations are exact everywhere.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import display_bench
import figures
import shim_bench
import trace_bench

top = Path(__file__).resolve().parents[2]
reactor_samples = 3000
virtual_frames = 10_000
growth_max_kib = 256
lacking = 77
vm_timeout_s = 1500  # several times what it takes: it is there for hangs


class Lacking(Exception):
    """This machine lacks something; what was started has said what."""


def output_of(command):
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    if done.returncode != 0:
        how = f"{Path(command[0]).name} ended with {done.returncode}"
        raise Lacking(how) if done.returncode == lacking else ValueError(how)
    return done.stdout


# --- rows ---------------------------------------------------------------------------------------


def fence_rows(report, where, providers):
    """Of Google Benchmark's report: ours/PROVIDER beside bare/PROVIDER. Raises KeyError when one
    could not be measured."""
    medians = figures.medians_us(report)
    return [figures.row(f"{where}: fence, mint to close, {name}", medians[f"ours/{name}"],
                        medians[f"bare/{name}"], "us") for name in providers]


def virtual_rows(report, streamed):
    """Of bench_virtual's report, and of a long stream's."""
    medians = figures.medians_us(report)

    def pair(name, key, goal=None):
        return figures.row(f"host: {name}", medians[f"ours/{key}"], medians[f"bare/{key}"], "us",
                           goal)

    warm, end = streamed["footprint"]["warm"], streamed["footprint"]["at_end"]
    frames = f"{streamed['frames']} frames of 1080p"
    return [
        pair("virtual device, unfenced QBUF and DQBUF", "frame"),
        pair("trace board, QBUF with out-fence and DQBUF", "fenced frame"),
        pair("virtual camera, picture, YUYV 4K", "YUYV 4K"),
        pair("virtual camera, picture, NV12 4K", "NV12 4K"),
        figures.row(f"host: virtual camera, {frames}, each", 1e6 / streamed["rate"],
                    figures.medians_us(report, "real_time")["bare/YUYV 1080p"], "us"),
        figures.row(f"host: virtual camera, {frames}, growth",
                    end["resident_kib"] - warm["resident_kib"], None, "KiB", growth_max_kib),
        figures.row(f"host: virtual camera, {frames}, more descriptors",
                    end["descriptors"] - warm["descriptors"], None, "descriptors", 0),
    ]


def latency_rows(name, ours_ns, bare_ns):
    return [figures.row(f"{name}, p{percent}", figures.percentile(ours_ns, percent) / 1000,
                        figures.percentile(bare_ns, percent) / 1000, "us")
            for percent in (50, 99)]


_said = {
    "none": "unfenced file", "fenced": "fenced file, no fence", "in": "in-fence",
    "out": "out-fence", "both": "both fences", "out vgem": "out-fence, vgem",
    "both vgem": "both fences, vgem", "none polled": "unfenced file, poll()",
    "both polled": "both fences, poll()",
}


def total(calls):
    return sum(sum(side.values()) for side in calls.values())


def calls_rows(calls):
    """Per frame, against a raw loop. Only what nobody fenced has a goal: what raw costs."""
    rows = []
    for name, said in _said.items():
        raw = total(calls["raw polled" if name.endswith("polled") else "raw"])
        goal = raw if name.startswith("none") else None
        rows.append(figures.row(f"vm: calls per frame, {said}", total(calls[name]), raw, "calls",
                                goal))
    return rows


def usage_rows(usage):
    rows = []
    for key, what, unit, scale in (("switches", "wake-ups", "wake-ups", 1),
                                   ("wakeups", "reactor's wake-ups", "wake-ups", 1),
                                   ("cpu_ns", "CPU time", "us", 1000)):
        for name, of_one in usage.items():
            if name != "raw":
                raw = usage["raw"][key] / scale
                rows.append(figures.row(f"vm: {what} per frame, {_said[name]}", of_one[key] / scale,
                                        None if key == "wakeups" else raw, unit))
    return rows


def awake_rows(awake):
    rows = []
    for name in ("user", "vgem"):
        rows += latency_rows(f"vm: driver done to awake, {name}", awake[name], awake["bare"])
    return rows


def allocation_rows(allocations):
    return [figures.row(f"vm: allocations per frame, {_said[name]}", allocations[name],
                        allocations["raw"], "allocations", 0) for name in ("both", "both vgem")]


_guest_rows = {
    "fences": lambda report: fence_rows(report, "vm", ("vgem",)),
    "given_ns": lambda given: latency_rows("vm: in-fence end to given", given["ours"],
                                           given["bare"]),
    "awake_ns": awake_rows,
    "calls": calls_rows,
    "usage": usage_rows,
    "allocations": allocation_rows,
    "traced": trace_bench.guest_rows,
    "ctl": shim_bench.ctl_rows,
}


def guest_rows(measured):
    """Of what could be measured."""
    return [row for name, rows_of in _guest_rows.items() if measured[name] is not None
            for row in rows_of(measured[name])]


# --- measuring ----------------------------------------------------------------------------------


def measure_host(programs):
    """Rows, and why others are missing."""
    program = programs.parents[1] / "tools" / "v4lfence"

    def benchmark(name):
        return json.loads(output_of([str(programs / name), *figures.benchmark_options]))

    def streamed():
        # What the picture shows is the business of a suite; here it would be half of the time.
        return json.loads(output_of([
            str(program), "stream", "virtual:camera", "--json",
            "--rate", "free", "--size", "1920x1080", "--format", "YUYV", "--pixels", "none",
            "--frames", str(virtual_frames)]))

    def woken():
        reactor = json.loads(output_of([str(programs / "bench_wake"), "reactor",
                                        str(reactor_samples)]))
        return latency_rows("host: in-fence end to reactor's callback", reactor["ours"],
                            reactor["bare"])

    jobs = {
        "fences": lambda: fence_rows(benchmark("bench_fence"), "host", ("user", "eventfd")),
        "reactor": woken,
        "virtual devices": lambda: virtual_rows(benchmark("bench_virtual"), streamed()),
        "traced": lambda: trace_bench.host_rows(programs),
        "preloaded": lambda: shim_bench.host_rows(shim_bench.measure_host(programs, program)),
    }
    problems = {}
    measured = [figures.attempt(problems, name, job) for name, job in jobs.items()]
    return [row for rows in measured for row in rows or ()], problems


def measured_in_vm(kernel, modules, script, subject):
    """What SCRIPT SUBJECT OUTPUT measures with one virtual CPU, which has a CPU for itself as far
    as that is ours to say."""
    with tempfile.TemporaryDirectory() as folder:
        output_of([str(top / "tests" / "vm" / "vm.py"), "run", "--kernel", kernel,
                   "--modules", modules, "--smp", "1", "--timeout", str(vm_timeout_s),
                   "--pin-cpu", str(max(os.sched_getaffinity(0))),
                   "--out", folder, "--", str(top / "tests" / "bench" / script),
                   str(subject), "/run/out/measured.json"])
        return json.loads((Path(folder) / "measured.json").read_text())


class Bench:
    """The parts of a run. What one of them cannot measure takes nothing from the others."""

    def __init__(self, programs, kernel):
        self.programs = programs
        self.kernel = kernel
        self.rows = []
        self.calls = None  # of the guest's streams
        self.problems = {}

    def part(self, name, measure):
        """`measure` gives rows, and why others are missing."""
        print(f"bench: {name}", flush=True)
        try:
            rows, problems = figures.attempt(self.problems, name, measure) or ([], {})
        except Lacking as error:
            rows, problems = [], {"all": error}
        self.rows += rows
        self.problems |= {f"{name}: {what}": why for what, why in problems.items()}

    def host(self):
        return measure_host(self.programs)

    def guest(self):
        found = measured_in_vm(self.kernel, "vivid vgem", "guest_bench.py", self.programs)
        self.calls = found["measured"]["calls"]
        return guest_rows(found["measured"]), found["problems"]

    def displays(self):
        found = measured_in_vm(self.kernel, display_bench.modules, "display_bench.py",
                               self.programs.parents[1] / "tools" / "v4lfence")
        return display_bench.rows(found["runs"]), found["problems"]

    def status(self):
        if not self.problems:
            return 0
        lacks = all(isinstance(why, Lacking) for why in self.problems.values())
        return lacking if lacks else 1


def print_calls(calls):
    """Where each call of a frame comes from."""
    for name, sides in calls.items():
        print(f"\n{_said.get(name, name)}: {total({'': sides['program']}):.2f} of the program's "
              f"thread, {total({'': sides['library']}):.2f} of ours")
        for side, counts in sides.items():
            said = ", ".join(f"{call} {count:.2f}" for call, count in counts.items())
            if said:
                print(f"  {side}: {said}")


def parse_arguments():
    parser = argparse.ArgumentParser(prog="bench", description=__doc__.partition("\n")[0])
    parser.add_argument("--programs", type=Path, default=top / "build" / "gcc" / "tests" / "bench",
                        metavar="DIR", help="where bench_fence and the others were built")
    parser.add_argument("--out", type=Path, default=top / "out", metavar="DIR")
    parser.add_argument("--kernel", choices=("6.1", "6.12"), default="6.1")
    parser.add_argument("--host-only", action="store_true", help="without the VM")
    parser.add_argument("--calls", action="store_true", help="list each system call of a frame")
    return parser.parse_args()


def main():
    options = parse_arguments()
    bench = Bench(options.programs.resolve(), options.kernel)
    bench.part("on this machine", bench.host)
    if not options.host_only:
        bench.part(f"in the VM, kernel {options.kernel}, one virtual CPU", bench.guest)
        bench.part(f"displays in the VM, kernel {options.kernel}", bench.displays)
    print("\n".join([""] + figures.table(bench.rows)))
    if bench.calls and options.calls:
        print_calls(bench.calls)
    options.out.mkdir(parents=True, exist_ok=True)
    report = options.out / "bench.json"
    report.write_text(json.dumps(bench.rows, indent=2) + "\n")
    goals = [entry for entry in bench.rows if entry["goal"] is not None]
    met = sum(entry["ours"] <= entry["goal"] for entry in goals)
    print(f"\nbench: {len(bench.rows)} figures in {report}, {met} of {len(goals)} goals met",
          flush=True)
    for name, why in bench.problems.items():
        print(f"bench: not measured: {name}: {why}", file=sys.stderr)
    return bench.status()


if __name__ == "__main__":
    sys.exit(main())
