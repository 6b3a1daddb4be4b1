#!/bin/bash
# SPDX-License-Identifier: MIT
# Plugs emulated USB cameras in and out, as root, usually in the guest of tests/vm.
set -euo pipefail

usage() {
    cat <<'END'
usage: camera.sh start NAME [OPTION of uvc_camera…]  plugs one in, prints its /dev/videoN
       camera.sh stop NAME          pulls it out, waits until the node is gone (10 s at most)
       camera.sh signal NAME USR1   freezes or thaws its picture; KILL pulls it out the hard way
       camera.sh log NAME           what the camera has said so far

NAME is the USB serial number. Modules vhci-hcd and uvcvideo must be loaded (vm.py run --modules).
UVC_CAMERA is the program (default: uvc_camera on PATH); logs are in UVC_STATE (default
/run/uvc_camera).
END
}

case ${1:-} in
    -h | --help) usage; exit 0 ;;
    start | stop | signal | log) ;;
    *) usage >&2; exit 2 ;;
esac
[[ -n ${2:-} ]] || { usage >&2; exit 2; }
verb=$1 name=$2
shift 2
program=${UVC_CAMERA:-uvc_camera}
state=${UVC_STATE:-/run/uvc_camera}
log=$state/$name.log pid_file=$state/$name.pid

start() {
    mkdir -p "$state"
    if [[ -e $pid_file ]] && kill -0 "$(<"$pid_file")" 2>/dev/null; then
        echo "camera.sh: camera $name is plugged in already" >&2
        return 1
    fi
    # The camera says its node's name on descriptor 3 and then serves on; its death ends the pipe.
    local ready node=
    exec {ready}< <(exec "$program" --serial "$name" --ready-fd 3 "$@" 3>&1 >"$log" 2>&1 </dev/null)
    echo $! >"$pid_file"
    if ! IFS= read -r -t 15 node <&"$ready"; then
        echo "camera.sh: no video node for camera $name:" >&2
        cat "$log" >&2
        return 1
    fi
    echo "$node"
}

case $verb in
    start) start "$@" ;;
    stop)
        kill "$(<"$pid_file")" 2>/dev/null || true
        exec "$program" --serial "$name" --wait-gone
        ;;
    signal) kill -"${1:?which signal}" "$(<"$pid_file")" ;;
    log) cat "$log" ;;
esac
