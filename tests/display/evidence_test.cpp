// SPDX-License-Identifier: MIT

#include <gtest/gtest.h>

#include <vector>

#include "tests/display/evidence.hpp"

namespace v4lfence::display {
namespace {

/// Frame n is captured at n ms, comes on screen at vertical blank 10 n, at 10 n + 1 ns.
std::vector<Shown> frames_shown(unsigned count) {
    std::vector<Shown> frames;
    for (unsigned n = 0; n < count; ++n) {
        const FrameStamp stamp{n, n * std::uint64_t{1'000'000} + 123};
        frames.push_back({n, n * std::uint64_t{1'000'000}, 10 * n, 10 * n + 1, {stamp, stamp}});
    }
    return frames;
}

TEST(Evidence, right_stamps_are_of_the_frame_itself) {
    auto frames = frames_shown(5);
    EXPECT_EQ(judge_stamps(frames).right, 5U);
    frames[1].seen.top = frames[1].seen.bottom = frames[0].seen.top;
    frames[2].seen.bottom = frames[1].seen.bottom;
    frames[3].seen = {};
    frames[4].captured_at_ns += 1000;
    const Stamps stamps = judge_stamps(frames);
    EXPECT_EQ(stamps.right, 1U);
    EXPECT_EQ(stamps.old, 2U);
    EXPECT_EQ(stamps.torn, 1U);
    EXPECT_EQ(stamps.none, 1U);
}

TEST(Evidence, frame_that_stays_the_same_is_steady) {
    const auto frames = frames_shown(4);
    const std::vector<ScanOut> scan_outs{{0, 7, 5},   {1, 7, 6},   {10, 8, 15}, {12, 8, 17},
                                         {20, 9, 25}, {21, 9, 26}, {30, 1, 35}};
    const Steadiness result = judge_steadiness(frames, scan_outs);
    EXPECT_EQ(result.scan_outs, 6U);
    EXPECT_EQ(result.twice, 3U);
    EXPECT_EQ(result.changed, 0U);
    EXPECT_EQ(result.stale, 0U);
    EXPECT_EQ(result.late, 0U);
}

TEST(Evidence, frame_that_is_written_while_shown_has_changed) {
    const std::vector<ScanOut> scan_outs{{0, 7, 5}, {1, 8, 6}, {2, 7, 7}, {10, 9, 15}};
    const Steadiness result = judge_steadiness(frames_shown(3), scan_outs);
    EXPECT_EQ(result.changed, 1U);
}

TEST(Evidence, frame_that_begins_as_an_earlier_one_is_stale) {
    const std::vector<ScanOut> scan_outs{{0, 7, 5}, {10, 8, 15}, {20, 7, 25}, {21, 9, 26}};
    const Steadiness result = judge_steadiness(frames_shown(4), scan_outs);
    EXPECT_EQ(result.stale, 1U);
    EXPECT_EQ(result.changed, 1U);
}

TEST(Evidence, scan_out_that_was_read_too_late_is_not_compared) {
    const std::vector<ScanOut> scan_outs{{0, 7, 5}, {8, 8, 11}, {10, 9, 15}, {11, 9, 16}};
    const Steadiness result = judge_steadiness(frames_shown(3), scan_outs);
    EXPECT_EQ(result.late, 1U);
    EXPECT_EQ(result.changed, 0U);
    EXPECT_EQ(result.twice, 1U);
}

TEST(Evidence, last_scan_out_before_a_flip_is_not_compared) {
    const std::vector<ScanOut> scan_outs{{0, 7, 5}, {9, 8, 6}, {10, 8, 15}, {11, 8, 16}};
    const Steadiness result = judge_steadiness(frames_shown(3), scan_outs);
    EXPECT_EQ(result.changed, 0U);
    EXPECT_EQ(result.stale, 0U);
    EXPECT_EQ(result.late, 0U);
}

TEST(Evidence, vertical_blanks_may_wrap) {
    auto frames = frames_shown(3);
    for (Shown& frame : frames) {
        frame.flip -= 15;
    }
    const std::vector<ScanOut> scan_outs{{0U - 15, 7, 5}, {0U - 7, 7, 6}, {0U - 5, 8, 15},
                                         {0, 8, 16},      {3, 9, 17},     {5, 1, 30}};
    const Steadiness result = judge_steadiness(frames, scan_outs);
    EXPECT_EQ(result.scan_outs, 5U);
    EXPECT_EQ(result.changed, 1U);
}

}  // namespace
}  // namespace v4lfence::display
