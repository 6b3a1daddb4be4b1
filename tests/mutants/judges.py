# SPDX-License-Identifier: MIT
"""Runs the test that has to kill a mutant, wherever it can run: a unit test or a case on the
virtual camera here, a case on a kernel's device in a guest.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from copies import plain
from patches import top

sys.path.insert(0, str(top / "tests"))

import build  # noqa: E402
import unit  # noqa: E402

library = "libv4lfence.so.0"
library_target = "v4lfence/capi/libv4lfence.so.0.1.0"
program_target = "tools/v4lfence"
# What the program needs besides; built with it, and kept beside it.
display_library = "v4lfence/kms/libv4lfence-kms.so.0"
kernel = "6.12"
_guest_s = 1500
_passed = re.compile(r"^\[ {2}PASSED {2}\] (\d+) test", re.M)
_reason = re.compile(r"^\S+:\d+: Failure\n((?:(?!\[).+\n){1,6})", re.M)
_words_max = 120


@dataclass(frozen=True)
class Verdict:
    passed: bool
    words: str


def run(command, timeout_s, **arguments):
    """(exit status or None after the time, output). Nothing of it is left running, not even when
    this program is killed."""
    guard = ["timeout", "--signal=KILL", str(timeout_s + 5)]
    with subprocess.Popen([*guard, *map(str, command)], stdin=subprocess.DEVNULL, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, errors="replace",
                          start_new_session=True, **arguments) as child:
        try:
            output, _ = child.communicate(timeout=timeout_s)
            return child.returncode, output
        except subprocess.TimeoutExpired:
            return None, ""
        finally:
            try:
                os.killpg(child.pid, 9)
            except ProcessLookupError:
                pass


def last_words(output):
    lines = [line for line in output.splitlines() if line.strip()]
    return short(lines[-1]) if lines else "no output"


def short(text):
    words = " ".join(text.split())
    return words if len(words) <= _words_max else words[:_words_max] + "…"


def how(status, output):
    return "did not end" if status is None else f"ended with {status}: {last_words(output)}"


# --- unit tests ----------------------------------------------------------------------------------

def unit_filter(names):
    """Each alone, or with any parameter or type."""
    return ":".join(f"{form}" for name in names for form in (
        name, f"*/{name}/*", "/*.".join(name.split("."))))


def judge_unit(copy, config, program, names, timeout_s):
    """A test that ran and did not fail has passed; one that was skipped has said nothing."""
    known = build.configs.get(config)
    prefix = unit.prefix(known) if known else []
    environment = {**os.environ, **dict(known.environment if known else ())}
    with tempfile.TemporaryDirectory() as folder:
        status, output = run(
            [*prefix, copy.built(config) / program, f"--gtest_filter={unit_filter(names)}"],
            timeout_s, cwd=folder, env=environment)
    ran = _passed.search(output)
    if status == 0 and ran and int(ran.group(1)) >= len(names):
        return Verdict(True, f"{ran.group(1)} passed")
    if status == 0:
        return Verdict(False, "was skipped or did not run")
    reason = _reason.search(output)
    return Verdict(False, short(reason.group(1)) if reason else how(status, output))


# --- conformance cases ---------------------------------------------------------------------------

def verdict_of_report(status, output, text):
    """Of a run of `v4lfence conform` with one case, and the JSON report that it left."""
    try:
        cases = json.loads(text)["cases"]
    except (ValueError, KeyError):
        return Verdict(False, how(status, output))
    if status == 0 and [case["result"] for case in cases] == ["passed"]:
        return Verdict(True, "passed")
    bad = next((case for case in cases if case["result"] != "passed"), None)
    return Verdict(False, bad["message"] if bad else how(status, output))


def judge_case(command, library_folder, timeout_s):
    """Runs a case with the library of that folder."""
    folders = f"{library_folder}:{Path(command[0]).parent}"
    environment = {**os.environ, "LD_LIBRARY_PATH": folders}
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        status, output = run([*command, "--format", "json", "--output", report], timeout_s,
                             env=environment)
        return verdict_of_report(status, output, report.read_text() if report.exists() else "")


def has_virtual_devices(program, library_folder):
    """Can this build judge without a kernel's device?"""
    command = [program, "conform", "virtual:camera", "--case", "query@bad-in-fence-probes"]
    return judge_case(command, library_folder, 60).passed


def judge_in_guest(jobs, program):
    """{job name: Verdict} of jobs {"name", "case", "device", "library"} in one boot, or why there
    are none. Those that pass on the whole library come first."""
    if not shutil.which("qemu-system-x86_64"):
        return "this machine lacks qemu-system-x86_64"
    with tempfile.TemporaryDirectory(dir=top / "build") as folder:
        (Path(folder) / "jobs.json").write_text(json.dumps(jobs))
        script = Path(__file__).with_name("guest_cases.py")
        status, output = run([script, kernel, program, folder], _guest_s)
        results = Path(folder) / "results.json"
        found = json.loads(results.read_text()) if results.exists() else {}
    if not found:
        return f"the guest {how(status, output)}"
    return {name: Verdict(*value) for name, value in found.items()}
