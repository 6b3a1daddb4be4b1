// SPDX-License-Identifier: MIT
//
// ioctl(2). Requests of other types than V4L2's, the fence query's and sync_file's are the kernel's
// unseen, also on numbers of ours: FIONREAD, FIOCLEX and the like work on the file that is there.

#include <cerrno>

#include "v4lfence/shim/calls.hpp"
#include "v4lfence/shim/config.hpp"
#include "v4lfence/shim/library.hpp"
#include "v4lfence/shim/next.hpp"
#include "v4lfence/uapi_fences.h"

using namespace v4lfence::shim;

namespace {

constexpr unsigned fence_query_type = _IOC_TYPE(VIDIOC_QUERY_FENCES);

int library_ioctl(int fd, unsigned long request, void* argument) {
    return library()->ioctl(fd, request, argument);
}

__attribute__((noinline)) int video_ioctl(int fd, unsigned long request, void* argument,
                                          Ioctl* kernel) {
    // A program that keeps requests in an int passes them on with the sign drawn out.
    const unsigned long plain = request & 0xffffffff;
    const Mark mark = mark_of(fd);
    if (is_file(mark)) {
        return library_ioctl(fd, plain, argument);
    }
    // On a bridged node the kernel would answer as well: so it must be known before.
    if (mark == unknown && config().wrapped_count != 0 && take_over(fd)) {
        return library_ioctl(fd, plain, argument);
    }
    const int result = kernel(fd, request, argument);
    // A socket: perhaps a virtual device that came by exec(), or from another process.
    if (result < 0 && errno == ENOTTY && take_over(fd)) {
        return library_ioctl(fd, plain, argument);
    }
    return result;
}

__attribute__((noinline)) int sync_ioctl(int fd, unsigned long request, void* argument,
                                         Ioctl* kernel) {
    const int result = kernel(fd, request, argument);
    if (result >= 0 || errno != ENOTTY || is_loading()) {
        return result;
    }
    const bool is_wanted = config().server.length() != 0 || config().wrapped_count != 0;
    const v4lfence_shim_calls* calls = is_wanted ? load_library() : nullptr;
    if (calls == nullptr) {
        errno = ENOTTY;
        return -1;
    }
    return calls->sync_ioctl(fd, request & 0xffffffff, argument);
}

inline int route(int fd, unsigned long request, void* argument, Ioctl* kernel) {
    const unsigned type = (request >> 8) & 0xff;
    if (type == 'V' || type == fence_query_type) {
        return video_ioctl(fd, request, argument, kernel);
    }
    if (type == '>') {
        return sync_ioctl(fd, request, argument, kernel);
    }
    return kernel(fd, request, argument);
}

}  // namespace

int v4lfence::shim::ioctl_with(int fd, unsigned long request, void* argument, Ioctl* kernel) {
    return route(fd, request, argument, kernel);
}

SHIM_EXPORT(int, ioctl, (int fd, unsigned long request, void* argument)) {
    return route(fd, request, argument, next<"ioctl", Ioctl>.get());
}

#if __SIZEOF_POINTER__ == 4
SHIM_EXPORT(int, __ioctl_time64, (int fd, unsigned long request, void* argument)) {
    return route(fd, request, argument, next<"__ioctl_time64", Ioctl>.get());
}
#endif
