#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Runs every *_test.py of the tree (unittest), each in a process of its own.

usage: python.py [FILE [ARGUMENT...]]      only this one, with arguments
"""

import subprocess
import sys
from pathlib import Path

top = Path(__file__).resolve().parents[2]
_folders = ("tests", "tools", "conformance", "examples")
_one_file = """
import sys, unittest
folder, module, *arguments = sys.argv[1:]
sys.path.insert(0, folder)
sys.argv = [module, *arguments]

class Lines(unittest.TextTestResult):
    def addSuccess(self, test):
        print("ok", test.id())
    def addFailure(self, test, error):
        super().addFailure(test, error)
        print("not ok", test.id(), "-", str(error[1]).splitlines()[0])
    addError = addFailure
    def addSkip(self, test, reason):
        print("skip", test.id(), "-", reason)

tests = unittest.defaultTestLoader.loadTestsFromName(module)
done = unittest.TextTestRunner(resultclass=Lines, stream=sys.stdout, verbosity=0).run(tests)
sys.exit(not done.wasSuccessful())
"""


def main():
    chosen, arguments = [top / word for word in sys.argv[1:2]], sys.argv[2:]
    chosen = chosen or sorted(p for name in _folders for p in (top / name).rglob("*_test.py"))
    status = 0
    for path in chosen:
        done = subprocess.run([sys.executable, "-c", _one_file, str(path.parent), path.stem,
                               *arguments])
        status = status or done.returncode
    return status


if __name__ == "__main__":
    sys.exit(main())
