#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Tests of the VM harness. With --boot also real boots, a few for each kernel."""

import contextlib
import io
import lzma
import os
import re
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parent))

import vm  # noqa: E402
from harness import Lacking, initramfs, kernels, machine, modules, tsc, vmlinux  # noqa: E402

BOOT = "--boot" in sys.argv


class Packages(unittest.TestCase):
    def test_newest_compares_numbers_not_text(self):
        names = ["linux-image-6.12.9+deb12-amd64", "linux-image-6.12.117+deb12-amd64"]
        self.assertEqual(kernels.newest_package("6.12", names), names[1])

    def test_signed_wins_over_unsigned_of_the_same_version(self):
        signed = "linux-image-6.12.5+deb12-amd64"
        for names in ([signed, f"{signed}-unsigned"], [f"{signed}-unsigned", signed]):
            self.assertEqual(kernels.newest_package("6.12", names), signed)

    def test_newer_unsigned_is_taken_when_alone(self):
        names = ["linux-image-6.12.5+deb12-amd64-unsigned"]
        self.assertEqual(kernels.newest_package("6.12", names), names[0])
        self.assertEqual(kernels.version_of(names[0]), "6.12.5+deb12-amd64")

    def test_other_flavours_and_lines_do_not_count(self):
        names = ["linux-image-6.12.7+deb12-cloud-amd64", "linux-image-6.12.7+deb12-rt-amd64",
                 "linux-image-6.12.7+deb12-amd64-dbg", "linux-image-6.12-amd64",
                 "linux-image-6.1.0-9-amd64"]
        self.assertIsNone(kernels.newest_package("6.12", names))
        self.assertEqual(kernels.newest_package("6.1", names), "linux-image-6.1.0-9-amd64")

    def test_dependencies_are_read_from_apt(self):
        text = "linux-image-amd64\n  Depends: linux-image-6.1.0-9-amd64\n  Suggests: x\n"
        self.assertEqual(kernels.dependencies(text), ["linux-image-6.1.0-9-amd64"])


class Modules(unittest.TestCase):
    DEP = ("kernel/a/top.ko.xz: kernel/a/mid-one.ko.xz kernel/a/low.ko.xz\n"
           "kernel/a/mid-one.ko.xz: kernel/a/low.ko.xz\n"
           "kernel/a/low.ko.xz:\n"
           "kernel/a/other.ko.xz: kernel/a/low.ko.xz\n")

    def setUp(self):
        self.index = modules.Index(Path("/m"), self.DEP, "kernel/b/in-side.ko\n")

    def names(self, text):
        return [step.name for step in self.index.plan(modules.parse_requests(text))]

    def test_requests_know_both_spellings_and_the_question_mark(self):
        self.assertEqual(modules.parse_requests("virtio-gpu, vim2m?"),
                         [modules.Request("virtio_gpu"), modules.Request("vim2m", True)])

    def test_needs_come_first_and_once(self):
        self.assertEqual(self.names("top other"), ["low", "mid_one", "top", "other"])
        self.assertEqual(self.names("other top"), ["low", "other", "mid_one", "top"])

    def test_builtin_needs_no_loading(self):
        self.assertEqual(self.names("in_side low"), ["low"])

    def test_missing_module_is_named(self):
        with self.assertRaisesRegex(Lacking, "nothing_such"):
            self.names("low nothing-such")

    def test_missing_optional_module_is_left_out(self):
        self.assertEqual(self.names("low nothing-such?"), ["low"])

    def test_need_of_a_required_module_is_required(self):
        plan = self.index.plan(modules.parse_requests("top? other"))
        self.assertEqual({s.name: s.optional for s in plan},
                         {"low": False, "mid_one": True, "top": True, "other": False})

    def test_content_is_unpacked(self):
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "x.ko.xz"
            file.write_bytes(lzma.compress(b"\x7fELF"))
            self.assertEqual(modules.content(file), b"\x7fELF")


class Initramfs(unittest.TestCase):
    def test_list_separates_the_plans_by_an_empty_line(self):
        step = modules.Step
        plans = [[step("a", Path("a"), False)], [step("b", Path("b"), True)]]
        self.assertEqual(initramfs.module_list(plans, {"b": "x=1 y=2"}),
                         "required a\n\noptional b x=1 y=2\n")

    def test_command_keeps_its_words(self):
        script = initramfs.command_script(["echo", "a b", "it's", "$x"], {"N": "v w"})
        script = script.replace("chroot /host ", "").replace("cd /run", "cd /")
        done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True)
        self.assertEqual(done.stdout, "a b it's $x\n")

    def test_archive_is_what_cpio_understands(self):
        archive = initramfs.Archive()
        archive.folder("d")
        archive.file("d/f", b"12345", 0o755)
        archive.link("d/l", "f")
        with tempfile.TemporaryDirectory() as folder:
            try:
                subprocess.run(["cpio", "-i", "--quiet"], input=archive.finish(), cwd=folder,
                               check=True)
            except FileNotFoundError:
                self.skipTest("the machine lacks cpio")
            self.assertEqual((Path(folder) / "d/l").read_bytes(), b"12345")
            self.assertTrue(os.access(Path(folder) / "d/f", os.X_OK))


