#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""A program of the fence interface of 2017, unchanged, and the conformance cases by the plain calls
of the C library, both run by `v4lfence exec`: on virtual cameras here; in a guest on wrapped vivid,
where the out-fences of vgem go to a display too.

usage: rfc.py [KERNEL]
"""

import functools
import sys

import guest
from conform_run import conform

sys.path.insert(0, str(guest.top / "tests" / "shim"))
import ways  # noqa: E402


def plain_program(report, way, fences):
    """Built for a header of 2017; --rfc-caps is the switch for it."""
    program = ways.programs / "rfc_program"
    ways.tell(report, f"rfc-program/{fences}",
              way.run(program, way.node, options=("--fences", fences)))
    ways.tell(report, f"rfc-program/{fences}/rfc-caps", way.run(
        program, "--rfc-caps", way.node, options=("--fences", fences, "--rfc-caps")))


def display(report, way):
    """KMS waits for the out-fence, and the camera for KMS's."""
    ways.tell(report, "rfc-display/vgem", way.run(
        ways.programs / "rfc_display", way.node, options=("--fences", "vgem")))


def judge(report, way, fences, expected, driver):
    words = way.words(guest.program, options=("--fences", fences))
    conform(report, f"conform/{expected['kind']}/{fences}", way.node, fences, ["--preloaded"],
            {"multi_planar": expected["multi_planar"], "driver": driver, "provider": fences},
            program=words)


def not_preloaded(report):
    """--preloaded judges nothing where nobody is preloaded."""
    ended = guest.run(guest.program, "conform", "--preloaded", "/dev/null")
    ways.tell(report, "conform/not-preloaded", ended, status=ways.lacking)


def here(report):
    single = {"kind": "camera", "multi_planar": False}
    multi = {"kind": "camera-mplane", "multi_planar": True}
    jobs = {"not-preloaded": not_preloaded}
    for fences in ("user", "eventfd"):
        jobs |= {
            f"program-{fences}": functools.partial(plain_program, way=ways.virtual(),
                                                   fences=fences),
            f"camera-{fences}": functools.partial(
                judge, way=ways.virtual(), fences=fences, expected=single, driver="v4lfence"),
            f"camera-mplane-{fences}": functools.partial(
                judge, way=ways.virtual("/dev/video81", "camera-mplane"), fences=fences,
                expected=multi, driver="v4lfence"),
        }
    guest.side_by_side(report, jobs)


def in_guest(report):
    node, *rest = [ways.wrapped(node) for node in guest.nodes("vivid")]
    for fences in ("user", "vgem"):
        plain_program(report, node, fences)
    display(report, node)
    jobs = {}
    for way, (kind, multi_planar, fences) in zip(rest, of_vivid[1:], strict=True):
        jobs[way.node] = functools.partial(
            judge, way=way, fences=fences, driver="vivid",
            expected={"kind": kind, "multi_planar": multi_planar})
    guest.side_by_side(report, jobs)


# Kind, whether it is multi-planar, fences of its conformance cases; the first is the programs'.
of_vivid = (("single", False, "user"), ("single", False, "user"), ("single", False, "vgem"),
            ("multi", True, "user"))


def vivid_parameters():
    planes = ",".join("2" if multi_planar else "1" for _, multi_planar, _ in of_vivid)
    types = ",".join("0x1" for _ in of_vivid)
    return f"n_devs={len(of_vivid)} node_types={types} multiplanar={planes}"


if __name__ == "__main__":
    if len(sys.argv) == 1:
        guest.main_here(here)
    else:
        guest.main(guest.Machine("vivid vgem virtio-gpu", (("vivid", vivid_parameters()),)),
                   in_guest)
