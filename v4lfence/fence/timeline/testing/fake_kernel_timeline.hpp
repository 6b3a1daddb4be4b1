// SPDX-License-Identifier: MIT
//
// A kernel's timeline that says what it was told, for machines that have none.

#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "v4lfence/fence/timeline/kernel_timeline.hpp"

namespace v4lfence::testing {

/// Outlives the timeline. Thread: any.
class TimelineLog {
public:
    void signal(std::uint64_t point) {
        const std::lock_guard lock(mutex_);
        signaled_.push_back(point);
    }
    std::vector<std::uint64_t> signaled() const {
        const std::lock_guard lock(mutex_);
        return signaled_;
    }

    std::uint64_t submitted_before = 0;  ///< By somebody else.
    int error = 0;                       ///< What signal() fails with, until it is 0 again.
    bool abandoned = false;

private:
    mutable std::mutex mutex_;
    std::vector<std::uint64_t> signaled_;
};

/// Knows no sync_files.
class FakeKernelTimeline final : public KernelTimeline {
public:
    explicit FakeKernelTimeline(TimelineLog& log) : log_(log) {}

    Result<> signal(std::uint64_t point) override {
        if (log_.error != 0) {
            return fail(log_.error, "a scripted error");
        }
        log_.signal(point);
        return {};
    }
    Result<> carry(std::uint64_t, int) override { return fail(-EINVAL, "no sync_file"); }
    Result<std::uint64_t> reached() const override { return submitted(); }
    Result<std::uint64_t> submitted() const override {
        const auto signaled = log_.signaled();
        return signaled.empty() ? log_.submitted_before : signaled.back();
    }
    Result<> notify(std::uint64_t, int) const override { return fail(-ENOTTY, "no eventfds"); }
    Result<UniqueFd> export_fd() const override { return fail(-EMFILE, "no descriptor"); }
    void abandon() noexcept override { log_.abandoned = true; }

private:
    TimelineLog& log_;
};

}  // namespace v4lfence::testing
