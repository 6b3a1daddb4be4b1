// SPDX-License-Identifier: MIT
//
// YCbCr 4:2:0 in full range to JPEG. One thread at a time.

#pragma once

#include <cstddef>
#include <memory>
#include <span>

#include "v4lfence/drivers/picture/surface.hpp"

namespace v4lfence {

inline constexpr int jpeg_quality = 85;

/// What the encoder reads of each luma row, beyond the picture's width: a multiple of 16 pixels.
/// The caller fills it.
constexpr std::uint32_t jpeg_row_width(std::uint32_t width) {
    return (width + 15) / 16 * 16;
}

class JpegEncoder {
public:
    /// Errors: ENOMEM.
    static Result<JpegEncoder> create();
    JpegEncoder(JpegEncoder&&) noexcept;
    JpegEncoder& operator=(JpegEncoder&&) noexcept;
    ~JpegEncoder();

    /// Returns the bytes used, which begin at the start of `to`. `picture` is YUV420 whose luma
    /// rows have jpeg_row_width() pixels, its chroma rows half of that.
    /// Errors: ENOSPC, `to` was full before the end, and nothing was written behind it; EIO,
    /// libjpeg's own.
    Result<std::size_t> encode(const Surface& picture, std::span<std::byte> to);

private:
    struct State;
    explicit JpegEncoder(std::unique_ptr<State> state);

    std::unique_ptr<State> state_;
};

}  // namespace v4lfence
