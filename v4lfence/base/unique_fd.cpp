// SPDX-License-Identifier: MIT

#include "v4lfence/base/unique_fd.hpp"

#include <unistd.h>

#include <cerrno>

#include "v4lfence/base/libc_calls.hpp"

namespace v4lfence {

void UniqueFd::reset(int fd) noexcept {
    const int old = std::exchange(fd_, fd);
    if (old < 0 || old == fd) {
        return;
    }
    // Linux frees the number even when close() is interrupted: it is never called twice.
    const int saved_errno = errno;
    libc.close(old);
    errno = saved_errno;
}

}  // namespace v4lfence
