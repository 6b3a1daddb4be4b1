// SPDX-License-Identifier: MIT

#include <cairo.h>
#include <gtest/gtest.h>
#include <linux/videodev2.h>

#include <cmath>
#include <filesystem>
#include <vector>

#include "tools/stream/picture.hpp"

namespace v4lfence {
namespace {

using Bytes = std::vector<std::byte>;

Bytes bytes_of(std::initializer_list<int> values) {
    Bytes bytes;
    for (const int value : values) {
        bytes.push_back(static_cast<std::byte>(value));
    }
    return bytes;
}

std::optional<ImageView> view_of(std::uint32_t fourcc, ImageSize size, const Bytes& memory,
                                 std::uint32_t stride) {
    const std::span<const std::byte> planes[] = {memory};
    const std::uint32_t strides[] = {stride};
    return ImageView::create(fourcc, size, planes, strides);
}

/// BT.601 by its definition, not by our integers.
Rgb reference_rgb(int luma, int blue_difference, int red_difference) {
    const double y = (luma - 16) / 219.0;
    const double pb = (blue_difference - 128) / 224.0;
    const double pr = (red_difference - 128) / 224.0;
    const auto channel = [](double value) {
        return static_cast<std::uint8_t>(std::lround(std::fmin(std::fmax(value, 0), 1) * 255));
    };
    return {channel(y + 1.402 * pr), channel(y - 0.344136 * pb - 0.714136 * pr),
            channel(y + 1.772 * pb)};
}

TEST(Picture, yuv_is_bt601_limited_range) {
    for (int luma = 0; luma < 256; luma += 15) {
        for (int blue = 0; blue < 256; blue += 17) {
            for (int red = 0; red < 256; red += 17) {
                const Rgb ours =
                    rgb_from_yuv(static_cast<std::uint8_t>(luma), static_cast<std::uint8_t>(blue),
                                 static_cast<std::uint8_t>(red));
                const Rgb exact = reference_rgb(luma, blue, red);
                EXPECT_NEAR(ours.red, exact.red, 2);
                EXPECT_NEAR(ours.green, exact.green, 2);
                EXPECT_NEAR(ours.blue, exact.blue, 2);
            }
        }
    }
    EXPECT_EQ(rgb_from_yuv(16, 128, 128), (Rgb{0, 0, 0}));
    EXPECT_EQ(rgb_from_yuv(235, 128, 128), (Rgb{255, 255, 255}));
}

TEST(Picture, semi_planar_422_has_chroma_of_its_own_in_each_row) {
    const Bytes memory = bytes_of({81, 41, 145, 54, 90, 240, 54, 34});
    const auto image = view_of(V4L2_PIX_FMT_NV16, {2, 2}, memory, 2);
    ASSERT_TRUE(image);
    EXPECT_EQ(image->pixel(1, 0), rgb_from_yuv(41, 90, 240));
    EXPECT_EQ(image->pixel(0, 1), rgb_from_yuv(145, 54, 34));
    const auto swapped = view_of(V4L2_PIX_FMT_NV61, {2, 2}, memory, 2);
    ASSERT_TRUE(swapped);
    EXPECT_EQ(swapped->pixel(0, 1), rgb_from_yuv(145, 34, 54));
    const Bytes short_memory(7);
    EXPECT_FALSE(view_of(V4L2_PIX_FMT_NV16, {2, 2}, short_memory, 2));
}

TEST(Picture, rgb565_is_widened) {
    const Bytes memory = bytes_of({0xff, 0xff, 0x00, 0xf8, 0xe0, 0x07, 0x1f, 0x00});
    const auto image = view_of(V4L2_PIX_FMT_RGB565, {4, 1}, memory, 8);
    ASSERT_TRUE(image);
    EXPECT_EQ(image->pixel(0, 0), (Rgb{255, 255, 255}));
    EXPECT_EQ(image->pixel(1, 0), (Rgb{255, 0, 0}));
    EXPECT_EQ(image->pixel(2, 0), (Rgb{0, 255, 0}));
    EXPECT_EQ(image->pixel(3, 0), (Rgb{0, 0, 255}));
    EXPECT_EQ(image->luma(0, 0), 235);
}

TEST(Picture, packed_422_finds_luma_and_chroma) {
    // Red (81, 90, 240) and, for the second pixel, a darker one.
    const struct {
        std::uint32_t fourcc;
        Bytes memory;
    } cases[] = {
        {V4L2_PIX_FMT_YUYV, bytes_of({81, 90, 41, 240})},
        {V4L2_PIX_FMT_YVYU, bytes_of({81, 240, 41, 90})},
        {V4L2_PIX_FMT_UYVY, bytes_of({90, 81, 240, 41})},
        {V4L2_PIX_FMT_VYUY, bytes_of({240, 81, 90, 41})},
    };
    for (const auto& entry : cases) {
        const auto image = view_of(entry.fourcc, {2, 1}, entry.memory, 4);
        ASSERT_TRUE(image);
        EXPECT_EQ(image->pixel(0, 0), rgb_from_yuv(81, 90, 240));
        EXPECT_EQ(image->pixel(1, 0), rgb_from_yuv(41, 90, 240));
        EXPECT_EQ(image->luma(1, 0), 41);
    }
}

TEST(Picture, packed_rgb_finds_its_bytes) {
    const struct {
        std::uint32_t fourcc;
        Bytes memory;
    } cases[] = {
        {V4L2_PIX_FMT_RGB24, bytes_of({1, 2, 3})},
        {V4L2_PIX_FMT_BGR24, bytes_of({3, 2, 1})},
        {V4L2_PIX_FMT_XBGR32, bytes_of({3, 2, 1, 9})},
        {V4L2_PIX_FMT_XRGB32, bytes_of({9, 1, 2, 3})},
        {V4L2_PIX_FMT_RGBX32, bytes_of({1, 2, 3, 9})},
        {V4L2_PIX_FMT_BGRX32, bytes_of({9, 3, 2, 1})},
    };
    for (const auto& entry : cases) {
        const auto image = view_of(entry.fourcc, {1, 1}, entry.memory, 0);
        ASSERT_TRUE(image);
        EXPECT_EQ(image->pixel(0, 0), (Rgb{1, 2, 3}));
    }
}

TEST(Picture, planar_420_in_one_plane_follows_the_stride) {
    // 2x2 pixels in rows of 4 bytes.
    const Bytes nv12 = bytes_of({81, 82, 0, 0, 83, 84, 0, 0, 90, 240, 0, 0});
    const Bytes yu12 = bytes_of({81, 82, 0, 0, 83, 84, 0, 0, 90, 0, 240, 0});
    for (const auto& [fourcc, memory] :
         {std::pair(V4L2_PIX_FMT_NV12, nv12), std::pair(V4L2_PIX_FMT_YUV420, yu12)}) {
        const auto image = view_of(fourcc, {2, 2}, memory, 4);
        ASSERT_TRUE(image);
        EXPECT_EQ(image->pixel(0, 0), rgb_from_yuv(81, 90, 240));
        EXPECT_EQ(image->pixel(1, 1), rgb_from_yuv(84, 90, 240));
    }
    const auto swapped = view_of(V4L2_PIX_FMT_NV21, {2, 2}, nv12, 4);
    ASSERT_TRUE(swapped);
    EXPECT_EQ(swapped->pixel(0, 0), rgb_from_yuv(81, 240, 90));
}

TEST(Picture, planes_of_their_own_have_strides_of_their_own) {
    const Bytes luma = bytes_of({81, 82, 83, 84});
    const Bytes chroma = bytes_of({90, 240, 0, 0});
    const std::span<const std::byte> planes[] = {luma, chroma};
    const std::uint32_t strides[] = {2, 4};
    const auto image = ImageView::create(V4L2_PIX_FMT_NV12M, {2, 2}, planes, strides);
    ASSERT_TRUE(image);
    EXPECT_EQ(image->pixel(1, 1), rgb_from_yuv(84, 90, 240));
}

TEST(Picture, memory_too_small_or_format_unknown_gives_no_view) {
    EXPECT_FALSE(view_of(V4L2_PIX_FMT_YUYV, {2, 2}, Bytes(7), 4));
    EXPECT_TRUE(view_of(V4L2_PIX_FMT_YUYV, {2, 2}, Bytes(8), 4));
    EXPECT_FALSE(view_of(V4L2_PIX_FMT_NV12, {2, 2}, Bytes(5), 2));
    EXPECT_FALSE(view_of(V4L2_PIX_FMT_MJPEG, {2, 2}, Bytes(1000), 4));
    EXPECT_FALSE(view_of(V4L2_PIX_FMT_YUYV, {2, 0}, Bytes(8), 4));
}

/// Squares of YUYV with a chroma that is not grey.
Bytes painted(std::uint32_t number) {
    Bytes memory(256 * 2 * 8, std::byte{200});
    for (std::size_t y = 0; y < 8; ++y) {
        for (std::size_t x = 0; x < 256; ++x) {
            const bool one = ((number >> (31 - x / 8)) & 1U) != 0;
            memory[(y * 256 + x) * 2] = one ? std::byte{235} : std::byte{16};
        }
    }
    return memory;
}

TEST(Picture, painted_number_is_read_whatever_its_colour) {
    for (const std::uint32_t number : {0U, 1U, 299U, 0x80000001U, 0xffffffffU}) {
        const Bytes memory = painted(number);
        const auto image = view_of(V4L2_PIX_FMT_YUYV, {256, 8}, memory, 512);
        ASSERT_TRUE(image);
        EXPECT_EQ(painted_number(*image), number);
    }
}

TEST(Picture, painted_number_needs_clear_squares_and_room) {
    Bytes memory = painted(5);
    memory[(4 * 256 + 4) * 2] = std::byte{120};
    const auto unclear = view_of(V4L2_PIX_FMT_YUYV, {256, 8}, memory, 512);
    ASSERT_TRUE(unclear);
    EXPECT_FALSE(painted_number(*unclear));
    const auto narrow = view_of(V4L2_PIX_FMT_YUYV, {248, 8}, memory, 512);
    ASSERT_TRUE(narrow);
    EXPECT_FALSE(painted_number(*narrow));
}

TEST(Picture, bars_are_recognised_in_their_order) {
    constexpr int levels[8][3] = {{191, 191, 191}, {191, 191, 0}, {0, 191, 191}, {0, 191, 0},
                                  {191, 0, 191},   {191, 0, 0},   {0, 0, 191},   {0, 0, 0}};
    Bytes memory;
    for (const auto& bar : levels) {
        for (int pixel = 0; pixel < 4; ++pixel) {
            for (const int level : bar) {
                memory.push_back(static_cast<std::byte>(level));
            }
        }
    }
    const auto image = view_of(V4L2_PIX_FMT_RGB24, {32, 1}, memory, 96);
    ASSERT_TRUE(image);
    EXPECT_TRUE(shows_bars(*image));
    const auto mirrored = view_of(V4L2_PIX_FMT_BGR24, {32, 1}, memory, 96);
    ASSERT_TRUE(mirrored);
    EXPECT_FALSE(shows_bars(*mirrored));
}

TEST(Picture, png_has_the_pixels) {
    const Bytes memory = bytes_of({255, 0, 0, 0, 255, 0, 0, 0, 255, 9, 8, 7});
    const auto image = view_of(V4L2_PIX_FMT_RGB24, {2, 2}, memory, 6);
    ASSERT_TRUE(image);
    const std::string path = std::filesystem::path(testing::TempDir()) / "v4lfence-picture.png";
    ASSERT_TRUE(save_png(*image, path));
    cairo_surface_t* surface = cairo_image_surface_create_from_png(path.c_str());
    ASSERT_EQ(cairo_surface_status(surface), CAIRO_STATUS_SUCCESS);
    const auto row = [&](int y) {
        return reinterpret_cast<const std::uint32_t*>(cairo_image_surface_get_data(surface) +
                                                      y * cairo_image_surface_get_stride(surface));
    };
    EXPECT_EQ(row(0)[0] & 0xffffffU, 0xff0000U);
    EXPECT_EQ(row(0)[1] & 0xffffffU, 0x00ff00U);
    EXPECT_EQ(row(1)[1] & 0xffffffU, 0x090807U);
    cairo_surface_destroy(surface);
    std::filesystem::remove(path);
}

TEST(Picture, png_that_cannot_be_written_says_where) {
    const Bytes memory(3);
    const auto image = view_of(V4L2_PIX_FMT_RGB24, {1, 1}, memory, 3);
    ASSERT_TRUE(image);
    const auto saved = save_png(*image, "/no/such/folder/frame.png");
    ASSERT_FALSE(saved);
    EXPECT_NE(saved.error().message.find("/no/such/folder"), std::string::npos);
}

}  // namespace
}  // namespace v4lfence
