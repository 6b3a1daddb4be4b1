// SPDX-License-Identifier: MIT
//
// VirtualFile: one open() of a virtual device as the ways in know it.

#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string_view>

#include "v4lfence/uapi/file.hpp"
#include "v4lfence/v4l2/device.hpp"
#include "v4lfence/v4l2/file_handle.hpp"

namespace v4lfence {

/// Thread: every member may be called from any thread.
class VirtualFile final : public File, private EmulatedCalls {
public:
    struct Opened {
        std::unique_ptr<VirtualFile> file;
        UniqueFd fd;  ///< The program's.
    };
    /// Errors: EMFILE, ENFILE, ENOMEM; ENODEV the device is gone.
    static Result<Opened> open(std::shared_ptr<VideoDevice> device);
    /// close() came before.
    ~VirtualFile() override;

    /// Is `fd` this file, by another number?
    bool is_same(std::uint64_t identity) const { return handle_->identity() == identity; }

    /// Everything is ours.
    bool passes(std::uint32_t, const void*) const override { return false; }
    Result<Answer> ioctl(int fd, std::uint32_t request, void* argument, Look look) override;
    void renumber(int closed, int left) override;
    EmulatedCalls* emulated() noexcept override { return this; }

    Result<WaitPlan> begin_wait(int fd, const Awaited& awaited) override;
    Result<> end_wait(const Awaited& awaited, const WaitPlan& plan) override;

    Result<> set_provider(std::string_view name) override;
    Result<> set_deadline(unsigned deadline_ms) override;
    Result<> set_implicit(unsigned flags) override;
    Result<> set_rfc_caps(bool on) override;
    Result<> set_fence_names(bool on) override;
    TypedExpiry last_expiry() const override;

    bool corrects_poll() const override { return !is_abandoned(); }
    /// The bell tells of everything but hang-up, so that nothing has to be asked of the descriptor.
    Readiness readiness() const override;
    Readiness readiness_for_poll() override { return readiness(); }
    Result<Wake*> pollers() override;
    Result<> epoll_ctl(int fd, int epfd, int operation, epoll_event* event) override;

    void close() override;

    bool fenced() const noexcept { return handle_->fenced(); }

private:
    VirtualFile(std::shared_ptr<VideoDevice> device, FileHandle::Opened& opened);

    Result<Answer> read(int fd, std::span<std::byte> target) override;
    Result<Answer> write(int fd, std::span<const std::byte> source) override;
    Result<Mappable> mappable(int fd, std::size_t length, int protection, int flags,
                              std::int64_t offset) override;

    bool is_abandoned() const noexcept { return device_->is_abandoned(); }

    const std::shared_ptr<VideoDevice> device_;
    std::unique_ptr<FileHandle> handle_;
};

}  // namespace v4lfence
