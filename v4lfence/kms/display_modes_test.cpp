// SPDX-License-Identifier: MIT
//
// What the commit that sets a mode changes beside the picture, and what of it is put back.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "v4lfence/kms/modes.hpp"
#include "v4lfence/kms/testing/fake_display.hpp"

namespace v4lfence {
namespace {

using testing::Displays;
using testing::FakeCommit;
using testing::FakeDrm;
using ::testing::HasSubstr;
using testing::make_mode;
using testing::open_descriptors;

TEST_F(Displays, lost_master_is_explained_and_the_mode_set_anew) {
    open();
    const int number = picture();
    show(number);
    card->judge = [](const FakeCommit&) { return -EACCES; };
    const auto refused = display->show({number}, false);
    EXPECT_EQ(refused.error().code, -EACCES);
    EXPECT_THAT(refused.error().sentence, HasSubstr("master"));
    card->judge = nullptr;
    show(number);
    EXPECT_TRUE(last().has(crtc, "MODE_ID"));
}

TEST_F(Displays, mode_changes_with_the_next_picture) {
    open();
    show(picture());
    ASSERT_TRUE(display->set_mode("640x480"));
    EXPECT_EQ(card->commits.size(), 1U);
    show(picture({640, 480}));
    EXPECT_TRUE(last().flags & DRM_MODE_ATOMIC_ALLOW_MODESET);
    EXPECT_EQ(card->tests, 0U);
    const auto refused = display->set_mode("641x480");
    EXPECT_EQ(refused.error().code, -EINVAL);
    EXPECT_THAT(refused.error().sentence, HasSubstr("1280x720@60.00"));
}

TEST_F(Displays, mode_that_is_refused_is_not_called_the_one_that_is_on) {
    open();
    EXPECT_EQ(display->mode().hdisplay, 1280U) << "that the first picture will have";
    const int number = picture();
    show(number);
    ASSERT_TRUE(display->set_mode("640x480"));
    EXPECT_EQ(display->mode().hdisplay, 1280U);
    card->judge = [this](const FakeCommit& commit) {
        return commit.has(crtc, "MODE_ID") ? -EINVAL : 0;
    };
    const int small = picture({640, 480});
    for (int times = 0; times < 2; ++times) {
        const auto refused = display->show({small}, false);
        ASSERT_FALSE(refused);
        EXPECT_EQ(refused.error().code, -EINVAL);
        EXPECT_THAT(refused.error().sentence, HasSubstr("in the mode 640x480@60.00"));
        EXPECT_EQ(display->mode().hdisplay, 1280U);
    }
    card->judge = nullptr;
    ASSERT_TRUE(display->set_mode(mode_name(display->mode())));
    show(number);
    EXPECT_EQ(last().value(primary, "CRTC_W"), 1280U);
    EXPECT_EQ(display->mode().hdisplay, 1280U);
    ASSERT_TRUE(display->set_mode("640x480"));
    show(small);
    EXPECT_EQ(display->mode().hdisplay, 640U);
}

TEST_F(Displays, mode_chosen_before_the_first_picture_is_told_at_once) {
    open();
    ASSERT_TRUE(display->set_mode("640x480"));
    EXPECT_EQ(display->mode().hdisplay, 640U);
}

TEST_F(Displays, black_of_a_mode_that_was_refused_is_let_go_and_that_on_screen_kept) {
    DisplayWish wish;
    wish.plane = PlaneType::Overlay;
    open(wish);
    const int number = picture({640, 480}, DRM_FORMAT_NV12);
    show(number);
    const auto black = static_cast<std::uint32_t>(last().value(primary, "FB_ID"));
    card->judge = [](const FakeCommit&) { return -ENOSPC; };
    for (const char* const mode : {"640x480", "1280x720", "640x480"}) {
        ASSERT_TRUE(display->set_mode(mode));
        EXPECT_FALSE(display->show({number}, false));
        EXPECT_TRUE(card->framebuffers.contains(black));
        EXPECT_EQ(card->framebuffers.size(), 3U) << "the picture's, and a black one of each mode";
    }
    card->judge = nullptr;
    show(number);
    EXPECT_FALSE(card->framebuffers.contains(black));
}

TEST_F(Displays, black_needs_no_driver_that_shares_its_memory) {
    DisplayWish wish;
    wish.plane = PlaneType::Overlay;
    open(wish);
    const int number = picture({640, 480}, DRM_FORMAT_NV12);
    card->exports = false;
    EXPECT_EQ(display->allocate({640, 480}, DRM_FORMAT_NV12).error().code, -EOPNOTSUPP);
    const std::size_t before = open_descriptors();
    show(number);
    EXPECT_TRUE(last().has(primary, "FB_ID"));
    EXPECT_EQ(open_descriptors(), before);
}

TEST_F(Displays, overlay_has_a_black_primary_of_the_modes_size) {
    DisplayWish wish;
    wish.plane = PlaneType::Overlay;
    open(wish);
    const int number = picture({640, 480}, DRM_FORMAT_NV12);
    show(number);
    EXPECT_EQ(last().value(primary, "CRTC_W"), 1280U);
    const std::uint64_t black = last().value(primary, "FB_ID");
    EXPECT_NE(black, last().value(overlay, "FB_ID"));
    show(number);
    EXPECT_FALSE(last().has(primary, "FB_ID"));
    ASSERT_TRUE(display->set_mode("640x480"));
    ASSERT_TRUE(display->show({number}, false));
    EXPECT_TRUE(card->framebuffers.contains(static_cast<std::uint32_t>(black))) << "still shown";
    flip();
    EXPECT_FALSE(card->framebuffers.contains(static_cast<std::uint32_t>(black)));
}

TEST_F(Displays, close_puts_back_what_was_shown) {
    const DrmMode old = make_mode(640, 480, 60);
    const std::uint32_t blob = card->add_blob(std::as_bytes(std::span(&old, 1)));
    blobs_of_others = 1;
    card->set(crtc, "MODE_ID", blob);
    card->set(crtc, "ACTIVE", 1);
    card->set(connector, "CRTC_ID", crtc);
    card->set(overlay, "CRTC_ID", crtc);
    card->set(overlay, "FB_ID", 55);
    card->set(primary, "CRTC_ID", crtc);
    card->set(primary, "FB_ID", 56);
    card->set(primary, "rotation", DRM_MODE_ROTATE_90);
    open();
    show(picture());
    EXPECT_EQ(card->value(overlay, "FB_ID"), 0U) << "it would cover the pictures";
    EXPECT_EQ(card->value(primary, "rotation"), static_cast<unsigned>(DRM_MODE_ROTATE_0));
    std::vector<std::byte> restored;
    card->judge = [&](const FakeCommit& commit) {
        restored = card->blobs[static_cast<std::uint32_t>(commit.value(crtc, "MODE_ID"))];
        return 0;
    };
    display.reset();
    EXPECT_EQ(last().flags, static_cast<unsigned>(DRM_MODE_ATOMIC_ALLOW_MODESET));
    ASSERT_EQ(restored.size(), sizeof(old));
    EXPECT_EQ(std::memcmp(restored.data(), &old, sizeof(old)), 0);
    EXPECT_EQ(card->value(primary, "FB_ID"), 56U);
    EXPECT_EQ(card->value(overlay, "FB_ID"), 55U);
    EXPECT_EQ(card->value(primary, "rotation"), static_cast<unsigned>(DRM_MODE_ROTATE_90));
}

/// What a compositor that was killed has left: colours of its own, of blobs that go with it.
TEST_F(Displays, colours_are_plain_while_pictures_are_shown_and_put_back) {
    const std::byte warm[] = {std::byte{1}, std::byte{2}};
    const std::byte matrix[] = {std::byte{3}};
    const std::uint32_t gamma = card->add_blob(warm);
    card->set(crtc, "GAMMA_LUT", gamma);
    card->set(crtc, "CTM", card->add_blob(matrix));
    blobs_of_others = 1;  // That of the CTM.
    card->set(crtc, "DEGAMMA_LUT", 0);
    card->set(crtc, "VRR_ENABLED", 1);
    card->set(primary, "pixel blend mode", 2);
    open();
    const int number = picture();
    show(number);
    for (const char* const name : {"GAMMA_LUT", "CTM", "DEGAMMA_LUT", "VRR_ENABLED"}) {
        EXPECT_EQ(last().value(crtc, name), 0U) << name;
    }
    EXPECT_EQ(last().value(primary, "pixel blend mode"), 0U);
    card->blobs.erase(gamma);
    show(number);
    EXPECT_FALSE(last().has(crtc, "GAMMA_LUT")) << "with the mode alone";
    std::vector<std::byte> table;
    card->judge = [&](const FakeCommit& commit) {
        table = card->blobs[static_cast<std::uint32_t>(commit.value(crtc, "GAMMA_LUT"))];
        return 0;
    };
    display.reset();
    EXPECT_EQ(table, std::vector<std::byte>(std::begin(warm), std::end(warm)));
    EXPECT_NE(card->value(crtc, "CTM"), 0U);
    EXPECT_EQ(card->value(crtc, "DEGAMMA_LUT"), 0U);
    EXPECT_EQ(card->value(crtc, "VRR_ENABLED"), 1U);
    EXPECT_EQ(card->value(primary, "pixel blend mode"), 2U);
}

TEST_F(Displays, ycbcr_is_of_a_camera_while_pictures_are_shown_and_put_back) {
    card->offer(primary, "COLOR_ENCODING",
                {{"ITU-R BT.709 YCbCr", 1}, {"ITU-R BT.601 YCbCr", 4}, {"ITU-R BT.2020 YCbCr", 2}},
                1);
    card->offer(primary, "COLOR_RANGE", {{"YCbCr limited range", 0}, {"YCbCr full range", 1}}, 1);
    open();
    show(picture());
    EXPECT_EQ(last().value(primary, "COLOR_ENCODING"), 4U);
    EXPECT_EQ(last().value(primary, "COLOR_RANGE"), 0U);
    display.reset();
    EXPECT_EQ(card->value(primary, "COLOR_ENCODING"), 1U);
    EXPECT_EQ(card->value(primary, "COLOR_RANGE"), 1U);
}

TEST_F(Displays, ycbcr_of_a_driver_with_another_alone_is_left_as_it_is) {
    card->offer(primary, "COLOR_ENCODING", {{"ITU-R BT.709 YCbCr", 1}}, 1);
    open();
    show(picture());
    EXPECT_FALSE(last().has(primary, "COLOR_ENCODING"));
    EXPECT_FALSE(last().has(primary, "COLOR_RANGE"));
}

TEST_F(Displays, close_turns_off_what_cannot_be_put_back_and_leaves_the_colours_as_they_were) {
    card->set(primary, "CRTC_ID", crtc);
    card->set(primary, "FB_ID", 56);
    const std::byte warm[] = {std::byte{1}, std::byte{2}};
    card->set(crtc, "GAMMA_LUT", card->add_blob(warm));
    blobs_of_others = 1;
    card->set(crtc, "CTM", 0);
    card->set(crtc, "VRR_ENABLED", 1);
    open();
    show(picture());
    std::vector<std::byte> table;
    card->judge = [&](const FakeCommit& commit) {
        if (commit.value(primary, "FB_ID") == 56) {
            return -EINVAL;
        }
        table = card->blobs[static_cast<std::uint32_t>(commit.value(crtc, "GAMMA_LUT"))];
        return 0;
    };
    display.reset();
    EXPECT_EQ(table, std::vector<std::byte>(std::begin(warm), std::end(warm)));
    EXPECT_EQ(card->value(crtc, "CTM"), 0U);
    EXPECT_EQ(card->value(crtc, "VRR_ENABLED"), 1U);
    EXPECT_EQ(card->value(primary, "FB_ID"), 0U);
    EXPECT_EQ(card->value(crtc, "ACTIVE"), 0U);
    EXPECT_EQ(card->value(connector, "CRTC_ID"), 0U);
}

TEST_F(Displays, connector_that_moves_to_another_crtc_leaves_nothing_on) {
    const std::uint32_t second = card->add_crtc();
    card->objects[connector].connector.possible_crtcs = 0b11;
    const std::uint32_t yuyv = card->add_plane(PlaneType::Primary, 0b10, {DRM_FORMAT_YUYV});
    card->set(connector, "CRTC_ID", crtc);
    card->set(crtc, "ACTIVE", 1);
    card->set(primary, "CRTC_ID", crtc);
    card->set(primary, "FB_ID", 56);
    DisplayWish wish;
    wish.fourcc = DRM_FORMAT_YUYV;
    open(wish);
    ASSERT_TRUE(display->show({picture({1280, 720}, DRM_FORMAT_YUYV)}, false));
    EXPECT_EQ(last().value(connector, "CRTC_ID"), second);
    EXPECT_EQ(last().value(crtc, "ACTIVE"), 0U);
    EXPECT_EQ(last().value(primary, "FB_ID"), 0U);
    EXPECT_TRUE(last().has(yuyv, "FB_ID"));
    card->finish(second, 1, 1);
}

/// The connector has a CRTC that cannot show YUYV, and another one can.
class MovedDisplay : public Displays {
protected:
    MovedDisplay() {
        second = card->add_crtc();
        card->objects[connector].connector.possible_crtcs = 0b11;
        yuyv = card->add_plane(PlaneType::Primary, 0b10, {DRM_FORMAT_YUYV});
        const DrmMode old = make_mode(640, 480, 60);
        card->set(crtc, "MODE_ID", card->add_blob(std::as_bytes(std::span(&old, 1))));
        blobs_of_others = 1;
        card->set(connector, "CRTC_ID", crtc);
        card->set(primary, "CRTC_ID", crtc);
        card->set(primary, "FB_ID", 56);
    }

