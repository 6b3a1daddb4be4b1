// SPDX-License-Identifier: MIT

#include "v4lfence/v4l2/file_calls.hpp"

#include <fcntl.h>
#include <linux/videodev2.h>
#include <sys/mman.h>

#include "v4lfence/base/mapped_memory.hpp"
#include "v4lfence/base/syscall.hpp"
#include "v4lfence/v4l2/device.hpp"

namespace v4lfence::file_calls {

bool is_nothing_yet(const IoctlEntry& entry, const Error& error) {
    return (entry.request == VIDIOC_DQBUF && error.code == -EAGAIN) ||
           (entry.request == VIDIOC_DQEVENT && error.code == -ENOENT);
}

Result<FileAnswer> nothing_yet(int fd, const Error& error) {
    if (V4LFENCE_TRY(sys::get_status_flags(fd)) & O_NONBLOCK) {
        return tl::unexpected<Error>(error);
    }
    return FileAnswer{0, true};
}

tl::unexpected<Error> parents() {
    return fail(-EIO, "the file is the parent process's");
}

Result<std::size_t> read(FileHandle& file, ReadTarget& target, int caller) {
    VideoDevice& device = file.device();
    if (device.is_gone()) {
        return fail(-ENODEV, "the device is gone");
    }
    const VideoDevice::Turn turn(device);
    V4LFENCE_TRY(device.check_owner(file));
    const bool owned = device.is_owner(file);
    // Before the first frame can come, so that somebody hears of it.
    device.set_owner(&file);
    const auto count = device.file_io().read(target, caller);
    if (!owned && !device.file_io().active()) {
        device.set_owner(nullptr);
    }
    return count;
}

Result<Queue::Mappable> find_mappable(FileHandle& file, const MapRequest& request) {
    VideoDevice& device = file.device();
    if (device.is_gone()) {
        return fail(-ENODEV, "the device is gone");
    }
    if (device.file_io().active()) {
        return fail(-EBUSY, "the queue is being read");
    }
    const int needed = device.is_output() ? PROT_WRITE : PROT_READ;
    if ((request.flags & MAP_SHARED) == 0 || (request.protection & needed) == 0 ||
        request.offset < 0) {
        return fail(-EINVAL, "a mapping of a buffer is shared, and can be read or written");
    }
    const auto offset = static_cast<std::uint64_t>(request.offset);
    auto found = V4LFENCE_TRY(device.queue().mappable(offset));
    if (request.length > round_up_to_pages(found.plane->bytes().size())) {
        return fail(-EINVAL, "longer than the plane");
    }
    return found;
}

Result<WaitPlan> begin_wait(FileHandle& file, const Awaited& awaited, int caller) {
    VideoDevice& device = file.device();
    if (awaited.what == Awaited::What::Buffer) {
        const Queue::WaitPlan plan = V4LFENCE_TRY(device.queue().begin_wait(caller));
        return WaitPlan{plan.wake_fd, -1, 0, plan.generation};
    }
    Wake* const bell = V4LFENCE_TRY(file.event_wake());
    bell->begin();
    if (file.events().pending() > 0 || device.is_gone()) {
        bell->notify();
    }
    return WaitPlan{bell->fd(), -1, 0, 0};
}

Result<> end_wait(FileHandle& file, const Awaited& awaited, const WaitPlan& plan, int caller) {
    if (awaited.what == Awaited::What::Buffer) {
        return file.device().queue().end_wait({plan.wake_fd, plan.generation}, caller);
    }
    if (const auto bell = file.event_wake()) {
        (*bell)->end();
    }
    return {};
}

void wake_waiter(FileHandle& file, const Awaited& awaited, int caller) {
    if (awaited.what == Awaited::What::Buffer) {
        file.device().queue().wake_waiter(caller);
    } else if (const auto bell = file.event_wake()) {
        (*bell)->notify();
    }
}

Result<> set_provider(FileHandle& file, std::string_view name) {
    FenceProvider* provider = V4LFENCE_TRY(file.device().core().provider(name));
    file.become_fenced();
    // The names of traits are literals.
    file.options().provider.store(provider->traits().name.data());
    return {};
}

void set_deadline(FileHandle& file, unsigned deadline_ms) {
    file.become_fenced();
    file.options().deadline_ms.store(deadline_ms);
}

Result<> set_implicit(FileHandle& file, unsigned flags) {
    V4LFENCE_TRY(check_implicit(flags, file.device().core()));
    file.become_fenced();
    file.options().implicit.store(flags);
    return {};
}

void set_rfc_caps(FileHandle& file, bool on) {
    file.become_fenced();
    file.set_rfc_caps(on);
}

void set_fence_names(FileHandle& file, bool on) {
    file.become_fenced();
    if (!on) {
        file.options().labels.turn_off();
        return;
    }
    // "camera-0"
    constexpr std::string_view usual = "platform:v4lfence-";
    const std::string_view bus = file.device().identity().bus_info;
    file.options().labels.turn_on(bus.starts_with(usual) ? bus.substr(usual.size()) : bus);
}

File::TypedExpiry last_expiry(const FileHandle& file) {
    VideoDevice& device = file.device();
    return File::TypedExpiry{device.buffer_type(), device.queue().last_expiry()};
}

}  // namespace v4lfence::file_calls
