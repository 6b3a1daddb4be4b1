#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Breaks each promise of the semantics on purpose, and sees whether the test that pins it notices.

Works in copies of the tree under build/mutants. Each *.patch beside this file is applied to one,
what its test needs is built, the test runs, and must fail; before that it must pass on the tree as
it is. Prints `ok NAME`, `not ok NAME - why` or `skip NAME - reason`. See README.md.
"""

import argparse
import fcntl
import fnmatch
import os
import queue
import shutil
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import copies
import judges
import patches

_whole = "whole"  # the name of the library without a mutant
_whole_s, _unit_s, _case_s = 240, 30, 60


class Run:
    """Thread: copy number N is its worker's."""

    def __init__(self, jobs):
        self._mutants = []
        self._jobs = jobs
        self._lock = threading.Lock()
        self._first = copies.Copy(1)
        self._programs = {}  # {(configuration, test): program}
        self._broken_pins = {}  # {pin and place: why it says nothing}
        self._guest = []  # jobs for the one boot
        self._devices = {}
        self.failures = 0

    def tell(self, word, name, words=""):
        with self._lock:
            self.failures += word == "not ok"
            print(" ".join(f"{word} {name}{' - ' if words else ''}{words}".split()), flush=True)

    # --- the tree as it is -----------------------------------------------------------------------

    def prepare(self, mutants, source):
        """The first copy with all that any mutant needs, and the tests on it. Raises Broken."""
        started = time.monotonic()
        self._mutants = mutants
        self._first.refresh(source)
        by_config = {}
        for mutant in self._mutants:
            by_config.setdefault(mutant.sanitizer or copies.plain, []).append(mutant)
        for config, mutants in by_config.items():
            self._first.configure(config)
            known = self._first.unit_tests(config)
            for mutant in mutants:
                if not mutant.case:
                    self._programs[mutant.name] = known.get(mutant.pin)
            targets = {target for mutant in mutants for target in self._targets(mutant, True)}
            self._first.build(config, sorted(targets), self._jobs)
            if judges.program_target in targets:
                self._keep(self._first, _whole)
        self._judge_whole()
        print(f"  the tree as it is: {time.monotonic() - started:.0f} s", flush=True)

    def _targets(self, mutant, whole=False):
        if mutant.case:
            # The judge is not the accused: cases come from the program of the whole tree.
            return [judges.library_target] + ([judges.program_target] if whole else [])
        program = self._programs[mutant.name]
        return [program] if program else []

    def _judge_whole(self):
        groups, cases = {}, [mutant for mutant in self._mutants if mutant.case]
        for mutant in self._mutants:
            if not mutant.case and self._programs[mutant.name]:
                key = (mutant.sanitizer or copies.plain, self._programs[mutant.name])
                groups.setdefault(key, set()).add(mutant.pin)
        for (config, program), names in groups.items():
            self._judge_unit(config, program, sorted(names))
        whole = copies.scratch / "libraries" / _whole
        virtual = bool(cases) and judges.has_virtual_devices(self._program(), whole)
        for mutant in cases:
            self._devices[mutant.name] = mutant.device_where(virtual)
        for device, case in {(self._devices[mutant.name], mutant.case) for mutant in cases}:
            if device.startswith("virtual:"):
                self._note((device, case), self._judge_virtual(device, case, whole, _whole_s))
            else:
                self._add_guest_job(f"{_whole} {device} {case}", device, case, whole)

    def _program(self):
        return copies.scratch / "programs" / "v4lfence"

    def _keep(self, copy, name):
        """The library that was built now, in a folder of its own; the program too when it is that
        of the whole tree. The next mutant is built over both."""
        kept = copies.scratch / "libraries" / name
        shutil.rmtree(kept, ignore_errors=True)
        kept.mkdir(parents=True)
        built = copy.built(copies.plain)
        shutil.copy2(built / judges.library_target, kept / judges.library)
        if name == _whole:
            programs = self._program().parent
            programs.mkdir(exist_ok=True)
            for path in (judges.program_target, judges.display_library):
                shutil.copy2(built / path, programs / Path(path).name)
        return kept

    def _judge_unit(self, config, program, names):
        verdict = judges.judge_unit(self._first, config, program, names, _whole_s)
        for name in [] if verdict.passed else names:
            self._note(name, judges.judge_unit(self._first, config, program, [name], _whole_s))

    def _judge_virtual(self, device, case, library, timeout_s):
        return judges.judge_case([self._program(), "conform", device, "--case", case], library,
                                 timeout_s)

    def _add_guest_job(self, name, device, case, library):
        with self._lock:
            self._guest.append({"name": name, "case": case, "device": device,
                                "library": str(library)})

    def _note(self, pin, verdict):
        if not verdict.passed:
            self._broken_pins[pin] = verdict.words

    # --- the mutants -----------------------------------------------------------------------------

    def judge_all(self):
        # In the order of their files, so that a file is compiled once more than it has mutants.
        waiting = queue.Queue()
        for mutant in sorted(self._mutants, key=lambda m: (m.sanitizer, m.files, m.name)):
            waiting.put(mutant)
        workers = [self._first] + [self._first.clone(n + 2) for n in range(self._jobs - 1)]
        with ThreadPoolExecutor(len(workers)) as pool:
            for future in [pool.submit(self._work, copy, waiting) for copy in workers]:
                future.result()
        if self._guest:
            self._judge_in_guest()

    def _work(self, copy, waiting):
        while True:
            try:
                mutant = waiting.get_nowait()
            except queue.Empty:
                return
            try:
                self._judge(copy, mutant)
            except copies.Broken as why:
                self.tell("not ok", mutant.name, str(why))

    def _judge(self, copy, mutant):
        config = mutant.sanitizer or copies.plain
        if not mutant.case and not self._programs[mutant.name]:
            raise copies.Broken(f"no test program has {mutant.pin}")
        with copy.mutated(mutant):
            copy.build(config, self._targets(mutant))
            if mutant.case:
                self._judge_case(copy, mutant)
            else:
                self._say(mutant, mutant.pin, judges.judge_unit(
                    copy, config, self._programs[mutant.name], [mutant.pin], _unit_s))

    def _judge_case(self, copy, mutant):
        device = self._devices[mutant.name]
        kept = self._keep(copy, mutant.name)
        if device.startswith("virtual:"):
            self._say(mutant, (device, mutant.case),
                      self._judge_virtual(device, mutant.case, kept, _case_s))
            return
        self._add_guest_job(mutant.name, device, mutant.case, kept)

    def _say(self, mutant, pin, verdict):
        if why := self._broken_pins.get(pin):
            self.tell("not ok", mutant.name, f"{mutant.pin} fails without the mutant: {why}")
        elif verdict.passed:
            self.tell("not ok", mutant.name, f"survived {mutant.pin}")
        else:
            self.tell("ok", mutant.name, f"killed by {mutant.pin}: {verdict.words}")

    def _judge_in_guest(self):
        started = time.monotonic()
        found = judges.judge_in_guest(self._guest, self._program())
        by_name = {mutant.name: mutant for mutant in self._mutants}
        if isinstance(found, str):
            lacking = found.startswith("this machine lacks")
            for job in self._guest:
                if job["name"] in by_name:
                    self.tell("skip" if lacking else "not ok", job["name"], found)
            return
        missing = judges.Verdict(False, "the guest ended before it was judged")
        for job in self._guest:
            if job["name"] not in by_name:
                self._note((job["device"], job["case"]), found.get(job["name"], missing))
        for job in self._guest:
            if mutant := by_name.get(job["name"]):
                pin = (job["device"], job["case"])
                if job["name"] not in found:
                    self.tell("not ok", mutant.name, missing.words)
                else:
                    self._say(mutant, pin, found[job["name"]])
        print(f"  in the guest: {time.monotonic() - started:.0f} s", flush=True)