    void open_and_show() {
        DisplayWish wish;
        wish.fourcc = DRM_FORMAT_YUYV;
        open(wish);
        number = picture({1280, 720}, DRM_FORMAT_YUYV);
        show_moved();
    }

    void show_moved() {
        const auto shown = display->show({number}, false);
        ASSERT_TRUE(shown) << shown.error().sentence;
        EXPECT_EQ(card->value(connector, "CRTC_ID"), second);
        EXPECT_EQ(card->value(crtc, "MODE_ID"), 0U);
        EXPECT_EQ(card->value(crtc, "ACTIVE"), 0U);
        EXPECT_EQ(card->value(primary, "FB_ID"), 0U);
        card->finish(second, 1, 1);
        EXPECT_TRUE(display->next_flip()->has_value());
    }

    std::uint32_t second, yuyv;
    int number = 0;
};

TEST_F(MovedDisplay, crtc_that_was_off_is_left_before_the_mode_is_set) {
    open_and_show();
    ASSERT_EQ(card->commits.size(), 2U);
    const FakeCommit& left = card->commits.front();
    EXPECT_EQ(left.flags, static_cast<unsigned>(DRM_MODE_ATOMIC_ALLOW_MODESET));
    EXPECT_EQ(left.value(connector, "CRTC_ID"), 0U);
    EXPECT_FALSE(left.has(second, "ACTIVE"));
    display.reset();
    EXPECT_EQ(card->value(connector, "CRTC_ID"), crtc) << "and put back";
    EXPECT_EQ(card->value(crtc, "ACTIVE"), 0U);
    EXPECT_NE(card->value(crtc, "MODE_ID"), 0U);
}

TEST_F(MovedDisplay, crtc_that_was_left_is_put_back_though_nothing_was_shown) {
    card->judge = [this](const FakeCommit& commit) {
        return commit.has(second, "ACTIVE") && commit.value(second, "ACTIVE") == 1 ? -EINVAL : 0;
    };
    DisplayWish wish;
    wish.fourcc = DRM_FORMAT_YUYV;
    open(wish);
    EXPECT_FALSE(display->show({picture({1280, 720}, DRM_FORMAT_YUYV)}, false));
    EXPECT_EQ(card->value(connector, "CRTC_ID"), 0U);
    display.reset();
    EXPECT_EQ(card->value(connector, "CRTC_ID"), crtc);
}

TEST_F(MovedDisplay, mode_can_be_set_again) {
    card->set(crtc, "ACTIVE", 1);
    open_and_show();
    EXPECT_EQ(card->commits.size(), 1U) << "one that was on goes off with the mode";
    ASSERT_TRUE(display->set_mode("1280x720"));
    show_moved();
    EXPECT_FALSE(last().has(crtc, "ACTIVE"));
}

TEST_F(MovedDisplay, another_master_that_moved_it_back_is_displaced_again) {
    card->set(crtc, "ACTIVE", 1);
    open_and_show();
    card->judge = [](const FakeCommit&) { return -EACCES; };
    EXPECT_FALSE(display->show({number}, false));
    card->judge = nullptr;
    card->set(connector, "CRTC_ID", crtc);
    card->set(crtc, "MODE_ID", 77);
    card->set(crtc, "ACTIVE", 1);
    show_moved();
}

TEST_F(Displays, card_without_atomic_properties_is_refused) {
    card->objects[crtc].values.erase("ACTIVE");
    Card fake{"/dev/dri/card7", "fake", 226, 7, std::make_unique<FakeDrm>(card), {}};
    fake.topology = *read_topology(*fake.drm);
    const auto made = Display::create(std::move(fake), DisplayWish{}, clock);
    ASSERT_FALSE(made);
    EXPECT_EQ(made.error().code, -EOPNOTSUPP);
}

}  // namespace
}  // namespace v4lfence
