# SPDX-License-Identifier: MIT
"""A program that is stopped again and again while it looks at a device whose lock is taken.

A stop interrupts the kernel's poll() in its wait for that lock, and then it tells of an error that
the device does not have, and does not wait for anything.
"""

import fcntl
import signal
import struct
import threading
from pathlib import Path

from stream_run import frames_shown, problem_of, read, words

_set_format, _request_buffers = 0xC0D05605, 0xC0145608
_output, _mmap = 2, 1
_width, _height, _buffers = 3840, 2160, 6
_stopped_s, _between_s = 0.003, 0.01
_frames = 100
# Less than that tests nothing.
_stops_least, _memories_least = 30, 10


def output_beside(node):
    """The output node of the vivid that `node` belongs to: they have one lock."""
    def name_of(node):
        return Path("/sys/class/video4linux", Path(node).name, "name").read_text().split()[0]
    wanted = name_of(node).replace("vid-cap", "vid-out")
    found, = [name.parent.name for name in Path("/sys/class/video4linux").glob("*/name")
              if name.read_text().split()[0] == wanted]
    return f"/dev/{found}"


class Repeated:
    """A thread that does a thing again and again until its block ends; what went wrong, and how
    often it went well."""

    def __init__(self, action):
        self.rounds = 0
        self.problem = None
        self._action = action
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._done.set()
        self._thread.join()

    def _run(self):
        try:
            while not self._done.wait(_between_s):
                self._action()
                self.rounds += 1
        except OSError as error:
            self.problem = str(error)


def allocate(output):
    """With the device's lock held, for as long as it takes."""
    for count in (_buffers, 0):
        request = struct.pack("=3I8x", count, _output, _mmap)
        fcntl.ioctl(output, _request_buffers, bytearray(request))


def stop_for_a_moment(running):
    running.signal(signal.SIGSTOP)
    threading.Event().wait(_stopped_s)
    running.signal(signal.SIGCONT)


def stop_and_go(report, node):
    """It loses frames, and no more."""
    stream = words(node, "--size", "320x180", "--timeout", "60", "--rate", "30", "--frames",
                   _frames, "--in-fence", "chain", "--out-fence", "--allow-bad", "100000")
    with open(output_beside(node), "r+b", buffering=0) as output:
        fcntl.ioctl(output, _set_format,
                    bytearray(struct.pack("=I4x2I192x", _output, _width, _height)))
        with Repeated(lambda: allocate(output)) as memory, frames_shown(*stream) as running:
            running.wait_for_frames(2)
            with Repeated(lambda: stop_for_a_moment(running)) as stops:
                running.wait_for_frames(_frames)
            ended, told = read(running.finish())
    problem = memory.problem or stops.problem
    if not problem and (stops.rounds < _stops_least or memory.rounds < _memories_least):
        problem = f"only {stops.rounds} stops, and memory {memory.rounds} times"
    report.tell("stopped-while-the-device-is-busy",
                problem_of(ended, told, frames=_frames, errors=0, out_of_order=0) or problem)
