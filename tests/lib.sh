# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# What run, test and bench share: the packages they need, and how they get them. Source it.

# Debian's own Python, compilers and Meson come before others that may be on PATH.
export PATH=/usr/bin:/bin:/usr/sbin:/sbin:$PATH

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

# shellcheck disable=SC2034  # the lists are for those who source this file
packages_build=(
    g++ meson ninja-build pkg-config python3 libexpected-dev libfmt-dev libcli11-dev
    nlohmann-json3-dev libcairo2-dev libudev-dev libgtest-dev libgmock-dev libbenchmark-dev
    libdrm-dev libjpeg-dev fonts-dejavu-core
)
# shellcheck disable=SC2034
packages_vm=(
    qemu-system-x86 busybox-static cpio kmod zstd xz-utils v4l-utils strace
)
# shellcheck disable=SC2034
packages_clients=(
    v4l-utils strace gstreamer1.0-tools gstreamer1.0-plugins-base gstreamer1.0-plugins-good
    gstreamer1.0-plugins-bad ffmpeg python3-opencv util-linux
)
# A suite is skipped where one of these cannot be had.
# shellcheck disable=SC2034
packages_wanted=(chromium)
# shellcheck disable=SC2034
packages_test=(
    clang-14 libclang-rt-14-dev git shellcheck make util-linux gcc-multilib g++-multilib googletest
)

say() {
    printf '%s\n' "$*"
}

# fail STATUS MESSAGE: 1 the job failed, 2 wrong usage, 77 the machine lacks something.
fail() {
    printf '%s: %s\n' "$(basename "$0")" "$2" >&2
    exit "$1"
}

# missing_packages NAME...: prints those that are not installed, by one question to dpkg.
missing_packages() {
    local installed
    # shellcheck disable=SC2016  # the dollars are dpkg-query's
    installed=$(dpkg-query -W -f '${db:Status-Abbrev} ${Package}\n' "$@" 2>/dev/null |
        sed -n 's/^ii *//p')
    printf '%s\n' "$@" | grep -vxF -f <(printf '%s\n' "$installed" none) || true
}

# install_packages NAME...: installs what is missing, and touches the network for nothing else.
install_packages() {
    if ! command -v dpkg-query >/dev/null; then
        say "setup: no dpkg here, so these are taken as installed: $*"
        return
    fi
    local missing log=$top/build/setup.log
    mapfile -t missing < <(missing_packages "$@")
    if [ ${#missing[@]} -eq 0 ]; then
        say "setup: all $# packages are installed"
        return
    fi
    [ "$(id -u)" -eq 0 ] || fail 77 "as root: apt-get install ${missing[*]}"
    say "setup: installing ${missing[*]}"
    mkdir -p "$top/build"
    if ! fetch_packages "${missing[@]}" >"$log" 2>&1; then
        tail -n 20 "$log" >&2
        fail 77 "apt-get could not install them; the whole log is build/setup.log"
    fi
}

fetch_packages() {
    DEBIAN_FRONTEND=noninteractive apt-get update -qq &&
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@"
}

# wish_packages NAME...: like install_packages, but goes on without them.
wish_packages() {
    if ! (install_packages "$@"); then
        say "setup: goes on without $*"
    fi
}
