# SPDX-License-Identifier: MIT
"""Copies of the tree in build/mutants, where mutants are applied and built. The tree itself, and
what git knows of it, is never touched.

The first copy is kept from run to run, so that only what has changed is compiled; the others are
made from it each time. Uncommitted changes come along.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

from patches import top

sys.path.insert(0, str(top / "tests"))

import build  # noqa: E402

scratch = top / "build" / "mutants"
plain = "plain"  # the configuration; the others are those of tests/build.py
# To compile fast is what counts; assertions stay.
_fast = ("-Ddebug=false", "-Dwarning_level=0")
_timeout_s = 900
_test = re.compile(r"^\s*(?:TYPED_)?TEST(?:_F|_P)?\(\s*(\w+)\s*,\s*(\w+)\s*\)", re.M)


class Broken(Exception):
    """It cannot be copied, patched or built; the text says why."""


def _run(command, where, **arguments):
    done = subprocess.run([str(word) for word in command], cwd=where, text=True, errors="replace",
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=_timeout_s,
                          stdin=arguments.pop("stdin", subprocess.DEVNULL), **arguments)
    if done.returncode != 0:
        lines = [line for line in done.stdout.splitlines() if "error" in line.lower()]
        last = done.stdout.strip().splitlines()[-1:] or [f"ended with {done.returncode}"]
        raise Broken(" ".join((lines or last)[0].split()))
    return done.stdout


def apply(diff, where, *options):
    """Applies a diff to a folder, which for git lies in no repository. Raises Broken."""
    environment = {**os.environ, "GIT_CEILING_DIRECTORIES": str(Path(where).resolve().parent)}
    with subprocess.Popen(["git", "apply", *options, "-"], cwd=where, env=environment, text=True,
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT) as child:
        said, _ = child.communicate(diff)
    if child.returncode != 0:
        raise Broken(f"does not apply: {' '.join(said.split())}")


def files_of(folder):
    """Every file of the tree that git would commit, or has; of another folder all."""
    if folder != top:
        return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard", "-z"], cwd=folder,
                            check=True, stdout=subprocess.PIPE, text=True).stdout
    return {name for name in listed.split("\0") if name and (folder / name).is_file()}


class Copy:
    """Thread: one at a time."""

    def __init__(self, number):
        self.folder = scratch / str(number)
        self.tree = self.folder / "tree"

    def built(self, config):
        return self.folder / config

    def refresh(self, source):
        """Makes it what the folder `source` is now."""
        wanted = files_of(source)
        for name in wanted:
            fresh, here = (source / name).read_bytes(), self.tree / name
            if not here.is_file() or here.read_bytes() != fresh:
                here.parent.mkdir(parents=True, exist_ok=True)
                here.write_bytes(fresh)
                here.chmod((source / name).stat().st_mode)
        for path in self.tree.rglob("*"):
            if path.is_file() and str(path.relative_to(self.tree)) not in wanted:
                path.unlink()

    def clone(self, number):
        other = Copy(number)
        shutil.rmtree(other.folder, ignore_errors=True)
        # With their times: what was built is not built again.
        _run(["cp", "-a", self.folder, other.folder], scratch)
        return other

    def configure(self, config):
        if (self.built(config) / "build.ninja").exists():
            self.build(config, ["build.ninja"])  # what Meson knows may have changed
            return
        environment, options = dict(os.environ), ("-Doptimization=0",)
        if config != plain:
            options = build.configs[config].options
            environment |= dict(zip(("CC", "CXX"), build.configs[config].compilers))
        _run(["meson", "setup", *options, *_fast, self.built(config), self.tree], self.folder,
             env=environment)

    def build(self, config, targets, jobs=1):
        """Raises Broken."""
        _run(["ninja", "-C", self.built(config), "-j", jobs, *targets], self.folder)

    @contextmanager
    def mutated(self, mutant):
        before = {}
        for path in mutant.files:
            if not (self.tree / path).is_file():
                raise Broken(f"does not apply: there is no {path}")
            before[path] = (self.tree / path).read_bytes()
        apply(mutant.diff, self.tree)
        try:
            yield
        finally:
            for path, content in before.items():
                (self.tree / path).write_bytes(content)

    def unit_tests(self, config):
        """{Suite.test: program} of what Meson knows here."""
        known = json.loads(_run(["meson", "introspect", "--targets", self.built(config)],
                                self.folder))
        found = {}
        for target in known:
            if target["type"] != "executable" or not target["name"].startswith("unit_"):
                continue
            for source in (path for group in target["target_sources"] for path in group["sources"]):
                for test in _test.findall(Path(source).read_text(errors="replace")):
                    found[".".join(test)] = target["name"]
        return found
