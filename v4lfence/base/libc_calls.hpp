// SPDX-License-Identifier: MIT
//
// LibcCalls: the calls of the C library that a preloaded program's shim stands in front of. The
// library makes them through this table, so that a call of its own never comes back to it.

#pragma once

#include <poll.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/stat.h>
#include <sys/types.h>

#include <cstddef>

namespace v4lfence {

struct LibcCalls {
    int (*open)(const char*, int, ...);
    int (*close)(int);
    int (*ioctl)(int, unsigned long, ...);
    int (*fcntl)(int, int, ...);
    ssize_t (*read)(int, void*, std::size_t);
    ssize_t (*write)(int, const void*, std::size_t);
    void* (*mmap)(void*, std::size_t, int, int, int, off_t);
    int (*munmap)(void*, std::size_t);
    int (*poll)(pollfd*, nfds_t, int);
    int (*select)(int, fd_set*, fd_set*, fd_set*, timeval*);
    int (*epoll_ctl)(int, int, int, epoll_event*);
    int (*fstat)(int, struct stat*);
    /// The number outlives the call that made it, and is no concern of the program's until it is
    /// closed by `close`.
    void (*keep)(int);
};

/// The ones this library is linked to, until the shim has put in those that come after itself:
/// before any other call, and once.
extern LibcCalls libc;

}  // namespace v4lfence
