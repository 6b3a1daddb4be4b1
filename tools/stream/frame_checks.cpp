// SPDX-License-Identifier: MIT

#include "tools/stream/frame_checks.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "tools/stream/poison.hpp"
#include "tools/stream/stamp_checks.hpp"

namespace v4lfence {

PixelCheck recognise_picture(PixelCheck choice, const Camera& camera) {
    if (choice != PixelCheck::Auto) {
        return choice;
    }
    if (paints_numbers(camera)) {
        return PixelCheck::Painted;
    }
    if (stamps_frames(camera)) {
        return PixelCheck::Stamped;
    }
    return camera.shows_colour_bars() ? PixelCheck::Bars : PixelCheck::None;
}

FrameChecks::FrameChecks(const StreamChoices& options, const Camera& camera, const BufferPool& pool,
                         Promises& promises, StreamCounters& counters)
    : camera_(camera), pool_(pool), promises_(promises), numbers_(promises, counters, pool.count()),
      pixels_(recognise_picture(options.pixels, camera)) {
    for (const PlaneLayout& plane : camera.format().planes) {
        strides_.push_back(plane.stride);
    }
    const std::uint32_t fourcc = camera.format().fourcc;
    if (fourcc == V4L2_PIX_FMT_MJPEG || fourcc == V4L2_PIX_FMT_JPEG) {
        jpeg_.emplace(camera.format().size);
    }
    // Nothing in a format that is not understood can be recognised, unless that was asked for.
    const bool shown = jpeg_ || raw_view(0);
    if (options.pixels == PixelCheck::Auto &&
        !(shown && (can_show_colour() || pixels_ != PixelCheck::Bars))) {
        pixels_ = PixelCheck::None;
    }
    promises.make(PromiseId::NoErrors);
    promises.make(PromiseId::TimestampsRise);
    promises.make(PromiseId::HasData);
    // Fences that end late, out of order, keep buffers from the device: frames are lost by design.
    promises.make(options.in_fence.mode == InFenceMode::Timer ? PromiseId::SequenceRises
                                                              : PromiseId::NoneLost);
    if (camera.fences().ordered) {
        promises.make(PromiseId::InOrder);
    }
    if (pool.memory() != V4L2_MEMORY_DMABUF) {
        promises.make(PromiseId::MemoryWritten);
    }
    if (pixels_ == PixelCheck::Stamped) {
        promise_stamps(promises, camera.format().size);
    } else if (pixels_ == PixelCheck::Painted) {
        promises.make(PromiseId::PaintedNumber);
    } else if (pixels_ == PixelCheck::Bars) {
        promises.make(PromiseId::ColourBars);
    }
}

void FrameChecks::prepare(unsigned index) {
    if (pool_.memory() == V4L2_MEMORY_DMABUF) {
        return;
    }
    for (unsigned plane = 0; plane < strides_.size(); ++plane) {
        write_poison(pool_.plane(index, plane).first(camera_.format().planes[plane].size));
    }
}

void FrameChecks::check(const TakenFrame& frame) {
    if (frame.number != numbers_.outstanding().front()) {
        const auto now = camera_.query_fences();
        if (now && !now->ordered) {
            numbers_.order_was_lost();
        }
    }
    numbers_.check(frame);
    if (frame.error) {
        return;
    }
    promises_.check(PromiseId::HasData, frame.bytes_used > 0,
                    [&] { return fmt::format("frame {} is empty", frame.number); });
    pool_.begin_read(frame.index);
    check_memory(frame);
    check_picture(frame);
    pool_.end_read(frame.index);
}

void FrameChecks::check_memory(const TakenFrame& frame) {
    bool poison_left = false;
    for (unsigned plane = 0; plane < strides_.size(); ++plane) {
        const std::size_t size = camera_.format().planes[plane].size;
        const std::size_t used = plane == 0 ? frame.bytes_used : size;
        poison_left |= finds_poison(pool_.plane(frame.index, plane).first(size), used);
    }
    promises_.check(PromiseId::MemoryWritten, !poison_left, [&] {
        return fmt::format("frame {} (buffer {}) still holds bytes written before it was queued",
                           frame.number, frame.index);
    });
}

void FrameChecks::check_picture(const TakenFrame& frame) {
    if (pixels_ == PixelCheck::None) {
        return;
    }
    const auto image = view(frame);
    if (pixels_ == PixelCheck::Stamped) {
        check_stamps(promises_, frame, image);
        return;
    }
    if (pixels_ == PixelCheck::Bars) {
        promises_.check(PromiseId::ColourBars, image && shows_bars(*image), [&] {
            return fmt::format("frame {} does not show the bars in its first row", frame.number);
        });
        return;
    }
    const auto number = image ? painted_number(*image) : std::nullopt;
    promises_.check(PromiseId::PaintedNumber, number == frame.sequence, [&] {
        return number ? fmt::format("frame {} has sequence {} and shows {}", frame.number,
                                    frame.sequence, *number)
                      : fmt::format("frame {} shows no number", frame.number);
    });
}

bool FrameChecks::can_show_colour() const {
    const auto image = raw_view(0);
    return jpeg_ || (image && image->has_colour());
}

std::optional<ImageView> FrameChecks::view(const TakenFrame& frame) {
    if (!jpeg_) {
        return raw_view(frame.index);
    }
    const auto plane = pool_.plane(frame.index, 0);
    return jpeg_->read(plane.first(std::min(frame.bytes_used, plane.size())));
}

std::optional<ImageView> FrameChecks::raw_view(unsigned index) const {
    std::array<std::span<const std::byte>, VIDEO_MAX_PLANES> planes;
    for (unsigned plane = 0; plane < strides_.size(); ++plane) {
        planes[plane] = pool_.plane(index, plane);
    }
    return ImageView::create(camera_.format().fourcc, camera_.format().size,
                             std::span(planes).first(strides_.size()), strides_);
}

}  // namespace v4lfence
