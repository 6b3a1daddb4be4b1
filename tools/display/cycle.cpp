// SPDX-License-Identifier: MIT

#include "tools/display/cycle.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "tools/stream/diagnosis.hpp"
#include "v4lfence/base/time.hpp"
#include "v4lfence/v4lfence.h"

namespace v4lfence {

namespace {

bool is_pending(int fence) {
    v4lfence_fence_result result{};
    return v4lfence_fence_status(fence, &result) == 0 && result.state == V4LFENCE_PENDING;
}

}  // namespace

DisplayCycle::DisplayCycle(CaptureQueue& queue, Consumer& consumer, std::span<const int> pictures,
                           const CycleRules& rules, CycleListener& listener)
    : queue_(queue), consumer_(consumer), rules_(rules), listener_(listener),
      buffers_(queue.count()) {
    for (unsigned index = 0; index < buffers_.size(); ++index) {
        buffers_[index].picture = pictures[index];
    }
}

Attempt<> DisplayCycle::start() {
    for (unsigned index = 0; index < buffers_.size(); ++index) {
        if (auto queued = queue(index); !queued) {
            return queued;
        }
    }
    if (auto started = queue_.start(); !started) {
        return started;
    }
    return commit_next();
}

std::optional<int> DisplayCycle::awaited() const {
    if (committed_) {
        return consumer_.fd();
    }
    if (stopped_) {
        return std::nullopt;
    }
    if (!may_commit() || waiting_.empty()) {
        return any_late() ? std::optional(queue_.fd()) : std::nullopt;
    }
    const int fence = buffers_[waiting_.front()].out_fence.get();
    return fence >= 0 && !device_announced_ ? fence : queue_.fd();
}

Attempt<> DisplayCycle::step() {
    if (auto flips = take_flips(); !flips || stopped_) {
        return flips;
    }
    if (needs_frames()) {
        if (auto taken = take_frames(); !taken) {
            return taken;
        }
    }
    return commit_next();
}

Attempt<> DisplayCycle::take_flips() {
    while (true) {
        const auto flip = consumer_.next_flip();
        if (!flip) {
            return job_failed(consumer_.why());
        }
        if (!*flip) {
            return {};
        }
        if (auto done = flipped(**flip); !done) {
            return done;
        }
    }
}

Attempt<> DisplayCycle::flipped(const Flip& flip) {
    if (!committed_ || buffers_[*committed_].picture != flip.picture) {
        return job_failed(
            fmt::format("the display shows picture {}, which it was not told to.", flip.picture));
    }
    const unsigned index = *std::exchange(committed_, std::nullopt);
    const auto before = std::exchange(on_screen_, index);
    if (stopped_) {
        return {};  // The device was stopped before the frame was done.
    }
    ++shown_;
    Buffer& buffer = buffers_[index];
    const std::int64_t seen_ns = to_ns(SystemClock().now());
    buffer.shown = ShownFrame{{},
                              flip,
                              seen_ns,
                              flip.fence_seen_ns != 0 ? flip.fence_seen_ns : buffer.ready_ns,
                              buffer.out_fence.get()};
    if (flip.time_ns < committed_ns_) {
        // A driver may stamp the one that sets the mode with a refresh of long ago.
        buffer.shown->flip.time_ns = seen_ns;
    }
    // The next commit first: it may be in time for the next refresh.
    if (auto next = commit_next(); !next) {
        return next;
    }
    if (auto taken = take_shown(index); !taken) {
        return taken;
    }
    if (auto released = release(index); !released || !before) {
        return released;
    }
    // A release fence has brought it back already, unless its frame has not come yet.
    Buffer& gone = buffers_[*before];
    gone.free = gone.free || !gone.queued || gone.shown;
    return release(*before);
}

Attempt<> DisplayCycle::take_shown(unsigned index) {
    tell(index);
    while (buffers_[index].shown) {
        const auto frame = queue_.take();
        if (!frame) {
            return tl::unexpected(frame.error());
        }
        if (!*frame) {
            return {};  // Its fence was ended by its bound, and the device goes on.
        }
        if (auto kept = keep(**frame); !kept) {
            return kept;
        }
    }
    return {};
}

Attempt<> DisplayCycle::commit_next() {
    if (!may_commit()) {
        return {};
    }
    if (!ready_.empty()) {
        return commit(ready_.front(), -1);
    }
    if (!rules_.early || waiting_.empty()) {
        return {};
    }
    const unsigned index = waiting_.front();
    return commit(index, buffers_[index].out_fence.get());
}

Attempt<> DisplayCycle::commit(unsigned index, int in_fence) {
    Buffer& buffer = buffers_[index];
    const bool early = in_fence >= 0;
    const bool pending = early && is_pending(in_fence);
    const std::int64_t committing_ns = to_ns(SystemClock().now());
    auto out_fence = consumer_.show(buffer.picture, rules_.implicit ? -1 : in_fence);
    if (!out_fence) {
        if (out_fence.error().code == -EINVAL && early && !consumer_.waits_for(in_fence)) {
            // A bound ran out and the queue goes on with fences of user space (SEMANTICS 5.7).
            rules_.early = false;
            return {};
        }
        return job_failed(consumer_.why());
    }
    (buffer.queued ? waiting_ : ready_).pop_front();
    committed_ = index;
    committed_ns_ = committing_ns;
    ++counters_.commits;
    counters_.early_commits += pending ? 1 : 0;
    counters_.fences_to_display += early && !rules_.implicit ? 1 : 0;
    if (on_screen_ && rules_.release_fences && *out_fence) {
        Buffer& before = buffers_[*on_screen_];
        before.release = std::move(*out_fence);
        before.free = true;
        return release(*on_screen_);
    }
    return {};
}

bool DisplayCycle::any_late() const {
    return std::any_of(buffers_.begin(), buffers_.end(),
                       [](const Buffer& buffer) { return buffer.shown.has_value(); });
}

bool DisplayCycle::needs_frames() const {
    return any_late() || (may_commit() && ready_.empty() && !rules_.early);
}

Attempt<> DisplayCycle::take_frames() {
    const std::size_t waited = waiting_.size();
    const auto frame = queue_.take();
    if (!frame) {
        return tl::unexpected(frame.error());
    }
    if (!*frame) {
        device_announced_ = waited != 0 && !is_pending(buffers_[waiting_.front()].out_fence.get());
        return {};
    }
    device_announced_ = false;
    return keep(**frame);
}

Attempt<> DisplayCycle::keep(const TakenFrame& frame) {
    Buffer& buffer = buffers_[frame.index];
    if (!std::exchange(buffer.queued, false)) {
        return job_failed(
            fmt::format("DQBUF returned buffer {}, which was not queued.", frame.index));
    }
    listener_.taken(frame);
    buffer.frame = frame;
    const auto place = std::find(waiting_.begin(), waiting_.end(), frame.index);
    if (place == waiting_.end()) {
        // The display has it already: if it is bad, it was shown all the same.
        tell(frame.index);
        return release(frame.index);
    }
    waiting_.erase(place);
    if (frame.error) {
        ++counters_.skipped;
        return queue(frame.index);
    }
    counters_.cpu_waits += rules_.early ? 0 : 1;
    buffer.ready_ns = to_ns(SystemClock().now());
    ready_.push_back(frame.index);
    return {};
}

void DisplayCycle::tell(unsigned index) {
    Buffer& buffer = buffers_[index];
    if (buffer.shown && buffer.frame) {
        ShownFrame shown = *std::exchange(buffer.shown, std::nullopt);
        shown.frame = *buffer.frame;
        ++told_;
        listener_.shown(shown);
    }
}

Attempt<> DisplayCycle::release(unsigned index) {
    const Buffer& buffer = buffers_[index];
    return buffer.free && buffer.frame && !buffer.shown ? queue(index) : Attempt<>();
}

Attempt<> DisplayCycle::queue(unsigned index) {
    Buffer& buffer = buffers_[index];
    const UniqueFd in_fence = std::move(buffer.release);
    auto queued = queue_.queue(index, in_fence.get());
    if (!queued) {
        return tl::unexpected(queued.error());
    }
    if (in_fence) {
        ++counters_.fences_to_camera;
        counters_.held_at_qbuf += queued->held ? 1 : 0;
        listener_.queued_again(!queued->held && is_pending(in_fence.get()));
    } else if (buffer.free) {
        listener_.queued_again(on_screen_ == index || committed_ == index);
    }
    buffer.queued = true;
    buffer.free = false;
    buffer.frame.reset();
    buffer.ready_ns = 0;
    buffer.out_fence = std::move(queued->out_fence);
    waiting_.push_back(index);
    return {};
}

void DisplayCycle::stop() {
    stopped_ = true;
    queue_.stop();
}

std::uint64_t DisplayCycle::fences_pending() const {
    return static_cast<std::uint64_t>(
        std::count_if(buffers_.begin(), buffers_.end(), [](const Buffer& buffer) {
            return buffer.queued && buffer.out_fence && is_pending(buffer.out_fence.get());
        }));
}

std::string DisplayCycle::place_text(unsigned index) const {
    if (committed_ == index) {
        return "on its way to the screen, ";
    }
    return on_screen_ == index ? "on screen, " : "";
}

std::string DisplayCycle::diagnosis() const {
    std::string text;
    for (unsigned index = 0; index < buffers_.size(); ++index) {
        const Buffer& buffer = buffers_[index];
        text += fmt::format("{}  buffer {}: {}{}", index == 0 ? "" : "\n", index, place_text(index),
                            queue_.state_text(index));
        if (buffer.queued && buffer.out_fence) {
            text += fmt::format("; its out-fence {}", fence_state_text(buffer.out_fence.get()));
        }
    }
    return text;
}

}  // namespace v4lfence