class CommandLine(unittest.TestCase):
    def args(self, *words):
        return vm.parser().parse_args(["run", *words])

    def test_parameters_of_one_module_add_up(self):
        args = self.args("--vivid", "n_devs=2", "--params", "vivid", "no_error_inj=1",
                         "--params", "vhci-hcd", "x=1")
        self.assertEqual(vm.parameters(args)["vivid"], "n_devs=2 no_error_inj=1")
        self.assertEqual(vm.parameters(args)["vhci_hcd"], "x=1")

    def test_environment_has_out_only_with_a_share(self):
        self.assertNotIn("OUT", vm.environment(self.args()))
        self.assertEqual(vm.environment(self.args("--out", "/x"))["OUT"], "/run/out")
        self.assertEqual(vm.environment(self.args("--env", "A=b=c"))["A"], "b=c")

    def test_wrong_usage_is_status_2(self):
        for words in (["run"], ["run", "--"], ["run", "--env", "A", "--", "true"],
                      ["prepare", "--", "x"]):
            with self.assertRaises(SystemExit) as ended, contextlib.redirect_stderr(io.StringIO()):
                vm.main(words)
            self.assertEqual(ended.exception.code, 2)

    def test_comma_in_the_shares_path_is_doubled(self):
        settings = machine.Settings(Path("k"), b"", out=Path("/a,b"))
        self.assertIn("local,path=/a,,b,mount_tag=out,security_model=none",
                      machine.arguments(settings, 3, {}))

    @unittest.skipUnless(tsc.khz(), "no rate of a time stamp counter here")
    def test_guest_is_told_the_rate_of_its_clock(self):
        line = " ".join(machine.arguments(machine.Settings(Path("k"), b""), 3, {}))
        told = re.search(r"tsc_early_khz=(\d+)", line)
        self.assertAlmostEqual(int(told[1]) / tsc.khz(), 1, places=3)

    def test_image_of_another_kind_is_booted_as_it_is(self):
        self.assertIsNone(vmlinux.extract(bytes(4096)))


class Boot(unittest.TestCase):
    def run_vm(self, *words, seconds=400):
        command = [sys.executable, vm.__file__, "run", *words]
        return subprocess.run(command, capture_output=True, text=True, timeout=seconds, check=False)

    def each_kernel(self):
        for line in kernels.LINES:
            with self.subTest(kernel=line):
                yield line

    def test_status_output_and_share_come_back(self):
        for line in self.each_kernel():
            with tempfile.TemporaryDirectory() as out:
                # What is left running must neither delay the end nor lose output.
                script = 'sleep 1000 & seq 20000; echo "$WORD" >&2; uname -r >$OUT/r; exit 3'
                done = self.run_vm("--kernel", line, "--out", out, "--env", "WORD=a b",
                                   "--", "sh", "-c", script)
                self.assertEqual(done.returncode, 3, done.stderr)
                self.assertEqual(done.stdout, "".join(f"{n}\n" for n in range(1, 20001)))
                self.assertEqual(done.stderr, "a b\n")
                self.assertTrue((Path(out) / "r").read_text().startswith(f"{line}."))

    def test_nodes_are_there_and_stream(self):
        script = """set -e
            vivid=$("$VM_TOOLS"/guest/nodes.py vivid | head -1)
            v4l2-ctl -d "$vivid" --stream-mmap --stream-count=10
            cat /sys/class/drm/renderD*/device/uevent | grep -c '^MODALIAS=platform:vgem'
            ls /dev/dri/card1 /sys/bus/virtio/drivers/virtio_gpu/virtio*/uevent
            test -d /sys/kernel/tracing/events/vb2 && touch /tmp/t /run/t /dev/shm/t
            ! touch /etc/t 2>/dev/null"""
        for line in self.each_kernel():
            vivid = "supports_requests=0" if line == "6.1" else ""
            done = self.run_vm("--kernel", line, "--vivid", vivid, "--", "bash", "-c", script)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_guest_that_hangs_is_ended(self):
        for line in self.each_kernel():
            done = self.run_vm("--kernel", line, "--timeout", "60", "--", "sleep", "1000")
            self.assertEqual(done.returncode, 124)
            self.assertRegex(done.stderr, r"process \d+ \(sleep\)")

    def test_guest_that_panics_is_reported_at_once(self):
        done = self.run_vm("--", "sh", "-c", "echo c >/proc/sysrq-trigger")
        self.assertEqual(done.returncode, 124)
        self.assertIn("Kernel panic", done.stderr)

    def test_kernel_warning_is_told(self):
        with tempfile.TemporaryDirectory() as out:
            done = self.run_vm("--out", out, "--", "sh", "-c", "echo 512 >/proc/sys/kernel/tainted")
            self.assertEqual(done.returncode, 0)
            self.assertIn("taint 512", done.stderr)
            self.assertIn("Linux version", (Path(out) / "vm-dmesg.txt").read_text())

    def test_module_that_does_not_load_is_status_77(self):
        words = ["--params", "vivid", "n_devs=none", "--", "true"]
        done = self.run_vm("--modules", "vivid", *words)
        self.assertEqual(done.returncode, 77)
        self.assertRegex(done.stderr, "the machine lacks .*vivid")
        done = self.run_vm("--modules", "vivid?", *words)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("vivid", done.stderr)


if not BOOT:
    del Boot  # a boot that nobody asked for is no skipped test


if __name__ == "__main__":
    unittest.main(argv=[word for word in sys.argv if word != "--boot"])
