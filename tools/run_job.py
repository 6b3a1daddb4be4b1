#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The main job: a fenced stream from the best device there is, every frame checked.

A capture device of this machine if there is one, else the library's virtual camera. With --vm, or
where there is neither, vivid on a stock kernel in a virtual machine, and on to its display with
fences both ways. Writes report.json and frame.png into the folder of --out, of the machine also
screen.png, the screen as the machine showed it, and timeline.png, what buffers and fences did.
Needs build/v4lfence; ./run builds it.
"""

import argparse
import json
import os
import shlex
import subprocess
import sys
import time
from pathlib import Path

TOP = Path(__file__).resolve().parents[1]
# Another build than the usual one may be tried.
PROGRAM = (Path(os.environ["V4LFENCE_BUILD"]) / "tools" / "v4lfence"
           if "V4LFENCE_BUILD" in os.environ else TOP / "build" / "v4lfence")
VM = TOP / "tests" / "vm" / "vm.py"
sys.path.insert(0, str(TOP / "tests" / "suites"))
import picture  # noqa: E402

SUCCESS, JOB_FAILED, MACHINE_LACKS, INTERRUPTED = 0, 1, 77, 130

# Formats of which a picture can be saved, the ones that cost least first.
FORMATS = ("YUYV", "UYVY", "NV12", "NM12", "YU12", "RGB3", "XR24", "GREY")
SIZES = ((640, 360), (640, 480), (320, 180), (320, 240))

# What software emulation holds without a loss.
VIVID = ["--size", "640x360", "--rate", "25", "--format", "YUYV"]
# To a display, in a mode that virtio-gpu has.
SHOWN = ["--size", "640x480", "--rate", "25"]
# For as long as it takes to picture the screen, which ends it.
HOLD_S = 300
VM_TIMEOUT_S = 900  # it is there for hangs
SHOWS = "stays on screen"
TRACED_FRAMES = 60
# Runs the display, traces some of its frames, has the machine's screen pictured while the last one
# stays there, and ends the display then.
IN_GUEST = f"""\
DEVICE=$(ls /dev/video* | head -n 1)
mkfifo said
%s 2>said &
job=$!
%s --pid $job >&2 &
tracer=$!
while IFS= read -r line; do
    echo "$line" >&2
    case $line in
    *"{SHOWS}"*) "$VM_TOOLS/guest/screendump.py" screen >/dev/null; kill -INT $job ;;
    esac
