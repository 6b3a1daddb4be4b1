// SPDX-License-Identifier: MIT
//
// A preload that makes its calls by number, as libv4l2 does.

#include <sys/syscall.h>
#include <unistd.h>

extern "C" __attribute__((visibility("default"))) int close(int fd) {
    return static_cast<int>(syscall(SYS_close, fd));
}