def chosen(mutants, patterns):
    return [mutant for mutant in mutants
            if not patterns or any(fnmatch.fnmatchcase(mutant.name, p) for p in patterns)]


def check_headers(run, mutants, bad, whole):
    """Reports what is wrong before anything is built. Returns the mutants that can be judged."""
    known = patches.pins((patches.top / "INVARIANTS.md").read_text())
    wrong = dict(patches.wrong_pins(mutants, known))
    for name, why in [*bad, *wrong.items()]:
        run.tell("not ok", name, why)
    for line in patches.without_mutant(mutants, known) if whole else ():
        run.tell("not ok", line, "has no mutant")
    return [mutant for mutant in mutants if mutant.name not in wrong]


def options_of(arguments):
    parser = argparse.ArgumentParser(prog="mutants.py", description=__doc__.partition("\n")[0])
    parser.add_argument("--only", action="append", metavar="NAME",
                        help="this mutant; a pattern like '4.*'; repeatable")
    parser.add_argument("--jobs", type=int, default=min(os.cpu_count() or 1, 4), metavar="N",
                        help="copies of the tree that are built at a time (default: one per core)")
    parser.add_argument("--tree", type=Path, default=patches.top, metavar="DIR",
                        help="judge the tests and the code of that folder (default: this tree)")
    parser.add_argument("--list", action="store_true", help="name the mutants and stop")
    parser.add_argument("--table", action="store_true", help="print the table of README.md")
    return parser.parse_args(arguments)


def main(arguments=None):
    options = options_of(arguments)
    every, bad = patches.load()
    if options.table:
        print(patches.table(every), end="")
        return 0
    mutants = chosen(every, options.only)
    if options.list:
        for mutant in mutants:
            print(f"{mutant.name:<44} {mutant.pin}")
        return 0
    run = Run(options.jobs)
    copies.scratch.mkdir(parents=True, exist_ok=True)
    with (copies.scratch / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            run.tell("not ok", "tree", "another run is at work in build/mutants")
            return 1
        judge(run, mutants, bad, options)
    return 1 if run.failures else 0


def judge(run, mutants, bad, options):
    mutants = check_headers(run, mutants, bad, not options.only)
    try:
        run.prepare(mutants, options.tree.resolve())
        run.judge_all()
    except copies.Broken as why:
        run.tell("not ok", "tree", f"does not build without mutants: {why}")


if __name__ == "__main__":
    sys.exit(main())
