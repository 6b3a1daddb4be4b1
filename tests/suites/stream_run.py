# SPDX-License-Identifier: MIT
"""Runs `v4lfence stream` in a guest, and says what its exit status and its report do not show."""

import contextlib
import json
import os
import pty
import re
import signal

import guest

success, job_failed, interrupted = 0, 1, 130
_timeout_s = 360


def stream(node, *options):
    """(how it ended, its report or None)."""
    return read(guest.run(*words(node, *options), timeout_s=_timeout_s))


def words(node, *options):
    return [guest.program, "stream", node, "--json", *options]


def read(ended):
    try:
        return ended, json.loads(ended.stdout)
    except ValueError:
        return ended, None


def problem_of(ended, told, status=success, **expected):
    """Why a stream is not what it should be: `expected` are fields of the report. None: it is."""
    if told is None:
        return f"{ended.how()} without JSON: {ended.last_words()}"
    if ended.status != status or told["exit_status"] != status:
        return f"{ended.how()}, expected {status}: {reason(told) or ended.last_words()}"
    if status == success and (why := reason(told)):
        return why
    wrong = [f"{key} is {told[key]}" for key, value in expected.items() if told[key] != value]
    return "; ".join(wrong) or all_ended(told)


def reason(told):
    """The promises that were not kept or never seen, or why it ended early."""
    broken = [f"{promise['meaning']}: {promise['first_break'] or 'never checked'}"
              for promise in told["promises"] if not promise["ok"]]
    return "; ".join(([told["failure"]] if told["failure"] else []) + broken)


def all_ended(told):
    made, ended, cancelled = (told["out_fences"][key] for key in ("made", "ended", "cancelled"))
    if made != ended + cancelled:
        return f"{made} out-fences made, {ended} ended, {cancelled} cancelled"
    if left := [p for p in told["promises"] if p["name"] == "nothing_pending" and not p["ok"]]:
        return left[0]["meaning"]
    return None


class Watched:
    """A running stream whose progress bar is read from a terminal."""

    def __init__(self, child, terminal):
        self._child = child
        self._terminal = terminal
        self.bar = ""

    def wait_for_frames(self, count):
        """Returns when the bar has counted so many, or when the program has closed it."""
        while max(map(int, re.findall(r"\] (\d+)/", self.bar)), default=0) < count:
            try:
                self.bar += os.read(self._terminal, 4096).decode(errors="replace")
            except OSError:
                break

    def interrupt(self):
        self.signal(signal.SIGINT)

    def signal(self, number):
        os.kill(self._child.pid, number)

    def finish(self):
        return guest.finish(self._child, _timeout_s)


@contextlib.contextmanager
def frames_shown(*command):
    ours, theirs = pty.openpty()
    try:
        child = guest.start(*command, stderr=theirs)
    finally:
        os.close(theirs)
    try:
        yield Watched(child, ours)
    finally:
        os.close(ours)
