#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The counting of ./test: nothing that went wrong may look like a pass."""

import contextlib
import io
import os
import tempfile
import threading
import unittest
from pathlib import Path

import run_suites
import unit
from suites import Suite, suites

_junit = """<testsuites tests="4"><testsuite name="S">
<testcase name="good" classname="S" status="run"/>
<testcase name="bad" classname="S"><failure message="a.cpp:3&#x0A;want 1"/></testcase>
<testcase name="lacking" classname="S"><skipped message="a.cpp:9&#x0A;no vivid"/></testcase>
<testcase name="off" classname="S" status="notrun"/>
</testsuite></testsuites>"""


def outcomes(results):
    return [(result.name, result.outcome, result.message) for result in results]


class Parsing(unittest.TestCase):
    def test_lines(self):
        text = "log\nok a\nnot ok b - why - so\nskip c - no card\nok: not a result\nnothing ok\n"
        self.assertEqual(outcomes(run_suites.results_of_lines("s", text)),
                         [("a", "passed", ""), ("b", "failed", "why - so"),
                          ("c", "skipped", "no card")])

    def test_junit(self):
        self.assertEqual(outcomes(run_suites.results_of_junit("s", _junit)),
                         [("S.good", "passed", ""), ("S.bad", "failed", "a.cpp:3\nwant 1"),
                          ("S.lacking", "skipped", "no vivid"), ("S.off", "skipped", "disabled")])


class Judging(unittest.TestCase):
    suite = Suite("s", ("true",), timeout_s=7)

    def judge(self, status, output, files=()):
        return outcomes(run_suites.judge(self.suite, status, output, files))

    def test_bad_end_without_a_failed_result_is_a_failure(self):
        self.assertEqual(self.judge(-11, "ok a\n")[1:], [("s", "failed", "ended with -11: ok a")])
        self.assertEqual(self.judge(1, "not ok a - b\n"), [("a", "failed", "b")])

    def test_silence_is_a_failure(self):
        self.assertEqual(self.judge(0, "log\n"), [("s", "failed", "reported nothing")])

    def test_timeout_is_a_failure_that_names_the_limit(self):
        self.assertIn("longer than 7 s", self.judge(None, "ok a\n")[1][2])

    def test_lacking_is_a_skip_with_its_reason_only_without_results(self):
        self.assertEqual(self.judge(77, "no qemu here\n"), [("s", "skipped", "no qemu here")])
        self.assertEqual(self.judge(77, "ok a\n")[1][1], "failed")

    def test_broken_xml_is_a_failure(self):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "x.xml"
            path.write_text("<testsuites>")
            self.assertEqual(self.judge(0, "ok a\n", [path])[1][:2], ("x.xml", "failed"))


class Choosing(unittest.TestCase):
    every = [Suite("build", ("b",)), Suite("unit", ("u",), after=("build",)), Suite("lint", ("l",)),
             Suite("vm-a", ("v",), where="vm", after=("unit",))]

    def names(self, only=None, quick=False):
        return [suite.name for suite in run_suites.choose(self.every, only, quick)]

    def test_only_brings_what_it_uses_in_order(self):
        self.assertEqual(self.names(["vm-*"]), ["build", "unit", "vm-a"])

    def test_what_runs_on_request_is_called_by_its_name(self):
        every = [*self.every, Suite("rare", ("true",), on_request=True)]
        named = [suite.name for suite in run_suites.choose(every, ["rare"], False)]
        self.assertEqual(named, ["rare"])
        for only in (None, ["*"], ["unit"]):
            chosen = run_suites.choose(every, only, False)
            self.assertNotIn("rare", [suite.name for suite in chosen])
        _, options = run_suites.options_of(["--mutants"])
        self.assertEqual(options.only, ["mutants"])

    def test_quick_leaves_the_machines_out(self):
        self.assertEqual(self.names(quick=True), ["build", "unit", "lint"])

    def test_unknown_name_is_refused(self):
        with self.assertRaises(LookupError):
            self.names(["nothing"])

    def test_the_real_list_is_sound(self):
        names = [suite.name for suite in suites]
        host = {suite.name for suite in suites if suite.where == "host"}
        self.assertEqual(len(names), len(set(names)))
        for at, suite in enumerate(suites):
            self.assertIn(suite.where, ("host", "vm"))
            before = names[:at] if suite.where == "host" else names
            self.assertLessEqual(set(suite.after), host & set(before))
            self.assertTrue((run_suites.top / suite.command[0]).exists(), suite.command[0])


