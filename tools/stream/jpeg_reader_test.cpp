// SPDX-License-Identifier: MIT

#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <vector>

#include "tools/stream/jpeg_reader.hpp"

extern "C" {
#include <jpeglib.h>
}

namespace v4lfence {
namespace {

constexpr ImageSize size{32, 16};

std::vector<std::byte> grey_jpeg(std::uint8_t level) {
    jpeg_compress_struct job{};
    jpeg_error_mgr errors{};
    job.err = jpeg_std_error(&errors);
    jpeg_create_compress(&job);
    unsigned char* memory = nullptr;
    unsigned long length = 0;
    jpeg_mem_dest(&job, &memory, &length);
    job.image_width = size.width;
    job.image_height = size.height;
    job.input_components = 1;
    job.in_color_space = JCS_GRAYSCALE;
    jpeg_set_defaults(&job);
    jpeg_start_compress(&job, TRUE);
    std::vector<JSAMPLE> row(size.width, level);
    while (job.next_scanline < job.image_height) {
        JSAMPROW rows[] = {row.data()};
        jpeg_write_scanlines(&job, rows, 1);
    }
    jpeg_finish_compress(&job);
    jpeg_destroy_compress(&job);
    const auto* bytes = reinterpret_cast<const std::byte*>(memory);
    std::vector<std::byte> jpeg(bytes, bytes + length);
    std::free(memory);
    return jpeg;
}

TEST(JpegReader, frame_is_a_picture) {
    JpegReader reader(size);
    for (const std::uint8_t level : {200, 40}) {
        const auto image = reader.read(grey_jpeg(level));
        ASSERT_TRUE(image);
        const Rgb middle = image->pixel(size.width / 2, size.height / 2);
        EXPECT_NEAR(middle.green, level, 2);
        EXPECT_EQ(middle.red, middle.blue);
    }
}

TEST(JpegReader, what_is_spoilt_is_no_picture) {
    JpegReader reader(size);
    std::vector<std::byte> jpeg = grey_jpeg(200);
    EXPECT_FALSE(reader.read({}));
    EXPECT_FALSE(reader.read(std::vector<std::byte>(1000)));
    EXPECT_FALSE(reader.read(std::span(jpeg).first(jpeg.size() - 8)));
    EXPECT_FALSE(JpegReader({64, 16}).read(jpeg));
    EXPECT_TRUE(reader.read(jpeg));
}

}  // namespace
}  // namespace v4lfence
