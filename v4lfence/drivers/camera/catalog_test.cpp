// SPDX-License-Identifier: MIT

#include <gtest/gtest.h>

#include <cstring>
#include <set>

#include "v4lfence/drivers/camera/catalog.hpp"

namespace v4lfence {
namespace {

TEST(CameraCatalog, every_style_of_enumeration_occurs) {
    const auto catalog = camera_catalog(false);
    ASSERT_TRUE(catalog);
    std::set<std::uint32_t> sizes;
    std::set<std::uint32_t> intervals;
    for (const CatalogFormat& format : catalog->formats()) {
        sizes.insert(format.sizes.style);
        intervals.insert(format.intervals.style);
    }
    EXPECT_EQ(sizes.size(), 3U);
    EXPECT_EQ(intervals.size(), 3U);
}

TEST(CameraCatalog, several_planes_need_the_multi_planar_interface) {
    const auto single = camera_catalog(false);
    const auto several = camera_catalog(true);
    ASSERT_TRUE(single && several);
    for (const CatalogFormat& format : several->formats()) {
        const bool one_plane = find_picture_format(format.fourcc)->plane_count == 1;
        EXPECT_EQ(single->find(format.fourcc) != nullptr, one_plane);
    }
}

TEST(CameraCatalog, every_size_of_every_format_is_possible) {
    const auto catalog = camera_catalog(true);
    for (const CatalogFormat& format : catalog->formats()) {
        for (const v4l2_frmsize_discrete& wish :
             {v4l2_frmsize_discrete{1, 1}, {321, 241}, {1919, 1079}, {100000, 100000}}) {
            const auto size = FormatCatalog::nearest_size(format, wish.width, wish.height);
            const auto made = frame_format(format.fourcc, size);
            ASSERT_TRUE(made);
            EXPECT_EQ(made->shown.width, size.width);
            EXPECT_EQ(made->shown.height, size.height);
        }
    }
}

TEST(CameraCatalog, lists_offer_240_frames_a_second_in_full_hd) {
    const auto catalog = camera_catalog(false);
    const CatalogFormat& yuyv = *catalog->find(V4L2_PIX_FMT_YUYV);
    const v4l2_fract fast = FormatCatalog::nearest_interval(yuyv, {1920, 1080}, {1, 240});
    EXPECT_EQ(fast.denominator, 240U);
    const v4l2_fract large = FormatCatalog::nearest_interval(yuyv, {3840, 2160}, {1, 240});
    EXPECT_EQ(large.denominator, 60U);
}

TEST(FrameFormat, odd_rgb_has_room_for_its_last_row_and_column) {
    const auto made = frame_format(V4L2_PIX_FMT_RGB24, {101, 51});
    ASSERT_TRUE(made);
    EXPECT_GE(made->shown.planes[0].bytesperline, 303U);
    EXPECT_EQ(made->shown.planes[0].sizeimage, made->shown.planes[0].bytesperline * 51);
    EXPECT_EQ(made->painted.width, 100U);
    EXPECT_EQ(made->painted.height, 50U);
}

TEST(FrameFormat, longer_lines_are_had_for_the_asking) {
    const auto made = frame_format(V4L2_PIX_FMT_YUYV, {640, 480}, {4096});
    ASSERT_TRUE(made);
    EXPECT_EQ(made->shown.planes[0].bytesperline, 4096U);
    EXPECT_EQ(made->shown.planes[0].sizeimage, 4096U * 480);
}

TEST(FrameFormat, description_leaves_nothing_of_the_program_behind) {
    const auto made = frame_format(V4L2_PIX_FMT_YUV420M, {640, 480});
    v4l2_format format;
    std::memset(&format, 0xff, sizeof(format));
    describe(*made, true, format);
    const v4l2_pix_format_mplane& pix = format.fmt.pix_mp;
    EXPECT_EQ(pix.num_planes, 3);
    EXPECT_EQ(pix.plane_fmt[1].sizeimage, 320U * 240);
    EXPECT_EQ(pix.plane_fmt[3].sizeimage, 0U);
    EXPECT_EQ(pix.reserved[0], 0);
    EXPECT_EQ(pix.flags, 0);
}

TEST(FrameFormat, motion_jpeg_has_no_colorspace_of_still_pictures) {
    const auto made = frame_format(V4L2_PIX_FMT_MJPEG, {640, 480});
    v4l2_format format{};
    describe(*made, false, format);
    EXPECT_EQ(format.fmt.pix.colorspace, std::uint32_t{V4L2_COLORSPACE_SRGB});
    EXPECT_EQ(format.fmt.pix.quantization, std::uint32_t{V4L2_QUANTIZATION_FULL_RANGE});
    EXPECT_EQ(format.fmt.pix.bytesperline, 0U);
}

}  // namespace
}  // namespace v4lfence
