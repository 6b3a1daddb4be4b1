// SPDX-License-Identifier: MIT
//
// syscall(2), for libv4l2, which makes its calls by number: those that concern a device go the way
// of the function of that name. All else goes to the kernel as it came, never to another
// definition of that function: that may be libv4l2's, which would come back here.

#include <sys/syscall.h>
#include <unistd.h>

#include "v4lfence/shim/calls.hpp"
#include "v4lfence/shim/files.hpp"
#include "v4lfence/shim/memory.hpp"
#include "v4lfence/shim/next.hpp"

using namespace v4lfence::shim;

namespace {

template <typename Pointer>
Pointer* pointer(long value) {
    return reinterpret_cast<Pointer*>(value);
}

unsigned number(long value) {
    return static_cast<unsigned>(value);
}

int descriptor(long value) {
    return static_cast<int>(value);
}

long kernel(long call, long a, long b = 0, long c = 0, long d = 0, long e = 0, long f = 0) {
    return next<"syscall", long(long, long, long, long, long, long, long)>(call, a, b, c, d, e, f);
}

int kernel_ioctl(int fd, unsigned long request, void* argument) {
    return descriptor(
        kernel(SYS_ioctl, fd, static_cast<long>(request), reinterpret_cast<long>(argument)));
}

#ifdef SYS_mmap2
constexpr long call_mmap = SYS_mmap2;
int64_t offset_of(long pages) {
    return static_cast<int64_t>(number(pages)) * 4096;
}
#else
constexpr long call_mmap = SYS_mmap;
int64_t offset_of(long offset) {
    return offset;
}
#endif

}  // namespace

SHIM_EXPORT(long, syscall, (long call, long a, long b, long c, long d, long e, long f)) {
    const auto pass = [=] { return kernel(call, a, b, c, d, e, f); };
    if (is_in_next_preload()) {
        return pass();
    }
    switch (call) {
    case SYS_ioctl:
        return ioctl_with(descriptor(a), static_cast<unsigned long>(b), pointer<void>(c),
                          &kernel_ioctl);
#ifdef SYS_open
    case SYS_open:
        return open_with(AT_FDCWD, pointer<const char>(a), descriptor(b),
                         [=] { return descriptor(pass()); });
#endif
    case SYS_openat:
        return open_with(descriptor(a), pointer<const char>(b), descriptor(c),
                         [=] { return descriptor(pass()); });
    case SYS_close:
        return mark_of(descriptor(a)) != unknown ? wrap_close(descriptor(a)) : pass();
#ifdef SYS_close_range
    case SYS_close_range:
        return library() != nullptr ? wrap_close_range(number(a), number(b), descriptor(c))
                                    : pass();
#endif
    case SYS_dup: {
        const int copy = descriptor(pass());
        return note_duplicate(descriptor(a), copy, mark_of(copy));
    }
#ifdef SYS_dup2
    case SYS_dup2:
#endif
    case SYS_dup3:
        if (call == SYS_dup3 && (descriptor(c) & ~O_CLOEXEC) != 0) {
            return pass();
        }
        return duplicate_onto(descriptor(a), descriptor(b), [=] { return descriptor(pass()); });
    case call_mmap:
        return reinterpret_cast<long>(
            map_with(pointer<void>(a), static_cast<size_t>(b), descriptor(c), descriptor(d),
                     descriptor(e), offset_of(f), [=] { return pointer<void>(pass()); }));
    case SYS_munmap:
        return library() != nullptr ? wrap_munmap(pointer<void>(a), static_cast<size_t>(b))
                                    : pass();
    case SYS_read:
        if (is_file(mark_of(descriptor(a)))) {
            return library()->read(descriptor(a), pointer<void>(b), static_cast<size_t>(c));
        }
        return pass();
    default:
        return pass();
    }
}
