// SPDX-License-Identifier: MIT
//
// poll(2), select(2), epoll_ctl(2): the kernel's, but for sets with a number of ours in them. A
// ppoll() or pselect() that changes the signal mask goes to the kernel in any case: nobody else can
// do it in one step. epoll_wait(2) needs nothing.

#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <time.h>

#include <climits>
#include <cstdint>

#include "v4lfence/shim/library.hpp"
#include "v4lfence/shim/next.hpp"

using namespace v4lfence::shim;

namespace {

bool has_ours(const pollfd* fds, nfds_t count) {
    if (library() == nullptr || fds == nullptr) {
        return false;
    }
    for (nfds_t i = 0; i < count; ++i) {
        if (is_file(mark_of(fds[i].fd))) {
            return true;
        }
    }
    return false;
}

bool has_ours(int count, const fd_set* set) {
    if (set == nullptr) {
        return false;
    }
    constexpr int bits = sizeof(fd_mask) * CHAR_BIT;
    for (int first = 0; first < count; first += bits) {
        unsigned long word = static_cast<unsigned long>(set->fds_bits[first / bits]);
        for (; word != 0; word &= word - 1) {
            const int fd = first + __builtin_ctzl(word);
            if (fd < count && is_file(mark_of(fd))) {
                return true;
            }
        }
    }
    return false;
}

bool has_ours(int count, const fd_set* readable, const fd_set* writable,
              const fd_set* exceptional) {
    return library() != nullptr &&
           (has_ours(count, readable) || has_ours(count, writable) || has_ours(count, exceptional));
}

/// Rounded up: a wait is never shorter than it was asked for.
template <typename Time>
int milliseconds(const Time* time) {
    if (time == nullptr) {
        return -1;
    }
    const auto seconds = static_cast<int64_t>(time->tv_sec);
    if (seconds < 0 || seconds >= INT_MAX / 1000) {
        return INT_MAX;
    }
    return static_cast<int>(seconds * 1000 + (time->tv_nsec + 999999) / 1000000);
}

/// A timeval as the library has it.
struct LibraryTime {
    int64_t seconds;
    int64_t microseconds;
};

template <typename Time>
int select_ours(int count, fd_set* readable, fd_set* writable, fd_set* exceptional, Time* timeout) {
    LibraryTime time{};
    if (timeout != nullptr) {
        time = {timeout->tv_sec, timeout->tv_usec};
    }
    const int result =
        library()->select(count, readable, writable, exceptional,
                          timeout != nullptr ? reinterpret_cast<timeval*>(&time) : nullptr);
    if (timeout != nullptr) {
        timeout->tv_sec = static_cast<decltype(timeout->tv_sec)>(time.seconds);
        timeout->tv_usec = static_cast<decltype(timeout->tv_usec)>(time.microseconds);
    }
    return result;
}

/// pselect() leaves its timeout as it was.
template <typename Time>
int pselect_ours(int count, fd_set* readable, fd_set* writable, fd_set* exceptional,
                 const Time* timeout) {
    if (timeout == nullptr) {
        return library()->select(count, readable, writable, exceptional, nullptr);
    }
    LibraryTime time{timeout->tv_sec, (timeout->tv_nsec + 999) / 1000};
    return library()->select(count, readable, writable, exceptional,
                             reinterpret_cast<timeval*>(&time));
}

}  // namespace

SHIM_EXPORT(int, poll, (pollfd * fds, nfds_t count, int timeout_ms)) {
    if (has_ours(fds, count)) [[unlikely]] {
        return library()->poll(fds, count, timeout_ms);
    }
    return next<"poll", int(pollfd*, nfds_t, int)>(fds, count, timeout_ms);
}

SHIM_EXPORT(int, __poll_chk, (pollfd * fds, nfds_t count, int timeout_ms, size_t size)) {
    if (count <= size / sizeof *fds && has_ours(fds, count)) [[unlikely]] {
        return library()->poll(fds, count, timeout_ms);
    }
    return next<"__poll_chk", int(pollfd*, nfds_t, int, size_t)>(fds, count, timeout_ms, size);
}

