// SPDX-License-Identifier: MIT
//
// FenceTimer: fences of the tool's own that end after a delay, whatever the order they were made
// in.

#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "v4lfence/base/result.hpp"
#include "v4lfence/base/time.hpp"
#include "v4lfence/base/unique_fd.hpp"

struct v4lfence_promise;

namespace v4lfence {

/// Which buffers wait for a fence of the timer's.
struct TimedFence {
    unsigned index = 0;
    std::optional<unsigned> previous_index;  ///< Of the frame queued before.
};

class FenceTimer {
public:
    /// Called on the timer's thread, with no lock held.
    class Listener {
    public:
        /// Right before a fence ends. Returns whether ended() is wanted.
        virtual bool about_to_end(const TimedFence& fence) = 0;
        virtual void ended(const TimedFence& fence, std::int64_t ended_at_ns) = 0;

    protected:
        ~Listener() = default;
    };

    /// `listener` is borrowed and must outlive the timer.
    FenceTimer(std::string provider, Listener& listener);
    /// As stop().
    ~FenceTimer();

    /// A pending fence that ends `delay` from now. Errors: as v4lfence_promise_create().
    Result<UniqueFd> arm(std::chrono::milliseconds delay, const TimedFence& fence);

    /// Ends all that are pending, with -ECANCELED, and the thread. Idempotent.
    void stop();

private:
    struct Entry {
        MonotonicTime due;
        TimedFence fence;
        v4lfence_promise* promise;

        bool operator<(const Entry& other) const { return due > other.due; }
    };

    void run();
    void end(const Entry& entry);

    const std::string provider_;
    Listener& listener_;
    std::mutex mutex_;
    std::condition_variable changed_;
    std::vector<Entry> heap_;  ///< The earliest on top. Guarded by mutex_.
    bool stopping_ = false;    ///< Guarded by mutex_.
    std::thread thread_;
};

}  // namespace v4lfence
