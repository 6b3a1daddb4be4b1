// SPDX-License-Identifier: MIT
//
// FramePacer: the time by which a frame thread lives, and how it waits.

#pragma once

#include <condition_variable>
#include <mutex>

#include "v4lfence/base/time.hpp"

namespace v4lfence {

/// Thread: one waits; any may ask for the time and wake it.
class FramePacer : public Clock {
public:
    /// Returns at `deadline`, after a wake() since the last wait(), or for no reason.
    virtual void wait(Deadline deadline) = 0;
    virtual void wake() = 0;
};

/// CLOCK_MONOTONIC.
class SystemPacer final : public FramePacer {
public:
    MonotonicTime now() const override { return SystemClock().now(); }
    void wait(Deadline deadline) override;
    void wake() override;

private:
    std::mutex mutex_;
    std::condition_variable bell_;
    bool rung_ = false;
};

}  // namespace v4lfence
