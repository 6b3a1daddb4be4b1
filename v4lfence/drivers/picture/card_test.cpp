// SPDX-License-Identifier: MIT

#include <gtest/gtest.h>

#include <cmath>
#include <numbers>

#include "v4lfence/drivers/picture/card.hpp"

namespace v4lfence {
namespace {

constexpr Area scene{0, 40, 640, 400};

std::vector<Pixel> row_of(Pattern pattern, std::uint32_t y) {
    std::vector<Pixel> row(scene.width);
    Card(pattern, scene).draw_row(y, row);
    return row;
}

/// Rings that get finer with the distance: `period` in square pixels.
int ring(double square_distance, double period) {
    return static_cast<int>(
        std::lround(127.5 + 127.5 * std::cos(2 * std::numbers::pi * square_distance / period)));
}

TEST(Card, zone_plate_reaches_two_pixels_at_the_sides) {
    for (const std::uint32_t y : {40U, 240U, 439U}) {
        const auto row = row_of(Pattern::ZonePlate, y);
        for (std::uint32_t x = 0; x < scene.width; ++x) {
            const double right = x - 320.0;
            const double down = y - 240.0;
            ASSERT_NEAR(row[x][0], ring(right * right + down * down, 2 * 640), 2) << x << " " << y;
            ASSERT_EQ(row[x][0], row[x][2]);
        }
    }
}

TEST(Card, zone_plate_of_the_test_card_reaches_four_pixels_at_the_rim) {
    const Circle rim = rim_of(scene);
    const auto row = row_of(Pattern::TestCard, rim.y);
    for (std::uint32_t along = 0; along < rim.radius - 5; ++along) {
        const int wanted = ring(1.0 * along * along, 8.0 * rim.radius);
        ASSERT_NEAR(row[rim.x + along][1], wanted, 2);
        ASSERT_NEAR(row[rim.x - along][1], wanted, 2);
    }
    EXPECT_EQ(row[rim.x + rim.radius], (Pixel{255, 255, 255})) << "the rim is white";
}

TEST(Card, ramp_rises_from_black_to_white) {
    const auto row = row_of(Pattern::Ramp, 100);
    EXPECT_EQ(row.front(), (Pixel{0, 0, 0}));
    EXPECT_EQ(row.back(), (Pixel{255, 255, 255}));
    for (std::uint32_t x = 1; x < scene.width; ++x) {
        EXPECT_GE(row[x][0], row[x - 1][0]);
        EXPECT_LE(row[x][0] - row[x - 1][0], 1);
    }
}

TEST(Card, test_card_has_bars_above_and_eleven_steps_below) {
    const auto above = row_of(Pattern::TestCard, 40);
    EXPECT_EQ(above.front(), (Pixel{191, 191, 191}));
    EXPECT_EQ(above.back(), (Pixel{0, 0, 191}));
    const auto below = row_of(Pattern::TestCard, 439);
    EXPECT_EQ(below.front(), (Pixel{255, 255, 255}));
    EXPECT_EQ(below.back(), (Pixel{0, 0, 0}));
    unsigned steps = 1;
    for (std::uint32_t x = 1; x < scene.width; ++x) {
        steps += below[x] != below[x - 1] ? 1 : 0;
    }
    EXPECT_EQ(steps, 11U);
}

TEST(Card, solid_patterns_are_full_colours) {
    EXPECT_EQ(row_of(Pattern::SolidRed, 40).front(), (Pixel{255, 0, 0}));
    EXPECT_EQ(row_of(Pattern::SolidGreen, 439).back(), (Pixel{0, 255, 0}));
    EXPECT_EQ(row_of(Pattern::SolidBlue, 240)[320], (Pixel{0, 0, 255}));
}

TEST(Card, scene_lies_between_the_bands_of_every_pattern) {
    for (unsigned i = 0; i < pattern_count; ++i) {
        const auto pattern = static_cast<Pattern>(i);
        for (const std::uint32_t height : {16U, 64U, 240U, 1080U}) {
            const FramePlan plan = frame_plan(320, height, pattern);
            EXPECT_EQ(plan.scene.y, plan.top_band);
            EXPECT_EQ(plan.top_band + plan.scene.height + plan.bottom_band, height);
            EXPECT_GT(plan.scene.height, 0U);
            EXPECT_EQ((plan.scene.y | plan.scene.height) % 2, 0U);
            EXPECT_TRUE(is_solid(pattern) ? plan.top_band == 0
                                          : plan.top_band >= plan.stamp.height());
        }
    }
}

}  // namespace
}  // namespace v4lfence
