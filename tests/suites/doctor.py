#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""`v4lfence doctor` beside programs that hang on purpose (tests/doctor): it names the fault and
whose it is, at once, and leaves the program as it is. In a guest, the hangs that need a kernel's
driver, its fences or a display.

usage: doctor.py [KERNEL]
"""

import contextlib
import functools
import json
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import guest

hangs = guest.built / "tests" / "doctor" / "doctor_hang"
display_hangs = hangs.with_name("doctor_hang_display")
holder = guest.top / "tests" / "doctor" / "hold_fence.py"
virtual = "virtual:camera"
emulated = "VM_KERNEL" in os.environ
# Of its own CPU time, which others that want the processor do not lengthen; but an emulated
# processor's is theirs too.
cpu_max_s = 60 if emulated else 1
# No wait of a program that runs well is this old.
healthy_max_ms = 15000 if emulated else 2000
# What a thread does after "staged" needs a moment to be seen.
settle_s = 10
# A fault that is made of a fence of vgem's lasts for 10 s: a slow machine may see it too late.
short_tries_max = 5
lacking = 77


class Staged:
    """A program that hangs, and what it said of itself."""

    def __init__(self, child, facts):
        self.child = child
        self.facts = facts
        self.pid = int(facts["pid"])

    def state(self):
        return Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()[0]


@contextlib.contextmanager
def staged(*command):
    """Raises ValueError where it does not come to hang."""
    child = subprocess.Popen([str(word) for word in command], stdin=subprocess.PIPE, text=True,
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True)
    try:
        words = child.stdout.readline().split()
        if not words or words[0] != "staged":
            ended = guest.finish(child)
            raise ValueError(f"not staged, it {ended.how()}: {ended.last_words()}")
        yield Staged(child, dict(word.split("=", 1) for word in words[1:]))
    finally:
        # Which closes its stdin.
        if guest.finish(child).status is None:
            print(f"  {command[1]} had to be killed", flush=True)


def doctor(*options):
    """(its exit status, its report); it is killed where it takes too much of the processor."""
    ended = guest.run("prlimit", f"--cpu={cpu_max_s}", "--", guest.program, "doctor", "--json",
                      *options)
    if ended.status not in (0, 1):
        raise ValueError(f"doctor {ended.how()}: {ended.last_words()}")
    return ended.status, json.loads(ended.stdout)


def found_in(told, rule):
    return next((one for one in told["findings"] if one["rule"] == rule), None)


def ask(hang, rule):
    """What it says, again while the fault is not there yet."""
    deadline = time.monotonic() + settle_s
    while True:
        status, told = doctor("--older-than", 0, hang.pid)
        if found_in(told, rule) or time.monotonic() > deadline:
            return status, told


def party_problem(party, expected):
    wrong = [f"{key} is {party.get(key)} and should be {value}"
             for key, value in expected.items() if str(party.get(key)) != str(value)]
    return ", ".join(wrong) or None


def problem_of(status, told, rule, expected, alone=True):
    """What is wrong with the answer to a hang."""
    finding = found_in(told, rule)
    rules = [one["rule"] for one in told["findings"]]
    if status != 1 or finding is None:
        return f"it ended with {status} and found {rules}"
    if alone and rules != [rule]:
        return f"it found {rules}"
    if not finding["verdict"] or not finding["advice"]:
        return "no verdict or no advice"
    return party_problem(finding["party"], expected)


def expected_of(facts, **more):
    """The party that the staged program named; by default itself."""
    expected = {"pid": facts.get("party", facts["pid"])}
    expected |= {key: facts[key] for key in ("process", "fd") if key in facts}
    return expected | more


def one(report, name, rule, device, of_device=False, no_party=False, alone=True):
    """A hang whose fault is told. `of_device`: the party is a device, or a buffer there."""
    with staged(hangs, name, device) as hang:
        status, told = ask(hang, rule)
        expected = {} if no_party else expected_of(hang.facts)
        if of_device:
            expected = {key: hang.facts[key] for key in ("device", "index") if key in hang.facts}
        problem = problem_of(status, told, rule, expected, alone)
        if not problem and "errno" in hang.facts:
            errno = found_in(told, rule).get("errno")
            problem = None if str(errno) == hang.facts["errno"] else f"the errno is {errno}"
        finding = found_in(told, rule) or {"waiter": {}}
        if not problem and finding["waiter"].get("pid") != hang.pid:
            problem = f"the waiter is {finding['waiter']}"
        report.tell(f"{name}/{device.partition(':')[0]}", problem)
        report.log(f"{name}: {told['took_ms']:.0f} ms; {finding.get('verdict')}")


def text_for_a_person(report):
    """The same in words: the buffer, since when, and whose it is, in one line."""
    with staged(hangs, "other-process", virtual) as hang:
        ended = guest.run(guest.program, "doctor", "--older-than", 0, hang.pid)
        wanted = f"pid {hang.facts['party']} fence-holder"
        line = next((line for line in ended.stdout.splitlines() if "buffer 0 held" in line), "")
        problem = None if ended.status == 1 and "in-fence pipe:[" in line and wanted in line \
            else f"{ended.how()}: {line or ended.last_words()}"
        report.tell("text", problem)
        report.log(ended.stdout)


def stopped_program(report):
    """It is looked at as it lies there, and stays stopped."""
    with staged(hangs, "this-program", virtual) as hang:
        os.kill(hang.pid, signal.SIGSTOP)
        while hang.state() != "T":
            os.sched_yield()
        status, told = doctor("--older-than", 0, hang.pid)
        problem = problem_of(status, told, "stopped-producer", {"pid": hang.pid}) or \
            (None if hang.state() == "T" else "it runs again")
        os.kill(hang.pid, signal.SIGCONT)
        report.tell("stopped", problem)


def healthy(report, device=virtual):
    """A stream that has run for longer than the waits that would be faults."""
    with staged(hangs, "healthy", device) as hang:
        select.select([hang.child.stdout], [], [], 2 * healthy_max_ms / 1000)
        status, told = doctor("--older-than", healthy_max_ms, hang.pid)
        problem = None if status == 0 and not told["findings"] else \
            f"it ended with {status} and found {told['findings']}"
        # Its buffers wait for the device, as they always do.
        if not problem and not told["edges"]:
            problem = f"nothing was seen of it: {told['nodes']}"
        report.tell(f"healthy/{device.partition(':')[0]}", problem)


def young(report):
    """What has not waited long enough is no fault."""
    with staged(hangs, "this-program", virtual) as hang:
        status, told = doctor("--older-than", 3600000, hang.pid)
        report.tell("young", None if status == 0 and not told["findings"] else
                    f"it ended with {status} and found {told['findings']}")


def refused(report, name, expected, *command):
    ended = guest.run(*command)
    problem = None if ended.status == lacking and expected in ended.stderr else \
        f"{ended.how()}: {ended.last_words()}"
    report.tell(name, problem)


def refusals(report):
    refused(report, "no-such-process", "there is none", guest.program, "doctor", 999999999)
    refused(report, "no-board", "does not use v4lfence", guest.program, "doctor", os.getpid())
    ended = guest.run(guest.program, "doctor", "nobody")
    report.tell("usage", None if ended.status == 2 else ended.how())


def permission(report):
    """A process of root's, for somebody else."""
    with staged(hangs, "this-program", virtual) as hang:
        refused(report, "permission", "may not be looked at", "setpriv", "--reuid=65534",
                "--regid=65534", "--clear-groups", "--", guest.program, "doctor", hang.pid)


