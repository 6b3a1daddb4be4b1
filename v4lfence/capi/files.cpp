// SPDX-License-Identifier: MIT
//
// v4lfence.h: files. Each call finds the file and goes in; what is not ours goes to the kernel.

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdarg>
#include <memory>
#include <optional>

#include "v4lfence/base/syscall.hpp"
#include "v4lfence/capi/process.hpp"
#include "v4lfence/capi/wait.h"
#include "v4lfence/v4lfence.h"

using namespace v4lfence;
using capi::failed;
using capi::process;

namespace {

constexpr unsigned video_major = 81;  // Documentation/admin-guide/devices.txt

/// A file that the program closed behind our back and whose number is used again.
void bury(BridgeFile* stale) {
    if (stale != nullptr) {
        stale->close();
        delete stale;
    }
}

Result<BridgeQueue::WaitPlan> begin_wait(int fd, std::uint32_t type) {
    const FdTable::Use file = process().files.find(fd);
    if (!file) {
        return fail(-EBADF, "the file was closed");
    }
    return file->begin_wait(type);
}

Result<> end_wait(int fd, std::uint32_t type, const BridgeQueue::WaitPlan& plan) {
    const FdTable::Use file = process().files.find(fd);
    if (!file) {
        return fail(-EBADF, "the file was closed");
    }
    return file->end_wait(type, plan);
}

/// A blocking DQBUF that waits: what its end, or the end of its thread, has to know.
struct Place {
    int fd;
    std::uint32_t type;
    BridgeQueue::WaitPlan plan;
};

void leave(void* place) {
    const Place& left = *static_cast<Place*>(place);
    (void)end_wait(left.fd, left.type, left.plan);
}

/// Waits for the next buffer without a lock. 0 when it is worth another look.
int wait_for_buffer(Place& place, bool* kernel_ready) {
    const BridgeQueue::WaitPlan& plan = place.plan;
    pollfd fds[2] = {{plan.wake_fd, POLLIN, 0}, {plan.kernel_fd, plan.kernel_events, 0}};
    const int ready = v4lfence_wait_in_poll(fds, 2, leave, &place);
    *kernel_ready = ready > 0 && fds[1].revents != 0;
    return ready < 0 ? -errno : 0;
}

/// One look inside the file; empty when the number is not ours, or the call the kernel's alone.
std::optional<Result<BridgeFile::Answer>> look_inside(int fd, std::uint32_t request, void* argument,
                                                      BridgeQueue::Look look) {
    const FdTable::Use file = process().files.find(fd);
    if (!file || file->passes(request, argument)) {
        return std::nullopt;
    }
    return file->ioctl(request, argument, look);
}

/// A blocking DQBUF that found nothing.
int dqbuf_blocking(int fd, std::uint32_t request, v4l2_buffer* buffer) {
    while (true) {
        const auto plan = begin_wait(fd, buffer->type);
        if (!plan) {
            return failed(plan.error());
        }
        Place place{fd, buffer->type, *plan};
        bool kernel_ready = false;
        const int interrupted = wait_for_buffer(place, &kernel_ready);
        const BridgeQueue::Look look{kernel_ready, plan->generation};
        // The place of the one waiter is kept until the look is over.
        const auto answer = interrupted != 0 ? Result<BridgeFile::Answer>(fail(interrupted, "poll"))
                                             : look_inside(fd, request, buffer, look)
                                                   .value_or(fail(-EBADF, "the file was closed"));
        const auto ended = end_wait(place.fd, place.type, place.plan);
        if (answer && !answer->must_wait) {
            return answer->value;
        }
        if (!ended) {
            return failed(ended.error());
        }
        if (!answer) {
            return failed(answer.error());
        }
    }
}

/// False: no V4L2 node.
bool manage(int fd, const struct stat& info) {
    if (!S_ISCHR(info.st_mode) || major(info.st_rdev) != video_major || !FdTable::fits(fd)) {
        return false;
    }
    auto file = std::make_unique<BridgeFile>(process().context, fd, info.st_rdev);
    BridgeFile* const stale = process().files.put(fd, *file.release());
    process().files.wait_unused(fd);
    bury(stale);
    return true;
}

}  // namespace

