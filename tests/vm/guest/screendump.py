#!/usr/bin/python3 -IS
# SPDX-License-Identifier: MIT
"""Takes a picture of the guest's screen, as the emulated display shows it now.

usage: screendump.py NAME

Writes $OUT/NAME.png and prints that path when it is there. The guest needs a display (module
virtio-gpu) and vm.py --out. Exit status 1: the host could not, and says why.
"""

import fcntl
import os
import sys
from pathlib import Path

_LOCK = "/run/screendump.lock"


def port() -> str:
    """The node of the line on which the host takes requests."""
    for name in Path("/sys/class/virtio-ports").glob("*/name"):
        if name.read_text().strip() == "requests":
            return f"/dev/{name.parent.name}"
    raise OSError("the host takes no requests here")


def ask(line: str) -> str:
    """The host's answer. A port can be open once: who comes second waits."""
    with open(_LOCK, "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with open(port(), "r+b", buffering=0) as host:
            host.write(line.encode() + b"\n")
            answer = b""
            while not answer.endswith(b"\n"):
                part = host.read(4096)
                if not part:
                    raise OSError("the host went away")
                answer += part
    return answer.decode().strip()


def main(arguments: list[str]) -> int:
    if len(arguments) != 1 or arguments[0].startswith("-"):
        print(__doc__.strip(), file=sys.stderr)
        return 0 if arguments == ["--help"] else 2
    try:
        verb, _, rest = ask(f"screendump {arguments[0]}").partition(" ")
    except OSError as error:
        verb, rest = "error", str(error)
    if verb != "ok":
        print(f"screendump.py: {rest}", file=sys.stderr)
        return 1
    print(Path(os.environ.get("OUT", "/run/out")) / rest)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
