// SPDX-License-Identifier: MIT

#include <gtest/gtest.h>
#include <linux/videodev2.h>

#include "tools/display/options.hpp"

namespace v4lfence {
namespace {

TEST(DisplayOptions, a_target_is_known_by_its_name) {
    EXPECT_EQ(parse_target("kms").target, Target::Kms);
    EXPECT_EQ(parse_target("null").target, Target::Null);
    EXPECT_EQ(parse_target("out/last.png").target, Target::Png);
    EXPECT_EQ(parse_target("frames.yuv").target, Target::Raw);
    EXPECT_EQ(parse_target("frames.yuv").path, "frames.yuv");
}

TEST(DisplayOptions, a_plane_is_one_of_two) {
    EXPECT_EQ(parse_plane("primary"), false);
    EXPECT_EQ(parse_plane("overlay"), true);
    ASSERT_FALSE(parse_plane("cursor"));
    EXPECT_EQ(parse_plane("cursor").error().status, ExitStatus::WrongUsage);
}

TEST(DisplayOptions, a_display_of_software_has_no_connector) {
    DisplayChoices choices;
    choices.to = parse_target("null");
    EXPECT_TRUE(settle_options(choices));
    choices.connector = "HDMI-A-1";
    const auto settled = settle_options(choices);
    ASSERT_FALSE(settled);
    EXPECT_EQ(settled.error().status, ExitStatus::WrongUsage);
}

TEST(DisplayOptions, no_fences_means_none) {
    DisplayChoices choices;
    choices.fences = false;
    EXPECT_TRUE(settle_options(choices));
    choices.provider = "vgem";
    EXPECT_FALSE(settle_options(choices));
    choices.provider.reset();
    choices.implicit = true;
    EXPECT_FALSE(settle_options(choices));
    choices.implicit = false;
    choices.deadline_ms = 5;
    EXPECT_FALSE(settle_options(choices));
}

TEST(DisplayOptions, auto_is_no_provider) {
    DisplayChoices choices;
    choices.provider = "auto";
    ASSERT_TRUE(settle_options(choices));
    EXPECT_EQ(choices.provider, std::nullopt);
}

TEST(DisplayOptions, frames_of_any_length_are_no_raw_file) {
    DisplayChoices choices;
    choices.to = parse_target("frames.raw");
    choices.fourcc = V4L2_PIX_FMT_MJPEG;
    EXPECT_FALSE(settle_options(choices));
    choices.to = parse_target("last.png");
    EXPECT_TRUE(settle_options(choices));
}

}  // namespace
}  // namespace v4lfence
