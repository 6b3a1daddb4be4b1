#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Headless Chromium, its sandbox on, as an ordinary user: it lists the virtual camera and shows it
in two pages at once, and again after a restart. What a page shows it posts as a picture, and that
carries the camera's stamps.

usage: clients_chromium.py
"""

import contextlib
import http.server
import json
import os
import signal
import subprocess
import tempfile
import threading
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import clients_stamps as stamps
import guest
import picture
from clients_run import helpers, installed, single, words

_user = 64123  # nobody's: has no name, no group, and nothing of its own but its folder
_pictures = 5
_wait_s = 30
_label = "v4lfence"
_flags = ("--headless=new", "--disable-gpu", "--use-fake-ui-for-media-stream", "--no-first-run",
          "--disable-popup-blocking", "--disable-background-networking",
          "--disable-background-timer-throttling", "--disable-backgrounding-occluded-windows",
          "--disable-renderer-backgrounding")


class Posted:
    """What the pages sent. Threads: any."""

    def __init__(self):
        self._changed = threading.Condition()
        self._pictures = {}
        self._ends = {}

    def take(self, path, page, body):
        with self._changed:
            if path == "/picture":
                self._pictures.setdefault(page, []).append(body)
            else:
                self._ends[page] = json.loads(body)
            self._changed.notify_all()

    def wait(self, pages, timeout_s):
        with self._changed:
            self._changed.wait_for(lambda: set(pages) <= set(self._ends), timeout_s)

    def of(self, page):
        with self._changed:
            return self._pictures.get(page, []), self._ends.get(page)


@contextlib.contextmanager
def site(posted):
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            found = urlsplit(self.path).path == "/"
            self._answer(200 if found else 404,
                         (helpers / "camera_page.html").read_bytes() if found else b"")

        def do_POST(self):
            asked = urlsplit(self.path)
            body = self.rfile.read(int(self.headers["Content-Length"]))
            posted.take(asked.path, parse_qs(asked.query)["page"][0], body)
            self._answer(200, b"")

        def _answer(self, status, body):
            self.send_response(status)
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def as_user(*command):
    return ["setpriv", "--reuid", str(_user), "--regid", str(_user), "--clear-groups", *command]


def browse(out, posted, pages):
    """One life of the browser: opens the pages, waits for their ends, and ends it."""
    with site(posted) as address:
        # It opens one itself; that one opens the rest.
        url = f"{address}/?page={pages[0]}&pictures={_pictures}&others={','.join(pages[1:])}"
        browser = guest.start(*as_user(*words("chromium", *_flags, f"--user-data-dir={out}/profile",
                                              url)),
                              cwd=out, stdout=(out / "log.txt").open("a"), stderr=subprocess.STDOUT,
                              env={"PATH": os.environ["PATH"], "HOME": str(out), "LANG": "C.UTF-8"})
        posted.wait(pages, _wait_s)
        os.killpg(browser.pid, signal.SIGTERM)
        return guest.finish(browser, 20)


def page_problem(pictures, told):
    if told is None:
        return f"it did not end; {len(pictures)} pictures came"
    if "error" in told:
        return told["error"]
    if not any(_label in label for label in told["labels"]) or _label not in told["used"]:
        return f"it lists {told['labels']} and uses {told['used']!r}"
    return stamps.rise_problem(map(stamp_of_png, pictures), _pictures)


def stamp_of_png(data):
    with tempfile.NamedTemporaryFile() as file:
        Path(file.name).write_bytes(data)
        shown = picture.read(Path(file.name))
    return stamps.read(shown.width, shown.height, lambda x, y: shown.pixel(x, y)[1])


def reach_problem():
    """Whether such a user can run what was built."""
    ended = guest.run(*as_user(guest.program, "--version"))
    return None if ended.status == 0 else f"another user cannot run the build: {ended.last_words()}"


def here(report):
    why = installed("chromium") or (os.geteuid() and "it takes root to be somebody else") or \
        reach_problem()
    if why:
        report.skip("getUserMedia", why)
        return
    posted = Posted()
    with tempfile.TemporaryDirectory(prefix="v4lfence-chromium-") as name:
        out = Path(name)
        os.chown(out, _user, _user)
        for pages in (("first", "second"), ("after-a-restart",)):
            browse(out, posted, pages)
            for page in pages:
                report.tell(f"getUserMedia/{page}", page_problem(*posted.of(page)))
        if report.failures:
            lines = [line for line in (out / "log.txt").read_text().splitlines()
                     if "dbus" not in line]
            report.log("\n".join(lines[-40:]))


if __name__ == "__main__":
    guest.main_here(here)
