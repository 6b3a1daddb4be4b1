// SPDX-License-Identifier: MIT
//
// The part of a picture that a frame shows.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <string>

#include "v4lfence/kms/testing/fake_display.hpp"

namespace v4lfence {
namespace {

using testing::Displays;
using testing::FakeCommit;
using ::testing::HasSubstr;

constexpr std::uint32_t huge = std::numeric_limits<std::uint32_t>::max();

class Parts : public Displays {
protected:
    void show_part(int number, const PicturePart& part) {
        const auto shown = display->show({number, -1, part}, false);
        ASSERT_TRUE(shown) << shown.error().sentence;
        flip();
    }

    void expect_source(std::uint64_t x, std::uint64_t y, std::uint64_t width,
                       std::uint64_t height) const {
        EXPECT_EQ(last().value(primary, "SRC_X"), x << 16);
        EXPECT_EQ(last().value(primary, "SRC_Y"), y << 16);
        EXPECT_EQ(last().value(primary, "SRC_W"), width << 16);
        EXPECT_EQ(last().value(primary, "SRC_H"), height << 16);
    }

    void expect_screen(std::uint64_t x, std::uint64_t y, std::uint64_t width,
                       std::uint64_t height) const {
        EXPECT_EQ(last().value(primary, "CRTC_X"), x);
        EXPECT_EQ(last().value(primary, "CRTC_Y"), y);
        EXPECT_EQ(last().value(primary, "CRTC_W"), width);
        EXPECT_EQ(last().value(primary, "CRTC_H"), height);
    }

