# SPDX-License-Identifier: MIT
"""Pictures of the guest's screen, taken at moments that the guest chooses.

The guest asks on a line of its own (guest/screendump.py): `screendump NAME`, and gets `ok NAME.png`
once that file is in the folder that both sides see, or `error TEXT`. QEMU takes the picture, told
so by its machine protocol (QMP), on a socket that this process holds the other end of.
"""

import json
import re
from pathlib import Path
from typing import Callable

SCREEN = "screen"  # the display device's name in QEMU
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")

Send = Callable[[bytes], None]


class Monitor:
    """Turns the guest's lines into QEMU's commands, and its answers back into lines.

    One request at a time is with QEMU; those behind it wait here.
    """

    def __init__(self, to_guest: Send, to_qemu: Send, folder: Path | None):
        """`folder`: where pictures go; None: no picture can be had, and the guest is told so."""
        self._to_guest = to_guest
        self._to_qemu = to_qemu
        self._folder = folder
        self._waiting: list[str] = []
        self._ready = False  # QEMU has accepted the protocol
        self._under_way: str | None = None

    def from_guest(self, line: str) -> None:
        verb, _, name = line.strip().partition(" ")
        if verb != "screendump" or not _NAME.fullmatch(name):
            self._answer(f"error no request: {line.strip()}")
        elif self._folder is None:
            self._answer("error pictures need a display (module virtio-gpu) and vm.py --out")
        else:
            self._waiting.append(name)
            self._next()

    def from_qemu(self, line: str) -> None:
        message = json.loads(line)
        if "QMP" in message:
            self._command("qmp_capabilities")
        elif "error" in message:
            self._done(f"error QEMU: {message['error'].get('desc', 'no reason given')}")
        elif "return" in message and not self._ready:
            self._ready = True
            self._next()
        elif "return" in message:
            self._done(f"ok {self._under_way}.png")
        # The rest are events, of which none matters.

    def _next(self) -> None:
        if self._ready and self._waiting and self._under_way is None:
            self._under_way = self._waiting.pop(0)
            self._command("screendump", device=SCREEN, format="png",
                          filename=str(self._folder / f"{self._under_way}.png"))

    def _command(self, name: str, **arguments: str) -> None:
        command = {"execute": name} | ({"arguments": arguments} if arguments else {})
        self._to_qemu(json.dumps(command).encode() + b"\n")

    def _done(self, text: str) -> None:
        if self._under_way is not None:
            self._under_way = None
            self._answer(text)
        self._next()

    def _answer(self, text: str) -> None:
        self._to_guest(text.encode() + b"\n")
