# SPDX-License-Identifier: MIT
import contextlib
import io
import unittest

import display_bench
import figures
import run_bench
import shim_bench
import trace_bench
import unfenced_check

trace = """\
# tracer: nop
    bench_stream-12      [000] .....     1.000001: sys_enter: NR 110 (0, 0, 0, 0, 0, 0)
    bench_stream-12      [000] .....     1.000002: sys_enter: NR 3 (5, 0, 0, 0, 0, 0)
    bench_stream-12      [000] .....     1.000003: sys_enter: NR 110 (0, 0, 0, 0, 0, 0)
    bench_stream-12      [000] .....     1.000004: sys_enter: NR 16 (3, c0585611, 7ff, 0, 0, 0)
        v4lfence-13      [000] .....     1.000005: sys_enter: NR 16 (3, c0585609, 7ff, 0, 0, 0)
    bench_stream-12      [000] .....     1.000006: sys_enter: NR 20 (7, 0, 1, 0, 0, 0)
    bench_stream-12      [000] .....     1.000007: sys_enter: NR 9999 (7, 0, 1, 0, 0, 0)
    bench_stream-12      [000] .....     1.000008: sys_enter: NR 110 (0, 0, 0, 0, 0, 0)
    bench_stream-12      [000] .....     1.000009: sys_enter: NR 3 (6, 0, 0, 0, 0, 0)
    bench_stream-12      [000] .....     1.000010: sys_enter: NR 110 (0, 0, 0, 0, 0, 0)
 vivid-000-vid-c-178     [000] .....    20.069296: vb2_buf_done: owner = 0, queued = 4
"""


class Figures(unittest.TestCase):
    def test_percentile_is_a_value_that_was_measured(self):
        self.assertEqual(figures.percentile([5], 99), 5)
        self.assertEqual(figures.percentile(range(100), 50), 50)
        self.assertEqual(figures.percentile(range(100), 99), 99)

    def test_row_has_no_ratio_to_nothing(self):
        self.assertIsNone(figures.row("a", 1, 0, "us")["ratio"])
        self.assertIsNone(figures.row("a", 1, None, "us")["peer"])
        self.assertEqual(figures.row("a", 3, 2, "us", 2)["ratio"], 1.5)

    def test_table_lines_have_a_cell_for_each_column(self):
        lines = figures.table([figures.row("a b", 1.0, None, "us")])
        self.assertEqual(lines[2].split(), ["a", "b", "1.00", "-", "-", "us", "-"])

    def test_events_are_found_by_name_also_of_threads_with_dashes(self):
        found = list(figures.events(trace, "vb2_buf_done"))
        self.assertEqual(found, [(178, 20_069_296_000, "owner = 0, queued = 4")])

    def test_calls_count_between_second_and_third_marker_by_thread(self):
        counts = figures.calls_between_markers(trace)
        self.assertEqual(counts["program"], {"DQBUF": 1, "9999": 1})
        self.assertEqual(counts["library"], {"QUERYBUF": 1})

    def test_a_trace_that_lost_a_marker_counts_as_none(self):
        with self.assertRaises(ValueError):
            figures.calls_between_markers("\n".join(trace.splitlines()[2:]))

    def test_latencies_leave_out_what_was_not_measured(self):
        self.assertEqual(figures.latencies([10, 20, 30, 40], [15, 0, 25, 41]), [5, 1])


