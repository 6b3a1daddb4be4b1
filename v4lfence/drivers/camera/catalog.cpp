// SPDX-License-Identifier: MIT

#include "v4lfence/drivers/camera/catalog.hpp"

#include <algorithm>
#include <array>
#include <cstring>

namespace v4lfence {

namespace {

constexpr v4l2_frmsize_discrete listed_sizes[] = {
    {160, 120}, {320, 240}, {640, 360}, {640, 480}, {1280, 720}, {1920, 1080}, {3840, 2160},
};
constexpr SizeChoice list_of_sizes{V4L2_FRMSIZE_TYPE_DISCRETE, listed_sizes, {}};

constexpr SizeChoice range_of_sizes(v4l2_frmsizetypes style, std::uint32_t step) {
    return {
        style,
        {},
        {picture_width_min, picture_width_max, step, picture_height_min, picture_height_max, step}};
}
constexpr SizeChoice steps_of_sizes = range_of_sizes(V4L2_FRMSIZE_TYPE_STEPWISE, picture_size_step);
constexpr SizeChoice any_size = range_of_sizes(V4L2_FRMSIZE_TYPE_CONTINUOUS, 1);

constexpr v4l2_fract listed_intervals[] = {
    {1, 240}, {1, 120}, {1, 60}, {1, 50}, {1, 30}, {1, 25}, {1, 24}, {1, 15}, {1, 5},
};
constexpr v4l2_fract usual_interval{1, 30};
constexpr IntervalChoice list_of_intervals{
    V4L2_FRMIVAL_TYPE_DISCRETE, listed_intervals, {}, usual_interval};
/// From 240 to 5 a second; 200, 120, 60, 50, 30, 25 and 24 are among them.
constexpr IntervalChoice steps_of_intervals{
    V4L2_FRMIVAL_TYPE_STEPWISE, {}, {{5, 1200}, {240, 1200}, {1, 1200}}, usual_interval};
constexpr IntervalChoice any_interval{
    V4L2_FRMIVAL_TYPE_CONTINUOUS, {}, {{1, 240}, {5, 4}, {1, 1}}, usual_interval};

constexpr std::uint64_t raw_pixels_max = 3840ULL * 2160 * 60;  // 1920x1080 at 240
constexpr std::uint64_t rgb_pixels_max = raw_pixels_max / 2;
constexpr std::uint64_t jpeg_pixels_max = raw_pixels_max / 4;  // a frame is compressed by the CPU

constexpr CatalogFormat formats[] = {
    {V4L2_PIX_FMT_YUYV, list_of_sizes, list_of_intervals, raw_pixels_max},
    {V4L2_PIX_FMT_MJPEG, list_of_sizes, list_of_intervals, jpeg_pixels_max},
    {V4L2_PIX_FMT_NV12, steps_of_sizes, steps_of_intervals, raw_pixels_max},
    {V4L2_PIX_FMT_YUV420, steps_of_sizes, steps_of_intervals, raw_pixels_max},
    {V4L2_PIX_FMT_RGB24, any_size, any_interval, rgb_pixels_max},
    {V4L2_PIX_FMT_XBGR32, any_size, any_interval, rgb_pixels_max},
    {V4L2_PIX_FMT_GREY, any_size, any_interval, raw_pixels_max},
    {V4L2_PIX_FMT_NV12M, steps_of_sizes, steps_of_intervals, raw_pixels_max},
    {V4L2_PIX_FMT_YUV420M, steps_of_sizes, steps_of_intervals, raw_pixels_max},
};
constexpr std::size_t several_planes = 2;  // formats at the end

PictureColour shown_colour(std::uint32_t fourcc) {
    PictureColour colour = colour_of(fourcc);
    if (colour.colorspace == V4L2_COLORSPACE_JPEG) {
        // Short for these values, and not to be used but with V4L2_PIX_FMT_JPEG.
        colour.colorspace = V4L2_COLORSPACE_SRGB;
    }
    return colour;
}

}  // namespace

Result<FormatCatalog> camera_catalog(bool multi_planar) {
    const std::span<const CatalogFormat> all(formats);
    return FormatCatalog::create(multi_planar ? all : all.first(all.size() - several_planes));
}

Result<FrameFormat> frame_format(std::uint32_t fourcc, const v4l2_frmsize_discrete& size,
                                 const BytesPerLine& wanted) {
    const std::uint32_t odd_columns = size.width % picture_size_step;
    const std::uint32_t odd_rows = size.height % picture_size_step;
    BytesPerLine least = wanted;
    if (odd_columns != 0) {
        const PictureFormat* const format = find_picture_format(fourcc);
        least[0] = std::max(least[0], format == nullptr ? 0 : size.width * format->pixel_bytes);
    }
    FrameFormat made;
    made.painted =
        V4LFENCE_TRY(layout_of(fourcc, size.width - odd_columns, size.height - odd_rows, least));
    made.shown = made.painted;
    made.shown.width = size.width;
    made.shown.height = size.height;
    made.shown.planes[0].sizeimage += odd_rows * made.shown.planes[0].bytesperline;
    return made;
}

void describe(const FrameFormat& from, bool multi_planar, v4l2_format& format) {
    const PictureLayout& layout = from.shown;
    const PictureColour colour = shown_colour(layout.fourcc);
    std::memset(&format.fmt, 0, sizeof(format.fmt));
    const auto fill_common = [&](auto& pix) {
        pix.width = layout.width;
        pix.height = layout.height;
        pix.pixelformat = layout.fourcc;
        pix.field = V4L2_FIELD_NONE;
        pix.colorspace = colour.colorspace;
        pix.ycbcr_enc = static_cast<std::uint8_t>(colour.ycbcr_enc);
        pix.quantization = static_cast<std::uint8_t>(colour.quantization);
        pix.xfer_func = static_cast<std::uint8_t>(colour.xfer_func);
    };
    if (!multi_planar) {
        fill_common(format.fmt.pix);
        format.fmt.pix.bytesperline = layout.planes[0].bytesperline;
        format.fmt.pix.sizeimage = layout.planes[0].sizeimage;
        format.fmt.pix.priv = V4L2_PIX_FMT_PRIV_MAGIC;
        return;
    }
    fill_common(format.fmt.pix_mp);
    format.fmt.pix_mp.num_planes = static_cast<std::uint8_t>(layout.plane_count);
    for (unsigned plane = 0; plane < layout.plane_count; ++plane) {
        format.fmt.pix_mp.plane_fmt[plane].bytesperline = layout.planes[plane].bytesperline;
        format.fmt.pix_mp.plane_fmt[plane].sizeimage = layout.planes[plane].sizeimage;
    }
}

WantedFormat wanted_format(const v4l2_format& format, bool multi_planar) {
    if (!multi_planar) {
        const v4l2_pix_format& pix = format.fmt.pix;
        return {pix.pixelformat, pix.width, pix.height, {pix.bytesperline}};
    }
    const v4l2_pix_format_mplane& pix = format.fmt.pix_mp;
    WantedFormat wanted{pix.pixelformat, pix.width, pix.height, {}};
    for (unsigned plane = 0; plane < picture_planes_max; ++plane) {
        wanted.bytesperline[plane] = pix.plane_fmt[plane].bytesperline;
    }
    return wanted;
}

}  // namespace v4lfence
