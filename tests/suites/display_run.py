# SPDX-License-Identifier: MIT
"""Runs `v4lfence display` in a guest, and watches how long fences of displays are pending."""

import contextlib
import os
import re
import signal
import time
from pathlib import Path

import guest
import stream_run

timeout_s = 400
# vkms waits for its own timer with interrupts off when it stops vertical blanks, and the timer for
# a lock that is held then: with two CPUs that hangs the kernel for good, now and then.
vkms_cpus = 1
# The longest that a fence of vgem can be pending, and so a display that waits for one; and what a
# loaded machine may add.
bound_s = 10.0
slack_s = 1.0


def words(device, *options):
    return [guest.program, "display", device, "--json", *options]


def display(device, *options, **arguments):
    """(how it ended, its report or None)."""
    return stream_run.read(guest.run(*words(device, *options), timeout_s=timeout_s, **arguments))


def problem_of(ended, told, frames=None, status=stream_run.success):
    """Why a run did not show so many frames and keep every promise; None: it did."""
    if told is None:
        return f"{ended.how()} without JSON: {ended.last_words()}"
    if ended.status != status:
        return f"{ended.how()}: {stream_run.reason(told) or ended.last_words()}"
    if why := stream_run.reason(told):
        return why
    if frames is not None and told["shown"] != frames:
        return f"{told['shown']} of {frames} frames were shown"
    return None


def both_ways_problem(told):
    """Why fences did not go both ways; None: they did, and were pending when they were handed
    over."""
    fences = told["fences"]
    if not fences["early"] or not fences["release"]:
        return f"fences did not go both ways: {fences['way']}"
    least = told["shown"] // 2
    if fences["pending_at_commit"] < least or fences["pending_at_qbuf"] < least:
        return f"most fences had ended before anybody waited: {fences}"
    return None


def pause(seconds):
    """Lets time pass."""
    signal.sigtimedwait([], seconds)


class FenceWatch:
    """Out-fences of a driver's displays, by the tracepoints of their making and their end. Times
    are of CLOCK_MONOTONIC, in seconds."""

    _event = re.compile(r" (\d+\.\d+): dma_fence_(init|signaled): driver=(\S+) timeline=CRTC:.*? "
                        r"context=(\d+) seqno=(\d+)")

    def __init__(self, name, driver):
        folder = Path("/sys/kernel/tracing/instances") / name
        folder.mkdir(exist_ok=True)
        (folder / "buffer_size_kb").write_text("8192")
        (folder / "trace_clock").write_text("mono")
        for event in ("init", "signaled"):
            (folder / "events/dma_fence" / f"dma_fence_{event}" / "enable").write_text("1")
        self._pipe = os.open(folder / "trace_pipe", os.O_RDONLY | os.O_NONBLOCK)
        self._driver = driver
        self._unread = ""
        self._pending = {}  # by context and number, when it was made
        self._ended = []  # (made, ended)

    def _update(self):
        """Reads what is new."""
        with contextlib.suppress(BlockingIOError):
            while part := os.read(self._pipe, 1 << 16):
                self._unread += part.decode(errors="replace")
        *lines, self._unread = self._unread.split("\n")
        for found in filter(None, map(self._event.search, lines)):
            if found[3] != self._driver:
                continue
            if found[2] == "init":
                self._pending[found[4], found[5]] = float(found[1])
            elif (made := self._pending.pop((found[4], found[5]), None)) is not None:
                self._ended.append((made, float(found[1])))

    def count(self):
        """How many there were so far."""
        self._update()
        return len(self._ended) + len(self._pending)

    def wait(self, count, child, patience_s=timeout_s):
        """Returns when there have been so many. Raises ValueError where the program ends before."""
        deadline = time.monotonic() + patience_s
        while self.count() < count:
            if child.poll() is not None or time.monotonic() > deadline:
                raise ValueError(f"only {self.count()} of {count} fences of {self._driver}: "
                                 f"{guest.finish(child).last_words()}")
            pause(0.02)

    def was_pending(self, at):
        """Whether any was pending at this time."""
        self._update()
        return (any(made < at < ended for made, ended in self._ended)
                or any(made < at for made in self._pending.values()))

    def problem(self, fences_min):
        """Why this was no display that is never stuck for longer than the bound."""
        if self.count() < fences_min:
            return f"only {self.count()} fences of {self._driver} were seen"
        now = time.monotonic()
        longest = max([ended - made for made, ended in self._ended]
                      + [now - made for made in self._pending.values()])
        if longest > bound_s + slack_s:
            return f"a fence of {self._driver} was pending for {longest:.1f} s"
        return None
