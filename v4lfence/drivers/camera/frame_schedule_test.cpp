// SPDX-License-Identifier: MIT

#include <gtest/gtest.h>

#include "v4lfence/drivers/camera/frame_schedule.hpp"

namespace v4lfence {
namespace {

const MonotonicTime start = from_ns(5'000'000'007);

Exposure exposure(std::uint32_t sequence, int at_ms, int end_ms) {
    return {sequence, start + std::chrono::milliseconds(at_ms),
            start + std::chrono::milliseconds(end_ms)};
}

TEST(FrameSchedule, first_frame_is_now) {
    FrameSchedule schedule(start, {1, 30});
    EXPECT_EQ(schedule.next(), start);
    const Exposure first = schedule.take();
    EXPECT_EQ(first.sequence, 0U);
    EXPECT_EQ(first.at, start);
    EXPECT_EQ(first.end, schedule.next());
}

TEST(FrameSchedule, frames_of_a_day_do_not_drift) {
    FrameSchedule schedule(start, {1001, 240000});
    constexpr std::uint64_t frames = 240ULL * 3600 * 24;
    schedule.skip_before(start + std::chrono::hours(24));
    const Exposure last = schedule.take();
    const std::uint64_t expected_ns = last.sequence * 1001ULL * 12500 / 3;
    EXPECT_EQ(last.at - start, Nanoseconds(expected_ns));
    EXPECT_NEAR(last.sequence, frames * 1000 / 1001, 1);
}

TEST(FrameSchedule, skipped_frames_keep_their_numbers) {
    FrameSchedule schedule(start, {1, 10});
    schedule.take();
    EXPECT_EQ(schedule.skip_before(start + std::chrono::milliseconds(450)), 3U);
    EXPECT_EQ(schedule.take(), exposure(4, 400, 500));
    EXPECT_EQ(schedule.skip_before(start + std::chrono::milliseconds(599)), 0U);
    EXPECT_EQ(schedule.take().sequence, 5U);
}

TEST(FrameSchedule, changed_interval_counts_from_the_frame_before) {
    FrameSchedule schedule(start, {1, 10});
    schedule.take();
    schedule.take();
    schedule.set_interval({1, 100});
    EXPECT_EQ(schedule.take(), exposure(2, 110, 120));
    EXPECT_EQ(schedule.take(), exposure(3, 120, 130));
}

TEST(FrameSchedule, interval_changed_before_the_first_frame_leaves_it_where_it_is) {
    FrameSchedule schedule(start, {1, 10});
    schedule.set_interval({1, 100});
    EXPECT_EQ(schedule.take(), exposure(0, 0, 10));
}

TEST(FrameSchedule, restart_skips_time_and_no_number) {
    FrameSchedule schedule(start, {1, 10});
    schedule.take();
    schedule.restart(start + std::chrono::milliseconds(5000));
    EXPECT_EQ(schedule.skip_before(start + std::chrono::milliseconds(5000)), 0U);
    EXPECT_EQ(schedule.take(), exposure(1, 5100, 5200));
}

TEST(FrameSchedule, frame_out_of_turn_keeps_the_count) {
    FrameSchedule schedule(start, {1, 10});
    schedule.take();
    EXPECT_EQ(schedule.take_at(start + std::chrono::milliseconds(3)), exposure(1, 3, 3));
    EXPECT_EQ(schedule.take(), exposure(2, 103, 203));
}

}  // namespace
}  // namespace v4lfence
