// SPDX-License-Identifier: MIT

#include "v4lfence/drivers/picture/layout.hpp"

#include <linux/videodev2.h>

#include <algorithm>

namespace v4lfence {
namespace {

using enum PictureFamily;

constexpr PictureFormat formats[] = {
    {V4L2_PIX_FMT_YUYV, "YUYV", Packed422, 1, 2, {}},
    {V4L2_PIX_FMT_NV12, "NV12", SemiPlanar, 1, 1, {}},
    {V4L2_PIX_FMT_YUV420, "YUV420", Planar, 1, 1, {}},
    {V4L2_PIX_FMT_NV12M, "NV12M", SemiPlanar, 2, 1, {}},
    {V4L2_PIX_FMT_YUV420M, "YUV420M", Planar, 3, 1, {}},
    {V4L2_PIX_FMT_RGB24, "RGB24", Packed, 1, 3, {0, 1, 2}},
    {V4L2_PIX_FMT_XBGR32, "XBGR32", Packed, 1, 4, {2, 1, 0}},
    {V4L2_PIX_FMT_GREY, "GREY", Packed, 1, 1, {}},
    {V4L2_PIX_FMT_MJPEG, "MJPEG", Jpeg, 1, 0, {}},
};

constexpr std::uint32_t jpeg_tables_bytes = 4096;  // headers and tables are 623 bytes

bool is_size(std::uint32_t value, std::uint32_t least, std::uint32_t most) {
    return value >= least && value <= most && value % picture_size_step == 0;
}

unsigned component_count(PictureFamily family) {
    switch (family) {
    case Packed:
    case Packed422:
        return 1;
    case SemiPlanar:
        return 2;
    case Planar:
        return 3;
    case Jpeg:
        break;
    }
    return 0;
}

std::uint32_t row_bytes(const PictureFormat& format, unsigned component, std::uint32_t width) {
    if (component == 0) {
        return width * format.pixel_bytes;
    }
    return format.family == SemiPlanar ? width : width / 2;
}

}  // namespace

std::span<const PictureFormat> picture_formats() {
    return formats;
}

const PictureFormat* find_picture_format(std::uint32_t fourcc) {
    const auto* found = std::find_if(std::begin(formats), std::end(formats),
                                     [=](const auto& format) { return format.fourcc == fourcc; });
    return found == std::end(formats) ? nullptr : found;
}

Result<PictureLayout> layout_of(std::uint32_t fourcc, std::uint32_t width, std::uint32_t height,
                                const BytesPerLine& wanted) {
    const PictureFormat* const format = find_picture_format(fourcc);
    if (format == nullptr || !is_size(width, picture_width_min, picture_width_max) ||
        !is_size(height, picture_height_min, picture_height_max)) {
        return fail(-EINVAL, "layout_of");
    }
    PictureLayout layout{fourcc, width, height, format->plane_count, {}};
    if (format->family == Jpeg) {
        layout.planes[0].sizeimage = width * height * 2 + jpeg_tables_bytes;
        return layout;
    }
    for (unsigned plane = 0; plane < layout.plane_count; ++plane) {
        const std::uint32_t least = row_bytes(*format, plane, width);
        const std::uint32_t most = std::min(wanted[plane], bytesperline_max);
        layout.planes[plane].bytesperline = most <= least ? least : (most + 1) / 2 * 2;
    }
    const PictureComponents components = components_of(layout);
    for (unsigned i = 0; i < components.count; ++i) {
        const ComponentLayout& component = components.each[i];
        layout.planes[component.plane].sizeimage += component.stride * component.rows;
    }
    return layout;
}

PictureColour colour_of(std::uint32_t fourcc) {
    const PictureFormat* const format = find_picture_format(fourcc);
    const auto colour = [](std::uint32_t colorspace, std::uint32_t quantization) {
        return PictureColour{colorspace, V4L2_YCBCR_ENC_601, quantization, V4L2_XFER_FUNC_SRGB};
    };
    if (format != nullptr && format->family == Jpeg) {
        return colour(V4L2_COLORSPACE_JPEG, V4L2_QUANTIZATION_FULL_RANGE);
    }
    const bool rgb = format != nullptr && format->family == Packed && format->pixel_bytes > 1;
    return colour(V4L2_COLORSPACE_SRGB,
                  rgb ? V4L2_QUANTIZATION_FULL_RANGE : V4L2_QUANTIZATION_LIM_RANGE);
}

PictureComponents components_of(const PictureLayout& layout) {
    PictureComponents components;
    const PictureFormat* const format = find_picture_format(layout.fourcc);
    if (format == nullptr) {
        return components;
    }
    components.count = component_count(format->family);
    std::size_t offset = 0;
    for (unsigned i = 0; i < components.count; ++i) {
        ComponentLayout& to = components.each[i];
        const bool own_plane = i < layout.plane_count;
        to.plane = own_plane ? i : 0;
        to.offset = own_plane ? 0 : offset;
        to.stride = layout.planes[to.plane].bytesperline;
        if (!own_plane && format->family == Planar) {
            to.stride /= 2;
        }
        to.row_bytes = row_bytes(*format, i, layout.width);
        to.rows = i == 0 ? layout.height : layout.height / 2;
        offset += std::size_t{to.stride} * to.rows;
    }
    return components;
}

}  // namespace v4lfence
