# SPDX-License-Identifier: MIT
"""One run of the virtual machine: QEMU, its lines to the guest and to QEMU itself, the clock."""

import collections
import contextlib
import dataclasses
import os
import re
import selectors
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from . import Lacking, monitor, tsc

STATUS_LACKING = 77
STATUS_HUNG = 124
_DIAGNOSIS_SECONDS = 5.0    # for a hanging guest to say where its processes are
_DIAGNOSIS_END = "vm: end of diagnosis"    # as guest/init.sh says it
_POWER_OFF_SECONDS = 5.0    # from the exit status to the end of QEMU
_CONSOLE_LINES = 120        # kept for the report on a guest that hangs
# Ports 1, 2, … of the guest; guest/init.sh knows the first three by number.
_PORTS = ("stdout", "stderr", "control", "requests")
_LINES = ("console", *_PORTS, "qmp")
_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]|\x1bc|\r")


@dataclasses.dataclass(frozen=True)
class Settings:
    """What the machine is made of and how long it may live."""

    image: Path
    initramfs: bytes
    smp: int = 2
    memory_mb: int = 2048
    timeout_s: float = 200.0
    display: bool = False           # a virtio GPU is plugged in
    out: Path | None = None         # the host's folder behind the guest's /run/out
    pin_cpu: int | None = None
    console: bool = False           # the guest's console is shown while it runs
    verbose: bool = False
    append: str = ""                # more of the kernel's command line
    qemu: tuple[str, ...] = ()      # more arguments of QEMU


def arguments(settings: Settings, initramfs: int, lines: dict[str, int]) -> list[str]:
    """QEMU's command line, with its descriptors: the initramfs, the lines to the guest."""
    # The emulated TSC is one clock for all CPUs, but the kernel's watchdog finds it too jumpy and
    # falls back on the HPET, where every look at the time leaves the guest. On a busy host it also
    # may find no timer interrupt in the moment it takes to look for one, and panic.
    append = ["console=ttyS0", "quiet", "panic=-1", "tsc=reliable", "no_timer_check"]
    if rate := tsc.khz():
        append.append(f"tsc_early_khz={rate}")
    command = [
        # QEMU goes when this process does, however it does.
        "setpriv", "--pdeathsig", "KILL", "qemu-system-x86_64",
        "-name", "v4lfence,debug-threads=on", "-nodefaults", "-no-user-config", "-no-reboot",
        "-accel", "tcg,thread=multi", "-cpu", "max,la57=off",
        "-smp", str(settings.smp), "-m", str(settings.memory_mb),
        "-display", "none", "-vga", "none", "-nic", "none",
        "-kernel", str(settings.image), "-initrd", f"/dev/fd/{initramfs}",
        "-device", "virtio-serial-pci",
        "-virtfs", "local,path=/,mount_tag=host,security_model=none,readonly=on,multidevs=remap",
    ]
    for name, fd in lines.items():
        command += ["-chardev", f"socket,id={name},fd={fd}"]
    command += ["-serial", "chardev:console"]
    for number, name in enumerate(_PORTS, 1):
        command += ["-device", f"virtserialport,chardev={name},nr={number},name={name}"]
    command += ["-mon", "chardev=qmp,mode=control"]
    if settings.display:
        command += ["-device", f"virtio-gpu-pci,id={monitor.SCREEN}"]
    if settings.out:
        # A comma inside a QEMU option is written twice.
        path = str(settings.out).replace(",", ",,")
        command += ["-virtfs", f"local,path={path},mount_tag=out,security_model=none"]
        append.append("VM_OUT=1")
    return command + ["-append", " ".join([*append, settings.append]).strip(), *settings.qemu]


