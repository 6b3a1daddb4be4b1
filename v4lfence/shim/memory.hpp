// SPDX-License-Identifier: MIT
//
// Mapping a file, by whatever call the program has for it.

#pragma once

#include <sys/mman.h>

#include <cerrno>
#include <cstdint>

#include "v4lfence/shim/library.hpp"

namespace v4lfence::shim {

template <typename Kernel>
void* map_with(void* address, size_t length, int protection, int flags, int fd, int64_t offset,
               Kernel kernel) {
    if ((flags & MAP_ANONYMOUS) != 0) {
        return kernel();
    }
    if (is_file(mark_of(fd))) {
        return library()->mmap(address, length, protection, flags, fd, offset);
    }
    void* mapped = kernel();
    if (mapped == MAP_FAILED && errno == ENODEV && take_over(fd)) {
        return library()->mmap(address, length, protection, flags, fd, offset);
    }
    return mapped;
}

}  // namespace v4lfence::shim
