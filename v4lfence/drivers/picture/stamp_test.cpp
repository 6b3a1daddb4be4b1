// SPDX-License-Identifier: MIT

#include <gtest/gtest.h>

#include <vector>

#include "v4lfence/drivers/picture/stamp.hpp"

namespace v4lfence {
namespace {

/// Luma of a whole picture, grey but for its stamps.
class Sheet {
public:
    Sheet(unsigned width, unsigned height)
        : width_(width), height_(height), luma_(std::size_t{width} * height, 128) {}

    void put(unsigned first_row, const FrameStamp& stamp) {
        const StampPlan plan = stamp_plan(width_, height_);
        const StampBits bits = stamp_bits(plan, stamp);
        for (unsigned y = 0; y < plan.height(); ++y) {
            for (unsigned x = 0; x < plan.width(); ++x) {
                const unsigned bit = y / plan.square * plan.columns + x / plan.square;
                at(x, first_row + y) = stamp_bit(bits, bit) ? 235 : 16;
            }
        }
    }

    void put_both(const FrameStamp& top, const FrameStamp& bottom) {
        const StampPlan plan = stamp_plan(width_, height_);
        put(0, top);
        if (plan.has_bottom) {
            put(height_ - plan.height(), bottom);
        }
    }

    void fill(int luma) { luma_.assign(luma_.size(), luma); }
    int& at(unsigned x, unsigned y) { return luma_.at(std::size_t{y} * width_ + x); }

    StampReading read() const {
        return read_stamps(width_, height_, [this](unsigned x, unsigned y) {
            return luma_.at(std::size_t{y} * width_ + x);
        });
    }

private:
    unsigned width_;
    unsigned height_;
    std::vector<int> luma_;
};

constexpr FrameStamp some{0x89abcdef, 0x0123456789abcdef};
constexpr FrameStamp next{0x89abcdf0, 0x0123456789bbcdef};

struct Size {
    unsigned width;
    unsigned height;
};
constexpr Size sizes[] = {{16, 16},   {62, 46},     {64, 32},   {126, 2160},
                          {128, 62},  {128, 64},    {288, 160}, {320, 240},
                          {642, 482}, {1920, 1080}, {3840, 16}, {3840, 2160}};

TEST(Stamp, what_is_written_is_read_at_every_size) {
    for (const Size size : sizes) {
        Sheet sheet(size.width, size.height);
        sheet.put_both(some, some);
        const StampPlan plan = stamp_plan(size.width, size.height);
        const FrameStamp said{some.sequence, plan.has_time ? some.captured_at_ns : 0};
        EXPECT_EQ(sheet.read().top, said) << size.width << "x" << size.height;
        EXPECT_TRUE(sheet.read().whole());
    }
}

TEST(Stamp, plan_fits_and_is_even) {
    for (const Size size : sizes) {
        const StampPlan plan = stamp_plan(size.width, size.height);
        EXPECT_LE(plan.width(), size.width);
        EXPECT_LE(plan.height() * (plan.has_bottom ? 2 : 1), size.height);
        EXPECT_EQ(plan.square % 2, 0U);
        EXPECT_EQ(plan.columns * plan.rows, plan.has_time ? 128U : 48U);
    }
}

TEST(Stamp, plan_drops_time_first_and_then_the_bottom) {
    EXPECT_TRUE(stamp_plan(128, 64).has_time);
    EXPECT_FALSE(stamp_plan(126, 64).has_time);
    EXPECT_TRUE(stamp_plan(64, 32).has_bottom);
    EXPECT_FALSE(stamp_plan(62, 32).has_bottom);
    EXPECT_EQ(stamp_plan(1920, 1080).square, 12U);
    EXPECT_EQ(stamp_plan(3840, 2160).square, 24U);
}

TEST(Stamp, torn_frame_is_neither_of_its_two) {
    for (const Size size : {Size{64, 64}, Size{320, 240}}) {
        Sheet sheet(size.width, size.height);
        sheet.put_both(next, some);
        EXPECT_TRUE(sheet.read().torn());
        EXPECT_FALSE(sheet.read().whole());
    }
}

TEST(Stamp, half_a_frame_is_torn) {
    Sheet sheet(320, 240);
    sheet.put(0, some);
    EXPECT_TRUE(sheet.read().torn());
    EXPECT_FALSE(sheet.read().bottom.has_value());
}

TEST(Stamp, one_wrong_square_is_no_stamp) {
    for (const Size size : {Size{16, 16}, Size{320, 240}}) {
        const StampPlan plan = stamp_plan(size.width, size.height);
        for (unsigned bit = 0; bit < plan.columns * plan.rows; ++bit) {
            StampBits bits = stamp_bits(plan, some);
            bits[bit / 8] ^= static_cast<std::uint8_t>(0x80 >> bit % 8);
            EXPECT_FALSE(stamp_of(plan, bits).has_value());
        }
    }
}

TEST(Stamp, even_pictures_are_none) {
    for (const Size size : sizes) {
        for (const int luma : {0, 16, 128, 235, 255}) {
            Sheet sheet(size.width, size.height);
            sheet.fill(luma);
            const StampReading reading = sheet.read();
            EXPECT_FALSE(reading.whole() || reading.torn()) << luma;
        }
    }
}

TEST(Stamp, dim_square_is_no_bit) {
    Sheet sheet(320, 240);
    sheet.put_both(some, some);
    const StampPlan plan = stamp_plan(320, 240);
    sheet.at(plan.square / 2, plan.square / 2) = 0;  // one of the four that are looked at
    EXPECT_TRUE(sheet.read().whole());
    for (unsigned y = 0; y < plan.square; ++y) {
        for (unsigned x = 0; x < plan.square; ++x) {
            sheet.at(x, y) = 128;
        }
    }
    EXPECT_FALSE(sheet.read().top.has_value());
}

}  // namespace
}  // namespace v4lfence
