#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Reads the whole tree and says what breaks the rules of CONTRIBUTING.md: `path:line: problem`.

The tables of what is allowed are in rules.py. After the findings comes one line for each check,
`ok NAME` or `not ok NAME - why`, which tests/run_suites.py counts.

INVARIANTS.md: each table row of the form

    | N.M | where | test |

says that line N.M of SEMANTICS.md (N: the table of section N) is kept by `where` (a path, with
anything after a colon) and pinned by `test`: one or more names, separated by commas, backticks
welcome:

    Suite.name         a GoogleTest (TEST, TEST_F, TEST_P) with `// Pins: N.M` on the line above it;
                       one comment may list several numbers: `// Pins: 2.1, 2.3`
    conform:case-name  a conformance case: a string literal in conformance/cases/*.cpp; when the
                       literal after it lists numbers, N.M must be one of them
    vm:script          a file under tests/vm or tests/suites, by its name
    not yet: issue N, reason    only for a line that semantics_lines.txt marks `later:`

Each number of semantics_lines.txt needs a row. Other tables and rows of the page are ignored.

--compile compiles each header alone, as C++ and for .h files also as C, with the include folders
of build/gcc/compile_commands.json when it exists; a header is not compiled again while it and what
it includes stay as they were when it last passed.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import headers  # noqa: E402
import invariants  # noqa: E402
import rules  # noqa: E402
from source import Source  # noqa: E402

_skipped_folders = {".git", "build", "out", "__pycache__"}


def tree_paths(top):
    """Every file that is tracked or would be: what git does not ignore."""
    if (top / ".git").exists() and shutil.which("git"):
        listing = subprocess.run(
            ["git", "-C", str(top), "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            capture_output=True,
        )
        if listing.returncode == 0:
            names = set(listing.stdout.decode().split("\0")) - {""}
            return sorted(name for name in names if (top / name).is_file())
    found = []
    for folder, folders, files in os.walk(top):
        folders[:] = [name for name in folders if name not in _skipped_folders]
        found += [str((Path(folder) / name).relative_to(top)) for name in files]
    return sorted(found)


def _longest(table, path):
    return max((key for key in table if path.startswith(key)), key=len, default=None)


def _call(name):
    """A pattern for the global function `name` before its arguments: no member, no other scope."""
    return rf"(?<![\w:.])(?<!->)(?:std::|::)?\b{name}\s*\("


def _is_no_call(source, match):
    """A declaration has a type before it; a system call has arguments, a member's call may not."""
    if source.text[match.end() :].lstrip().startswith(")"):
        return True
    before = source.code[: match.start()].rstrip()
    if re.search(r"(?:\b(?:return|else|do|co_return|co_yield|case|and|or|not))$", before):
        return False
    return bool(re.search(r"[\w>\]]$|(?<!&)&$|\*$", before))


def check_spdx(source):
    named = Path(source.path).name in ("meson.build", "meson_options.txt", "Makefile")
    if source.is_source or named:
        shebang = bool(source.lines) and source.lines[0].startswith("#!")
        line = 2 if shebang else 1
        if len(source.lines) < line or "SPDX-License-Identifier: MIT" not in source.lines[line - 1]:
            yield line, "start with SPDX-License-Identifier: MIT"


def check_length(source):
    if not source.is_source:
        return
    if len(source.lines) > rules.file_lines_max:
        yield len(source.lines), f"{len(source.lines)} lines; split at {rules.file_lines_max}"
    for at, line in enumerate(source.lines, 1):
        if len(line) > rules.line_columns_max:
            yield at, f"{len(line)} columns; at most {rules.line_columns_max}"
    for first, last, name in source.functions():
        if last - first + 1 > rules.function_lines_max:
            yield first, f"{name} has {last - first + 1} lines; at most {rules.function_lines_max}"


def check_includes(source):
    folder = _longest(rules.layers, source.path)
    if not source.is_cxx or folder is None:
        return
    layer = rules.layers[folder]
    allowed = layer.may_include + (rules.test_support if source.is_test else ())
    for at, name, quoted in source.includes():
        if quoted and not name.startswith(allowed):
            yield at, f"{folder} may not include {name}"
        elif quoted and "/testing/" in name and not (source.is_test or "/testing/" in source.path):
            yield at, f"{name} is for tests alone"
        elif not quoted and name in layer.no_system_headers:
            yield at, f"{folder} may not include <{name}>"
        elif not quoted and name.startswith("v4lfence/") and name not in rules.public_headers:
            yield at, f"<{name}> is not installed; use quotes inside the tree"


def check_words(source):
    folder = _longest(rules.layers, source.path)
    if not source.is_cxx or folder is None or source.is_test:
        return
    for word in rules.layers[folder].no_words:
        for at, _ in source.find(rf"(?i){word}"):
            yield at, f"{folder} knows nothing of `{word}`"


def check_calls(source):
    if not source.is_cxx or source.is_test:
        return
    folder = _longest(rules.raw_calls_allowed, source.path)
    allowed = rules.raw_calls_allowed[folder][0] if folder else ()
    banned = {} if allowed == "*" else dict(rules.raw_calls)
    if source.path.startswith("v4lfence/"):
        banned |= rules.library_calls
        for pattern, instead in rules.library_words.items():
            for at, match in source.find(pattern):
                yield at, f"{match.group().strip('( ')}: use {instead}"
    pattern = _call("(?P<name>" + "|".join(banned) + ")")
    for at, match in source.find(pattern) if banned else ():
        name = match.group("name")
        if name not in allowed and not _is_no_call(source, match):
            yield at, f"{name}(): use {banned[name]}"


def check_sleeping(source):
    library = source.path.startswith("v4lfence/")
    if (source.is_test or library) and (source.is_cxx or source.is_python):
        for at, _ in source.find(rules.sleeps):
            yield at, "sleeps: wait for the event itself, or script the clock"


def check_unfinished(source):
    for match in re.finditer(rules.unfinished, source.text):
        yield source.line_at(match.start()), f"{match.group()}: finish it or open an issue"


def check_paths(source):
    if Path(source.path).suffix in rules.built_suffixes or not source.is_text:
        if source.suffix not in (".png", ".jpg"):
            yield 1, "a built file has no place in the tree"
    for match in re.finditer(rules.machine_paths, source.text):
        yield source.line_at(match.start()), f"a path of one machine: {match.group()}"
    if source.is_source and not source.is_test:
        for match in re.finditer(rules.temporary_path, source.text):
            yield source.line_at(match.start()), "a fixed path for temporary files; use mkdtemp"


def check_names(source):
    if source.suffix != ".cpp" or not source.is_test:
        return
    for at, match in source.find(r"\bTEST(?:_F|_P)?\(\s*(\w+)\s*,\s*(\w+)\s*\)"):
        suite, name = match.groups()
        if not re.fullmatch(r"[A-Z][A-Za-z0-9]*", suite) or not re.fullmatch(r"[a-z0-9_]+", name):
            yield at, f"{suite}.{name}: write TEST(Thing, condition_outcome)"


per_file = {
    "spdx": check_spdx,
    "length": check_length,
    "include-direction": check_includes,
    "layer-words": check_words,
    "raw-calls": check_calls,
    "no-sleep": check_sleeping,
    "unfinished": check_unfinished,
    "paths": check_paths,
    "test-names": check_names,
}


def run(top):
    """{check: [(path, line, problem), ...]} over the tree at `top`."""
    sources = [Source(top, path) for path in tree_paths(top)]
    results = {name: [] for name in per_file}
    for source in sources:
        for name, check in per_file.items():
            try:
                results[name] += [(source.path, line, why) for line, why in check(source)]
            except SyntaxError as error:
                results[name].append((source.path, error.lineno or 1, f"is no Python: {error.msg}"))
    table = invariants.promises((Path(__file__).parent / "semantics_lines.txt").read_text())
    results["invariants"] = invariants.findings(sources, table)
    return results


def main(arguments=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--compile", action="store_true", help="only compile each header alone")
    parser.add_argument("--top", type=Path, default=Path(__file__).resolve().parents[2])
    options = parser.parse_args(arguments)
    if options.compile:
        paths = [path for path in tree_paths(options.top) if path.endswith((".hpp", ".h"))]
        results = {"headers-alone": headers.findings(options.top, paths)}
    else:
        results = run(options.top)
    for problems in results.values():
        for path, line, why in problems:
            print(f"{path}:{line}: {why}")
    for name, problems in results.items():
        if problems:
            path, line, why = problems[0]
            print(f"not ok {name} - {len(problems)} findings, first {path}:{line}: {why}")
        else:
            print(f"ok {name}")
    return 1 if any(results.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
