# SPDX-License-Identifier: MIT
"""What ./bench does with what it measured: ranks, the rows of the table, the kernel's trace."""

import re
import statistics
import subprocess
from collections import Counter

# Both sides in turns, and the median of the repetitions.
benchmark_options = (
    "--benchmark_format=json", "--benchmark_min_time=0.03", "--benchmark_repetitions=9",
    "--benchmark_enable_random_interleaving=true", "--benchmark_report_aggregates_only=true",
)

# The system calls of x86-64 that occur; others show as their number.
_call_names = {
    0: "read", 1: "write", 3: "close", 5: "fstat", 7: "poll", 14: "rt_sigprocmask", 16: "ioctl",
    20: "writev", 39: "getpid", 72: "fcntl", 89: "readlink", 91: "fchmod", 110: "getppid",
    186: "gettid", 202: "futex", 232: "epoll_wait", 233: "epoll_ctl", 234: "tgkill",
    262: "newfstatat", 281: "epoll_pwait", 290: "eventfd2", 293: "pipe2",
}
_request_names = {
    0xC0585609: "QUERYBUF", 0xC058560F: "QBUF", 0xC0585611: "DQBUF",
    0xC0383E04: "SYNC_IOC_FILE_INFO", 0xC0086202: "EXPORT_SYNC_FILE",
    0xC0106441: "VGEM_FENCE_ATTACH", 0x40086442: "VGEM_FENCE_SIGNAL",
}
_ioctl = 16
_marker = "getppid"
# What the benchmark does for somebody else, or for whoever counts.
_not_counted = ("writev", _marker)

# How a measurement fails: on a busy machine some may, and the others still stand.
_failures = (KeyError, IndexError, OSError, ValueError, subprocess.SubprocessError)

_event = re.compile(r"^\s*(.+)-(\d+)\s+\[\d+\]\s+\S+\s+(\d+)\.(\d{6}): (\w+): (.*)$")
_sys_enter = re.compile(r"NR (\d+) \((.*)\)")


def attempt(problems, name, job):
    """What job() returns; None where it fails, and `problems[name]` says why."""
    try:
        return job()
    except _failures as error:
        problems[name] = f"{type(error).__name__}: {error}"
        return None


def percentile(values, percent):
    """The nearest rank, so that it is a value that was measured."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, len(ordered) * percent // 100)]


def median(values):
    return statistics.median(values)


def medians_us(report, key="cpu_time"):
    """Of Google Benchmark's report: the thread's CPU time, which a busy machine leaves alone, or
    the "real_time"."""
    return {entry["run_name"]: entry[key] / 1000 for entry in report["benchmarks"]
            if entry.get("aggregate_name") == "median"}


def row(name, ours, peer, unit, goal=None):
    """One entry of out/bench.json. Less is better in all of them. `peer` None: there is none."""
    ratio = round(ours / peer, 3) if peer else None
    return {"name": name, "ours": round(ours, 3), "peer": None if peer is None else round(peer, 3),
            "ratio": ratio, "unit": unit, "goal": goal, "higher_is_better": False}


def _cell(value):
    return "-" if value is None else f"{value:.2f}" if isinstance(value, float) else str(value)


def table(rows):
    """Lines of text, the columns side by side."""
    columns = ("name", "ours", "peer", "ratio", "unit", "goal")
    cells = [columns] + [tuple(_cell(entry[column]) for column in columns) for entry in rows]
    widths = [max(len(line[i]) for line in cells) for i in range(len(columns))]

    def line(values):
        text = [value.ljust(width) if i in (0, 4) else value.rjust(width)
                for i, (value, width) in enumerate(zip(values, widths))]
        return "  ".join(text).rstrip()

    return [line(cells[0]), "-" * (sum(widths) + 2 * (len(widths) - 1))] + [
        line(values) for values in cells[1:]]


# --- the kernel's trace -------------------------------------------------------------------------


def events(trace, name):
    """(thread, time in ns, rest) of each event `name`; the clock must be `mono`. Microseconds."""
    for text in trace.splitlines():
        found = _event.match(text)
        if found and found[5] == name:
            yield int(found[2]), int(found[3]) * 10**9 + int(found[4]) * 1000, found[6]


def call_name(body):
    """Of a raw_syscalls:sys_enter."""
    number, arguments = _sys_enter.match(body).groups()
    if int(number) == _ioctl:
        request = int(arguments.split(", ")[1], 16)
        return _request_names.get(request, f"ioctl {request:#x}")
    return _call_names.get(int(number), number)


def calls_between_markers(trace, tracer=None):
    """Counts of calls in the steady state: {"program": Counter, "library": Counter}, by thread, and
    "tracer" for that thread. The program's is the thread that sets the four markers. Raises
    ValueError when one is missing."""
    program, markers = None, 0
    counts = {"program": Counter(), "library": Counter()}
    if tracer is not None:
        counts["tracer"] = Counter()
    for thread, _, body in events(trace, "sys_enter"):
        name = call_name(body)
        if name == _marker:
            program, markers = thread, markers + 1
        elif markers == 2 and name not in _not_counted:
            side = "tracer" if thread == tracer else "library"
            counts["program" if thread == program else side][name] += 1
    if markers != 4:
        raise ValueError(f"{markers} markers in the trace")
    return counts


def latencies(starts_ns, ends_ns):
    """Of pairs in order; 0 and what is out of order stand for no measurement."""
    return [end - start for start, end in zip(starts_ns, ends_ns) if start and end >= start]
