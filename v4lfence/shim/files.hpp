// SPDX-License-Identifier: MIT
//
// Opening the entries of the virtual tree.

#pragma once

#include <fcntl.h>

#include <cerrno>

#include "v4lfence/shim/numbers.hpp"
#include "v4lfence/shim/paths.hpp"

namespace v4lfence::shim {

/// As open(2) does with a device node, a link, a folder or a text of sysfs of this sort.
int open_entry(const Entry& entry, int flags);

/// The file behind "/proc/self/fd/N" and the like, which the kernel does not open a second time.
int reopen(int dirfd, const char* path, int flags);

/// Any call that opens a path: what is ours, else the kernel's answer, else what only we have.
template <typename Kernel>
int open_with(int dirfd, const char* path, int flags, Kernel kernel) {
    if (!has_devices()) [[likely]] {
        return fresh(kernel());
    }
    const Follow follow =
        (flags & O_NOFOLLOW) != 0 || (flags & (O_CREAT | O_EXCL)) == (O_CREAT | O_EXCL)
            ? Follow::No
            : Follow::Yes;
    if (const Entry entry = find_entry(dirfd, path, follow)) {
        return open_entry(entry, flags);
    }
    const int fd = kernel();
    if (fd >= 0) {
        return fresh(fd);
    }
    if (errno == ENXIO) {
        return reopen(dirfd, path, flags);
    }
    const Entry entry = find_missing(errno, dirfd, path, follow);
    return entry ? open_entry(entry, flags) : fd;
}

}  // namespace v4lfence::shim
