// SPDX-License-Identifier: MIT
//
// FrameSchedule: when which frame is exposed. Frame n of an interval begins n intervals after the
// first, to the nanosecond, however late anybody looks.

#pragma once

#include <cstdint>

#include "v4lfence/base/time.hpp"
#include "v4lfence/drivers/picture/painter.hpp"

namespace v4lfence {

struct Exposure {
    std::uint32_t sequence = 0;
    MonotonicTime at;
    MonotonicTime end;  ///< Of the frame: when the next one begins, or at once if it is free.

    bool operator==(const Exposure&) const = default;
};

/// Thread: one. Numerator and denominator of an interval are not 0.
class FrameSchedule {
public:
    FrameSchedule(MonotonicTime first, FrameInterval interval)
        : base_(first), interval_(interval) {}

    MonotonicTime next() const { return time_of(index_); }

    /// The next frame; it is taken, or lost if nobody wants it.
    Exposure take();

    /// The next frame, now. The one after it comes an interval later.
    Exposure take_at(MonotonicTime now);

    /// The next frame comes an interval after `now`, with the next number.
    void restart(MonotonicTime now);

    /// Those that began before `time` are lost, but for the last of them; returns how many.
    std::uint32_t skip_before(MonotonicTime time);

    /// Between the frame taken last and the next one too.
    void set_interval(FrameInterval interval);

private:
    MonotonicTime time_of(std::uint64_t index) const;
    void rebase();

    MonotonicTime base_;  ///< When frame 0 of this interval began.
    FrameInterval interval_;
    std::uint64_t index_ = 0;  ///< Of the next, since `base_`.
    std::uint32_t sequence_ = 0;
};

}  // namespace v4lfence