SHIM_EXPORT(int, ppoll,
            (pollfd * fds, nfds_t count, const timespec* timeout, const sigset_t* mask)) {
    if (mask == nullptr && has_ours(fds, count)) [[unlikely]] {
        return library()->poll(fds, count, milliseconds(timeout));
    }
    return next<"ppoll", int(pollfd*, nfds_t, const timespec*, const sigset_t*)>(fds, count,
                                                                                 timeout, mask);
}

SHIM_EXPORT(int, __ppoll_chk,
            (pollfd * fds, nfds_t count, const timespec* timeout, const sigset_t* mask,
             size_t size)) {
    if (mask == nullptr && count <= size / sizeof *fds && has_ours(fds, count)) [[unlikely]] {
        return library()->poll(fds, count, milliseconds(timeout));
    }
    return next<"__ppoll_chk", int(pollfd*, nfds_t, const timespec*, const sigset_t*, size_t)>(
        fds, count, timeout, mask, size);
}

SHIM_EXPORT(int, select,
            (int count, fd_set* readable, fd_set* writable, fd_set* exceptional,
             timeval* timeout)) {
    if (has_ours(count, readable, writable, exceptional)) [[unlikely]] {
        return select_ours(count, readable, writable, exceptional, timeout);
    }
    return next<"select", int(int, fd_set*, fd_set*, fd_set*, timeval*)>(count, readable, writable,
                                                                         exceptional, timeout);
}

SHIM_EXPORT(int, pselect,
            (int count, fd_set* readable, fd_set* writable, fd_set* exceptional,
             const timespec* timeout, const sigset_t* mask)) {
    if (mask == nullptr && has_ours(count, readable, writable, exceptional)) [[unlikely]] {
        return pselect_ours(count, readable, writable, exceptional, timeout);
    }
    return next<"pselect", int(int, fd_set*, fd_set*, fd_set*, const timespec*, const sigset_t*)>(
        count, readable, writable, exceptional, timeout, mask);
}

SHIM_EXPORT(int, epoll_ctl, (int epfd, int op, int fd, epoll_event* event)) {
    // What is registered stays so: a wrapped node must be known before.
    const Mark mark = mark_of(fd);
    if (is_file(mark) || (mark == unknown && op == EPOLL_CTL_ADD && take_over_node(fd)))
        [[unlikely]] {
        return library()->epoll_ctl(epfd, op, fd, event);
    }
    return next<"epoll_ctl", int(int, int, int, epoll_event*)>(epfd, op, fd, event);
}

#if __SIZEOF_POINTER__ == 4
// Of programs whose time_t has 64 bits.

namespace {

struct LongTimeval {
    int64_t tv_sec;
    int64_t tv_usec;
};

struct LongTimespec {
    int64_t tv_sec;
    int32_t tv_nsec;
    int32_t padding;
};

}  // namespace

SHIM_EXPORT(int, __select64,
            (int count, fd_set* readable, fd_set* writable, fd_set* exceptional,
             LongTimeval* timeout)) {
    if (has_ours(count, readable, writable, exceptional)) {
        return select_ours(count, readable, writable, exceptional, timeout);
    }
    return next<"__select64", int(int, fd_set*, fd_set*, fd_set*, LongTimeval*)>(
        count, readable, writable, exceptional, timeout);
}

SHIM_EXPORT(int, __pselect64,
            (int count, fd_set* readable, fd_set* writable, fd_set* exceptional,
             const LongTimespec* timeout, const sigset_t* mask)) {
    if (mask == nullptr && has_ours(count, readable, writable, exceptional)) {
        return pselect_ours(count, readable, writable, exceptional, timeout);
    }
    return next<"__pselect64",
                int(int, fd_set*, fd_set*, fd_set*, const LongTimespec*, const sigset_t*)>(
        count, readable, writable, exceptional, timeout, mask);
}

SHIM_EXPORT(int, __ppoll64,
            (pollfd * fds, nfds_t count, const LongTimespec* timeout, const sigset_t* mask)) {
    if (mask == nullptr && has_ours(fds, count)) {
        return library()->poll(fds, count, milliseconds(timeout));
    }
    return next<"__ppoll64", int(pollfd*, nfds_t, const LongTimespec*, const sigset_t*)>(
        fds, count, timeout, mask);
}
#endif
