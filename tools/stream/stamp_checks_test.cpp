// SPDX-License-Identifier: MIT

#include <gtest/gtest.h>
#include <linux/videodev2.h>

#include <algorithm>
#include <vector>

#include "tools/stream/stamp_checks.hpp"
#include "v4lfence/drivers/picture/stamp.hpp"

namespace v4lfence {
namespace {

/// A grey picture with a stamp at its top and one at its bottom.
class StampChecks : public testing::Test {
protected:
    static constexpr ImageSize size{320, 240};

    StampChecks() { promise_stamps(promises_, size); }

    void paint(unsigned first_row, const FrameStamp& stamp) {
        const StampPlan plan = stamp_plan(size.width, size.height);
        const StampBits bits = stamp_bits(plan, stamp);
        for (unsigned y = 0; y < plan.height(); ++y) {
            for (unsigned x = 0; x < plan.width(); ++x) {
                const unsigned bit = y / plan.square * plan.columns + x / plan.square;
                pixels_[(first_row + y) * size.width + x] =
                    stamp_bit(bits, bit) ? std::byte{235} : std::byte{16};
            }
        }
    }

    void paint_both(const FrameStamp& top, const FrameStamp& bottom) {
        paint(0, top);
        paint(size.height - stamp_plan(size.width, size.height).height(), bottom);
    }

    void check(std::uint32_t sequence, std::int64_t timestamp_ns) {
        const std::span<const std::byte> plane = pixels_;
        const std::uint32_t stride = size.width;
        TakenFrame frame;
        frame.sequence = sequence;
        frame.timestamp_ns = timestamp_ns;
        check_stamps(promises_, frame,
                     ImageView::create(V4L2_PIX_FMT_GREY, size, {&plane, 1}, {&stride, 1}));
    }

    std::vector<std::string> broken() const {
        std::vector<std::string> names;
        for (const Promise& promise : promises_.made()) {
            if (!promise.held()) {
                names.emplace_back(promise.name);
            }
        }
        return names;
    }

    using Names = std::vector<std::string>;

    Promises promises_;
    std::vector<std::byte> pixels_ = std::vector<std::byte>(size.width * size.height);
};

TEST_F(StampChecks, number_and_time_are_those_of_the_buffer) {
    // A v4l2_buffer has no nanoseconds.
    paint_both({7, 123'456'789}, {7, 123'456'789});
    check(7, 123'456'000);
    EXPECT_EQ(broken(), Names{});
}

TEST_F(StampChecks, halves_of_two_frames_are_torn) {
    paint_both({8, 123'456'789}, {7, 23'456'789});
    check(8, 123'456'000);
    EXPECT_EQ(broken(), Names{"not_torn"});
}

TEST_F(StampChecks, another_number_and_another_time_are_told) {
    paint_both({8, 123'456'789}, {8, 123'456'789});
    check(9, 123'456'000);
    check(8, 123'457'000);
    EXPECT_EQ(broken(), (Names{"painted_number", "painted_time"}));
}

TEST_F(StampChecks, picture_without_stamps_breaks_each_promise) {
    check(0, 0);
    EXPECT_EQ(broken(), (Names{"painted_number", "painted_time", "not_torn"}));
}

TEST(Stamps, small_pictures_promise_what_they_have_room_for) {
    Promises promises;
    promise_stamps(promises, {32, 32});
    EXPECT_EQ(promises.made().size(), 1U);
    promise_stamps(promises, {64, 32});
    EXPECT_EQ(promises.made().size(), 2U);
    promise_stamps(promises, {128, 64});
    EXPECT_EQ(promises.made().size(), 3U);
}

}  // namespace
}  // namespace v4lfence