class ShimBench(unittest.TestCase):
    log = ('7 getppid() = 0x1\n7 openat(0x1, 0x2) = 0x3\n7 getppid() = 0x1\n'
           '7 sendmsg(0x3, 0x4) = 0x1\n8 recvmsg(0x3, 0x4 <unfinished ...>\n'
           '8 <... recvmsg resumed>) = 0x1\n8 sendto(0x3, 0x4) = 0x1\n7 poll(0x1, 0x1) = 0x1\n'
           '7 getppid() = 0x1\n7 close(0x3) = 0\n7 getppid() = 0x1\n')

    def test_calls_between_the_markers_are_the_programs_or_the_servers(self):
        counts = shim_bench.calls_of(self.log)
        self.assertEqual(counts["program"], {"sendmsg": 1, "poll": 1})
        self.assertEqual(counts["server"], {"recvmsg": 1, "sendto": 1})

    def test_a_log_without_markers_counts_as_none(self):
        with self.assertRaises(ValueError):
            shim_bench.calls_of(self.log.replace("getppid", "getpid"))

    def test_summary_of_strace_is_read_with_and_without_errors(self):
        text = ("% time     seconds  usecs/call     calls    errors syscall\n"
                "------ ----------- ----------- --------- --------- ----------------\n"
                " 99.50    0.000100           5        20         3 ioctl\n"
                "  0.50    0.000001           1         2           mmap\n"
                "------ ----------- ----------- --------- --------- ----------------\n"
                "100.00    0.000101           4        22         3 total\n")
        self.assertEqual(shim_bench.counted(text), {"ioctl": 20, "mmap": 2})


class UnfencedCheck(unittest.TestCase):
    log = ('7   getppid() = 0x1\n'
           '7   openat(0xffffff9c, 0x7ff, 0x2, 0) = 0x3\n'
           '7   newfstatat(0x3, 0x7ff, 0x7ff, 0x1000) = 0\n'
           '7   ioctl(0x3, 0xc0585611, 0x7ff <unfinished ...>\n'
           '8   close(0x4) = 0\n'
           '7   <... ioctl resumed>) = 0\n'
           '7   getppid() = 0x1\n'
           '7   close(0x3) = 0\n')

    def test_calls_lie_between_the_markers_and_count_once(self):
        self.assertEqual(unfenced_check.calls_of(self.log),
                         [("7", "openat"), ("7", "newfstatat"), ("7", "ioctl 0xc0585611"),
                          ("8", "close")])

    def test_only_the_call_after_the_open_is_ours(self):
        self.assertEqual(unfenced_check.without_ours(["openat", "newfstatat", "newfstatat"]),
                         ["openat", "newfstatat"])
        self.assertEqual(unfenced_check.without_ours(["openat", "close", "fstat"]),
                         ["openat", "close", "fstat"])

    def test_difference_names_the_first_place(self):
        self.assertEqual(unfenced_check.difference([1, 2], [1, 2]), "")
        self.assertEqual(unfenced_check.difference([1, 3], [1, 2]), "at 1: 3, raw 2")
        self.assertEqual(unfenced_check.difference([1], [1, 2]), "at 1: nothing, raw 2")


class Attempt(unittest.TestCase):
    def test_what_fails_is_told_and_takes_nothing_else_along(self):
        problems = {}
        self.assertEqual(figures.attempt(problems, "good", lambda: 7), 7)
        self.assertIsNone(figures.attempt(problems, "bad", lambda: {}["x"]))
        self.assertEqual(list(problems), ["bad"])

    def test_bench_keeps_the_rows_of_other_parts(self):
        def without_machine():
            raise run_bench.Lacking("vm.py ended with 77")

        def broken():
            raise ValueError("no frame")

        bench = run_bench.Bench(None, "6.1")
        with contextlib.redirect_stdout(io.StringIO()):
            bench.part("first", lambda: ([1], {}))
            self.assertEqual(bench.status(), 0)
            bench.part("second", without_machine)
            self.assertEqual(bench.status(), run_bench.lacking)
            bench.part("third", broken)
            bench.part("fourth", lambda: ([2], {"a run": "lost"}))
        self.assertEqual(bench.rows, [1, 2])
        self.assertEqual(len(bench.problems), 3)
        self.assertEqual(bench.status(), 1)


def event(us, name):
    return f" x-1 [000] ..... {us // 10**6}.{us % 10**6:06}: {name}: x"


def flips(*moments):
    return [event(at, "drm_vblank_event_delivered") for at in moments]