class Running(unittest.TestCase):
    def run_suites(self, *chosen):
        with tempfile.TemporaryDirectory() as folder:
            runner = run_suites.Runner(Path(folder), io.StringIO())
            run_suites.run_all(runner, chosen, 2)
            return runner.results

    def shell(self, name, script, **options):
        return Suite(name, ("/bin/bash", "-c", script), **options)

    def status(self, results):
        out = io.StringIO()
        return run_suites.report(results, out), out.getvalue().splitlines()[-1]

    def test_results_of_both_kinds_are_counted(self):
        results = self.run_suites(
            self.shell("a", "echo ok one; echo '<t><testcase name=\"two\"/></t>' "
                            ">$V4LFENCE_RESULTS/a.xml"),
            self.shell("b", "echo skip three - no card", where="vm"))
        self.assertEqual(self.status(results), (0, "2 passed, 0 failed, 1 skipped"))

    def test_skips_are_told_by_reason_and_failures_come_last(self):
        results = self.run_suites(
            self.shell("a", "echo 'not ok one - why'; echo 'skip two - no card'"),
            self.shell("b", "echo 'skip three - no card'; echo 'skip four - no card'"))
        out = io.StringIO()
        self.assertEqual(run_suites.report(results, out), 1)
        self.assertEqual(out.getvalue().splitlines(),
                         ["skipped: no card: a two, b 2", "failed: a: one: why",
                          "0 passed, 1 failed, 3 skipped"])

    def test_a_failure_is_told_at_once(self):
        with tempfile.TemporaryDirectory() as folder:
            out = io.StringIO()
            run_suites.Runner(Path(folder), out).run(self.shell("a", "echo 'not ok one - why'"))
            self.assertEqual(out.getvalue().splitlines()[1], "failed: a: one: why")

    def test_a_failure_stops_those_that_use_it(self):
        results = self.run_suites(self.shell("a", "exit 3"),
                                  self.shell("b", "echo ok x", after=("a",)))
        self.assertEqual(self.status(results), (1, "0 passed, 2 failed, 0 skipped"))

    def test_too_long_a_suite_is_ended_with_its_children(self):
        results = self.run_suites(self.shell("a", "tail -f /dev/null & wait", timeout_s=1))
        self.assertIn("longer than 1 s", results[0].message)

    def test_a_stopped_suite_may_clean_up(self):
        with tempfile.TemporaryDirectory() as folder:
            runner = run_suites.Runner(Path(folder) / "results", io.StringIO())
            up = Path(folder) / "up"
            os.mkfifo(up)
            suite = self.shell("a", f"trap 'echo ok cleaned; exit 1' TERM; echo up >{up}; "
                                    "tail -f /dev/null & wait", where="vm", timeout_s=60)
            running = threading.Thread(target=run_suites.run_all, args=(runner, [suite], 1))
            running.start()
            up.read_text()  # blocks until the suite is there
            runner.stop()
            running.join()
        self.assertEqual([result.outcome for result in runner.results], ["passed", "failed"])

    def test_missing_program_skips_and_nothing_run_is_no_success(self):
        results = self.run_suites(self.shell("a", "echo ok x", needs=("no-such-program",)))
        self.assertEqual(self.status(results), (1, "0 passed, 0 failed, 1 skipped"))
        self.assertIn("no-such-program", results[0].message)

    def test_a_command_that_does_not_start_is_a_failure(self):
        results = self.run_suites(Suite("a", ("/nonexistent/program",)))
        self.assertIn("did not start", results[0].message)


class UnitPrograms(unittest.TestCase):
    def verdict(self, status, xml):
        with tempfile.TemporaryDirectory() as folder:
            report = Path(folder) / "x.xml"
            if xml:
                report.write_text(xml)
            return unit.verdict("x", status, "SUMMARY: leak", report)

    def test_a_report_of_a_sanitizer_is_the_last_word(self):
        script = "echo a; echo SUMMARY: race; echo b; exit 66"
        with contextlib.redirect_stdout(io.StringIO()) as passed_on:
            self.assertEqual(unit.execute(["bash", "-c", script]), (66, "SUMMARY: race"))
        self.assertEqual(passed_on.getvalue(), "a\nSUMMARY: race\nb\n")

    def test_crash_leak_and_emptiness_are_failures(self):
        passed = '<testsuites tests="1"><testcase name="a"/></testsuites>'
        self.assertIsNone(self.verdict(0, passed))
        self.assertIsNone(self.verdict(1, _junit))
        self.assertIn("left no results", self.verdict(-11, ""))
        self.assertIn("had passed: SUMMARY: leak", self.verdict(1, passed))
        self.assertIn("has no tests", self.verdict(0, '<testsuites tests="0"/>'))


if __name__ == "__main__":
    unittest.main()
