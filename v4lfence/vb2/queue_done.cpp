// SPDX-License-Identifier: MIT
//
// The way out: buffers that the driver has finished, DQBUF, the wait for it, and the stream.

#include <algorithm>
#include <utility>

#include "v4lfence/vb2/queue.hpp"

namespace v4lfence {

// --- from ActiveBuffer ---------------------------------------------------------------------------

BufferSettings Queue::settings_of(const Handover& handover) const {
    const std::lock_guard lock(mutex_);
    return slots_.find(handover.job.index)->settings;
}

/// In the order of SEMANTICS 4.8: what is to be seen, the fence, readable.
void Queue::finish(const Handover& handover, int error, const FinishedBuffer& finished) {
    const Job job = handover.job;
    {
        const std::lock_guard lock(mutex_);
        Slot& slot = *slots_.find(job.index);
        if (slot.active.number != handover.number) {
            return;  // The stream it was of has ended, or never began.
        }
        slot.active = Handover();
        slot.result = finished;
        slot.error = error;
        slot.finished = job.position;
    }
    sync_.finish(job, error, finished.sequence);
    {
        const std::lock_guard lock(mutex_);
        if (slots_.find(job.index)->finished != job.position) {
            return;
        }
        push_ready(job.index);
    }
    waiter_wake_.notify();
    listener_.ready_changed();
}

/// A driver that starts or stops gives buffers back that way; any other has lost one.
void Queue::drop(const Handover& handover) {
    if (stopping_.load()) {
        return;
    }
    {
        const std::lock_guard lock(mutex_);
        if (starting_) {
            Slot& slot = *slots_.find(handover.job.index);
            slot.dropped = slot.dropped || slot.active.number == handover.number;
            return;
        }
    }
    finish(handover, -EIO, FinishedBuffer());
}

void Queue::requeue(const Handover& handover, std::shared_ptr<BufferMemory> memory) {
    const Job job = handover.job;
    {
        const std::lock_guard lock(mutex_);
        if (slots_.find(job.index)->active.number != handover.number) {
            return;  // The stream it was of has ended.
        }
    }
    const SlotView view = sync_.view(job.index);
    if (view.job == job && view.out_fence_pending) {
        finish(handover, -EIO, FinishedBuffer());
        return;
    }
    driver_.buf_queue(ActiveBuffer(*this, handover, std::move(memory)));
}

void Queue::push_ready(unsigned index) {
    slots_.find(index)->next_ready = -1;
    const auto link = static_cast<std::int32_t>(index);
    if (last_ready_ >= 0) {
        slots_.find(static_cast<unsigned>(last_ready_))->next_ready = link;
    } else {
        first_ready_ = link;
    }
    last_ready_ = link;
    ++ready_;
    ++became_ready_;
}

std::optional<unsigned> Queue::pop_ready() {
    const std::lock_guard lock(mutex_);
    if (first_ready_ < 0) {
        return std::nullopt;
    }
    const auto index = static_cast<unsigned>(first_ready_);
    first_ready_ = slots_.find(index)->next_ready;
    last_ready_ = first_ready_ < 0 ? -1 : last_ready_;
    --ready_;
    return index;
}

// --- DQBUF ---------------------------------------------------------------------------------------

Result<BufferReport> Queue::dequeue(int caller) {
    auto taken = try_dequeue(caller);
    if (taken) {
        listener_.ready_changed();
    }
    return taken;
}

Result<BufferReport> Queue::try_dequeue(int caller) {
    const std::lock_guard lock(dqbuf_mutex_);
    const int waiter = waiter_.load();
    if (waiter != 0 && waiter != caller) {
        return v4lfence::fail(-EBUSY, "another thread waits for a buffer");
    }
    const QueueView view = sync_.view();
    if (view.failure != 0) {
        return v4lfence::fail(view.failure, "the queue has failed");
    }
    if (!view.streaming) {
        return v4lfence::fail(-EINVAL, "the stream is not on");
    }
    if (const auto failed = view.failed > 0 ? sync_.next_failed() : std::nullopt) {
        return give_back(*failed);
    }
    if (last_taken_.load()) {
        return v4lfence::fail(-EPIPE, "the last buffer was returned");
    }
    if (const auto ready = pop_ready()) {
        return give_back(*ready);
    }
    if (const auto failed = view.failed > 0 ? sync_.next_failed_when_stalled() : std::nullopt) {
        return give_back(*failed);
    }
    return v4lfence::fail(-EAGAIN, "no buffer is finished");
}

/// Finished by the driver, or one that it never had. It is the program's with the last step: what
/// is of this job has been read and written by then.
BufferReport Queue::give_back(unsigned index) {
    driver_.buf_finish(index);
    const SlotView view = sync_.view(index);
    BufferReport report;
    {
        const std::lock_guard lock(mutex_);
        Slot& slot = *slots_.find(index);
        if (view.state == SlotState::Failed) {
            slot.result = FinishedBuffer();
            slot.error = -EIO;
            slot.finished = view.job.position;
        }
        slot.error = slot.error != 0 || !view.expired ? slot.error : -ETIME;
        slot.prepared = false;
        if (slot.result.last) {
            last_taken_.store(true);
        }
        report = report_locked(index, SlotView());
    }
    sync_.dequeue(index);
    return report;
}

Result<Queue::WaitPlan> Queue::begin_wait(int caller) {
    const std::lock_guard lock(dqbuf_mutex_);
    V4LFENCE_TRY(waiter_wake_.open());
    int nobody = 0;
    if (!waiter_.compare_exchange_strong(nobody, caller)) {
        return v4lfence::fail(-EBUSY, "another thread waits for a buffer");
    }
    waiter_wake_.begin();
    const QueueView view = sync_.view();
    const ReadyCounts ready = ready_counts();
    if (!view.streaming && view.failure == 0) {
        leave_wait(caller);
        return v4lfence::fail(-EINVAL, "the stream has ended");
    }
    // What happened before begin() rang no bell.
    if (ready.now > 0 || ready.last_taken || view.failure != 0) {
        waiter_wake_.notify();
    }
    sync_.show_waiting(true);
    return WaitPlan{waiter_wake_.fd(), view.generation};
}

/// With dqbuf_mutex_. Does nothing where close() has taken the place back.
void Queue::leave_wait(int caller) {
    if (waiter_.load() == caller) {
        sync_.show_waiting(false);
        waiter_wake_.end();
        waiter_.store(0);
    }
}

void Queue::wake_waiter(int caller) {
    const std::lock_guard lock(dqbuf_mutex_);
    if (waiter_.load() == caller) {
        waiter_wake_.notify();
    }
}

Result<> Queue::end_wait(const WaitPlan& plan, int caller) {
    {
        const std::lock_guard lock(dqbuf_mutex_);
        leave_wait(caller);
    }
    // Frames that came for this thread, and that it did not take, are everybody's.
    listener_.ready_changed();
    const QueueView view = sync_.view();
    if (view.failure == 0 && (view.generation != plan.generation || !view.streaming)) {
        return v4lfence::fail(-EINVAL, "the stream has ended");
    }
    return {};
}

ReadyCounts Queue::ready_counts() const {
    const QueueView view = sync_.view();
    const bool returnable = view.failed > 0 && has_returnable();
    const std::lock_guard lock(mutex_);
    return ReadyCounts{became_ready_,      ready_ + (returnable ? 1 : 0),
                       last_taken_.load(), view.failure,
                       view.streaming,     waiter_.load() != 0};
}

// --- the stream ----------------------------------------------------------------------------------

Result<> Queue::stream_on() {
    const std::lock_guard lock(queueing_mutex_);
    const QueueView view = sync_.view();
    if (view.failure != 0) {
        return v4lfence::fail(view.failure, "the queue has failed");
    }
    if (view.streaming) {
        return {};
    }
    if (count_.load() < std::max(traits_.minimum_queued, 1U)) {
        return v4lfence::fail(-EINVAL, "too few buffers");
    }
    const auto on = sync_.stream_on();
    if (!on) {
        waiter_wake_.notify();  // Who came meanwhile waits for a stream that is off again.
    }
    listener_.ready_changed();
    return on;
}

void Queue::stream_off() {
    const std::lock_guard lock(queueing_mutex_);
    stop(-ECANCELED);
}

void Queue::close() {
    Core::LoopUse unused;  // Ends with no lock held, as in queue().
    const std::lock_guard lock(queueing_mutex_);
    stop(-ECANCELED);
    free_buffers(0, end_.load());
    sync_.hide();
    unused = std::move(loop_);
    out_fences_.close();
    sync_.forget_expiry();
    const std::lock_guard no_look(dqbuf_mutex_);
    if (waiter_.exchange(0) == 0) {
        waiter_wake_.close();
    } else {
        // Who waits for a file that is gone may have no way left to say that it leaves.
        waiter_wake_.forget_waiters();
    }
}

/// The device first, then every fence (SEMANTICS 5.4).
void Queue::stop(int error) {
    {
        const Sync::Pause pause(sync_);
        stop_driver();
        const std::lock_guard lock(dqbuf_mutex_);
        sync_.cancel(error);
        finish_prepared();
        forget_jobs();
    }
    waiter_wake_.notify();
    listener_.ready_changed();
}

void Queue::stop_driver() {
    if (started_ || driver_has_buffers()) {
        stopping_.store(true);
        driver_.stop_streaming();
        stopping_.store(false);
        started_ = false;
        forget_active();
    }
}

/// Also of a start that never came: buffers were given for it, and then there were too few.
bool Queue::driver_has_buffers() const {
    const std::lock_guard lock(mutex_);
    for (unsigned index = 0; index < end_.load(); ++index) {
        if (slots_.find(index)->active.number != 0) {
            return true;
        }
    }
    return false;
}

/// Each buffer that was prepared is the program's again.
void Queue::finish_prepared() {
    for (unsigned index = 0; index < end_.load(); ++index) {
        const Slot* const slot = find(index);
        if (slot != nullptr && slot->prepared) {
            driver_.buf_finish(index);
        }
    }
}

void Queue::forget_jobs() {
    const std::lock_guard lock(mutex_);
    first_ready_ = last_ready_ = -1;
    ready_ = 0;
    last_taken_.store(false);
    for (unsigned index = 0; index < end_.load(); ++index) {
        Slot& slot = *slots_.find(index);
        slot.active = Handover();
        slot.finished = 0;
        slot.prepared = slot.dropped = false;
    }
}

void Queue::fail(int error) {
    const std::lock_guard lock(queueing_mutex_);
    // What waits for the end of the pause must find the queue failed (SEMANTICS 5.4).
    const Sync::Pause pause(sync_);
    stop_driver();
    sync_.fail_queue(error);
}

// --- fork ----------------------------------------------------------------------------------------

void Queue::lock_calls_for_fork() {
    queueing_mutex_.lock();
    dqbuf_mutex_.lock();
}

void Queue::lock_sync_for_fork() {
    sync_.lock_for_fork();
    mutex_.lock();
}

void Queue::unlock_sync_after_fork() {
    mutex_.unlock();
    sync_.unlock_after_fork();
}

void Queue::unlock_calls_after_fork() {
    dqbuf_mutex_.unlock();
    queueing_mutex_.unlock();
}

}  // namespace v4lfence
