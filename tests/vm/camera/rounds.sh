#!/bin/bash
# SPDX-License-Identifier: MIT
# Plugs the emulated camera in and out many times, in the guest; every round must work.
#
# usage: rounds.sh [ROUNDS]   (default 50; UVC_CAMERA as for camera.sh)
#
# Each round streams a few frames. In every second one the camera goes in mid-stream, in every tenth
# by SIGKILL. Prints the times of plugging in and out in milliseconds: least, median, most.
set -euo pipefail
rounds=${1:-50}
camera=$(dirname "$(readlink -f "$0")")/camera.sh
plug_ms=() unplug_ms=()

now_ms() { echo $((${EPOCHREALTIME/./} / 1000)); }

summary() {
    local what=$1 sorted
    shift
    mapfile -t sorted < <(printf '%s\n' "$@" | sort -n)
    echo "$what: $# times, ${sorted[0]} / ${sorted[$# / 2]} / ${sorted[-1]} ms; in order: $*"
}

for ((round = 1; round <= rounds; round++)); do
    begin=$(now_ms)
    node=$("$camera" start rounds)
    plug_ms+=($(($(now_ms) - begin)))
    stream=
    if ((round % 2)); then
        v4l2-ctl -d "$node" --stream-mmap --stream-count=3 2>/dev/null ||
            { echo "round $round: $node does not stream" >&2; exit 1; }
    else
        # It can end only by the camera's going.
        coproc v4l2-ctl -d "$node" --stream-mmap --stream-poll 2>&1
        stream=$COPROC_PID
        IFS= read -r -n 3 -t 10 _ <&"${COPROC[0]}" ||
            { echo "round $round: no frames from $node" >&2; exit 1; }
    fi
    begin=$(now_ms)
    ((round % 10)) || "$camera" signal rounds KILL
    "$camera" stop rounds
    unplug_ms+=($(($(now_ms) - begin)))
    if [[ -n $stream ]]; then
        wait "$stream" || true
    fi
    [[ ! -e $node ]] || { echo "round $round: $node is still there" >&2; exit 1; }
done
summary "plug in" "${plug_ms[@]}"
summary "pull out" "${unplug_ms[@]}"
