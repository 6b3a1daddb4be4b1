// SPDX-License-Identifier: MIT

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>

#include "v4lfence/kms/choice.hpp"
#include "v4lfence/kms/layout.hpp"
#include "v4lfence/kms/testing/fake_drm.hpp"

namespace v4lfence {
namespace {

using testing::FakeCard;
using testing::FakeDrm;
using ::testing::HasSubstr;
using testing::make_mode;

/// Two screens, a CRTC each; the second's planes know NV12, and there is one overlay for both.
class Choice : public ::testing::Test {
protected:
    Choice() {
        first_crtc = card->add_crtc();
        second_crtc = card->add_crtc();
        hdmi = card->add_connector(DRM_MODE_CONNECTOR_HDMIA, Connection::Connected,
                                   {make_mode(1280, 720, 60)}, 0b11);
        dp =
            card->add_connector(DRM_MODE_CONNECTOR_DisplayPort, Connection::Disconnected, {}, 0b11);
        first_primary = card->add_plane(PlaneType::Primary, 0b01, {DRM_FORMAT_XRGB8888});
        second_primary =
            card->add_plane(PlaneType::Primary, 0b10, {DRM_FORMAT_XRGB8888, DRM_FORMAT_NV12});
        overlay = card->add_plane(PlaneType::Overlay, 0b11, {DRM_FORMAT_YUYV});
        cursor = card->add_plane(PlaneType::Cursor, 0b11, {DRM_FORMAT_ARGB8888});
    }

    Topology topology() const {
        FakeDrm drm(card);
        return *read_topology(drm);
    }

    void connect(std::uint32_t connector, std::uint32_t crtc) {
        card->objects[connector].connector.connection = Connection::Connected;
        card->objects[connector].connector.modes = {make_mode(640, 480, 60)};
        card->set(connector, "CRTC_ID", crtc);
    }

    /// The ids of "connector crtc plane [under]", or why not.
    std::string choose(const DisplayWish& wish) const {
        const Topology all = topology();
        const auto choice = choose_output(all, wish);
        if (!choice) {
            EXPECT_EQ(choice.error().code, -ENODEV);
            return choice.error().sentence;
        }
        std::string text =
            words(all.connectors[choice->connector].info.id, " ", all.crtcs[choice->crtc].id, " ",
                  all.planes[choice->plane].info.id);
        return choice->under ? words(text, " ", all.planes[*choice->under].info.id) : text;
    }

    static DisplayWish wish(std::uint32_t fourcc, PlaneType plane = PlaneType::Primary,
                            const char* connector = "") {
        DisplayWish wanted;
        wanted.fourcc = fourcc;
        wanted.plane = plane;
        wanted.connector = connector;
        return wanted;
    }

