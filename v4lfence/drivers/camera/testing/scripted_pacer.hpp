// SPDX-License-Identifier: MIT
//
// A pacer whose time stands still until a test moves it, and which knows when the frame thread has
// done everything that is due.

#pragma once

#include "v4lfence/drivers/camera/frame_pacer.hpp"

namespace v4lfence::testing {

/// Thread: any.
class ScriptedPacer final : public FramePacer {
public:
    MonotonicTime now() const override {
        const std::lock_guard lock(mutex_);
        return now_;
    }

    void wait(Deadline deadline) override {
        std::unique_lock lock(mutex_);
        deadline_ = deadline;
        waiting_ = true;
        changed_.notify_all();
        changed_.wait(lock, [this] { return is_due(); });
        waiting_ = false;
        rung_ = false;
    }

    void wake() override {
        const std::lock_guard lock(mutex_);
        rung_ = true;
        changed_.notify_all();
    }

    /// Moves the time on; when it returns the thread waits for a later one. False: it never did.
    bool advance(Nanoseconds by) {
        {
            const std::lock_guard lock(mutex_);
            now_ += by;
            changed_.notify_all();
        }
        return settle();
    }

    /// The thread has done what is due now. False: it does not come to rest.
    bool settle() {
        std::unique_lock lock(mutex_);
        return changed_.wait_for(lock, std::chrono::seconds(20),
                                 [this] { return waiting_ && !is_due(); });
    }

    /// What the thread waits for.
    Deadline deadline() const {
        const std::lock_guard lock(mutex_);
        return deadline_;
    }

private:
    bool is_due() const { return rung_ || (deadline_ && now_ >= *deadline_); }

    mutable std::mutex mutex_;
    std::condition_variable changed_;
    MonotonicTime now_ = from_ns(1'000'000'000);
    Deadline deadline_;
    bool waiting_ = false;
    bool rung_ = false;
};

}  // namespace v4lfence::testing
