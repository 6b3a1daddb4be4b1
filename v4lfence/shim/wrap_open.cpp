// SPDX-License-Identifier: MIT
//
// open(2) and its forms, fopen(3). The mode is passed on whether or not the flags ask for one: an
// argument that nobody gave is a register that nobody reads.

#include <stdio.h>
#include <sys/types.h>

#include <string_view>

#include "v4lfence/shim/files.hpp"
#include "v4lfence/shim/next.hpp"

using namespace v4lfence::shim;

SHIM_EXPORT(int, open, (const char* path, int flags, mode_t mode)) {
    return open_with(AT_FDCWD, path, flags, [=] {
        return next<"open", int(const char*, int, mode_t)>(path, flags, mode);
    });
}

SHIM_EXPORT(int, open64, (const char* path, int flags, mode_t mode)) {
    return open_with(AT_FDCWD, path, flags, [=] {
        return next<"open64", int(const char*, int, mode_t)>(path, flags, mode);
    });
}

SHIM_EXPORT(int, openat, (int dirfd, const char* path, int flags, mode_t mode)) {
    return open_with(dirfd, path, flags, [=] {
        return next<"openat", int(int, const char*, int, mode_t)>(dirfd, path, flags, mode);
    });
}

SHIM_EXPORT(int, openat64, (int dirfd, const char* path, int flags, mode_t mode)) {
    return open_with(dirfd, path, flags, [=] {
        return next<"openat64", int(int, const char*, int, mode_t)>(dirfd, path, flags, mode);
    });
}

// What _FORTIFY_SOURCE makes of an open() without a mode.

SHIM_EXPORT(int, __open_2, (const char* path, int flags)) {
    return open_with(AT_FDCWD, path, flags,
                     [=] { return next<"__open_2", int(const char*, int)>(path, flags); });
}

SHIM_EXPORT(int, __open64_2, (const char* path, int flags)) {
    return open_with(AT_FDCWD, path, flags,
                     [=] { return next<"__open64_2", int(const char*, int)>(path, flags); });
}

SHIM_EXPORT(int, __openat_2, (int dirfd, const char* path, int flags)) {
    return open_with(dirfd, path, flags, [=] {
        return next<"__openat_2", int(int, const char*, int)>(dirfd, path, flags);
    });
}

SHIM_EXPORT(int, __openat64_2, (int dirfd, const char* path, int flags)) {
    return open_with(dirfd, path, flags, [=] {
        return next<"__openat64_2", int(int, const char*, int)>(dirfd, path, flags);
    });
}

namespace {

/// Of a mode of fopen(). Errors: -1
int flags_of(const char* mode) {
    int flags = 0;
    switch (mode[0]) {
    case 'r':
        flags = O_RDONLY;
        break;
    case 'w':
        flags = O_WRONLY | O_CREAT | O_TRUNC;
        break;
    case 'a':
        flags = O_WRONLY | O_CREAT | O_APPEND;
        break;
    default:
        return -1;
    }
    for (const char each : std::string_view(mode + 1)) {
        if (each == ',') {
            break;
        }
        if (each == '+') {
            flags = (flags & ~O_ACCMODE) | O_RDWR;
        }
        flags |= each == 'e' ? O_CLOEXEC : each == 'x' ? O_EXCL : 0;
    }
    return flags;
}

FILE* open_stream(const Entry& entry, const char* mode) {
    const int fd = open_entry(entry, flags_of(mode));
    if (fd < 0) {
        return nullptr;
    }
    FILE* stream = fdopen(fd, mode);
    if (stream == nullptr) {
        next<"close", int(int)>(fd);
    }
    return stream;
}

template <typename Kernel>
FILE* open_stream_with(const char* path, const char* mode, Kernel kernel) {
    if (!has_devices() || mode == nullptr || flags_of(mode) < 0) [[likely]] {
        return kernel();
    }
    if (const Entry entry = find_entry(AT_FDCWD, path, Follow::Yes)) {
        return open_stream(entry, mode);
    }
    FILE* stream = kernel();
    if (stream == nullptr) {
        if (const Entry entry = find_missing(errno, AT_FDCWD, path, Follow::Yes)) {
            return open_stream(entry, mode);
        }
    }
    return stream;
}

}  // namespace

SHIM_EXPORT(FILE*, fopen, (const char* path, const char* mode)) {
    return open_stream_with(
        path, mode, [=] { return next<"fopen", FILE*(const char*, const char*)>(path, mode); });
}

SHIM_EXPORT(FILE*, fopen64, (const char* path, const char* mode)) {
    return open_stream_with(
        path, mode, [=] { return next<"fopen64", FILE*(const char*, const char*)>(path, mode); });
}