    std::shared_ptr<FakeCard> card = std::make_shared<FakeCard>();
    std::uint32_t first_crtc, second_crtc, hdmi, dp;
    std::uint32_t first_primary, second_primary, overlay, cursor;
};

TEST_F(Choice, first_connected_connector_is_taken) {
    EXPECT_EQ(choose(wish(0)), words(hdmi, " ", first_crtc, " ", first_primary));
    card->objects[hdmi].connector.connection = Connection::Disconnected;
    connect(dp, 0);
    EXPECT_EQ(choose(wish(0)), words(dp, " ", first_crtc, " ", first_primary));
}

TEST_F(Choice, nothing_connected_lists_the_connectors) {
    card->objects[hdmi].connector.connection = Connection::Disconnected;
    const std::string why = choose(wish(0));
    EXPECT_THAT(why, HasSubstr("HDMI-A-1 (not connected)"));
    EXPECT_THAT(why, HasSubstr("DP-2 (not connected)"));
}

TEST_F(Choice, unknown_connection_is_taken_only_where_no_other_is) {
    card->objects[dp].connector.connection = Connection::Unknown;
    card->objects[dp].connector.modes = {make_mode(640, 480, 60)};
    EXPECT_EQ(choose(wish(0)), words(hdmi, " ", first_crtc, " ", first_primary));
    card->objects[hdmi].connector.connection = Connection::Disconnected;
    EXPECT_EQ(choose(wish(0)), words(dp, " ", first_crtc, " ", first_primary));
}

TEST_F(Choice, named_connector_must_be_there_and_connected) {
    EXPECT_THAT(choose(wish(0, PlaneType::Primary, "DP-2")), HasSubstr("DP-2 is not connected"));
    EXPECT_THAT(choose(wish(0, PlaneType::Primary, "LVDS-1")), HasSubstr("HDMI-A-1 (connected)"));
    connect(dp, 0);
    EXPECT_EQ(choose(wish(0, PlaneType::Primary, "DP-2")),
              words(dp, " ", first_crtc, " ", first_primary));
}

TEST_F(Choice, crtc_that_the_connector_has_is_kept) {
    card->set(hdmi, "CRTC_ID", second_crtc);
    EXPECT_EQ(choose(wish(0)), words(hdmi, " ", second_crtc, " ", second_primary));
}

TEST_F(Choice, crtc_changes_for_the_format) {
    card->set(hdmi, "CRTC_ID", first_crtc);
    card->set(first_primary, "CRTC_ID", first_crtc);
    EXPECT_EQ(choose(wish(DRM_FORMAT_NV12)), words(hdmi, " ", second_crtc, " ", second_primary));
}

TEST_F(Choice, crtc_of_another_connector_is_left_alone) {
    connect(dp, first_crtc);
    EXPECT_EQ(choose(wish(0)), words(hdmi, " ", second_crtc, " ", second_primary));
    card->objects[hdmi].connector.possible_crtcs = 0b01;
    EXPECT_THAT(choose(wish(0)), HasSubstr("on another connector"));
}

TEST_F(Choice, overlay_comes_with_the_primary_below) {
    EXPECT_EQ(choose(wish(DRM_FORMAT_YUYV, PlaneType::Overlay)),
              words(hdmi, " ", first_crtc, " ", overlay, " ", first_primary));
}

TEST_F(Choice, plane_of_another_crtc_is_left_alone) {
    connect(dp, second_crtc);
    card->set(overlay, "CRTC_ID", second_crtc);
    EXPECT_THAT(choose(wish(DRM_FORMAT_YUYV, PlaneType::Overlay)), HasSubstr("no free overlay"));
}

TEST_F(Choice, plane_that_the_crtc_has_goes_first) {
    const std::uint32_t third = card->add_plane(PlaneType::Overlay, 0b11, {DRM_FORMAT_YUYV});
    card->set(third, "CRTC_ID", first_crtc);
    EXPECT_EQ(choose(wish(0, PlaneType::Overlay)),
              words(hdmi, " ", first_crtc, " ", third, " ", first_primary));
}

TEST_F(Choice, format_that_no_plane_takes_names_those_there_are) {
    const std::string why = choose(wish(DRM_FORMAT_YUYV));
    EXPECT_THAT(why, HasSubstr("no primary plane"));
    EXPECT_THAT(why, HasSubstr("YUYV"));
    EXPECT_THAT(why, HasSubstr("XR24"));
    EXPECT_THAT(why, HasSubstr("an overlay plane would take it"));
}

TEST_F(Choice, cursor_shows_no_pictures) {
    EXPECT_EQ(choose_output(topology(), wish(0, PlaneType::Cursor)).error().code, -EINVAL);
}

TEST(Layout, equal_sizes_stay_as_they_are) {
    const PictureLayout whole{0, 0, {640, 480}, 0, 0, {640, 480}};
    EXPECT_EQ(fitted({640, 480}, {640, 480}), whole);
    EXPECT_EQ(centred({640, 480}, {640, 480}), whole);
}

TEST(Layout, fitted_keeps_the_shape) {
    EXPECT_EQ(fitted({640, 480}, {1280, 720}),
              (PictureLayout{0, 0, {640, 480}, 160, 0, {960, 720}}));
    EXPECT_EQ(fitted({1920, 1080}, {640, 480}),
              (PictureLayout{0, 0, {1920, 1080}, 0, 60, {640, 360}}));
    EXPECT_EQ(fitted({4000, 1}, {640, 480}).screen, (Extent{640, 1})) << "never nothing";
}

TEST(Layout, centred_cuts_at_even_pixels) {
    EXPECT_EQ(centred({640, 480}, {1280, 720}),
              (PictureLayout{0, 0, {640, 480}, 320, 120, {640, 480}}));
    EXPECT_EQ(centred({646, 486}, {640, 480}), (PictureLayout{2, 2, {640, 480}, 0, 0, {640, 480}}));
    EXPECT_EQ(centred({646, 100}, {640, 480}),
              (PictureLayout{2, 0, {640, 100}, 0, 190, {640, 100}}));
}

}  // namespace
}  // namespace v4lfence
