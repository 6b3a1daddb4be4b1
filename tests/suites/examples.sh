#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Installs the library into a temporary prefix and builds the examples against that, outside the
# tree: so the installed headers and the pkg-config file must suffice.
#
#   examples.sh               and runs each on a virtual camera, and on a device that is not there:
#                             it must say so
#   examples.sh --vm KERNEL   and runs each on vivid in the VM
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

programs=(readme_first tiny_capture tiny_fenced_loop rfc_program cpp_raii)
displaying=(display_fenced) # what shows pictures runs where nobody looks: in the VM alone

# run_each FOLDER DEVICE
run_each() {
    local program words status frames
    for program in "${programs[@]}"; do
        status=0
        words=$(timeout 60 "$1/$program" "$2" 2>&1) || status=$?
        frames=$(grep -cE '^(frame|submission|pair) ' <<<"$words") || true
        if [ "$status" -eq 0 ] && [ "$frames" -ge 4 ]; then
            printf 'ok %s on %s\n' "$program" "$2"
        else
            printf 'not ok %s on %s - ended with %s: %s\n' \
                "$program" "$2" "$status" "${words##*$'\n'}"
        fi
    done
}

if [ "${1-}" = --in-guest ]; then
    programs+=("${displaying[@]}")
    run_each "$2" "$(find /dev -maxdepth 1 -name 'video*' | sort | head -n 1)"
    exit
fi

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# What the README shows is one of the examples.
# shellcheck disable=SC2016  # the backquotes are Markdown's
if diff <(sed -n '/^```c$/,/^```$/{/^```/!p}' README.md) <(tail -n +2 examples/readme_first.c); then
    printf 'ok readme\n'
else
    printf 'not ok readme - the first program of README.md is not examples/readme_first.c\n'
fi

mkdir "$scratch/root"
DESTDIR=$scratch/root meson install -C build/gcc --no-rebuild --quiet
pc=$(find "$scratch/root" -name v4lfence.pc -print -quit)
if [ -z "$pc" ]; then
    printf 'not ok install - no v4lfence.pc was installed\n'
    exit 1
fi
printf 'ok install\n'

mkdir "$scratch/examples"
cp examples/Makefile examples/*.c examples/*.cpp "$scratch/examples"
libraries=$(dirname "$(find "$scratch/root" -name libv4lfence.so.0 -print -quit)")
export PKG_CONFIG_PATH=${pc%/*} PKG_CONFIG_SYSROOT_DIR=$scratch/root
if make -C "$scratch/examples" CFLAGS='-O2 -Wall -Wextra -Werror' \
    CXXFLAGS='-O2 -Wall -Wextra -Werror -std=c++17' LDFLAGS="-Wl,-rpath,$libraries"; then
    printf 'ok build\n'
else
    printf 'not ok build - the examples do not build against the installed library\n'
    exit 1
fi

if [ "${1-}" = --vm ]; then
    tests/vm/vm.py run --kernel "$2" --modules "vivid vgem virtio-gpu" --timeout 1500 \
        --vivid "n_devs=1 node_types=0x1" \
        -- "$PWD/tests/suites/examples.sh" --in-guest "$scratch/examples"
    exit
fi

run_each "$scratch/examples" virtual:camera

for program in "${programs[@]}" "${displaying[@]}"; do
    status=0
    words=$("$scratch/examples/$program" "$scratch/none" 2>&1) || status=$?
    if [ "$status" -eq 1 ] && [[ $words == *"No such file or directory"* ]]; then
        printf 'ok %s\n' "$program"
    else
        printf 'not ok %s - without a device it ended with %s: %s\n' "$program" "$status" "$words"
    fi
done
