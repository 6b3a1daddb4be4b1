// SPDX-License-Identifier: MIT

#include "v4lfence/v4l2/virtual_file.hpp"

#include <poll.h>

#include <utility>

#include "v4lfence/base/pointer.hpp"
#include "v4lfence/base/syscall.hpp"
#include "v4lfence/v4l2/dispatch.hpp"
#include "v4lfence/v4l2/file_calls.hpp"
#include "v4lfence/v4l2/flatten.hpp"

namespace v4lfence {

namespace {

using file_calls::nothing_yet;
using file_calls::parents;

/// Counts in the memory of the buffer, which may be gone by then.
class CountedMapping final : public MappingCounter {
public:
    explicit CountedMapping(const std::shared_ptr<BufferMemory>& memory) : memory_(memory) {}

    void mapped() noexcept override { add(1); }
    void unmapped() noexcept override { add(-1); }

private:
    void add(int more) noexcept {
        if (const auto memory = memory_.lock()) {
            memory->mappings.fetch_add(static_cast<unsigned>(more));
        }
    }

    const std::weak_ptr<BufferMemory> memory_;
};

}  // namespace

VirtualFile::VirtualFile(std::shared_ptr<VideoDevice> device, FileHandle::Opened& opened)
    : device_(std::move(device)), handle_(std::move(opened.handle)) {
    handle_->set_program_fd(opened.program_end.get());
}

Result<VirtualFile::Opened> VirtualFile::open(std::shared_ptr<VideoDevice> device) {
    FileHandle::Opened opened = V4LFENCE_TRY(FileHandle::open(*device));
    std::unique_ptr<VirtualFile> file(new VirtualFile(std::move(device), opened));
    return Opened{std::move(file), std::move(opened.program_end)};
}

VirtualFile::~VirtualFile() {
    if (is_abandoned()) {
        // Its locks may be held by threads that only the parent has.
        (void)handle_.release();
    }
}

void VirtualFile::renumber(int /*closed*/, int left) {
    if (!is_abandoned()) {
        handle_->set_program_fd(left);
    }
}

void VirtualFile::close() {
    if (!is_abandoned()) {
        handle_.reset();
    }
}

// --- calls ---------------------------------------------------------------------------------------

Result<File::Answer> VirtualFile::ioctl(int fd, std::uint32_t request, void* argument,
                                        Look /*look*/) {
    if (is_abandoned()) {
        return parents();
    }
    const IoctlEntry* entry = find_ioctl(request);
    if (entry == nullptr) {
        return fail(-ENOTTY, "no such ioctl");
    }
    handle_->set_program_fd(fd);
    FlatCall flat;
    V4LFENCE_TRY(flat.copy_in(*handle_, *entry, request, argument));
    const auto done = dispatch(*handle_, *entry, flat.call());
    flat.copy_out(done.has_value());
    if (done) {
        return Answer{};
    }
    const bool nothing = file_calls::is_nothing_yet(*entry, done.error());
    return nothing ? nothing_yet(fd, done.error()) : tl::unexpected<Error>(done.error());
}

Result<File::Answer> VirtualFile::read(int fd, std::span<std::byte> target) {
    if (is_abandoned()) {
        return parents();
    }
    if (target.data() == nullptr) {
        return fail(-EINVAL, "read() without memory");
    }
    if (!is_plausible(target.data())) {
        return fail(-EFAULT, "the memory to read to is no pointer");
    }
    LocalTarget local(target);
    const auto count = file_calls::read(*handle_, local, sys::thread_id());
    if (!count && count.error().code == -EAGAIN) {
        return nothing_yet(fd, count.error());
    }
    return Answer{static_cast<std::int64_t>(V4LFENCE_TRY(count))};
}

Result<File::Answer> VirtualFile::write(int /*fd*/, std::span<const std::byte> /*source*/) {
    return fail(-EINVAL, "the device cannot be written");
}

Result<EmulatedCalls::Mappable> VirtualFile::mappable(int /*fd*/, std::size_t length,
                                                      int protection, int flags,
                                                      std::int64_t offset) {
    if (is_abandoned()) {
        return parents();
    }
    const auto found =
        V4LFENCE_TRY(file_calls::find_mappable(*handle_, {length, protection, flags, offset}));
    return Mappable{found.plane->map_fd(), found.plane->map_offset(), found.memory,
                    std::make_unique<CountedMapping>(found.memory)};
}

// --- waiting -------------------------------------------------------------------------------------

Result<WaitPlan> VirtualFile::begin_wait(int /*fd*/, const Awaited& awaited) {
    if (is_abandoned()) {
        return parents();
    }
    return file_calls::begin_wait(*handle_, awaited, sys::thread_id());
}

Result<> VirtualFile::end_wait(const Awaited& awaited, const WaitPlan& plan) {
    if (is_abandoned()) {
        return parents();
    }
    return file_calls::end_wait(*handle_, awaited, plan, sys::thread_id());
}

File::Readiness VirtualFile::readiness() const {
    constexpr short input = POLLIN | POLLRDNORM;
    constexpr short output = POLLOUT | POLLWRNORM;
    return Readiness{input | output | POLLPRI, handle_->poll_state(),
                     device_->is_output() ? output : input};
}

Result<Wake*> VirtualFile::pollers() {
    return handle_->poll_wake();
}

Result<> VirtualFile::epoll_ctl(int fd, int epfd, int operation, epoll_event* event) {
    return sys::epoll_ctl_raw(epfd, operation, fd, event);
}

// --- options -------------------------------------------------------------------------------------

Result<> VirtualFile::set_provider(std::string_view name) {
    if (is_abandoned()) {
        return parents();
    }
    return file_calls::set_provider(*handle_, name);
}

Result<> VirtualFile::set_deadline(unsigned deadline_ms) {
    if (is_abandoned()) {
        return parents();
    }
    file_calls::set_deadline(*handle_, deadline_ms);
    return {};
}

Result<> VirtualFile::set_implicit(unsigned flags) {
    if (is_abandoned()) {
        return parents();
    }
    return file_calls::set_implicit(*handle_, flags);
}

Result<> VirtualFile::set_rfc_caps(bool on) {
    if (is_abandoned()) {
        return parents();
    }
    file_calls::set_rfc_caps(*handle_, on);
    return {};
}

Result<> VirtualFile::set_fence_names(bool on) {
    if (is_abandoned()) {
        return parents();
    }
    file_calls::set_fence_names(*handle_, on);
    return {};
}

File::TypedExpiry VirtualFile::last_expiry() const {
    return file_calls::last_expiry(*handle_);
}

}  // namespace v4lfence
