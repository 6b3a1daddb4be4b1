# SPDX-License-Identifier: MIT
"""The guest's first file system: busybox, the modules, the init script and what it is to run."""

import itertools
import os
import shlex
import stat
from pathlib import Path

from . import Lacking
from . import modules

_GUEST = Path(__file__).resolve().parent.parent / "guest"
# Commands that guest/init.sh calls by name; what the shell has built in needs no link.
_APPLETS = ("sh", "mount", "umount", "insmod", "cat", "poweroff", "chroot", "mkdir", "mkfifo",
            "sleep", "ifconfig", "dmesg", "ln")
_FOLDERS = ("bin", "proc", "sys", "dev", "host", "cgroup", "scratch", "vm", "vm/modules")


class Archive:
    """A cpio archive in the `newc` form that the kernel unpacks at boot."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._inode = 0

    def folder(self, name: str) -> None:
        self._add(name, stat.S_IFDIR | 0o755, b"")

    def file(self, name: str, data: bytes, mode: int = 0o644) -> None:
        self._add(name, stat.S_IFREG | mode, data)

    def link(self, name: str, target: str) -> None:
        self._add(name, stat.S_IFLNK | 0o777, target.encode())

    def finish(self) -> bytes:
        """The whole archive; nothing can be added after this."""
        self._add("TRAILER!!!", 0, b"")
        return b"".join(self._parts)

    def _add(self, name: str, mode: int, data: bytes) -> None:
        self._inode += 1
        path = os.fsencode(name) + b"\0"
        # inode, mode, uid, gid, links, mtime, size, device and special device (2 each), name, check
        fields = (self._inode, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(path), 0)
        header = b"070701" + b"".join(b"%08X" % field for field in fields)
        self._parts += [_padded(header + path), _padded(data)]


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)


def busybox() -> bytes:
    """The host's busybox, which must be a static one: the guest starts without any library."""
    for folder in ("/bin", "/usr/bin"):
        file = Path(folder) / "busybox"
        if file.exists():
            data = file.read_bytes()
            if b"/ld-linux" in data:
                raise Lacking("a static busybox (Debian package busybox-static)")
            return data
    raise Lacking("busybox (Debian package busybox-static)")


def command_script(command: list[str], environment: dict[str, str]) -> str:
    """A shell script that becomes the command, inside the host's root, in the folder /run."""
    words = ["chroot", "/host", "/usr/bin/env", "-i",
             *(f"{name}={value}" for name, value in environment.items()),
             "/bin/sh", "-c", 'cd /run && exec "$@"', "sh", *command]
    return f"exec {shlex.join(words)}\n"


def module_list(plans: list[list[modules.Step]], parameters: dict[str, str]) -> str:
    """What guest/init.sh loads, line by line: `required|optional NAME [PARAMETERS]`.

    An empty line stands between two plans.
    """
    def line(step: modules.Step) -> str:
        need = "optional" if step.optional else "required"
        return f"{need} {step.name} {parameters.get(step.name, '')}".rstrip() + "\n"

    return "\n".join("".join(map(line, plan)) for plan in plans)


def build(plans: list[list[modules.Step]], parameters: dict[str, str], command: str) -> bytes:
    """The archive for one run.

    The first plan holds what the guest needs before it can talk with the host, the second the rest.
    `command` is what `command_script` made.
    """
    archive = Archive()
    for name in _FOLDERS:
        archive.folder(name)
    archive.file("bin/busybox", busybox(), 0o755)
    for applet in _APPLETS:
        archive.link(f"bin/{applet}", "busybox")
    archive.file("init", (_GUEST / "init.sh").read_bytes(), 0o755)
    for step in itertools.chain(*plans):
        archive.file(f"vm/modules/{step.name}.ko", modules.content(step.file))
    archive.file("vm/modules.list", module_list(plans, parameters).encode())
    archive.file("vm/command.sh", os.fsencode(command))
    return archive.finish()
