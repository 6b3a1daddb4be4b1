// SPDX-License-Identifier: MIT

#include "tests/vm/camera/picture.hpp"

#include <algorithm>
#include <array>

namespace v4lfence {
namespace {

struct Colour {
    std::uint8_t y, cb, cr;
};

// The bars of a test card at full amplitude, limited range.
constexpr std::array<Colour, 8> bars{{{235, 128, 128},
                                      {210, 16, 146},
                                      {170, 166, 16},
                                      {145, 54, 34},
                                      {106, 202, 222},
                                      {81, 90, 240},
                                      {41, 240, 110},
                                      {16, 128, 128}}};
constexpr unsigned pixels_per_frame = 4;  // that the bars move

constexpr unsigned luma_step(PictureFormat format) {
    return format == PictureFormat::Yuyv ? 2 : 1;
}

Colour bar_at(unsigned x, unsigned width, std::uint32_t number) {
    const auto bar = (std::uint64_t{x} + std::uint64_t{number} * pixels_per_frame) / (width / 8);
    return bars[bar % bars.size()];
}

// A row of luma, with the chroma between it for packed formats.
void paint_row(std::uint8_t* row, const VideoMode& mode, std::uint32_t number) {
    const unsigned width = mode.size().width;
    for (unsigned x = 0; x < width; x += 2) {
        const Colour c = bar_at(x, width, number);
        if (mode.format == PictureFormat::Yuyv) {
            const std::array<std::uint8_t, 4> pair{c.y, c.cb, c.y, c.cr};
            std::copy(pair.begin(), pair.end(), row + 2 * x);
        } else {
            row[x] = row[x + 1] = c.y;
        }
    }
}

void stamp_row(std::uint8_t* row, const VideoMode& mode, std::uint32_t number) {
    const unsigned step = luma_step(mode.format);
    for (unsigned x = 0; x < 32 * number_square_pixels; ++x) {
        const unsigned bit = 31 - x / number_square_pixels;
        row[x * step] = (number >> bit & 1) != 0 ? luma_one : luma_zero;
    }
}

// Copies the row at `row` into the `count` - 1 rows behind it.
void repeat_row(std::uint8_t* row, std::size_t pitch, unsigned count) {
    for (unsigned i = 1; i < count; ++i) {
        std::copy_n(row, pitch, row + i * pitch);
    }
}

}  // namespace

void paint(Bytes& frame, const VideoMode& mode, std::uint32_t number) {
    const auto [width, height] = mode.size();
    const std::size_t pitch = std::size_t{width} * luma_step(mode.format);
    frame.resize(mode.bytes());
    std::uint8_t* const stamped = frame.data();
    std::uint8_t* const plain = stamped + number_square_pixels * pitch;
    paint_row(plain, mode, number);
    repeat_row(plain, pitch, height - number_square_pixels);
    std::copy_n(plain, pitch, stamped);
    stamp_row(stamped, mode, number);
    repeat_row(stamped, pitch, number_square_pixels);
    if (mode.format == PictureFormat::Nv12) {
        std::uint8_t* const chroma = stamped + std::size_t{height} * pitch;
        for (unsigned x = 0; x < width; x += 2) {
            const Colour c = bar_at(x, width, number);
            chroma[x] = c.cb;
            chroma[x + 1] = c.cr;
        }
        repeat_row(chroma, pitch, height / 2u);
    }
}

std::uint32_t painted_number(const Bytes& frame, const VideoMode& mode) {
    const std::size_t step = luma_step(mode.format);
    const std::size_t middle = number_square_pixels / 2;
    const std::size_t row = middle * mode.size().width * step;
    std::uint32_t number = 0;
    for (std::size_t square = 0; square < 32; ++square) {
        const std::size_t x = square * number_square_pixels + middle;
        number = number << 1 | (frame[row + x * step] > 125 ? 1u : 0u);
    }
    return number;
}

}  // namespace v4lfence
