# SPDX-License-Identifier: MIT
"""Unplugging the emulated camera in mid-stream, while fences are pending on both sides."""

import errno
import os
import re
import threading

import api
import guest
from camera import Camera
from stream_run import frames_shown, job_failed, problem_of, read, words

rounds, lanes = 50, 5
_size = ["--size", "320x180", "--format", "YUYV", "--rate", "30"]
_gone = re.compile(r"/dev/video\d+ went away in mid-stream, after (\d+) frames")
_in_fences = (["--in-fence", "chain"], ["--in-fence", "timer", "--timer-ms", "20..400"])
_must_happen_s = 30
_must_happen_ms = 10000


def _stream_words(node, number):
    return words(node, *_size, *_in_fences[number % 2], "--out-fence", "--frames", "100000",
                 "--fences", ("user", "vgem")[number // 2 % 2], "--allow-bad", "100000",
                 "--timeout", "40")


def _one(name, number):
    """What is wrong with round `number`, or None. The camera goes by itself in the middle of a
    frame, by SIGTERM, or by SIGKILL."""
    frames = number % 7 + 1
    by_itself = number % 3 == 0
    camera = Camera(name, *(["--unplug-after", str(frames + 1)] if by_itself else []))
    node = camera.plug()
    with frames_shown(*_stream_words(node, number)) as running:
        if not by_itself:
            running.wait_for_frames(frames)
            camera.kill() if number % 3 == 1 else camera.unplug()
        ended, told = read(running.finish())
    camera.unplug()
    problem = problem_of(ended, told, status=job_failed)
    if not problem and not _gone.search(told["failure"] or ""):
        problem = f"no clear error: {told['failure']}"
    if not problem and told["out_fences"]["cancelled"] == 0:
        problem = "no out-fence was pending at that moment"
    return problem


def unplugs(report, lane):
    """Each round plugs a camera in again."""
    for number in range(lane, rounds, lanes):
        report.tell(f"unplug/{number}", _one(f"unplug-{lane}", number))


def _dequeue_until_error(capture, answers):
    while (answer := capture.dequeue()) == 0:
        pass
    answers += [answer, capture.dequeue()]


def _blocked(camera, fences, held):
    library = api.Api()
    capture = api.Capture(library, camera.plug(), fences, 8)
    never, _writer = os.pipe()
    given = [capture.queue(index) for index in range(4)]
    waiting = [capture.queue(index, never) for index in range(4, 8)] if held else []
    capture.start()
    answers = []
    waiter = threading.Thread(target=_dequeue_until_error, args=(capture, answers), daemon=True)
    waiter.start()
    camera.unplug()
    waiter.join(_must_happen_s)
    if waiter.is_alive():
        return "DQBUF did not return"
    if answers[0] not in (-errno.EINVAL, -errno.ENODEV) or answers[1] != -errno.ENODEV:
        return f"DQBUF answered {' and then '.join(map(api.name_of, answers))}"
    for fence in given + waiting:
        status, state, error = library.fence_wait(fence, _must_happen_ms)
        if status < 0:
            return f"an out-fence is pending: {api.name_of(status)}"
        if fence in waiting and fences == "user" and (state, error) != (2, -errno.ENODEV):
            return f"the out-fence of a held buffer ended with {api.name_of(error)}"
    status = capture.close()
    return f"close answered {api.name_of(status)}" if status else None


def blocking_dequeue(report, fences):
    """A DQBUF that blocks at that moment: while the driver has buffers, and while all are held."""
    for held in (False, True):
        name = f"unplug/blocking-dqbuf/{'held' if held else 'given'}/{fences}"
        camera = Camera(f"blocking-{fences}", *([] if held else ["--freeze-after", "2"]))
        report.tell(name, _blocked(camera, fences, held))
