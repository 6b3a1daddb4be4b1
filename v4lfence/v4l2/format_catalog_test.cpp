// SPDX-License-Identifier: MIT

#include <gtest/gtest.h>

#include <array>

#include "v4lfence/v4l2/format_catalog.hpp"

namespace v4lfence {

namespace {

constexpr std::array<v4l2_frmsize_discrete, 3> sizes{{{640, 480}, {320, 240}, {3840, 2160}}};
constexpr std::array<v4l2_fract, 4> intervals{{{1, 30}, {1, 60}, {1, 240}, {1001, 30000}}};

constexpr std::uint32_t listed = V4L2_PIX_FMT_YUYV;
constexpr std::uint32_t stepped = V4L2_PIX_FMT_NV12;
constexpr std::uint32_t free_choice = V4L2_PIX_FMT_GREY;

constexpr std::uint64_t pixels_per_second = 3840ULL * 2160 * 60;

constexpr std::array<CatalogFormat, 3> table{{
    {listed,
     {V4L2_FRMSIZE_TYPE_DISCRETE, sizes, {}},
     {V4L2_FRMIVAL_TYPE_DISCRETE, intervals, {}, {1, 30}},
     pixels_per_second},
    {stepped,
     {V4L2_FRMSIZE_TYPE_STEPWISE, {}, {32, 3840, 16, 16, 2160, 8}},
     {V4L2_FRMIVAL_TYPE_STEPWISE, {}, {{1, 240}, {24, 240}, {1, 240}}, {8, 240}},
     pixels_per_second},
    {free_choice,
     {V4L2_FRMSIZE_TYPE_CONTINUOUS, {}, {16, 4096, 1, 16, 2160, 1}},
     {V4L2_FRMIVAL_TYPE_CONTINUOUS, {}, {{1, 1000}, {1000, 1}, {1, 1}}, {1, 25}},
     pixels_per_second},
}};

class Catalog : public ::testing::Test {
protected:
    const FormatCatalog catalog = *FormatCatalog::create(table);
    const CatalogFormat& format(std::uint32_t fourcc) const { return *catalog.find(fourcc); }

