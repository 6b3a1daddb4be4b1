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
using capi::Mappings;
using capi::process;

namespace {

constexpr unsigned video_major = 81;  // Documentation/admin-guide/devices.txt

/// Ends a file that nobody finds any more, when the last call is out of it.
void bury(int fd, File* stale) {
    if (stale != nullptr) {
        process().files.wait_unused(fd);
        stale->close();
        delete stale;
    }
}

/// A file by its number. Serial 0: whichever has it; else that one alone, for while a call waits
/// the number may become another's.
struct Which {
    int fd;
    std::uint64_t serial = 0;
};

FdTable::Use find(const Which& which) {
    return process().files.find(which.fd, which.serial);
}

Result<WaitPlan> begin_wait(const Which& which, const Awaited& awaited) {
    const FdTable::Use file = find(which);
    if (!file) {
        return fail(-EBADF, "the file was closed");
    }
    return file->begin_wait(which.fd, awaited);
}

/// A call that waits: what its end, or the end of its thread, has to know.
struct Place {
    Which which;
    Awaited awaited;
    WaitPlan plan;
};

Result<> end_wait(const Place& place) {
    const FdTable::Use file = find(place.which);
    if (!file) {
        return fail(-EBADF, "the file was closed");
    }
    return file->end_wait(place.awaited, place.plan);
}

void leave(void* place) {
    (void)end_wait(*static_cast<Place*>(place));
}

/// Waits without a lock. 0 when it is worth another look.
int wait_for_news(Place& place, bool* kernel_ready) {
    const WaitPlan& plan = place.plan;
    pollfd fds[2] = {{plan.wake_fd, POLLIN, 0}, {plan.kernel_fd, plan.kernel_events, 0}};
    const int ready = v4lfence_wait_in_poll(fds, 2, leave, &place);
    *kernel_ready = ready > 0 && fds[1].revents != 0;
    return ready < 0 ? -errno : 0;
}

/// What a look inside a file found, and which file it was.
struct Seen {
    std::uint64_t serial;
    Result<FileAnswer> answer;
};
/// Empty when the number is not ours, or the call the kernel's alone.
using Looked = std::optional<Seen>;

/// A call that found nothing, again and again until it does. `look_inside` looks once.
template <class LookInside>
std::int64_t call_blocking(const Which& which, const Awaited& awaited,
                           const LookInside& look_inside) {
    while (true) {
        const auto plan = begin_wait(which, awaited);
        if (!plan) {
            return failed(plan.error());
        }
        Place place{which, awaited, *plan};
        bool kernel_ready = false;
        const int interrupted = wait_for_news(place, &kernel_ready);
        const Look look{kernel_ready, plan->generation};
        // The place of the one waiter is kept until the look is over.
        Result<FileAnswer> answer = fail(interrupted, "poll");
        if (interrupted == 0) {
            const Looked looked = look_inside(which, look);
            answer = looked ? looked->answer : fail(-EBADF, "the file was closed");
        }
        const auto ended = end_wait(place);
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

Looked ioctl_inside(const Which& which, std::uint32_t request, void* argument, Look look) {
    const FdTable::Use file = find(which);
    if (!file || file->passes(request, argument)) {
        return std::nullopt;
    }
    return Seen{file->serial(), file->ioctl(which.fd, request, argument, look)};
}

Looked read_inside(const Which& which, std::span<std::byte> target) {
    const FdTable::Use file = find(which);
    EmulatedCalls* const calls = file ? file->emulated() : nullptr;
    return calls != nullptr ? Looked(Seen{file->serial(), calls->read(which.fd, target)})
                            : std::nullopt;
}

/// The answer of the first look, or of a wait for `awaited()` after it.
template <class AwaitedBy, class LookInside>
std::int64_t finish(int fd, const Seen& seen, const AwaitedBy& awaited,
                    const LookInside& look_inside) {
    if (!seen.answer) {
        return failed(seen.answer.error());
    }
    if (seen.answer->must_wait) {
        return call_blocking({fd, seen.serial}, awaited(), look_inside);
    }
    return seen.answer->value;
}

Awaited awaited_by(std::uint32_t request, const void* argument) {
    if (request == VIDIOC_DQEVENT) {
        return {Awaited::What::Event, 0};
    }
    return {Awaited::What::Buffer, static_cast<const v4l2_buffer*>(argument)->type};
}

/// From now on the number is that file.
void enter(int fd, std::unique_ptr<File> file) {
    bury(fd, process().files.put(fd, *file.release()));
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
    bury(fd, process().files.take(fd));
    return ::close(fd);
}

int v4lfence_ioctl(int fd, unsigned long request, ...) {
    va_list arguments;
    va_start(arguments, request);
    void* const argument = va_arg(arguments, void*);
    va_end(arguments);
    // Programs built with an int prototype sign-extend it.
    const auto number = static_cast<std::uint32_t>(request);
    const Looked looked = ioctl_inside({fd}, number, argument, {});
    if (!looked) {
        return ::ioctl(fd, request, argument);
    }
    return static_cast<int>(finish(
        fd, *looked, [&] { return awaited_by(number, argument); },
        [&](const Which& which, Look look) {
            return ioctl_inside(which, number, argument, look);
        }));
}

void* v4lfence_mmap(void* addr, size_t length, int prot, int flags, int fd, int64_t offset) {
    EmulatedCalls::Mappable source{fd, offset, nullptr, nullptr};
    {
        const FdTable::Use file = process().files.find(fd);
        if (EmulatedCalls* const calls = file ? file->emulated() : nullptr) {
            auto mappable = calls->mappable(fd, length, prot, flags, offset);
            if (!mappable) {
                failed(mappable.error());
                return MAP_FAILED;
            }
            source = std::move(*mappable);
        }
    }
    void* const mapped = ::mmap(addr, length, prot, flags, source.fd, source.offset);
    if (mapped != MAP_FAILED) {
        process().mappings.add(mapped, std::move(source.counter));
    }
    return mapped;
}

int v4lfence_munmap(void* addr, size_t length) {
    // Before the memory is anybody's: another thread may be given the address at once.
    Mappings::Counter counter = process().mappings.take(addr);
    const int unmapped = ::munmap(addr, length);
    const int error = errno;
    if (counter && unmapped == 0) {
        counter->unmapped();
    } else if (counter) {
        process().mappings.put_back(addr, std::move(counter));
    }
    errno = error;
    return unmapped;
}

ssize_t v4lfence_read(int fd, void* buffer, size_t count) {
    const std::span<std::byte> target(static_cast<std::byte*>(buffer), count);
    const Looked looked = read_inside({fd}, target);
    if (!looked) {
        return ::read(fd, buffer, count);
    }
    return finish(
        fd, *looked, [] { return Awaited{}; },
        [&](const Which& which, Look) { return read_inside(which, target); });
}

ssize_t v4lfence_write(int fd, const void* buffer, size_t count) {
    {
        const FdTable::Use file = process().files.find(fd);
        if (EmulatedCalls* const calls = file ? file->emulated() : nullptr) {
            const auto written = calls->write(fd, {static_cast<const std::byte*>(buffer), count});
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
