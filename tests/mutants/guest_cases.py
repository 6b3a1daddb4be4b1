#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Conformance cases on bridged vivid, each with a library of its own, in one boot.

usage: guest_cases.py KERNEL PROGRAM FOLDER     FOLDER has jobs.json, and gets results.json
"""

import json
import os
import queue
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import judges

_vm = judges.top / "tests" / "vm"
_single, _multi = 4, 1  # devices that go from case to case
_case_s, _boot_s = 60, 1400


def is_unplug(job):
    """It costs its device."""
    return job["case"].startswith("unplug@")


def vivid_parameters(jobs):
    single = _single + sum(map(is_unplug, jobs))
    count = single + _multi
    planes = ["1"] * single + ["2"] * _multi
    return (f"n_devs={count} node_types={','.join(['0x1'] * count)} "
            f"multiplanar={','.join(planes)} supports_requests={','.join(['1'] * count)}")


def enter(kernel, program, folder):
    jobs = json.loads((Path(folder) / "jobs.json").read_text())
    command = [str(_vm / "vm.py"), "run", "--kernel", kernel, "--modules", "vivid vgem virtio-gpu",
               "--vivid", vivid_parameters(jobs), "--timeout", str(_boot_s), "--out", folder,
               "--", str(Path(__file__).resolve()), kernel, program, "/run/out"]
    os.execv(command[0], command)


class Devices:
    """Nodes that wait for a case; one that a case did not leave in time is not used again."""

    def __init__(self, nodes):
        self._free = queue.Queue()
        for node in nodes:
            self._free.put(node)

    def judge(self, job, program):
        node = self._free.get(timeout=_boot_s)
        command = [program, "conform", node, "--case", job["case"]]
        if is_unplug(job):
            command += ["--unplug-command", f"v4l2-ctl -d {node} --set-ctrl disconnect=1"]
        verdict = judges.judge_case(command, job["library"], _case_s)
        if not is_unplug(job):
            self._free.put(node)
        return verdict


def judge_all(jobs, program, keep):
    nodes = subprocess.run([str(_vm / "guest" / "nodes.py"), "vivid"], text=True, check=True,
                           stdout=subprocess.PIPE).stdout.split()
    pools = {"vivid": Devices(nodes[:_single]), "vivid-mplane": Devices(nodes[-_multi:])}
    spare = Devices(nodes[_single:-_multi])
    found = {}

    def one(job):
        pool = spare if is_unplug(job) else pools[job["device"]]
        verdict = pool.judge(job, program)
        found[job["name"]] = (verdict.passed, verdict.words)
        keep(found)

    with ThreadPoolExecutor(_single + _multi) as threads:
        for future in [threads.submit(one, job) for job in jobs]:
            future.result()


def main():
    kernel, program, folder = sys.argv[1:]
    if "VM_KERNEL" not in os.environ:
        enter(kernel, program, folder)
    results = Path(folder) / "results.json"
    judge_all(json.loads((Path(folder) / "jobs.json").read_text()), program,
              lambda found: results.write_text(json.dumps(dict(found))))


if __name__ == "__main__":
    main()
