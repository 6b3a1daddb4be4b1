// SPDX-License-Identifier: MIT

#include "v4lfence/drivers/camera/frame_painter.hpp"

#include <cstring>

namespace v4lfence {

Result<FramePainter> FramePainter::create(const FrameFormat& format,
                                          const PictureSettings& settings) {
    Painter painter = V4LFENCE_TRY(Painter::create(format.painted, settings));
    return FramePainter(format, std::move(painter));
}

Result<> FramePainter::paint(ActiveBuffer& buffer, const FrameFacts& facts,
                             FinishedBuffer& finished) {
    V4LFENCE_TRY(buffer.begin_access());
    std::array<std::span<std::byte>, picture_planes_max> planes{};
    for (unsigned plane = 0; plane < format_.shown.plane_count; ++plane) {
        planes[plane] = buffer.plane(plane);
    }
    const auto painted =
        painter_.paint(std::span(planes).first(format_.painted.plane_count), facts);
    if (painted) {
        fill_odd_edges(planes[0]);
    }
    buffer.end_access();
    if (!painted) {
        return tl::unexpected(painted.error());
    }
    for (unsigned plane = 0; plane < format_.shown.plane_count; ++plane) {
        const std::uint32_t edge =
            format_.shown.planes[plane].sizeimage - format_.painted.planes[plane].sizeimage;
        finished.bytes_used[plane] = (*painted)[plane] + edge;
    }
    return {};
}

/// Only formats of whole pixels in one plane have odd sizes.
void FramePainter::fill_odd_edges(std::span<std::byte> plane) const {
    const PictureLayout& shown = format_.shown;
    const PictureLayout& painted = format_.painted;
    const std::size_t stride = painted.planes[0].bytesperline;
    if (shown.width != painted.width) {
        const std::size_t pixel = find_picture_format(shown.fourcc)->pixel_bytes;
        std::byte* last = plane.data() + painted.width * pixel;
        for (std::uint32_t y = 0; y < painted.height; ++y, last += stride) {
            std::memcpy(last, last - pixel, pixel);
        }
    }
    if (shown.height != painted.height) {
        std::byte* const last = plane.data() + painted.height * stride;
        std::memcpy(last, last - stride, stride);
    }
}

}  // namespace v4lfence
