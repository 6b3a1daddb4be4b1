#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Who may reach a device server and what it serves, and what a preloaded program gets: programs
that run as somebody else, servers that are somebody else's, sandboxes, other libraries in
LD_PRELOAD.

usage: secure.py
"""

import contextlib
import ctypes
import json
import os
import shutil
import socket
import stat
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

import ways
from ways import guest

nobody = 65534
enoent, eacces, enodev = 2, 13, 19
as_nobody = ("setpriv", f"--reuid={nobody}", f"--regid={nobody}", "--clear-groups")
plain_open = ways.programs / "shim_plain_open"
# struct Request of remote/wire.hpp: Hello, version 1.
hello = struct.pack("=IIIIBBBBI4q", 1, 0, 0, 0, 0, 0, 0, 0, 0, 1, 4711, 0, 0)
settle_s = 5


@contextlib.contextmanager
def open_folder():
    """One that every user may enter."""
    with tempfile.TemporaryDirectory(prefix="v4lfence-shim-") as path:
        os.chmod(path, 0o755)
        yield Path(path)


def answer_of(ended):
    """(errno of the open, effective user, whether LD_PRELOAD was left)."""
    try:
        error, user, preload = map(int, ended.stdout.split())
        return error, user, bool(preload)
    except ValueError as error:
        raise ValueError(f"{ended.how()}: {ended.last_words()}") from error


def tell_answer(report, name, ended, *expected):
    found = answer_of(ended)
    report.tell(name, None if found == expected else
                f"errno, user, LD_PRELOAD are {found}, expected {expected}")


def environment_of(way, *options):
    """What exec gives a command, and what that inherited."""
    ended = way.run(sys.executable, "-c", "import json, os; print(json.dumps(dict(os.environ)))",
                    options=options, env={**os.environ, "LD_PRELOAD": str(ways.programs /
                                                                          "libshim_early.so")})
    return json.loads(ended.stdout)


def preload_list(report, way):
    """Absolute, in front of what was there, nothing lost."""
    words = environment_of(way).get("LD_PRELOAD", "").replace(" ", ":").split(":")
    problem = None
    if len(words) < 2 or "libv4lfence-preload.so" not in words[0] or not words[0].startswith("/"):
        problem = f"LD_PRELOAD is {words}"
    elif words[-1] != str(ways.programs / "libshim_early.so"):
        problem = f"what was preloaded before is lost: {words}"
    report.tell("preload-list", problem)


def set_uid(report, way):
    """The loader leaves out what LD_PRELOAD names."""
    with open_folder() as folder:
        program = folder / "set_uid"
        shutil.copy(plain_open, program)
        os.chmod(program, 0o4755)
        tell_answer(report, "set-uid/control", way.run(program, way.node), 0, 0, True)
        ended = way.run(*as_nobody, program, way.node)
        if answer_of(ended)[1] != 0:
            report.skip("set-uid", "set-uid programs have no effect here")
            return
        tell_answer(report, "set-uid", ended, enoent, 0, False)


def set_uid_linked(report, way):
    """Loaded into one all the same: nothing that the environment names is opened."""
    source = guest.top / "tests" / "shim" / "plain_open.c"
    with open_folder() as folder:
        program, shim = folder / "linked", folder / ways.preload.name
        shutil.copy(ways.preload, shim)
        for library in (guest.built / "v4lfence" / "capi").glob("libv4lfence.so.0"):
            shutil.copy(library, folder / library.name)
        subprocess.run(["gcc", source, "-o", program, "-Wl,--no-as-needed", shim,
                        f"-Wl,-rpath,{folder}"], check=True)
        alone = {key: value for key, value in environment_of(way).items() if key == "PATH"}
        clean = ("env", "-u", "LD_PRELOAD")
        tell_answer(report, "set-uid-linked/control", way.run(*clean, program, way.node),
                    0, 0, False)
        os.chmod(program, 0o4755)
        ended = way.run(*as_nobody, *clean, program, way.node)
        if answer_of(ended)[1] != 0:
            report.skip("set-uid-linked", "set-uid programs have no effect here")
            return
        tell_answer(report, "set-uid-linked", ended, enoent, 0, False)
        ended = guest.run(program, way.node, env=alone)
        tell_answer(report, "set-uid-linked/no-environment", ended, enoent, 0, False)


def other_user(report, way):
    """Who is preloaded and has the address, but is somebody else."""
    with open_folder() as folder:
        program = folder / "plain_open"
        shutil.copy(plain_open, program)
        if guest.run(*as_nobody, "test", "-r", ways.preload).status != 0:
            report.skip("other-user", "others may not read the build folder")
            return
        tell_answer(report, "other-user", way.run(*as_nobody, program, way.node),
                    eacces, nobody, True)


def say_hello(address):
    """What a server answers: bytes, or how it refuses."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as connection:
        connection.settimeout(settle_s)
        try:
            connection.connect("\0" + address[1:] if address.startswith("@") else address)
            connection.send(hello)
            return connection.recv(4096)
        except OSError as error:
            return type(error).__name__


def inside_hello(user):
    if user:
        os.setgid(user)
        os.setuid(user)
    answer = say_hello(os.environ["V4LFENCE_SERVER"])
    print(f"{len(answer)} bytes" if isinstance(answer, bytes) else answer)


