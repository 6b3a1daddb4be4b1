# SPDX-License-Identifier: MIT
"""The parts of tests/vm/vm.py: kernels, modules, initramfs and the running machine."""


class Lacking(Exception):
    """Something this machine does not have and a run cannot do without (exit status 77)."""
