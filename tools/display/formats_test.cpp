// SPDX-License-Identifier: MIT

#include <drm_fourcc.h>
#include <gtest/gtest.h>
#include <linux/videodev2.h>

#include <array>

#include "tools/display/formats.hpp"

namespace v4lfence {
namespace {

CaptureFormat format_of(std::uint32_t fourcc, std::vector<PlaneLayout> planes) {
    CaptureFormat format;
    format.type = V4L2_BUF_TYPE_VIDEO_CAPTURE;
    format.fourcc = fourcc;
    format.size = {640, 361};
    format.planes = std::move(planes);
    return format;
}

TEST(DisplayFormats, the_bytes_in_memory_agree) {
    // V4L2: B G R X from the lowest address on; DRM: x:R:G:B of a little-endian word.
    EXPECT_EQ(display_fourcc(V4L2_PIX_FMT_XBGR32), DRM_FORMAT_XRGB8888);
    EXPECT_EQ(display_fourcc(V4L2_PIX_FMT_RGBX32), DRM_FORMAT_XBGR8888);
    EXPECT_EQ(display_fourcc(V4L2_PIX_FMT_XRGB32), DRM_FORMAT_BGRX8888);
    EXPECT_EQ(display_fourcc(V4L2_PIX_FMT_BGRX32), DRM_FORMAT_RGBX8888);
    EXPECT_EQ(display_fourcc(V4L2_PIX_FMT_RGB24), DRM_FORMAT_BGR888);
    EXPECT_EQ(display_fourcc(V4L2_PIX_FMT_BGR24), DRM_FORMAT_RGB888);
    EXPECT_EQ(display_fourcc(V4L2_PIX_FMT_NV12M), DRM_FORMAT_NV12);
    EXPECT_EQ(display_fourcc(V4L2_PIX_FMT_MJPEG), std::nullopt);
}

TEST(DisplayFormats, alpha_of_cameras_is_not_shown) {
    EXPECT_EQ(display_fourcc(V4L2_PIX_FMT_ABGR32), DRM_FORMAT_XRGB8888);
    EXPECT_EQ(display_fourcc(V4L2_PIX_FMT_ARGB555), DRM_FORMAT_XRGB1555);
}

TEST(DisplayFormats, chroma_follows_luma_in_one_plane) {
    const auto layout = scanout_layout(format_of(V4L2_PIX_FMT_NV12, {{704, 0}}));
    ASSERT_TRUE(layout);
    EXPECT_EQ(layout->planes,
              (std::vector<ScanoutPlane>{{0, 0, 704, 361}, {0, 704 * 361, 704, 181}}));
}

TEST(DisplayFormats, an_odd_height_has_a_row_of_chroma_more) {
    const auto layout = scanout_layout(format_of(V4L2_PIX_FMT_YUV420, {{640, 0}}));
    ASSERT_TRUE(layout);
    EXPECT_EQ(layout->planes, (std::vector<ScanoutPlane>{{0, 0, 640, 361},
                                                         {0, 640 * 361, 320, 181},
                                                         {0, 640 * 361 + 320 * 181, 320, 181}}));
}

TEST(DisplayFormats, planes_of_their_own_begin_at_their_start) {
    const auto layout = scanout_layout(format_of(V4L2_PIX_FMT_NV12M, {{640, 0}, {704, 0}}));
    ASSERT_TRUE(layout);
    EXPECT_EQ(layout->planes, (std::vector<ScanoutPlane>{{0, 0, 640, 361}, {1, 0, 704, 181}}));
}

TEST(DisplayFormats, planes_that_do_not_fit_the_format_are_no_picture) {
    EXPECT_FALSE(scanout_layout(format_of(V4L2_PIX_FMT_YUV420M, {{640, 0}, {320, 0}})));
    EXPECT_FALSE(scanout_layout(format_of(V4L2_PIX_FMT_MJPEG, {{0, 0}})));
}

FormatTaste taste(std::uint32_t shown, std::uint32_t converted) {
    return {[shown](std::uint32_t fourcc) { return fourcc == shown; },
            [converted](std::uint32_t fourcc) { return fourcc == converted; }};
}

TEST(DisplayFormats, the_present_format_stays_if_it_can_be_shown) {
    const std::array<std::uint32_t, 2> offered = {V4L2_PIX_FMT_XBGR32, V4L2_PIX_FMT_YUYV};
    const FormatTaste both = {[](std::uint32_t) { return true; },
                              [](std::uint32_t) { return true; }};
    EXPECT_EQ(choose_capture_fourcc(V4L2_PIX_FMT_YUYV, offered, both), V4L2_PIX_FMT_YUYV);
}

TEST(DisplayFormats, one_that_is_shown_beats_one_that_is_converted) {
    const std::array<std::uint32_t, 2> offered = {V4L2_PIX_FMT_YUYV, V4L2_PIX_FMT_NV12};
    EXPECT_EQ(choose_capture_fourcc(V4L2_PIX_FMT_YUYV, offered,
                                    taste(DRM_FORMAT_NV12, V4L2_PIX_FMT_YUYV)),
              V4L2_PIX_FMT_NV12);
}

TEST(DisplayFormats, what_nobody_shows_is_converted) {
    const std::array<std::uint32_t, 2> offered = {V4L2_PIX_FMT_YUYV, V4L2_PIX_FMT_GREY};
    EXPECT_EQ(choose_capture_fourcc(V4L2_PIX_FMT_YUYV, offered, taste(0, V4L2_PIX_FMT_GREY)),
              V4L2_PIX_FMT_GREY);
    EXPECT_EQ(choose_capture_fourcc(V4L2_PIX_FMT_YUYV, offered, taste(0, 0)), std::nullopt);
}

TEST(DisplayFormats, the_largest_size_that_fits_the_screen) {
    const std::array<ImageSize, 3> sizes = {{{640, 480}, {1280, 720}, {800, 600}}};
    EXPECT_EQ(largest_fitting(sizes, {1024, 768}), (ImageSize{800, 600}));
    EXPECT_EQ(largest_fitting(sizes, {1280, 720}), (ImageSize{1280, 720}));
    EXPECT_EQ(largest_fitting(sizes, {320, 240}), std::nullopt);
}

}  // namespace
}  // namespace v4lfence
