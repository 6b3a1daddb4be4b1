#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""`v4lfence display` from vivid and from a virtual camera to virtio-gpu and to vkms, with vgem's
fences both ways: what the screen shows is the frame that the report names; formats, modes and
planes; and what the command says where it cannot.

usage: display.py KERNEL
"""

import functools
import os
import re
import signal
import tempfile
import time
from pathlib import Path

import clients_stamps
import drm_screen
import guest
import picture
import vivid_text
from display_run import both_ways_problem, display, pause, problem_of, timeout_s, vkms_cpus, words
from stream_run import interrupted, job_failed, read

size = (640, 480)
at_size = ["--size", "640x480", "--rate", "10"]
vgem = ["--fences", "vgem"]
virtual = "virtual:camera"
lacks, usage = 77, 2
changes_min = 3  # what was on before, and two pictures of a run


# --- what is on screen ---------------------------------------------------------------------------


def screendump(name):
    """A picture of virtio-gpu's screen as it is now; raises OSError."""
    ended = guest.run(guest.vm / "guest" / "screendump.py", name)
    if ended.status != 0:
        raise OSError(ended.last_words())
    return picture.read(Path(ended.stdout.strip()))


def held_on_screen(device, name, *options):
    """Shows frames and leaves the last on screen: (report, the screen meanwhile, the picture that
    the command saved)."""
    with tempfile.TemporaryDirectory() as folder:
        shot = Path(folder) / "shot.png"
        child = guest.start(*words(device, *at_size, *vgem, "--card", "virtio_gpu", "--frames",
                                   "40", "--hold", "100", "--shot", shot, *options))
        said = ""
        while "stays on screen" not in said:
            line = child.stderr.readline()
            if not line:
                break
            said += line
        screen = screendump(name) if "stays on screen" in said else None
        os.kill(child.pid, signal.SIGINT)
        ended, told = read(guest.finish(child, timeout_s))
        problem = (problem_of(ended, told, frames=40, status=interrupted)
                   or both_ways_problem(told))
        if not screen and not problem:
            problem = f"it did not stay on screen: {said}"
        if problem:
            raise ValueError(problem)
        return told, screen, picture.read(shot)


def green(image):
    return lambda x, y: image.pixel(x, y)[1]


def pixels_of_camera(report):
    name = "pixels/virtual-camera"
    told, screen, shot = held_on_screen(virtual, "display-camera")
    stamp = clients_stamps.read(*size, green(screen))
    expected = told["last_shown"]["sequence"]
    if stamp is None or stamp.sequence != expected:
        report.tell(name, f"the screen shows {stamp}, the report says {expected}")
    else:
        report.tell(name, picture.same_problem(screen, shot))


def pixels_of_vivid(report, node):
    name = "pixels/vivid"
    glyphs = vivid_text.learn(node, size)
    told, screen, shot = held_on_screen(node, "display-vivid")
    number = vivid_text.number_of(green(screen), glyphs)
    expected = told["last_shown"]["sequence"]
    if number != expected:
        report.tell(name, f"the screen shows frame {number}, the report says {expected}")
    else:
        report.tell(name, picture.same_problem(screen, shot))


# --- formats, modes, planes ----------------------------------------------------------------------


def shows(report, device, name, *options, check=lambda told: None, frames=20, fences="vgem"):
    """A short run that keeps every promise."""
    ended, told = display(device, "--fences", fences, "--frames", frames, *options)
    report.tell(name, problem_of(ended, told, frames=frames) or check(told))


def copied(told):
    """KMS here has no such format: it was said, and the CPU did it."""
    way, refused = told["picture"]["memory"], told["picture"]["refused"]
    return None if way == "copied" and refused else f"memory is {way}, refused: {refused}"


def by_the_cpu(told):
    """KMS cannot wait for such fences: it was said, and the program did."""
    fences = told["fences"]
    if fences["early"] or not fences["cpu_waits"] or "cannot wait" not in fences["way"]:
        return f"fences went otherwise: {fences}"
    return None


