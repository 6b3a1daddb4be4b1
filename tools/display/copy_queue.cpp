// SPDX-License-Identifier: MIT

#include "tools/display/copy_queue.hpp"

#include <fmt/format.h>
#include <linux/dma-buf.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "tools/stream/dma_memory.hpp"
#include "tools/video/names.hpp"
#include "v4lfence/base/syscall.hpp"

namespace v4lfence {

namespace {

constexpr std::size_t pixel_bytes = 4;  // of XRGB8888

}  // namespace

Attempt<std::unique_ptr<CopyQueue>> CopyQueue::create(const Camera& camera, const BufferPool& pool,
                                                      std::vector<DisplayPicture> pictures) {
    std::unique_ptr<CopyQueue> queue(new CopyQueue(camera, pool));
    for (DisplayPicture& picture : pictures) {
        Target target{std::move(picture), {}};
        for (const int dma_buf : target.picture.dma_bufs) {
            const auto status = sys::fstat(dma_buf);
            auto memory =
                status ? Mapping::create(dma_buf, static_cast<std::size_t>(status->st_size), 0)
                       : tl::unexpected(status.error());
            if (!memory) {
                return machine_lacks(fmt::format("the display's memory cannot be mapped: {}.",
                                                 errno_text(memory.error().code)));
            }
            target.memory.push_back(std::move(*memory));
        }
        queue->targets_.push_back(std::move(target));
    }
    return queue;
}

CopyQueue::CopyQueue(const Camera& camera, const BufferPool& pool)
    : camera_(camera), pool_(pool), camera_queue_(camera, pool, false),
      viewer_(camera.format(), pool) {}

Attempt<QueuedFrame> CopyQueue::queue(unsigned index, int /*in_fence*/) {
    free_.push_back(index);
    return QueuedFrame{};
}

Attempt<> CopyQueue::start() {
    for (unsigned index = 0; index < pool_.count(); ++index) {
        if (auto queued = camera_queue_.queue(index, -1); !queued) {
            return tl::unexpected(queued.error());
        }
    }
    return camera_queue_.start();
}

Attempt<std::optional<TakenFrame>> CopyQueue::take() {
    if (free_.empty()) {
        return std::optional<TakenFrame>();
    }
    auto frame = camera_queue_.take();
    if (!frame || !*frame) {
        return frame;
    }
    TakenFrame& taken = **frame;
    const unsigned camera_index = std::exchange(taken.index, free_.front());
    free_.pop_front();
    TakenFrame source = taken;
    source.index = camera_index;
    taken.error = taken.error || !copy(source, targets_[taken.index]);
    if (auto queued = camera_queue_.queue(camera_index, -1); !queued) {
        return tl::unexpected(queued.error());
    }
    return frame;
}

bool CopyQueue::copy(const TakenFrame& frame, Target& target) {
    const auto from = scanout_layout(camera_.format(), frame.data_offsets);
    const bool as_it_is = is_copied_as_it_is(target);
    const auto image =
        as_it_is ? std::nullopt : viewer_.view(frame.index, frame.bytes_used, frame.data_offsets);
    if (!as_it_is && !image) {
        return false;
    }
    for (const int dma_buf : target.picture.dma_bufs) {
        sync_dma_buf(dma_buf, DMA_BUF_SYNC_START | DMA_BUF_SYNC_WRITE);
    }
    if (as_it_is) {
        copy_planes(frame, *from, target);
    } else {
        convert(*image, target);
    }
    for (const int dma_buf : target.picture.dma_bufs) {
        sync_dma_buf(dma_buf, DMA_BUF_SYNC_END | DMA_BUF_SYNC_WRITE);
    }
    return true;
}

void CopyQueue::copy_planes(const TakenFrame& frame, const ScanoutLayout& from,
                            Target& target) const {
    for (std::size_t at = 0; at < from.planes.size(); ++at) {
        const ScanoutPlane& source = from.planes[at];
        const ScanoutPlane& goal = target.picture.layout.planes[at];
        const auto bytes = pool_.plane(frame.index, source.buffer_plane);
        std::byte* write = target.memory[goal.buffer_plane].bytes().data() + goal.offset;
        const std::size_t row_bytes = std::min(source.stride, goal.stride);
        for (std::size_t row = 0; row < source.rows; ++row) {
            const std::size_t begin = source.offset + row * source.stride;
            if (begin + row_bytes > bytes.size()) {
                break;  // The offset is the driver's word.
            }
            std::memcpy(write + row * goal.stride, bytes.data() + begin, row_bytes);
        }
    }
}

bool CopyQueue::is_copied_as_it_is(const Target& target) const {
    const ScanoutLayout& to = target.picture.layout;
    const auto from = scanout_layout(camera_.format());
    return from && from->fourcc == to.fourcc && from->size == to.size;
}

std::size_t CopyQueue::first_byte(const Target& target) const {
    const ImageSize& frame = camera_.format().size;
    const ScanoutLayout& layout = target.picture.layout;
    const std::size_t left = (layout.size.width - std::min(frame.width, layout.size.width)) / 2;
    const std::size_t above = (layout.size.height - std::min(frame.height, layout.size.height)) / 2;
    return layout.planes[0].offset + above * layout.planes[0].stride + left * pixel_bytes;
}

void CopyQueue::convert(const ImageView& image, Target& target) const {
    const ScanoutLayout& layout = target.picture.layout;
    const std::uint32_t width = std::min(image.size().width, layout.size.width);
    const std::uint32_t height = std::min(image.size().height, layout.size.height);
    std::byte* write =
        target.memory[layout.planes[0].buffer_plane].bytes().data() + first_byte(target);
    for (std::uint32_t y = 0; y < height; ++y, write += layout.planes[0].stride) {
        for (std::uint32_t x = 0; x < width; ++x) {
            const Rgb colour = image.pixel(x, y);
            const std::array<std::uint8_t, pixel_bytes> pixel = {colour.blue, colour.green,
                                                                 colour.red, 0xff};
            std::memcpy(write + x * pixel_bytes, pixel.data(), pixel_bytes);
        }
    }
}

std::string CopyQueue::state_text(unsigned index) const {
    const bool waits = std::find(free_.begin(), free_.end(), index) != free_.end();
    return waits ? "a picture to copy the next frame into" : "a picture that holds a frame";
}

std::optional<ImageView> CopyQueue::view(unsigned index) const {
    const Target& target = targets_[index];
    const bool as_it_is = is_copied_as_it_is(target);
    std::vector<std::span<const std::byte>> planes;
    std::vector<std::uint32_t> strides;
    for (std::size_t at = 0; at < target.memory.size(); ++at) {
        planes.push_back(target.memory[at].bytes());
        strides.push_back(target.picture.layout.planes[at].stride);
    }
    if (as_it_is) {
        return ImageView::create(camera_.format().fourcc, camera_.format().size, planes, strides);
    }
    planes.front() = planes.front().subspan(first_byte(target));
    const ImageSize& whole = target.picture.layout.size;
    const ImageSize& frame = camera_.format().size;
    const ImageSize seen = {std::min(frame.width, whole.width),
                            std::min(frame.height, whole.height)};
    return ImageView::create(V4L2_PIX_FMT_XBGR32, seen, planes, strides);
}

}  // namespace v4lfence
