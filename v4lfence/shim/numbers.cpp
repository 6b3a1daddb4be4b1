// SPDX-License-Identifier: MIT

#include "v4lfence/shim/numbers.hpp"

#include "v4lfence/shim/library.hpp"

namespace v4lfence::shim {

Numbers numbers;

bool set_mark(int fd, Mark mark) {
    if (static_cast<unsigned>(fd) >= numbers_max) {
        return false;
    }
    __atomic_store_n(&numbers.marks[fd], mark, __ATOMIC_RELAXED);
    int highest = __atomic_load_n(&numbers.highest, __ATOMIC_RELAXED);
    while (mark != unknown && highest < fd &&
           !__atomic_compare_exchange_n(&numbers.highest, &highest, fd, true, __ATOMIC_RELAXED,
                                        __ATOMIC_RELAXED)) {}
    return true;
}

int forget_mark(int fd) {
    if (!is_other_process()) {
        set_mark(fd, unknown);
    }
    return fd;
}

}  // namespace v4lfence::shim
