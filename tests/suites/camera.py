# SPDX-License-Identifier: MIT
"""The emulated USB camera of tests/vm/camera, from a suite in the guest."""

import os
import subprocess

import guest

os.environ.setdefault("UVC_CAMERA", str(guest.built / "tests" / "vm" / "uvc_camera"))


class Camera:
    """One serial number; `with Camera(...) as node` has it plugged in meanwhile. `options` are
    those of uvc_camera."""

    script = guest.vm / "camera" / "camera.sh"

    def __init__(self, name, *options):
        self.name = name
        self._options = options

    def __enter__(self):
        return self.plug()

    def __exit__(self, *_):
        self.unplug()

    def _call(self, *words, timeout_s=40):
        done = subprocess.run([str(self.script), *words], capture_output=True, text=True,
                              timeout=timeout_s)
        if done.returncode:
            raise OSError(f"camera {self.name}: {words[0]}: {done.stderr.strip()}")
        return done.stdout.strip()

    def plug(self):
        """Its /dev/videoN."""
        return self._call("start", self.name, *self._options)

    def unplug(self):
        """Returns when the node is gone; also when it went by itself before."""
        self._call("stop", self.name)

    def kill(self):
        self._call("signal", self.name, "KILL")

    def last_words(self):
        """What the camera said last."""
        return self._call("log", self.name).splitlines()[-1]