extern "C" {

int v4lfence_open(const char* path, int flags, ...) {
    mode_t mode = 0;
    if ((flags & O_CREAT) || (flags & O_TMPFILE) == O_TMPFILE) {
        va_list arguments;
        va_start(arguments, flags);
        mode = va_arg(arguments, mode_t);
        va_end(arguments);
    }
    const int fd = ::open(path, flags, mode);
    if (fd < 0) {
        return -1;
    }
    if (const auto info = sys::fstat(fd)) {
        manage(fd, *info);
    }
    return fd;
}

int v4lfence_fd_open(int fd) {
    const auto info = sys::fstat(fd);
    if (!info) {
        return failed(info.error());
    }
    if (!manage(fd, *info)) {
        errno = EINVAL;
        return -1;
    }
    return fd;
}

int v4lfence_close(int fd) {
    BridgeFile* file = process().files.take(fd);
    if (file != nullptr) {
        process().files.wait_unused(fd);
        bury(file);
    }
    return ::close(fd);
}

int v4lfence_ioctl(int fd, unsigned long request, ...) {
    va_list arguments;
    va_start(arguments, request);
    void* const argument = va_arg(arguments, void*);
    va_end(arguments);
    // Programs built with an int prototype sign-extend it.
    const auto number = static_cast<std::uint32_t>(request);
    const auto answer = look_inside(fd, number, argument, {});
    if (!answer) {
        return ::ioctl(fd, request, argument);
    }
    if (!*answer) {
        return failed(answer->error());
    }
    if ((*answer)->must_wait) {
        return dqbuf_blocking(fd, number, static_cast<v4l2_buffer*>(argument));
    }
    return (*answer)->value;
}

void* v4lfence_mmap(void* addr, size_t length, int prot, int flags, int fd, int64_t offset) {
    return ::mmap(addr, length, prot, flags, fd, offset);
}

int v4lfence_munmap(void* addr, size_t length) {
    return ::munmap(addr, length);
}

ssize_t v4lfence_read(int fd, void* buffer, size_t count) {
    return ::read(fd, buffer, count);
}

ssize_t v4lfence_write(int fd, const void* buffer, size_t count) {
    return ::write(fd, buffer, count);
}

int v4lfence_set_provider(int fd, const char* name) {
    const FdTable::Use file = process().files.find(fd);
    if (!file || name == nullptr) {
        return failed(Error{file ? -EINVAL : -ENOTTY, "v4lfence_set_provider"});
    }
    const auto set = file->set_provider(name);
    return set ? 0 : failed(set.error());
}

int v4lfence_set_deadline(int fd, unsigned deadline_ms) {
    const FdTable::Use file = process().files.find(fd);
    if (!file) {
        return failed(Error{-ENOTTY, "v4lfence_set_deadline"});
    }
    const auto set = file->set_deadline(deadline_ms);
    return set ? 0 : failed(set.error());
}

int v4lfence_set_rfc_caps(int fd, int on) {
    const FdTable::Use file = process().files.find(fd);
    if (!file) {
        return failed(Error{-ENOTTY, "v4lfence_set_rfc_caps"});
    }
    const auto set = file->set_rfc_caps(on != 0);
    return set ? 0 : failed(set.error());
}

int v4lfence_last_expiry(int fd, struct v4lfence_expiry* expiry) {
    const FdTable::Use file = process().files.find(fd);
    if (!file || expiry == nullptr) {
        return failed(Error{file ? -EFAULT : -ENOTTY, "v4lfence_last_expiry"});
    }
    const BridgeFile::TypedExpiry last = file->last_expiry();
    *expiry = {};
    expiry->count = last.expiry.count;
    if (last.expiry.count > 0) {
        expiry->type = last.type;
        expiry->index = last.expiry.index;
        expiry->error = last.expiry.error;
        expiry->bound = last.expiry.bound ? 1 : 0;
        expiry->queued_at_ns = to_ns(last.expiry.queued_at);
        expiry->expired_at_ns = to_ns(last.expiry.expired_at);
        static_assert(sizeof expiry->driver_name == sizeof(FenceNames::driver));
        std::copy_n(last.expiry.in_fence.driver.data(), sizeof expiry->driver_name,
                    expiry->driver_name);
        std::copy_n(last.expiry.in_fence.timeline.data(), sizeof expiry->timeline_name,
                    expiry->timeline_name);
    }
    return 0;
}

}  // extern "C"
