# SPDX-License-Identifier: MIT
"""The tables of tidy: who may include whom, what may not be called where, and how long things get.

A new layer gets a row in `layers`; an exception to a ban gets a row in `raw_calls_allowed` with its
reason. Nothing else in tidy has to change for either.
"""

from typing import NamedTuple

file_lines_max = 500
function_lines_max = 70
line_columns_max = 100

public_headers = (
    "v4lfence/uapi_fences.h", "v4lfence/v4lfence.h", "v4lfence/v4lfence.hpp", "v4lfence/kms.h"
)
_up_to_fence = ("v4lfence/base/", "v4lfence/fence/")
_uapi = ("v4lfence/uapi/", "v4lfence/uapi_fences.h")
_up_to_bridge = _up_to_fence + _uapi + ("v4lfence/sync/", "v4lfence/bridge/")
_up_to_vb2 = _up_to_fence + ("v4lfence/sync/", "v4lfence/vb2/")
_up_to_v4l2 = _up_to_vb2 + _uapi + ("v4lfence/v4l2/",)
_up_to_drivers = _up_to_v4l2 + ("v4lfence/drivers/",)


class Layer(NamedTuple):
    """What files under a folder may include (paths or folders) and the words they may not use."""

    may_include: tuple
    no_system_headers: tuple = ()
    no_words: tuple = ()  # anywhere in an identifier, outside tests


_video = ("linux/videodev2.h", "linux/v4l2-controls.h")


# The longest matching folder wins. A folder that is not listed may include anything.
layers = {
    "v4lfence/base/": Layer(
        ("v4lfence/base/",), _video, ("v4l2", "fence_fd", "plane", "vivid", "vgem")
    ),
    "v4lfence/fence/": Layer(_up_to_fence, _video, ("v4l2", "plane", "videodev")),
    "v4lfence/sync/": Layer(
        _up_to_fence + ("v4lfence/sync/",), _video + ("sys/ioctl.h",), ("plane", "ioctl")
    ),
    "v4lfence/uapi/": Layer(_up_to_fence + _uapi + ("v4lfence/sync/",)),
    "v4lfence/bridge/": Layer(_up_to_bridge),
    "v4lfence/vb2/": Layer(_up_to_vb2, _video, ("v4l2",)),
    "v4lfence/v4l2/": Layer(_up_to_v4l2),
    "v4lfence/drivers/": Layer(_up_to_drivers),
    "v4lfence/remote/": Layer(_up_to_v4l2 + ("v4lfence/remote/",)),
    "v4lfence/capi/": Layer(
        _up_to_bridge + _up_to_drivers
        + ("v4lfence/remote/", "v4lfence/capi/", "v4lfence/shim/abi.h") + public_headers
    ),
    "v4lfence/kms/": Layer(
        _up_to_fence + ("v4lfence/kms/", "v4lfence/kms.h"), _video, ("v4l2", "videodev")
    ),
    "v4lfence/shim/": Layer(("v4lfence/shim/", "v4lfence/uapi_fences.h")),
    "v4lfence/": Layer(public_headers),
    "conformance/": Layer(_up_to_fence + ("v4lfence/uapi_fences.h", "conformance/")),
    "tools/": Layer(
        _up_to_fence + public_headers
        + ("v4lfence/drivers/picture/stamp.hpp", "v4lfence/shim/abi.h", "v4lfence/kms.h",
           "conformance/", "tools/")
        # What the words on a trace board mean.
        + ("v4lfence/sync/queue_trace.hpp", "v4lfence/kms/display_trace.hpp")
    ),
    # The only part of the tools that knows what a device is made of: it hosts some.
    "tools/exec/device_host.cpp": Layer(
        _up_to_drivers + ("v4lfence/remote/server.hpp", "tools/exec/device_host.hpp")
    ),
    "examples/": Layer(()),
}
test_support = ("tests/support/",)  # a test may include this whatever its layer

# Calls of the C library that bypass ownership, close-on-exec or the retry on EINTR,
# each with what to write instead.
_owned = "the sys:: function of v4lfence/base/syscall.hpp that returns a UniqueFd"
raw_calls = {
    "close": "UniqueFd, which closes for you",
    "dup": "sys::dup",
    "dup2": "sys::dup or sys::dup_high",
    "dup3": "sys::dup or sys::dup_high",
    "open": "sys::open",
    "openat": "sys::open",
    "ioctl": "sys::ioctl",
    "poll": "sys::poll or sys::poll_now",
    "ppoll": "sys::poll",
    "select": "sys::poll",
    "mmap": _owned,
    "munmap": _owned,
    "pipe": "sys::pipe",
    "pipe2": "sys::pipe",
    "socketpair": "sys::socketpair",
    "eventfd": "sys::eventfd",
    "epoll_create": "sys::epoll_create",
    "epoll_create1": "sys::epoll_create",
    "epoll_ctl": "sys::epoll_ctl",
    "epoll_wait": "sys::epoll_wait",
    "epoll_pwait": "sys::epoll_wait",
    "timerfd_create": "sys::timerfd_create",
    "timerfd_settime": "sys::timerfd_set",
    "memfd_create": "sys::sealed_memory",
    "fcntl": "sys::dup_high or sys::get_status_flags",
    "read": "sys::read",
    "write": "sys::write",
    "syscall": "a sys:: function",
}

# Folder -> (calls, reason). "*" allows all. Unit tests (`*_test.cpp`) may call anything, because
# they break descriptors on purpose; what they may not do is sleep.
raw_calls_allowed = {
    "v4lfence/base/": ("*", "this is where the wrappers are"),
    "v4lfence/shim/": ("*", "they are what it stands in front of"),
    "v4lfence/shim/config.cpp": (["secure_getenv"], "what exec asks for comes by the environment"),
    "v4lfence/shim/testing/": ([*raw_calls, "getenv", "printf"], "programs that tests preload"),
    "v4lfence/capi/": ("*", "the program's own calls, passed on exactly as they came"),
    "v4lfence/drivers/picture/make_glyphs.cpp": (["fputs"], "a program that only the build runs"),
    "v4lfence/v4lfence.hpp": ("close ioctl".split(), "a program's header: it sees no internal one"),
    "examples/": ("*", "programs of users, who have the C library and our C header alone"),
    "tests/": ("*", "tests break descriptors on purpose, benchmarks measure the bare call"),
}

_say = "an Error in the Result, or the trace ring: the library is silent"
library_calls = {
    name: _say
    for name in ("printf", "fprintf", "vprintf", "vfprintf", "dprintf", "puts", "fputs", "perror")
} | {
    "getenv": "an option of the API: the library does not read the environment",
    "secure_getenv": "an option of the API: the library does not read the environment",
}
library_words = {
    r"\bstd::(?:cout|cerr|clog)\b": _say,
    r"\bthrow\b": "Result<T>: no exception crosses a layer",
    r"\b(?:std::)?(?:exit|_exit|quick_exit)\s*\(": "an Error: the program is not ours to end",
}

# Spelled in two halves, so that this table is no finding of its own search.
sleeps = r"\b(?:u|nano|clock_nano)?sleep" + r"(?:_for|_until)?\s*\("
unfinished = r"\b(?:TO" + r"DO|FIX" + r"ME|XX" + r"X)\b"
machine_paths = r"(?<![\w.~-])/(?:work|root|home)" + r"/(?=[\w.])"
temporary_path = r"(?<![\w.$}])/t" + r"mp/"

built_suffixes = (".o", ".so", ".a", ".ko", ".deb", ".bin", ".xz", ".zst", ".img", ".pyc")