def by_dma_bufs(told):
    """The display was handed no fence, and waited for those that it found in the dma-bufs."""
    fences = told["fences"]
    waited = fences["pending_at_commit"] >= told["shown"] // 2
    if not fences["implicit"] or not fences["early"] or fences["to_display"] or not waited:
        return f"fences went otherwise: {fences}"
    checked = {one["name"]: one["checked_count"] for one in told["promises"]}
    if checked.get("shown_after_end") != told["shown"]:
        return f"of {told['shown']} frames it was checked as often that they were there: {checked}"
    return None


def mode_is(wanted):
    def check(told):
        mode = told["display"]["mode"]
        return None if mode.startswith(wanted) else f"the mode is {mode}"
    return check


def on_overlay(told):
    plane = told["display"]["plane"]
    return both_ways_problem(told) or (
        None if plane.startswith("overlay") else f"the plane is {plane}")


def formats(report, card, single, multi):
    to = ["--card", card, "--rate", "10"]
    shows(report, single, f"{card}/vivid", *to, "--size", "640x480", check=both_ways_problem)
    shows(report, virtual, f"{card}/camera", *to, "--size", "640x480", check=both_ways_problem)
    shows(report, single, f"{card}/two-buffers", *to, "--size", "640x480", "--buffers", "2",
          check=both_ways_problem)
    shows(report, single, f"{card}/nv12", *to, "--size", "320x240", "--format", "NV12",
          check=copied)
    shows(report, multi, f"{card}/multi-planar", *to, "--size", "320x240", "--format", "NM16",
          check=copied)
    shows(report, single, f"{card}/fences-of-user-space", *to, "--size", "640x480", fences="user",
          check=by_the_cpu)
    for mode in ("1024x768", "800x600", "640x480"):
        shows(report, virtual, f"{card}/mode-{mode}", *to, "--size", mode, "--mode", mode,
              check=mode_is(mode))


def overlay(report, single):
    """The camera stands at a format that no plane has; the command finds another."""
    shows(report, single, "vkms/overlay", "--card", "vkms", "--size", "640x480", "--rate", "10",
          "--plane", "overlay", check=on_overlay)


def implicit(report, single):
    """A display that looks at nothing but the dma-bufs, of the kernel's and of software."""
    for display_name, to in (("vkms", ("--card", "vkms")), ("software", ("--to", "null"))):
        for name, device in (("vivid", single), ("camera", virtual)):
            shows(report, device, f"{display_name}/implicit/{name}", *to, "--size", "640x480",
                  "--rate", "10", "--implicit", check=by_dma_bufs)


def implicit_unheeded(report, single):
    """A driver that does not look at the dma-bufs: what it shows too early is told."""
    name = "virtio_gpu/implicit"
    ended, told = display(single, "--card", "virtio_gpu", *at_size, *vgem, "--frames", "20",
                          "--implicit")
    if os.environ["VM_KERNEL"] != "6.1":
        report.tell(name, problem_of(ended, told, frames=20) or by_dma_bufs(told))
        return
    broken = [one["name"] for one in told["promises"] if not one["ok"]] if told else None
    good = ended.status == job_failed and broken == ["shown_after_end"]
    report.tell(name, None if good else f"{ended.how()}, broken: {broken}; {ended.last_words()}")


# --- refusals ------------------------------------------------------------------------------------


def refused(report, name, status, sentence, device, *options, **arguments):
    ended = guest.run(guest.program, "display", device, "--frames", "3", *options, **arguments)
    said = ended.status == status and re.search(sentence, ended.stderr)
    report.tell(f"refused/{name}", None if said else f"{ended.how()}: {ended.last_words()}")


