// SPDX-License-Identifier: MIT

#include "v4lfence/drivers/picture/grey_pen.hpp"

#include <algorithm>
#include <cstring>

namespace v4lfence {

const GlyphSize& glyphs_within(unsigned advance) {
    const auto sizes = glyph_sizes();
    const auto larger = std::find_if(sizes.begin() + 1, sizes.end(),
                                     [=](const GlyphSize& size) { return size.advance > advance; });
    return larger[-1];
}

GreyPen::GreyPen(const Surface& surface, Coding coding)
    : surface_(surface), step_(surface.format().pixel_bytes), coloured_(step_ >= 3) {
    for (unsigned shade = 0; shade < coded_.size(); ++shade) {
        const unsigned limited = 16 + (shade * 219 + 127) / 255;
        coded_[shade] = static_cast<std::byte>(coding == Coding::Limited ? limited : shade);
    }
}

void GreyPen::fill_row(std::byte* to, std::uint32_t count, std::byte value) const {
    for (; count > 0; --count, to += step_) {
        put(to, value);
    }
}

void GreyPen::stamp(const StampPlan& plan, std::uint32_t y, const StampBits& bits) const {
    const std::size_t row_bytes = std::size_t{plan.width()} * step_;
    for (unsigned row = 0; row < plan.rows; ++row, y += plan.square) {
        for (unsigned column = 0; column < plan.columns; ++column) {
            const bool one = stamp_bit(bits, row * plan.columns + column);
            fill_row(pixel(column * plan.square, y), plan.square, coded_[one ? 255 : 0]);
        }
        for (unsigned repeat = 1; repeat < plan.square; ++repeat) {
            std::memcpy(pixel(0, y + repeat), pixel(0, y), row_bytes);
        }
    }
}

void GreyPen::text(const TextPlace& place, const TextStyle& style, std::string_view text) const {
    const GlyphSize& glyphs = *style.glyphs;
    std::array<std::byte, 256> values;
    for (int alpha = 0; alpha < 256; ++alpha) {
        const int shade = style.paper + (style.ink - style.paper) * alpha / 255;
        values[static_cast<unsigned>(alpha)] = coded_[static_cast<unsigned>(shade)];
    }
    std::uint32_t x = place.x;
    for (char character : text) {
        if (x + glyphs.advance > place.end) {
            return;
        }
        character = character < glyph_first || character > glyph_last ? '?' : character;
        const GlyphBox& box = glyphs.boxes[static_cast<std::size_t>(character - glyph_first)];
        glyph(std::int64_t{x} + box.left, std::int64_t{place.baseline} - box.rise, box,
              glyphs.alpha.data() + box.offset, values);
        x += glyphs.advance;
    }
}

void GreyPen::repeat(std::uint32_t from, std::uint32_t to, std::uint32_t width,
                     std::uint32_t height) const {
    for (std::uint32_t row = 0; row < height; ++row) {
        std::memcpy(pixel(0, to + row), pixel(0, from + row), std::size_t{width} * step_);
    }
}

void GreyPen::glyph(std::int64_t x, std::int64_t top, const GlyphBox& box,
                    const std::uint8_t* alpha, const std::array<std::byte, 256>& values) const {
    if (x < 0 || top < 0 || x + box.width > surface_.width() ||
        top + box.height > surface_.height()) {
        return;
    }
    for (unsigned row = 0; row < box.height; ++row) {
        std::byte* to = pixel(static_cast<std::uint32_t>(x), static_cast<std::uint32_t>(top) + row);
        for (unsigned column = 0; column < box.width; ++column, to += step_) {
            put(to, values[*alpha++]);
        }
    }
}

}  // namespace v4lfence
