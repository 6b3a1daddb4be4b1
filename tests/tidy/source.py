# SPDX-License-Identifier: MIT
"""One file as tidy sees it: its text, its code without comments and literals, its functions."""

import ast
import re
from bisect import bisect_right
from pathlib import Path

_token = re.compile(
    r"""//(?:\\\n|[^\n])*"""
    r"""|/\*.*?(?:\*/|\Z)"""
    r"""|(?<![A-Za-z0-9_])(?:u8|[uUL])?R"(?P<mark>[^()\\\s]{0,16})\(.*?\)(?P=mark)["]"""
    r"""|"(?:\\.|[^"\\\n])*"?"""
    r"""|(?<![0-9A-Fa-f])'(?:\\.|[^'\\\n])*'?""",
    re.S,
)
_directive = re.compile(r"^[ \t]*#(?:\\\n|[^\n])*", re.M)
_scope = re.compile(
    r"\s*(?:(?:inline|typedef|static|constexpr)\s+)*"
    r"(?:namespace|class|struct|union|enum|extern)\b(?:[^(:]|::)*(?::(?!:).*)?$",
    re.S,
)
_decoration = re.compile(
    r"\btemplate\s*<[^{;]*?>(?=\s*[\w\[:])|\[\[[^\]]*\]\]"
    r"|\b(?:alignas|__attribute__)\s*\((?:[^()]|\([^()]*\))*\)"
)
_stop = re.compile(r"[{};]")
_access = re.compile(r"\s*(?:(?:public|private|protected)\s*:)")


def _spaces(text):
    return re.sub(r"[^\n]", " ", text)


def blank(text):
    """C or C++ with comments and literals turned into spaces; every offset stays where it was."""
    return _token.sub(lambda match: _spaces(match.group()), text)


def _braces(code):
    """{offset of an opening brace: offset of its partner}; what has none is left out."""
    pairs, stack = {}, []
    for match in re.finditer(r"[{}]", code):
        if match.group() == "{":
            stack.append(match.start())
        elif stack:
            pairs[stack.pop()] = match.start()
    return pairs


def _plain(header):
    """A header without what may hold parentheses and equal signs of its own."""
    while access := _access.match(header):
        header = header[access.end() :]
    return _decoration.sub(" ", re.sub(r"\boperator\s*(?:\(\s*\)|[^\s\w(]+)", "operator_", header))


def _is_function(plain):
    """Whether the text before a brace announces a function body, or a variable that is a lambda."""
    if "(" not in plain or _scope.match(plain):
        return False
    outside, before = plain, None
    while outside != before:
        outside, before = re.sub(r"\([^()]*\)", "", outside), outside
    if re.search(r"(?<![=!<>])=(?!=)", outside):
        return "[" in plain.split("=", 1)[1]
    return True


class Source:
    def __init__(self, top: Path, path: str):
        self.path = path
        self.suffix = Path(path).suffix
        self.raw = (top / path).read_bytes()
        self.is_text = b"\0" not in self.raw[:8192]
        self.text = self.raw.decode("utf-8", "replace") if self.is_text else ""
        self.lines = self.text.splitlines()
        self.is_cxx = self.suffix in (".cpp", ".hpp", ".h", ".c")
        self.is_python = self.suffix == ".py" or self._shebang("python")
        self.is_shell = self.suffix == ".sh" or self._shebang("bash")
        self.is_test = path.startswith("tests/") or Path(path).stem.endswith("_test")
        self.code = blank(self.text) if self.is_cxx else self.text
        self._starts = [0] + [m.end() for m in re.finditer("\n", self.text)]

    def _shebang(self, program):
        return bool(self.lines) and self.lines[0].startswith("#!") and program in self.lines[0]

    @property
    def is_source(self):
        return self.is_cxx or self.is_python or self.is_shell

    def line_at(self, offset):
        return bisect_right(self._starts, offset)

    def find(self, pattern):
        """(line, match) of each hit in the code."""
        for match in re.finditer(pattern, self.code):
            yield self.line_at(match.start()), match

    def includes(self):
        """(line, name, quoted) of each #include that is not in a comment."""
        pattern = r'^[ \t]*#[ \t]*include[ \t]*(["<])([^">\n]+)[">]'
        for match in re.finditer(pattern, self.text, re.M):
            if "#" in self.code[match.start() : match.start(1)]:
                yield self.line_at(match.start(2)), match.group(2), match.group(1) == '"'

    def functions(self):
        """(first line, last line, name) of each function that is not inside another."""
        if self.is_python:
            return self._python_functions()
        return self._cxx_functions() if self.is_cxx else []

    def _python_functions(self):
        return [
            (node.lineno, node.end_lineno, node.name)
            for node in ast.walk(ast.parse(self.text))
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
        ]

    def _cxx_functions(self):
        code = _directive.sub(lambda match: _spaces(match.group()), self.code)
        pairs, found, start, at = _braces(code), [], 0, 0
        while match := _stop.search(code, at):
            at = match.end()
            if match.group() != "{" or match.start() not in pairs:
                start = self._next_start(code, start, match)
                continue
            close = pairs[match.start()]
            header = code[start : match.start()]
            plain = _plain(header)
            if _is_function(plain):
                at = close + 1
                if code[at:].lstrip()[:1] in (",", "{"):  # a member set in a constructor's list
                    continue
                found.append(self._described(start, header, close))
                start = at
            else:
                start = at = at if _scope.match(plain) else close + 1
        return found

    @staticmethod
    def _next_start(code, start, match):
        header = code[start : match.start()]
        return start if header.count("(") > header.count(")") else match.end()

    def _described(self, start, header, close):
        while access := _access.match(header):
            start, header = start + access.end(), header[access.end() :]
        start += len(header) - len(header.lstrip())
        name = re.search(r"(operator\W+?|[~\w:]+)\s*\(", header)
        return self.line_at(start), self.line_at(close), name.group(1) if name else "lambda"
