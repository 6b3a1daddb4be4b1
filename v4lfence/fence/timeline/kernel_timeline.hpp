// SPDX-License-Identifier: MIT
//
// KernelTimeline: the kernel's half of a timeline, as far as a Timeline uses it. DrmTimeline is the
// real one; tests have another where no machine has any.

#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <utility>

#include "v4lfence/base/result.hpp"
#include "v4lfence/base/unique_fd.hpp"
#include "v4lfence/fence/timeline/syncobj.hpp"

namespace v4lfence {

/// Points are submitted in rising order; one is reached when it has ended and all before it are.
/// A point that was never submitted is reached with the next above it. No call waits.
/// Thread: one at a time.
class KernelTimeline {
public:
    virtual ~KernelTimeline() = default;

    /// A point that has ended. Errors: ENOMEM.
    virtual Result<> signal(std::uint64_t point) = 0;
    /// A point that ends with a sync_file. Errors: EINVAL it is none; ENOMEM.
    virtual Result<> carry(std::uint64_t point, int sync_file) = 0;
    /// The highest point reached, and the highest submitted; 0 none.
    virtual Result<std::uint64_t> reached() const = 0;
    virtual Result<std::uint64_t> submitted() const = 0;
    /// `eventfd` is written to when the point is reached. Errors: ENOTTY before Linux 6.6.
    virtual Result<> notify(std::uint64_t point, int eventfd) const = 0;
    /// For others, close-on-exec. Errors: EMFILE.
    virtual Result<UniqueFd> export_fd() const = 0;
    /// In a forked child: it is the parent's.
    virtual void abandon() noexcept = 0;
};

/// A syncobj of a DRM device, and one more as the way of a sync_file into a point.
class DrmTimeline final : public KernelTimeline {
public:
    /// A new one, or that behind `syncobj`, which stays the caller's. Errors: EINVAL no syncobj;
    /// EOPNOTSUPP; ENOMEM.
    static Result<std::unique_ptr<DrmTimeline>> create(SyncobjDevice device,
                                                       std::optional<int> syncobj = std::nullopt);

    Result<> signal(std::uint64_t point) override { return points_->signal(point); }
    Result<> carry(std::uint64_t point, int sync_file) override;
    Result<std::uint64_t> reached() const override { return points_->reached(); }
    Result<std::uint64_t> submitted() const override { return points_->submitted(); }
    Result<> notify(std::uint64_t point, int eventfd) const override {
        return points_->notify(point, eventfd);
    }
    Result<UniqueFd> export_fd() const override { return points_->export_fd(); }
    void abandon() noexcept override;

private:
    explicit DrmTimeline(SyncobjDevice device) noexcept : device_(std::move(device)) {}

    SyncobjDevice device_;
    std::optional<DrmSyncobj> points_;
    std::optional<DrmSyncobj> carrier_;  ///< Binary.
};

}  // namespace v4lfence
