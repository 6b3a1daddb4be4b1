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
    if (mark == unknown && before == unknown) [[likely]] {
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
    if (is_refused_duplicate(from, to)) {
        return -1;
    }
    const Mark before = mark_of(to);
    const int result = next<"dup2", int(int, int)>(from, to);
    return from == to ? result : note_duplicate(from, result, before);
}

SHIM_EXPORT(int, dup3, (int from, int to, int flags)) {
    if (is_refused_duplicate(from, to)) {
        return -1;
    }
    const Mark before = mark_of(to);
    return note_duplicate(from, next<"dup3", int(int, int, int)>(from, to, flags), before);
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
