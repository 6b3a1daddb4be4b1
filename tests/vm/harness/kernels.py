# SPDX-License-Identifier: MIT
"""Stock Debian kernels: which package a kernel line means, and its unpacked tree in the cache.

The cache holds one folder per kernel version and, for each line, a file `current-LINE` that names
the version in use. Only `prepare` asks apt for something newer; a run takes what the file names, so
that it needs neither apt nor the network.
"""

import contextlib
import dataclasses
import fcntl
import os
import re
import tempfile
from pathlib import Path

from . import Lacking
from . import host
from . import vmlinux

LINES = ("6.1", "6.12")
_META_PACKAGE = "linux-image-amd64"
_PACKAGE = {
    "6.1": re.compile(r"linux-image-(6\.1\.\d+-\d+-amd64)(-unsigned)?"),
    "6.12": re.compile(r"linux-image-(6\.12\.\d+\+deb12-amd64)(-unsigned)?"),
}


@dataclasses.dataclass(frozen=True)
class Kernel:
    """An unpacked kernel package."""

    version: str
    tree: Path

    @property
    def image(self) -> Path:
        """What QEMU starts: the unpacked kernel where `prepare` could make one."""
        plain = self.tree / "boot" / f"vmlinux-{self.version}"
        return plain if plain.exists() else self.packed_image

    @property
    def packed_image(self) -> Path:
        return self.tree / "boot" / f"vmlinuz-{self.version}"

    @property
    def modules(self) -> Path:
        return self.tree / "lib" / "modules" / self.version


def cache_folder() -> Path:
    """Where kernels are kept: ${XDG_CACHE_HOME:-~/.cache}/v4lfence/kernels."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "v4lfence" / "kernels"


def newest_package(line: str, names: list[str]) -> str | None:
    """The newest package of a line among `names`; a signed one wins over its unsigned twin."""
    def rank(match: re.Match) -> tuple[list[int], bool]:
        return [int(n) for n in re.findall(r"\d+", match[1])], match[2] is None

    matches = [m for m in map(_PACKAGE[line].fullmatch, names) if m]
    return max(matches, key=rank)[0] if matches else None


def version_of(package: str) -> str:
    """The kernel's own name for itself (uname -r) from its package's name."""
    return package.removeprefix("linux-image-").removesuffix("-unsigned")


def dependencies(apt_output: str) -> list[str]:
    """Package names in the Depends lines of `apt-cache depends`."""
    return re.findall(r"^\s*\|?Depends:\s*(\S+)", apt_output, re.MULTILINE)


def prepare(line: str) -> Kernel:
    """Makes the newest kernel of a line ready, downloading it when it is not in the cache yet."""
    with _locked(line) as cache:
        return _prepare_locked(line, cache)


def current(line: str) -> Kernel:
    """The kernel that `prepare` chose last; prepares one when there is none."""
    found = _recorded(line, cache_folder())
    if found:
        return found
    with _locked(line) as cache:
        # Somebody else may have prepared it while this call waited for the lock.
        return _recorded(line, cache) or _prepare_locked(line, cache)


def _recorded(line: str, cache: Path) -> Kernel | None:
    try:
        version = (cache / f"current-{line}").read_text().strip()
    except FileNotFoundError:
        return None
    kernel = Kernel(version, cache / version)
    return kernel if version and kernel.image.exists() else None


def _prepare_locked(line: str, cache: Path) -> Kernel:
    package = _find_package(line)
    kernel = Kernel(version_of(package), cache / version_of(package))
    if not kernel.tree.exists():
        _unpack(package, kernel, cache)
    record = cache / f"current-{line}"
    part = record.with_suffix(".part")
    part.write_text(kernel.version + "\n")
    part.replace(record)
    return kernel


@contextlib.contextmanager
def _locked(line: str):
    """Yields the cache folder while no other process prepares the same line."""
    cache = cache_folder()
    cache.mkdir(parents=True, exist_ok=True)
    with open(cache / f".lock-{line}", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield cache


def _find_package(line: str) -> str:
    if line == "6.1":
        depends = host.output("apt-cache", "depends", _META_PACKAGE)
        package = newest_package(line, dependencies(depends))
        if package:
            return package
    names = host.output("apt-cache", "pkgnames", f"linux-image-{line}.").split()
    package = newest_package(line, names)
    if not package:
        raise Lacking(f"a linux-image package of kernel {line}; apt knows none (apt-get update?)")
    return package


def _unpack(package: str, kernel: Kernel, cache: Path) -> None:
    with tempfile.TemporaryDirectory(dir=cache, prefix="unpack-") as work:
        archive = host.download(package, Path(work))
        unpacked = Kernel(kernel.version, Path(work) / "tree")
        host.output("dpkg-deb", "--extract", str(archive), str(unpacked.tree))
        host.output("depmod", "-b", str(unpacked.tree), kernel.version)
        plain = vmlinux.extract(unpacked.packed_image.read_bytes())
        if plain:
            (unpacked.tree / "boot" / f"vmlinux-{kernel.version}").write_bytes(plain)
        unpacked.tree.rename(kernel.tree)
