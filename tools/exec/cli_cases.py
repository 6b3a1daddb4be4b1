# SPDX-License-Identifier: MIT
"""What `v4lfence exec` and `v4lfence serve` promise: cases of cli_test.py."""

import json
import os
import pty
import signal
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

SUCCESS, FAILED, WRONG_USAGE, MACHINE_LACKS = 0, 1, 2, 77
CANNOT_EXECUTE, NOT_FOUND, BY_SIGNAL = 126, 127, 128
CAMERA = ["--virtual", "camera=/dev/video80"]
TIMEOUT_S = 90
BUSYBOX = Path("/bin/busybox")  # Of busybox-static: it has no loader.

# The middle of a job control shell: starts exec in the foreground, waits until it has stopped,
# continues it (and no other process of its group), waits until it has ended.
FOREGROUND = """
import os, signal, sys
job = os.fork()
if job == 0:
    os.setpgid(0, 0)
    os.execv(sys.argv[1], sys.argv[1:])
try:
    os.setpgid(job, job)
except PermissionError:
    pass
signal.signal(signal.SIGTTOU, signal.SIG_IGN)
os.tcsetpgrp(0, job)
status = os.waitpid(job, os.WUNTRACED)[1]
print("stopped", os.WIFSTOPPED(status) and os.WSTOPSIG(status), flush=True)
os.kill(job, signal.SIGCONT)
print("ended", os.waitstatus_to_exitcode(os.waitpid(job, 0)[1]), flush=True)
"""


class Running:
    """A command that has said something on its first line; killed afterwards."""

    def __init__(self, program, *arguments, **options):
        self.process = subprocess.Popen([program, *arguments], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True, **options)
        self.first_line = self.process.stdout.readline().strip()

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.process.kill()
        self.process.communicate(timeout=TIMEOUT_S)

    def end_by(self, number):
        self.process.send_signal(number)
        return self.process.wait(timeout=TIMEOUT_S)


def expected(seen, wanted):
    return None if seen == wanted else f"{seen!r}, expected {wanted!r}"


def check_words(checker):
    refused = {
        "no-command": ([], "CMD"),
        "no-command-behind-dashes": ([*CAMERA, "--"], "CMD"),
        "unknown-kind": (["--virtual", "toaster", "--", "true"], "camera, camera-mplane"),
        "kind-to-come": (["--virtual", "m2m=/dev/video3", "--", "true"], "this version"),
        "bad-path": (["--virtual", "camera=/dev/null", "--", "true"], "/dev/videoN"),
        "path-twice": ([*CAMERA, *CAMERA, "--", "true"], "twice"),
        "path-virtual-and-wrapped": ([*CAMERA, "--wrap", "/dev/video80", "--", "true"],
                                     "/dev/video80"),
        "wrap-no-v4l2": (["--wrap", "/dev/null", "--", "true"], "no V4L2 device"),
        "unknown-provider": (["--fences", "magic", "--", "true"], "auto, user"),
        "unknown-option": (["--no-such-option", "--", "true"], "--no-such-option"),
    }
    for name, (arguments, words) in refused.items():
        checker.ends(f"exec-{name}", ["exec", *arguments], WRONG_USAGE, stderr=words)
    checker.ends("exec-wrap-missing", ["exec", "--wrap", "/dev/video-none", "--", "true"],
                 MACHINE_LACKS, stderr="/dev/video-none")
    for name, devices in {"virtual": CAMERA, "bare": []}.items():
        run = ["exec", *devices, "--"]
        checker.ends(f"exec-{name}-not-found", [*run, "no-such-command"], NOT_FOUND,
                     stderr="no-such-command: No such file")
        checker.ends(f"exec-{name}-not-executable", [*run, "/etc/passwd"], CANNOT_EXECUTE,
                     stderr="/etc/passwd: Permission denied")
    serve = {
        "no-device": ([], "--virtual"),
        "unknown-kind": (["--virtual", "toaster"], "camera, camera-mplane"),
        "bad-socket": (["--virtual", "camera", "--socket", "@"], "@"),
    }
    for name, (arguments, words) in serve.items():
        checker.ends(f"serve-{name}", ["serve", *arguments], WRONG_USAGE, stderr=words)
    checker.ends("serve-no-folder", ["serve", *CAMERA, "--socket", "/no/such/folder/socket"],
                 FAILED, stderr="/no/such/folder/socket")


def check_programs(checker):
    """Whom a library that is preloaded cannot reach."""
    checker.ends("exec-quiet", ["exec", *CAMERA, "--", "sh", "-c", "exit 0"], SUCCESS)
    if BUSYBOX.exists():
        checker.ends("exec-static", ["exec", "--", str(BUSYBOX), "true"], SUCCESS,
                     stderr="statically linked")
    else:
        print(f"skip exec-static - there is no {BUSYBOX}")


