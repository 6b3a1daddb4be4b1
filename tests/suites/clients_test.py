#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""What the suites with other people's programs read out of pictures and of what programs say."""

import struct
import tempfile
import unittest
import zlib
from pathlib import Path

import clients_compliance
import clients_ffmpeg
import clients_stamps as stamps
import guest

_size = (160, 120)
_square, _columns, _rows = 4, 32, 4  # of that size


def grey(sequence, time_ns, bottom=None):
    """A dark frame with a stamp at the top and one at the bottom."""
    frame = bytearray(_size[0] * _size[1])
    for first_row, number in ((0, sequence), (_size[1] - _square * _rows, bottom or sequence)):
        said = struct.pack(">IQ", number, time_ns)
        bits = int.from_bytes(said + struct.pack(">I", zlib.crc32(said) ^ 0x5A5A5A5A), "big")
        for index in range(_columns * _rows):
            if bits >> (127 - index) & 1:
                for y in range(_square):
                    at = (first_row + index // _columns * _square + y) * _size[0]
                    at += index % _columns * _square
                    frame[at:at + _square] = b"\xff" * _square
    return bytes(frame)


class Stamps(unittest.TestCase):
    def test_read(self):
        self.assertEqual(stamps.of_frame(grey(7, 123456789012), "GREY", _size),
                         stamps.Stamp(7, 123456789012))

    def test_black_white_and_torn_frames_have_none(self):
        for frame in (bytes(160 * 120), b"\xff" * 160 * 120, b"\x80" * 160 * 120, grey(7, 1, 8)):
            self.assertIsNone(stamps.of_frame(frame, "GREY", _size))

    def file_problem(self, data, frames):
        with tempfile.NamedTemporaryFile() as file:
            Path(file.name).write_bytes(data)
            return stamps.file_problem(file.name, "GREY", _size, frames)

    def test_files_of_frames(self):
        self.assertIsNone(self.file_problem(grey(1, 10) + grey(3, 20), 2))
        self.assertIn("bytes instead", self.file_problem(grey(1, 10) + b"x", 1))
        self.assertIn("came after", self.file_problem(grey(3, 10) + grey(3, 20), 2))
        self.assertIn("came after", self.file_problem(grey(3, 10) + grey(4, 10), 2))
        self.assertIn("frame 1 has no stamp", self.file_problem(grey(1, 1) + bytes(160 * 120), 2))


class Compliance(unittest.TestCase):
    passed = "\ttest MMAP (select): OK\nTotal for v4lfence device /dev/video80: 1, " \
        "Succeeded: 1, Failed: 0, Warnings: 0\n"

    def problem(self, text, status=0, wanted=frozenset({"MMAP (select)"})):
        return clients_compliance.problem_of(guest.Ended(status, text, ""), wanted,
                                             clients_compliance.is_vivids)

    def test_a_clean_run(self):
        self.assertIsNone(self.problem(self.passed))

    def test_progress_stands_before_a_result(self):
        self.assertIsNone(self.problem(self.passed.replace(
            "\ttest", "\tVideo Capture: Frame #000\tVideo Capture: Frame #001 (select)" + " " * 50
            + "\ttest")))

    def test_what_is_wrong(self):
        warned = "\t\twarn: v4l2-test-buffers.cpp(1): a new one\n" + self.passed
        failed = "\t\tfail: v4l2-test-buffers.cpp(1): no\n" + self.passed
        known = "\t\twarn: v4l2-test-buffers.cpp(9): vivid_ro_ctrl.value != (int)i\n" + self.passed
        self.assertIn("a new one", self.problem(warned))
        self.assertIn("no", self.problem(failed))
        self.assertIsNone(self.problem(known))
        self.assertIn("not tested: DMABUF", self.problem(self.passed, wanted={"DMABUF"}))
        self.assertIn("ended with 1", self.problem(self.passed, status=1))
        self.assertIn("ended with 0", self.problem("\ttest MMAP (select): OK\n"))


class Spin(unittest.TestCase):
    question = "77    fcntl(5, F_GETFL) = 0x802 (flags O_RDWR|O_NONBLOCK)\n"
    other = "77    sendmsg(9, ...) = 8\n"

    def test_of_the_thread_that_asks_most(self):
        trace = self.question * 3 + "78 read(0)\n" * 5 + self.other + self.question * 4
        self.assertEqual(clients_ffmpeg.longest_spin(trace), (7, 1))

    def test_a_run_ends_where_much_else_is_done(self):
        trace = self.question * 3 + self.other * 17 + self.question * 4
        self.assertEqual(clients_ffmpeg.longest_spin(trace), (4, 0))


if __name__ == "__main__":
    unittest.main()
