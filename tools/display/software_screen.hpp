// SPDX-License-Identifier: MIT
//
// SoftwareScreen: when a display would show what. Knows no clock, no thread, no fence: it is told.

#pragma once

#include <cstdint>

#include "v4lfence/base/time.hpp"

namespace v4lfence {

struct Refresh {
    std::uint32_t sequence = 0;
    MonotonicTime time;
};

class SoftwareScreen {
public:
    /// Refreshes come at `first` and every `interval` from then on.
    SoftwareScreen(MonotonicTime first, Nanoseconds interval)
        : first_(first), interval_(interval) {}

    /// A commit is under way, from commit() to flip().
    bool busy() const { return next_ != 0; }

    /// Takes the picture. Not while it is busy.
    void commit(int picture) {
        next_ = picture;
        due_.reset();
    }

    /// What the commit waited for has ended: it is due at the next refresh after `now`.
    void fence_ended(MonotonicTime now) { due_ = first_ + (refreshes_until(now) + 1) * interval_; }

    /// Of the commit under way; empty: its fence has not ended.
    Deadline due() const { return due_; }

    /// The picture of the commit comes to the screen, at the latest refresh that `now` has seen;
    /// that is the due one unless the caller is late.
    Refresh flip(MonotonicTime now) {
        shown_ = next_;
        next_ = 0;
        due_.reset();
        const std::int64_t count = refreshes_until(now);
        return {static_cast<std::uint32_t>(count), first_ + count * interval_};
    }

    int shown() const { return shown_; }
    int next() const { return next_; }

private:
    std::int64_t refreshes_until(MonotonicTime now) const { return (now - first_) / interval_; }

    const MonotonicTime first_;
    const Nanoseconds interval_;
    int shown_ = 0;  ///< 0: nothing.
    int next_ = 0;
    Deadline due_;
};

}  // namespace v4lfence
