// SPDX-License-Identifier: MIT

#include "v4lfence/sync/queue_trace.hpp"

#include <algorithm>

namespace v4lfence {

namespace {

std::int64_t ns_or_never(Deadline deadline) {
    return deadline ? to_ns(*deadline) : 0;
}

TraceEvent trace_event(QueueEvent event, Job job, std::int64_t time_ns, std::int64_t value,
                       std::uint64_t detail) {
    return {time_ns, 0, static_cast<std::uint32_t>(event), job.index, job.position, value, detail};
}

}  // namespace

void QueueTrace::begin(TraceBoard& board, const QueueOwner& owner, unsigned buffers) {
    auto shown = std::make_unique<Shown>();
    shown->source = board.add_source(queue_trace_kind, owner.name);
    if (!shown->source) {
        return;
    }
    shown->head.type = owner.type;
    shown->head.device_major = owner.device_major;
    shown->head.device_minor = owner.device_minor;
    shown_ = std::move(shown);
    resize(buffers);
}

void QueueTrace::end() noexcept {
    shown_.reset();
}

void QueueTrace::forget() noexcept {
    if (shown_) {
        shown_->source.forget();
        shown_.reset();
    }
}

void QueueTrace::resize(unsigned buffers) noexcept {
    if (!shown_) {
        return;
    }
    for (unsigned index = shown_->buffers; index < buffers && index < trace_cells_max; ++index) {
        shown_->cells[index] = QueueCell();
    }
    shown_->buffers = buffers;
    shown_->source.set_cells(buffers);
}

QueueCell* QueueTrace::cell(unsigned index) const noexcept {
    return shown_ && index < trace_cells_max ? &shown_->cells[index] : nullptr;
}

void QueueTrace::queued(Job job, const Line& line, const QueuedBy& by) noexcept {
    if (!shown_) {
        return;
    }
    const Slot& slot = line[job.index];
    shown_->head.fd = by.fd;
    shown_->head.client_pid = by.client_pid;
    if (slot.out) {
        std::fill(std::begin(shown_->head.provider), std::end(shown_->head.provider), '\0');
        by.provider.copy(shown_->head.provider, sizeof shown_->head.provider - 1);
    }
    if (QueueCell* const now = cell(job.index)) {
        *now = QueueCell();
        now->position = job.position;
        now->queued_at_ns = to_ns(slot.queued_at);
        now->out_fence_fd = by.out_fence_fd;
        now->out_id = slot.out.id();
    }
    record(QueueEvent::Queued, job, slot.queued_at, slot.in_pending ? 1 : 0,
           static_cast<std::uint64_t>(by.in_fence_fd + 1));
    if (slot.out) {
        record(QueueEvent::OutFenceMinted, job, slot.queued_at, by.out_fence_fd, slot.out.id());
    }
}

void QueueTrace::record(QueueEvent event, Job job, MonotonicTime now, std::int64_t value,
                        std::uint64_t detail) noexcept {
    if (!shown_) {
        return;
    }
    const std::int64_t time_ns = to_ns(now);
    QueueHead& head = shown_->head;
    QueueCell* const of = cell(job.index);
    QueueCell* const job_cell = of != nullptr && of->position == job.position ? of : nullptr;
    switch (event) {
    case QueueEvent::Given:
        if (job_cell != nullptr) {
            job_cell->given_at_ns = time_ns;
        }
        break;
    case QueueEvent::Done:
        head.last_done_at_ns = time_ns;
        if (job_cell != nullptr) {
            job_cell->done_at_ns = time_ns;
            job_cell->sequence = static_cast<std::uint32_t>(detail);
        }
        break;
    case QueueEvent::Expired:
        if (job_cell != nullptr) {
            job_cell->expired = static_cast<std::uint32_t>(1 + value);
            job_cell->expired_at_ns = time_ns;
        }
        break;
    case QueueEvent::Dequeued:
        head.last_dequeued_at_ns = time_ns;
        break;
    case QueueEvent::StreamOn:
        head.stream_on_at_ns = time_ns;
        break;
    case QueueEvent::StreamOff:
        head.stream_on_at_ns = 0;
        break;
    default:
        break;
    }
    shown_->source.record(trace_event(event, job, time_ns, value, detail));
}

void QueueTrace::set_waiting_since(std::int64_t ns) noexcept {
    if (shown_) {
        shown_->head.waiting_since_ns = ns;
        shown_->source.set_head(to_words(shown_->head));
    }
}

void QueueTrace::show(unsigned index, const Line& line) noexcept {
    QueueCell* const now = cell(index);
    if (now == nullptr || index >= line.size()) {
        return;
    }
    const Slot& slot = line[index];
    now->state = slot.state;
    now->in_pending = slot.in_pending ? 1 : 0;
    now->in_fence_fd = slot.in ? slot.in->fd() : -1;
    now->out_pending = slot.out ? 1 : 0;
    now->out_end_fd = slot.out.end_fd();
    if (slot.state != SlotState::Dequeued) {
        now->position = slot.position;
        now->error = slot.error;
        now->deadline_ns = ns_or_never(slot.deadline);
        now->bound_ns = ns_or_never(slot.bound);
    }
    if (slot.in) {
        now->in_kind = static_cast<std::uint8_t>(slot.in->kind());
    }
    shown_->source.set_cell(index, to_words(*now));
}

void QueueTrace::show(const QueueState& state, const Line& line) noexcept {
    if (!shown_) {
        return;
    }
    QueueHead& head = shown_->head;
    head.minimum = state.minimum;
    head.failure = state.failure;
    head.streaming = state.streaming ? 1 : 0;
    head.started = state.started ? 1 : 0;
    head.ordered = state.ordered ? 1 : 0;
    head.degraded = state.degraded ? 1 : 0;
    head.generation = state.generation;
    head.held = line.count(SlotState::Held);
    head.given = line.count(SlotState::Giving) + line.count(SlotState::Given);
    head.done = line.count(SlotState::Done);
    head.failed = line.count(SlotState::Failed);
    shown_->source.set_head(to_words(head));
}

}  // namespace v4lfence
