#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Tests of the VM harness. With --boot also real boots, a few for each kernel."""

import contextlib
import io
import json
import lzma
import os
import re
import struct
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parent))

import vm  # noqa: E402
from harness import Lacking, extra, host, initramfs, kernels, machine  # noqa: E402
from harness import modules, monitor, tsc, vmlinux  # noqa: E402

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


class BuiltModules(unittest.TestCase):
    def test_headers_name_compiler_and_kbuild(self):
        self.assertEqual(extra.compiler_of("CC = $(if $(X),$(Y)) $(CROSS_COMPILE)gcc-12\n"),
                         "gcc-12")
        self.assertIsNone(extra.compiler_of("CC = cc\n"))
        for depends, kbuild in (("a (= 1), linux-kbuild-6.1 (>= 6.1.9-2), b", "linux-kbuild-6.1"),
                                ("a, linux-kbuild-6.12.5+deb12, gcc-12",
                                 "linux-kbuild-6.12.5+deb12")):
            self.assertEqual(extra.depends_on_kbuild(depends), kbuild)
        self.assertIsNone(extra.depends_on_kbuild("gcc-12"))

    def test_image_names_its_package(self):
        text = b"6.1.0-9-amd64 (x@y) #1 SMP Debian 6.1.9-2~deb12u1 (2026-01-01)"
        image = bytearray(4096)
        struct.pack_into("<H", image, 0x20E, 0x300)
        image[0x500:0x500 + len(text)] = text
        self.assertEqual(vmlinux.package_version(bytes(image)), "6.1.9-2~deb12u1")
        self.assertIsNone(vmlinux.package_version(bytes(4096)))

    def test_only_what_the_kernel_lacks_is_built(self):
        self.assertTrue(extra.knows("vkms"))
        self.assertFalse(extra.knows("vivid"))

    def test_package_that_cannot_be_had_is_named(self):
        with tempfile.TemporaryDirectory() as folder:
            with self.assertRaisesRegex(Lacking, "apt-get download.* no-such-package=1-1"):
                host.download("no-such-package=1-1", Path(folder))

    def test_optional_module_that_cannot_be_built_is_left_out(self):
        with tempfile.TemporaryDirectory() as folder:
            kernel = kernels.Kernel("0.0", Path(folder))
            kernel.modules.mkdir(parents=True)
            kernel.packed_image.parent.mkdir()
            kernel.packed_image.write_bytes(bytes(4096))
            for name in ("modules.dep", "modules.builtin"):
                (kernel.modules / name).write_text("")
            with contextlib.redirect_stderr(io.StringIO()) as said:
                vm.build_absent(kernel, "6.1", "vkms?")
            self.assertRegex(said.getvalue(), "vkms cannot be built: .*package version")
            with self.assertRaises(Lacking):
                vm.build_absent(kernel, "6.1", "vkms")


class Monitor(unittest.TestCase):
    def setUp(self):
        self.guest, self.qemu = [], []
        self.monitor = self.with_folder(Path("/o"))

    def with_folder(self, folder):
        return monitor.Monitor(lambda line: self.guest.append(line.decode()),
                               lambda line: self.qemu.append(json.loads(line)), folder)

    def greet(self):
        self.monitor.from_qemu('{"QMP": {}}')
        self.monitor.from_qemu('{"return": {}}')

    def test_picture_is_answered_when_it_is_there(self):
        self.monitor.from_guest("screendump one")
        self.assertEqual(self.qemu, [])  # QEMU has not said that it is ready
        self.greet()
        self.assertEqual(self.qemu[-1], {"execute": "screendump", "arguments": {
            "device": "screen", "format": "png", "filename": "/o/one.png"}})
        self.monitor.from_qemu('{"event": "RTC_CHANGE"}')
        self.assertEqual(self.guest, [])
        self.monitor.from_qemu('{"return": {}}')
        self.assertEqual(self.guest, ["ok one.png\n"])

    def test_one_picture_at_a_time(self):
        self.greet()
        self.monitor.from_guest("screendump one")
        self.monitor.from_guest("screendump two")
        self.assertEqual(len(self.qemu), 2)
        self.monitor.from_qemu('{"error": {"desc": "no disk"}}')
        self.assertEqual(self.guest, ["error QEMU: no disk\n"])
        self.assertEqual(self.qemu[-1]["arguments"]["filename"], "/o/two.png")

    def test_name_leads_nowhere_else(self):
        self.greet()
        for line in ("screendump ../x", "screendump a/b", "screendump", "screendump .x", "quit"):
            self.monitor.from_guest(line)
        self.assertEqual(len(self.qemu), 1)
        self.assertTrue(all(answer.startswith("error no request") for answer in self.guest))

    def test_no_folder_no_picture(self):
        self.monitor = self.with_folder(None)
        self.greet()
        self.monitor.from_guest("screendump one")
        self.assertRegex(self.guest[0], "^error .*--out")
        self.assertEqual(len(self.qemu), 1)


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

    def test_screen_is_pictured_when_the_guest_asks(self):
        script = """set -e
            picture=$("$VM_TOOLS"/guest/screendump.py one)
            test "$(head -c 4 $picture | tail -c 3)" = PNG
            "$VM_TOOLS"/guest/screendump.py two & "$VM_TOOLS"/guest/screendump.py three & wait
            ! "$VM_TOOLS"/guest/screendump.py ../four"""
        for line in self.each_kernel():
            with tempfile.TemporaryDirectory() as out:
                done = self.run_vm("--kernel", line, "--modules", "virtio-gpu", "--out", out,
                                   "--", "bash", "-c", script)
                self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
                self.assertEqual(sorted(file.name for file in Path(out).glob("*.png")),
                                 ["one.png", "three.png", "two.png"])
        done = self.run_vm("--modules", "virtio-gpu", "--", "sh", "-c",
                           "exec $VM_TOOLS/guest/screendump.py one")
        self.assertEqual(done.returncode, 1)
        self.assertIn("--out", done.stderr)

    def test_modules_that_debian_leaves_out_are_built(self):
        script = "test -e /sys/class/drm/card0-Virtual-1 && $VM_TOOLS/guest/nodes.py vim2m any"
        for line in self.each_kernel():
            done = self.run_vm("--kernel", line, "--modules", "vkms vim2m", "--", "sh", "-c",
                               script, seconds=300)
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
