// SPDX-License-Identifier: MIT

#include <gtest/gtest.h>
#include <linux/videodev2.h>

#include <cstdlib>
#include <vector>

#include "v4lfence/drivers/picture/jpeg.hpp"
#include "v4lfence/drivers/picture/testing/shot.hpp"

namespace v4lfence {
namespace {

using testing::decode_jpeg;
using testing::Shot;
using testing::ShotChoices;

/// Luma rises to the right and downwards.
class Slope {
public:
    Slope(std::uint32_t width, std::uint32_t height)
        : layout_(*layout_of(V4L2_PIX_FMT_YUV420, width, height, {jpeg_row_width(width), 0, 0})),
          memory_(*PictureMemory::create(layout_)), surface_(layout_, memory_.planes()) {
        for (unsigned i = 0; i < 3; ++i) {
            for (std::uint32_t y = 0; y < surface_.component(i).rows; ++y) {
                for (std::uint32_t x = 0; x < surface_.component(i).stride; ++x) {
                    surface_.row(i, y)[x] = static_cast<std::byte>(i == 0 ? luma(x, y) : 128);
                }
            }
        }
    }

    const Surface& surface() const { return surface_; }
    static int luma(std::uint32_t x, std::uint32_t y) {
        return static_cast<int>((x + 2 * y) % 256);
    }

private:
    PictureLayout layout_;
    PictureMemory memory_;
    Surface surface_;
};

TEST(Jpeg, decodes_to_what_was_encoded) {
    const Slope slope(50, 38);
    auto encoder = JpegEncoder::create();
    std::vector<std::byte> jpeg(20000);
    const auto used = encoder->encode(slope.surface(), jpeg);
    ASSERT_TRUE(used.has_value());
    const auto pixels = decode_jpeg(std::span(jpeg).first(*used), 50, 38);
    ASSERT_FALSE(pixels.empty());
    for (std::uint32_t y = 0; y < 38; ++y) {
        for (std::uint32_t x = 0; x < 50; ++x) {
            EXPECT_NEAR(pixels[(y * 50 + x) * 3], Slope::luma(x, y), 8);
        }
    }
}

TEST(Jpeg, too_little_room_is_an_error_and_nothing_is_written_behind_it) {
    const Slope slope(50, 38);
    auto encoder = JpegEncoder::create();
    std::vector<std::byte> jpeg(20000);
    const std::size_t needed = *encoder->encode(slope.surface(), jpeg);
    for (std::size_t room = 0; room < needed; room += room < needed - 20 ? 13 : 1) {
        jpeg.assign(jpeg.size(), std::byte{0xa5});
        const auto used = encoder->encode(slope.surface(), std::span(jpeg).first(room));
        ASSERT_FALSE(used.has_value()) << room;
        EXPECT_EQ(used.error().code, -ENOSPC);
        EXPECT_EQ(std::count(jpeg.begin() + static_cast<std::ptrdiff_t>(room), jpeg.end(),
                             std::byte{0xa5}),
                  static_cast<std::ptrdiff_t>(jpeg.size() - room));
    }
    EXPECT_EQ(encoder->encode(slope.surface(), jpeg).value_or(0), needed) << "and it goes on";
}

TEST(Jpeg, encoder_takes_pictures_of_any_size_in_turn) {
    auto encoder = JpegEncoder::create();
    std::vector<std::byte> jpeg(100000);
    for (const std::uint32_t size : {16U, 130U, 18U}) {
        const Slope slope(size, size + 2);
        const std::size_t used = *encoder->encode(slope.surface(), jpeg);
        EXPECT_FALSE(decode_jpeg(std::span(jpeg).first(used), size, size + 2).empty());
    }
}

TEST(Jpeg, moved_encoder_encodes) {
    auto created = JpegEncoder::create();
    JpegEncoder moved = std::move(*created);
    JpegEncoder assigned = std::move(*JpegEncoder::create());
    assigned = std::move(moved);
    std::vector<std::byte> jpeg(20000);
    EXPECT_TRUE(assigned.encode(Slope(32, 32).surface(), jpeg).has_value());
}

TEST(Jpeg, painted_frame_shows_the_same_as_without_compression) {
    for (unsigned pattern = 0; pattern < pattern_count; ++pattern) {
        ShotChoices choices{V4L2_PIX_FMT_MJPEG, 650, 366, {}, {}, {12, 345'678}};
        choices.settings.pattern = static_cast<Pattern>(pattern);
        const Shot compressed(choices);
        EXPECT_LT(compressed.bytes_used()[0], compressed.layout().planes[0].sizeimage / 2);
        choices.fourcc = V4L2_PIX_FMT_YUV420;
        const Shot plain(choices);
        std::uint64_t difference = 0;
        const std::uint32_t last_row =
            366 - frame_plan(650, 366, choices.settings.pattern).bottom_band;
        for (std::uint32_t y = 0; y < last_row; ++y) {  // whose label names the format
            for (std::uint32_t x = 0; x < 650; ++x) {
                for (unsigned i = 0; i < 3; ++i) {
                    difference += static_cast<std::uint64_t>(
                        std::abs(compressed.pixel(x, y)[i] - plain.pixel(x, y)[i]));
                }
            }
        }
        EXPECT_LT(static_cast<double>(difference) / (3.0 * 650 * last_row), 5.0) << pattern;
    }
}

TEST(Jpeg, last_columns_and_rows_are_as_good_as_the_others) {
    ShotChoices choices{V4L2_PIX_FMT_MJPEG, 650, 366, {}, {}, {}};
    choices.settings.pattern = Pattern::SolidGreen;
    const Shot shot(choices);
    for (std::uint32_t y = 40; y < 366; ++y) {
        for (std::uint32_t x = 600; x < 650; ++x) {
            EXPECT_NEAR(shot.pixel(x, y)[0], 0, 3);
            EXPECT_NEAR(shot.pixel(x, y)[1], 255, 3);
            EXPECT_NEAR(shot.pixel(x, y)[2], 0, 3);
        }
    }
}

}  // namespace
}  // namespace v4lfence
