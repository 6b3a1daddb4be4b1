// SPDX-License-Identifier: MIT

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

#include "v4lfence/kms/modes.hpp"
#include "v4lfence/kms/testing/fake_drm.hpp"

namespace v4lfence {
namespace {

using ::testing::HasSubstr;
using testing::make_mode;

std::string chosen(const std::vector<DrmMode>& modes, std::string_view wanted,
                   std::uint32_t width = 0, std::uint32_t height = 0) {
    const auto mode = choose_mode(modes, wanted, width, height);
    return mode ? mode_name(*mode) : mode.error().sentence;
}

const std::vector<DrmMode> usual = {make_mode(1920, 1080, 60, true), make_mode(1920, 1080, 50),
                                    make_mode(1280, 720, 60), make_mode(1280, 720, 75),
                                    make_mode(640, 480, 60)};

TEST(Modes, wishes_are_a_size_and_perhaps_a_refresh) {
    const auto size = parse_mode_wish("1280x720");
    ASSERT_TRUE(size);
    EXPECT_EQ(size->width, 1280U);
    EXPECT_EQ(size->height, 720U);
    EXPECT_FALSE(size->refresh_mhz);
    EXPECT_EQ(parse_mode_wish("1280x720@60")->refresh_mhz, 60000U);
    EXPECT_EQ(parse_mode_wish("1280x720@59.94")->refresh_mhz, 59940U);
    EXPECT_EQ(parse_mode_wish("1280x720@59.9")->refresh_mhz, 59900U);
}

TEST(Modes, anything_else_is_no_wish) {
    for (const char* const text :
         {"", "x", "1280", "1280x", "x720", "0x0", "1280x0", "-1x5", "1280x720@", "1280x720@x",
          "1280x720@60Hz", "1280x720@60.", "1280x720@60.1234", "1280x720 ", "1280X720",
          "99999999999x1", "1280x720@99999999"}) {
        EXPECT_FALSE(parse_mode_wish(text)) << text;
    }
}

TEST(Modes, refresh_is_computed_from_the_timings) {
    DrmMode mode = make_mode(1920, 1080, 60);
    mode.clock = 148352;  // Of CEA-861's 1920x1080 at 59.94 Hz.
    mode.htotal = 2200;
    mode.vtotal = 1125;
    EXPECT_EQ(refresh_mhz(mode), 59940U);
    mode.flags = DRM_MODE_FLAG_INTERLACE;
    EXPECT_EQ(refresh_mhz(mode), 119880U);
    EXPECT_EQ(mode_name(mode), "1920x1080i@119.88");
    mode.clock = 0;
    EXPECT_EQ(refresh_mhz(mode), 60000U) << "what the driver says, where there is no clock";
}

TEST(Modes, names_have_two_digits_behind_a_point) {
    DrmMode mode = make_mode(640, 480, 60);
    mode.clock = 60'051;
    EXPECT_EQ(mode_name(mode), "640x480@60.05");
    mode.clock = 59'996;
    EXPECT_EQ(mode_name(mode), "640x480@60.00");
    EXPECT_EQ(parse_mode_wish(mode_name(mode))->refresh_mhz, 60'000U);
}

TEST(Modes, wanted_size_takes_the_preferred_then_the_fastest) {
    EXPECT_EQ(chosen(usual, "1920x1080"), "1920x1080@60.00");
    EXPECT_EQ(chosen(usual, "1280x720"), "1280x720@75.00");
}

TEST(Modes, wanted_refresh_takes_the_nearest) {
    EXPECT_EQ(chosen(usual, "1280x720@60"), "1280x720@60.00");
    EXPECT_EQ(chosen(usual, "1280x720@59.94"), "1280x720@60.00");
    EXPECT_EQ(chosen(usual, "1920x1080@50"), "1920x1080@50.00");
}

TEST(Modes, wanted_mode_that_is_not_there_is_refused_with_a_list) {
    const auto mode = choose_mode(usual, "1280x720@30", 0, 0);
    ASSERT_FALSE(mode);
    EXPECT_EQ(mode.error().code, -EINVAL);
    EXPECT_THAT(mode.error().sentence, HasSubstr("1280x720@30"));
    EXPECT_THAT(mode.error().sentence, HasSubstr("1920x1080@50.00"));
    EXPECT_THAT(chosen(usual, "641x480"), HasSubstr("it has 640x480@60.00, 1280x720@60.00"))
        << "the nearest first";
    EXPECT_EQ(choose_mode(usual, "nonsense", 0, 0).error().code, -EINVAL);
    EXPECT_EQ(choose_mode({}, "", 0, 0).error().code, -ENODEV);
}

TEST(Modes, picture_gets_the_smallest_mode_that_holds_it) {
    EXPECT_EQ(chosen(usual, "", 640, 480), "640x480@60.00");
    EXPECT_EQ(chosen(usual, "", 641, 480), "1280x720@75.00");
    EXPECT_EQ(chosen(usual, "", 1280, 721), "1920x1080@60.00");
    EXPECT_EQ(chosen(usual, "", 3840, 2160), "1920x1080@60.00") << "none holds it: the preferred";
    EXPECT_EQ(chosen(usual, ""), "1920x1080@60.00");
}

TEST(Modes, interlaced_ones_come_last) {
    std::vector<DrmMode> modes = {make_mode(640, 480, 60, true), make_mode(720, 480, 30)};
    modes[0].flags = DRM_MODE_FLAG_INTERLACE;
    EXPECT_EQ(chosen(modes, "", 640, 480), "720x480@30.00");
}

}  // namespace
}  // namespace v4lfence
