# SPDX-License-Identifier: MIT
"""Runs `v4lfence conform` and reports each case under the name of its configuration."""

import json
import shutil
import tempfile
from pathlib import Path

import guest

_timeout_s = 1200


def conform(report, name, node, fences, options, expected, program=(guest.program,)):
    """Judges `node`. `expected` are fields of the JSON report that show the right configuration;
    `program` is the command, and what starts it."""
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "report.json"
        ended = guest.run(*program, "conform", node, "--fences", fences, "--format", "json",
                          "--output", output, *options, timeout_s=_timeout_s)
        text = output.read_text() if output.exists() else ""
    guest.keep(f"conform-{name.replace('/', '-')}.json", text)
    try:
        judged = json.loads(text)
    except ValueError:
        report.tell(f"{name}/report", f"conform {ended.how()}: {ended.last_words()}")
        return
    for case in judged["cases"]:
        tell_case(report, f"{name}/{case['name']}", case)
    report.tell(f"{name}/report", problem_of(judged, ended, expected))


def tell_case(report, name, case):
    if case["result"] == "skipped":
        report.skip(name, case["message"])
    else:
        report.tell(name, None if case["result"] == "passed" else case["message"] or "failed")


def problem_of(judged, ended, expected):
    """Why the run as a whole is not what it should be; None when it is."""
    if not judged["finished"]:
        return f"conform {ended.how()} in case {judged['running']}: {ended.last_words()}"
    if judged["lacking"]:
        return judged["lacking"]
    if (status := 1 if judged["failed"] else 0) != ended.status:
        return f"conform {ended.how()}, expected {status}: {ended.last_words()}"
    wrong = {key: judged[key] for key, value in expected.items() if judged[key] != value}
    return f"another device than expected: {wrong}" if wrong else None


def conform_raw(report, name, node):
    """The kernel's own node is told once that it has no fences, and keeps what plain cases say of
    it: they expect nothing that a stock kernel does not do."""
    conform(report, name, node, "user", ["--raw"], {"driver": "vivid", "provider": ""})
