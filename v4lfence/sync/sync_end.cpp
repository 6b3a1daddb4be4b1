// SPDX-License-Identifier: MIT
//
// The way out: buffers and fences that end, well or badly, one by one or all at once.

#include <memory>
#include <utility>

#include "v4lfence/sync/sync.hpp"

namespace v4lfence {

void Sync::finish(Job job, int error, std::uint32_t sequence) {
    {
        const Lock lock(mutex_);
        if (line_.is(job, SlotState::Given) || line_.is(job, SlotState::Giving)) {
            Slot& slot = line_[job.index];
            if (slot.state == SlotState::Giving) {
                note(QueueEvent::Given, job);  // Who gives it comes too late to say so.
            }
            slot.error = slot.expired ? slot.error : error;
            claimable_ += slot.out && !slot.due ? 1 : 0;
            line_.move_to(job.index, SlotState::Done);
            note(QueueEvent::Done, job, slot.error, sequence);
        }
    }
    end_due_fences();
}

void Sync::dequeue(unsigned index) {
    Job job;
    bool pending = false;
    {
        const Lock lock(mutex_);
        job = Job{index, index < line_.size() ? line_[index].position : 0};
        const bool done = line_.is(job, SlotState::Done);
        if (!done && !line_.is(job, SlotState::Failed)) {
            return;
        }
        // Seen out of order: the queue has lost that property for this generation (SEMANTICS 1.5).
        ordered_ = ordered_ && (!done || line_.is_oldest_but_failed(index));
        Slot& slot = line_[index];
        slot.due = true;  // Whatever came before.
        pending = slot.out || slot.ending;
    }
    if (pending) {
        end_due_fences();
    }
    bool returnable = false;
    {
        const Lock lock(mutex_);
        if (line_.is(job, SlotState::Done) || line_.is(job, SlotState::Failed)) {
            line_.move_to(index, SlotState::Dequeued);
            note(QueueEvent::Dequeued, job);
        }
        returnable = has_returnable();
        visits_ += returnable ? 1 : 0;
    }
    end_due_fences();
    if (returnable) {
        waits_.wake();
        end_visit();
    }
}

void Sync::on_in_fence(Job job, const FenceStatus& status) {
    if (!status.ended()) {
        return;
    }
    std::optional<Fence> ended;
    Turn turn;
    {
        Lock lock(mutex_);
        if (!line_.is(job, SlotState::Held) || !line_[job.index].in_pending) {
            return;
        }
        Slot& slot = line_[job.index];
        waits_.unwatch(job.index);
        ended = std::exchange(slot.in, std::nullopt);
        int error = slot.in_is_busy ? 0 : status.error;
        if (error == 0 && slot.busy) {
            const auto watched = watch_busy(job);
            if (watched) {
                return;
            }
            error = watched.error().code;
        }
        slot.in_pending = false;
        note(QueueEvent::InFenceEnded, job, error);
        if (error != 0) {
            slot.in.reset();
            slot.busy.reset();
            fail_slot(job.index, error);
        }
        ++visits_;
        step(lock, turn);
    }
    conclude(turn);
    end_visit();
}

void Sync::end_visit() {
    const Lock lock(mutex_);
    if (--visits_ == 0) {
        quiet_.notify_all();
    }
}

void Sync::fail_slot(unsigned index, int error) {
    Slot& slot = line_[index];
    slot.in_pending = false;
    slot.error = error;
    claimable_ += slot.out && !slot.due ? 1 : 0;
    line_.move_to(index, SlotState::Failed);
    note(QueueEvent::Failed, job_of(index), error);
}

// --- time ----------------------------------------------------------------------------------------

void Sync::on_deadline(MonotonicTime now) {
    Turn turn;
    {
        Lock lock(mutex_);
        armed_.reset();
        for (auto index = line_.first(); index; index = line_.after(*index)) {
            expire(*index, now);
        }
        ++visits_;
        step(lock, turn);
    }
    conclude(turn);
    end_visit();
}

/// Gives up on what is due of one buffer; arms the timer for what is not.
void Sync::expire(unsigned index, MonotonicTime now) {
    Slot& slot = line_[index];
    const bool held = slot.state == SlotState::Held;
    const bool with_device = slot.state == SlotState::Giving || slot.state == SlotState::Given;
    const bool late_in = held && slot.in_pending && slot.deadline && *slot.deadline <= now;
    const bool late_out = slot.out && !slot.due && slot.bound && *slot.bound <= now;
    if (late_in || (late_out && (held || with_device))) {
        record_expiry(index, late_out, now);
    }
    degraded_ = degraded_ || late_out;
    if (held && (late_in || late_out)) {
        if (slot.in) {
            waits_.unwatch(index);
            slot.in.reset();
            slot.busy.reset();
        }
        fail_slot(index, -ETIME);
    } else if (late_out && with_device) {
        slot.expired = true;
        slot.error = -ETIME;
        ++claimable_;
    } else {
        arm(held && slot.in_pending ? slot.deadline : std::nullopt);
    }
    slot.due = slot.due || late_out;
    if (late_in || late_out) {
        show(index);
    }
    arm(slot.out && !slot.due ? slot.bound : std::nullopt);
}

void Sync::record_expiry(unsigned index, bool bound, MonotonicTime now) {
    const Slot& slot = line_[index];
    ++expiry_.count;
    expiry_.index = index;
    expiry_.error = -ETIME;
    expiry_.bound = bound;
    expiry_.queued_at = slot.queued_at;
    expiry_.expired_at = now;
    expiry_.in_fence = slot.in ? slot.in->names() : FenceNames{};
    trace_.record(QueueEvent::Expired, job_of(index), now, bound ? 1 : 0);
}

void Sync::arm(Deadline deadline) {
    if (deadline && (!armed_ || *deadline < *armed_)) {
        armed_ = deadline;
        waits_.set_deadline(deadline);
    }
}

// --- the ledger ----------------------------------------------------------------------------------

/// Ends, in order, the out-fences whose buffers have come to their end. Each is claimed under the
/// lock and ended without it; who leaves here knows that all that were claimed before have ended.
void Sync::end_due_fences() {
    const Lock ledger(ledger_);
    Job job;
    int error = 0;
    while (true) {
        FencePromise promise;
        {
            const Lock lock(mutex_);
            end_claimed(job, error);
            const auto due =
                claimable_ > 0 ? line_.next_due_fence(ordered_) : std::optional<unsigned>();
            if (!due) {
                return;
            }
            --claimable_;
            Slot& slot = line_[*due];
            job = Job{*due, slot.position};
            promise = std::move(slot.out);
            slot.ending = true;
            error = slot.error;
        }
        std::move(promise).end(error);
        counters_.ended.fetch_add(1, std::memory_order_relaxed);
    }
}

/// The out-fence of the job has ended. Does nothing for the job that is none.
void Sync::end_claimed(Job job, int error) {
    if (job.position == 0) {
        return;
    }
    if (job.index < line_.size() && line_[job.index].position == job.position) {
        line_[job.index].ending = false;
    }
    note(QueueEvent::OutFenceEnded, job, error);
}

/// Ends all that are left, in order of QBUF; those that have come to an end of their own with that.
void Sync::end_all_fences(int error) {
    const Lock ledger(ledger_);
    Job job;
    int own_error = 0;
    while (true) {
        FencePromise promise;
        {
            const Lock lock(mutex_);
            end_claimed(job, own_error);
            auto index = line_.first();
            while (index && !line_[*index].out) {
                index = line_.after(*index);
            }
            if (!index) {
                claimable_ = 0;
                return;
            }
            Slot& slot = line_[*index];
            job = Job{*index, slot.position};
            promise = std::move(slot.out);
            slot.ending = true;
            const bool is_over =
                slot.expired || slot.state == SlotState::Done || slot.state == SlotState::Failed;
            own_error = is_over ? slot.error : error;
        }
        std::move(promise).end(own_error);
        counters_.ended.fetch_add(1, std::memory_order_relaxed);
    }
}

// --- all at once ---------------------------------------------------------------------------------

void Sync::cancel(int error) {
    drop_waits();
    end_all_fences(error);
    {
        Lock lock(mutex_);
        quiet_.wait(lock, [this] { return visits_ == 0 && !cleaning_up_; });
        const bool was_used = streaming_ || line_.first();
        for (auto index = line_.first(); index; index = line_.first()) {
            line_.move_to(*index, SlotState::Dequeued);
            show(*index);
        }
        ++generation_;
        options_ = next_options_;
        ordered_ = options_.ordered;
        streaming_ = started_ = degraded_ = given_any_ = queued_any_ = clean_up_due_ = false;
        failure_ = 0;
        if (armed_) {
            armed_.reset();
            waits_.set_deadline(std::nullopt);
        }
        was_used ? note(QueueEvent::StreamOff, error) : show_state();
    }
    waits_.wake();
}

void Sync::fail_queue(int error) {
    {
        const Lock lock(mutex_);
        break_queue(error);
    }
    clean_up_failure();
}

void Sync::break_queue(int error) {
    if (failure_ == 0) {
        failure_ = error;
        clean_up_due_ = true;
        note(QueueEvent::QueueFailed, error);
    }
}

void Sync::clean_up_failure() {
    int error = 0;
    {
        const Lock lock(mutex_);
        if (!std::exchange(clean_up_due_, false)) {
            return;
        }
        error = failure_;
        cleaning_up_ = true;
    }
    drop_waits();
    end_all_fences(error);
    waits_.wake();
    const Lock lock(mutex_);
    cleaning_up_ = false;
    quiet_.notify_all();
}

/// Waits for no in-fence any more. Not locked while a report on another thread is waited for.
void Sync::drop_waits() {
    Lock lock(mutex_);
    for (unsigned index = 0; index < line_.size(); ++index) {
        if (!line_[index].in) {
            continue;
        }
        line_[index].busy.reset();  // A report would go on to it.
        lock.unlock();
        waits_.unwatch(index);
        lock.lock();
        line_[index].in.reset();
        line_[index].in_pending = false;
        show(index);
    }
}

// --- fork ----------------------------------------------------------------------------------------

void Sync::lock_for_fork() {
    ledger_.lock();
    mutex_.lock();
}

void Sync::unlock_after_fork() {
    mutex_.unlock();
    ledger_.unlock();
}

void Sync::abandon() noexcept {
    for (auto index = line_.first(); index; index = line_.after(*index)) {
        line_[*index].out.abandon();
        line_[*index].in.reset();
        line_[*index].busy.reset();
    }
    trace_.forget();
    failure_ = -EIO;
    // The threads that were at it, or waited for it, are the parent's.
    token_ = clean_up_due_ = cleaning_up_ = false;
    token_waiters_ = visits_ = 0;
    std::construct_at(&token_free_);
    std::construct_at(&quiet_);
}

}  // namespace v4lfence
