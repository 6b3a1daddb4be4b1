#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Runs a command as root on a stock Debian kernel in QEMU, on top of this machine's own files.

No hardware virtualisation is needed. The guest sees the host's root read-only at the same paths,
with /run, /tmp and /dev/shm writable and forgotten at the end.

  vm.py prepare                          fetch the kernels once
  vm.py run -- v4l2-ctl --list-devices   a command and its exit status
"""

import argparse
import os
import sys
from pathlib import Path

sys.dont_write_bytecode = True  # runs leave nothing in the source tree

from harness import Lacking, extra, initramfs, kernels, machine, modules  # noqa: E402

DEFAULT_MODULES = "vivid vgem virtio-gpu"
# The control line must work before anything else can fail; then the root and /tmp.
TRANSPORT_MODULES = "virtio-pci virtio-console"
ROOT_MODULES = "9p 9pnet-virtio overlay"
SEARCH_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

RUN_HELP = """\
exit status:
  the command's own (128+N if signal N ended it, 127 if it was not found), or
  2    wrong usage
  77   the machine lacks something: a program, a kernel, a module (it says what)
  124  the guest hung until --timeout, or died; its last console lines are on stderr

in the guest:
  /run, /tmp, /dev/shm   writable, in memory; /tmp shows the host's files too
  /run/out, $OUT         the host's folder of --out
  $VM_KERNEL, $VM_TOOLS  the kernel line; this folder (guest/nodes.py, camera/camera.sh,
                         guest/screendump.py)
  current folder, $HOME, $TMPDIR   /run

examples:
  vm.py run -- sh -c 'v4l2-ctl -d $($VM_TOOLS/guest/nodes.py vivid) --all'
  vm.py run --vivid "n_devs=2 multiplanar=1,2" --out /tmp/o -- sh -c '/path/to/test --json >$OUT/r'
  vm.py run --modules "uvcvideo vhci-hcd" --params uvcvideo nodrop=1 -- /path/to/test
"""


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(description=__doc__,
                                  formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = top.add_subparsers(dest="verb", required=True, metavar="run|prepare")

    prepare = verbs.add_parser(
        "prepare", help="fetch and unpack kernel packages",
        description="Fetches the newest packages with apt-get (no root needed) and unpacks them "
                    f"in {kernels.cache_folder()}. Safe to call several times at once.")
    prepare.add_argument("--kernel", action="append", choices=kernels.LINES,
                         help="kernel line; can be given again (default: all)")
    prepare.add_argument("--modules", default="", metavar="NAMES",
                         help="of these, build the ones that Debian's kernels leave out")

    run = verbs.add_parser("run", help="run a command in a guest",
                           usage="vm.py run [OPTION…] -- COMMAND [ARGUMENT…]",
                           formatter_class=argparse.RawDescriptionHelpFormatter,
                           description="Boots, runs the command as root, powers off.",
                           epilog=RUN_HELP)
    run.add_argument("--kernel", choices=kernels.LINES, default=kernels.LINES[0],
                     help="kernel line (default: %(default)s)")
    run.add_argument("--modules", default=DEFAULT_MODULES, metavar="NAMES",
                     help="kernel modules to load, with what they need; NAME? is optional "
                          "(default: %(default)s)")
    run.add_argument("--vivid", default="", metavar="PARAMETERS",
                     help='parameters of module vivid, such as "n_devs=2 node_types=0x1,0x1"')
    run.add_argument("--params", nargs=2, action="append", default=[],
                     metavar=("MODULE", "PARAMETERS"), help="parameters of any module")
    run.add_argument("--smp", type=int, default=2, metavar="N",
                     help="number of CPUs (default: %(default)s)")
    run.add_argument("--memory", type=int, default=2048, metavar="MB",
                     help="memory (default: %(default)s)")
    run.add_argument("--timeout", type=float, default=200, metavar="SECONDS",
                     help="end a guest that takes longer (default: %(default)s)")
    run.add_argument("--pin-cpu", type=int, metavar="N",
                     help="bind the guest's first CPU to CPU N of the host, the next to N+1 …")
    run.add_argument("--out", type=Path, metavar="DIR",
                     help="folder of the host (made if need be) that the guest may write, as $OUT")
    run.add_argument("--env", action="append", default=[], metavar="NAME=VALUE",
                     help="environment of the command; can be given again")
    run.add_argument("--verbose", action="store_true", help="tell the time of each stage on stderr")
    run.add_argument("--console", action="store_true",
                     help="show the kernel's console on stderr while it runs")
    run.add_argument("--append", default="", metavar="TEXT",
                     help='more for the kernel\'s command line, such as "loglevel=7"')
    run.add_argument("--qemu", action="append", default=[], metavar="ARGUMENT",
                     help="one more argument for QEMU; can be given again (--qemu=-s)")
    return top


def environment(args: argparse.Namespace) -> dict[str, str]:
    """The command's whole environment."""
    values = {"PATH": SEARCH_PATH, "HOME": "/run", "TMPDIR": "/run", "LANG": "C.UTF-8",
              "VM_KERNEL": args.kernel, "VM_TOOLS": str(Path(__file__).resolve().parent)}
    if args.out:
        values["OUT"] = "/run/out"
    return values | dict(pair.split("=", 1) for pair in args.env)


