# SPDX-License-Identifier: MIT
"""What the suites that run programs share: how they get into a virtual machine, and how they
report.

Such a suite is a script SCRIPT KERNEL. Outside it starts a guest and itself in there, so that its
body runs beside the devices; what the body prints is the suite's output (see tests/suites.py).
"""

import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

sys.dont_write_bytecode = True
top = Path(__file__).resolve().parents[2]
kernels = ("6.1", "6.12")
# Another build than the usual one may be tried.
built = Path(os.environ.get("V4LFENCE_BUILD", top / "build" / "gcc")).resolve()
program = built / "tools" / "v4lfence"
vm = top / "tests" / "vm"
_cleanup_s = 5


@dataclass(frozen=True)
class Machine:
    """What a suite needs of its guest. `parameters` are of modules, for each kernel alike."""

    modules: str
    parameters: tuple[tuple[str, str], ...] = ()
    timeout_s: int = 1500  # for hangs; less than the suite's own, so that the guest can say where
    cpus: int = 2


@dataclass(frozen=True)
class Ended:
    """How a program ended; `status` is None when it had to be killed after its time."""

    status: int | None
    stdout: str
    stderr: str

    def last_words(self):
        lines = (self.stdout + self.stderr).strip().splitlines()
        return lines[-1] if lines else "no output"

    def how(self):
        return "did not end" if self.status is None else f"ended with {self.status}"


class Report:
    """Results, one line each. Threads: any."""

    def __init__(self):
        self._lock = threading.Lock()
        self.failures = 0

    def _print(self, line):
        print(" ".join(line.split()), flush=True)

    def tell(self, name, problem=None):
        """The result of `name`: it passed, or there is a problem."""
        with self._lock:
            self.failures += bool(problem)
            self._print(f"not ok {name} - {problem}" if problem else f"ok {name}")

    def skip(self, name, reason):
        with self._lock:
            self._print(f"skip {name} - {reason}")

    def log(self, text):
        with self._lock:
            print(f"  {text}".replace("\n", "\n  "), flush=True)


def main(machine, body):
    """Runs body(report) in a guest of the kernel that the command line names."""
    if len(sys.argv) != 2 or sys.argv[1] not in kernels:
        print(f"usage: {Path(sys.argv[0]).name} {'|'.join(kernels)}", file=sys.stderr)
        sys.exit(2)
    if "VM_KERNEL" not in os.environ:
        _enter(machine, sys.argv[1])
    report = Report()
    started = time.monotonic()
    body(report)
    keep("dmesg.txt", kernel_log())
    print(f"in the guest: {time.monotonic() - started:.1f} s", flush=True)
    sys.exit(1 if report.failures else 0)


def main_here(body):
    """Runs body(report) on this machine."""
    report = Report()
    body(report)
    sys.exit(1 if report.failures else 0)


def _enter(machine, kernel):
    command = [str(vm / "vm.py"), "run", "--kernel", kernel, "--modules", machine.modules,
               "--timeout", str(machine.timeout_s), "--smp", str(machine.cpus),
               "--env", f"V4LFENCE_BUILD={built}"]
    for module, parameters in machine.parameters:
        command += ["--params", module, parameters]
    if results := os.environ.get("V4LFENCE_RESULTS"):
        command += ["--out", results]
    sys.stdout.flush()
    os.execv(command[0], [*command, "--", str(Path(sys.argv[0]).resolve()), kernel])


def keep(name, text):
    """Keeps a file with the results of the suite."""
    if out := os.environ.get("OUT") or os.environ.get("V4LFENCE_RESULTS"):
        (Path(out) / name).write_text(text)


def nodes(driver):
    listed = subprocess.run([str(vm / "guest" / "nodes.py"), driver], stdout=subprocess.PIPE,
                            text=True, check=True)
    return listed.stdout.split()


def start(*command, **arguments):
    """A program with its output in pipes; finish() waits for it."""
    return subprocess.Popen([str(word) for word in command], stdin=subprocess.DEVNULL,
                            **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True,
                               "start_new_session": True, **arguments})


def kernel_log():
    return subprocess.run(["dmesg"], stdout=subprocess.PIPE, text=True, errors="replace").stdout


def where(pid):
    """What the threads of a process wait for in the kernel, and its blocked tasks."""
    Path("/proc/sysrq-trigger").write_text("w")
    text = kernel_log()
    for task in Path(f"/proc/{pid}/task").glob("*"):
        try:
            text += f"{task.name} {(task / 'comm').read_text()}{(task / 'stack').read_text()}"
        except OSError:  # it has ended meanwhile
            continue
    return "\n".join(f"    {line}" for line in text.splitlines()[-150:])


def finish(child, timeout_s=180):
    try:
        stdout, stderr = child.communicate(timeout=timeout_s)
        return Ended(child.returncode, stdout or "", stderr or "")
    except subprocess.TimeoutExpired:
        stuck = where(child.pid) if "VM_KERNEL" in os.environ else ""
        print(f"  {child.args} takes too long:\n{stuck}", flush=True)
        os.killpg(child.pid, signal.SIGKILL)
    try:
        stdout, stderr = child.communicate(timeout=_cleanup_s)
    except subprocess.TimeoutExpired:  # even SIGKILL did not help, or a grandchild has the pipe
        stdout, stderr = "", ""
    return Ended(None, stdout or "", stderr or "")


def run(*command, timeout_s=180, **arguments):
    return finish(start(*command, **arguments), timeout_s)


def side_by_side(report, jobs):
    """Calls all of {name: job}; one that cannot go on is a failure of its name."""
    def attempt(name, job):
        try:
            job(report)
        except (OSError, ValueError, KeyError, subprocess.SubprocessError) as error:
            report.tell(name, f"{type(error).__name__}: {error}")

    with ThreadPoolExecutor(len(jobs)) as pool:
        for future in [pool.submit(attempt, *item) for item in jobs.items()]:
            future.result()


def one_by_one(report, jobs):
    """The same, in turn."""
    for name, job in jobs.items():
        side_by_side(report, {name: job})