class Machine:
    """Runs a guest to its end; `run` gives the exit status for the whole."""

    def __init__(self, settings: Settings):
        self._settings = settings
        self._status: int | None = None
        self._console: collections.deque[str] = collections.deque(maxlen=_CONSOLE_LINES)
        self._partial = {name: b"" for name in ("console", "control", "requests", "qmp")}
        self._ends: dict[str, socket.socket] = {}
        self._diagnosed = False
        self._diagnosis_ended = False

    def run(self) -> int:
        for program in ("qemu-system-x86_64", "setpriv"):
            if not shutil.which(program):
                raise Lacking(f"the program {program}")
        self._cpus = self._host_cpus()
        theirs: dict[str, socket.socket] = {}
        for name in _LINES:
            self._ends[name], theirs[name] = socket.socketpair()
        self._monitor = monitor.Monitor(
            self._sender("requests"), self._sender("qmp"),
            self._settings.out if self._settings.display else None)
        fds = {name: end.fileno() for name, end in theirs.items()}
        # In memory: nothing to clean up, however this process ends.
        archive = open(os.memfd_create("initramfs"), "wb")
        archive.write(self._settings.initramfs)
        archive.flush()
        self._started = time.monotonic()
        command = arguments(self._settings, archive.fileno(), fds)
        with subprocess.Popen(command, pass_fds=[archive.fileno(), *fds.values()],
                              stdin=subprocess.DEVNULL, stdout=sys.stderr) as qemu:
            try:
                for end in (archive, *theirs.values()):
                    end.close()
                self._qemu = qemu.pid
                self._pump()
            finally:
                qemu.kill()
        return self._verdict()

    def _pump(self) -> None:
        """Moves what the guest says to where it belongs, until QEMU or the time ends."""
        deadline = self._started + self._settings.timeout_s
        with selectors.DefaultSelector() as selector:
            for name, end in self._ends.items():
                selector.register(end, selectors.EVENT_READ, name)
            while selector.get_map() and not self._diagnosis_ended:
                if self._status is not None:
                    deadline = min(deadline, time.monotonic() + _POWER_OFF_SECONDS)
                left = deadline - time.monotonic()
                if left <= 0:
                    if self._status is not None or self._diagnosed:
                        return
                    deadline = time.monotonic() + self._ask_for_diagnosis()
                for key, _ in selector.select(max(left, 0)):
                    data = key.fileobj.recv(65536)
                    if data:
                        self._take(key.data, data)
                    else:
                        selector.unregister(key.fileobj)

    def _sender(self, line: str) -> monitor.Send:
        def send(data: bytes) -> None:
            # Whoever has gone needs no answer; the pump sees it end.
            with contextlib.suppress(OSError):
                self._ends[line].sendall(data)

        return send

    def _ask_for_diagnosis(self) -> float:
        self._diagnosed = True
        self._say(f"no end after {self._settings.timeout_s:g} s; asking the guest where it is")
        try:
            self._ends["control"].send(b"diagnose\n", socket.MSG_DONTWAIT)
        except OSError:
            return 0.0
        return _DIAGNOSIS_SECONDS

    def _take(self, line: str, data: bytes) -> None:
        if line in ("stdout", "stderr"):
            stream = getattr(sys, line)
            stream.buffer.write(data)
            stream.buffer.flush()
            return
        takers = {"control": self._obey, "console": self._keep,
                  "requests": self._monitor.from_guest, "qmp": self._monitor.from_qemu}
        *whole, self._partial[line] = (self._partial[line] + data).split(b"\n")
        for text in (part.decode(errors="replace") for part in whole):
            takers[line](text)

    def _obey(self, text: str) -> None:
        verb, _, rest = text.partition(" ")
        if verb == "status":
            self._status = int(rest)
        elif verb == "lacks":
            self._status = STATUS_LACKING
            self._say(f"the machine lacks {rest}")
        elif verb == "note":
            self._say(rest)
        elif verb == "mark":
            stage, uptime = rest.split()
            if stage == "transport":
                self._pin()  # the guest's CPUs are all running by now
            if self._settings.verbose:
                since = time.monotonic() - self._started
                self._say(f"{stage}: {since:.2f} s after the start, guest's uptime {uptime} s")

    def _keep(self, text: str) -> None:
        text = _ESCAPES.sub("", text)
        self._console.append(text)
        if self._diagnosed and text == _DIAGNOSIS_END:
            self._diagnosis_ended = True
        if self._settings.console:
            print(text, file=sys.stderr, flush=True)

    def _verdict(self) -> int:
        seconds = time.monotonic() - self._started
        if self._settings.verbose:
            self._say(f"{seconds:.2f} s from start to power-off")
        if self._status is not None:
            return self._status
        if self._partial["console"]:
            self._keep(self._partial["console"].decode(errors="replace"))
        how = "hung" if self._diagnosed else "ended without an exit status"
        self._say(f"the guest {how} after {seconds:.1f} s; its last console lines:")
        if not self._settings.console:
            print("\n".join(self._console), file=sys.stderr, flush=True)
        return STATUS_HUNG

    def _host_cpus(self) -> list[int]:
        """Where the virtual CPUs are to run, one after the other; empty: anywhere."""
        if self._settings.pin_cpu is None:
            return []
        usable = sorted(os.sched_getaffinity(0))
        if self._settings.pin_cpu not in usable:
            raise Lacking(f"a CPU {self._settings.pin_cpu} to pin to; it has {usable}")
        first = usable.index(self._settings.pin_cpu)
        return usable[first:] + usable[:first]

    def _pin(self) -> None:
        """Binds each virtual CPU's thread, which QEMU names `CPU 0/TCG` and so on."""
        if not self._cpus:
            return
        for task in Path(f"/proc/{self._qemu}/task").iterdir():
            try:
                name = re.match(r"CPU (\d+)/TCG", (task / "comm").read_text())
            except OSError:
                continue  # the thread is gone already
            if name:
                cpu = self._cpus[int(name[1]) % len(self._cpus)]
                os.sched_setaffinity(int(task.name), {cpu})

    @staticmethod
    def _say(text: str) -> None:
        print(f"vm: {text}", file=sys.stderr, flush=True)


def end_with_exception_on_sigterm() -> None:
    """Makes SIGTERM unwind the stack as Ctrl-C does, so that files and QEMU go with the program."""
    def stop(number: int, _frame: object) -> None:
        raise SystemExit(128 + number)

    signal.signal(signal.SIGTERM, stop)
