# SPDX-License-Identifier: MIT
import unittest

import figures
import shim_bench
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


if __name__ == "__main__":
    unittest.main()
