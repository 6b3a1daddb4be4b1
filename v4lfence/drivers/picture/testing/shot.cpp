// SPDX-License-Identifier: MIT

#include "v4lfence/drivers/picture/testing/shot.hpp"

#include <linux/videodev2.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>

extern "C" {
#include <jpeglib.h>
}

namespace v4lfence::testing {
namespace {

constexpr std::size_t guard_bytes = 256;
constexpr std::byte guard{0xa5};

PictureLayout checked_layout(const ShotChoices& choices) {
    const auto layout =
        layout_of(choices.fourcc, choices.width, choices.height, choices.bytesperline);
    if (!layout) {
        std::abort();
    }
    return *layout;
}

int rounded(double value) {
    return static_cast<int>(std::lround(std::clamp(value, 0.0, 255.0)));
}

Rgb from_full_range(double luma, double cb, double cr) {
    return {rounded(luma + 1.402 * cr), rounded(luma - 0.344136 * cb - 0.714136 * cr),
            rounded(luma + 1.772 * cb)};
}

}  // namespace

GuardedPlanes::GuardedPlanes(const PictureLayout& layout) {
    for (unsigned i = 0; i < layout.plane_count; ++i) {
        memory_.emplace_back(layout.planes[i].sizeimage + 2 * guard_bytes, guard);
    }
    for (auto& each : memory_) {
        planes_.push_back(std::span(each).subspan(guard_bytes, each.size() - 2 * guard_bytes));
    }
}

bool GuardedPlanes::guards_intact() const {
    return std::all_of(memory_.begin(), memory_.end(), [](const auto& each) {
        const auto is_guard = [](std::byte byte) { return byte == guard; };
        return std::all_of(each.begin(), each.begin() + guard_bytes, is_guard) &&
               std::all_of(each.end() - guard_bytes, each.end(), is_guard);
    });
}

Shot::Shot(const ShotChoices& choices) : layout_(checked_layout(choices)), memory_(layout_) {
    auto painter = Painter::create(layout_, choices.settings);
    if (!painter) {
        std::abort();
    }
    const auto used = painter->paint(memory_.planes(), choices.facts);
    if (!used) {
        std::abort();
    }
    used_ = *used;
    if (layout_.fourcc == V4L2_PIX_FMT_MJPEG) {
        decoded_ = decode_jpeg(plane(0).first(used_[0]), layout_.width, layout_.height);
    }
}

int Shot::at(unsigned plane_index, std::size_t offset) const {
    return std::to_integer<int>(plane(plane_index)[offset]);
}

std::array<int, 3> Shot::numbers(std::uint32_t x, std::uint32_t y) const {
    const std::size_t stride = layout_.planes[0].bytesperline;
    const std::size_t row = y * stride;
    const std::size_t chroma = layout_.plane_count > 1 ? 0 : layout_.height * stride;
    switch (layout_.fourcc) {
    case V4L2_PIX_FMT_YUYV:
        return {at(0, row + x * 2), at(0, row + x / 2 * 4 + 1), at(0, row + x / 2 * 4 + 3)};
    case V4L2_PIX_FMT_NV12:
    case V4L2_PIX_FMT_NV12M: {
        const unsigned plane_index = layout_.plane_count - 1;
        const std::size_t pair = y / 2 * layout_.planes[plane_index].bytesperline + x / 2 * 2;
        return {at(0, row + x), at(plane_index, chroma + pair), at(plane_index, chroma + pair + 1)};
    }
    case V4L2_PIX_FMT_YUV420: {
        const std::size_t own = y / 2 * (stride / 2) + x / 2;
        return {at(0, row + x), at(0, chroma + own),
                at(0, chroma + stride / 2 * (layout_.height / 2) + own)};
    }
    case V4L2_PIX_FMT_YUV420M:
        return {at(0, row + x), at(1, y / 2 * layout_.planes[1].bytesperline + x / 2),
                at(2, y / 2 * layout_.planes[2].bytesperline + x / 2)};
    case V4L2_PIX_FMT_RGB24:
        return {at(0, row + x * 3), at(0, row + x * 3 + 1), at(0, row + x * 3 + 2)};
    case V4L2_PIX_FMT_XBGR32:
        return {at(0, row + x * 4 + 2), at(0, row + x * 4 + 1), at(0, row + x * 4)};
    case V4L2_PIX_FMT_GREY:
        return {at(0, row + x), 128, 128};
    default: {
        const std::uint8_t* const from = &decoded_.at((std::size_t{y} * layout_.width + x) * 3);
        return {from[0], from[1], from[2]};
    }
    }
}

int Shot::luma(std::uint32_t x, std::uint32_t y) const {
    const auto three = numbers(x, y);
    if (layout_.fourcc == V4L2_PIX_FMT_RGB24 || layout_.fourcc == V4L2_PIX_FMT_XBGR32) {
        return rounded(0.299 * three[0] + 0.587 * three[1] + 0.114 * three[2]);
    }
    return three[0];
}

Rgb Shot::pixel(std::uint32_t x, std::uint32_t y) const {
    const auto three = numbers(x, y);
    switch (layout_.fourcc) {
    case V4L2_PIX_FMT_RGB24:
    case V4L2_PIX_FMT_XBGR32:
        return three;
    case V4L2_PIX_FMT_MJPEG:
        return from_full_range(three[0], three[1] - 128, three[2] - 128);
    default:
        return from_full_range((three[0] - 16) * 255.0 / 219, (three[1] - 128) * 255.0 / 224,
                               (three[2] - 128) * 255.0 / 224);
    }
}

StampReading Shot::stamps() const {
    return read_stamps(layout_.width, layout_.height,
                       [this](std::uint32_t x, std::uint32_t y) { return luma(x, y); });
}

std::vector<std::uint8_t> decode_jpeg(std::span<const std::byte> jpeg, std::uint32_t width,
                                      std::uint32_t height) {
    jpeg_decompress_struct job{};
    jpeg_error_mgr errors{};
    job.err = jpeg_std_error(&errors);  // which ends the program at the first error
    jpeg_create_decompress(&job);
    jpeg_mem_src(&job, reinterpret_cast<const unsigned char*>(jpeg.data()),
                 static_cast<unsigned long>(jpeg.size()));
    jpeg_read_header(&job, TRUE);
    std::vector<std::uint8_t> pixels;
    if (job.image_width == width && job.image_height == height) {
        job.out_color_space = JCS_YCbCr;
        jpeg_start_decompress(&job);
        pixels.resize(std::size_t{width} * height * 3);
        while (job.output_scanline < height) {
            JSAMPROW row = &pixels[std::size_t{job.output_scanline} * width * 3];
            jpeg_read_scanlines(&job, &row, 1);
        }
        jpeg_finish_decompress(&job);
    }
    jpeg_destroy_decompress(&job);
    return errors.num_warnings == 0 ? pixels : std::vector<std::uint8_t>{};
}

}  // namespace v4lfence::testing
