#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Each check of tidy against small trees: one that it must accept, one that it must refuse."""

import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import headers  # noqa: E402
import invariants  # noqa: E402
import tidy  # noqa: E402
from source import Source, blank  # noqa: E402

spdx = "// SPDX-License-Identifier: MIT\n"
table = {"2.1": None, "6.9": "codecs"}


class TreeCase(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.top = Path(folder.name)

    def add(self, path, text, first=spdx):
        (self.top / path).parent.mkdir(parents=True, exist_ok=True)
        (self.top / path).write_text(first + text)
        return Source(self.top, path)

    def found(self, check, path, text, first=spdx):
        return list(tidy.per_file[check](self.add(path, text, first)))

    def assert_clean(self, check, path, text, first=spdx):
        self.assertEqual(self.found(check, path, text, first), [])

    def assert_finds(self, check, path, text, word, first=spdx):
        findings = self.found(check, path, text, first)
        self.assertEqual(len(findings), 1, findings)
        self.assertIn(word, findings[0][1])
        return findings[0][0]


class Blanking(unittest.TestCase):
    def test_comments_and_literals_go_and_offsets_stay(self):
        for text in ('a("}{"); // }\nb', "a('{'); /* {\n */ b", 'R"x(}")" {)x" b',
                     "1'000 {} '\\''"):
            code = blank(text)
            self.assertEqual(len(code), len(text))
            self.assertEqual(code.count("\n"), text.count("\n"))
            self.assertEqual(code.count("{"), 1 if text.startswith("1") else 0, code)

    def test_digit_separator_opens_no_literal(self):
        self.assertEqual(blank("1'000; f(); 2'000"), "1'000; f(); 2'000")


class Functions(TreeCase):
    def names(self, text):
        source = self.add("v4lfence/base/a.cpp", text, "")
        return [(name, last - first + 1) for first, last, name in source.functions()]

    def test_free_function_with_braces_in_strings(self):
        text = 'int f(int a)\n{\n  g("}"); // }\n  if (a) {\n }\n}\n'
        self.assertEqual(self.names(text), [("f", 6)])

    def test_members_constructor_lists_and_operators(self):
        text = (
            "namespace n {\nclass A final : public B {\npublic:\n  A() : a_{1}, b_{2} {\n  }\n"
            "  bool operator==(const A&) const {\n  }\nprivate:\n  int a_ = 0;\n  int c_{3};\n"
            "};\n}\n"
        )
        self.assertEqual(self.names(text), [("A", 2), ("operator==", 2)])

    def test_return_type_with_struct_is_a_function(self):
        self.assertEqual(self.names("Result<struct stat> f(int fd) {\n}\n"), [("f", 2)])
        text = "struct stat g(int fd) {\n}\nint h() {}\n"
        self.assertEqual(self.names(text), [("g", 2), ("h", 1)])

    def test_data_is_no_function(self):
        text = "constexpr T t[] = {\n{f(1)},\n};\nenum class E { A, B };\n"
        self.assertEqual(self.names(text), [])

    def test_templates_and_trailing_returns(self):
        text = ("template <typename T = int>\nauto f(T t) -> decltype(t()) {\n}\n"
                'extern "C" {\nint g() {\n}\n}\n')
        self.assertEqual(self.names(text), [("f", 3), ("g", 2)])

    def test_preprocessor_braces_do_not_count(self):
        self.assertEqual(self.names("#define M(x) do { \\\n x\nint f() {\n}\n"), [("f", 2)])

    def test_test_macro_is_named_with_its_case(self):
        self.assertEqual(self.names("TEST(Thing, works) {\n}\n"), [("TEST", 2)])


class Lengths(TreeCase):
    def test_limits_are_the_longest_allowed(self):
        body = "    g();\n"
        for lines, findings in ((68, 0), (69, 1)):
            text = "void f() {\n" + body * lines + "}\n"
            self.assertEqual(len(self.found("length", "a/a.cpp", text)), findings)
        for columns, findings in ((100, 0), (101, 1)):
            self.assertEqual(len(self.found("length", "a/a.cpp", "/" * columns)), findings)
        for lines, findings in ((499, 0), (500, 1)):
            self.assertEqual(len(self.found("length", "a/a.cpp", "//\n" * lines)), findings)

    def test_python_functions_count_too(self):
        text = "def f():\n" + "    g()\n" * 70
        self.assert_finds("length", "a/a.py", text, "f has 71 lines", "#\n")


class Includes(TreeCase):
    def include(self, name):
        return f'#include "{name}"\n'

    def test_downward_is_fine_and_upward_is_not(self):
        base, bridge = "v4lfence/base/time.hpp", "v4lfence/bridge/file.hpp"
        self.assert_clean("include-direction", "v4lfence/sync/a.cpp", self.include(base))
        line = self.assert_finds("include-direction", "v4lfence/sync/a.cpp",
                                 self.include(bridge), "v4lfence/sync/ may not include")
        self.assertEqual(line, 2)

    def test_conformance_sees_no_sync_and_tools_no_bridge(self):
        for path, name in (("conformance/a.cpp", "v4lfence/sync/slots.hpp"),
                           ("conformance/b.cpp", "v4lfence/v4lfence.h"),
                           ("tools/a.cpp", "v4lfence/bridge/file.hpp"),
                           ("v4lfence/capi/a.cpp", "tools/a.hpp")):
            self.assert_finds("include-direction", path, self.include(name), "may not include")
        for path, name in (("conformance/a.cpp", "v4lfence/uapi_fences.h"),
                           ("tools/a.cpp", "conformance/runner.hpp"),
                           ("v4lfence/base/a_test.cpp", "tests/support/x.hpp")):
            self.assert_clean("include-direction", path, self.include(name))

    def test_sync_may_not_see_videodev2(self):
        text = "#include <linux/videodev2.h>\n"
        self.assert_finds("include-direction", "v4lfence/sync/a.hpp", text, "videodev2")
        self.assert_clean("include-direction", "v4lfence/bridge/a.hpp", text)
        self.assert_clean("include-direction", "v4lfence/sync/a.hpp", "// " + text)

    def test_fakes_are_for_tests(self):
        text = self.include("v4lfence/fence/testing/fake.hpp")
        self.assert_finds("include-direction", "v4lfence/sync/a.cpp", text, "tests alone")
        self.assert_clean("include-direction", "v4lfence/sync/a_test.cpp", text)

    def test_fence_layer_has_no_word_for_planes(self):
        self.assert_finds("layer-words", "v4lfence/fence/a.cpp", "int plane_count;", "plane")
        self.assert_clean("layer-words", "v4lfence/fence/a.cpp", "// no planes here")
        self.assert_clean("layer-words", "v4lfence/bridge/a.cpp", "int plane_count;")


class Calls(TreeCase):
    def test_raw_calls_are_found_with_their_replacement(self):
        for text, instead in (("void f() { close(3); }", "UniqueFd"),
                              ("int f() { return ::open(p, 0); }", "sys::open"),
                              ("int f() { if (x && poll(p, 1, 0)) {} }", "sys::poll"),
                              ("int a = ioctl(fd, X, &y);", "sys::ioctl")):
            self.assert_finds("raw-calls", "v4lfence/bridge/a.cpp", text, instead)

    def test_members_scopes_and_declarations_are_no_calls(self):
        for text in ("sys::close(3);", "f.close(3);", "f->open(p);", "close();", "reopen(p);",
                     "Result<File> open(const char* p);", "Result<File> File::open(int fd) {}",
                     "int poll(int fd);", "File& close(int n);", "// close(3)", '"close(3)";'):
            self.assert_clean("raw-calls", "v4lfence/bridge/a.cpp", text)

    def test_places_with_an_allowance(self):
        for path in ("v4lfence/base/a.cpp", "v4lfence/sync/a_test.cpp", "examples/a.c",
                     "tests/bench/a.cpp"):
            self.assert_clean("raw-calls", path, "void f() { close(3); }")
        for path in ("conformance/a.cpp", "tools/a.cpp"):
            self.assert_finds("raw-calls", path, "void f() { close(3); }", "UniqueFd")

    def test_library_is_silent_and_throws_nothing(self):
        for text in ('void f() { std::printf("x"); }', "auto f() { std::cout << 1; }",
                     'auto e = getenv("X");', "void f() { throw 1; }", "void f() { exit(1); }"):
            found = self.found("raw-calls", "v4lfence/sync/a.cpp", text)
            self.assertEqual(len(found), 1, (text, found))
            self.assert_clean("raw-calls", "tools/a.cpp", text)
        text = "int f() { return snprintf(b, 1, s); }"
        self.assert_clean("raw-calls", "v4lfence/sync/a.cpp", text)


class Texts(TreeCase):
    def test_spdx_is_first_or_after_the_shebang(self):
        self.assert_clean("spdx", "a/a.cpp", "")
        text = "# SPDX-License-Identifier: MIT\n"
        self.assert_clean("spdx", "a/a.py", text, "#!/usr/bin/python3\n")
        self.assert_finds("spdx", "a/meson.build", "project()\n", "SPDX", "")
        self.assert_finds("spdx", "run", "set -eu\n", "SPDX", "#!/usr/bin/env bash\n")

    def test_sleep_is_found_in_tests_and_library(self):
        for path, text in (("a/a_test.cpp", "u" + "sl" + "eep(5);"),
                           ("v4lfence/sync/a.cpp", "std::this_thread::sleep" + "_for(x);"),
                           ("tests/vm/a.py", "time.sl" + "eep" + "(1)")):
            self.assert_finds("no-sleep", path, text, "script the clock")
        self.assert_clean("no-sleep", "tools/a.cpp", "u" + "sl" + "eep(5);")

    def test_unfinished_work_is_found_in_any_file(self):
        self.assert_finds("unfinished", "README.md", "a TO" + "DO b\n", "finish it")
        self.assert_clean("unfinished", "README.md", "todos, autodoc\n")

    def test_paths_of_one_machine(self):
        self.assert_finds("paths", "README.md", "see /ro" + "ot/x\n", "one machine")
        self.assert_finds("paths", "tools/a.cpp", '"/t' + 'mp/x"', "mkdtemp")
        self.assert_clean("paths", "tests/a.py", '"/t' + 'mp/x"')
        self.assert_clean("paths", "README.md", "build/root/x and network/root/x\n")

    def test_built_files(self):
        self.assert_finds("paths", "lib/a.so", "", "built file", "")
        self.assert_finds("paths", "lib/a", "\0\0", "built file", "")

    def test_names_of_tests(self):
        self.assert_clean("test-names", "a/a_test.cpp", "TEST(Thing, empty_is_refused) {}")
        text = "TEST(Thing, EmptyRefused) {}"
        self.assert_finds("test-names", "a/a_test.cpp", text, "write TEST")


class Invariants(TreeCase):
    def problems(self, page, test="// Pins: 2.1\nTEST(Queue, keeps) {}\n"):
        sources = [self.add("v4lfence/sync/q_test.cpp", test), self.add("v4lfence/sync/q.cpp", ""),
                   self.add("conformance/cases/a.cpp",
                            '{"in-fence/bad-fd"}, {"order@kept", "2, 2.1", ""}'),
                   self.add("tests/vm/unplug.py", ""), self.add("INVARIANTS.md", page)]
        later = "| 6.9 | - | not yet: issue 5, codecs |\n"
        return [why for _, _, why in invariants.findings(sources, table)
                if "6.9 has no row" not in why or later in page]

    def row(self, test, where="`v4lfence/sync/q.cpp:give`"):
        return f"| 2.1 | {where} | {test} |\n"

    def test_each_kind_of_name_is_looked_up(self):
        self.assertEqual(self.problems(self.row("`Queue.keeps`, conform:in-fence/bad-fd")), [])
        self.assertEqual(self.problems(self.row("vm:unplug.py")), [])
        for name in ("Queue.loses", "conform:none", "vm:none.py"):
            self.assertEqual(len(self.problems(self.row(name))), 1)

    def test_a_named_test_must_say_what_it_pins(self):
        for comment in ("", "// Pins: 6.9\n"):
            why = self.problems(self.row("Queue.keeps"), comment + "TEST(Queue, keeps) {}\n")
            self.assertEqual(why, ["Queue.keeps has no `// Pins: 2.1` above it"])

    def test_a_case_must_list_what_it_pins(self):
        self.assertEqual(self.problems(self.row("conform:order@kept")), [])
        page = self.row("Queue.keeps") + "| 6.9 | v4lfence/sync/q.cpp | conform:order@kept |\n"
        self.assertEqual(self.problems(page), ["case order@kept does not list 6.9"])

    def test_only_marked_lines_may_come_later(self):
        self.assertIn("due now", self.problems(self.row("not yet: issue 5, codecs"))[0])
        page = self.row("Queue.keeps") + "| 6.9 | - | not yet: issue 5, codecs |\n"
        self.assertEqual(self.problems(page), [])
        self.assertIn("write `not yet", self.problems(page.replace("5, codecs", ""))[0])

    def test_missing_rows_unknown_numbers_and_places(self):
        self.assertEqual(self.problems("nothing\n"), ["promise 2.1 has no row"])
        page = self.row("Queue.keeps") + "| 9.9 | a | b |\n"
        self.assertIn("has no line 9.9", self.problems(page)[0])
        self.assertIn("names no file", self.problems(self.row("Queue.keeps", "gone.cpp"))[0])
        self.assertIn("names no test", self.problems(self.row(" "))[0])

    def test_pins_of_unknown_lines(self):
        why = self.problems(self.row("Queue.keeps"), "// Pins: 2.1, 9.9\nTEST(Queue, keeps) {}\n")
        self.assertEqual(why, ["pins 9.9, which SEMANTICS.md has not"])

    def test_missing_page(self):
        self.assertIn("is missing", invariants.findings([], table)[0][2])


class Headers(TreeCase):
    def test_only_a_header_that_needs_another_first_is_found(self):
        self.add("a/good.hpp", "#pragma once\n#include <string>\nstd::string f();\n")
        self.add("a/bad.hpp", "#pragma once\nstd::string g();\n")
        for _ in range(2):  # the second time from what is remembered
            found = headers.findings(self.top, ["a/bad.hpp", "a/good.hpp"])
            self.assertEqual([path for path, _, _ in found], ["a/bad.hpp"])

    def test_a_changed_include_is_compiled_again(self):
        self.add("a/inner.hpp", "#pragma once\nstruct Inner {};\n")
        self.add("a/outer.hpp", '#pragma once\n#include "a/inner.hpp"\nInner f();\n')
        self.assertEqual(headers.findings(self.top, ["a/outer.hpp"]), [])
        self.add("a/inner.hpp", "#pragma once\n")
        self.assertEqual(len(headers.findings(self.top, ["a/outer.hpp"])), 1)

    def test_c_headers_are_compiled_as_c(self):
        self.add("a/a.h", "struct s { int x; };\ns f(void);\n", "/* SPDX */\n")
        found = headers.findings(self.top, ["a/a.h"])
        self.assertEqual(len(found), 1, found)
        self.assertIn("does not compile alone as c:", found[0][2])


class WholeTree(TreeCase):
    def test_exit_status_and_summary(self):
        self.add("v4lfence/sync/a.cpp", "void f() { close(1); }\n")
        results = tidy.run(self.top)
        self.assertEqual(len(results["raw-calls"]), 1)
        self.assertEqual(results["length"], [])


if __name__ == "__main__":
    unittest.main()
