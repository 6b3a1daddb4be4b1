// SPDX-License-Identifier: MIT
//
// The stamp: a frame's sequence number and capture time as black and white squares, at the top left
// and again at the bottom left, for programs to read. It is never mirrored, and neither brightness
// nor contrast touches it. Self-contained: who writes and who reads frames both include it.
//
// A square is at least 2x2 pixels, so it survives any chroma subsampling and JPEG. The bits are in
// rows of `columns` squares from the left to the right, the most significant first, white for one:
//
//     sequence (32) | capture time in ns (64) | check (32, or 16 where there is no time)
//
// The check is the CRC-32 of the bytes before it, exclusive-or 0x5a5a5a5a (its lower half in 16
// bits), so that black, white, noise and another device's frame are no stamp. A top and a bottom
// that differ are two halves of frames.
//
// What a picture has room for, by its size:
//
//     from 128x64   number and time, 32 x 4 squares, top and bottom; a square is a 160th of the
//                   width or a 32nd of the height, whichever is less, and at least 4 pixels
//     from  64x32   number, 16 x 3 squares of 4 pixels, top and bottom
//     smaller       number,  8 x 6 squares of 2 pixels, top only

#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

namespace v4lfence {

struct FrameStamp {
    std::uint32_t sequence = 0;
    std::uint64_t captured_at_ns = 0;  ///< CLOCK_MONOTONIC; 0 where the picture has no room for it.

    bool operator==(const FrameStamp&) const = default;
};

struct StampPlan {
    unsigned square = 0;  ///< In pixels, even.
    unsigned columns = 0;
    unsigned rows = 0;
    bool has_time = false;
    bool has_bottom = false;

    unsigned width() const { return square * columns; }
    unsigned height() const { return square * rows; }
};

/// For a picture of at least 16x16 pixels. The top stamp begins in row 0, the bottom stamp in row
/// `height` - plan.height(); both begin in column 0.
StampPlan stamp_plan(unsigned width, unsigned height);

/// Up to 128 squares, the first one in the top bit of the first byte.
using StampBits = std::array<std::uint8_t, 16>;

StampBits stamp_bits(const StampPlan& plan, const FrameStamp& stamp);

inline bool stamp_bit(const StampBits& bits, unsigned index) {
    return (bits[index / 8] >> (7 - index % 8) & 1) != 0;
}

/// Empty: the check is wrong.
std::optional<FrameStamp> stamp_of(const StampPlan& plan, const StampBits& bits);

/// `luma(x, y)` is a pixel's luma in 0..255, in limited or full range. Empty: a square is neither
/// dark nor bright, or the check is wrong.
template <class Luma>
std::optional<FrameStamp> read_stamp(const StampPlan& plan, unsigned first_row, Luma&& luma) {
    StampBits bits{};
    for (unsigned i = 0; i < plan.columns * plan.rows; ++i) {
        const unsigned x = i % plan.columns * plan.square + plan.square / 2;
        const unsigned y = first_row + i / plan.columns * plan.square + plan.square / 2;
        const int sum = luma(x - 1, y - 1) + luma(x, y - 1) + luma(x - 1, y) + luma(x, y);
        if (sum > 4 * 96 && sum < 4 * 160) {
            return std::nullopt;
        }
        bits[i / 8] = static_cast<std::uint8_t>(bits[i / 8] << 1 | (sum >= 4 * 160 ? 1 : 0));
    }
    return stamp_of(plan, bits);
}

struct StampReading {
    std::optional<FrameStamp> top;
    std::optional<FrameStamp> bottom;  ///< That of the top where the picture has none of its own.

    /// The whole frame is of one capture, as far as both ends of it tell.
    bool whole() const { return top.has_value() && top == bottom; }
    /// It has something of ours and is not whole.
    bool torn() const { return !whole() && (top || bottom); }
};

template <class Luma>
StampReading read_stamps(unsigned width, unsigned height, Luma&& luma) {
    const StampPlan plan = stamp_plan(width, height);
    StampReading reading;
    reading.top = read_stamp(plan, 0, luma);
    reading.bottom = plan.has_bottom ? read_stamp(plan, height - plan.height(), luma) : reading.top;
    return reading;
}

}  // namespace v4lfence
