// SPDX-License-Identifier: MIT
//
// What a Sync shows on the board of its process.

#include "v4lfence/sync/sync.hpp"

namespace v4lfence {

bool Sync::show_on(TraceBoard& board, const QueueOwner& owner) {
    const Lock lock(mutex_);
    trace_.begin(board, owner, line_.size());
    showing_.store(trace_ ? Showing::Yes : Showing::Refused);
    if (!trace_) {
        return false;
    }
    for (unsigned index = 0; index < line_.size(); ++index) {
        trace_.show(index, line_);
    }
    show_state();
    return true;
}

void Sync::hide() {
    const Lock lock(mutex_);
    trace_.end();
    showing_.store(Showing::No);
}

void Sync::show_waiting(bool waits) {
    const Lock lock(mutex_);
    if (trace_) {
        trace_.set_waiting_since(waits ? to_ns(clock_.now()) : 0);
    }
}

void Sync::show(unsigned index) {
    if (trace_) {
        trace_.show(index, line_);
        show_state();
    }
}

void Sync::show_state() {
    if (!trace_) {
        return;
    }
    QueueState state;
    state.streaming = streaming_;
    state.started = options_.taker_starts ? streaming_ && given_any_ : started_;
    state.ordered = ordered_;
    state.degraded = degraded_;
    state.failure = failure_;
    state.minimum = options_.taker_starts ? 0 : options_.minimum;
    state.generation = generation_;
    trace_.show(state, line_);
}

void Sync::note(QueueEvent event, Job job, std::int64_t value, std::uint64_t detail) {
    if (trace_) {
        trace_.record(event, job, clock_.now(), value, detail);
        show(job.index);
    }
}

void Sync::note(QueueEvent event, std::int64_t value) {
    if (trace_) {
        trace_.record(event, clock_.now(), value);
        show_state();
    }
}

}  // namespace v4lfence
