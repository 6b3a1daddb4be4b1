#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""An unfenced program through the API: no thread, no system call beside the one that finds out what
was opened, the same results as raw.

usage: unfenced_check.py [PROGRAMS]

PROGRAMS is the folder of bench_stream (default: build/gcc/tests/bench). Outside of a VM it starts
one and runs itself in there.
"""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

top = Path(__file__).resolve().parents[2]
_call = re.compile(r"^(\d+) +(\w+)\(([^)]*)")
_marker = "getppid"
_find_out = ("fstat", "newfstatat")
ways = {"blocking": [], "poll": ["--polled"]}
frames = 60


def calls_of(text):
    """(thread, what) of each call between the first marker and the last; of an ioctl its request
    too."""
    found = []
    for line in text.splitlines():
        call = _call.match(line)
        if call:
            thread, name, arguments = call.groups()
            what = f"ioctl {arguments.split(', ')[1]}" if name == "ioctl" else name
            found.append((thread, what))
    marks = [i for i, (_, what) in enumerate(found) if what == _marker]
    return found[marks[0] + 1:marks[-1]]


def without_ours(calls):
    """Leaves out the one call of ours, which follows the open()."""
    for i in range(1, len(calls)):
        if calls[i] in _find_out and calls[i - 1] in ("open", "openat"):
            return calls[:i] + calls[i + 1:]
    return calls


def difference(ours, raw):
    """Empty when the lists are equal, else the first place where they are not."""
    for i in range(max(len(ours), len(raw))):
        pair = [side[i] if i < len(side) else "nothing" for side in (ours, raw)]
        if pair[0] != pair[1]:
            return f"at {i}: {pair[0]}, raw {pair[1]}"
    return ""


def run(programs, node, mode, more):
    log = Path("/run") / f"{mode}.calls"
    done = subprocess.run(
        ["strace", "-f", "-q", "-o", str(log), "-X", "raw", "-e", "raw=all",
         str(programs / "bench_stream"), "--mode", mode, "--frames", str(frames), "--results",
         *more, node], check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout), calls_of(log.read_text())


def report(name, why):
    print(f"not ok {name} - {why}" if why else f"ok {name}", flush=True)
    return 1 if why else 0


def check(programs, node, way, more):
    raw, raw_calls = run(programs, node, "raw", more)
    ours, our_calls = run(programs, node, "none", more)
    threads = {thread for thread, _ in our_calls}
    whats = [what for _, what in our_calls]
    extra = len(whats) - len(raw_calls)
    failed = report(f"unfenced-{way}-no-thread",
                    f"{len(threads)} threads" if len(threads) != 1 else "")
    failed += report(f"unfenced-{way}-one-call-at-open",
                     f"{extra} calls more than raw" if extra != 1 else "")
    failed += report(f"unfenced-{way}-same-calls",
                     difference(without_ours(whats), [what for _, what in raw_calls]))
    failed += report(f"unfenced-{way}-same-frames", difference(ours["results"], raw["results"]))
    failed += report(f"unfenced-{way}-same-errors",
                     difference(ours["wrong_calls"], raw["wrong_calls"]))
    return failed


def main():
    if len(sys.argv) > 2 or "--help" in sys.argv:
        print(__doc__.strip())
        return 0 if "--help" in sys.argv else 2
    given = sys.argv[1] if len(sys.argv) == 2 else top / "build" / "gcc" / "tests" / "bench"
    programs = Path(given).resolve()
    if "VM_KERNEL" not in os.environ:
        return subprocess.run([str(top / "tests" / "vm" / "vm.py"), "run", "--modules", "vivid",
                               "--", str(Path(__file__).resolve()), str(programs)]).returncode
    nodes = Path(os.environ["VM_TOOLS"]) / "guest" / "nodes.py"
    listed = subprocess.run([str(nodes), "vivid"], check=True, stdout=subprocess.PIPE, text=True)
    node = listed.stdout.split()[0]
    return 1 if sum(check(programs, node, way, more) for way, more in ways.items()) else 0


if __name__ == "__main__":
    sys.exit(main())
