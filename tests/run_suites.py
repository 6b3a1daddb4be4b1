#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Runs the suites of suites.py, counts what they report, and says it: the work of ./test.

Prints one line per suite as it ends, with its failures; then the reasons of the skips, every
failure once more, and `N passed, N failed, N skipped`. Logs and XML stay in
build/test-results/SUITE/, every result by its name in build/test-results/results.json. Exits 1 if
anything failed or nothing ran.
"""

import argparse
import fnmatch
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
import xml.etree.ElementTree as ElementTree
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

from suites import Suite, suites

top = Path(__file__).resolve().parents[1]
_status_lacking = 77
_cleanup_s = 5
_line = re.compile(r"^(ok|not ok|skip) (\S.*?)(?: - (.*))?$")
_place = re.compile(r"^\S+:\d+\n")  # GoogleTest puts it before a reason
_outcomes = {"ok": "passed", "not ok": "failed", "skip": "skipped"}


@dataclass(frozen=True)
class Result:
    suite: str
    name: str
    outcome: str  # passed, failed, skipped
    message: str = ""


def count(results, outcome):
    return sum(result.outcome == outcome for result in results)


def totals(results):
    return ", ".join(f"{count(results, kind)} {kind}" for kind in ("passed", "failed", "skipped"))


def results_of_lines(suite, text):
    for line in text.splitlines():
        if match := _line.match(line.rstrip()):
            word, name, message = match.groups()
            yield Result(suite, name, _outcomes[word], message or "")


def results_of_junit(suite, text):
    """Of one JUnit file as GoogleTest and `conform --junit` write it."""
    for case in ElementTree.fromstring(text).iter("testcase"):
        name = ".".join(filter(None, (case.get("classname"), case.get("name"))))
        bad = [part for kind in ("failure", "error") for part in case.iter(kind)]
        skipped = case.find("skipped")
        if bad:
            message = "; ".join(part.get("message") or part.text or "" for part in bad)
            yield Result(suite, name, "failed", message.strip())
        elif skipped is not None or case.get("status") == "notrun":
            reason = "disabled"
            if skipped is not None:
                reason = skipped.get("message") or skipped.text or "no reason given"
            yield Result(suite, name, "skipped", _place.sub("", reason).strip())
        else:
            yield Result(suite, name, "passed")


def judge(suite, status, output, files):
    """Every result of a suite that ended with `status`; None is one that took too long."""
    results = list(results_of_lines(suite.name, output))
    for path in files:
        try:
            results += results_of_junit(suite.name, path.read_text(errors="replace"))
        except ElementTree.ParseError as error:
            results.append(Result(suite.name, path.name, "failed", f"is no XML: {error}"))
    last = next((line for line in reversed(output.splitlines()) if line.strip()), "no output")
    if status is None:
        results.append(Result(suite.name, suite.name, "failed",
                              f"took longer than {suite.timeout_s} s; last line: {last}"))
    elif status == _status_lacking and not results:
        results.append(Result(suite.name, suite.name, "skipped", last))
    elif status != 0 and not count(results, "failed"):
        results.append(Result(suite.name, suite.name, "failed", f"ended with {status}: {last}"))
    elif not results:
        results.append(Result(suite.name, suite.name, "failed", "reported nothing"))
    return results


class Runner:
    """Runs suites and keeps their results. Thread: run() may be called from several at once."""

    def __init__(self, folder, out=sys.stdout):
        self._folder = folder
        self._out = out
        self._lock = threading.Lock()
        self._groups = set()
        self._stopped = False
        self.results = []

    def run(self, suite):
        started = time.monotonic()
        results = self._without_running(suite) or self._execute(suite)
        seconds = time.monotonic() - started
        with self._lock:
            self.results += results
            print(f"{suite.name:<24} {totals(results):<42} {seconds:6.1f} s", file=self._out)
            print_failures(results, self._out)
            self._out.flush()

    def stop(self):
        """Ends every suite under way, with all that it started."""
        with self._lock:
            self._stopped = True
            for group in self._groups:
                _signal_group(group, signal.SIGTERM)

    def _without_running(self, suite):
        missing = [program for program in suite.needs if not shutil.which(program)]
        if missing:
            reason = f"this machine lacks {', '.join(missing)}"
            return [Result(suite.name, suite.name, "skipped", reason)]
        with self._lock:
            broken = {result.suite for result in self.results if result.outcome == "failed"}
        if blockers := [name for name in suite.after if name in broken]:
            reason = f"not run, because {', '.join(blockers)} failed"
            return [Result(suite.name, suite.name, "failed", reason)]
        return None

    def _execute(self, suite):
        folder = self._folder / suite.name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        environment = {**os.environ, "V4LFENCE_RESULTS": str(folder)}
        log = folder / "log.txt"
        try:
            status = self._wait(suite, environment, log)
        except OSError as error:
            return [Result(suite.name, suite.name, "failed", f"did not start: {error}")]
        return judge(suite, status, log.read_text(errors="replace"), sorted(folder.glob("*.xml")))

    def _wait(self, suite, environment, log):
        with log.open("w") as output:
            with self._lock:
                if self._stopped:
                    return -signal.SIGTERM
                child = subprocess.Popen(suite.command, cwd=top, env=environment, stdout=output,
                                         stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
                                         start_new_session=True)
                self._groups.add(child.pid)
            try:
                return child.wait(suite.timeout_s)
            except subprocess.TimeoutExpired:
                return None
            finally:
                _end(child)
                with self._lock:
                    self._groups.discard(child.pid)


def _signal_group(group, number):
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        pass


def _end(child):
    """A suite leaves nothing running, however it ended; first it may clean up after itself."""
    if child.poll() is None:
        _signal_group(child.pid, signal.SIGTERM)
        try:
            child.wait(_cleanup_s)
        except subprocess.TimeoutExpired:
            pass
    _signal_group(child.pid, signal.SIGKILL)
    child.wait()


def choose(every, only, quick):
    """The suites to run, in their order, with those whose work they use. What runs on request has
    to be called by its name."""
    patterns = only or ["*"]
    for pattern in patterns:
        if not any(fnmatch.fnmatchcase(suite.name, pattern) for suite in every):
            raise LookupError(f"no suite is called {pattern}")
    names = {suite.name for suite in every
             if any(fnmatch.fnmatchcase(suite.name, pattern) for pattern in patterns)
             and (not quick or is_quick(suite))
             and (not suite.on_request or suite.name in patterns)}
    by_name = {suite.name: suite for suite in every}
    waiting = list(names)
    while waiting:
        fresh = set(by_name[waiting.pop()].after) - names
        names |= fresh
        waiting += fresh
    return [suite for suite in every if suite.name in names]


def is_quick(suite: Suite):
    return suite.where == "host" if suite.quick is None else suite.quick


def run_all(runner, chosen, jobs):
    for suite in chosen:
        if suite.where == "host":
            runner.run(suite)
    with ThreadPoolExecutor(jobs) as pool:
        try:
            list(pool.map(runner.run, [suite for suite in chosen if suite.where == "vm"]))
        except KeyboardInterrupt:
            runner.stop()
            raise


def print_failures(results, out):
    for result in results:
        if result.outcome == "failed":
            text = result.message.replace("\n", "\n    ")
            print(f"failed: {result.suite}: {result.name}: {text}", file=out)


def print_skips(results, out):
    """A line for each reason, with the cases it took from each suite."""
    reasons = {}
    for result in results:
        if result.outcome == "skipped":
            suites_of = reasons.setdefault(result.message.replace("\n", " "), {})
            suites_of.setdefault(result.suite, []).append(result.name)
    for reason, suites_of in reasons.items():
        what = ", ".join(f"{suite} {cases[0] if len(cases) == 1 else len(cases)}"
                         for suite, cases in suites_of.items())
        print(f"skipped: {reason}: {what}", file=out)


def report(results, out=sys.stdout):
    """What did not pass, the failures at the end where nobody misses them, then the last line.
    Returns the exit status."""
    print_skips(results, out)
    print_failures(results, out)
    print(totals(results), file=out, flush=True)
    return 1 if count(results, "failed") or not count(results, "passed") else 0


def options_of(arguments):
    parser = argparse.ArgumentParser(
        prog="./test", description="Installs what is missing, builds, and runs every suite.")
    parser.add_argument("--quick", action="store_true", help="without virtual machines")
    parser.add_argument("--only", action="append", metavar="SUITE",
                        help="this suite and what it uses; a pattern like 'unit-*'; repeatable")
    parser.add_argument("--mutants", action="append_const", dest="only", const="mutants",
                        help="break every promise on purpose and see its test fail; no other suite "
                        "unless --only names one")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), metavar="N",
                        help="virtual machines at a time (default: one per core)")
    parser.add_argument("--list", action="store_true", help="name the suites and stop")
    options = parser.parse_args(arguments)
    if options.jobs < 1:
        parser.error("--jobs must be at least 1")
    return parser, options


def main(arguments=None):
    parser, options = options_of(arguments)
    try:
        chosen = choose(suites, options.only, options.quick)
    except LookupError as error:
        parser.error(str(error))
    if options.list:
        for suite in chosen:
            print(f"{suite.name:<24} {suite.where:<5} {' '.join(suite.command)}")
        return 0
    folder = top / "build" / "test-results"
    folder.mkdir(parents=True, exist_ok=True)
    runner = Runner(folder)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        run_all(runner, chosen, options.jobs)
    except KeyboardInterrupt:
        runner.results.append(Result("test", "run", "failed", "interrupted"))
    rows = [asdict(result) for result in runner.results]
    (folder / "results.json").write_text(json.dumps(rows, indent=1) + "\n")
    return report(runner.results)


if __name__ == "__main__":
    sys.exit(main())