done <said
wait $tracer || echo "the trace ended with $?" >&2
wait $job
status=$?
[ $status -ne {INTERRUPTED} ] || exit 0
exit $status
"""
# A picture to show. Its frames are made by a thread: a machine that forgets this for longer than an
# interval loses some, which the summary tells, and a few are no failure.
CAMERA = ["--size", "1280x720", "--rate", "30", "--format", "YUYV"]
CAMERA_LOST_MAX = 100


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


def find_device(wanted):
    """What can be opened here: that one, or the best; None: it is not there, or there is none."""
    found = subprocess.run([PROGRAM, "devices", "--json"], capture_output=True, text=True,
                           check=True)
    told = json.loads(found.stdout)
    return next((device for device in told["devices"]
                 if device["path"] == (wanted or told["best"]) and device["queues"]
                 and device["kind"] in ("capture", "capture-mplane")), None)


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


def display_command(out, options):
    return [str(PROGRAM), "display", "$DEVICE", "--card", "virtio_gpu", *SHOWN,
            "--frames", str(options.frames), "--fences", options.fences, "--hold", str(HOLD_S),
            "--shot", f"{out}/frame.png", "--report", f"{out}/report.json"]


def trace_command(out, options):
    return [str(PROGRAM), "trace", "--frames", str(min(TRACED_FRAMES, options.frames)),
            "--picture", f"{out}/timeline.png"]


def run_in_vm(options):
    # Only what the guest has to fill in is left to its shell.
    def line(command):
        return " ".join(f'"{word}"' if "$" in word else shlex.quote(word) for word in command)

    script = IN_GUEST % (line(display_command("$OUT", options)),
                         line(trace_command("$OUT", options)))
    modules = "vivid virtio-gpu" + (" vgem" if options.fences == "vgem" else "")
    command = [str(VM), "run", "--kernel", options.kernel, "--modules", modules,
               "--timeout", str(VM_TIMEOUT_S),
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
    if options.vm:
        yield from display_problems(report, options, kernel_fences)
    else:
        yield from stream_problems(report, options, kernel_fences, lost_max)
    yield from picture_problems(options)


def picture_problems(options):
    read = {}
    for name in pictures(options):
        try:
            read[name] = picture.read(options.out / name)
        except (OSError, ValueError) as error:
            yield f"{name}: {error}"
    if "screen.png" in read and "frame.png" in read:
        if problem := picture.same_problem(read["screen.png"], read["frame.png"]):
            yield f"screen.png is not of the last frame: {problem}"


def stream_problems(report, options, kernel_fences, lost_max):
    if report["frames"] != options.frames or report["lost"] > lost_max:
        yield f"{report['frames']} of {options.frames} frames, {report['lost']} lost"
    fences = report["out_fences"]
    if fences["made"] != fences["ended"] + fences["cancelled"]:
        yield f"{fences['made']} out-fences made, {fences['ended'] + fences['cancelled']} ended"
    if kernel_fences and not fences["made"] == fences["sync_file_info_ok"] > 0:
        yield f"{fences['sync_file_info_ok']} of {fences['made']} out-fences are sync_files"


def display_problems(report, options, kernel_fences):
    if not report["interrupted"]:
        yield "the last frame did not stay on screen until the screen was pictured"
    if report["shown"] != options.frames or report["errors_shown"]:
        yield (f"{report['shown']} of {options.frames} frames shown, "
               f"{report['errors_shown']} of them with errors")
    fences = report["fences"]
    if kernel_fences and not (fences["pending_at_commit"] and fences["pending_at_qbuf"]):
        yield f"nobody waited for a fence: {fences['way']}"


def pictures(options):
    return ["frame.png"] + (["screen.png", "timeline.png"] if options.vm else [])


def remove_old(options):
    for name in ("report.json", *pictures(options)):
        (options.out / name).unlink(missing_ok=True)


def main(arguments):
    options = parse(arguments)
    options.out = options.out.resolve()
    options.out.mkdir(parents=True, exist_ok=True)
    remove_old(options)
    if not PROGRAM.exists():
        print(f"{PROGRAM} is not built: ./run builds it.", file=sys.stderr)
        return MACHINE_LACKS

    steps = Steps()
    device = None if options.vm else find_device(options.device)
    if options.device and device is None:
        print(f"{options.device} is no capture device of this machine.", file=sys.stderr)
        return MACHINE_LACKS
    if device is None and not options.vm:
        options.vm = True
        remove_old(options)
    options.fences = options.fences or ("vgem" if options.vm else "user")

    if device:
        steps.done(f"device: {device['path']} \"{device['card']}\""
                   + (", in this process" if device["virtual"] else ""))
        status = run_here(device, options)
        lost_max = CAMERA_LOST_MAX if device["virtual"] else 0
        where = device["path"]
    else:
        steps.done(f"device: vivid on a stock {options.kernel} kernel in QEMU, and its display")
        status = run_in_vm(options)
        lost_max = 0
        where = f"vivid to virtio-gpu, kernel {options.kernel}"
    steps.done(f"stream: {options.frames} frames from {where}, fences by {options.fences}")
    if status == MACHINE_LACKS:
        return MACHINE_LACKS

    found = list(problems(options, options.fences == "vgem", lost_max))
    if status != SUCCESS:
        found.append(f"the job ended with exit status {status}")
    names = ", ".join(["report.json", *pictures(options)])
    steps.done(f"checked: {names} in {options.out}"
               + (", and that screen.png shows frame.png" if options.vm else ""))
    for problem in found:
        print(f"not kept: {problem}", file=sys.stderr)
    print("FAILED" if found else "every promise was checked and held")
    return JOB_FAILED if found else SUCCESS


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
