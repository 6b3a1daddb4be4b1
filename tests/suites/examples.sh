#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Installs the library into a temporary prefix and builds the examples against that, outside the
# tree: so the installed headers and the pkg-config file must suffice.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

mkdir "$scratch/root"
DESTDIR=$scratch/root meson install -C build/gcc --no-rebuild --quiet
pc=$(find "$scratch/root" -name v4lfence.pc -print -quit)
if [ -z "$pc" ]; then
    printf 'not ok install - no v4lfence.pc was installed\n'
    exit 1
fi
printf 'ok install\n'

cp -r examples "$scratch/examples"
export PKG_CONFIG_PATH=${pc%/*} PKG_CONFIG_SYSROOT_DIR=$scratch/root
if make -C "$scratch/examples" CFLAGS='-O2 -Wall -Wextra -Werror' \
    CXXFLAGS='-O2 -Wall -Wextra -Werror -std=c++20'; then
    printf 'ok build\n'
else
    printf 'not ok build - the examples do not build against the installed library\n'
    exit 1
fi
