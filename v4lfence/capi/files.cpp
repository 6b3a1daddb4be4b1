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
#include <span>
#include <string_view>

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
void bury(File* stale) {
    if (stale != nullptr) {
        stale->close();
        delete stale;
    }
}

Result<WaitPlan> begin_wait(int fd, const Awaited& awaited) {
    const FdTable::Use file = process().files.find(fd);
    if (!file) {
        return fail(-EBADF, "the file was closed");
    }
    return file->begin_wait(awaited);
}

Result<> end_wait(int fd, const Awaited& awaited, const WaitPlan& plan) {
    const FdTable::Use file = process().files.find(fd);
    if (!file) {
        return fail(-EBADF, "the file was closed");
    }
    return file->end_wait(awaited, plan);
}

/// A call that waits: what its end, or the end of its thread, has to know.
struct Place {
    int fd;
    Awaited awaited;
    WaitPlan plan;
};

void leave(void* place) {
    const Place& left = *static_cast<Place*>(place);
    (void)end_wait(left.fd, left.awaited, left.plan);
}

/// Waits without a lock. 0 when it is worth another look.
int wait_for_news(Place& place, bool* kernel_ready) {
    const WaitPlan& plan = place.plan;
    pollfd fds[2] = {{plan.wake_fd, POLLIN, 0}, {plan.kernel_fd, plan.kernel_events, 0}};
    const int ready = v4lfence_wait_in_poll(fds, 2, leave, &place);
    *kernel_ready = ready > 0 && fds[1].revents != 0;
    return ready < 0 ? -errno : 0;
}

/// A call that found nothing, again and again until it does. `look_inside` looks once, and says
/// nothing where the number is not ours.
template <class LookInside>
std::int64_t call_blocking(int fd, const Awaited& awaited, const LookInside& look_inside) {
    while (true) {
        const auto plan = begin_wait(fd, awaited);
        if (!plan) {
            return failed(plan.error());
        }
        Place place{fd, awaited, *plan};
        bool kernel_ready = false;
        const int interrupted = wait_for_news(place, &kernel_ready);
        const Look look{kernel_ready, plan->generation};
        // The place of the one waiter is kept until the look is over.
        const auto answer = interrupted != 0
                                ? Result<FileAnswer>(fail(interrupted, "poll"))
                                : look_inside(look).value_or(fail(-EBADF, "the file was closed"));
        const auto ended = end_wait(place.fd, place.awaited, place.plan);
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

using Answered = std::optional<Result<FileAnswer>>;

/// One look inside the file; empty when the number is not ours, or the call the kernel's alone.
Answered ioctl_inside(int fd, std::uint32_t request, void* argument, Look look) {
    const FdTable::Use file = process().files.find(fd);
    if (!file || file->passes(request, argument)) {
        return std::nullopt;
    }
    return file->ioctl(request, argument, look);
}

Answered read_inside(int fd, std::span<std::byte> target) {
    const FdTable::Use file = process().files.find(fd);
    EmulatedCalls* const calls = file ? file->emulated() : nullptr;
    return calls != nullptr ? Answered(calls->read(target)) : std::nullopt;
}

Awaited awaited_by(std::uint32_t request, const void* argument) {
    if (request == VIDIOC_DQEVENT) {
        return {Awaited::What::Event, 0};
    }
    return {Awaited::What::Buffer, static_cast<const v4l2_buffer*>(argument)->type};
}

/// From now on the number is that file.
void enter(int fd, std::unique_ptr<File> file) {
    File* const stale = process().files.put(fd, *file.release());
    process().files.wait_unused(fd);
    bury(stale);
}

/// False: no V4L2 node.
bool manage(int fd, const struct stat& info) {
    if (!S_ISCHR(info.st_mode) || major(info.st_rdev) != video_major || !FdTable::fits(fd)) {
        return false;
    }
    enter(fd, std::make_unique<BridgeFile>(process().context, fd, info.st_rdev));
    return true;
}

Result<int> open_virtual(std::string_view path, int flags) {
    auto opened = V4LFENCE_TRY(process().devices.open(path, flags));
    if (!FdTable::fits(opened.fd.get())) {
        opened.file->close();
        return fail(-EMFILE, "the number is too large");
    }
    const int fd = std::move(opened.fd).release();
    enter(fd, std::move(opened.file));
    return fd;
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
    if (path != nullptr && capi::VirtualDevices::is_virtual(path)) {
        const auto opened = open_virtual(path, flags);
        return opened ? *opened : failed(opened.error());
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
    File* file = process().files.take(fd);
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
    const Answered answer = ioctl_inside(fd, number, argument, {});
    if (!answer) {
        return ::ioctl(fd, request, argument);
    }
    if (!*answer) {
        return failed(answer->error());
    }
    if ((*answer)->must_wait) {
        return static_cast<int>(call_blocking(fd, awaited_by(number, argument), [=](Look look) {
            return ioctl_inside(fd, number, argument, look);
        }));
    }
    return static_cast<int>((*answer)->value);
}

void* v4lfence_mmap(void* addr, size_t length, int prot, int flags, int fd, int64_t offset) {
    EmulatedCalls::Mappable source{fd, offset, nullptr};
    {
        const FdTable::Use file = process().files.find(fd);
        if (EmulatedCalls* const calls = file ? file->emulated() : nullptr) {
            auto mappable = calls->mappable(length, prot, flags, offset);
            if (!mappable) {
                failed(mappable.error());
                return MAP_FAILED;
            }
            source = std::move(*mappable);
        }
    }
    void* const mapped = ::mmap(addr, length, prot, flags, source.fd, source.offset);
    if (mapped != MAP_FAILED && source.mappings) {
        process().mappings.add(mapped, std::move(source.mappings));
    }
    return mapped;
}

int v4lfence_munmap(void* addr, size_t length) {
    const int unmapped = ::munmap(addr, length);
    if (unmapped == 0) {
        process().mappings.remove(addr);
    }
    return unmapped;
}

ssize_t v4lfence_read(int fd, void* buffer, size_t count) {
    const std::span<std::byte> target(static_cast<std::byte*>(buffer), count);
    const Answered answer = read_inside(fd, target);
    if (!answer) {
        return ::read(fd, buffer, count);
    }
    if (!*answer) {
        return failed(answer->error());
    }
    if ((*answer)->must_wait) {
        return call_blocking(fd, Awaited{}, [=](Look) { return read_inside(fd, target); });
    }
    return (*answer)->value;
}

ssize_t v4lfence_write(int fd, const void* buffer, size_t count) {
    {
        const FdTable::Use file = process().files.find(fd);
        if (EmulatedCalls* const calls = file ? file->emulated() : nullptr) {
            const auto written = calls->write({static_cast<const std::byte*>(buffer), count});
            return written ? written->value : failed(written.error());
        }
    }
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
    const File::TypedExpiry last = file->last_expiry();
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
