#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Stock v4l2-compliance on the virtual cameras: nothing fails, nothing is warned of but what vivid
is warned of too (clients/vivid_warnings.txt, as suite wrap sees it), and what matters was tested.
In a guest, with dma-bufs.

usage: clients_compliance.py [KERNEL]
"""

import re
import sys

import guest
from clients_run import cameras, helpers, job, lanes, run, single
from stream_virtual import has_dma_bufs

_total = re.compile(r"^Total for \S+ device \S+ (\d+), Succeeded: (\d+), Failed: (\d+), "
                    r"Warnings: (\d+)$", re.MULTILINE)
_said = re.compile(r"(fail|warn): \S+\(\d+\): (.*)")
_tested = re.compile(r"^\s*test (.*): OK$", re.MULTILINE)
_always = {"VIDIOC_QUERYCAP", "VIDIOC_G/S_PRIORITY", "invalid ioctls", "for unlimited opens",
           "VIDIOC_G/S/ENUMINPUT", "VIDIOC_(UN)SUBSCRIBE_EVENT/DQEVENT", "VIDIOC_G/S_PARM",
           "VIDIOC_G/S/TRY_EXT_CTRLS", "VIDIOC_ENUM_FMT/FRAMESIZES/FRAMEINTERVALS",
           "VIDIOC_REQBUFS/CREATE_BUFS/QUERYBUF"}
_streams = {"read/write", "blocking wait", "MMAP (no poll)", "MMAP (select)", "MMAP (epoll)",
            "USERPTR (no poll)", "USERPTR (select)"}
_dma_bufs = {"DMABUF (no poll)", "DMABUF (select)", "VIDIOC_EXPBUF"}
_solid = {"red": 4, "green": 5, "blue": 6}  # of menu Test Pattern
# What a busy machine does: frames are lost while nobody has queued a buffer, or are there already
# where the tool thinks it is the first to ask.
_lost = "got sequence number"
_of_load = (_lost, "ret2 != ret")
_tries = 4
_timeout_s = 500


def without_progress(text):
    """What the tool leaves on a terminal: of a line, what came last over the rest of it."""
    return re.sub(r"^(?:\t(?:[\w ]+): Frame #[^\t]*)+ +(?=\t)", "", text, flags=re.MULTILINE)


def vivid_warns():
    lines = (helpers / "vivid_warnings.txt").read_text().splitlines()
    return {line for line in lines if line and not line.startswith("#")}


def problem_of(ended, wanted, known):
    """`known` is what it may warn of."""
    said = ended.stdout + ended.stderr
    totals = _total.search(said)
    remarks = _said.findall(said)
    if fails := [text for word, text in remarks if word == "fail"]:
        return f"{len(fails)} failures, the first: {fails[0]}"
    if ended.status != 0 or not totals or totals.group(3) != "0":
        return f"{ended.how()}: {ended.last_words()}"
    if alien := [text for word, text in remarks if word == "warn" and not known(text)]:
        return f"{len(alien)} warnings, the first: {alien[0]}"
    if missing := wanted - set(_tested.findall(without_progress(said))):
        return f"not tested: {', '.join(sorted(missing))}"
    return None


def is_vivids(warning):
    return warning in vivid_warns()


def is_vivids_or_lost(warning):
    """An emulated processor does not keep up with thirty frames a second, nor has it to."""
    return is_vivids(warning) or warning.startswith(_lost)


def try_once(node, options, wanted, before, known):
    words = ["v4l2-compliance", "-P", "-d", node, *options]
    if before:
        words = ["sh", "-c", '"$@" && exec ' + " ".join(words), "sh", *before]
    ended = run(*words, timeout_s=_timeout_s)
    return ended, problem_of(ended, _always | wanted, known)


def judge(report, name, node, options, wanted=frozenset(), before=(), known=is_vivids):
    """`before` is a command that comes first, beside the same cameras. What may be the machine's
    load is tried again."""
    for _ in range(_tries):
        ended, problem = try_once(node, options, wanted, before, known)
        if not (problem and any(words in problem for words in _of_load)):
            break
        report.log(f"{name}: {problem}")
    report.tell(name, problem)
    if problem:
        report.log(ended.stdout + ended.stderr)


def colour(report, kind, node, name):
    judge(report, f"{kind}/colour-{name}", node, ["-c", f"color={name},skip=1"],
          before=["v4l2-ctl", "-d", node, "-c", f"test_pattern={_solid[name]}"])


def of_kind(kind, node, exports):
    other, = [path for path in cameras.values() if path != node]
    variants = {"all-formats": (["-f2"], frozenset()),
                "all-inputs": (["-s10", "-a"], _streams),
                "streams": (["-s10"], _streams),
                "bare": ([], frozenset())}
    if exports:
        variants["dma-bufs"] = (["-s10", "-e", other], _streams | _dma_bufs)
    for name, (options, wanted) in variants.items():
        yield job(judge, name=f"{kind}/{name}", node=node, options=options, wanted=wanted)
    # Of a multi-planar device the tool gets no frame here: it fails on vivid too.
    for name in _solid if node == single else ():
        yield job(colour, kind=kind, node=node, name=name)


def here(report):
    exports = has_dma_bufs(report)
    lanes(report, [one for kind, node in cameras.items() for one in of_kind(kind, node, exports)])


def in_guest(report):
    nodes = list(cameras.items())
    for (kind, node), (_, other) in zip(nodes, reversed(nodes)):
        judge(report, f"{kind}/dma-bufs", node, ["-s10", "-e", other], _streams | _dma_bufs,
              known=is_vivids_or_lost)


if __name__ == "__main__":
    if len(sys.argv) == 1:
        guest.main_here(here)
    else:
        guest.main(guest.Machine("virtio-gpu"), in_guest)
