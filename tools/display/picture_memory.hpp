// SPDX-License-Identifier: MIT
//
// PictureMemory: whose memory the frames lie in on their way from the camera to the display.

#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "tools/display/copy_queue.hpp"

namespace v4lfence {

/// The best first.
enum class MemoryWay : std::uint8_t {
    Mapped,    ///< The camera's, which a display of software reads as it is.
    Imported,  ///< The camera's (EXPBUF), imported by the display.
    Displays,  ///< The display's, imported by the camera (V4L2_MEMORY_DMABUF).
    Copied,    ///< Both have their own, and the CPU copies.
};

/// "the camera's buffers, imported by the display", ...
const char* memory_way_text(MemoryWay way);
/// "imported", ...
const char* memory_way_name(MemoryWay way);

struct MemoryChoices {
    unsigned buffers = 0;
    bool out_fences = false;  ///< Of the camera.
    bool implicit = false;    ///< Fences lie in dma-bufs, so frames must too.
    bool bordered = false;    ///< The display shows nothing smaller than its mode.
};

/// The camera and the consumer must outlive it, but for the consumer's end of pictures: it goes
/// first.
class PictureMemory {
public:
    /// The first way that both sides take. May change the format's stride. Fails with a sentence.
    static Attempt<std::unique_ptr<PictureMemory>> create(Camera& camera, Consumer& consumer,
                                                          const MemoryChoices& choices);

    MemoryWay way() const { return way_; }
    /// A sentence for each better way that was refused.
    const std::vector<std::string>& refusals() const { return refusals_; }

    CaptureQueue& queue() { return *queue_; }
    /// The consumer's number of each of the queue's buffers.
    const std::vector<int>& pictures() const { return pictures_; }
    unsigned camera_buffers() const { return pool_->count(); }

    /// Good until the next call. Between the two others, or the CPU may see an old frame.
    std::optional<ImageView> view(unsigned index, std::size_t bytes_used,
                                  const DataOffsets& offsets);
    void begin_read(unsigned index) const;
    void end_read(unsigned index) const;

private:
    PictureMemory(Camera& camera, Consumer& consumer, const MemoryChoices& choices)
        : camera_(camera), consumer_(consumer), choices_(choices) {}

    bool on_kms() const { return consumer_.info().kind == "kms"; }
    Attempt<> find_way();
    Attempt<> map();
    Attempt<> import();
    Attempt<> take_displays();
    Attempt<> copy();
    /// Fails like the way itself; nothing of it is left then.
    Attempt<> attempt(MemoryWay way, Attempt<> (PictureMemory::*way_in)());
    Attempt<> import_buffers(bool as_dma_bufs);
    Attempt<> agree_layout(const DisplayPicture& picture);
    Attempt<> probe_import() const;
    Attempt<std::vector<DisplayPicture>> allocate(std::uint32_t display_fourcc, ImageSize size,
                                                  unsigned count);
    /// `told`: where the consumer takes pictures from.
    void use_pool(const DataOffsets& told);

    Camera& camera_;
    Consumer& consumer_;
    const MemoryChoices choices_;
    MemoryWay way_ = MemoryWay::Mapped;
    std::vector<std::string> refusals_;
    std::vector<UniqueFd> exported_;  ///< Kept: their fences are those of these very descriptors.
    std::unique_ptr<BufferPool> pool_;
    std::unique_ptr<FrameViewer> viewer_;
    std::unique_ptr<CaptureQueue> queue_;
    const CopyQueue* copies_ = nullptr;  ///< queue_, where it is one.
    std::vector<int> pictures_;
};

}  // namespace v4lfence
