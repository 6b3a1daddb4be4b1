// SPDX-License-Identifier: MIT

#include <gtest/gtest.h>
#include <linux/videodev2.h>

#include "v4lfence/drivers/picture/layout.hpp"

namespace v4lfence {
namespace {

std::uint32_t size_of(std::uint32_t fourcc, unsigned plane, const BytesPerLine& wanted = {}) {
    return layout_of(fourcc, 642, 482, wanted)->planes[plane].sizeimage;
}

std::uint32_t line_of(std::uint32_t fourcc, unsigned plane, const BytesPerLine& wanted = {}) {
    return layout_of(fourcc, 642, 482, wanted)->planes[plane].bytesperline;
}

TEST(PictureLayout, sizes_are_minimal_when_nothing_is_wanted) {
    constexpr std::uint32_t pixels = 642 * 482;
    EXPECT_EQ(size_of(V4L2_PIX_FMT_YUYV, 0), pixels * 2);
    EXPECT_EQ(size_of(V4L2_PIX_FMT_NV12, 0), pixels * 3 / 2);
    EXPECT_EQ(size_of(V4L2_PIX_FMT_YUV420, 0), pixels * 3 / 2);
    EXPECT_EQ(size_of(V4L2_PIX_FMT_NV12M, 0), pixels);
    EXPECT_EQ(size_of(V4L2_PIX_FMT_NV12M, 1), pixels / 2);
    EXPECT_EQ(size_of(V4L2_PIX_FMT_YUV420M, 2), pixels / 4);
    EXPECT_EQ(size_of(V4L2_PIX_FMT_RGB24, 0), pixels * 3);
    EXPECT_EQ(size_of(V4L2_PIX_FMT_XBGR32, 0), pixels * 4);
    EXPECT_EQ(size_of(V4L2_PIX_FMT_GREY, 0), pixels);
    EXPECT_EQ(line_of(V4L2_PIX_FMT_MJPEG, 0), 0U);
    EXPECT_GT(size_of(V4L2_PIX_FMT_MJPEG, 0), pixels);
}

TEST(PictureLayout, longer_lines_are_taken_as_wanted_and_even) {
    EXPECT_EQ(line_of(V4L2_PIX_FMT_NV12, 0, {700}), 700U);
    EXPECT_EQ(size_of(V4L2_PIX_FMT_NV12, 0, {700}), 700U * 482 * 3 / 2);
    EXPECT_EQ(line_of(V4L2_PIX_FMT_GREY, 0, {699}), 700U);
    EXPECT_EQ(line_of(V4L2_PIX_FMT_YUV420M, 1, {0, 400, 500}), 400U);
    EXPECT_EQ(size_of(V4L2_PIX_FMT_YUV420M, 2, {0, 400, 500}), 500U * 241);
    EXPECT_EQ(line_of(V4L2_PIX_FMT_MJPEG, 0, {5000}), 0U);
}

TEST(PictureLayout, own_lines_are_kept) {
    for (const PictureFormat& format : picture_formats()) {
        for (const std::uint32_t width : {16U, 18U, 642U}) {
            const auto layout = layout_of(format.fourcc, width, 18);
            BytesPerLine own{};
            for (unsigned i = 0; i < picture_planes_max; ++i) {
                own[i] = layout->planes[i].bytesperline;
            }
            EXPECT_EQ(layout_of(format.fourcc, width, 18, own).value_or(PictureLayout{}), *layout);
        }
    }
}

TEST(PictureLayout, line_length_has_limits) {
    EXPECT_EQ(line_of(V4L2_PIX_FMT_YUYV, 0, {1}), 1284U);
    EXPECT_EQ(line_of(V4L2_PIX_FMT_YUYV, 0, {UINT32_MAX}), bytesperline_max);
}

TEST(PictureLayout, shared_plane_has_chroma_behind_luma) {
    const auto layout = layout_of(V4L2_PIX_FMT_YUV420, 642, 482, {700});
    const PictureComponents components = components_of(*layout);
    ASSERT_EQ(components.count, 3U);
    EXPECT_EQ(components.each[1].offset, 700U * 482);
    EXPECT_EQ(components.each[2].offset, 700U * 482 + 350 * 241);
    EXPECT_EQ(components.each[2].stride, 350U);
    EXPECT_EQ(components.each[2].row_bytes, 321U);
    EXPECT_EQ(components.each[2].rows, 241U);
}

TEST(PictureLayout, every_format_has_every_legal_size) {
    for (const PictureFormat& format : picture_formats()) {
        EXPECT_TRUE(layout_of(format.fourcc, 16, 16).has_value()) << format.name;
        EXPECT_TRUE(layout_of(format.fourcc, 3840, 2160).has_value()) << format.name;
        EXPECT_EQ(layout_of(format.fourcc, 16, 16)->plane_count, format.plane_count);
    }
}

TEST(PictureLayout, other_sizes_and_formats_are_refused) {
    struct Wrong {
        std::uint32_t fourcc;
        std::uint32_t width;
        std::uint32_t height;
    };
    constexpr Wrong wrongs[] = {{V4L2_PIX_FMT_YUYV, 0, 480},
                                {V4L2_PIX_FMT_YUYV, 14, 480},
                                {V4L2_PIX_FMT_YUYV, 641, 480},
                                {V4L2_PIX_FMT_YUYV, 3842, 480},
                                {V4L2_PIX_FMT_YUYV, 640, 14},
                                {V4L2_PIX_FMT_YUYV, 640, 2162},
                                {V4L2_PIX_FMT_YUYV, 640, 481},
                                {V4L2_PIX_FMT_UYVY, 640, 480},
                                {0, 640, 480}};
    for (const Wrong& wrong : wrongs) {
        const auto layout = layout_of(wrong.fourcc, wrong.width, wrong.height);
        ASSERT_FALSE(layout.has_value()) << wrong.width << "x" << wrong.height;
        EXPECT_EQ(layout.error().code, -EINVAL);
    }
}

TEST(PictureLayout, colours_are_announced_as_they_are_stored) {
    EXPECT_EQ(colour_of(V4L2_PIX_FMT_NV12),
              (PictureColour{V4L2_COLORSPACE_SRGB, V4L2_YCBCR_ENC_601, V4L2_QUANTIZATION_LIM_RANGE,
                             V4L2_XFER_FUNC_SRGB}));
    EXPECT_EQ(colour_of(V4L2_PIX_FMT_MJPEG).colorspace, std::uint32_t{V4L2_COLORSPACE_JPEG});
    for (const std::uint32_t fourcc :
         {V4L2_PIX_FMT_MJPEG, V4L2_PIX_FMT_RGB24, V4L2_PIX_FMT_XBGR32}) {
        EXPECT_EQ(colour_of(fourcc).quantization, std::uint32_t{V4L2_QUANTIZATION_FULL_RANGE});
    }
    EXPECT_EQ(colour_of(V4L2_PIX_FMT_GREY).quantization,
              std::uint32_t{V4L2_QUANTIZATION_LIM_RANGE});
}

}  // namespace
}  // namespace v4lfence
