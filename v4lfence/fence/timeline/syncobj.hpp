// SPDX-License-Identifier: MIT
//
// DrmSyncobj: the kernel's container for a fence, or for a timeline of them, that processes share
// by a descriptor. Its ioctls are those of any DRM node whose driver has it; the layouts are here,
// so that no libdrm is linked.
//
// That descriptor is no fence: its poll() says ready whatever happens. Nothing here polls it.

#pragma once

#include <cstdint>
#include <string>
#include <utility>

#include "v4lfence/base/result.hpp"
#include "v4lfence/base/unique_fd.hpp"

namespace v4lfence {

/// One open of a DRM node. Thread: any.
class SyncobjDevice {
public:
    /// High and close-on-exec. Errors: as open(2); EMFILE.
    static Result<SyncobjDevice> open(const std::string& path);

    explicit SyncobjDevice(UniqueFd fd) noexcept : fd_(std::move(fd)) {}

    /// Borrowed.
    int fd() const noexcept { return fd_.get(); }

    /// In a forked child: what it has there stays the parent's.
    void abandon() noexcept { fd_.reset(); }

private:
    UniqueFd fd_;
};

/// Owns a handle, which belongs to one SyncobjDevice and lives while the kernel's object has any
/// handle or descriptor in any process. Of a binary one there is one fence, of a timeline one per
/// point; it becomes a timeline with its first point. Thread: any.
class [[nodiscard]] DrmSyncobj {
public:
    enum class Start : std::uint8_t { Empty, Signaled };

    /// `device` is borrowed and must outlive it. Errors: EOPNOTSUPP the driver has no syncobjs;
    /// ENOTTY, EINVAL it is no DRM node; ENOMEM.
    static Result<DrmSyncobj> create(const SyncobjDevice& device, Start start = Start::Empty);
    /// The object behind a descriptor, which stays the caller's. Errors: EINVAL it is none.
    static Result<DrmSyncobj> import(const SyncobjDevice& device, int fd);

    DrmSyncobj(DrmSyncobj&& other) noexcept
        : device_(other.device_), handle_(std::exchange(other.handle_, 0)) {}
    DrmSyncobj& operator=(DrmSyncobj&& other) noexcept {
        std::swap(device_, other.device_);
        std::swap(handle_, other.handle_);
        return *this;
    }
    DrmSyncobj(const DrmSyncobj&) = delete;
    DrmSyncobj& operator=(const DrmSyncobj&) = delete;
    ~DrmSyncobj();

    /// The object for others, close-on-exec. Errors: EMFILE.
    Result<UniqueFd> export_fd() const;

    // Binary.
    /// Replaces its fence. Errors: EINVAL no sync_file.
    Result<> put_sync_file(int sync_file);
    /// Of the fence that it has. Errors: EINVAL it has none; EMFILE.
    Result<UniqueFd> export_sync_file() const;

    // A timeline. Errors of each: EOPNOTSUPP the driver has none; ENOMEM.
    /// A point that is reached as soon as those before it are. One that is not above the highest
    /// there is changes nothing, says the kernel nowhere.
    Result<> signal(std::uint64_t point);
    /// A point that is reached when the fence of `binary` has ended and those before it are.
    Result<> take_fence(const DrmSyncobj& binary, std::uint64_t point);
    /// The highest point reached; 0 none.
    Result<std::uint64_t> reached() const;
    /// The highest point there is, reached or not; 0 none.
    Result<std::uint64_t> submitted() const;
    /// `eventfd` is written to when the point is reached, there already or not. The kernel keeps
    /// the eventfd, which never hears of it when the object goes before. Errors: ENOTTY the kernel
    /// has no such (before 6.6).
    Result<> notify(std::uint64_t point, int eventfd) const;

    /// In a forked child: the handle is the parent's.
    void abandon() noexcept { handle_ = 0; }

private:
    DrmSyncobj(const SyncobjDevice& device, std::uint32_t handle) noexcept
        : device_(&device), handle_(handle) {}

    Result<std::uint64_t> query(std::uint32_t flags) const;

    const SyncobjDevice* device_;
    std::uint32_t handle_;  ///< Never 0 of a live one.
};

}  // namespace v4lfence
