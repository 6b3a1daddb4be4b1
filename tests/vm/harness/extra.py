# SPDX-License-Identifier: MIT
"""Modules that Debian's kernels leave out, built for the very kernel that the guest runs.

Sources and headers are Debian packages; what kbuild makes of them is put beside the kernel's own
modules in the cache, once for each kernel, and nothing of it anywhere else.
"""

import contextlib
import dataclasses
import fcntl
import os
import re
import shutil
import tempfile
from pathlib import Path

from . import Lacking
from . import host
from . import kernels
from . import modules
from . import vmlinux


@dataclasses.dataclass(frozen=True)
class Recipe:
    """Sources in a Debian package, and the modules that are made of them.

    In all texts {line} is the kernel line. `sources` are folders and files of a tar archive in the
    package, or of the package itself; each stands under its last name beside `kbuild`.
    """

    package: str
    exact: bool  # the package's version has to be that of the kernel's
    makes: tuple[str, ...]
    tarball: str | None
    sources: tuple[str, ...]
    kbuild: str
    settings: tuple[str, ...] = ()


# strlcpy is the one thing that it uses and newer kernels no longer have.
_LOOPBACK_KBUILD = """\
obj-m := v4l2loopback.o
ccflags-y := $(if $(shell grep -w strlcpy $(srctree)/include/linux/string.h),,-Dstrlcpy=strscpy)
"""
_RECIPES = (
    Recipe("linux-source-{line}", True, ("vkms", "v4l2_mem2mem", "vim2m", "vicodec"),
           "usr/src/linux-source-{line}.tar.xz",
           ("drivers/gpu/drm/vkms", "drivers/media/v4l2-core/v4l2-mem2mem.c",
            "drivers/media/test-drivers/vim2m.c", "drivers/media/test-drivers/vicodec"),
           "obj-m := vkms/ v4l2-mem2mem.o vim2m.o vicodec/\n",
           ("CONFIG_DRM_VKMS=m", "CONFIG_VIDEO_VICODEC=m")),
    Recipe("v4l2loopback-dkms", False, ("v4l2loopback",), None, ("usr/src/v4l2loopback-*/*.[ch]",),
           _LOOPBACK_KBUILD),
)
_RECIPE_OF = {name: recipe for recipe in _RECIPES for name in recipe.makes}


def knows(name: str) -> bool:
    return name in _RECIPE_OF


def provide(kernel: kernels.Kernel, line: str, name: str) -> None:
    """Makes a module part of the kernel's tree, with what its recipe makes beside it.

    Safe to call several times at once. Errors: Lacking, with the package or program.
    """
    with _locked(kernel):
        # Somebody else may have built it while this call waited for the lock.
        if not modules.Index.load(kernel.modules).has(name):
            _build(kernel, line, _RECIPE_OF[name])


@contextlib.contextmanager
def _locked(kernel: kernels.Kernel):
    with open(kernel.tree / ".lock-extra", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _build(kernel: kernels.Kernel, line: str, recipe: Recipe) -> None:
    version = vmlinux.package_version(kernel.packed_image.read_bytes())
    if not version:
        raise Lacking(f"the package version of kernel {kernel.version}, which its image should say")
    with tempfile.TemporaryDirectory(dir=kernels.cache_folder(), prefix="extra-") as folder:
        work = Path(folder)
        headers = _unpack_headers(kernel.version, version, work)
        sources = work / "sources"
        sources.mkdir()
        _unpack_sources(recipe, line, version, work, sources)
        (sources / "Kbuild").write_text(recipe.kbuild)
        # A module may do without type information, for which kbuild would need one more program.
        host.output("make", "-C", str(headers), f"M={sources}", f"-j{os.cpu_count()}",
                    "CONFIG_DEBUG_INFO_BTF_MODULES=", *recipe.settings, "modules")
        _install(sorted(sources.rglob("*.ko")), kernel)


def compiler_of(kernel_variables: str) -> str | None:
    """The compiler that a headers package names in its .kernelvariables."""
    found = re.search(r"\bgcc-\d+\b", kernel_variables)
    return found[0] if found else None


def depends_on_kbuild(depends: str) -> str | None:
    """The package of kbuild's programs in the Depends of a headers package."""
    found = re.search(r"\blinux-kbuild-[^\s,(]+", depends)
    return found[0] if found else None


def _unpack_headers(kernel: str, version: str, work: Path) -> Path:
    """The folder that `make -C` wants."""
    tree = work / "headers"
    common = kernel.removesuffix("-amd64") + "-common"
    archive = host.download(f"linux-headers-{kernel}={version}", work)
    kbuild = depends_on_kbuild(host.output("dpkg-deb", "--field", str(archive), "Depends"))
    if not kbuild:
        raise Lacking(f"a linux-kbuild package: linux-headers-{kernel} names none")
    for package in (archive, host.download(f"linux-headers-{common}={version}", work),
                    host.download(f"{kbuild}={version}", work)):
        host.output("dpkg-deb", "--extract", str(package), str(tree))
    headers = tree / "usr" / "src" / f"linux-headers-{kernel}"
    compiler = compiler_of((headers / ".kernelvariables").read_text())
    if compiler and not shutil.which(compiler):
        raise Lacking(f"the compiler of kernel {kernel} (Debian package {compiler})")
    # The package's own names a folder of the host's root.
    (headers / "Makefile").write_text(f"include {tree}/usr/src/linux-headers-{common}/Makefile\n")
    return headers


def _unpack_sources(recipe: Recipe, line: str, version: str, work: Path, to: Path) -> None:
    name = recipe.package.format(line=line)
    archive = host.download(f"{name}={version}" if recipe.exact else name, work)
    tree = work / "package"
    host.output("dpkg-deb", "--extract", str(archive), str(tree))
    if recipe.tarball:
        tarball = tree / recipe.tarball.format(line=line)
        top = tarball.name.split(".tar")[0]
        host.output("tar", "-xf", str(tarball), "-C", str(work), *(
            f"{top}/{source}" for source in recipe.sources))
        tree = work / top
    for source in recipe.sources:
        found = list(tree.glob(source))
        if not found:
            raise Lacking(f"{source} in the Debian package {name}")
        for path in found:
            path.rename(to / path.name)


def _install(built: list[Path], kernel: kernels.Kernel) -> None:
    folder = kernel.modules / "updates"
    folder.mkdir(exist_ok=True)
    for module in built:
        host.output("strip", "--strip-debug", str(module))
        module.replace(folder / module.name)
    # It replaces the lists whole: who reads them meanwhile sees the old ones or the new ones.
    host.output("depmod", "-b", str(kernel.tree), kernel.version)
