// SPDX-License-Identifier: MIT

#include "tools/stream/frame_viewer.hpp"

#include <linux/videodev2.h>

#include <algorithm>
#include <array>

namespace v4lfence {

FrameViewer::FrameViewer(const CaptureFormat& format, const BufferPool& pool)
    : format_(format), pool_(pool) {
    for (const PlaneLayout& plane : format.planes) {
        strides_.push_back(plane.stride);
    }
    if (is_jpeg(format.fourcc)) {
        jpeg_.emplace(format.size);
    }
}

std::optional<ImageView> FrameViewer::view(unsigned index, std::size_t bytes_used,
                                           const DataOffsets& offsets) {
    if (!jpeg_) {
        return raw_view(index, offsets);
    }
    const auto plane = picture_bytes(pool_.plane(index, 0), offsets[0]);
    return jpeg_->read(plane.first(std::min(bytes_used, plane.size())));
}

bool FrameViewer::can_view() const {
    return jpeg_ || raw_view(0, {});
}

bool FrameViewer::has_colour() const {
    const auto image = raw_view(0, {});
    return jpeg_ || (image && image->has_colour());
}

std::optional<ImageView> FrameViewer::raw_view(unsigned index, const DataOffsets& offsets) const {
    std::array<std::span<const std::byte>, VIDEO_MAX_PLANES> planes;
    for (unsigned plane = 0; plane < strides_.size(); ++plane) {
        planes[plane] = picture_bytes(pool_.plane(index, plane), offsets[plane]);
    }
    return ImageView::create(format_.fourcc, format_.size, std::span(planes).first(strides_.size()),
                             strides_);
}

bool is_jpeg(std::uint32_t fourcc) {
    return fourcc == V4L2_PIX_FMT_MJPEG || fourcc == V4L2_PIX_FMT_JPEG;
}

}  // namespace v4lfence