class DisplayRows(unittest.TestCase):
    def runs(self):
        return {f"{loop} {state} {side}": [
            {"latencies_ns": [1000 * at] * display_bench.frames, "turns": 1, "switches": 2,
             "frame_us": 3 * at} for at in (5, 1, 9)]
            for loop in (*display_bench.loops, "alternating") for state in display_bench.states
            for side in display_bench.sides}

    def test_both_sides_of_every_loop_are_a_row(self):
        rows = display_bench.rows(self.runs())
        self.assertEqual(len(rows), 18)
        self.assertEqual((rows[0]["ours"], rows[0]["peer"], rows[0]["ratio"]), (5, 5, 1))
        self.assertTrue(all(row["goal"] is None for row in rows))
        self.assertEqual(rows[-1]["ours"], 15)

    def test_runs_that_failed_leave_the_other_pairs(self):
        runs = self.runs()
        del runs["vkms idle ours"][0]
        self.assertEqual(len(display_bench.rows(runs)), 18)
        del runs["vkms idle ours"]
        self.assertEqual(len(display_bench.rows(runs)), 14)

    def test_flip_belongs_to_the_frame_before_it(self):
        count = display_bench.frames
        lines = flips(5)
        for n in range(1, count + 1):
            lines.append(event(100 * n, "vb2_buf_done"))
            # The last one comes after the end of another frame, which is not shown.
            lines += flips(100 * n + 7) if n < count else []
        lines += [event(100 * count + at, "vb2_buf_done") for at in (100, 101)]
        lines += flips(100 * count + 250)
        self.assertEqual(display_bench.latencies_of("\n".join(lines)),
                         [7000] * (count - 1 - display_bench.warm_up_frames) + [250_000])

    def test_flip_later_than_the_next_frame_counts_in_full(self):
        count = display_bench.frames
        lines = []
        for n in range(1, count + 1):
            lines.append(event(100 * n, "vb2_buf_done"))
            lines += flips(100 * n + 50) if n > 1 else []  # of the frame before
        lines += flips(100 * count + 150)
        self.assertEqual(set(display_bench.latencies_of("\n".join(lines))), {150_000})

    def test_frame_without_a_flip_is_no_measurement(self):
        lines = [event(100 * n, "vb2_buf_done") for n in range(display_bench.frames)]
        with self.assertRaises(ValueError):
            display_bench.latencies_of("\n".join([*lines, *flips(10_000)]))


class TraceRows(unittest.TestCase):
    def test_calls_of_the_tracer_are_a_side_of_their_own(self):
        counts = figures.calls_between_markers(trace, tracer=13)
        self.assertEqual(counts["tracer"], {"QUERYBUF": 1})
        self.assertEqual(sum(counts["library"].values()), 0)

    def test_tracer_that_missed_frames_is_no_measurement(self):
        def summary(frames, lost):
            return {"processes": [{"lost": lost, "sources": [{"frames": frames}]}]}

        trace_bench.check_summary(summary(trace_bench.frames, 0))
        for frames, lost in ((trace_bench.frames - 1, 0), (trace_bench.frames, 1)):
            with self.assertRaises(ValueError):
                trace_bench.check_summary(summary(frames, lost))

    def test_program_is_beside_itself_and_the_tracer_beside_the_program(self):
        usage = {way: {"cpu_ns": cpu, "parent_cpu_ns": 500, "switches": 2}
                 for way, cpu in (("plain", 1000), ("traced", 1100), ("kernel too", 1200))}
        sides = {"program": 10, "library": 5}
        calls = {"plain": sides, "unseen": sides, "traced": {**sides, "tracer": 3}}
        ratios = [row["ratio"] for row in trace_bench.guest_rows({"usage": usage, "calls": calls})]
        self.assertEqual(ratios, [1, 0.2, 1, 1, 1.1, 0.5, 1.2, 0.5])


if __name__ == "__main__":
    unittest.main()
