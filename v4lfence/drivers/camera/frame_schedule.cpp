// SPDX-License-Identifier: MIT

#include "v4lfence/drivers/camera/frame_schedule.hpp"

namespace v4lfence {

namespace {

__extension__ using Wide = unsigned __int128;

constexpr std::uint64_t second_ns = 1'000'000'000;

}  // namespace

MonotonicTime FrameSchedule::time_of(std::uint64_t index) const {
    const Wide ns = Wide{index} * interval_.numerator * second_ns / interval_.denominator;
    return base_ + Nanoseconds(static_cast<std::int64_t>(ns));
}

void FrameSchedule::rebase() {
    if (index_ > 0) {
        base_ = time_of(index_ - 1);
        index_ = 1;
    }
}

Exposure FrameSchedule::take() {
    const MonotonicTime at = next();
    ++index_;
    return {sequence_++, at, next()};
}

Exposure FrameSchedule::take_at(MonotonicTime now) {
    restart(now);
    return {sequence_++, now, now};
}

void FrameSchedule::restart(MonotonicTime now) {
    base_ = now;
    index_ = 1;
}

std::uint32_t FrameSchedule::skip_before(MonotonicTime time) {
    if (time_of(index_ + 1) > time) {
        return 0;
    }
    const auto past_ns = static_cast<std::uint64_t>((time - base_).count());
    const Wide intervals =
        Wide{past_ns} * interval_.denominator / (Wide{interval_.numerator} * second_ns);
    const auto last = static_cast<std::uint64_t>(intervals);
    const auto lost = static_cast<std::uint32_t>(last - index_);
    sequence_ += lost;
    index_ = last;
    return lost;
}

void FrameSchedule::set_interval(FrameInterval interval) {
    rebase();
    interval_ = interval;
}

}  // namespace v4lfence
