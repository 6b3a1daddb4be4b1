// SPDX-License-Identifier: MIT
//
// Draws stamps and text, in shades of grey, where a picture is grey already: only luma is written,
// so that it is fast and the same in every format. No heap.

#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "v4lfence/drivers/picture/glyphs.hpp"
#include "v4lfence/drivers/picture/stamp.hpp"
#include "v4lfence/drivers/picture/surface.hpp"

namespace v4lfence {

/// The largest glyphs whose characters advance by at most this many pixels; else the smallest.
const GlyphSize& glyphs_within(unsigned advance);

struct TextStyle {
    const GlyphSize* glyphs = nullptr;
    std::uint8_t ink = 255;  ///< Shades from 0 to 255.
    std::uint8_t paper = 0;  ///< The shade that the picture has there.
};

struct TextPlace {
    std::uint32_t x = 0;
    std::uint32_t baseline = 0;
    std::uint32_t end = 0;  ///< No character reaches beyond this column.
};

class GreyPen {
public:
    /// Borrows the surface's memory.
    GreyPen(const Surface& surface, Coding coding);

    /// Its top row is `y`.
    void stamp(const StampPlan& plan, std::uint32_t y, const StampBits& bits) const;

    /// What is not printable ASCII becomes '?'; what does not fit is left out.
    void text(const TextPlace& place, const TextStyle& style, std::string_view text) const;

    /// Rows from `from` on, up to column `width`, once more from row `to` on.
    void repeat(std::uint32_t from, std::uint32_t to, std::uint32_t width,
                std::uint32_t height) const;

private:
    std::byte* pixel(std::uint32_t x, std::uint32_t y) const {
        return surface_.row(0, y) + std::size_t{x} * surface_.format().pixel_bytes;
    }
    void put(std::byte* to, std::byte value) const {
        to[0] = value;
        if (coloured_) {
            to[1] = to[2] = value;
        }
    }
    void fill_row(std::byte* to, std::uint32_t count, std::byte value) const;
    void glyph(std::int64_t x, std::int64_t top, const GlyphBox& box, const std::uint8_t* alpha,
               const std::array<std::byte, 256>& values) const;

    const Surface& surface_;
    unsigned step_;  ///< Bytes from one pixel to the next.
    bool coloured_;  ///< Three of them have the shade.
    std::array<std::byte, 256> coded_;
};

}  // namespace v4lfence
