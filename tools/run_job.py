#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The main job: a fenced stream from the best device there is, every frame checked.

A capture device of this machine if there is one, else the library's virtual camera; with --vm,
vivid on a stock kernel in a virtual machine. Writes report.json and frame.png into the folder of
--out. Needs build/v4lfence; ./run builds it.
"""

import argparse
import json
import shlex
import subprocess
import sys
import time
from pathlib import Path

TOP = Path(__file__).resolve().parents[1]
PROGRAM = TOP / "build" / "v4lfence"
VM = TOP / "tests" / "vm" / "vm.py"
SUCCESS, JOB_FAILED, MACHINE_LACKS = 0, 1, 77

# Formats of which a picture can be saved, the ones that cost least first.
FORMATS = ("YUYV", "UYVY", "NV12", "NM12", "YU12", "RGB3", "XR24", "GREY")
SIZES = ((640, 360), (640, 480), (320, 180), (320, 240))

# What software emulation holds without a loss.
VIVID = ["--size", "640x360", "--rate", "25", "--format", "YUYV"]
# A picture to show. Its frames are made by a thread: a machine that forgets this for longer than an
# interval loses some, which the summary tells, and a few are no failure.
CAMERA = ["--size", "1280x720", "--rate", "30", "--format", "YUYV"]
CAMERA_LOST_MAX = 100
PNG_START = b"\x89PNG\r\n\x1a\n"


class Steps:
    """One line for each, with the time it took."""

    def __init__(self):
        self.since = time.monotonic()

    def done(self, text):
        now = time.monotonic()
        print(f"{now - self.since:7.1f} s  {text}", flush=True)
        self.since = now


def parse(arguments):
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vm", action="store_true",
                        help="vivid in the virtual machine, with vgem's fences: sync_files that "
                             "the kernel can wait for")
    parser.add_argument("--device",
                        help="this one of the host, not the best: a node, or virtual:camera")
    parser.add_argument("--frames", type=int, default=300, help="default: %(default)s")
    parser.add_argument("--fences", help="who makes the fences (default: user; with --vm: vgem)")
    parser.add_argument("--kernel", default="6.1",
                        help="of the virtual machine (default: %(default)s)")
    parser.add_argument("--out", type=Path, default=TOP / "out", help="default: out")
    options = parser.parse_args(arguments)
    if options.vm and options.device:
        parser.error("--device is one of this machine, --vm is another machine")
    return options


def capture_devices():
    """What can be opened here, the best first: hardware, then vivid, then the library's own."""
    found = subprocess.run([PROGRAM, "devices", "--json"], capture_output=True, text=True,
                           check=True)
    devices = [device for device in json.loads(found.stdout)["devices"]
               if device["kind"] in ("capture", "capture-mplane") and device["queues"]]
    return sorted(devices, key=lambda device: (device["virtual"], device["driver"] == "vivid"))


def fits(size, wanted):
    width, height = wanted
    if "width_max" not in size:
        return (size["width"], size["height"]) == wanted
    return (size["width"] <= width <= size["width_max"]
            and size["height"] <= height <= size["height_max"])


def choose_format(device):
    """Arguments for a moderate size in a format that can be shown; none: as the device is."""
    if device["virtual"]:
        return CAMERA
    if device["driver"] == "vivid":
        return VIVID
    formats = {entry["fourcc"]: entry["sizes"] for entry in device["queues"][0]["formats"]}
    for fourcc in FORMATS:
        if fourcc not in formats:
            continue
        for wanted in SIZES:
            if any(fits(size, wanted) for size in formats[fourcc]):
                return ["--format", fourcc, "--size", f"{wanted[0]}x{wanted[1]}"]
        return ["--format", fourcc]
    return []


def stream_command(device, format_arguments, out, options):
    return [str(PROGRAM), "stream", device, "--frames", str(options.frames), *format_arguments,
            "--in-fence", "chain", "--out-fence", "--fences", options.fences,
            "--save", f"{out}/frame.png", "--report", f"{out}/report.json"]


