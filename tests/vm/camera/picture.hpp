// SPDX-License-Identifier: MIT
//
// The picture: moving bars, with the frame's number in the top left corner.

#pragma once

#include "tests/vm/camera/bytes.hpp"
#include "tests/vm/camera/mode.hpp"

namespace v4lfence {

/// The number stands in one row of 32 squares, the most significant bit first.
constexpr unsigned number_square_pixels = 8;
constexpr std::uint8_t luma_one = 235;
constexpr std::uint8_t luma_zero = 16;

/// Makes `frame` the picture with this number; its memory is used again.
void paint(Bytes& frame, const VideoMode& mode, std::uint32_t number);

/// The number in a picture that paint() made.
std::uint32_t painted_number(const Bytes& frame, const VideoMode& mode);

}  // namespace v4lfence
