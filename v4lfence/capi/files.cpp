// SPDX-License-Identifier: MIT
//
// v4lfence.h: files. Each call finds the file and goes in; what is not ours goes to the kernel.

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdarg>
#include <memory>
#include <optional>
#include <span>
#include <string_view>

#include "v4lfence/base/libc_calls.hpp"
#include "v4lfence/base/syscall.hpp"
#include "v4lfence/capi/numbers.hpp"
#include "v4lfence/capi/process.hpp"
#include "v4lfence/capi/sync_ioctl.hpp"
#include "v4lfence/capi/wait.h"
#include "v4lfence/remote/connection.hpp"
#include "v4lfence/sync/out_fences.hpp"
#include "v4lfence/uapi/native_call.hpp"
#include "v4lfence/v4lfence.h"

using namespace v4lfence;
using capi::failed;
using capi::Mappings;
using capi::process;

namespace {

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
    auto plan = file->begin_wait(which.fd, awaited);
    if (!plan && capi::has_become_another(which.fd, *file, plan.error())) {
        return fail(-EBADF, "the file was closed");
    }
    return plan;
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

/// Waits without a lock, and may be cancelled as the thread may be otherwise. 0 when it is worth
/// another look.
int wait_for_news(Place& place, const remote::DeferredCancellation& deferred, bool* kernel_ready) {
    const WaitPlan& plan = place.plan;
    pollfd fds[2] = {{plan.wake_fd, POLLIN, 0}, {plan.kernel_fd, plan.kernel_events, 0}};
    const int ready = v4lfence_wait_in_poll(libc.poll, fds, 2, deferred.before(), leave, &place);
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
    // From the beginning of a wait on there is a place to leave, and a look may have taken a frame.
    const remote::DeferredCancellation deferred;
    while (true) {
        const auto plan = begin_wait(which, awaited);
        if (!plan) {
            return failed(plan.error());
        }
        Place place{which, awaited, *plan};
        bool kernel_ready = false;
        const int interrupted = wait_for_news(place, deferred, &kernel_ready);
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

/// What `call(file)` answers, if the number is a file's for which `concerns(file)`.
template <class Concerns, class Call>
Looked look_at(const Which& which, const Concerns& concerns, const Call& call) {
    std::uint64_t stale = 0;
    {
        const FdTable::Use file = find(which);
        if (!file || !concerns(*file)) {
            return std::nullopt;
        }
        Seen seen{file->serial(), call(*file)};
        if (seen.answer || !capi::has_become_another(which.fd, *file, seen.answer.error())) {
            return seen;
        }
        stale = seen.serial;
    }
    capi::forget(which.fd, stale);
    return std::nullopt;
}

Looked ioctl_inside(const Which& which, std::uint32_t request, void* argument, Look look) {
    return look_at(
        which, [&](const File& file) { return !file.passes(request, argument); },
        [&](File& file) { return file.ioctl(which.fd, request, argument, look); });
}

bool is_emulated(File& file) {
    return file.emulated() != nullptr;
}

Looked read_inside(const Which& which, std::span<std::byte> target) {
    return look_at(which, is_emulated,
                   [&](File& file) { return file.emulated()->read(which.fd, target); });
}

Looked write_inside(const Which& which, std::span<const std::byte> source) {
    return look_at(which, is_emulated,
                   [&](File& file) { return file.emulated()->write(which.fd, source); });
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

/// What mmap(2) of the number maps: its own file, where that is not emulated.
Result<EmulatedCalls::Mappable> source_of_mapping(int fd, std::size_t length, int protection,
                                                  int flags, std::int64_t offset) {
    std::uint64_t stale = 0;
    {
        const FdTable::Use file = process().files.find(fd);
        EmulatedCalls* const calls = file ? file->emulated() : nullptr;
        if (calls != nullptr) {
            auto mappable = calls->mappable(fd, length, protection, flags, offset);
            if (mappable || !capi::has_become_another(fd, *file, mappable.error())) {
                return mappable;
            }
            stale = file->serial();
        }
    }
    if (stale != 0) {
        capi::forget(fd, stale);
    }
    return EmulatedCalls::Mappable{fd, offset, nullptr, nullptr};
}

/// Until the number has a file behind it, it is nobody's.
Result<int> duplicate(int fd) {
    UniqueFd copy = V4LFENCE_TRY(sys::dup_inherited(fd));
    if (process().files.find(fd)) {
        V4LFENCE_TRY(capi::share(fd, copy.get()));
    }
    return std::move(copy).release();
}

/// What the kernel has refused on a descriptor that may be a fence of ours.
int sync_ioctl(int fd, std::uint32_t request, void* argument) {
    const int error = errno;
    const auto answer = capi::sync_ioctl(process(), fd, request, argument);
    if (!answer) {
        return failed(answer.error().code == -ENOTTY ? Error{-error, "ioctl"} : answer.error());
    }
    return 0;
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
        const auto opened = capi::open_virtual(path, flags);
        return opened ? *opened : failed(opened.error());
    }
    const int fd = libc.open(path, flags, mode);
    if (fd < 0) {
        return -1;
    }
    capi::take_opened(fd);
    return fd;
}

int v4lfence_fd_open(int fd) {
    if (capi::take_over(fd, capi::is_video_node)) {
        return fd;
    }
    const auto flags = sys::get_status_flags(fd);
    return failed(flags ? Error{-EINVAL, "no video device"} : flags.error());
}

int v4lfence_dup(int fd) {
    const auto copy = duplicate(fd);
    return copy ? *copy : failed(copy.error());
}

int v4lfence_close(int fd) {
    const std::unique_ptr<File> last(process().files.take(fd));
    if (last) {
        last->close();
    }
    const int status = libc.close(fd);
    if (last) {
        const int error = errno;
        last->closed();
        errno = error;
    }
    return status;
}

int v4lfence_ioctl(int fd, unsigned long request, ...) {
    va_list arguments;
    va_start(arguments, request);
    void* const argument = va_arg(arguments, void*);
    va_end(arguments);
    // Programs built with an int prototype sign-extend it.
    const auto number = static_cast<std::uint32_t>(request);
    NativeCall native(number, argument);
    const Looked looked = ioctl_inside({fd}, native.request(), native.argument(), {});
    if (!looked) {
        const int status = libc.ioctl(fd, request, argument);
        return status < 0 && capi::is_sync_request(number) ? sync_ioctl(fd, number, argument)
                                                           : status;
    }
    const auto status = static_cast<int>(finish(
        fd, *looked, [&] { return awaited_by(native.request(), native.argument()); },
        [&](const Which& which, Look look) {
            return ioctl_inside(which, native.request(), native.argument(), look);
        }));
    if (status >= 0) {
        native.give_back();
    }
    return status;
}

void* v4lfence_mmap(void* addr, size_t length, int prot, int flags, int fd, int64_t offset) {
    auto source = source_of_mapping(fd, length, prot, flags, offset);
    if (!source) {
        failed(source.error());
        return MAP_FAILED;
    }
    void* const mapped = libc.mmap(addr, length, prot, flags, source->fd, source->offset);
    if (mapped != MAP_FAILED) {
        process().mappings.add(mapped, std::move(source->counter));
    }
    return mapped;
}

int v4lfence_munmap(void* addr, size_t length) {
    // Before the memory is anybody's: another thread may be given the address at once.
    Mappings::Counter counter = process().mappings.take(addr);
    const int unmapped = libc.munmap(addr, length);
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
        return libc.read(fd, buffer, count);
    }
    return finish(
        fd, *looked, [] { return Awaited{}; },
        [&](const Which& which, Look) { return read_inside(which, target); });
}

ssize_t v4lfence_write(int fd, const void* buffer, size_t count) {
    const Looked looked = write_inside({fd}, {static_cast<const std::byte*>(buffer), count});
    if (!looked) {
        return libc.write(fd, buffer, count);
    }
    return looked->answer ? looked->answer->value : failed(looked->answer.error());
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

int v4lfence_set_implicit(int fd, unsigned flags) {
    static_assert(V4LFENCE_IMPLICIT_IN == implicit_in && V4LFENCE_IMPLICIT_OUT == implicit_out);
    const FdTable::Use file = process().files.find(fd);
    if (!file) {
        return failed(Error{-ENOTTY, "v4lfence_set_implicit"});
    }
    const auto set = file->set_implicit(flags);
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

int v4lfence_set_fence_names(int fd, int on) {
    const FdTable::Use file = process().files.find(fd);
    if (!file) {
        return failed(Error{-ENOTTY, "v4lfence_set_fence_names"});
    }
    const auto set = file->set_fence_names(on != 0);
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
