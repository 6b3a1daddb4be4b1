#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Builds the unit tests of one configuration (see build.py) and runs them: unit.py CONFIG

GoogleTest's XML goes to the folder $V4LFENCE_RESULTS; a program that ends badly without a failed
test in its XML (a crash, a leak found at exit) is reported as a line of its own.
"""

import json
import os
import platform
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import build


def programs(folder):
    """{name: path} of the unit tests that Meson knows."""
    known = subprocess.run(["meson", "introspect", "--tests", str(folder)],
                           check=True, capture_output=True, text=True).stdout
    return {test["name"]: test["cmd"][0] for test in json.loads(known)
            if test["protocol"] == "gtest"
            and any(suite.endswith(":unit") for suite in test["suite"])}


def prefix(config):
    if not config.fixed_addresses:
        return []
    fixed = ["setarch", platform.machine(), "--addr-no-randomize"]
    return fixed if subprocess.run([*fixed, "true"], capture_output=True).returncode == 0 else []


def execute(command, **arguments):
    """(exit status, last words) of a program whose output is passed on as it comes."""
    words = ""
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          errors="replace", **arguments) as child:
        for line in child.stdout:
            print(line, end="", flush=True)
            if line.strip() and not words.startswith("SUMMARY"):  # a sanitizer's one-line report
                words = line.strip()
    return child.returncode, words


def verdict(name, status, words, report):
    """The line for a program that ended with `status`; None when its XML says it all."""
    if not report.exists():
        return f"not ok {name} - ended with {status} and left no results: {words}"
    root = ElementTree.parse(report).getroot()
    if int(root.get("tests", "0")) == 0:
        return f"not ok {name} - has no tests"
    if status != 0 and root.find(".//failure") is None:
        return f"not ok {name} - ended with {status} after its tests had passed: {words}"
    return None


def run(config_name, results):
    config, folder = build.configs[config_name], build.folder_of(config_name)
    environment = {**os.environ, **dict(config.environment)}
    well = True
    for name, program in programs(folder).items():
        report = results / f"{name}.xml"
        command = [*prefix(config), program, f"--gtest_output=xml:{report}"]
        with tempfile.TemporaryDirectory() as scratch:
            status, words = execute(command, cwd=scratch, env=environment)
        well = well and status == 0
        if line := verdict(name, status, words, report):
            print(line, flush=True)
            well = False
    return well


def main():
    if len(sys.argv) != 2 or sys.argv[1] not in build.configs:
        print(f"usage: unit.py {'|'.join(build.configs)}", file=sys.stderr)
        return 2
    name = sys.argv[1]
    try:
        build.build(name, ["unit"], werror=True)
    except build.Broken as error:
        print(f"not ok build-{name} - {error}")
        return 1
    print(f"ok build-{name}", flush=True)
    results = os.environ.get("V4LFENCE_RESULTS")
    if results:
        return 0 if run(name, Path(results)) else 1
    with tempfile.TemporaryDirectory() as scratch:
        return 0 if run(name, Path(scratch)) else 1


if __name__ == "__main__":
    sys.exit(main())
