#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""32-bit programs, with 32-bit times and with 64-bit ones, under `exec`: on the virtual cameras or,
in a guest, on vivid through `--wrap`. The same program for 64 bit, and on vivid without `exec`,
judges the program.

usage: narrow.py [KERNEL]
"""

import itertools
import os
import re
import sys
from pathlib import Path

import guest

narrow_built = Path(os.environ.get("V4LFENCE_BUILD_I386", guest.built.parent / "i386"))
_folder = Path("tests/narrow")
programs = {
    "64bit": guest.built / _folder / "narrow_stream",
    "time64": narrow_built / _folder / "narrow_stream",
    "time32": narrow_built / _folder / "narrow_stream_time32",
}
_virtual = {"camera": "/dev/video80", "camera-mplane": "/dev/video81"}
_memories = ("mmap", "userptr")
_fences = ("unfenced", "fenced")


def problem_of(ended):
    broken = re.findall(r"^not ok (.*)", ended.stdout, re.MULTILINE)
    if broken:
        return "; ".join(broken)
    # The loader's complaint: the program ran without the shim.
    if "cannot be preloaded" in ended.stderr:
        return ended.last_words()
    if ended.status != 0 or "ok frames" not in ended.stdout.splitlines():
        return f"{ended.how()}: {ended.last_words()}"
    return None


def one(report, name, *command):
    report.tell(name, problem_of(guest.run(*command, timeout_s=180)))


def each(report, nodes, exec_options):
    for (program, path), (kind, node), memory, fences in itertools.product(
            programs.items(), nodes.items(), _memories, _fences):
        one(report, f"{program}/{kind}/{memory}/{fences}", guest.program, "exec", *exec_options,
            "--", path, node, memory, fences)


def here(report):
    options = [word for kind, node in _virtual.items() for word in ("--virtual", f"{kind}={node}")]
    each(report, _virtual, options)


def in_guest(report):
    nodes = dict(zip(("vivid", "vivid-mplane"), guest.nodes("vivid")))
    for program, (kind, node), memory in itertools.product(programs, nodes.items(), _memories):
        one(report, f"raw/{program}/{kind}/{memory}", programs[program], node, memory, "unfenced")
    each(report, nodes, [word for node in nodes.values() for word in ("--wrap", node)])


if __name__ == "__main__":
    if len(sys.argv) == 1:
        guest.main_here(here)
    else:
        guest.main(guest.Machine("vivid vgem virtio-gpu", (
            ("vivid", "n_devs=2 node_types=0x1,0x1 multiplanar=1,2"),)), in_guest)
