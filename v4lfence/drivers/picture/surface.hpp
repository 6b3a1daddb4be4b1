// SPDX-License-Identifier: MIT
//
// Memory as a picture: pixels of three numbers on one side, the bytes of any uncompressed format on
// the other. What the numbers mean is settled before: `to_coding()`.

#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <span>

#include "v4lfence/drivers/picture/layout.hpp"

namespace v4lfence {

/// Red, green, blue; or luma, Cb, Cr.
using Pixel = std::array<std::uint8_t, 3>;

enum class Coding : std::uint8_t {
    Rgb,
    Limited,  ///< BT.601, luma 16 to 235.
    Full,     ///< BT.601, luma 0 to 255.
};

/// Of an uncompressed format.
Coding coding_of(const PictureFormat& format);

/// Turns red, green and blue into the numbers of the coding, in place.
void to_coding(std::span<Pixel> pixels, Coding coding);

/// Planes of our own for one picture, zeroed.
class PictureMemory {
public:
    /// `layout` comes from layout_of(). Errors: ENOMEM.
    static Result<PictureMemory> create(const PictureLayout& layout);

    std::span<const std::span<std::byte>> planes() const { return {planes_.data(), count_}; }

private:
    PictureMemory() = default;

    struct Free {
        void operator()(std::byte* bytes) const { std::free(bytes); }
    };

    std::unique_ptr<std::byte, Free> bytes_;
    std::array<std::span<std::byte>, picture_planes_max> planes_{};
    unsigned count_ = 0;
};

/// Borrows the memory of an uncompressed picture.
class Surface {
public:
    /// `layout` comes from layout_of(), is not MJPEG, and each plane has its sizeimage.
    Surface(const PictureLayout& layout, std::span<const std::span<std::byte>> planes);

    const PictureFormat& format() const { return *format_; }
    std::uint32_t width() const { return width_; }
    std::uint32_t height() const { return height_; }
    unsigned component_count() const { return components_.count; }
    const ComponentLayout& component(unsigned index) const { return components_.each[index]; }

    /// The row of a component; chroma that is shared by two rows of pixels has half as many.
    std::byte* row(unsigned component, std::uint32_t index) const {
        return data_[component] + std::size_t{index} * components_.each[component].stride;
    }

    /// Writes rows `y` and `y` + 1. `y` is even; each span has width() pixels in the coding.
    void put_rows(std::uint32_t y, std::span<const Pixel> upper,
                  std::span<const Pixel> lower) const;

private:
    void put_row(std::byte* to, std::span<const Pixel> pixels) const;
    void put_chroma(std::uint32_t pair, std::span<const Pixel> upper,
                    std::span<const Pixel> lower) const;

    const PictureFormat* format_;
    std::uint32_t width_;
    std::uint32_t height_;
    PictureComponents components_;
    std::array<std::byte*, 3> data_{};
};

}  // namespace v4lfence
