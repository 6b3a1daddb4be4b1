// SPDX-License-Identifier: MIT

#include <gtest/gtest.h>

#include "tools/stream/number_checks.hpp"

namespace v4lfence {
namespace {

class NumberChecksTest : public testing::Test {
protected:
    NumberChecksTest() {
        for (const PromiseId id : {PromiseId::InOrder, PromiseId::NoneLost,
                                   PromiseId::TimestampsRise, PromiseId::NoErrors}) {
            promises_.make(id);
        }
        for (std::uint64_t number = 0; number < 4; ++number) {
            checks_.queued(number);
        }
    }

    void take(std::uint64_t number, std::uint32_t sequence, bool error = false) {
        checks_.check({number, 0, sequence, std::int64_t{sequence} * 1000 + 1, error, 1});
    }

    bool held(const char* name) const {
        for (const Promise& promise : promises_.made()) {
            if (std::string_view(promise.name) == name) {
                return promise.held();
            }
        }
        return false;
    }

    Promises promises_;
    StreamCounters counters_;
    NumberChecks checks_{promises_, counters_, 4};
};

TEST_F(NumberChecksTest, frames_as_they_should_be_hold_every_promise) {
    take(0, 5);
    take(1, 6);
    take(2, 7);
    EXPECT_TRUE(promises_.all_held());
    EXPECT_EQ(counters_.frames, 3U);
    EXPECT_EQ(counters_.lost, 0U);
    EXPECT_EQ(checks_.outstanding(), std::vector<std::uint64_t>{3});
}

TEST_F(NumberChecksTest, gap_in_sequence_counts_the_frames_lost) {
    take(0, 0);
    take(1, 4);
    EXPECT_EQ(counters_.lost, 3U);
    EXPECT_FALSE(held("none_lost"));
    EXPECT_TRUE(held("in_order"));
}

TEST_F(NumberChecksTest, repeated_sequence_is_a_break_and_no_loss) {
    take(0, 3);
    take(1, 3);
    EXPECT_FALSE(held("none_lost"));
    EXPECT_EQ(counters_.lost, 0U);
    EXPECT_EQ(counters_.repeated, 1U);
    EXPECT_FALSE(held("timestamps_rise"));
}

TEST_F(NumberChecksTest, sequence_wraps_without_a_gap) {
    take(0, 0xffffffff);
    checks_.check({1, 0, 0, std::int64_t{1} << 60, false, 1});
    EXPECT_EQ(counters_.lost, 0U);
    EXPECT_TRUE(held("none_lost"));
}

TEST_F(NumberChecksTest, frame_that_overtakes_is_out_of_order) {
    take(1, 0);
    take(0, 1);
    EXPECT_EQ(counters_.out_of_order, 1U);
    EXPECT_FALSE(held("in_order"));
}

TEST_F(NumberChecksTest, failed_frame_may_overtake_and_has_no_number) {
    take(0, 7);
    take(2, 0, true);
    take(1, 8);
    take(3, 9);
    EXPECT_EQ(counters_.errors, 1U);
    EXPECT_EQ(counters_.lost, 0U);
    EXPECT_TRUE(held("in_order"));
    EXPECT_TRUE(held("none_lost"));
    EXPECT_FALSE(held("no_errors"));
}

TEST_F(NumberChecksTest, bad_frame_of_the_driver_is_not_a_lost_one) {
    take(0, 7);
    take(1, 8, true);
    take(2, 9);
    EXPECT_EQ(counters_.lost, 0U);
    EXPECT_TRUE(held("none_lost"));
}

}  // namespace
}  // namespace v4lfence
