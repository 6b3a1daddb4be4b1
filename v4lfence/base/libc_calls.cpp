// SPDX-License-Identifier: MIT

#include "v4lfence/base/libc_calls.hpp"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

namespace v4lfence {

namespace {

void keep_nothing(int) {}

}  // namespace

constinit LibcCalls libc{::open,   ::close, ::ioctl,  ::fcntl,     ::read,  ::write,     ::mmap,
                         ::munmap, ::poll,  ::select, ::epoll_ctl, ::fstat, keep_nothing};

}  // namespace v4lfence
