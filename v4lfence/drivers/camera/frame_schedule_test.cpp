// SPDX-License-Identifier: MIT

#include <gtest/gtest.h>

#include "v4lfence/drivers/camera/frame_schedule.hpp"

namespace v4lfence {
namespace {

const MonotonicTime start = from_ns(5'000'000'007);

TEST(FrameSchedule, first_frame_is_now) {
    FrameSchedule schedule(start, {1, 30});
    EXPECT_EQ(schedule.next(), start);
    EXPECT_EQ(schedule.take(), (Exposure{0, start}));
}

TEST(FrameSchedule, frames_of_a_day_do_not_drift) {
    FrameSchedule schedule(start, {1001, 240000});
    constexpr std::uint64_t frames = 240ULL * 3600 * 24;
    schedule.skip_before(start + std::chrono::hours(24));
    const Exposure exposure = schedule.take();
    const std::uint64_t expected_ns = exposure.sequence * 1001ULL * 12500 / 3;
    EXPECT_EQ(exposure.at - start, Nanoseconds(expected_ns));
    EXPECT_NEAR(exposure.sequence, frames * 1000 / 1001, 1);
}

TEST(FrameSchedule, skipped_frames_keep_their_numbers) {
    FrameSchedule schedule(start, {1, 10});
    schedule.take();
    EXPECT_EQ(schedule.skip_before(start + std::chrono::milliseconds(450)), 3U);
    EXPECT_EQ(schedule.take(), (Exposure{4, start + std::chrono::milliseconds(400)}));
    EXPECT_EQ(schedule.skip_before(start + std::chrono::milliseconds(599)), 0U);
    EXPECT_EQ(schedule.take().sequence, 5U);
}

TEST(FrameSchedule, changed_interval_counts_from_the_frame_before) {
    FrameSchedule schedule(start, {1, 10});
    schedule.take();
    schedule.take();
    schedule.set_interval({1, 100});
    EXPECT_EQ(schedule.take(), (Exposure{2, start + std::chrono::milliseconds(110)}));
    EXPECT_EQ(schedule.take(), (Exposure{3, start + std::chrono::milliseconds(120)}));
}

TEST(FrameSchedule, interval_changed_before_the_first_frame_leaves_it_where_it_is) {
    FrameSchedule schedule(start, {1, 10});
    schedule.set_interval({1, 100});
    EXPECT_EQ(schedule.take(), (Exposure{0, start}));
}

TEST(FrameSchedule, frame_out_of_turn_keeps_the_count) {
    FrameSchedule schedule(start, {1, 10});
    schedule.take();
    const MonotonicTime later = start + std::chrono::milliseconds(3);
    EXPECT_EQ(schedule.take_at(later), (Exposure{1, later}));
    EXPECT_EQ(schedule.take(), (Exposure{2, later + std::chrono::milliseconds(100)}));
}

}  // namespace
}  // namespace v4lfence
