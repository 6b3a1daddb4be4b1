// SPDX-License-Identifier: MIT
//
// access(2), readlink(2), realpath(3) and their forms; the extended attributes that ls(1) asks for.

#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/types.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "v4lfence/shim/attributes.hpp"
#include "v4lfence/shim/next.hpp"
#include "v4lfence/shim/paths.hpp"

using namespace v4lfence::shim;

namespace {

int may(const Entry& entry, int wanted) {
    const unsigned mode = attributes_of(entry).mode;
    const bool is_folder = entry.kind == Kind::Folder;
    const bool may_write = entry.kind == Kind::Node || entry.kind == Kind::Link;
    if (((wanted & X_OK) != 0 && !is_folder) || ((wanted & W_OK) != 0 && !may_write) || mode == 0) {
        errno = EACCES;
        return -1;
    }
    return 0;
}

template <typename Kernel>
int access_with(int dirfd, const char* path, int wanted, int flags, Kernel kernel) {
    if (!has_devices()) [[likely]] {
        return kernel();
    }
    const Follow follow = (flags & AT_SYMLINK_NOFOLLOW) != 0 ? Follow::No : Follow::Yes;
    if (const Entry entry = find_entry(dirfd, path, follow)) {
        return may(entry, wanted);
    }
    const int result = kernel();
    if (result != 0) {
        if (const Entry entry = find_missing(errno, dirfd, path, follow)) {
            return may(entry, wanted);
        }
    }
    return result;
}

ssize_t give_link(const Entry& entry, char* buffer, size_t size) {
    if (entry.kind != Kind::Link || size == 0) {
        errno = EINVAL;
        return -1;
    }
    Path text;
    link_text(entry, text);
    const size_t length = text.length() < size ? text.length() : size;
    std::memcpy(buffer, text.c_str(), length);
    return static_cast<ssize_t>(length);
}

template <typename Kernel>
ssize_t read_link_with(int dirfd, const char* path, char* buffer, size_t size, Kernel kernel) {
    if (!has_devices()) [[likely]] {
        return kernel();
    }
    if (const Entry entry = find_entry(dirfd, path, Follow::No)) {
        return give_link(entry, buffer, size);
    }
    const ssize_t length = kernel();
    if (length < 0) {
        if (const Entry entry = find_missing(errno, dirfd, path, Follow::No)) {
            return give_link(entry, buffer, size);
        }
    }
    return length;
}

/// `resolved` as of realpath(): NULL, or room for PATH_MAX.
char* give_path(const char* path, char* resolved) {
    Path absolute;
    if (!resolve(AT_FDCWD, path, Follow::Yes, absolute)) {
        errno = ENAMETOOLONG;
        return nullptr;
    }
    if (resolved == nullptr) {
        return strdup(absolute.c_str());
    }
    std::memcpy(resolved, absolute.c_str(), absolute.length() + 1);
    return resolved;
}

template <typename Kernel>
char* real_path_with(const char* path, char* resolved, Kernel kernel) {
    if (!has_devices()) [[likely]] {
        return kernel();
    }
    if (find_entry(AT_FDCWD, path, Follow::Yes)) {
        return give_path(path, resolved);
    }
    char* found = kernel();
    if (found == nullptr && find_missing(errno, AT_FDCWD, path, Follow::Yes)) {
        return give_path(path, resolved);
    }
    return found;
}

}  // namespace

SHIM_EXPORT(int, access, (const char* path, int wanted)) {
    return access_with(AT_FDCWD, path, wanted, 0,
                       [=] { return next<"access", int(const char*, int)>(path, wanted); });
}

SHIM_EXPORT(int, faccessat, (int dirfd, const char* path, int wanted, int flags)) {
    return access_with(dirfd, path, wanted, flags, [=] {
        return next<"faccessat", int(int, const char*, int, int)>(dirfd, path, wanted, flags);
    });
}

SHIM_EXPORT(int, euidaccess, (const char* path, int wanted)) {
    return access_with(AT_FDCWD, path, wanted, 0,
                       [=] { return next<"euidaccess", int(const char*, int)>(path, wanted); });
}

