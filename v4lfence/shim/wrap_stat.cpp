// SPDX-License-Identifier: MIT
//
// stat(2) and its forms; those with two underscores are called by programs older than glibc 2.33.

#include <fcntl.h>

#include <cerrno>

#include "v4lfence/shim/attributes.hpp"
#include "v4lfence/shim/calls.hpp"
#include "v4lfence/shim/library.hpp"
#include "v4lfence/shim/numbers.hpp"
#include "v4lfence/shim/paths.hpp"

using namespace v4lfence::shim;

namespace {

template <typename Status, typename Kernel>
int stat_number(int fd, Status* status, Kernel kernel) {
    if (mark_of(fd) != unknown && status != nullptr) [[unlikely]] {
        if (const Entry entry = entry_of_number(fd)) {
            return fill(entry, status);
        }
    }
    return kernel();
}

template <typename Status, typename Kernel>
int stat_path(int dirfd, const char* path, int flags, Status* status, Kernel kernel) {
    if (path != nullptr && path[0] == '\0' && (flags & AT_EMPTY_PATH) != 0) {
        return stat_number(dirfd, status, kernel);
    }
    if (!has_devices() || status == nullptr) [[likely]] {
        return kernel();
    }
    const Follow follow = (flags & AT_SYMLINK_NOFOLLOW) != 0 ? Follow::No : Follow::Yes;
    if (const Entry entry = find_entry(dirfd, path, follow)) {
        return fill(entry, status);
    }
    const int result = kernel();
    if (result != 0) {
        if (const Entry entry = find_missing(errno, dirfd, path, follow)) {
            return fill(entry, status);
        }
    }
    return result;
}

}  // namespace

// Two of each: for files that are, or may not be, larger than a long counts.
#define WRAP_STAT(suffix, Status)                                                                  \
    SHIM_EXPORT(int, stat##suffix, (const char* path, Status* status)) {                           \
        return stat_path(AT_FDCWD, path, 0, status, [=] {                                          \
            return next<"stat" #suffix, int(const char*, Status*)>(path, status);                  \
        });                                                                                        \
    }                                                                                              \
    SHIM_EXPORT(int, lstat##suffix, (const char* path, Status* status)) {                          \
        return stat_path(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW, status, [=] {                        \
            return next<"lstat" #suffix, int(const char*, Status*)>(path, status);                 \
        });                                                                                        \
    }                                                                                              \
    SHIM_EXPORT(int, fstat##suffix, (int fd, Status* status)) {                                    \
        return stat_number(fd, status,                                                             \
                           [=] { return next<"fstat" #suffix, int(int, Status*)>(fd, status); });  \
    }                                                                                              \
    SHIM_EXPORT(int, fstatat##suffix, (int dirfd, const char* path, Status* status, int flags)) {  \
        return stat_path(dirfd, path, flags, status, [=] {                                         \
            return next<"fstatat" #suffix, int(int, const char*, Status*, int)>(dirfd, path,       \
                                                                                status, flags);    \
        });                                                                                        \
    }                                                                                              \
    SHIM_EXPORT(int, __xstat##suffix, (int version, const char* path, Status* status)) {           \
        return stat_path(AT_FDCWD, path, 0, status, [=] {                                          \
            return next<"__xstat" #suffix, int(int, const char*, Status*)>(version, path, status); \
        });                                                                                        \
    }                                                                                              \
    SHIM_EXPORT(int, __lxstat##suffix, (int version, const char* path, Status* status)) {          \
        return stat_path(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW, status, [=] {                        \
            return next<"__lxstat" #suffix, int(int, const char*, Status*)>(version, path,         \
                                                                            status);               \
        });                                                                                        \
    }                                                                                              \
    SHIM_EXPORT(int, __fxstat##suffix, (int version, int fd, Status* status)) {                    \
        return stat_number(fd, status, [=] {                                                       \
            return next<"__fxstat" #suffix, int(int, int, Status*)>(version, fd, status);          \
        });                                                                                        \
    }                                                                                              \
    SHIM_EXPORT(int, __fxstatat##suffix,                                                           \
                (int version, int dirfd, const char* path, Status* status, int flags)) {           \
        return stat_path(dirfd, path, flags, status, [=] {                                         \
            return next<"__fxstatat" #suffix, int(int, int, const char*, Status*, int)>(           \
                version, dirfd, path, status, flags);                                              \
        });                                                                                        \
    }

WRAP_STAT(, struct stat)
WRAP_STAT(64, struct stat64)

SHIM_EXPORT(int, statx,
            (int dirfd, const char* path, int flags, unsigned mask, struct statx* status)) {
    return stat_path(dirfd, path, flags, status, [=] {
        return next<"statx", int(int, const char*, int, unsigned, struct statx*)>(
            dirfd, path, flags, mask, status);
    });
}

#if __SIZEOF_POINTER__ == 4
// Of programs whose time_t has 64 bits.

SHIM_EXPORT(int, __stat64_time64, (const char* path, LongStat* status)) {
    return stat_path(AT_FDCWD, path, 0, status, [=] {
        return next<"__stat64_time64", int(const char*, LongStat*)>(path, status);
    });
}

SHIM_EXPORT(int, __lstat64_time64, (const char* path, LongStat* status)) {
    return stat_path(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW, status, [=] {
        return next<"__lstat64_time64", int(const char*, LongStat*)>(path, status);
    });
}

SHIM_EXPORT(int, __fstat64_time64, (int fd, LongStat* status)) {
    return stat_number(fd, status,
                       [=] { return next<"__fstat64_time64", int(int, LongStat*)>(fd, status); });
}

SHIM_EXPORT(int, __fstatat64_time64, (int dirfd, const char* path, LongStat* status, int flags)) {
    return stat_path(dirfd, path, flags, status, [=] {
        return next<"__fstatat64_time64", int(int, const char*, LongStat*, int)>(dirfd, path,
                                                                                 status, flags);
    });
}
#endif
