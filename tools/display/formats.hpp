// SPDX-License-Identifier: MIT
//
// Pixel formats of V4L2 as displays name them, and where the parts of a picture lie in a buffer.
//
// Both sides have their own fourccs. Those of four bytes a pixel agree in number though not in
// name: V4L2 writes the bytes in the order of memory, DRM from the top of a little-endian word, so
// V4L2_PIX_FMT_XBGR32 and DRM_FORMAT_XRGB8888 are both "XR24". Those of three bytes agree in
// neither: V4L2's "RGB3" is DRM's "BG24".

#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "tools/stream/camera.hpp"

namespace v4lfence {

/// The format of DRM with the same bytes in memory, alpha left aside: cameras leave it at anything.
/// Empty: there is none.
std::optional<std::uint32_t> display_fourcc(std::uint32_t fourcc);

/// One component of a picture: luma, chroma, or the whole pixel.
struct ScanoutPlane {
    unsigned buffer_plane = 0;  ///< Of the V4L2 buffer.
    std::uint32_t offset = 0;   ///< In it.
    std::uint32_t stride = 0;
    std::uint32_t rows = 0;

    bool operator==(const ScanoutPlane&) const = default;
};

struct ScanoutLayout {
    std::uint32_t fourcc = 0;  ///< DRM_FORMAT_*
    ImageSize size;
    std::vector<ScanoutPlane> planes;
};

/// `begin`: of the picture, in each plane of the buffer. Empty: a display knows no such format.
std::optional<ScanoutLayout> scanout_layout(const CaptureFormat& format,
                                            const DataOffsets& begin = {});

/// What is known of a format: whether the display shows it as it is, and whether it can be
/// converted.
struct FormatTaste {
    std::function<bool(std::uint32_t display_fourcc)> shows;
    std::function<bool(std::uint32_t fourcc)> converts;
};

/// The one of the camera's to show: its present one if the display takes it, else the best that the
/// display takes, else the present one or another if it can be converted. Empty: there is no way.
std::optional<std::uint32_t> choose_capture_fourcc(std::uint32_t present,
                                                   std::span<const std::uint32_t> offered,
                                                   const FormatTaste& taste);

/// The largest of those that fit into `screen`. Empty: none does.
std::optional<ImageSize> largest_fitting(std::span<const ImageSize> sizes, ImageSize screen);

}  // namespace v4lfence
