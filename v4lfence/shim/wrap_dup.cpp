// SPDX-License-Identifier: MIT
//
// dup(2) and its forms: they keep the marks warm. A dup() that is not seen is found later, by the
// kernel's ENOTTY.

#include <fcntl.h>

#include <cerrno>

#include "v4lfence/shim/calls.hpp"
#include "v4lfence/shim/library.hpp"
#include "v4lfence/shim/next.hpp"

using namespace v4lfence::shim;

namespace v4lfence::shim {

int note_duplicate(int from, int to, Mark before) {
    if (to < 0) {
        return to;
    }
    const Mark mark = mark_of(from);
    if ((mark == unknown && before == unknown) || is_other_process()) [[likely]] {
        return to;
    }
    const int error = errno;
    if (is_file(mark) && library()->is_ours(from) != 0) {
        library()->same_file(from, to);
        set_mark(to, mark);
    } else {
        set_mark(to, mark >= path_only_first ? mark : unknown);
        if (is_file(before)) {
            library()->is_ours(to);  // It finds that it is not, and lets go of what was there.
        }
    }
    errno = error;
    return to;
}

bool is_refused_duplicate(int from, int to) {
    if (from == to || mark_of(to) != internal) {
        return false;
    }
    errno = EBUSY;
    return true;
}

void* leave_for(int from, int to) {
    if (!is_file(mark_of(to)) || is_other_process()) {
        return nullptr;
    }
    const int error = errno;
    const bool is_open = next<"fcntl64", int(int, int, void*)>(from, F_GETFD, nullptr) >= 0;
    void* const left = is_open ? library()->leave(to) : nullptr;
    errno = error;
    return left;
}

void arrived(void* left) {
    if (left != nullptr) {
        library()->left(left);
    }
}

}  // namespace v4lfence::shim

namespace {

int duplicate(int fd, int command, int result) {
    const bool is_dup = command == F_DUPFD || command == F_DUPFD_CLOEXEC;
    return is_dup ? note_duplicate(fd, result, mark_of(result)) : result;
}

}  // namespace

SHIM_EXPORT(int, dup, (int fd)) {
    const int copy = next<"dup", int(int)>(fd);
    return note_duplicate(fd, copy, mark_of(copy));
}

SHIM_EXPORT(int, dup2, (int from, int to)) {
    return duplicate_onto(from, to, [=] { return next<"dup2", int(int, int)>(from, to); });
}

SHIM_EXPORT(int, dup3, (int from, int to, int flags)) {
    const auto kernel = [=] { return next<"dup3", int(int, int, int)>(from, to, flags); };
    return (flags & ~O_CLOEXEC) == 0 ? duplicate_onto(from, to, kernel) : kernel();
}

SHIM_EXPORT(int, fcntl, (int fd, int command, void* argument)) {
    return duplicate(fd, command, next<"fcntl", int(int, int, void*)>(fd, command, argument));
}

SHIM_EXPORT(int, fcntl64, (int fd, int command, void* argument)) {
    return duplicate(fd, command, next<"fcntl64", int(int, int, void*)>(fd, command, argument));
}

#if __SIZEOF_POINTER__ == 4
SHIM_EXPORT(int, __fcntl_time64, (int fd, int command, void* argument)) {
    return duplicate(fd, command,
                     next<"__fcntl_time64", int(int, int, void*)>(fd, command, argument));
}
#endif
