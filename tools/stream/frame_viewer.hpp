// SPDX-License-Identifier: MIT
//
// FrameViewer: what lies in a buffer, as a picture.

#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "tools/stream/buffers.hpp"
#include "tools/stream/jpeg_reader.hpp"
#include "tools/stream/picture.hpp"

namespace v4lfence {

/// Thread: one.
class FrameViewer {
public:
    /// Both are borrowed and must outlive it.
    FrameViewer(const CaptureFormat& format, const BufferPool& pool);

    /// Good until the next call. Empty when it is none that can be shown: the format is not one of
    /// those known, a JPEG is spoilt. `bytes_used` counts for compressed formats alone.
    std::optional<ImageView> view(unsigned index, std::size_t bytes_used,
                                  const DataOffsets& offsets);

    /// Whether frames of the format can be viewed at all.
    bool can_view() const;
    bool has_colour() const;

private:
    std::optional<ImageView> raw_view(unsigned index, const DataOffsets& offsets) const;

    const CaptureFormat& format_;
    const BufferPool& pool_;
    std::vector<std::uint32_t> strides_;
    std::optional<JpegReader> jpeg_;  ///< Of a format that needs it.
};

bool is_jpeg(std::uint32_t fourcc);

}  // namespace v4lfence
