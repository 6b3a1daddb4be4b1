#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The shell that run, test and bench share: what it installs, and what it says when it cannot."""

import subprocess
import unittest
from pathlib import Path

_lib = Path(__file__).resolve().parent / "lib.sh"
# dpkg knows two packages as installed, and one as removed with its configuration left behind.
_dpkg = "dpkg-query() { printf 'ii  g++\\nii  meson\\nrc  strace\\n'; }; id() { echo %s; }; "


class Packages(unittest.TestCase):
    def shell(self, script, user="0", apt="echo apt-get \"$@\" >&3"):
        text = f". {_lib}; top=$(mktemp -d); trap 'rm -r $top' EXIT; exec 3>&1; "
        text += _dpkg % user + f"apt-get() {{ {apt}; }}; {script}"
        done = subprocess.run(["bash", "-euo", "pipefail", "-c", text, "./run"],
                              capture_output=True, text=True)
        return done.returncode, done.stdout.splitlines(), done.stderr.strip()

    def test_only_what_is_not_installed_is_missing(self):
        status, lines, _ = self.shell("missing_packages g++ strace meson g")
        self.assertEqual((status, lines), (0, ["strace", "g"]))

    def test_nothing_is_fetched_when_all_is_there(self):
        status, lines, _ = self.shell("install_packages g++ meson")
        self.assertEqual((status, lines), (0, ["setup: all 2 packages are installed"]))

    def test_what_is_missing_is_installed_and_no_more(self):
        status, lines, _ = self.shell("install_packages g++ strace")
        self.assertEqual(status, 0)
        self.assertEqual(lines[:2], ["setup: installing strace", "apt-get update -qq"])
        self.assertTrue(lines[2].endswith("--no-install-recommends strace"), lines)

    def test_an_ordinary_user_is_told_the_command(self):
        status, _, words = self.shell("install_packages strace", user="1000")
        self.assertEqual((status, words), (77, "run: as root: apt-get install strace"))

    def test_a_failing_apt_ends_it_with_its_words(self):
        status, _, words = self.shell("install_packages strace", apt="echo no network; return 100")
        self.assertEqual(status, 77)
        self.assertIn("no network", words)

    def test_it_goes_on_without_what_it_only_wished_for(self):
        status, lines, words = self.shell("wish_packages chromium; echo on", apt="return 100")
        self.assertEqual((status, lines[-2:]), (0, ["setup: goes on without chromium", "on"]))
        self.assertIn("could not install", words)


if __name__ == "__main__":
    unittest.main()
