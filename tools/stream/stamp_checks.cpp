// SPDX-License-Identifier: MIT

#include "tools/stream/stamp_checks.hpp"

#include <fmt/format.h>

#include <string>

namespace v4lfence {

namespace {

/// What a v4l2_buffer has room for.
constexpr std::int64_t timestamp_unit_ns = 1000;

std::string said(const char* where, const std::optional<FrameStamp>& stamp) {
    return stamp ? fmt::format("{} {} at {} ns", where, stamp->sequence, stamp->captured_at_ns)
                 : fmt::format("{} nothing", where);
}

}  // namespace

void promise_stamps(Promises& promises, ImageSize size) {
    const StampPlan plan = stamp_plan(size.width, size.height);
    promises.make(PromiseId::PaintedNumber);
    if (plan.has_time) {
        promises.make(PromiseId::PaintedTime);
    }
    if (plan.has_bottom) {
        promises.make(PromiseId::NotTorn);
    }
}

StampReading read_stamps(const ImageView& image) {
    return read_stamps(image.size().width, image.size().height,
                       [&](unsigned x, unsigned y) { return int{image.luma(x, y)}; });
}

void check_stamps(Promises& promises, const TakenFrame& frame,
                  const std::optional<ImageView>& image) {
    check_stamps(promises, frame, image ? read_stamps(*image) : StampReading{});
}

void check_stamps(Promises& promises, const TakenFrame& frame, const StampReading& reading) {
    promises.check(PromiseId::NotTorn, reading.whole(), [&] {
        return fmt::format("frame {} says {} and {}", frame.number, said("above", reading.top),
                           said("below", reading.bottom));
    });
    const auto& stamp = reading.top;
    promises.check(PromiseId::PaintedNumber, stamp && stamp->sequence == frame.sequence, [&] {
        return stamp ? fmt::format("frame {} has sequence {} and shows {}", frame.number,
                                   frame.sequence, stamp->sequence)
                     : fmt::format("frame {} shows no number", frame.number);
    });
    const bool in_time =
        stamp && static_cast<std::int64_t>(stamp->captured_at_ns) / timestamp_unit_ns ==
                     frame.timestamp_ns / timestamp_unit_ns;
    promises.check(PromiseId::PaintedTime, in_time, [&] {
        return stamp ? fmt::format("frame {} was captured at {} ns and shows {} ns", frame.number,
                                   frame.timestamp_ns, stamp->captured_at_ns)
                     : fmt::format("frame {} shows no time", frame.number);
    });
}

}  // namespace v4lfence