def refusals(report):
    refused(report, "no-such-card", lacks, "no card /dev/dri/card99", virtual, "--card",
            "/dev/dri/card99")
    refused(report, "no-such-driver", lacks, "no card of a driver nonesuch", virtual, "--card",
            "nonesuch")
    refused(report, "no-card", lacks, "/dev/null", virtual, "--card", "/dev/null")
    refused(report, "vgem-shows-nothing", lacks, "no display", virtual, "--card", "vgem")
    refused(report, "no-such-connector", lacks, "HDMI-A-9", virtual, "--card", "vkms",
            "--connector", "HDMI-A-9")
    refused(report, "no-such-mode", usage, "123x45", virtual, "--card", "vkms", "--mode", "123x45")
    refused(report, "no-permission", lacks, "permission", virtual, "--card", "vkms",
            user="nobody", group="nogroup", extra_groups=())
    refused(report, "not-kms", usage, "--card", virtual, "--card", "vkms", "--to", "null")


def busy_master(report):
    """Two programs want the same card."""
    child = guest.start(*words(virtual, "--card", "vkms", "--size", "320x240", "--frames", "3",
                               "--hold", "100", *vgem))
    while (line := child.stderr.readline()) and "stays on screen" not in line:
        pass
    refused(report, "busy-master", lacks, f"another program.*{child.pid}", virtual, "--card",
            "vkms")
    os.kill(child.pid, signal.SIGINT)
    ended, told = read(guest.finish(child, timeout_s))
    report.tell("busy-master/first-goes-on",
                problem_of(ended, told, frames=3, status=interrupted))


# --- what was on before --------------------------------------------------------------------------


def put_back(report, card):
    """Ctrl-C, while pictures are shown in another mode than what was on before."""
    name = f"{card}/put-back"
    has_screen = card == "virtio_gpu" and "OUT" in os.environ

    def look(when):
        return screendump(f"display-{when}") if has_screen else None

    with drm_screen.Screen(card, "800x600") as screen:
        before, seen_before = screen.shown(), look("before")
        child = guest.start(*words(virtual, "--card", card, *at_size, *vgem, "--frames", "0"))
        deadline = time.monotonic() + timeout_s
        during = {before}
        while len(during) < changes_min and child.poll() is None and time.monotonic() < deadline:
            during.add(screen.shown())
            pause(0.01)
        child.send_signal(signal.SIGINT)
        ended, told = read(guest.finish(child, timeout_s))
        after, seen_after = screen.shown(), look("after")
    problem = problem_of(ended, told, status=interrupted)
    if not problem and not any(one.mode == "640x480" for one in during):
        problem = f"its own mode was never on: {during}"
    if not problem and after != before:
        problem = f"before it was {before}, during {during}, afterwards {after}"
    report.tell(name, problem or (seen_before and picture.same_problem(seen_before, seen_after)))


# --- all of it -----------------------------------------------------------------------------------


def virtio_lane(report, single, multi):
    if "OUT" in os.environ:
        pixels_of_camera(report)
        pixels_of_vivid(report, single)
    else:
        report.skip("pixels", "needs a folder for pictures: run it by ./test, or set "
                              "V4LFENCE_RESULTS")
    formats(report, "virtio_gpu", single, multi)
    implicit_unheeded(report, single)
    put_back(report, "virtio_gpu")
    refused(report, "no-overlay", lacks, "overlay", single, "--card", "virtio_gpu", "--plane",
            "overlay")


def vkms_lane(report, single, multi):
    refusals(report)
    busy_master(report)
    overlay(report, single)
    implicit(report, single)
    put_back(report, "vkms")
    formats(report, "vkms", single, multi)


def body(report):
    first, second, third, fourth = guest.nodes("vivid")
    guest.side_by_side(report, {
        "virtio-gpu": functools.partial(virtio_lane, single=first, multi=third),
        "vkms": functools.partial(vkms_lane, single=second, multi=fourth),
    })


vivid = "n_devs=4 node_types=0x1,0x1,0x1,0x1 multiplanar=1,1,2,2"
guest.main(guest.Machine("vivid vgem virtio-gpu vkms",
                         (("vivid", vivid), ("vkms", "enable_overlay=1")),
                         cpus=vkms_cpus), body)
