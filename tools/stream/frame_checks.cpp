// SPDX-License-Identifier: MIT

#include "tools/stream/frame_checks.hpp"

#include <fmt/format.h>

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
      pixels_(recognise_picture(options.pixels, camera)), viewer_(camera.format(), pool) {
    // Nothing in a format that is not understood can be recognised, unless that was asked for.
    if (options.pixels == PixelCheck::Auto &&
        !(viewer_.can_view() && (viewer_.has_colour() || pixels_ != PixelCheck::Bars))) {
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
    for (unsigned plane = 0; plane < camera_.format().planes.size(); ++plane) {
        write_poison(image(index, plane, offsets_));
    }
}

std::span<std::byte> FrameChecks::image(unsigned index, unsigned plane,
                                        const DataOffsets& offsets) const {
    const std::size_t size = camera_.format().planes[plane].size;
    return picture_bytes(pool_.plane(index, plane).first(size), offsets[plane]);
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
    for (unsigned plane = 0; plane < camera_.format().planes.size(); ++plane) {
        const auto written = image(frame.index, plane, frame.data_offsets);
        const std::size_t used = plane == 0 ? frame.bytes_used : written.size();
        poison_left |= finds_poison(written, used);
    }
    offsets_ = frame.data_offsets;
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

}  // namespace v4lfence
