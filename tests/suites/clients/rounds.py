#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Two programs on one camera, in rounds: one streams and the other one looks, each is killed in
the middle of it, and the one that is left takes the other's place at once. Prints a result a round.

usage: rounds.py NAME NODE COUNT
"""

import subprocess
import sys
from pathlib import Path


class Player:
    def __init__(self, node):
        self._child = subprocess.Popen(
            [sys.executable, Path(__file__).with_name("player.py"), node], text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self._answer("open")

    def ask(self, word):
        self.begin(word)
        self._answer(word)

    def begin(self, word):
        self._child.stdin.write(f"{word}\n")
        self._child.stdin.flush()

    def _answer(self, word):
        answer = self._child.stdout.readline().strip()
        if answer != "ok":
            raise RuntimeError(f"{word}: {answer or 'it ended'}")

    def kill(self):
        self._child.kill()
        self._child.wait()
        self._child.stdout.close()
        self._child.stdin.close()


def play(node, stays):
    """`stays` is a program that only looked until now; it will have streamed. Returns the one that
    looks then."""
    streams = Player(node)
    streams.ask("take")
    stays.ask("look")
    stays.ask("refused")
    streams.begin("frames")
    streams.kill()
    stays.ask("take")  # it was let go of, however soon anybody asks
    looks = Player(node)
    looks.ask("look")
    looks.ask("refused")
    looks.begin("look")
    looks.kill()
    stays.ask("frames")
    stays.ask("give")
    fresh = Player(node)
    stays.kill()
    return fresh


def main(name, node, count):
    stays, failures = Player(node), 0
    for number in range(int(count)):
        try:
            stays = play(node, stays)
            print(f"ok {name}/{number}", flush=True)
        except (RuntimeError, OSError) as error:
            print(f"not ok {name}/{number} - {error}", flush=True)
            failures += 1
            if failures == 3:
                break
            stays = Player(node)
    stays.kill()
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
