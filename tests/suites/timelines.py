#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Timelines and the names of fences, on vivid: frames as points for a process that knows the
kernel's syncobjs alone; what is left of them when the producer is killed; what a machine without
timelines says. Linux 6.12 has timelines (virtio-gpu), 6.1 has none.

usage: timelines.py KERNEL
"""

import array
import ctypes
import errno
import fcntl
import functools
import os
import select
import signal
import socket
from pathlib import Path

import guest
from api import Api, Capture, name_of

consumer = guest.built / "tests" / "timelines" / "timeline_consumer"
soon_ms = 20000
lacking = 77
_file_info = 0xC0383E04


class TimelineApi(Api):
    def __init__(self):
        super().__init__()
        for name, result in (("create", ctypes.c_void_p), ("reason", ctypes.c_char_p)):
            getattr(self._lib, f"v4lfence_timeline_{name}").restype = result

    def create(self, node=None, syncobj=-1):
        """A timeline, or a negative errno."""
        made = self._lib.v4lfence_timeline_create(node, syncobj)
        return ctypes.c_void_p(made) if made else -ctypes.get_errno()

    def reason(self, node=None):
        text = self._lib.v4lfence_timeline_reason(node)
        return text.decode() if text else None

    def promise(self, timeline, point, fence):
        return self.call("timeline_promise", timeline, ctypes.c_uint64(point), fence)

    def fence(self, timeline, point):
        return self.call("timeline_fence", timeline, ctypes.c_uint64(point))

    def export(self, timeline):
        return self.call("timeline_export", timeline)


def has_ended(fence):
    return bool(select.select([fence], [], [], 0)[0])


def sync_file_name(fd):
    """What the kernel shows; None of what is no sync_file."""
    info = array.array("B", bytes(56))
    try:
        fcntl.ioctl(fd, _file_info, info)
    except OSError:
        return None
    return info.tobytes()[:32].split(b"\0")[0].decode()


def nodes():
    return sorted(str(path) for path in Path("/dev/dri").glob("renderD*"))


# --- with timelines ------------------------------------------------------------------------------

def frames_are_points(report, node, drm):
    frames = 30
    ended = guest.run(consumer, node, frames, drm)
    read = [line for line in ended.stdout.splitlines() if line.startswith("frame ")]
    wanted = [f"frame {number} read" for number in range(1, frames + 1)]
    problem = None if ended.status == 0 else f"{ended.how()}: {ended.last_words()}"
    report.tell("consumer-process", problem or (None if read == wanted else f"it read {read}"))


def killed_producer(report, node, drm):
    """Its consumer has a timeout of its own, as whoever waits for another process needs one."""
    child = guest.start(consumer, node, 100000, drm)
    children = Path(f"/proc/{child.pid}/task/{child.pid}/children")
    while child.poll() is None and not children.read_text():
        select.select([], [], [], 0.05)
    os.kill(child.pid, signal.SIGKILL)
    ended = guest.finish(child, timeout_s=180)  # The consumer has the same pipes.
    report.tell("consumer-of-a-killed-producer",
                None if ended.status == -signal.SIGKILL else f"{ended.how()}: {ended.last_words()}")


class Producer:
    """A process that promises the frames of a stream that never starts, and can be killed."""

    def __init__(self, node, fences, points=3):
        ours, theirs = socket.socketpair()
        self.pid = os.fork()
        if self.pid == 0:
            ours.close()
            self._produce(theirs, node, fences, points)
        theirs.close()
        self._link = ours  # when it goes the producer ends
        _, fds, _, _ = socket.recv_fds(ours, 1, 1)
        if not fds:
            raise OSError(errno.EPIPE, f"the producer with {fences} gave up")
        self.syncobj = fds[0]

    @staticmethod
    def _produce(link, node, fences, points):
        try:
            api = TimelineApi()
            capture = Capture(api, node, fences, points)
            timeline = api.create()
            for index in range(points):
                if status := api.promise(timeline, index + 1, capture.queue(index)):
                    raise OSError(-status, "promise")
            socket.send_fds(link, [b"x"], [api.export(timeline)])
            link.recv(1)  # until it is killed
        finally:
            os._exit(1)

    def kill(self):
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)


def killed_with_kernel_fences(report, node):
    """vgem ends its fences with their maker, and the points that carry them."""
    producer = Producer(node, "vgem")
    api = TimelineApi()
    timeline = api.create(syncobj=producer.syncobj)
    fences = [api.fence(timeline, point) for point in (1, 2, 3)]
    early = [has_ended(fence) for fence in fences]
    producer.kill()
    late = [api.fence_wait(fence, soon_ms)[0] for fence in fences]
    api.call("timeline_destroy", timeline)
    report.tell("killed/vgem", None if (early, late) == ([False] * 3, [0] * 3)
                else f"before {early}, after {[name_of(status) for status in late]}")


def killed_with_own_fences(report, node):
    """Nobody is left to reach the points: a queue that waits for one gives up at its deadline."""
    producer = Producer(node, "user")
    api = TimelineApi()
    timeline = api.create(syncobj=producer.syncobj)
    fence = api.fence(timeline, 1)
    producer.kill()
    problem = "the point was reached" if has_ended(fence) else None
    capture = Capture(api, node, "user", 4)
    api.call("set_deadline", capture.fd, 300)
    out = capture.queue(0, fence)
    status, _, error = api.fence_wait(out, soon_ms)
    if not problem and (status, error) != (0, -errno.ETIME):
        problem = f"the buffer that waits: {name_of(status)}, {name_of(error)}"
    capture.close()
    api.call("timeline_destroy", timeline)
    report.tell("killed/user", problem)


def queue_closed(report, node):
    """Points of a stream that ends before its frames: all reached, each fence with an error."""
    api = TimelineApi()
    capture = Capture(api, node, "user", 3)
    timeline = api.create()
    outs = [capture.queue(index) for index in range(3)]
    promised = [api.promise(timeline, point, out) for point, out in enumerate(outs, 1)]
    waiter = api.fence(timeline, 3)
    capture.close()
    waited = api.fence_wait(waiter, soon_ms)[0]
    api.call("timeline_destroy", timeline)
    report.tell("queue-closed", None if (promised, waited) == ([0] * 3, 0)
                else f"promised {promised}, waited {name_of(waited)}")


def with_timelines(report, node):
    api = TimelineApi()
    drm = next((path for path in nodes() if api.reason(path.encode()) is None), None)
    if api.reason() is not None or drm is None:
        report.tell("timelines", f"the kernel has none: {api.reason()}")
        return
    frames_are_points(report, node, drm)
    killed_producer(report, node, drm)
    killed_with_kernel_fences(report, node)
    killed_with_own_fences(report, node)
    queue_closed(report, node)


# --- without -------------------------------------------------------------------------------------

def without_timelines(report, node):
    api = TimelineApi()
    made, reason = api.create(), api.reason() or ""
    missing = [path for path in nodes() if path not in reason]
    problem = None if made == -errno.ENODEV else f"create: {made}"
    problem = problem or (f"{missing} not named: {reason}" if missing else None)
    report.tell("no-timelines", problem)
    ended = guest.run(consumer, node, 30, nodes()[0])
    said = ended.status == lacking and "no syncobjs" in ended.stderr
    report.tell("consumer-says-what-is-missing",
                None if said else f"{ended.how()}: {ended.last_words()}")


# --- with either ---------------------------------------------------------------------------------

def names(report, node, device):
    api = TimelineApi()
    capture = Capture(api, node, "vgem", 3)
    before = sync_file_name(capture.queue(0))
    api.call("set_fence_names", capture.fd, 1)
    shown = sync_file_name(capture.queue(1))
    api.call("set_provider", capture.fd, b"user")
    pipe = capture.queue(2)
    problem = None if shown == f"{device} capture 1 #2" else f"the kernel shows {shown!r}"
    if not problem and (before is None or before.startswith(device)):
        problem = f"unasked: {before!r}"
    if not problem and (sync_file_name(pipe) is not None or has_ended(pipe)):
        problem = "a fence of another kind was changed"
    capture.close()
    if not problem and not has_ended(pipe):
        problem = "a fence is still pending"
    report.tell(f"names/{device}", problem)


def stream_with_names(report, node):
    ended = guest.run(guest.program, "stream", node, "--size", "320x180", "--rate", "15",
                      "--frames", "5", "--out-fence", "--fences", "vgem", "--fence-names",
                      "--allow-bad", "200", "--timeout", "30")
    report.tell("stream-with-names",
                None if ended.status == 0 else f"{ended.how()}: {ended.last_words()}")


def ended_frame_as_sync_file(report, node):
    api = TimelineApi()
    capture = Capture(api, node, "user", 1)
    out = capture.queue(0)
    early = api.call("fence_sync_file", out)
    capture.start()
    api.fence_wait(out, soon_ms)
    made = api.call("fence_sync_file", out)
    problem = None if early == -errno.EAGAIN else f"pending: {name_of(early)}"
    if not problem and made < 0:
        problem = f"ended: {name_of(made)}"
    if not problem and (sync_file_name(made) is None or not has_ended(made)):
        problem = "it is no sync_file that has ended"
    capture.close()
    report.tell("ended-frame-as-sync-file", problem)


def body(report):
    node = guest.nodes("vivid")[0]
    timelines = without_timelines if os.environ["VM_KERNEL"] == "6.1" else with_timelines
    guest.one_by_one(report, {
        "timelines": functools.partial(timelines, node=node),
        "names/vivid": functools.partial(names, node=node, device=Path(node).name),
        "names/camera": functools.partial(names, node="virtual:camera", device="camera-0"),
        "stream-with-names": functools.partial(stream_with_names, node=node),
        "ended-frame": functools.partial(ended_frame_as_sync_file, node=node),
    })


guest.main(guest.Machine("vivid vgem virtio-gpu", (("vivid", "n_devs=1 node_types=0x1"),)), body)
