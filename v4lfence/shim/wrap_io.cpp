// SPDX-License-Identifier: MIT
//
// read(2), write(2) and their forms. A device has no position: pread() reads like read().

#include <sys/types.h>
#include <sys/uio.h>

#include <cerrno>
#include <climits>
#include <cstdint>

#include "v4lfence/shim/library.hpp"
#include "v4lfence/shim/next.hpp"

using namespace v4lfence::shim;

SHIM_EXPORT(ssize_t, read, (int fd, void* buffer, size_t count)) {
    if (is_file(mark_of(fd))) [[unlikely]] {
        return library()->read(fd, buffer, count);
    }
    return next<"read", ssize_t(int, void*, size_t)>(fd, buffer, count);
}

SHIM_EXPORT(ssize_t, __read_chk, (int fd, void* buffer, size_t count, size_t size)) {
    if (is_file(mark_of(fd)) && count <= size) [[unlikely]] {
        return library()->read(fd, buffer, count);
    }
    return next<"__read_chk", ssize_t(int, void*, size_t, size_t)>(fd, buffer, count, size);
}

SHIM_EXPORT(ssize_t, pread, (int fd, void* buffer, size_t count, off_t offset)) {
    if (is_file(mark_of(fd))) [[unlikely]] {
        return library()->read(fd, buffer, count);
    }
    return next<"pread", ssize_t(int, void*, size_t, off_t)>(fd, buffer, count, offset);
}

SHIM_EXPORT(ssize_t, pread64, (int fd, void* buffer, size_t count, int64_t offset)) {
    if (is_file(mark_of(fd))) [[unlikely]] {
        return library()->read(fd, buffer, count);
    }
    return next<"pread64", ssize_t(int, void*, size_t, int64_t)>(fd, buffer, count, offset);
}

SHIM_EXPORT(ssize_t, write, (int fd, const void* buffer, size_t count)) {
    if (is_file(mark_of(fd))) [[unlikely]] {
        return library()->write(fd, buffer, count);
    }
    return next<"write", ssize_t(int, const void*, size_t)>(fd, buffer, count);
}

namespace {

/// One part after the other, until one is not filled: as the kernel does with a device that knows
/// nothing of vectors.
template <typename Transfer>
ssize_t each_part(const iovec* parts, int count, Transfer transfer) {
    if (count < 0 || count > IOV_MAX) {
        errno = EINVAL;
        return -1;
    }
    ssize_t sum = 0;
    for (int i = 0; i < count; ++i) {
        const ssize_t part = transfer(parts[i].iov_base, parts[i].iov_len);
        if (part < 0) {
            return sum != 0 ? sum : part;
        }
        sum += part;
        if (static_cast<size_t>(part) < parts[i].iov_len) {
            break;
        }
    }
    return sum;
}

}  // namespace

SHIM_EXPORT(ssize_t, readv, (int fd, const iovec* parts, int count)) {
    if (is_file(mark_of(fd))) [[unlikely]] {
        return each_part(parts, count, [fd](void* buffer, size_t size) {
            return library()->read(fd, buffer, size);
        });
    }
    return next<"readv", ssize_t(int, const iovec*, int)>(fd, parts, count);
}

SHIM_EXPORT(ssize_t, writev, (int fd, const iovec* parts, int count)) {
    if (is_file(mark_of(fd))) [[unlikely]] {
        return each_part(parts, count, [fd](const void* buffer, size_t size) {
            return library()->write(fd, buffer, size);
        });
    }
    return next<"writev", ssize_t(int, const iovec*, int)>(fd, parts, count);
}
