#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Checks what the command promises without a device: help, exit statuses, who prints where.

  cli_test.py [PROGRAM]      default: build/v4lfence
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

TOP = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(TOP / "tools" / "exec"))
import cli_cases  # noqa: E402

COMMANDS = ("devices", "stream", "display", "conform", "exec", "serve", "trace", "doctor")
OF_PROCESSES = {"doctor": "1"}  # where others take a device
SUCCESS, WRONG_USAGE, MACHINE_LACKS = 0, 2, 77
MISSING_NODE = "/dev/video-that-is-not-there"
VIRTUAL = "virtual:camera"


class Checker:
    def __init__(self, program):
        self.program = program
        self.failures = 0

    def call(self, *arguments):
        return subprocess.run([self.program, *arguments], stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=90, check=False)

    def tell(self, name, problem):
        if problem:
            self.failures += 1
            print(f"not ok {name} - {problem}")
        else:
            print(f"ok {name}")

    def ends(self, name, arguments, status, stderr="", stdout=""):
        """It ends with `status`, and these words are where they belong."""
        done = self.call(*arguments)
        problem = None
        if done.returncode != status:
            problem = (f"exit status {done.returncode}, expected {status}; "
                       f"it said: {done.stderr.strip()}")
        elif stderr not in done.stderr:
            problem = f"stderr lacks {stderr!r}: {done.stderr.strip()}"
        elif stdout not in done.stdout:
            problem = f"stdout lacks {stdout!r}"
        elif status != SUCCESS and done.stdout:
            problem = f"an error is on stdout: {done.stdout.strip()}"
        elif status != SUCCESS and not done.stderr.strip():
            problem = "no word on stderr"
        self.tell(name, problem)


def check_every_command(checker):
    checker.ends("help", ["--help"], SUCCESS, stdout="Exit status")
    checker.ends("version", ["--version"], SUCCESS, stdout=".")
    checker.ends("no-command", [], WRONG_USAGE)
    checker.ends("unknown-command", ["no-such-command"], WRONG_USAGE)
    for command in COMMANDS:
        checker.ends(f"{command}-help", [command, "--help"], SUCCESS, stdout="Examples:")
        checker.ends(f"{command}-help-names-json", [command, "--help"], SUCCESS, stdout="--json")
        operand = OF_PROCESSES.get(command, MISSING_NODE)
        checker.ends(f"{command}-unknown-option", [command, "--no-such-option", operand],
                     WRONG_USAGE, stderr="--no-such-option")


def check_stream(checker):
    wrong = {
        "no-device": [],
        "bad-size": [MISSING_NODE, "--size", "640"],
        "bad-format": [MISSING_NODE, "--format", "TOOLONG"],
        "bad-memory": [MISSING_NODE, "--memory", "overlay"],
        "bad-in-fence": [MISSING_NODE, "--in-fence", "chain=0"],
        "bad-delays": [MISSING_NODE, "--timer-ms", "60..5"],
        "bad-pixels": [MISSING_NODE, "--pixels", "some"],
        "bad-frames": [MISSING_NODE, "--frames", "many"],
        "no-frames": [MISSING_NODE, "--frames", "0"],
        "bad-rate": [MISSING_NODE, "--rate", "0"],
        "rate-in-words": [MISSING_NODE, "--rate", "fast"],
        "raw-virtual": [VIRTUAL, "--raw"],
        "raw-with-fences": [MISSING_NODE, "--raw", "--out-fence"],
        "deadline-without-in-fence": [MISSING_NODE, "--deadline", "100"],
        "names-without-out-fence": [MISSING_NODE, "--fence-names"],
        "names-of-pipes": [VIRTUAL, "--out-fence", "--fence-names", "--frames", "1"],
        "no-v4l2-device": ["/dev/null"],
    }
    for name, arguments in wrong.items():
        checker.ends(f"stream-{name}", ["stream", *arguments], WRONG_USAGE)
    checker.ends("stream-missing-node", ["stream", MISSING_NODE], MACHINE_LACKS,
                 stderr=MISSING_NODE)
    checker.ends("stream-unknown-virtual", ["stream", "virtual:toaster"], MACHINE_LACKS,
                 stderr="virtual:toaster")
    checker.ends("stream-missing-node-json", ["stream", MISSING_NODE, "--json"], MACHINE_LACKS)


def check_devices(checker):
    checker.ends("devices", ["devices"], SUCCESS, stdout="Fence providers:")
    checker.ends("devices-missing-node", ["devices", MISSING_NODE], SUCCESS,
                 stdout="No such file or directory")
    done = checker.call("devices", "--json", MISSING_NODE)
    problem = None
    try:
        report = json.loads(done.stdout)
        names = [provider["name"] for provider in report["providers"]]
        if names != ["user", "eventfd", "vgem", "sw_sync"]:
            problem = f"providers are {names}"
        elif any(p["available"] == bool(p["reason"]) for p in report["providers"]):
            problem = "a provider that is missing has a reason, and only that"
        elif any(device["virtual"] for device in report["devices"]):
            problem = "a node of the kernel's is virtual"
        elif report["devices"][0]["error"] is None:
            problem = "the missing node has no error"
    except (ValueError, LookupError) as error:
        problem = f"not the JSON expected: {error!r}"
    checker.tell("devices-json", problem)


def check_virtual_devices(checker):
    done = checker.call("devices", "--json")
    problem = None
    try:
        told = json.loads(done.stdout)
        listed = {device["path"]: device for device in told["devices"]}
        if told["best"] not in listed:
            problem = f"the best device is {told['best']}, which is none of {sorted(listed)}"
        for path, kind in {VIRTUAL: "capture", f"{VIRTUAL}-mplane": "capture-mplane"}.items():
            device = listed[path]
            if device["kind"] != kind or not device["virtual"] or not device["queues"]:
                problem = f"{path} is told as {device}"
            elif device["queues"][0]["ordered"] is not True:
                problem = f"{path} has no fences in order"
    except (ValueError, LookupError) as error:
        problem = f"not the JSON expected: {error!r}"
    checker.tell("devices-virtual-json", problem)
    checker.ends("devices-virtual", ["devices"], SUCCESS, stdout=f"{VIRTUAL}  capture, virtual")


def check_conform(checker):
    checker.ends("conform-list", ["conform", "--list"], SUCCESS, stdout="@")
    checker.ends("conform-no-device", ["conform"], WRONG_USAGE, stderr="/dev/video0")
    checker.ends("conform-unknown-case", ["conform", "--list", "--case", "no@such"], WRONG_USAGE)
    checker.ends("conform-bad-format", ["conform", MISSING_NODE, "--format", "yaml"], WRONG_USAGE)
    done = checker.call("conform", MISSING_NODE)
    checker.tell("conform-missing-node", None if done.returncode == MACHINE_LACKS and done.stderr
                 else f"exit status {done.returncode}, stderr {done.stderr.strip()!r}")
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "no" / "such" / "folder" / "report")
        checker.ends("conform-output-that-cannot-be-written",
                     ["conform", "/dev/null", "--output", path], WRONG_USAGE, stderr=path)


def main(arguments):
    program = arguments[0] if arguments else str(TOP / "build" / "v4lfence")
    if not Path(program).exists():
        print(f"skip cli - {program} is not built")
        return MACHINE_LACKS
    checker = Checker(program)
    check_every_command(checker)
    check_devices(checker)
    check_virtual_devices(checker)
    check_stream(checker)
    check_conform(checker)
    cli_cases.check_all(checker)
    return 1 if checker.failures else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
