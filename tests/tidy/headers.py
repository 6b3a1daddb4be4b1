# SPDX-License-Identifier: MIT
"""Compiles each header alone, and remembers by content which ones passed."""

import hashlib
import json
import os
import re
import shlex
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

_flags = ["-Wall", "-Wextra", "-Wshadow", "-Werror", "-fsyntax-only"]
_languages = {"c++": ["c++", "-x", "c++", "-std=c++20"], "c": ["cc", "-x", "c", "-std=gnu11"]}


def include_flags(top):
    """The include folders outside the tree that the build uses."""
    database = top / "build" / "gcc" / "compile_commands.json"
    if not database.exists():
        return []
    folders = set()
    for entry in json.loads(database.read_text()):
        for _, folder in re.findall(r"(-I|-isystem) ?(/\S+)", entry["command"]):
            if not Path(shlex.split(folder)[0]).is_relative_to(top):
                folders.add(folder)
    return [f"-isystem{folder}" for folder in sorted(folders)]


def closure(top, path, seen=None):
    """`path` and every file of the tree that it includes, however far down."""
    seen = set() if seen is None else seen
    if path in seen or not (top / path).is_file():
        return seen
    seen.add(path)
    for name in re.findall(r'^\s*#\s*include\s*[<"]([^">\n]+)[>"]', (top / path).read_text(), re.M):
        closure(top, name, seen)
    return seen


def _key(top, path, command):
    digest = hashlib.sha256(" ".join(command).encode())
    for name in sorted(closure(top, path)):
        digest.update(name.encode() + b"\0" + (top / name).read_bytes() + b"\0")
    return digest.hexdigest()


def _compile(top, path, language, cache, include):
    command = _languages[language] + _flags + include + [f"-I{top}", "-"]
    passed = cache / _key(top, path, command)
    if passed.exists():
        return None
    done = subprocess.run(command, input=f'#include "{path}"\n', capture_output=True, text=True)
    if done.returncode == 0:
        passed.touch()
        return None
    first = next((line for line in done.stderr.splitlines() if "error" in line), "no message")
    return (path, 1, f"does not compile alone as {language}: {first}")


def findings(top, paths):
    cache = top / "build" / "tidy-cache"
    cache.mkdir(parents=True, exist_ok=True)
    include = include_flags(top)
    jobs = [(path, "c++") for path in paths]
    jobs += [(path, "c") for path in paths if path.endswith(".h")]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        done = pool.map(lambda job: _compile(top, *job, cache, include), jobs)
    return [problem for problem in done if problem]