    Result<> enumerate(v4l2_frmivalenum& interval, std::uint32_t fourcc, std::uint32_t index,
                       std::uint32_t width, std::uint32_t height) const {
        interval = {};
        interval.pixel_format = fourcc;
        interval.index = index;
        interval.width = width;
        interval.height = height;
        return catalog.enum_frameintervals(interval);
    }
};

void expect_interval(const v4l2_fract& interval, std::uint32_t numerator,
                     std::uint32_t denominator) {
    EXPECT_EQ(std::uint64_t{interval.numerator} * denominator,
              std::uint64_t{numerator} * interval.denominator)
        << interval.numerator << "/" << interval.denominator;
}

int error_of(const Result<>& result) {
    return result ? 0 : result.error().code;
}

Result<FormatCatalog> with(const SizeChoice& choice) {
    static CatalogFormat one;
    one = {listed, choice, {.intervals = intervals}};
    return FormatCatalog::create(std::span(&one, 1));
}

Result<FormatCatalog> with(const IntervalChoice& choice) {
    static CatalogFormat one;
    one = {listed, {.sizes = sizes}, choice};
    return FormatCatalog::create(std::span(&one, 1));
}

}  // namespace

// --- the table -----------------------------------------------------------------------------------

TEST_F(Catalog, table_that_breaks_a_rule_is_refused) {
    EXPECT_FALSE(FormatCatalog::create({}));
    EXPECT_FALSE(with(SizeChoice{}));
    constexpr auto steps = V4L2_FRMSIZE_TYPE_STEPWISE;
    EXPECT_TRUE(with(SizeChoice{steps, {}, {16, 64, 16, 8, 64, 8}}));
    EXPECT_FALSE(with(SizeChoice{steps, {}, {16, 64, 16, 8, 63, 8}}));
    EXPECT_FALSE(with(SizeChoice{steps, {}, {0, 64, 16, 8, 64, 8}}));
    EXPECT_FALSE(with(SizeChoice{steps, {}, {16, 16, 16, 8, 64, 8}}));
    EXPECT_FALSE(with(SizeChoice{V4L2_FRMSIZE_TYPE_CONTINUOUS, {}, {16, 64, 16, 8, 64, 8}}));
    EXPECT_FALSE(with(IntervalChoice{}));
    EXPECT_FALSE(with(IntervalChoice{.intervals = intervals, .usual = {1, 0}}));
    constexpr auto strides = V4L2_FRMIVAL_TYPE_STEPWISE;
    EXPECT_TRUE(with(IntervalChoice{strides, {}, {{1, 60}, {9, 60}, {2, 60}}}));
    EXPECT_FALSE(with(IntervalChoice{strides, {}, {{1, 60}, {9, 60}, {1, 30}}}));
    EXPECT_FALSE(with(IntervalChoice{strides, {}, {{9, 60}, {1, 60}, {2, 60}}}));
    constexpr auto any = V4L2_FRMIVAL_TYPE_CONTINUOUS;
    EXPECT_FALSE(with(IntervalChoice{any, {}, {{1, 60}, {9, 60}, {1, 60}}}));
}

TEST_F(Catalog, formats_are_enumerated_in_order) {
    v4l2_fmtdesc description{};
    description.index = 2;
    ASSERT_TRUE(catalog.enum_fmt(description));
    EXPECT_EQ(description.pixelformat, free_choice);
    description.index = 3;
    EXPECT_EQ(error_of(catalog.enum_fmt(description)), -EINVAL);
}

TEST_F(Catalog, unknown_format_is_none_or_the_first) {
    EXPECT_EQ(catalog.find(V4L2_PIX_FMT_H264), nullptr);
    EXPECT_EQ(catalog.find_or_first(V4L2_PIX_FMT_H264).fourcc, listed);
    EXPECT_EQ(catalog.find_or_first(stepped).fourcc, stepped);
}

// --- sizes ---------------------------------------------------------------------------------------

TEST_F(Catalog, sizes_come_in_their_style) {
    v4l2_frmsizeenum size{};
    size.pixel_format = listed;
    size.index = 1;
    ASSERT_TRUE(catalog.enum_framesizes(size));
    EXPECT_EQ(size.type, static_cast<std::uint32_t>(V4L2_FRMSIZE_TYPE_DISCRETE));
    EXPECT_EQ(size.discrete.width, 320U);
    size.index = 3;
    EXPECT_EQ(error_of(catalog.enum_framesizes(size)), -EINVAL);
    size.pixel_format = stepped;
    size.index = 0;
    ASSERT_TRUE(catalog.enum_framesizes(size));
    EXPECT_EQ(size.type, static_cast<std::uint32_t>(V4L2_FRMSIZE_TYPE_STEPWISE));
    EXPECT_EQ(size.stepwise.step_height, 8U);
    size.index = 1;
    EXPECT_EQ(error_of(catalog.enum_framesizes(size)), -EINVAL);
    size.index = 0;
    size.pixel_format = V4L2_PIX_FMT_H264;
    EXPECT_EQ(error_of(catalog.enum_framesizes(size)), -EINVAL);
}

TEST_F(Catalog, nearest_listed_size_differs_least) {
    const auto nearest = [&](std::uint32_t width, std::uint32_t height) {
        return FormatCatalog::nearest_size(format(listed), width, height).width;
    };
    EXPECT_EQ(nearest(639, 481), 640U);
    EXPECT_EQ(nearest(0, 0), 320U);
    EXPECT_EQ(nearest(UINT32_MAX, UINT32_MAX), 3840U);
    EXPECT_EQ(nearest(480, 360), 320U) << "halfway: the smaller";
}

TEST_F(Catalog, nearest_stepped_size_is_on_a_step) {
    const auto nearest = [&](std::uint32_t width, std::uint32_t height) {
        return FormatCatalog::nearest_size(format(stepped), width, height);
    };
    EXPECT_EQ(nearest(0, 0).width, 32U);
    EXPECT_EQ(nearest(UINT32_MAX, 1).width, 3840U);
    EXPECT_EQ(nearest(39, 1).width, 32U);
    EXPECT_EQ(nearest(41, 1).width, 48U);
    EXPECT_EQ(nearest(1, 21).height, 24U);
    EXPECT_EQ(FormatCatalog::nearest_size(format(free_choice), 641, 3000).width, 641U);
    EXPECT_EQ(FormatCatalog::nearest_size(format(free_choice), 641, 3000).height, 2160U);
}

// --- intervals -----------------------------------------------------------------------------------

TEST_F(Catalog, intervals_exist_for_existing_sizes_alone) {
    v4l2_frmivalenum interval{};
    EXPECT_TRUE(enumerate(interval, listed, 0, 640, 480));
    EXPECT_EQ(error_of(enumerate(interval, listed, 0, 641, 480)), -EINVAL);
    EXPECT_EQ(error_of(enumerate(interval, stepped, 0, 31, 16)), -EINVAL);
    EXPECT_EQ(error_of(enumerate(interval, stepped, 0, 33, 16)), -EINVAL);
    EXPECT_EQ(error_of(enumerate(interval, stepped, 0, 3840, 2168)), -EINVAL);
    EXPECT_TRUE(enumerate(interval, stepped, 0, 48, 24));
    EXPECT_EQ(error_of(enumerate(interval, stepped, 1, 48, 24)), -EINVAL);
    EXPECT_EQ(error_of(enumerate(interval, V4L2_PIX_FMT_H264, 0, 640, 480)), -EINVAL);
}

TEST_F(Catalog, large_sizes_lack_the_short_intervals) {
    v4l2_frmivalenum interval{};
    ASSERT_TRUE(enumerate(interval, listed, 3, 640, 480));
    EXPECT_EQ(error_of(enumerate(interval, listed, 4, 640, 480)), -EINVAL);
    ASSERT_TRUE(enumerate(interval, listed, 2, 3840, 2160));
    EXPECT_EQ(interval.discrete.numerator, 1001U) << "1/240 was left out";
    EXPECT_EQ(error_of(enumerate(interval, listed, 3, 3840, 2160)), -EINVAL);
    ASSERT_TRUE(enumerate(interval, stepped, 0, 3840, 2160));
    expect_interval(interval.stepwise.min, 4, 240);
    expect_interval(interval.stepwise.max, 24, 240);
    ASSERT_TRUE(enumerate(interval, free_choice, 0, 3840, 2160));
    expect_interval(interval.stepwise.min, 16667, 1000000);
    ASSERT_TRUE(enumerate(interval, free_choice, 0, 320, 240));
    expect_interval(interval.stepwise.min, 1, 1000);
}

TEST_F(Catalog, some_interval_is_left_however_large_the_size) {
    CatalogFormat slow = table[0];
    slow.pixels_per_second_max = 1;
    v4l2_frmivalenum interval{};
    interval.pixel_format = listed;
    interval.width = 640;
    interval.height = 480;
    ASSERT_TRUE(FormatCatalog::create(std::span(&slow, 1))->enum_frameintervals(interval));
    expect_interval(interval.discrete, 1001, 30000);
    slow = table[1];
    slow.pixels_per_second_max = 1;
    interval.pixel_format = stepped;
    ASSERT_TRUE(FormatCatalog::create(std::span(&slow, 1))->enum_frameintervals(interval));
    expect_interval(interval.stepwise.min, 23, 240);
    slow = table[2];
    slow.pixels_per_second_max = 1;
    interval.pixel_format = free_choice;
    ASSERT_TRUE(FormatCatalog::create(std::span(&slow, 1))->enum_frameintervals(interval));
    expect_interval(interval.stepwise.min, 1000, 1);
}

TEST_F(Catalog, nearest_interval_is_one_that_the_size_has) {
    const v4l2_frmsize_discrete small{640, 480};
    const v4l2_frmsize_discrete large{3840, 2160};
    const auto nearest = &FormatCatalog::nearest_interval;
    expect_interval(nearest(format(listed), small, {1, 1000}), 1, 240);
    expect_interval(nearest(format(listed), large, {1, 1000}), 1, 60);
    expect_interval(nearest(format(listed), small, {1, 1}), 1001, 30000);
    expect_interval(nearest(format(listed), small, {1, 29}), 1001, 30000);
    expect_interval(nearest(format(listed), small, {UINT32_MAX, UINT32_MAX}), 1001, 30000);
    expect_interval(nearest(format(listed), small, {0, 0}), 1, 30);
    expect_interval(nearest(format(stepped), small, {1, 50}), 5, 240);
    expect_interval(nearest(format(stepped), large, {1, 1000}), 4, 240);
    expect_interval(nearest(format(stepped), small, {7, 1}), 24, 240);
    expect_interval(nearest(format(stepped), small, {1, 0}), 8, 240);
    expect_interval(nearest(format(free_choice), small, {3, 100}), 3, 100);
    expect_interval(nearest(format(free_choice), small, {1, 100000}), 1, 1000);
    expect_interval(nearest(format(free_choice), small, {UINT32_MAX, 1}), 1000, 1);
}

}  // namespace v4lfence
