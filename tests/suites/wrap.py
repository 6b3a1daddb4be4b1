#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Stock programs on vivid, raw and through `exec --wrap`, in one boot: v4l2-compliance and v4l2-ctl
say the same, but for what clients/wrap_difference.txt has, and streams are the same to the byte.

usage: wrap.py KERNEL
"""

import difflib
import functools
import hashlib
import re
import sys
from pathlib import Path

import guest
from clients_compliance import vivid_warns, without_progress

_timeout_s = 360
_still = ("test_pattern=0", "osd_text_mode=2", "horizontal_movement=3", "vertical_movement=3",
          "insert_sav_code_in_image=0")
_frames = 20
_listings = {
    "all": ["--all", "--list-ctrls-menus", "--get-priority"],
    "formats": ["--list-formats-ext", "--list-framesizes=YUYV", "--get-selection=target=crop"],
    "inputs": ["--list-inputs", "--list-standards", "--list-dv-timings"],
    "refusals": ["--get-dv-timings", "--get-edid"],
    "buffers": ["--list-buffers", "--stream-buf-caps"],
}


def wrapped(node, *command):
    return [guest.program, "exec", "--wrap", node, "--", *command]


def lines_of(ended):
    """What a program said, without what differs from run to run of a raw device too."""
    said = without_progress(ended.stdout + ended.stderr)
    kept = [line.rstrip() for line in said.splitlines()
            if not any(f": {warning}" in line for warning in vivid_warns())]
    return [re.sub(r"(Warnings: |value=)\d+(?=$|.*volatile)", r"\g<1>any", line)
            for line in kept] + [ended.how()]


def known_differences():
    path = Path(__file__).with_name("clients") / "wrap_difference.txt"
    return {line for line in path.read_text().splitlines() if line and not line.startswith("#")}


class Differences:
    """Lines that only one of the two said. Threads: any."""

    def __init__(self):
        self.seen = set()

    def problem(self, raw, ours):
        found = [line for line in difflib.unified_diff(raw, ours, "raw", "wrapped", "", "", 0, "")
                 if line[:1] in "-+" and line[:3] not in ("---", "+++")]
        self.seen |= set(found)
        return "; ".join(found[:6]) if set(found) - known_differences() else None


def compare(report, differences, name, node, *command):
    raw = guest.run(*command, timeout_s=_timeout_s)
    ours = guest.run(*wrapped(node, *command), timeout_s=_timeout_s)
    report.tell(name, differences.problem(lines_of(raw), lines_of(ours)))


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else None


def compare_stream(report, node, name, fourcc, how):
    kind = Path(node).name
    raw, ours = (Path(f"/tmp/{kind}-{name}-{fourcc}-{who}") for who in ("raw", "wrapped"))
    words = ["v4l2-ctl", "-d", node, f"--set-fmt-video=width=320,height=180,pixelformat={fourcc}",
             *how, f"--stream-count={_frames}"]
    ended = [guest.run(*words, f"--stream-to={raw}"),
             guest.run(*wrapped(node, *words, f"--stream-to={ours}"))]
    problem = "; ".join(one.last_words() for one in ended if one.status != 0)
    if not problem and (digest(raw) is None or digest(raw) != digest(ours)):
        problem = f"{raw.stat().st_size} bytes raw, {ours.stat().st_size} wrapped, and not the same"
    report.tell(f"{kind}/stream/{name}/{fourcc}", problem or None)
    for path in (raw, ours):
        path.unlink(missing_ok=True)


def of_node(report, differences, node, inputs):
    """All but what needs the other node too. `inputs`: options of v4l2-compliance."""
    kind = Path(node).name
    guest.run("v4l2-ctl", "-d", node, "-c", ",".join(_still))
    for name, how in (("mmap", ["--stream-mmap"]), ("user", ["--stream-user"]),
                      ("poll", ["--stream-mmap", "--stream-poll"]),
                      ("libv4l2", ["-w", "--stream-mmap"])):
        compare_stream(report, node, name, "YUYV", how)
    for fourcc in ("NV12", "RGB3", "YU12"):
        compare_stream(report, node, "mmap", fourcc, ["--stream-mmap"])
    for name, options in _listings.items():
        compare(report, differences, f"{kind}/v4l2-ctl/{name}", node,
                "v4l2-ctl", "-d", node, *options)
    compare(report, differences, f"{kind}/compliance/streams", node,
            "v4l2-compliance", "-P", "-d", node, "-s10", *inputs)


def body(report):
    differences = Differences()
    nodes = guest.nodes("vivid")
    guest.side_by_side(report, {
        node: functools.partial(of_node, differences=differences, node=node, inputs=inputs)
        for node, inputs in zip(nodes, (["-a"], []))})
    node, other = nodes
    compare(report, differences, f"{Path(node).name}/compliance/expbuf", node,
            "v4l2-compliance", "-P", "-d", node, "-s10", "-e", other)
    for node, other in (nodes, reversed(nodes)):
        compare_stream(report, node, "dmabuf", "YUYV", ["--stream-dmabuf", "-E", other])
    unseen = sorted(known_differences() - differences.seen)
    report.tell("differences-only-shrink",
                f"take out of the list what is no more: {unseen}" if unseen else None)


if __name__ == "__main__":
    guest.main(guest.Machine("vivid", (("vivid", "n_devs=2 node_types=0x1,0x1 multiplanar=1,2"),)),
               body)
