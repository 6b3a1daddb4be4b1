// SPDX-License-Identifier: MIT
//
// mmap(2), munmap(2). mremap(2) needs nothing: what the library has mapped is a mapping of a real
// file like another (the kernel's V4L2 would refuse to let it grow; this one gives SIGBUS beyond
// the buffer's end).

#include <sys/mman.h>
#include <sys/types.h>

#include <cstdint>

#include "v4lfence/shim/memory.hpp"
#include "v4lfence/shim/next.hpp"

using namespace v4lfence::shim;

SHIM_EXPORT(void*, mmap,
            (void* address, size_t length, int protection, int flags, int fd, off_t offset)) {
    return map_with(address, length, protection, flags, fd, offset, [=] {
        return next<"mmap", void*(void*, size_t, int, int, int, off_t)>(address, length, protection,
                                                                        flags, fd, offset);
    });
}

SHIM_EXPORT(void*, mmap64,
            (void* address, size_t length, int protection, int flags, int fd, int64_t offset)) {
    return map_with(address, length, protection, flags, fd, offset, [=] {
        return next<"mmap64", void*(void*, size_t, int, int, int, int64_t)>(
            address, length, protection, flags, fd, offset);
    });
}

SHIM_EXPORT(int, munmap, (void* address, size_t length)) {
    const v4lfence_shim_calls* calls = library();
    if (calls != nullptr) {
        return calls->munmap(address, length);
    }
    return next<"munmap", int(void*, size_t)>(address, length);
}
