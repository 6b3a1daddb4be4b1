// SPDX-License-Identifier: MIT

#include "tools/stream/picture.hpp"

#include <linux/videodev2.h>

#include <algorithm>
#include <cstdlib>

namespace v4lfence {

namespace {

enum class Family : std::uint8_t {
    Packed,         ///< One group of bytes for each pixel.
    Packed422,      ///< Four bytes for two pixels.
    Packed565,      ///< Two bytes for each pixel.
    SemiPlanar,     ///< Luma, then interleaved chroma of 2x2 pixels.
    SemiPlanar422,  ///< ... of 2x1 pixels.
    Planar,         ///< Luma, then two planes of chroma of 2x2 pixels.
};

constexpr std::uint32_t square_size = 8;
constexpr std::uint32_t square_count = 32;

/// Limited range: what lies outside is clamped.
std::uint8_t clamped(int value) {
    return static_cast<std::uint8_t>(std::clamp(value, 0, 255));
}

}  // namespace

/// Packed: where red, green, blue are in the group. Packed422: where the first luma and the two
/// differences are. The others: which component holds the differences, or their order in it.
struct FormatRule {
    std::uint32_t fourcc;
    Family family;
    std::uint8_t group;
    std::array<std::uint8_t, 3> position;
};

namespace {

constexpr FormatRule rules[] = {
    {V4L2_PIX_FMT_YUYV, Family::Packed422, 4, {0, 1, 3}},
    {V4L2_PIX_FMT_YVYU, Family::Packed422, 4, {0, 3, 1}},
    {V4L2_PIX_FMT_UYVY, Family::Packed422, 4, {1, 0, 2}},
    {V4L2_PIX_FMT_VYUY, Family::Packed422, 4, {1, 2, 0}},
    {V4L2_PIX_FMT_NV12, Family::SemiPlanar, 1, {0, 0, 1}},
    {V4L2_PIX_FMT_NV12M, Family::SemiPlanar, 1, {0, 0, 1}},
    {V4L2_PIX_FMT_NV21, Family::SemiPlanar, 1, {0, 1, 0}},
    {V4L2_PIX_FMT_NV21M, Family::SemiPlanar, 1, {0, 1, 0}},
    {V4L2_PIX_FMT_NV16, Family::SemiPlanar422, 1, {0, 0, 1}},
    {V4L2_PIX_FMT_NV16M, Family::SemiPlanar422, 1, {0, 0, 1}},
    {V4L2_PIX_FMT_NV61, Family::SemiPlanar422, 1, {0, 1, 0}},
    {V4L2_PIX_FMT_NV61M, Family::SemiPlanar422, 1, {0, 1, 0}},
    {V4L2_PIX_FMT_YUV420, Family::Planar, 1, {0, 1, 2}},
    {V4L2_PIX_FMT_YUV420M, Family::Planar, 1, {0, 1, 2}},
    {V4L2_PIX_FMT_YVU420, Family::Planar, 1, {0, 2, 1}},
    {V4L2_PIX_FMT_YVU420M, Family::Planar, 1, {0, 2, 1}},
    {V4L2_PIX_FMT_GREY, Family::Packed, 1, {0, 0, 0}},
    {V4L2_PIX_FMT_RGB565, Family::Packed565, 2, {0, 0, 0}},
    {V4L2_PIX_FMT_RGB24, Family::Packed, 3, {0, 1, 2}},
    {V4L2_PIX_FMT_BGR24, Family::Packed, 3, {2, 1, 0}},
    {V4L2_PIX_FMT_XBGR32, Family::Packed, 4, {2, 1, 0}},
    {V4L2_PIX_FMT_ABGR32, Family::Packed, 4, {2, 1, 0}},
    {V4L2_PIX_FMT_BGR32, Family::Packed, 4, {2, 1, 0}},
    {V4L2_PIX_FMT_XRGB32, Family::Packed, 4, {1, 2, 3}},
    {V4L2_PIX_FMT_ARGB32, Family::Packed, 4, {1, 2, 3}},
    {V4L2_PIX_FMT_RGB32, Family::Packed, 4, {1, 2, 3}},
    {V4L2_PIX_FMT_RGBX32, Family::Packed, 4, {0, 1, 2}},
    {V4L2_PIX_FMT_RGBA32, Family::Packed, 4, {0, 1, 2}},
    {V4L2_PIX_FMT_BGRX32, Family::Packed, 4, {3, 2, 1}},
    {V4L2_PIX_FMT_BGRA32, Family::Packed, 4, {3, 2, 1}},
};

const FormatRule* find_rule(std::uint32_t fourcc) {
    const auto* rule = std::find_if(std::begin(rules), std::end(rules),
                                    [&](const auto& entry) { return entry.fourcc == fourcc; });
    return rule == std::end(rules) ? nullptr : rule;
}

unsigned component_count(Family family) {
    switch (family) {
    case Family::SemiPlanar:
    case Family::SemiPlanar422:
        return 2;
    case Family::Planar:
        return 3;
    case Family::Packed:
    case Family::Packed422:
    case Family::Packed565:
        break;
    }
    return 1;
}

std::size_t row_bytes(const FormatRule& rule, unsigned component, std::uint32_t width) {
    if (rule.family == Family::Packed422) {
        return std::size_t{(width + 1) / 2} * rule.group;
    }
    if (component == 0) {
        return std::size_t{width} * rule.group;
    }
    const std::size_t pairs = (width + 1) / 2;
    return rule.family == Family::Planar ? pairs : pairs * 2;
}

std::size_t row_count(const FormatRule& rule, unsigned component, std::uint32_t height) {
    const bool whole = component == 0 || rule.family == Family::SemiPlanar422;
    return whole ? height : (height + 1) / 2;
}

/// The upper bits again as the lower ones, so that white is white.
Rgb rgb_from_565(int word) {
    const auto wide = [](int value, unsigned bits) {
        return static_cast<std::uint8_t>(value << (8 - bits) | value >> (2 * bits - 8));
    };
    return {wide(word >> 11 & 0x1f, 5), wide(word >> 5 & 0x3f, 6), wide(word & 0x1f, 5)};
}

bool near(const Rgb& first, const Rgb& second) {
    constexpr int tolerance = 24;
    return std::abs(first.red - second.red) <= tolerance &&
           std::abs(first.green - second.green) <= tolerance &&
           std::abs(first.blue - second.blue) <= tolerance;
}

}  // namespace

std::optional<ImageView> ImageView::create(std::uint32_t fourcc, ImageSize size,
                                           std::span<const std::span<const std::byte>> planes,
                                           std::span<const std::uint32_t> strides) {
    const FormatRule* rule = find_rule(fourcc);
    if (rule == nullptr || planes.empty() || strides.size() < planes.size()) {
        return std::nullopt;
    }
    ImageView view(*rule, size);
    std::size_t plane = 0;
    std::size_t offset = 0;
    for (unsigned component = 0; component < component_count(rule->family); ++component) {
        const std::size_t row = row_bytes(*rule, component, size.width);
        const std::size_t rows = row_count(*rule, component, size.height);
        std::size_t stride = strides[plane];
        // Components that share a plane share its bytesperline, which is that of the luma.
        if (component > 0 && planes.size() == 1 && rule->family == Family::Planar) {
            stride /= 2;
        }
        stride = std::max(stride, row);
        if (rows == 0 || offset + stride * (rows - 1) + row > planes[plane].size()) {
            return std::nullopt;
        }
        view.components_[component] = {planes[plane].data() + offset, stride};
        if (plane + 1 < planes.size()) {
            ++plane;
            offset = 0;
        } else {
            offset += stride * rows;
        }
    }
    return view;
}

bool ImageView::knows(std::uint32_t fourcc) {
    return find_rule(fourcc) != nullptr;
}

bool ImageView::has_colour() const {
    return rule_->family != Family::Packed || rule_->group > 1;
}

std::uint8_t ImageView::byte(unsigned component, std::size_t x, std::size_t y) const {
    const Component& from = components_[component];
    return std::to_integer<std::uint8_t>(from.data[y * from.stride + x]);
}

Rgb ImageView::pixel(std::uint32_t x, std::uint32_t y) const {
    const auto& position = rule_->position;
    switch (rule_->family) {
    case Family::Packed: {
        const std::size_t group = std::size_t{x} * rule_->group;
        return {byte(0, group + position[0], y), byte(0, group + position[1], y),
                byte(0, group + position[2], y)};
    }
    case Family::Packed422: {
        const std::size_t group = std::size_t{x / 2} * rule_->group;
        return rgb_from_yuv(luma(x, y), byte(0, group + position[1], y),
                            byte(0, group + position[2], y));
    }
    case Family::Packed565: {
        const std::size_t group = std::size_t{x} * rule_->group;
        return rgb_from_565(byte(0, group, y) | byte(0, group + 1, y) << 8);
    }
    case Family::SemiPlanar:
    case Family::SemiPlanar422: {
        const std::size_t pair = std::size_t{x / 2} * 2;
        const std::size_t row = rule_->family == Family::SemiPlanar ? y / 2 : y;
        return rgb_from_yuv(luma(x, y), byte(1, pair + position[1], row),
                            byte(1, pair + position[2], row));
    }
    case Family::Planar:
        return rgb_from_yuv(luma(x, y), byte(position[1], x / 2, y / 2),
                            byte(position[2], x / 2, y / 2));
    }
    return {};
}

std::uint8_t ImageView::luma(std::uint32_t x, std::uint32_t y) const {
    if (rule_->family == Family::Packed || rule_->family == Family::Packed565) {
        const Rgb colour = pixel(x, y);
        return clamped(16 + (66 * colour.red + 129 * colour.green + 25 * colour.blue + 128) / 256);
    }
    const bool packed = rule_->family == Family::Packed422;
    return byte(0, packed ? std::size_t{x} * 2 + rule_->position[0] : x, y);
}

Rgb rgb_from_yuv(std::uint8_t luma, std::uint8_t blue_difference, std::uint8_t red_difference) {
    // The matrix of BT.601 in 256ths, luma 16..235 and differences 16..240 widened to 0..255.
    const int brightness = 298 * (luma - 16) + 128;
    const int blue = blue_difference - 128;
    const int red = red_difference - 128;
    return {clamped((brightness + 409 * red) / 256),
            clamped((brightness - 100 * blue - 208 * red) / 256),
            clamped((brightness + 516 * blue) / 256)};
}

std::optional<std::uint32_t> painted_number(const ImageView& image) {
    if (image.size().width < square_size * square_count || image.size().height < square_size) {
        return std::nullopt;
    }
    std::uint32_t number = 0;
    for (std::uint32_t square = 0; square < square_count; ++square) {
        constexpr std::uint32_t middle = square_size / 2;
        constexpr int tolerance = 24;
        const int luma = image.luma(square * square_size + middle, middle);
        const bool one = std::abs(luma - 235) <= tolerance;
        if (!one && std::abs(luma - 16) > tolerance) {
            return std::nullopt;
        }
        number = (number << 1) | (one ? 1U : 0U);
    }
    return number;
}

bool shows_bars(const ImageView& image) {
    constexpr Rgb bars[] = {{191, 191, 191}, {191, 191, 0}, {0, 191, 191}, {0, 191, 0},
                            {191, 0, 191},   {191, 0, 0},   {0, 0, 191},   {0, 0, 0}};
    constexpr auto count = static_cast<std::uint32_t>(std::size(bars));
    const std::uint32_t width = image.size().width;
    for (std::uint32_t bar = 0; bar < count; ++bar) {
        if (!near(image.pixel((2 * bar + 1) * width / (2 * count), 0), bars[bar])) {
            return false;
        }
    }
    return true;
}

}  // namespace v4lfence
