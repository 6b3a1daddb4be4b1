# SPDX-License-Identifier: MIT
"""How a plain program gets to a camera: a virtual one of `v4lfence exec`, or a kernel's node that
it wraps."""

import sys
from dataclasses import dataclass
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "suites"))
import guest  # noqa: E402

programs = guest.built / "tests" / "shim"
preload = guest.built / "v4lfence" / "shim" / "libv4lfence-preload.so"
lacking = 77
hang_s = 240


@dataclass(frozen=True)
class Way:
    name: str
    node: str
    options: tuple[str, ...]

    def words(self, *command, options=()):
        """A command line that runs a command there."""
        return [guest.program, "exec", *self.options, *options, "--", *command]

    def run(self, *command, options=(), timeout_s=hang_s, **arguments):
        return guest.run(*self.words(*command, options=options), timeout_s=timeout_s, **arguments)


def virtual(node="/dev/video80", kind="camera"):
    return Way("virtual", node, ("--virtual", f"{kind}={node}"))


def wrapped(node):
    return Way("wrapped", node, ("--wrap", node))


def tell(report, name, ended, status=0):
    """The result of a program that says by its exit status how it went."""
    if ended.status == lacking and status != lacking:
        report.skip(name, ended.last_words())
    else:
        report.tell(name, None if ended.status == status else
                    f"{ended.how()}: {ended.last_words()}")
