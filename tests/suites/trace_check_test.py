#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The checks of traces find what they are for."""

import copy
import sys
import unittest
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parent))
import trace_check  # noqa: E402


def slice_of(state, ts, dur, **fields):
    return {"ph": "X", "pid": 7, "tid": 1, "cat": state, "name": state, "ts": ts, "dur": dur,
            "args": {"job": 1}, **fields}


GOOD = {"traceEvents": [
    {"ph": "M", "pid": 7, "name": "process_name", "args": {"name": "camera"}},
    {"ph": "M", "pid": 7, "tid": 1, "name": "thread_name", "args": {"name": "buffer 0"}},
    slice_of("done", 10.0, 30.0, name="video0 0 #1"),
    slice_of("held", 10.0, 5.0),
    {"ph": "b", "pid": 7, "ts": 10.0, "cat": "out-fence", "name": "f", "id": 1},
    slice_of("given", 15.0, 20.0),
    {"ph": "s", "pid": 7, "tid": 1, "ts": 16.0, "cat": "waited for", "name": "fence", "id": 2},
    {"ph": "f", "bp": "e", "pid": 7, "tid": 1, "ts": 17.0, "cat": "waited for", "name": "fence",
     "id": 2},
    slice_of("done", 35.0, 5.0),
    {"ph": "e", "pid": 7, "ts": 36.0, "cat": "out-fence", "name": "f", "id": 1},
    {"ph": "i", "pid": 7, "tid": 1, "ts": 50.0, "s": "t", "cat": "queue", "name": "STREAMOFF"},
]}


class TraceCheck(unittest.TestCase):
    def problem_with(self, change):
        trace = copy.deepcopy(GOOD)
        change(trace["traceEvents"])
        return trace_check.problem_of(trace) or ""

    def test_good_trace(self):
        self.assertIsNone(trace_check.problem_of(GOOD))

    def test_unknown_phase(self):
        self.assertIn("schema", self.problem_with(lambda events: events[2].update(ph="Q")))

    def test_missing_field(self):
        self.assertIn("schema", self.problem_with(lambda events: events[2].pop("dur")))

    def test_wrong_type(self):
        self.assertIn("schema", self.problem_with(lambda events: events[2].update(ts="10")))

    def test_time_falls(self):
        self.assertIn("rising", self.problem_with(lambda events: events[5].update(ts=9.0)))

    def test_lane_without_a_name(self):
        self.assertIn("named", self.problem_with(lambda events: events.pop(1)))

    def test_slice_sticks_out(self):
        self.assertIn("nested", self.problem_with(lambda events: events[8].update(dur=50.0)))

    def test_fence_without_an_end(self):
        self.assertIn("paired", self.problem_with(lambda events: events.pop(9)))

    def test_arrow_to_nowhere(self):
        self.assertIn("flows", self.problem_with(lambda events: events.pop(7)))

    def test_states_in_a_wrong_order(self):
        def swap(events):
            events[3].update(name="given", cat="given")
            events[5].update(name="held", cat="held")
        self.assertIn("buffers", self.problem_with(swap))

    def test_gap_in_a_job(self):
        self.assertIn("buffers", self.problem_with(lambda events: events[3].update(dur=1.0)))


if __name__ == "__main__":
    unittest.main()
