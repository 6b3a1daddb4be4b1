#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Measures v4lfence beside the bare calls it stands on; prints a table, writes out/bench.json.

The first rows are measured on this machine, the others in a VM with one virtual CPU, on vivid. A VM
without hardware virtualisation is slow and jumpy: there the ratio means something, since both sides
took turns in one boot; counts of calls, wake-ups and allocations are exact everywhere.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import figures
import shim_bench

top = Path(__file__).resolve().parents[2]
reactor_samples = 3000
virtual_frames = 10_000
growth_max_kib = 256
vm_timeout_s = 220


def output_of(command):
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    if done.returncode != 0:
        print(f"bench: {Path(command[0]).name} ended with {done.returncode}", file=sys.stderr)
        sys.exit(77 if done.returncode == 77 else 1)
    return done.stdout


# --- rows ---------------------------------------------------------------------------------------


def medians_us(report):
    """Of Google Benchmark's report."""
    return {entry["run_name"]: entry["real_time"] / 1000 for entry in report["benchmarks"]
            if entry.get("aggregate_name") == "median"}


def fence_rows(report, where, providers):
    """Of Google Benchmark's report: ours/PROVIDER beside bare/PROVIDER. Raises KeyError when one
    could not be measured."""
    medians = medians_us(report)
    return [figures.row(f"{where}: fence, mint to close, {name}", medians[f"ours/{name}"],
                        medians[f"bare/{name}"], "us") for name in providers]


def virtual_rows(report, streamed):
    """Of bench_virtual's report, and of a long stream's."""
    medians = medians_us(report)

    def pair(name, key, goal=None):
        return figures.row(f"host: {name}", medians[f"ours/{key}"], medians[f"bare/{key}"], "us",
                           goal)

    warm, end = streamed["footprint"]["warm"], streamed["footprint"]["at_end"]
    frames = f"{streamed['frames']} frames of 1080p"
    return [
        pair("virtual device, unfenced QBUF and DQBUF", "frame"),
        pair("virtual camera, picture, YUYV 4K", "YUYV 4K"),
        pair("virtual camera, picture, NV12 4K", "NV12 4K"),
        figures.row(f"host: virtual camera, {frames}, each", 1e6 / streamed["rate"],
                    medians["bare/YUYV 1080p"], "us"),
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


def count_rows(measured):
    """Per frame, against a raw loop. Only what nobody fenced has a goal: what raw costs."""
    rows = []
    calls, usage = measured["calls"], measured["usage"]
    for name, said in _said.items():
        raw = total(calls["raw polled" if name.endswith("polled") else "raw"])
        goal = raw if name.startswith("none") else None
        rows.append(figures.row(f"vm: calls per frame, {said}", total(calls[name]), raw, "calls",
                                goal))
    for key, what, unit, scale in (("switches", "wake-ups", "wake-ups", 1),
                                   ("wakeups", "reactor's wake-ups", "wake-ups", 1),
                                   ("cpu_ns", "CPU time", "us", 1000)):
        for name, of_one in usage.items():
            if name != "raw":
                raw = usage["raw"][key] / scale
                rows.append(figures.row(f"vm: {what} per frame, {_said[name]}", of_one[key] / scale,
                                        None if key == "wakeups" else raw, unit))
    return rows


def guest_rows(measured):
    rows = fence_rows(measured["fences"], "vm", ("vgem",))
    given, awake = measured["given_ns"], measured["awake_ns"]
    rows += latency_rows("vm: in-fence end to given", given["ours"], given["bare"])
    rows += latency_rows("vm: driver done to awake, user", awake["user"], awake["bare"])
    rows += latency_rows("vm: driver done to awake, vgem", awake["vgem"], awake["bare"])
    rows += count_rows(measured)
    for name in ("both", "both vgem"):
        allocations = measured["allocations"]
        rows.append(figures.row(f"vm: allocations per frame, {_said[name]}", allocations[name],
                                allocations["raw"], "allocations", 0))
    return rows + shim_bench.ctl_rows(measured["ctl"])


# --- measuring ----------------------------------------------------------------------------------


def measure_host(programs):
    report = json.loads(output_of([str(programs / "bench_fence"), *figures.benchmark_options]))
    virtual = json.loads(output_of([str(programs / "bench_virtual"),
                                    *figures.benchmark_options]))
    # What the picture shows is the business of a suite; here it would be half of the time.
    program = programs.parents[1] / "tools" / "v4lfence"
    streamed = json.loads(output_of([
        str(program), "stream", "virtual:camera", "--json",
        "--rate", "free", "--size", "1920x1080", "--format", "YUYV", "--pixels", "none",
        "--frames", str(virtual_frames)]))
    woken = json.loads(output_of([str(programs / "bench_wake"), "reactor", str(reactor_samples)]))
    return (fence_rows(report, "host", ("user", "eventfd"))
            + latency_rows("host: in-fence end to reactor's callback", woken["ours"], woken["bare"])
            + virtual_rows(virtual, streamed)
            + shim_bench.host_rows(shim_bench.measure_host(programs, program)))


def measure_guest(programs, kernel):
    with tempfile.TemporaryDirectory() as folder:
        output_of([str(top / "tests" / "vm" / "vm.py"), "run", "--kernel", kernel,
                   "--modules", "vivid vgem", "--smp", "1", "--timeout", str(vm_timeout_s),
                   "--out", folder, "--", str(top / "tests" / "bench" / "guest_bench.py"),
                   str(programs), "/run/out/measured.json"])
        return json.loads((Path(folder) / "measured.json").read_text())


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
    programs = options.programs.resolve()
    try:
        print("bench: on this machine", flush=True)
        rows = measure_host(programs)
        measured = None
        if not options.host_only:
            print(f"bench: in the VM, kernel {options.kernel}, one virtual CPU", flush=True)
            measured = measure_guest(programs, options.kernel)
            rows += guest_rows(measured)
    except (KeyError, OSError, ValueError, subprocess.SubprocessError) as error:
        print(f"bench: not measured: {error}", file=sys.stderr)
        return 1
    print("\n".join([""] + figures.table(rows)))
    if measured and options.calls:
        print_calls(measured["calls"])
    options.out.mkdir(parents=True, exist_ok=True)
    report = options.out / "bench.json"
    report.write_text(json.dumps(rows, indent=2) + "\n")
    goals = [entry for entry in rows if entry["goal"] is not None]
    met = sum(entry["ours"] <= entry["goal"] for entry in goals)
    print(f"\nbench: {len(rows)} figures in {report}, {met} of {len(goals)} goals met")
    return 0


if __name__ == "__main__":
    sys.exit(main())
