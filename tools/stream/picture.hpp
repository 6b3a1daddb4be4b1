// SPDX-License-Identifier: MIT
//
// Frames as pictures: the colour of a pixel in any of V4L2's common uncompressed formats, the
// numbers and bars that test cameras show, and PNG files.

#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "tools/failure.hpp"
#include "tools/stream/options.hpp"

namespace v4lfence {

struct Rgb {
    std::uint8_t red = 0;
    std::uint8_t green = 0;
    std::uint8_t blue = 0;

    bool operator==(const Rgb&) const = default;
};

struct FormatRule;

/// Borrows a frame's memory.
class ImageView {
public:
    /// `planes` are the buffer's, `strides` V4L2's bytesperline of each. Empty: the format is none
    /// of those known, or the memory is smaller than the picture.
    static std::optional<ImageView> create(std::uint32_t fourcc, ImageSize size,
                                           std::span<const std::span<const std::byte>> planes,
                                           std::span<const std::uint32_t> strides);

    static bool knows(std::uint32_t fourcc);

    ImageSize size() const { return size_; }
    bool has_colour() const;

    /// YUV as BT.601, limited range. `x` and `y` inside the picture.
    Rgb pixel(std::uint32_t x, std::uint32_t y) const;

    /// 16 black, 235 white.
    std::uint8_t luma(std::uint32_t x, std::uint32_t y) const;

private:
    struct Component {
        const std::byte* data = nullptr;
        std::size_t stride = 0;
    };

    ImageView(const FormatRule& rule, ImageSize size) : rule_(&rule), size_(size) {}

    std::uint8_t byte(unsigned component, std::size_t x, std::size_t y) const;

    const FormatRule* rule_;
    ImageSize size_;
    std::array<Component, 3> components_{};
};

Rgb rgb_from_yuv(std::uint8_t luma, std::uint8_t blue_difference, std::uint8_t red_difference);

/// The number in the 32 squares of 8x8 pixels at the top left, most significant bit first, luma 235
/// for one and 16 for zero whatever the colour. Empty: there is none to read.
std::optional<std::uint32_t> painted_number(const ImageView& image);

/// Whether the first row shows vivid's eight bars of 75 %.
bool shows_bars(const ImageView& image);

/// Errors: the file cannot be written.
Attempt<> save_png(const ImageView& image, const std::string& path);

}  // namespace v4lfence
