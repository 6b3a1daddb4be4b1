// SPDX-License-Identifier: MIT

#include "tools/display/formats.hpp"

#include <drm_fourcc.h>
#include <linux/videodev2.h>

#include <algorithm>
#include <iterator>

namespace v4lfence {

namespace {

/// How the components of a picture follow each other.
enum class Shape : std::uint8_t {
    Packed,
    SemiPlanar420,  ///< Luma, then both differences of 2x2 pixels side by side.
    SemiPlanar422,  ///< ... of 2x1 pixels.
    SemiPlanar444,  ///< ... of each pixel.
    Planar420,      ///< Luma, then a plane for each difference.
    Planar422,
};

struct FormatPair {
    std::uint32_t capture;
    std::uint32_t display;
    Shape shape;
};

/// The best to show first: what primary planes have, then what costs least to capture.
constexpr FormatPair pairs[] = {
    {V4L2_PIX_FMT_XBGR32, DRM_FORMAT_XRGB8888, Shape::Packed},
    {V4L2_PIX_FMT_ABGR32, DRM_FORMAT_XRGB8888, Shape::Packed},
    {V4L2_PIX_FMT_BGR32, DRM_FORMAT_XRGB8888, Shape::Packed},
    {V4L2_PIX_FMT_RGBX32, DRM_FORMAT_XBGR8888, Shape::Packed},
    {V4L2_PIX_FMT_RGBA32, DRM_FORMAT_XBGR8888, Shape::Packed},
    {V4L2_PIX_FMT_NV12, DRM_FORMAT_NV12, Shape::SemiPlanar420},
    {V4L2_PIX_FMT_NV12M, DRM_FORMAT_NV12, Shape::SemiPlanar420},
    {V4L2_PIX_FMT_YUYV, DRM_FORMAT_YUYV, Shape::Packed},
    {V4L2_PIX_FMT_UYVY, DRM_FORMAT_UYVY, Shape::Packed},
    {V4L2_PIX_FMT_YVYU, DRM_FORMAT_YVYU, Shape::Packed},
    {V4L2_PIX_FMT_VYUY, DRM_FORMAT_VYUY, Shape::Packed},
    {V4L2_PIX_FMT_NV16, DRM_FORMAT_NV16, Shape::SemiPlanar422},
    {V4L2_PIX_FMT_NV16M, DRM_FORMAT_NV16, Shape::SemiPlanar422},
    {V4L2_PIX_FMT_NV61, DRM_FORMAT_NV61, Shape::SemiPlanar422},
    {V4L2_PIX_FMT_NV61M, DRM_FORMAT_NV61, Shape::SemiPlanar422},
    {V4L2_PIX_FMT_NV21, DRM_FORMAT_NV21, Shape::SemiPlanar420},
    {V4L2_PIX_FMT_NV21M, DRM_FORMAT_NV21, Shape::SemiPlanar420},
    {V4L2_PIX_FMT_NV24, DRM_FORMAT_NV24, Shape::SemiPlanar444},
    {V4L2_PIX_FMT_NV42, DRM_FORMAT_NV42, Shape::SemiPlanar444},
    {V4L2_PIX_FMT_YUV420, DRM_FORMAT_YUV420, Shape::Planar420},
    {V4L2_PIX_FMT_YUV420M, DRM_FORMAT_YUV420, Shape::Planar420},
    {V4L2_PIX_FMT_YVU420, DRM_FORMAT_YVU420, Shape::Planar420},
    {V4L2_PIX_FMT_YVU420M, DRM_FORMAT_YVU420, Shape::Planar420},
    {V4L2_PIX_FMT_YUV422P, DRM_FORMAT_YUV422, Shape::Planar422},
    {V4L2_PIX_FMT_YUV422M, DRM_FORMAT_YUV422, Shape::Planar422},
    {V4L2_PIX_FMT_XRGB32, DRM_FORMAT_BGRX8888, Shape::Packed},
    {V4L2_PIX_FMT_ARGB32, DRM_FORMAT_BGRX8888, Shape::Packed},
    {V4L2_PIX_FMT_RGB32, DRM_FORMAT_BGRX8888, Shape::Packed},
    {V4L2_PIX_FMT_BGRX32, DRM_FORMAT_RGBX8888, Shape::Packed},
    {V4L2_PIX_FMT_BGRA32, DRM_FORMAT_RGBX8888, Shape::Packed},
    {V4L2_PIX_FMT_RGB24, DRM_FORMAT_BGR888, Shape::Packed},
    {V4L2_PIX_FMT_BGR24, DRM_FORMAT_RGB888, Shape::Packed},
    {V4L2_PIX_FMT_RGB565, DRM_FORMAT_RGB565, Shape::Packed},
    {V4L2_PIX_FMT_XRGB555, DRM_FORMAT_XRGB1555, Shape::Packed},
    {V4L2_PIX_FMT_ARGB555, DRM_FORMAT_XRGB1555, Shape::Packed},
};

const FormatPair* find_pair(std::uint32_t fourcc) {
    const auto* pair = std::find_if(std::begin(pairs), std::end(pairs),
                                    [&](const auto& entry) { return entry.capture == fourcc; });
    return pair == std::end(pairs) ? nullptr : pair;
}

unsigned component_count(Shape shape) {
    switch (shape) {
    case Shape::Packed:
        return 1;
    case Shape::SemiPlanar420:
    case Shape::SemiPlanar422:
    case Shape::SemiPlanar444:
        return 2;
    case Shape::Planar420:
    case Shape::Planar422:
        break;
    }
    return 3;
}

/// Of chroma, where luma has `stride` and both share a plane of the buffer.
std::uint32_t chroma_stride(Shape shape, std::uint32_t stride) {
    switch (shape) {
    case Shape::SemiPlanar444:
        return stride * 2;
    case Shape::Planar420:
    case Shape::Planar422:
        return stride / 2;
    case Shape::Packed:
    case Shape::SemiPlanar420:
    case Shape::SemiPlanar422:
        break;
    }
    return stride;
}

std::uint32_t chroma_rows(Shape shape, std::uint32_t height) {
    return shape == Shape::SemiPlanar420 || shape == Shape::Planar420 ? (height + 1) / 2 : height;
}

bool is_offered(std::span<const std::uint32_t> offered, std::uint32_t fourcc) {
    return std::find(offered.begin(), offered.end(), fourcc) != offered.end();
}

}  // namespace

std::optional<std::uint32_t> display_fourcc(std::uint32_t fourcc) {
    const FormatPair* pair = find_pair(fourcc);
    return pair == nullptr ? std::nullopt : std::optional(pair->display);
}

std::optional<ScanoutLayout> scanout_layout(const CaptureFormat& format, const DataOffsets& begin) {
    const FormatPair* pair = find_pair(format.fourcc);
    const unsigned components = pair == nullptr ? 0 : component_count(pair->shape);
    const bool apart = format.planes.size() == components;
    if (pair == nullptr || (!apart && format.planes.size() != 1)) {
        return std::nullopt;
    }
    ScanoutLayout layout{pair->display, format.size, {}};
    std::uint32_t offset = begin[0];
    for (unsigned component = 0; component < components; ++component) {
        const bool luma = component == 0;
        const std::uint32_t height = format.size.height;
        const std::uint32_t rows = luma ? height : chroma_rows(pair->shape, height);
        if (apart) {
            layout.planes.push_back(
                {component, begin[component], format.planes[component].stride, rows});
            continue;
        }
        const std::uint32_t luma_stride = format.planes[0].stride;
        const std::uint32_t stride = luma ? luma_stride : chroma_stride(pair->shape, luma_stride);
        layout.planes.push_back({0, offset, stride, rows});
        offset += stride * rows;
    }
    return layout;
}

std::optional<std::uint32_t> choose_capture_fourcc(std::uint32_t present,
                                                   std::span<const std::uint32_t> offered,
                                                   const FormatTaste& taste) {
    const auto shown = [&](std::uint32_t fourcc) {
        const auto display = display_fourcc(fourcc);
        return display && taste.shows(*display);
    };
    if (shown(present)) {
        return present;
    }
    for (const FormatPair& pair : pairs) {
        if (is_offered(offered, pair.capture) && shown(pair.capture)) {
            return pair.capture;
        }
    }
    if (taste.converts(present)) {
        return present;
    }
    const auto other = std::find_if(offered.begin(), offered.end(), taste.converts);
    return other == offered.end() ? std::nullopt : std::optional(*other);
}

std::optional<ImageSize> largest_fitting(std::span<const ImageSize> sizes, ImageSize screen) {
    std::optional<ImageSize> best;
    for (const ImageSize& size : sizes) {
        const bool fits = size.width <= screen.width && size.height <= screen.height;
        const auto area = [](const ImageSize& of) { return std::uint64_t{of.width} * of.height; };
        if (fits && (!best || area(size) > area(*best))) {
            best = size;
        }
    }
    return best;
}

}  // namespace v4lfence
