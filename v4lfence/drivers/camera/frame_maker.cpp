// SPDX-License-Identifier: MIT

#include "v4lfence/drivers/camera/frame_maker.hpp"

#include <algorithm>
#include <cerrno>
#include <utility>

namespace v4lfence {

namespace {

/// What chance has for frame `sequence`; `matter` tells apart what is left to it.
std::uint64_t chance(std::uint32_t seed, std::uint32_t sequence, std::uint32_t matter) {
    // The finalizer of SplitMix64: neighbours have nothing in common.
    std::uint64_t bits = (std::uint64_t{seed} << 32 | sequence) + matter * 0x9e3779b97f4a7c15ULL;
    bits = (bits ^ bits >> 30) * 0xbf58476d1ce4e5b9ULL;
    bits = (bits ^ bits >> 27) * 0x94d049bb133111ebULL;
    return bits ^ bits >> 31;
}

enum Matter : std::uint32_t { JitterOfEnd = 1, BadFrame = 2 };

bool differ(const FrameInterval& a, const FrameInterval& b) {
    return a.numerator != b.numerator || a.denominator != b.denominator;
}

}  // namespace

// --- any thread ----------------------------------------------------------------------------------

bool FrameMaker::queue(ActiveBuffer buffer) {
    Waiting waiting{std::move(buffer), clock_.now()};
    const std::lock_guard lock(mutex_);
    waiting_.push(std::move(waiting));
    return std::exchange(starving_, false);
}

void FrameMaker::change(const FrameSettings& settings, std::unique_ptr<FramePainter> painter) {
    std::unique_ptr<FramePainter> old;
    std::unique_ptr<FramePainter> unused;
    const std::lock_guard lock(mutex_);
    wanted_ = settings;
    if (painter) {
        old = std::move(old_painter_);
        unused = std::exchange(next_painter_, std::move(painter));
    }
}

// --- the thread that steps -----------------------------------------------------------------------

void FrameMaker::begin(MonotonicTime now) {
    take_changes(now);
    schedule_.emplace(now, settings_.interval);
    last_end_ = now;
}

void FrameMaker::drop_all() {
    kept_back_.reset();
    while (!in_flight_.empty()) {
        const InFlight frame = in_flight_.pop();
    }
    painter_.reset();
    // What goes here goes without the lock held: a buffer calls the queue.
    std::unique_ptr<FramePainter> next;
    std::unique_ptr<FramePainter> old;
    {
        const std::lock_guard lock(mutex_);
        next = std::move(next_painter_);
        old = std::move(old_painter_);
        starving_ = false;
    }
    while (pop_waiting()) {}
}

std::optional<ActiveBuffer> FrameMaker::pop_waiting() {
    const std::lock_guard lock(mutex_);
    if (waiting_.empty()) {
        return std::nullopt;
    }
    return std::move(waiting_.pop().buffer);
}

void FrameMaker::take_changes(MonotonicTime now) {
    const FrameSettings before = settings_;
    {
        const std::lock_guard lock(mutex_);
        settings_ = wanted_;
        if (next_painter_) {
            old_painter_ = std::exchange(painter_, std::move(next_painter_));
        }
    }
    if (schedule_ && differ(before.interval, settings_.interval)) {
        schedule_->set_interval(settings_.interval);
    }
    if (schedule_ && before.free_running && !settings_.free_running) {
        schedule_->restart(now);
    }
}

Deadline FrameMaker::step(MonotonicTime now) {
    take_changes(now);
    finish_due(now);
    const Deadline next = settings_.free_running ? step_free(now) : step_paced(now);
    finish_due(now);
    if (in_flight_.empty()) {
        return next;
    }
    return std::min(next.value_or(MonotonicTime::max()), in_flight_.front().end);
}

Deadline FrameMaker::step_paced(MonotonicTime now) {
    const std::uint32_t skipped = schedule_->skip_before(now - frame_lateness_max);
    lost_.fetch_add(skipped, std::memory_order_relaxed);
    while (schedule_->next() <= now) {
        const Exposure exposure = schedule_->take();
        if (auto buffer = take_buffer(exposure.at)) {
            expose(std::move(*buffer), exposure);
            break;
        }
        lost_.fetch_add(1, std::memory_order_relaxed);
        finish_kept_back();
    }
    return schedule_->next();
}

Deadline FrameMaker::step_free(MonotonicTime now) {
    if (auto buffer = take_buffer(now)) {
        expose(std::move(*buffer), schedule_->take_at(now));
        return now;
    }
    if (!is_starving()) {
        return now;  // One came after `now` was read: it is there the next time.
    }
    finish_kept_back();
    return std::nullopt;
}

bool FrameMaker::is_starving() {
    const std::lock_guard lock(mutex_);
    return starving_;
}

std::optional<ActiveBuffer> FrameMaker::take_buffer(MonotonicTime exposed_at) {
    const std::lock_guard lock(mutex_);
    if (settings_.freeze || waiting_.empty() || waiting_.front().since > exposed_at) {
        starving_ = settings_.free_running && (settings_.freeze || waiting_.empty());
        return std::nullopt;
    }
    return std::move(waiting_.pop().buffer);
}

void FrameMaker::expose(ActiveBuffer buffer, const Exposure& exposure) {
    exposed_.fetch_add(1, std::memory_order_relaxed);
    if (faults_.take(CameraFaults::Requeue)) {
        std::move(buffer).requeue();
        return;
    }
    InFlight frame{std::move(buffer), FinishedBuffer(), false, end_of(exposure)};
    frame.finished.sequence = exposure.sequence;
    frame.finished.timestamp_ns = to_ns(exposure.at);
    frame.finished.field = V4L2_FIELD_NONE;
    const FrameFacts facts{exposure.sequence, static_cast<std::uint64_t>(to_ns(exposure.at))};
    const auto painted = painter_->paint(frame.buffer, facts, frame.finished);
    frame.bad = !painted || is_bad(exposure);
    in_flight_.push(std::move(frame));
}

MonotonicTime FrameMaker::end_of(const Exposure& exposure) {
    const std::uint64_t jitter_us =
        chance(settings_.seed, exposure.sequence, JitterOfEnd) % (settings_.end_jitter_us + 1ULL);
    const MonotonicTime end = exposure.end + std::chrono::microseconds(jitter_us);
    last_end_ = std::max(last_end_, end);
    return last_end_;
}

bool FrameMaker::is_bad(const Exposure& exposure) {
    return chance(settings_.seed, exposure.sequence, BadFrame) % 100 < settings_.bad_percent ||
           faults_.take(CameraFaults::Frame);
}

// --- finishing -----------------------------------------------------------------------------------

void FrameMaker::finish_due(MonotonicTime now) {
    while (!in_flight_.empty() && in_flight_.front().end <= now) {
        finish_in_turn(in_flight_.pop());
    }
    if (!settings_.out_of_order) {
        finish_kept_back();
    }
}

void FrameMaker::finish_in_turn(InFlight frame) {
    if (settings_.out_of_order && !kept_back_) {
        kept_back_.emplace(std::move(frame));
        return;
    }
    finish(std::move(frame));
    finish_kept_back();
}

void FrameMaker::finish_kept_back() {
    if (kept_back_) {
        finish(std::move(*std::exchange(kept_back_, std::nullopt)));
    }
}

void FrameMaker::finish(InFlight frame) {
    if (frame.bad) {
        std::move(frame.buffer).fail(-EIO, frame.finished);
    } else {
        std::move(frame.buffer).done(frame.finished);
    }
}

}  // namespace v4lfence
