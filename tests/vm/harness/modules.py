# SPDX-License-Identifier: MIT
"""Kernel modules: what was asked for, in which order to load it, and its bytes."""

import dataclasses
import gzip
import lzma
import shutil
import subprocess
from pathlib import Path

from . import Lacking


@dataclasses.dataclass(frozen=True)
class Request:
    """A module that a run asks for. The machine may lack an optional one."""

    name: str
    optional: bool = False


@dataclasses.dataclass(frozen=True)
class Step:
    """One module to load, after all those before it in the plan."""

    name: str
    file: Path
    optional: bool


def normal(name: str) -> str:
    """Modules go by both `-` and `_`; inside the harness by `_` alone."""
    return name.replace("-", "_")


def parse_requests(text: str) -> list[Request]:
    """`vivid vgem?` (also with commas): a trailing `?` makes a module optional."""
    words = text.replace(",", " ").split()
    return [Request(normal(word.removesuffix("?")), word.endswith("?")) for word in words]


def name_of(path: str) -> str:
    """`kernel/drivers/x/virtio-gpu.ko.xz` is virtio_gpu."""
    return normal(path.rsplit("/", 1)[-1].split(".ko")[0])


class Index:
    """What a kernel has: loadable modules with their needs, and built-in ones.

    Made from the texts of depmod's `modules.dep` and the package's `modules.builtin`.
    """

    def __init__(self, root: Path, dep: str, builtin: str):
        self._root = root
        self._paths: dict[str, str] = {}
        self._needs: dict[str, list[str]] = {}
        for line in dep.splitlines():
            path, _, needs = line.partition(":")
            name = name_of(path)
            self._paths[name] = path
            # depmod lists the module to be loaded first at the end.
            self._needs[name] = [name_of(need) for need in reversed(needs.split())]
        self._builtin = {name_of(path) for path in builtin.split()}

    @classmethod
    def load(cls, folder: Path) -> "Index":
        return cls(folder, (folder / "modules.dep").read_text(),
                   (folder / "modules.builtin").read_text())

    def has(self, name: str) -> bool:
        return name in self._paths or name in self._builtin

    def plan(self, requests: list[Request]) -> list[Step]:
        """Everything to load, each module once and after what it needs.

        Built-in modules need no step, optional ones that do not exist are left out.
        Errors: Lacking, with the names of all the required modules that do not exist.
        """
        missing = [r.name for r in requests if not r.optional and not self.has(r.name)]
        if missing:
            raise Lacking(f"kernel module(s): {', '.join(missing)}")
        required = self._closure([r.name for r in requests if not r.optional])
        every = self._closure([r.name for r in requests])
        return [Step(name, self._root / self._paths[name], name not in required)
                for name in every]

    def _closure(self, names: list[str]) -> list[str]:
        order: dict[str, None] = {}

        def visit(name: str) -> None:
            if name in order or name not in self._paths:
                return
            for need in self._needs[name]:
                visit(need)
            order[name] = None

        for name in names:
            visit(name)
        return list(order)


def content(file: Path) -> bytes:
    """A module's plain ELF image, whatever it was packed with."""
    data = file.read_bytes()
    if file.suffix == ".xz":
        return lzma.decompress(data)
    if file.suffix == ".gz":
        return gzip.decompress(data)
    if file.suffix == ".zst":
        if not shutil.which("zstd"):
            raise Lacking("the program zstd")
        return subprocess.run(["zstd", "-dcq"], input=data, capture_output=True, check=True).stdout
    return data