def socket_refuses(report, way):
    def ask(user):
        return way.run(sys.executable, __file__, "--hello", str(user)).stdout.strip()

    ours, others = ask(0), ask(nobody)
    report.tell("socket/control", None if ours.endswith("bytes") and ours != "0 bytes" else
                f"the server says {ours} to its own user")
    refused = others == "0 bytes" or (others.endswith("Error") and "Timeout" not in others)
    report.tell("socket/other-user", None if refused else f"the server says {others}")


def socket_mode(report):
    """One at a path is its owner's alone."""
    with open_folder() as folder:
        address = folder / "server"
        child = guest.start(guest.program, "serve", "--virtual", "camera=/dev/video80",
                            "--socket", address)
        try:
            for _ in range(100):
                if address.exists() or child.poll() is not None:
                    break
                with contextlib.suppress(subprocess.TimeoutExpired):
                    child.wait(0.1)
            if not address.exists():
                child.kill()
                report.tell("socket/mode", f"serve made none: {guest.finish(child).last_words()}")
                return
            mode = stat.S_IMODE(address.stat().st_mode)
            report.tell("socket/mode", None if mode == 0o600 else f"its mode is {mode:o}")
        finally:
            child.terminate()
            guest.finish(child)


def wait_at(name):
    """A server of somebody else's: says how much it was told."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        os.setgid(nobody)
        os.setuid(nobody)
        listener.bind("\0" + name)
        listener.listen(4)
        print("listening", flush=True)
        listener.settimeout(settle_s)
        told = 0
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                connection.settimeout(settle_s)
                data, fds, *_ = socket.recv_fds(connection, 4096, 16)
                told += len(data) + len(fds)
        print(told)


def impostor(report, way):
    """A program tells nothing to a server that is somebody else's."""
    name = f"v4lfence-impostor-{os.getpid()}"
    listener = guest.start(sys.executable, __file__, "--listen", name)
    if listener.stdout.readline() != "listening\n":
        report.tell("impostor", guest.finish(listener).last_words())
        return
    environment = {**os.environ, "LD_PRELOAD": str(ways.preload), "V4LFENCE_SERVER": f"@{name}",
                   "V4LFENCE_VIRTUAL": f"{way.node} 80 camera"}
    tell_answer(report, "impostor/open", guest.run(plain_open, way.node, env=environment),
                eacces, 0, True)
    told = guest.finish(listener).stdout.strip()
    report.tell("impostor/told", None if told == "0" else f"it was told {told} bytes and files")


def no_server(report, way):
    """What was preloaded by hand, and whose server is gone."""
    environment = {**os.environ, "LD_PRELOAD": str(ways.preload),
                   "V4LFENCE_SERVER": "@v4lfence-nobody-listens",
                   "V4LFENCE_VIRTUAL": f"{way.node} 80 camera"}
    tell_answer(report, "no-server", guest.run(plain_open, way.node, env=environment),
                enodev, 0, True)


def sandboxed(report, way):
    """Sockets without urgent data: in the program, and in the server too."""
    filtered = ways.programs / "shim_without_oob"
    stream = (ways.programs / "shim_traps", "flags-are-kept", way.node)
    ways.tell(report, "without-oob/program", way.run(filtered, *stream))
    ways.tell(report, "without-oob/server", guest.run(filtered, *way.words(*stream),
                                                      timeout_s=ways.hang_s))


def not_among_plugins(report):
    """Loaded as a plugin it does no harm; it is installed where nobody looks for any."""
    libc = ctypes.CDLL(None)
    ctypes.CDLL(str(ways.preload))
    fd = os.open("/dev/null", os.O_RDWR)
    value = ctypes.c_int()
    status = libc.ioctl(fd, 0x541B, ctypes.byref(value))
    os.close(fd)
    report.tell("as-a-plugin", None if status in (0, -1) else f"ioctl answered {status}")
    plan = json.loads((guest.built / "meson-info" / "intro-installed.json").read_text())
    where = [Path(to) for path, to in plan.items() if Path(path).name == ways.preload.name]
    beside = [to for to in map(Path, plan.values())
              if where and to.parent == where[0].parent and to != where[0]]
    problem = None if where else "it is not installed"
    if where and where[0].parent.name != "v4lfence":
        problem = f"it is installed in {where[0].parent}"
    report.tell("installed-apart", problem or (f"{beside} lie beside it" if beside else None))


def body(report):
    way = ways.virtual()
    for job in (preload_list, socket_refuses, impostor, no_server, sandboxed):
        attempt(report, job, way)
    for job in (set_uid, set_uid_linked, other_user):
        if os.geteuid() != 0:
            report.skip(job.__name__, "only root can become somebody else")
        else:
            attempt(report, job, way)
    attempt(report, lambda report, _: socket_mode(report), way, "socket_mode")
    attempt(report, lambda report, _: not_among_plugins(report), way, "not_among_plugins")


def attempt(report, job, way, name=None):
    try:
        job(report, way)
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        report.tell(name or job.__name__, f"{type(error).__name__}: {error}")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--hello"]:
        inside_hello(int(sys.argv[2]))
    elif sys.argv[1:2] == ["--listen"]:
        wait_at(sys.argv[2])
    else:
        guest.main_here(body)
