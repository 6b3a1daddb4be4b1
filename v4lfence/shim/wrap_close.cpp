// SPDX-License-Identifier: MIT
//
// close(2), and the closing of ranges. A program that closes numbers that it was never given does
// not reach the library's own: close() says EBADF, as if nothing were there, and a range is closed
// around them. What comes by another way (a raw system call, fclose()) is found out when the number
// is used next. A vfork() child closes numbers of its own, while the marks and the library's files
// that it sees are its parent's: it leaves those alone.

#include <cerrno>

#include "v4lfence/shim/library.hpp"
#include "v4lfence/shim/next.hpp"

using namespace v4lfence::shim;

namespace {

constexpr unsigned close_on_exec = 1U << 2;  // CLOSE_RANGE_CLOEXEC
constexpr unsigned unshare = 1U << 1;        // CLOSE_RANGE_UNSHARE

__attribute__((noinline)) int close_marked(int fd, Mark mark) {
    if (mark == internal) {
        errno = EBADF;
        return -1;
    }
    if (is_other_process()) {
        return next<"close", int(int)>(fd);
    }
    // Before it is closed: the next open() may have the number in another thread right after.
    set_mark(fd, unknown);
    if (!is_file(mark)) {
        return next<"close", int(int)>(fd);
    }
    return library()->close(fd);
}

int real_range(unsigned first, unsigned last, int flags) {
    return next<"close_range", int(unsigned, unsigned, int)>(first, last, flags);
}

unsigned highest_marked() {
    return static_cast<unsigned>(__atomic_load_n(&numbers.highest, __ATOMIC_RELAXED));
}

int close_around(unsigned first, unsigned last, int flags) {
    const unsigned highest = highest_marked();
    const bool is_unsharing = (static_cast<unsigned>(flags) & unshare) != 0;
    for (unsigned fd = first; fd <= last && fd <= highest; ++fd) {
        const Mark mark = mark_of(static_cast<int>(fd));
        if (mark == internal) {
            if (fd > first) {
                if (real_range(first, fd - 1, flags) != 0) {
                    return -1;
                }
                flags &= ~static_cast<int>(unshare);  // That is done, once.
            }
            first = fd + 1;
        } else if (mark != unknown && !is_unsharing) {
            close_marked(static_cast<int>(fd), mark);
        }
    }
    return first <= last ? real_range(first, last, flags) : 0;
}

/// Where the kernel knows no ranges. Returns the first number beyond the marked ones.
unsigned close_singly(unsigned first) {
    const unsigned highest = highest_marked();
    for (; first <= highest; ++first) {
        const int fd = static_cast<int>(first);
        const Mark mark = mark_of(fd);
        if (mark == unknown) {
            next<"close", int(int)>(fd);
        } else if (mark != internal) {
            close_marked(fd, mark);
        }
    }
    return first;
}

}  // namespace

SHIM_EXPORT(int, close, (int fd)) {
    const Mark mark = mark_of(fd);
    if (mark != unknown) [[unlikely]] {
        return close_marked(fd, mark);
    }
    return next<"close", int(int)>(fd);
}

SHIM_EXPORT(int, close_range, (unsigned first, unsigned last, int flags)) {
    const unsigned known = close_on_exec | unshare;
    if (first > last || (static_cast<unsigned>(flags) & ~known) != 0 ||
        (static_cast<unsigned>(flags) & close_on_exec) != 0) {
        return real_range(first, last, flags);
    }
    return close_around(first, last, flags);
}

SHIM_EXPORT(void, closefrom, (int first)) {
    const unsigned from = first < 0 ? 0 : static_cast<unsigned>(first);
    if (library() == nullptr) {
        next<"closefrom", void(int)>(first);
    } else if (close_around(from, ~0U, 0) != 0) {
        next<"closefrom", void(int)>(static_cast<int>(close_singly(from)));
    }
}
