# SPDX-License-Identifier: MIT
"""The suites of ./test. To add one, add a line to `suites`; nothing else needs to change.

A suite is a command, run from the top of the tree. It says what it found in one or both of
- lines of its output, where others are its log: `ok NAME`, `not ok NAME - why`,
  `skip NAME - reason`;
- JUnit XML files in the folder that the environment variable V4LFENCE_RESULTS names
  (`--gtest_output=xml:$V4LFENCE_RESULTS/x.xml`, `v4lfence conform DEVICE --junit ...`).

A suite that ends badly without a failed result, says nothing, or takes longer than `timeout_s`
counts as one failure more. One that ends with 77 and no result is skipped; its last line says why.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Suite:
    name: str
    command: tuple[str, ...]
    where: str = "host"  # host: alone, in this order; vm: after those, several at a time
    after: tuple[str, ...] = ()  # host suites that must have passed: what they build is used
    needs: tuple[str, ...] = ()  # programs on PATH; the suite is skipped where one is missing
    timeout_s: int = 1600  # several times what the longest takes: it is there for hangs
    quick: bool | None = None  # part of ./test --quick; by default what runs on the host
    on_request: bool = False  # left out unless --only names it, or an option of its own does


_qemu = ("qemu-system-x86_64",)


def _in_guest(script, kernel):
    """A script of tests/suites that enters the VM by itself."""
    return Suite(f"{script.replace('_', '-')}-{kernel}", (f"tests/suites/{script}.py", kernel),
                 where="vm", after=("build",), needs=_qemu)


suites = [
    Suite("tidy", ("tests/tidy/tidy.py",)),
    Suite("scripts", ("tests/suites/scripts.sh",), needs=("shellcheck",)),
    Suite("python", ("tests/suites/python.py",)),
    Suite("build", ("tests/build.py", "gcc", "--werror"), timeout_s=2500),
    Suite("headers", ("tests/tidy/tidy.py", "--compile"), after=("build",)),
    Suite("unit-gcc", ("tests/unit.py", "gcc"), after=("build",)),
    Suite("unit-clang", ("tests/unit.py", "clang"), needs=("clang++-14",), timeout_s=2500),
    Suite("unit-asan", ("tests/unit.py", "asan"), needs=("clang++-14",), timeout_s=2500),
    Suite("unit-tsan", ("tests/unit.py", "tsan"), needs=("clang++-14",), timeout_s=2500),
    # 32-bit programs: the libraries that are preloaded to them, and their unit tests.
    Suite("build-i386", ("tests/build.py", "i386", "--werror"), after=("build",), timeout_s=2500),
    Suite("unit-i386", ("tests/unit.py", "i386"), after=("build-i386",), timeout_s=2500),
    Suite("narrow", ("tests/suites/narrow.py",), after=("build", "build-i386")),
    Suite("examples", ("tests/suites/examples.sh",), after=("build",), needs=("make",)),
    Suite("cli", ("tools/cli_test.py",), after=("build",)),
    Suite("stream-virtual", ("tests/suites/stream_virtual.py",), after=("build",)),
    Suite("display-virtual", ("tests/suites/display_virtual.py",), after=("build",)),
    Suite("trace", ("tests/suites/trace.py",), after=("build",)),
    Suite("job", ("tests/suites/job.py",), after=("build",)),
    Suite("conform-virtual", ("tests/suites/conform_virtual.py",), after=("build",)),
    Suite("shim-traps", ("tests/shim/traps.py",), after=("build",)),
    Suite("shim-secure", ("tests/shim/secure.py",), after=("build",), needs=("setpriv", "gcc")),
    Suite("rfc", ("tests/suites/rfc.py",), after=("build",)),
    Suite("doctor", ("tests/suites/doctor.py",), after=("build",)),
    # Other people's programs, on virtual cameras.
    Suite("clients-compliance", ("tests/suites/clients_compliance.py",), after=("build",),
          needs=("v4l2-compliance",)),
    Suite("clients-ctl", ("tests/suites/clients_ctl.py",), after=("build",), needs=("v4l2-ctl",)),
    Suite("clients-gst", ("tests/suites/clients_gst.py",), after=("build",),
          needs=("gst-launch-1.0", "strace")),
    Suite("clients-ffmpeg", ("tests/suites/clients_ffmpeg.py",), after=("build",),
          needs=("ffmpeg", "strace")),
    Suite("clients-opencv", ("tests/suites/clients_opencv.py",), after=("build",)),
    Suite("clients-chromium", ("tests/suites/clients_chromium.py",), after=("build",),
          needs=("setpriv",)),
    Suite("clients-shared", ("tests/suites/clients_shared.py",), after=("build",),
          needs=("v4l2-ctl", "ffmpeg", "gst-launch-1.0")),
    # The longest first: two at a time then end together. A minute of the first run with vkms is its
    # building.
    _in_guest("tear", "6.1"),
    _in_guest("tear", "6.12"),
    _in_guest("display_rounds", "6.1"),
    _in_guest("display_rounds", "6.12"),
    _in_guest("display", "6.1"),
    _in_guest("display", "6.12"),
    _in_guest("uvc", "6.1"),
    _in_guest("uvc", "6.12"),
    _in_guest("conform", "6.1"),
    _in_guest("conform", "6.12"),
    _in_guest("conform_virtual", "6.1"),
    _in_guest("conform_virtual", "6.12"),
    Suite("vm-harness", ("tests/suites/python.py", "tests/vm/vm_test.py", "--boot"), where="vm",
          needs=_qemu),
    _in_guest("stream", "6.1"),
    _in_guest("stream", "6.12"),
    _in_guest("unfenced_difference", "6.1"),
    _in_guest("unfenced_difference", "6.12"),
    _in_guest("timelines", "6.1"),
    _in_guest("timelines", "6.12"),
    _in_guest("implicit", "6.1"),
    _in_guest("implicit", "6.12"),
    _in_guest("stream_virtual", "6.1"),
    _in_guest("stream_virtual", "6.12"),
    _in_guest("wrap", "6.1"),
    _in_guest("wrap", "6.12"),
    # 6.1 has no memory that a virtual camera could export but vgem's.
    _in_guest("clients_compliance", "6.12"),
    _in_guest("clients_ctl", "6.12"),
    _in_guest("clients_gst", "6.12"),
    Suite("unfenced", ("tests/bench/unfenced_check.py",), where="vm", after=("build",),
          needs=(*_qemu, "strace")),
    Suite("narrow-6.1", ("tests/suites/narrow.py", "6.1"), where="vm",
          after=("build", "build-i386"), needs=_qemu),
    Suite("narrow-6.12", ("tests/suites/narrow.py", "6.12"), where="vm",
          after=("build", "build-i386"), needs=_qemu),
    _in_guest("doctor", "6.1"),
    _in_guest("doctor", "6.12"),
    _in_guest("trace", "6.1"),
    _in_guest("trace", "6.12"),
    _in_guest("job", "6.1"),
    _in_guest("job", "6.12"),
    _in_guest("rfc", "6.1"),
    _in_guest("rfc", "6.12"),
    Suite("shim-traps-6.1", ("tests/shim/traps.py", "6.1"), where="vm", after=("build",),
          needs=_qemu),
    Suite("shim-traps-6.12", ("tests/shim/traps.py", "6.12"), where="vm", after=("build",),
          needs=_qemu),
    _in_guest("units", "6.1"),
    _in_guest("units", "6.12"),
    _in_guest("units_nodes", "6.1"),
    _in_guest("units_nodes", "6.12"),
    _in_guest("units_display", "6.1"),
    _in_guest("units_display", "6.12"),
    Suite("examples-6.1", ("tests/suites/examples.sh", "--vm", "6.1"), where="vm",
          after=("build",), needs=(*_qemu, "make")),
    Suite("examples-6.12", ("tests/suites/examples.sh", "--vm", "6.12"), where="vm",
          after=("build",), needs=(*_qemu, "make")),
    # ./test --mutants: for whoever changes a promise or its test.
    Suite("mutants", ("tests/mutants/mutants.py",), needs=("clang++-14",), timeout_s=3600,
          on_request=True),
]
