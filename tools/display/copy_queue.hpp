// SPDX-License-Identifier: MIT
//
// CopyQueue: a camera whose frames the CPU copies into pictures of the display's, where neither
// device takes the other's memory or the display does not have the camera's format. To the cycle
// its pictures are the buffers.

#pragma once

#include <deque>
#include <vector>

#include "tools/display/capture_queue.hpp"
#include "tools/display/consumer.hpp"
#include "tools/stream/frame_viewer.hpp"
#include "tools/video/file.hpp"

namespace v4lfence {

class CopyQueue final : public CaptureQueue {
public:
    /// `camera` and `pool` are borrowed. Pictures in the camera's own format and size are copied;
    /// any others are XRGB8888, and the frame is converted and put into their middle. Fails with a
    /// sentence: the display's memory cannot be mapped.
    static Attempt<std::unique_ptr<CopyQueue>> create(const Camera& camera, const BufferPool& pool,
                                                      std::vector<DisplayPicture> pictures);

    unsigned count() const override { return static_cast<unsigned>(targets_.size()); }
    /// Pictures have no fences: `in_fence` is -1.
    Attempt<QueuedFrame> queue(unsigned index, int in_fence) override;
    Attempt<> start() override;
    Attempt<std::optional<TakenFrame>> take() override;
    void stop() override { camera_queue_.stop(); }
    int fd() const override { return camera_queue_.fd(); }
    std::string state_text(unsigned index) const override;

    std::optional<ImageView> view(unsigned index) const;

private:
    struct Target {
        DisplayPicture picture;
        std::vector<Mapping> memory;  ///< Of each dma-buf.
    };

    CopyQueue(const Camera& camera, const BufferPool& pool);

    /// Returns whether there was a picture to copy.
    bool copy(const TakenFrame& frame, Target& target);
    void copy_planes(const TakenFrame& frame, const ScanoutLayout& from, Target& target) const;
    void convert(const ImageView& image, Target& target) const;
    bool is_copied_as_it_is(const Target& target) const;
    /// Where the frame begins in a larger picture of XRGB8888.
    std::size_t first_byte(const Target& target) const;

    const Camera& camera_;
    const BufferPool& pool_;
    CameraQueue camera_queue_;
    FrameViewer viewer_;
    std::vector<Target> targets_;
    std::deque<unsigned> free_;
};

}  // namespace v4lfence
