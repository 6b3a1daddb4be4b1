# SPDX-License-Identifier: MIT
"""What the suites with other people's programs share: how those get to see virtual cameras."""

import contextlib
import functools
import subprocess
import tempfile
from pathlib import Path

import guest

helpers = Path(__file__).resolve().parent / "clients"
cameras = {"camera": "/dev/video80", "camera-mplane": "/dev/video81"}
single, multi = cameras.values()
size = (320, 240)
hang_s = 180


def words(*command, options=()):
    """A command line that runs a command beside one camera of each kind, both its own."""
    virtual = [word for kind, node in cameras.items() for word in ("--virtual", f"{kind}={node}")]
    return [guest.program, "exec", *virtual, *options, "--", *command]


def run(*command, timeout_s=hang_s, options=(), **arguments):
    return guest.run(*words(*command, options=options), timeout_s=timeout_s, **arguments)


def start(*command, options=(), **arguments):
    return guest.start(*words(*command, options=options), **arguments)


def ended_problem(ended, status=0):
    return None if ended.status == status else f"{ended.how()}: {ended.last_words()}"


def shows(report, name, ended, *expected, status=0):
    """A program that ended well and said all that was expected of it."""
    missing = [text for text in expected if text not in ended.stdout + ended.stderr]
    problem = ended_problem(ended, status)
    report.tell(name, problem or (f"it does not say {missing[0]!r}" if missing else None))


@contextlib.contextmanager
def folder():
    with tempfile.TemporaryDirectory(prefix="v4lfence-clients-") as path:
        yield Path(path)


def installed(package):
    """As the report of a suite that cannot run needs it: why not, or None."""
    told = subprocess.run(["dpkg-query", "-W", "-f", "${db:Status-Abbrev}", package],
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    return None if told.stdout.startswith("ii") else f"{package} is not installed"


def lanes(report, jobs, count=2):
    """Calls all of the jobs, so many at a time; what cannot go on is a failure of its lane."""
    waiting = list(reversed(jobs))

    def lane(report):
        with contextlib.suppress(IndexError):
            while True:
                waiting.pop()(report)

    guest.side_by_side(report, {f"lane-{number}": lane for number in range(count)})


job = functools.partial
