# SPDX-License-Identifier: MIT
"""Programs of this machine that the harness uses, and Debian packages."""

import os
import shutil
import subprocess
from pathlib import Path

from . import Lacking

_PATH = os.environ.get("PATH", os.defpath) + ":/usr/sbin:/sbin"


def output(*command: str, cwd: Path | str | None = None) -> str:
    """Runs a command; its stdout. Raises Lacking, naming what failed and how."""
    program = shutil.which(command[0], path=_PATH)
    if not program:
        raise Lacking(f"the program {command[0]}")
    done = subprocess.run([program, *command[1:]], cwd=cwd, text=True,
                          env=os.environ | {"LC_ALL": "C", "PATH": _PATH},
                          stdin=subprocess.DEVNULL, capture_output=True, check=False)
    if done.returncode:
        reason = done.stderr.strip() or f"exit status {done.returncode}"
        raise Lacking(f"what `{' '.join(command)}` should give: {reason}")
    return done.stdout


def download(package: str, folder: Path) -> Path:
    """Fetches NAME or NAME=VERSION into a folder of its own; the archive. Needs no root."""
    place = folder / package.split("=")[0]
    place.mkdir()
    # apt's download sandbox needs a user that may not see this folder; root's download may.
    output("apt-get", "download", "-qq", "-o", "APT::Sandbox::User=root", package, cwd=place)
    return next(place.glob("*.deb"))