def run_here(device, options):
    command = stream_command(device["path"], choose_format(device), options.out, options)
    if device["virtual"]:
        command += ["--allow-bad", str(CAMERA_LOST_MAX)]
    return subprocess.run(command, check=False).returncode


def run_in_vm(options):
    stream = stream_command("$DEVICE", VIVID, "$OUT", options)
    # Only what the guest has to fill in is left to its shell.
    words = [word if word.startswith("$") else shlex.quote(word) for word in stream]
    script = "DEVICE=$(ls /dev/video* | head -n 1); exec " + " ".join(words)
    modules = "vivid vgem" if options.fences == "vgem" else "vivid"
    command = [str(VM), "run", "--kernel", options.kernel, "--modules", modules,
               "--vivid", "n_devs=1 node_types=0x1", "--out", str(options.out),
               "--", "/bin/sh", "-c", script]
    return subprocess.run(command, stdin=subprocess.DEVNULL, check=False).returncode


def problems(options, kernel_fences, lost_max):
    """What the files of the job do not prove."""
    try:
        report = json.loads((options.out / "report.json").read_text())
    except (OSError, ValueError) as error:
        yield f"report.json: {error}"
        return
    for promise in report["promises"]:
        if promise["checked_count"] == 0:
            yield f"never checked: {promise['meaning']}"
        elif not promise["ok"]:
            yield f"broken: {promise['meaning']}: {promise['first_break']}"
    if not report["promises"]:
        yield "nothing was promised"
    if report["frames"] != options.frames or report["lost"] > lost_max:
        yield f"{report['frames']} of {options.frames} frames, {report['lost']} lost"
    fences = report["out_fences"]
    if fences["made"] != fences["ended"] + fences["cancelled"]:
        yield f"{fences['made']} out-fences made, {fences['ended'] + fences['cancelled']} ended"
    if kernel_fences and not fences["made"] == fences["sync_file_info_ok"] > 0:
        yield f"{fences['sync_file_info_ok']} of {fences['made']} out-fences are sync_files"
    try:
        picture = (options.out / "frame.png").read_bytes()
        if not picture.startswith(PNG_START):
            yield "frame.png is no PNG"
    except OSError as error:
        yield f"frame.png: {error}"


def main(arguments):
    options = parse(arguments)
    options.fences = options.fences or ("vgem" if options.vm else "user")
    options.out = options.out.resolve()
    options.out.mkdir(parents=True, exist_ok=True)
    for name in ("report.json", "frame.png"):
        (options.out / name).unlink(missing_ok=True)
    if not PROGRAM.exists():
        print(f"{PROGRAM} is not built: ./run builds it.", file=sys.stderr)
        return MACHINE_LACKS

    steps = Steps()
    devices = [] if options.vm else capture_devices()
    if options.device:
        devices = [device for device in devices if device["path"] == options.device]
        if not devices:
            print(f"{options.device} is no capture device of this machine.", file=sys.stderr)
            return MACHINE_LACKS
    if devices:
        steps.done(f"device: {devices[0]['path']} \"{devices[0]['card']}\""
                   + (", in this process" if devices[0]["virtual"] else ""))
        status = run_here(devices[0], options)
        lost_max = CAMERA_LOST_MAX if devices[0]["virtual"] else 0
        where = devices[0]["path"]
    else:
        steps.done(f"device: vivid on a stock {options.kernel} kernel in QEMU")
        status = run_in_vm(options)
        lost_max = 0
        where = f"vivid, kernel {options.kernel}"
    steps.done(f"stream: {options.frames} frames from {where}, fences by {options.fences}")
    if status == MACHINE_LACKS:
        return MACHINE_LACKS

    found = list(problems(options, options.fences == "vgem", lost_max))
    if status != SUCCESS:
        found.append(f"the stream ended with exit status {status}")
    steps.done(f"checked: {options.out}/report.json, {options.out}/frame.png")
    for problem in found:
        print(f"not kept: {problem}", file=sys.stderr)
    print("FAILED" if found else "every promise was checked and held")
    return JOB_FAILED if found else SUCCESS


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
