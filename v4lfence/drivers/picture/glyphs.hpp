// SPDX-License-Identifier: MIT
//
// The printable ASCII characters of DejaVu Sans Mono at several sizes, as alpha masks. They are
// drawn when the library is built, by make_glyphs.cpp, so that nothing of it is needed to run.

#pragma once

#include <array>
#include <cstdint>
#include <span>

namespace v4lfence {

inline constexpr char glyph_first = ' ';
inline constexpr char glyph_last = '~';
inline constexpr std::size_t glyph_count = glyph_last - glyph_first + 1;

/// The smallest rectangle that holds the glyph; empty for the space.
struct GlyphBox {
    std::uint32_t offset;  ///< Of its first alpha value; `width` x `height` of them, row by row.
    std::int8_t left;      ///< From the pen to the left edge.
    std::int8_t rise;      ///< From the top edge down to the baseline.
    std::uint8_t width;
    std::uint8_t height;
};

struct GlyphSize {
    unsigned advance;      ///< From one character to the next, in pixels.
    unsigned capital;      ///< Height of capital letters and figures.
    unsigned line_height;  ///< Of all that any glyph touches.
    std::array<GlyphBox, glyph_count> boxes;
    std::span<const std::uint8_t> alpha;
};

/// From the smallest to the largest.
std::span<const GlyphSize> glyph_sizes();

}  // namespace v4lfence