def of_processes():
    """Hangs that any device shows, with the rule that they are told by."""
    return {"this-program": "this-program", "this-program-socket": "this-program",
            "own-cycle-dequeue": "own-cycle", "own-cycle-poll": "own-cycle",
            "other-process": "other-process", "stopped-holder": "stopped-producer"}


def here(report):
    jobs = {name: functools.partial(one, name=name, rule=rule, device=virtual)
            for name, rule in of_processes().items()}
    for name, rule in (("idle-producer", "idle-producer"), ("device-gone", "device-gone"),
                       ("silent-device", "silent-device"), ("nothing-queued", "too-few-queued")):
        jobs[name] = functools.partial(one, name=name, rule=rule, device=virtual, of_device=True)
    for name in ("failed-start", "never-dequeued", "deadline-expired"):
        jobs[name] = functools.partial(one, name=name, rule=name, device=virtual)
    jobs["nobody"] = functools.partial(one, name="nobody", rule="no-end", device=virtual,
                                       no_party=True)
    # The producer is stopped itself, which is told of all who look at it.
    jobs["stopped-producer"] = functools.partial(
        one, name="stopped-producer", rule="stopped-producer", device=virtual, of_device=True)
    jobs |= {"text": text_for_a_person, "stopped": stopped_program, "healthy": healthy,
             "young": young, "refusals": refusals}
    if os.geteuid() == 0:
        jobs["permission"] = permission
    else:
        report.skip("permission", "needs root, to be somebody else")
    guest.one_by_one(report, jobs)


def hung_display(name, rule, device, card):
    """(the hang, status, answer); staged again where the fault was not there any more."""
    for _ in range(short_tries_max):
        with staged(display_hangs, name, device, card) as hang:
            status, told = ask(hang, rule)
        if found_in(told, rule):
            break
    return hang, status, told