SHIM_EXPORT(int, eaccess, (const char* path, int wanted)) {
    return access_with(AT_FDCWD, path, wanted, 0,
                       [=] { return next<"eaccess", int(const char*, int)>(path, wanted); });
}

SHIM_EXPORT(ssize_t, readlink, (const char* path, char* buffer, size_t size)) {
    return read_link_with(AT_FDCWD, path, buffer, size, [=] {
        return next<"readlink", ssize_t(const char*, char*, size_t)>(path, buffer, size);
    });
}

SHIM_EXPORT(ssize_t, readlinkat, (int dirfd, const char* path, char* buffer, size_t size)) {
    return read_link_with(dirfd, path, buffer, size, [=] {
        return next<"readlinkat", ssize_t(int, const char*, char*, size_t)>(dirfd, path, buffer,
                                                                            size);
    });
}

SHIM_EXPORT(ssize_t, __readlink_chk,
            (const char* path, char* buffer, size_t size, size_t buffer_size)) {
    const auto kernel = [=] {
        return next<"__readlink_chk", ssize_t(const char*, char*, size_t, size_t)>(
            path, buffer, size, buffer_size);
    };
    return size > buffer_size ? kernel() : read_link_with(AT_FDCWD, path, buffer, size, kernel);
}

SHIM_EXPORT(ssize_t, __readlinkat_chk,
            (int dirfd, const char* path, char* buffer, size_t size, size_t buffer_size)) {
    const auto kernel = [=] {
        return next<"__readlinkat_chk", ssize_t(int, const char*, char*, size_t, size_t)>(
            dirfd, path, buffer, size, buffer_size);
    };
    return size > buffer_size ? kernel() : read_link_with(dirfd, path, buffer, size, kernel);
}

SHIM_EXPORT(char*, realpath, (const char* path, char* resolved)) {
    return real_path_with(path, resolved, [=] {
        return next<"realpath", char*(const char*, char*)>(path, resolved);
    });
}

SHIM_EXPORT(char*, __realpath_chk, (const char* path, char* resolved, size_t size)) {
    const auto kernel = [=] {
        return next<"__realpath_chk", char*(const char*, char*, size_t)>(path, resolved, size);
    };
    return size < PATH_MAX ? kernel() : real_path_with(path, resolved, kernel);
}

SHIM_EXPORT(char*, canonicalize_file_name, (const char* path)) {
    return real_path_with(path, nullptr,
                          [=] { return next<"canonicalize_file_name", char*(const char*)>(path); });
}

namespace {

/// The file systems of device nodes and of sysfs have none that anybody may ask for.
template <typename Kernel>
ssize_t attribute_with(const char* path, Follow follow, Kernel kernel) {
    if (!has_devices()) [[likely]] {
        return kernel();
    }
    Entry entry = find_entry(AT_FDCWD, path, follow);
    if (!entry) {
        const ssize_t result = kernel();
        entry = result < 0 ? find_missing(errno, AT_FDCWD, path, follow) : Entry{};
        if (!entry) {
            return result;
        }
    }
    errno = ENOTSUP;
    return -1;
}

}  // namespace

SHIM_EXPORT(ssize_t, getxattr, (const char* path, const char* name, void* value, size_t size)) {
    return attribute_with(path, Follow::Yes, [=] {
        return next<"getxattr", ssize_t(const char*, const char*, void*, size_t)>(path, name, value,
                                                                                  size);
    });
}

SHIM_EXPORT(ssize_t, lgetxattr, (const char* path, const char* name, void* value, size_t size)) {
    return attribute_with(path, Follow::No, [=] {
        return next<"lgetxattr", ssize_t(const char*, const char*, void*, size_t)>(path, name,
                                                                                   value, size);
    });
}

SHIM_EXPORT(ssize_t, listxattr, (const char* path, char* names, size_t size)) {
    return attribute_with(path, Follow::Yes, [=] {
        return next<"listxattr", ssize_t(const char*, char*, size_t)>(path, names, size);
    });
}

SHIM_EXPORT(ssize_t, llistxattr, (const char* path, char* names, size_t size)) {
    return attribute_with(path, Follow::No, [=] {
        return next<"llistxattr", ssize_t(const char*, char*, size_t)>(path, names, size);
    });
}