    /// The plane shows a pixel a pixel.
    void never_scale() {
        card->judge = [this](const FakeCommit& commit) {
            return commit.value(primary, "SRC_W") >> 16 != commit.value(primary, "CRTC_W") ? -ERANGE
                                                                                           : 0;
        };
    }
};

TEST_F(Parts, padding_of_a_codec_is_not_shown) {
    open();
    never_scale();
    const int padded = picture({1280, 736});
    show_part(padded, {0, 0, {1280, 720}});
    expect_source(0, 0, 1280, 720);
    expect_screen(0, 0, 1280, 720);
    EXPECT_EQ(card->tests, 1U) << "whether the driver cuts pictures at all";
    show_part(padded, {0, 16, {1280, 720}});
    expect_source(0, 16, 1280, 720);
    EXPECT_EQ(card->tests, 1U) << "what the driver said is remembered";
    EXPECT_TRUE(display->may_scale());
}

TEST_F(Parts, place_between_samples_of_colour_is_told_apart) {
    for (const bool odd_first : {false, true}) {
        open();
        card->judge = [this](const FakeCommit& commit) {
            const bool is_odd = (commit.value(primary, "SRC_X") >> 16) % 2 != 0;
            const bool is_scaled =
                commit.value(primary, "SRC_W") >> 16 != commit.value(primary, "CRTC_W");
            return is_odd && is_scaled ? -EINVAL : 0;
        };
        const int number = picture();
        const unsigned tests_before = card->tests;
        for (const bool is_odd : {odd_first, !odd_first, odd_first, !odd_first}) {
            show_part(number, {is_odd ? 101U : 100U, 50, {640, 360}});
            expect_screen(is_odd ? 320 : 0, is_odd ? 180 : 0, is_odd ? 640 : 1280,
                          is_odd ? 360 : 720);
        }
        EXPECT_EQ(card->tests, tests_before + 2) << "one each";
        EXPECT_TRUE(display->may_scale()) << "an odd place says nothing of that";
        card->judge = nullptr;
        display.reset();
    }
}

TEST_F(Parts, odd_place_that_is_refused_is_told_as_such_whatever_was_shown_before) {
    open();
    card->judge = [this](const FakeCommit& commit) {
        return (commit.value(primary, "SRC_Y") >> 16) % 2 != 0 ? -EINVAL : 0;
    };
    const int number = picture();
    show_part(number, {100, 50, {640, 360}});
    const auto refused = display->show({number, -1, {100, 51, {640, 360}}}, false);
    EXPECT_EQ(refused.error().code, -ERANGE);
    EXPECT_THAT(refused.error().sentence, HasSubstr("a part of 640x360 at 100,51 of a picture"));
}

TEST_F(Parts, part_is_scaled_where_the_driver_can) {
    open();
    show_part(picture(), {320, 180, {640, 360}});
    expect_source(320, 180, 640, 360);
    expect_screen(0, 0, 1280, 720);
}

TEST_F(Parts, part_is_centred_where_it_cannot_be_scaled) {
    open();
    never_scale();
    show_part(picture(), {100, 50, {640, 480}});
    expect_source(100, 50, 640, 480);
    expect_screen(320, 120, 640, 480);
    show_part(picture({2000, 1000}), {100, 50, {1800, 800}});
    expect_source(100 + 260, 50 + 40, 1280, 720);
    expect_screen(0, 0, 1280, 720);
}

TEST_F(Parts, without_a_rectangle_or_with_all_of_it_the_picture_is_whole) {
    open();
    const int number = picture();
    for (const PicturePart& part : {PicturePart{}, PicturePart{0, 0, {1280, 720}}}) {
        show_part(number, part);
        expect_source(0, 0, 1280, 720);
    }
    EXPECT_EQ(card->tests, 0U);
}

TEST_F(Parts, part_that_is_not_within_the_picture_is_refused) {
    open();
    const int number = picture({640, 480});
    for (const PicturePart& part :
         {PicturePart{0, 0, {641, 480}}, PicturePart{1, 0, {640, 480}},
          PicturePart{0, 471, {640, 10}}, PicturePart{640, 0, {1, 1}}, PicturePart{huge, 0, {2, 1}},
          PicturePart{1, 1, {huge, huge}}}) {
        const auto refused = display->show({number, -1, part}, false);
        ASSERT_FALSE(refused);
        EXPECT_EQ(refused.error().code, -EINVAL);
        EXPECT_THAT(refused.error().sentence,
                    HasSubstr("is not within picture 1, which is 640x480"));
    }
    for (const PicturePart& part :
         {PicturePart{0, 0, {0, 480}}, PicturePart{0, 0, {640, 0}}, PicturePart{8, 8, {0, 0}}}) {
        const auto refused = display->show({number, -1, part}, false);
        ASSERT_FALSE(refused);
        EXPECT_EQ(refused.error().code, -EINVAL);
        EXPECT_THAT(refused.error().sentence, HasSubstr("has no pixels"));
    }
    EXPECT_TRUE(card->commits.empty());
    EXPECT_EQ(card->tests, 0U);
}

TEST_F(Parts, driver_that_cuts_no_picture_is_told_of) {
    open();
    const int padded = picture({1280, 736});
    card->judge = [&](const FakeCommit& commit) {
        const bool is_sample = card->framebuffers_made.back().height == 720;
        return !is_sample && commit.has(primary, "SRC_H") ? -EINVAL : 0;
    };
    const auto refused = display->show({padded, -1, {0, 0, {1280, 720}}}, false);
    EXPECT_EQ(refused.error().code, -ERANGE);
    EXPECT_THAT(refused.error().sentence, HasSubstr("a part of 1280x720 at 0,0 of a picture"));
    EXPECT_THAT(refused.error().sentence, HasSubstr("only whole pictures that fill the screen"));
}

TEST_F(Parts, of_many_sizes_the_last_are_remembered) {
    open();
    const int number = picture();
    const auto sizes = static_cast<std::uint32_t>(Display::layouts_max);
    for (std::uint32_t i = 0; i < 2 * sizes; ++i) {
        show_part(number, {0, 0, {640 + i, 480}});
    }
    EXPECT_EQ(card->tests, 2 * sizes);
    show_part(number, {0, 0, {640 + sizes, 480}});
    EXPECT_EQ(card->tests, 2 * sizes);
    show_part(number, {0, 0, {640, 480}});
    EXPECT_EQ(card->tests, 2 * sizes + 1);
}

}  // namespace
}  // namespace v4lfence