def check_status(checker):
    for name, devices in {"virtual": CAMERA, "bare": []}.items():
        for words, status in {"exit 3": 3, "exit 77": 77, "true": 0}.items():
            done = checker.call("exec", *devices, "--", "sh", "-c", words)
            checker.tell(f"exec-{name}-{words.replace(' ', '-')}",
                         expected((done.returncode, done.stdout, done.stderr), (status, "", "")))
    for number in (signal.SIGTERM, signal.SIGKILL, signal.SIGSEGV):
        done = checker.call("exec", *CAMERA, "--", "sh", "-c", f"kill -{int(number)} $$")
        checker.tell(f"exec-killed-by-{number.name}",
                     expected(done.returncode, BY_SIGNAL + number))
    done = checker.call("exec", *CAMERA, "sh", "-c", "echo $0 $1", "--json", "--")
    checker.tell("exec-without-dashes", expected(done.stdout, "--json --\n"))
    done = subprocess.run([checker.program, "exec", *CAMERA, "--", "cat"], input="through",
                          capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    checker.tell("exec-streams", expected(done.stdout, "through"))


def check_environment(checker):
    command = ["exec", *CAMERA, "--virtual", "camera-mplane", "--fences", "user", "--rfc-caps",
               "--json", "--", "env"]
    done = subprocess.run([checker.program, *command], capture_output=True, text=True, check=False,
                          env={**os.environ, "LD_PRELOAD": "libc.so.6"}, timeout=TIMEOUT_S)
    problem = None
    try:
        first, *lines = done.stdout.splitlines()
        told = json.loads(first)
        seen = dict(line.split("=", 1) for line in lines if "=" in line)
        ours, theirs = seen["LD_PRELOAD"].split(":")
        if [device["kind"] for device in told["virtual"]] != ["camera", "camera-mplane"]:
            problem = f"devices are {told['virtual']}"
        elif any(seen[name] != value for name, value in told["environment"].items()):
            problem = f"{told['environment']} is not what CMD got"
        elif not seen["V4LFENCE_VIRTUAL"].startswith("/dev/video80 "):
            problem = f"V4LFENCE_VIRTUAL={seen['V4LFENCE_VIRTUAL']}"
        elif not ours.startswith("/") or theirs != "libc.so.6":
            problem = f"LD_PRELOAD={seen['LD_PRELOAD']}"
        elif (seen["V4LFENCE_FENCES"], seen["V4LFENCE_RFC_CAPS"]) != ("user", "1"):
            problem = "an option is missing"
    except (ValueError, LookupError) as error:
        problem = f"{error!r} in {done.stdout!r}, {done.stderr!r}"
    checker.tell("exec-environment", problem)


def check_inheritance(checker):
    """CMD gets what exec was given: signals as they were, no descriptor more."""
    def prepare():
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR2})

    script = "grep -E '^Sig(Blk|Ign)' /proc/self/status; ls /proc/self/fd; exit 5"
    direct, under = (subprocess.run([*front, "sh", "-c", script], capture_output=True, text=True,
                                    preexec_fn=prepare, timeout=TIMEOUT_S, check=False)
                     for front in ([], [checker.program, "exec", *CAMERA, "--"]))
    checker.tell("exec-inheritance",
                 expected((under.returncode, under.stdout), (direct.returncode, direct.stdout)))
    with Running(checker.program, "exec", *CAMERA, "--", "sh", "-c",
                 "echo ready; exec >&-; read line; exit 6") as running:
        rest = running.process.stdout.read()  # Ends, or this hangs.
        running.process.stdin.write("\n")
        running.process.stdin.flush()
        checker.tell("exec-end-of-stdout",
                     expected((rest, running.process.wait(timeout=TIMEOUT_S)), ("", 6)))


def check_signals(checker):
    trap = "trap 'exit 9' USR1 INT HUP; echo ready; while :; do read line || exit 1; done"
    for number in (signal.SIGUSR1, signal.SIGINT, signal.SIGHUP):
        with Running(checker.program, "exec", *CAMERA, "--", "sh", "-c", trap) as running:
            checker.tell(f"exec-passes-on-{number.name}", expected(running.end_by(number), 9))
    with Running(checker.program, "exec", *CAMERA, "--", "sh", "-c", trap) as running:
        checker.tell("exec-passes-on-SIGTERM",
                     expected(running.end_by(signal.SIGTERM), BY_SIGNAL + signal.SIGTERM))
    # Until exec has taken it: the bit of SIGUSR1.
    pending = "grep -q '^ShdPnd:.*[2367abef][0-9a-f][0-9a-f]$' /proc/$PPID/status"
    done = checker.call("exec", *CAMERA, "--", "sh", "-c",
                        f"trap 'exit 9' USR1; kill -USR1 $PPID; while {pending}; do :; done; "
                        "exit 4")
    checker.tell("exec-returns-no-signal", expected(done.returncode, 4))


class Terminal:
    """exec in the foreground of a terminal of its own, with a shell that waits for it."""

    def __init__(self, program, script):
        self.child, self.terminal = pty.fork()
        if self.child == 0:
            os.execv("/usr/bin/python3", ["python3", "-c", FOREGROUND, program, "exec", *CAMERA,
                                          "--", "sh", "-c", script])
        self.text = ""

    def read_until(self, words):
        while words not in self.text:
            try:
                self.text += os.read(self.terminal, 4096).decode()
            except OSError:  # Everybody is gone.
                return False
        return True

    def close(self):
        os.close(self.terminal)
        os.waitpid(self.child, 0)