def of_display(report, name, rule, device, card, alone):
    hang, status, told = hung_display(name, rule, device, card)
    shown = f"{hang.facts['card']} {hang.facts['connector']}"
    report.tell(name, problem_of(status, told, rule, {"pid": hang.pid, "device": shown}, alone))
    report.log(f"{told['took_ms']:.0f} ms; {(found_in(told, rule) or {}).get('verdict')}")


def frozen(report, card):
    """The display waits for a camera: that is to blame, by both."""
    hang, status, told = hung_display("frozen-camera", "silent-device", virtual, card)
    waiters = {one["waiter"]["device"] for one in told["findings"]
               if one["rule"] == "silent-device" and one["party"] == {"device": virtual}}
    shown = f"{hang.facts['card']} {hang.facts['connector']}"
    report.tell("frozen-camera", None if status == 1 and waiters == {virtual, shown} else
                f"{waiters} wait for the camera, of {told['findings']}")


def idle_display(report, device, card):
    """A program that forgot its fence while its screen is blanked: the screen is not to blame."""
    hang, status, told = hung_display("display-idle", "this-program", device, card)
    expected = {"pid": hang.pid, "fd": hang.facts["fd"]}
    verdict = (found_in(told, "this-program") or {}).get("verdict", "")
    said = f"{hang.facts['card']} {hang.facts['connector']} is off" in verdict
    report.tell("display-idle", problem_of(status, told, "this-program", expected) or
                (None if said else f"nothing of the display: {verdict}"))


def displays(report, device):
    of_display(report, "display-off", "display-off", device, "virtio_gpu", True)
    idle_display(report, device, "virtio_gpu")
    frozen(report, "virtio_gpu")
    # Beside that the display itself waits, for a fence of vgem's.
    of_display(report, "waiting-display", "waiting-display", device, "virtio_gpu", False)


def held_problem(hang, held, shape, fd):
    """What is told of one descriptor that a process merely has."""
    one = next((entry for entry in held if entry["fd"] == int(fd)), None)
    if one is None:
        return f"nothing of its {shape}, descriptor {fd}: {held}"
    drivers = [fence["driver"] for fence in one["kernel"]]
    ends = {(end["pid"], end["fd"]) for end in one["ends"]}
    if one["pid"] != hang.pid or shape not in one["fence"] or drivers != ["vgem"] or \
            (hang.pid, None) not in ends:
        return f"its {shape} is told as {one}"
    return None


def held_fences(report):
    """A process without v4lfence: its pending fences are told, and whom they wait for."""
    with staged(sys.executable, holder) as hang:
        status, told = doctor(hang.pid)
        problem = held_problem(hang, told["held"], "sync_file", hang.facts["sync_file"]) or \
            held_problem(hang, told["held"], "dma-buf", hang.facts["dma_buf"])
        if not problem and (status != 0 or told["findings"]):
            problem = f"it ended with {status} and found {told['findings']}"
        report.tell("held/json", problem)
        status, told = doctor("--older-than", 0, hang.pid)
        report.tell("held/faults",
                    problem_of(status, told, "this-program", {"pid": hang.pid}, False))
        ended = guest.run(guest.program, "doctor", hang.pid)
    wanted = f"descriptor {hang.facts['sync_file']}: sync_file "
    report.tell("held/text", None if ended.status == 0 and wanted in ended.stdout
                else f"{ended.how()}, without {wanted!r}: {ended.last_words()}")
    report.log(ended.stdout)


def in_guest(report):
    first, second, third = guest.nodes("vivid")
    # The first time it is read from the host, and some faults last for seconds only.
    guest.run(guest.program, "doctor", "--json")
    jobs = {
        "bound-expired": functools.partial(one, name="bound-expired", rule="bound-expired",
                                           device=first),
        "displays": functools.partial(displays, device=second),
    }
    guest.side_by_side(report, jobs)
    jobs = {name: functools.partial(one, name=name, rule=rule, device=third)
            for name, rule in of_processes().items()
            if name != "this-program-socket"}  # The guest has no unix_diag.
    jobs["never-dequeued"] = functools.partial(one, name="never-dequeued", rule="never-dequeued",
                                               device=third)
    jobs["healthy"] = functools.partial(healthy, device=third)
    jobs["held"] = held_fences
    if os.environ["VM_KERNEL"] == "6.1":
        # Without requests this driver wants two buffers before it starts.
        jobs["starvation"] = functools.partial(one, name="starvation", rule="starvation",
                                               device=third)
    else:
        report.skip("starvation", "no driver of this kernel's needs more than one buffer to start")
    guest.one_by_one(report, jobs)


if __name__ == "__main__":
    if len(sys.argv) == 1:
        guest.main_here(here)
    else:
        guest.main(guest.Machine("vivid vgem virtio-gpu", (
            ("vivid", "n_devs=3 node_types=0x1,0x1,0x1 multiplanar=1,1,1 "
                       "supports_requests=1,1,0"),)), in_guest)
