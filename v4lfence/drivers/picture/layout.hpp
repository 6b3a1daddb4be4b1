// SPDX-License-Identifier: MIT
//
// The pixel formats of the virtual camera: how a picture lies in the planes of a buffer, and what
// its numbers mean. Everything here is constant and may be called by any thread.

#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "v4lfence/base/result.hpp"

namespace v4lfence {

/// Widths and heights are even.
inline constexpr std::uint32_t picture_width_min = 16;
inline constexpr std::uint32_t picture_width_max = 3840;
inline constexpr std::uint32_t picture_height_min = 16;
inline constexpr std::uint32_t picture_height_max = 2160;
inline constexpr std::uint32_t picture_size_step = 2;
inline constexpr unsigned picture_planes_max = 3;
/// More than this is never given, whatever is wanted.
inline constexpr std::uint32_t bytesperline_max = 32768;

enum class PictureFamily : std::uint8_t {
    Packed,      ///< One group of bytes for each pixel.
    Packed422,   ///< Y Cb Y Cr for two pixels.
    SemiPlanar,  ///< Luma, then Cb and Cr in turns, one of each for 2x2 pixels.
    Planar,      ///< Luma, then Cb, then Cr, one for 2x2 pixels.
    Jpeg,
};

struct PictureFormat {
    std::uint32_t fourcc;
    const char* name;  ///< As people write it, and as the picture shows it.
    PictureFamily family;
    std::uint8_t plane_count;
    std::uint8_t pixel_bytes;               ///< From one pixel's luma, or group, to the next.
    std::array<std::uint8_t, 3> positions;  ///< Packed: red, green, blue in the group.
};

/// All, in the order in which a device lists them. Those with several planes, and only those, need
/// the multi-planar API.
std::span<const PictureFormat> picture_formats();

/// nullptr: not one of ours.
const PictureFormat* find_picture_format(std::uint32_t fourcc);

/// As in v4l2_plane_pix_format.
struct PlaneLayout {
    std::uint32_t bytesperline = 0;  ///< 0 for MJPEG.
    std::uint32_t sizeimage = 0;

    bool operator==(const PlaneLayout&) const = default;
};

struct PictureLayout {
    std::uint32_t fourcc = 0;
    std::uint32_t width = 0;
    std::uint32_t height = 0;
    unsigned plane_count = 0;
    std::array<PlaneLayout, picture_planes_max> planes{};

    bool operator==(const PictureLayout&) const = default;
};

using BytesPerLine = std::array<std::uint32_t, picture_planes_max>;

/// Each plane gets the bytesperline that is wanted, made even and limited to bytesperline_max, or
/// what its rows need if that is more; so a layout's own are kept. Where several components share a
/// plane it is that of the luma. sizeimage follows from it; for MJPEG it is two bytes for each
/// pixel and room for the tables. Errors: EINVAL, not a format or a size of ours.
Result<PictureLayout> layout_of(std::uint32_t fourcc, std::uint32_t width, std::uint32_t height,
                                const BytesPerLine& wanted = {});

/// Values of V4L2_COLORSPACE_, V4L2_YCBCR_ENC_, V4L2_QUANTIZATION_ and V4L2_XFER_FUNC_.
struct PictureColour {
    std::uint32_t colorspace;
    std::uint32_t ycbcr_enc;
    std::uint32_t quantization;
    std::uint32_t xfer_func;

    bool operator==(const PictureColour&) const = default;
};

/// sRGB throughout: full range as RGB; by BT.601 in limited range as YCbCr and grey; by BT.601 in
/// full range in MJPEG, as JFIF says. `fourcc` is one of ours.
PictureColour colour_of(std::uint32_t fourcc);

/// One component of an uncompressed picture: where its rows are.
struct ComponentLayout {
    unsigned plane = 0;
    std::size_t offset = 0;       ///< In the plane.
    std::uint32_t stride = 0;     ///< From one row to the next.
    std::uint32_t row_bytes = 0;  ///< Of the row, without what lies behind it.
    std::uint32_t rows = 0;
};

struct PictureComponents {
    unsigned count = 0;
    std::array<ComponentLayout, 3> each{};
};

/// None for MJPEG. `layout` comes from layout_of().
PictureComponents components_of(const PictureLayout& layout);

}  // namespace v4lfence