def parameters(args: argparse.Namespace) -> dict[str, str]:
    """Module parameters by module."""
    values: dict[str, str] = {}
    for name, text in [("vivid", args.vivid), *args.params]:
        name = modules.normal(name)
        values[name] = f"{values.get(name, '')} {text}".strip()
    return values


def plans(index: modules.Index, wanted: str) -> list[list[modules.Step]]:
    """What to load before the control line stands, and after that."""
    transport = index.plan(modules.parse_requests(TRANSPORT_MODULES))
    names = {step.name for step in transport}
    rest = index.plan(modules.parse_requests(f"{ROOT_MODULES} {wanted}"))
    return [transport, [step for step in rest if step.name not in names]]


def build_absent(kernel: kernels.Kernel, line: str, wanted: str) -> None:
    """Builds what Debian leaves out; an optional module only if it can be had."""
    index = modules.Index.load(kernel.modules)
    for request in modules.parse_requests(wanted):
        if index.has(request.name) or not extra.knows(request.name):
            continue
        try:
            extra.provide(kernel, line, request.name)
        except Lacking as what:
            if not request.optional:
                raise
            print(f"vm: module {request.name} cannot be built: the machine lacks {what}",
                  file=sys.stderr)


def run(args: argparse.Namespace, command: list[str]) -> int:
    if "/" in command[0]:
        # The guest runs in another folder.
        command = [os.path.abspath(command[0]), *command[1:]]
    if args.out:
        args.out.mkdir(parents=True, exist_ok=True)
    kernel = kernels.current(args.kernel)
    build_absent(kernel, args.kernel, args.modules)
    index = modules.Index.load(kernel.modules)
    for request in modules.parse_requests(args.modules):
        if request.optional and not index.has(request.name):
            print(f"vm: kernel {kernel.version} has no module {request.name}", file=sys.stderr)
    steps = plans(index, args.modules)
    script = initramfs.command_script(command, environment(args))
    return machine.Machine(machine.Settings(
        image=kernel.image, initramfs=initramfs.build(steps, parameters(args), script),
        smp=args.smp, memory_mb=args.memory, timeout_s=args.timeout,
        display=any(step.name == "virtio_gpu" for step in steps[1]),
        out=args.out.resolve() if args.out else None, pin_cpu=args.pin_cpu,
        console=args.console, verbose=args.verbose, append=args.append,
        qemu=tuple(args.qemu))).run()


def main(argv: list[str]) -> int:
    options, dashes, command = argv, [], []
    if "--" in argv:
        cut = argv.index("--")
        options, dashes, command = argv[:cut], argv[cut:cut + 1], argv[cut + 1:]
    top = parser()
    args = top.parse_args(options)
    if args.verb == "run" and not command:
        top.error("run: no command; it stands behind `--`")
    if args.verb == "prepare" and dashes:
        top.error("prepare takes no command")
    for pair in getattr(args, "env", []):
        if "=" not in pair:
            top.error(f"--env {pair}: not NAME=VALUE")
    machine.end_with_exception_on_sigterm()
    try:
        if args.verb == "run":
            return run(args, command)
        for line in args.kernel or kernels.LINES:
            kernel = kernels.prepare(line)
            build_absent(kernel, line, args.modules)
            print(f"{line}: {kernel.version} in {kernel.tree}")
        return 0
    except Lacking as what:
        print(f"vm: the machine lacks {what}", file=sys.stderr)
        return machine.STATUS_LACKING
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