def check_terminal(checker):
    terminal = Terminal(checker.program, "trap 'exit 7' INT; echo ready; read line; exit 8")
    problem = None
    for words, keys in (("ready", b"\x1a"), ("stopped 20", b"x\n"), ("ended 8", b"")):
        if not terminal.read_until(words):
            problem = f"no {words!r} in {terminal.text!r}"
            break
        os.write(terminal.terminal, keys)
    terminal.close()
    checker.tell("exec-stops-and-continues", problem)
    # The shell alone is told by the terminal; exec would pass on a second one.
    terminal = Terminal(checker.program, "trap 'echo caught' INT; echo ready; read l; read l; kill "
                                         "-TSTP $$; exit 8")
    problem = None
    for words, keys in (("ready", b"\x03"), ("caught", b"\n\n"), ("stopped 20", b""),
                        ("ended 8", b"")):
        if not terminal.read_until(words):
            problem = f"no {words!r} in {terminal.text!r}"
            break
        os.write(terminal.terminal, keys)
    if terminal.text.count("caught") != 1:
        problem = problem or f"caught more than once: {terminal.text!r}"
    terminal.close()
    checker.tell("exec-leaves-ctrl-c-to-the-terminal", problem)


def check_serve(checker):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "socket"
        arguments = ["serve", *CAMERA, "--socket", str(path)]
        with Running(checker.program, *arguments) as running:
            lines = [running.first_line] + [running.process.stdout.readline() for _ in range(2)]
            shell = subprocess.run(["sh", "-c", "\n".join(lines) + "\nunset LD_PRELOAD\nenv"],
                                   capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
            seen = dict(line.split("=", 1) for line in shell.stdout.splitlines() if "=" in line)
            checker.tell("serve-lines", expected(
                (seen.get("V4LFENCE_SERVER"), seen.get("V4LFENCE_VIRTUAL", "")[:13]),
                (str(path), "/dev/video80 ")))
            checker.tell("serve-mode", expected(stat.S_IMODE(path.stat().st_mode), 0o600))
            checker.ends("serve-twice", arguments, FAILED, stderr="another server")
            checker.tell("serve-ends", expected(running.end_by(signal.SIGTERM), SUCCESS))
        checker.tell("serve-leaves-nothing", expected(list(Path(folder).iterdir()), []))
        environment = {**os.environ, "XDG_RUNTIME_DIR": folder}
        with Running(checker.program, "serve", *CAMERA, env=environment) as first, \
                Running(checker.program, "serve", *CAMERA, "--json", env=environment) as second:
            second.process.send_signal(signal.SIGINT)
            told = json.loads(second.first_line + second.process.stdout.read())
            checker.tell("serve-default", expected(
                (told["environment"]["V4LFENCE_SERVER"], second.process.wait(timeout=TIMEOUT_S)),
                (str(Path(folder) / "v4lfence-1"), SUCCESS)))
            checker.tell("serve-hang-up", expected(first.end_by(signal.SIGHUP), SUCCESS))


def check_devices(checker):
    """With the library that is preloaded: a look at the device from outside."""
    look = "stat -c '%F %t:%T' /dev/video80"
    done = checker.call("exec", *CAMERA, "--", "sh", "-c", look)
    checker.tell("exec-device-is-there",
                 expected((done.stdout, done.stderr), ("character special file 51:50\n", "")))
    second = "import os; print([os.fstat(n).st_rdev % 256 for n in (os.open({!r}, os.O_RDWR), {})])"
    first = (f"import os, sys; fd = os.open('/dev/video81', os.O_RDWR); os.set_inheritable(fd, 1);"
             f"look = {second!r}.format(f'/proc/self/fd/{{fd}}', fd);"
             "os.execv(sys.executable, [sys.executable, '-c', look])")
    done = checker.call("exec", *CAMERA, "--virtual", "camera=/dev/video81", "--", sys.executable,
                        "-c", first)
    checker.tell("exec-inherited-descriptor-is-its-device",
                 expected((done.stdout, done.stderr), ("[81, 81]\n", "")))
    inner = [checker.program, "exec", "--virtual", "camera=/dev/video81", "--"]
    done = checker.call("exec", *CAMERA, "--", *inner, "sh", "-c",
                        "test -c /dev/video81 && ! test -e /dev/video80")
    checker.tell("exec-inner-devices-replace-outer", expected(done.returncode, 0))
    done = checker.call("exec", *CAMERA, "--", checker.program, "exec", "--", "sh", "-c", look)
    checker.tell("exec-inner-keeps-outer-devices",
                 expected(done.stdout, "character special file 51:50\n"))


def check_all(checker):
    check_words(checker)
    check_programs(checker)
    check_status(checker)
    check_environment(checker)
    check_inheritance(checker)
    check_signals(checker)
    check_terminal(checker)
    check_serve(checker)
    check_devices(checker)
