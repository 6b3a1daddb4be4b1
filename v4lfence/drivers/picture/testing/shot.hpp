// SPDX-License-Identifier: MIT
//
// One painted frame, seen as somebody else would: it knows V4L2's definitions of the formats and
// nothing of how they are painted.

#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "v4lfence/drivers/picture/painter.hpp"

namespace v4lfence::testing {

/// Memory of a frame with guard bytes before and behind each plane.
class GuardedPlanes {
public:
    explicit GuardedPlanes(const PictureLayout& layout);

    std::span<const std::span<std::byte>> planes() const { return planes_; }
    bool guards_intact() const;

private:
    std::vector<std::vector<std::byte>> memory_;
    std::vector<std::span<std::byte>> planes_;
};

struct ShotChoices {
    std::uint32_t fourcc = 0;
    std::uint32_t width = 0;
    std::uint32_t height = 0;
    BytesPerLine bytesperline{};
    PictureSettings settings{};
    FrameFacts facts{};
};

/// Red, green and blue.
using Rgb = std::array<int, 3>;

class Shot {
public:
    /// Aborts where the painter refuses.
    explicit Shot(const ShotChoices& choices);

    const PictureLayout& layout() const { return layout_; }
    bool guards_intact() const { return memory_.guards_intact(); }
    const Painter::BytesUsed& bytes_used() const { return used_; }
    std::span<std::byte> plane(unsigned index) const { return memory_.planes()[index]; }

    /// As stored; of RGB as BT.601 makes it, in full range.
    int luma(std::uint32_t x, std::uint32_t y) const;
    /// What a screen shows.
    Rgb pixel(std::uint32_t x, std::uint32_t y) const;

    StampReading stamps() const;

private:
    int at(unsigned plane, std::size_t offset) const;
    std::array<int, 3> numbers(std::uint32_t x, std::uint32_t y) const;

    PictureLayout layout_;
    GuardedPlanes memory_;
    Painter::BytesUsed used_{};
    std::vector<std::uint8_t> decoded_;  ///< Of MJPEG: luma, Cb and Cr of each pixel.
};

/// Luma, Cb and Cr of each pixel, in full range; empty: that is no JPEG of this size.
std::vector<std::uint8_t> decode_jpeg(std::span<const std::byte> jpeg, std::uint32_t width,
                                      std::uint32_t height);

}  // namespace v4lfence::testing
