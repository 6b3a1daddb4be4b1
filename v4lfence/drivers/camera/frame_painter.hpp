// SPDX-License-Identifier: MIT
//
// FramePainter: a Painter for any size that the camera has, and for buffers as a queue hands them
// out.

#pragma once

#include "v4lfence/drivers/camera/catalog.hpp"
#include "v4lfence/drivers/picture/painter.hpp"
#include "v4lfence/vb2/buffer.hpp"

namespace v4lfence {

/// Thread: one at a time.
class FramePainter {
public:
    /// Takes as long as Painter::create(). Errors: ENOMEM.
    static Result<FramePainter> create(const FrameFormat& format, const PictureSettings& settings);

    /// Paints the frame into `buffer` and says how many bytes there are. Allocates nothing, but for
    /// MJPEG. Errors: EFAULT and others of ActiveBuffer::begin_access(); those of Painter::paint().
    Result<> paint(ActiveBuffer& buffer, const FrameFacts& facts, FinishedBuffer& finished);

private:
    FramePainter(const FrameFormat& format, Painter painter)
        : format_(format), painter_(std::move(painter)) {}

    void fill_odd_edges(std::span<std::byte> plane) const;

    FrameFormat format_;
    Painter painter_;
};

}  // namespace v4lfence
