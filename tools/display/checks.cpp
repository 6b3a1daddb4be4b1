// SPDX-License-Identifier: MIT

#include "tools/display/checks.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "tools/stream/stamp_checks.hpp"
#include "v4lfence/v4lfence.h"

namespace v4lfence {

namespace {

/// What is kept of a run without an end.
constexpr std::size_t samples_limit = 1'000'000;

std::size_t samples_for(std::size_t expected) {
    return expected == 0 ? samples_limit : std::min(expected, samples_limit);
}

}  // namespace

DisplayChecks::DisplayChecks(const Camera& camera, const ConsumerInfo& consumer,
                             PictureMemory& memory, std::size_t expected)
    : consumer_(consumer), memory_(memory),
      refresh_ns_(consumer.refresh_hz > 0 ? std::llround(1e9 / consumer.refresh_hz) : 0),
      samples_max_(samples_for(expected)),
      numbers_(promises_, camera_counters_, memory.camera_buffers()),
      capture_to_flip_(samples_max_), done_to_flip_(samples_max_) {
    const bool fenced = memory.way() != MemoryWay::Copied && !camera.fences().provider.empty();
    promises_.make(PromiseId::ShownInOrder);
    promises_.make(PromiseId::TimestampsRise);
    if (fenced) {
        promises_.make(PromiseId::ShownAfterEnd);
        promises_.make(PromiseId::NothingPending);
    }
    const bool several = expected != 1;  // or nothing ever leaves the screen
    if (several && memory.way() != MemoryWay::Copied) {
        promises_.make(PromiseId::NotGivenOnScreen);
    }
    if (several && consumer.kind != "kms") {
        promises_.make(PromiseId::StillOnScreen);
    }
    // Converted pictures have other colours, but black and white stay, unless they are cut.
    const auto image = memory.view(0, 0, {});
    stamped_ = stamps_frames(camera) &&
               (image ? image->size() == camera.format().size : is_jpeg(camera.format().fourcc));
    if (stamped_) {
        promise_stamps(promises_, camera.format().size);
    }
}

void DisplayChecks::taken(const TakenFrame& frame) {
    // Whether frames come in the order of QBUF is not judged here: the display shows what comes.
    numbers_.queued(frame.number);
    numbers_.check(frame);
}

void DisplayChecks::shown(const ShownFrame& shown) {
    ++counters_.shown;
    counters_.errors_shown += shown.frame.error ? 1 : 0;
    const auto ended_ns = check_out_fence(shown);
    check_order(shown);
    note_refreshes(shown.flip);
    if (!shown.frame.error) {
        note_times(shown, ended_ns);
        check_picture(shown);
    }
    first_flip_ns_ = first_flip_ns_ == 0 ? shown.flip.time_ns : first_flip_ns_;
    last_flip_ = shown.flip;
    last_ = LastShown{shown.frame.sequence, shown.frame.timestamp_ns, shown.flip.time_ns,
                      shown.frame.bytes_used, shown.frame.data_offsets};
}

std::optional<std::int64_t> DisplayChecks::check_out_fence(const ShownFrame& shown) {
    v4lfence_fence_result ended{};
    if (shown.out_fence < 0 || v4lfence_fence_status(shown.out_fence, &ended) < 0) {
        return std::nullopt;
    }
    // A driver may stamp a flip with a refresh that it missed, but tells of none before it waited.
    const std::int64_t shown_ns = consumer_.exact_times ? shown.flip.time_ns : shown.seen_ns;
    const std::int64_t late_ns = ended.ended_at_ns - shown_ns;
    promises_.check(PromiseId::ShownAfterEnd, ended.state != V4LFENCE_PENDING && late_ns <= 0, [&] {
        return ended.state == V4LFENCE_PENDING
                   ? fmt::format("frame {} was on screen and its out-fence pending",
                                 shown.frame.number)
                   : fmt::format("frame {} was on screen {:.3f} ms before its "
                                 "out-fence ended",
                                 shown.frame.number, double(late_ns) / 1e6);
    });
    const bool known = ended.state != V4LFENCE_PENDING && ended.ended_at_ns != 0;
    return known ? std::optional(ended.ended_at_ns) : std::nullopt;
}

void DisplayChecks::check_order(const ShownFrame& shown) {
    const bool follows = !last_flip_ || shown.flip.previous == last_flip_->picture;
    const bool rises =
        !last_number_ || memory_.way() == MemoryWay::Copied || shown.frame.number > *last_number_;
    promises_.check(PromiseId::ShownInOrder, follows && rises, [&] {
        return follows ? fmt::format("frame {} was shown after frame {}", shown.frame.number,
                                     last_number_.value_or(0))
                       : fmt::format("picture {} replaced picture {}, and {} was on screen",
                                     shown.flip.picture, shown.flip.previous, last_flip_->picture);
    });
    last_number_ = shown.frame.number;
    if (shown.flip.previous_changed) {
        promises_.check(PromiseId::StillOnScreen, !*shown.flip.previous_changed, [&] {
            return fmt::format("the picture before frame {} was written while it was on screen",
                               shown.frame.number);
        });
    }
}

void DisplayChecks::check_picture(const ShownFrame& shown) {
    if (!stamped_) {
        return;
    }
    if (shown.flip.sight && shown.flip.sight->stamps) {
        check_stamps(promises_, shown.frame, *shown.flip.sight->stamps);
        return;
    }
    memory_.begin_read(shown.frame.index);
    check_stamps(promises_, shown.frame,
                 memory_.view(shown.frame.index, shown.frame.bytes_used, shown.frame.data_offsets));
    memory_.end_read(shown.frame.index);
}

void DisplayChecks::note_refreshes(const Flip& flip) {
    if (!last_flip_ || refresh_ns_ == 0) {
        return;
    }
    // A driver without vertical blanks counts none.
    const auto counted = static_cast<std::int32_t>(flip.sequence - last_flip_->sequence);
    const std::int64_t passed =
        counted > 0 ? counted
                    : (flip.time_ns - last_flip_->time_ns + refresh_ns_ / 2) / refresh_ns_;
    counters_.repeated += passed > 1 ? static_cast<std::uint64_t>(passed - 1) : 0;
}

void DisplayChecks::note_times(const ShownFrame& shown, std::optional<std::int64_t> ended_ns) {
    const std::int64_t done_ns = ended_ns.value_or(shown.done_ns);
    const std::int64_t since_done = done_ns == 0 ? 0 : shown.flip.time_ns - done_ns;
    // Half a refresh more: both times have their grain.
    counters_.late += refresh_ns_ != 0 && since_done > refresh_ns_ + refresh_ns_ / 2 ? 1 : 0;
    if (counters_.shown > samples_max_) {
        return;
    }
    capture_to_flip_.add(shown.flip.time_ns - shown.frame.timestamp_ns);
    if (done_ns != 0) {
        done_to_flip_.add(since_done);
    }
}

void DisplayChecks::queued_again(bool on_screen) {
    promises_.check(PromiseId::NotGivenOnScreen, !on_screen, [&] {
        return fmt::format("after {} pictures a buffer went back before the next was on screen",
                           counters_.shown);
    });
}

void DisplayChecks::check_end(std::optional<std::uint64_t> frames_asked,
                              std::uint64_t fences_pending) {
    if (frames_asked) {
        promises_.make(PromiseId::AllFrames);
        promises_.check(PromiseId::AllFrames, counters_.shown >= *frames_asked, [&] {
            return fmt::format("{} frames were shown and {} asked for", counters_.shown,
                               *frames_asked);
        });
    }
    promises_.check(PromiseId::NothingPending, fences_pending == 0,
                    [&] { return fmt::format("{} out-fences are still pending", fences_pending); });
}

void DisplayChecks::collect(DisplayResult& result) const {
    result.camera = camera_counters_;
    result.display = counters_;
    result.capture_to_flip = capture_to_flip_.summary();
    result.done_to_flip = done_to_flip_.summary();
    result.last = last_;
    if (last_flip_ && last_flip_->time_ns > first_flip_ns_) {
        result.rate =
            double(counters_.shown - 1) * 1e9 / double(last_flip_->time_ns - first_flip_ns_);
    }
    result.promises = promises_.made();
    result.all_held = promises_.all_held();
    result.any_broken = promises_.any_broken();
}

}  // namespace v4lfence
