#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Configures and builds one configuration of the tree: build.py CONFIG [TARGET...]

Each lies in build/CONFIG. gcc has everything, and the command is linked as build/v4lfence; the
others hold the libraries and their unit tests alone, i386 those of 32-bit programs. What is
preloaded is linked as build/shim/$LIB/libv4lfence-preload.so, with glibc's $LIB, for both.
Prints one line when it is well, and the compiler's words when it is not.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

top = Path(__file__).resolve().parents[1]
_tests_only = ("-Dtests_only=true",)
# Clang leaves the sanitizers' symbols to the program, so libraries must be allowed to lack them.
_sanitized = _tests_only + ("-Db_lundef=false", "-Doptimization=1")


@dataclass(frozen=True)
class Config:
    """One way to build. `environment` is for its test programs; `fixed_addresses` when they cannot
    bear address space randomization."""

    compilers: tuple[str, str]
    options: tuple[str, ...] = ()
    environment: tuple[tuple[str, str], ...] = ()
    fixed_addresses: bool = False


_clang = ("clang-14", "clang++-14")
configs = {
    "gcc": Config(("gcc", "g++")),
    "clang": Config(_clang, _tests_only),
    "asan": Config(
        _clang,
        _sanitized + ("-Db_sanitize=address,undefined",),
        (("ASAN_OPTIONS", "detect_leaks=1:strict_string_checks=1:detect_stack_use_after_return=1"),
         ("UBSAN_OPTIONS", "print_stacktrace=1")),
    ),
    # Without drivers: what is preloaded to a 32-bit program leaves the devices to a server.
    "i386": Config(("gcc", "g++"),
                   _tests_only + ("--cross-file=tests/i386.ini", "-Ddrivers=false")),
    "tsan": Config(
        _clang,
        _sanitized + ("-Db_sanitize=thread",),
        (("TSAN_OPTIONS", "second_deadlock_stack=1"),),
        fixed_addresses=True,
    ),
}

# What $LIB may be to ld.so: Debian's multiarch and biarch.
_lib_folders = {
    "gcc": ("lib/x86_64-linux-gnu",),
    "i386": ("lib/i386-linux-gnu", "lib32"),
}
_preloaded = ("shim/libv4lfence-preload.so", "capi/libv4lfence.so.0")


def folder_of(name):
    return top / "build" / name


class Broken(Exception):
    """It does not build; the text is the first error."""


def _quiet(command, **arguments):
    done = subprocess.run(command, cwd=top, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, errors="replace", **arguments)
    if done.returncode != 0:
        print(done.stdout)
        lines = [line for line in done.stdout.splitlines() if "error: " in line.lower()]
        raise Broken(lines[0] if lines else f"{command[0]} ended with {done.returncode}")


def _has_werror(folder):
    options = json.loads((folder / "meson-info" / "intro-buildoptions.json").read_text())
    return next(option["value"] for option in options if option["name"] == "werror")


def configure(name, werror):
    """Makes the build folder ready. Warnings stay errors once they were: to change them back would
    compile everything again. Raises Broken."""
    config, folder = configs[name], folder_of(name)
    if (folder / "build.ninja").exists():
        if werror and not _has_werror(folder):
            _quiet(["meson", "configure", str(folder), "-Dwerror=true"])
        return
    cc, cxx = (shutil.which(tool) or tool.removesuffix("-14") for tool in config.compilers)
    command = ["meson", "setup", "--fatal-meson-warnings", *config.options, str(folder)]
    if werror:
        command.insert(2, "-Dwerror=true")
    _quiet(command, env={**os.environ, "CC": cc, "CXX": cxx})


def _link(link, target):
    target = os.path.relpath(target, link.parent)
    if not link.is_symlink() or os.readlink(link) != target:
        link.parent.mkdir(parents=True, exist_ok=True)
        link.unlink(missing_ok=True)
        link.symlink_to(target)


def _link_preloaded(name):
    for library in _preloaded:
        file = folder_of(name) / "v4lfence" / library
        for lib in _lib_folders.get(name, ()):
            if file.exists():
                _link(top / "build" / "shim" / lib / file.name, file)


def build(name, targets=(), werror=False):
    """Brings `targets` (all, when there are none) of configuration `name` up to date. Raises
    Broken."""
    folder = folder_of(name)
    configure(name, werror)
    _quiet(["ninja", "-C", str(folder), *targets])
    command = folder / "tools" / "v4lfence"
    if command.exists():
        _link(folder.parent / "v4lfence", command)
    _link_preloaded(name)


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("config", choices=configs)
    parser.add_argument("target", nargs="*")
    parser.add_argument("--werror", action="store_true", help="warnings are errors")
    options = parser.parse_args()
    started = time.monotonic()
    try:
        build(options.config, options.target, options.werror)
    except Broken as error:
        print(f"not ok build-{options.config} - {error}")
        return 1
    seconds = time.monotonic() - started
    print(f"ok build-{options.config} - in {seconds:.1f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
