// SPDX-License-Identifier: MIT
//
// The way in: QBUF, STREAMON, the gate's step, and what is to be seen. The way out is in
// sync_end.cpp.

#include "v4lfence/sync/sync.hpp"

#include <algorithm>
#include <utility>

namespace v4lfence {

void Sync::resize(unsigned count) {
    const Lock lock(mutex_);
    line_.resize(count);
    trace_.resize(count);
}

unsigned Sync::size() const {
    const Lock lock(mutex_);
    return line_.size();
}

void Sync::set_options(SyncOptions options) {
    const Lock lock(mutex_);
    next_options_ = options;
    if (!line_.first()) {
        options_ = options;
        ordered_ = options.ordered;
    }
}

void Sync::adopt_given(unsigned index) {
    const Lock lock(mutex_);
    line_.append(index);
    line_.move_to(index, SlotState::Giving);
    line_.move_to(index, SlotState::Given);
    line_[index].adopted = true;
    given_any_ = true;
    show(index);
}

Result<> Sync::check_queueable(unsigned index) const {
    const Lock lock(mutex_);
    return check_slot(index);
}

Result<> Sync::check_slot(unsigned index) const {
    if (failure_ != 0) {
        return v4lfence::fail(failure_, "the queue has failed");
    }
    if (index >= line_.size()) {
        return v4lfence::fail(-EINVAL, "no buffer of this index");
    }
    if (line_[index].state != SlotState::Dequeued) {
        return v4lfence::fail(-EINVAL, "the buffer is queued already");
    }
    return {};
}

Result<> Sync::queue(Submission submission) {
    const bool has_in_fence = submission.in || submission.busy;
    Turn turn;
    turn.told = true;
    {
        Lock lock(mutex_);
        V4LFENCE_TRY(check_slot(submission.index));
        V4LFENCE_TRY(place_in_line(submission, turn));
        const Job job = *turn.own;
        step(lock, turn);
        if (line_.is(job, SlotState::Held) || line_.is(job, SlotState::Failed)) {
            line_[job.index].was_held = true;
        }
    }
    conclude(turn);
    if (turn.error != 0) {
        return v4lfence::fail(turn.error, "the device refused the buffer");
    }
    if (has_in_fence) {
        counters_.in_fences.fetch_add(1, std::memory_order_relaxed);
    }
    return {};
}

Result<> Sync::place_in_line(Submission& submission, Turn& turn) {
    const unsigned index = submission.index;
    const Job job = line_.append(index);
    turn.own = job;
    queued_any_ = true;
    Slot& slot = line_[index];
    slot.out = std::move(submission.out);
    counters_.made.fetch_add(slot.out ? 1 : 0, std::memory_order_relaxed);
    slot.queued_at = clock_.now();
    slot.in = std::move(submission.in);
    if (submission.in_error == 0) {
        slot.busy = std::move(submission.busy);
    }
    slot.in_pending = slot.in || slot.busy;
    if (slot.in_pending && submission.deadline) {
        slot.deadline = slot.queued_at + *submission.deadline;
    }
    if (slot.out && submission.bound) {
        slot.bound = slot.queued_at + *submission.bound;
    }
    trace_.queued(job, line_, submission.by);
    if (slot.in_pending) {
        const auto watched = slot.in ? waits_.watch(job, *slot.in) : watch_busy(job);
        if (!watched) {
            undo(index, turn);
            submission.out = std::move(turn.dropped_out);
            submission.in = std::move(turn.dropped_in);
            return watched;
        }
    }
    show(index);
    arm(slot.deadline);
    arm(slot.bound);
    if (submission.in_error != 0) {
        fail_slot(index, submission.in_error);
    }
    return {};
}

/// The own in-fence has ended, or there is none.
Result<> Sync::watch_busy(Job job) {
    Slot& slot = line_[job.index];
    slot.in = std::exchange(slot.busy, std::nullopt);
    slot.in_is_busy = true;
    show(job.index);
    return waits_.watch(job, *slot.in);
}

Result<> Sync::stream_on() {
    Turn turn;
    turn.told = true;
    {
        Lock lock(mutex_);
        take_token(lock);
        token_ = false;
        if (!std::exchange(streaming_, true)) {
            note(QueueEvent::StreamOn);
        }
        step(lock, turn);
        if (turn.error != 0) {
            streaming_ = false;
            show_state();
        }
    }
    conclude(turn);
    if (turn.error != 0) {
        return v4lfence::fail(turn.error, "the stream could not be started");
    }
    return {};
}

// --- the gate ------------------------------------------------------------------------------------

/// The one step of SEMANTICS 4.3: give what is ready, in order, or leave it to the thread that is
/// at it: that one looks again after each call, and gives the token back only with nothing left.
void Sync::step(Lock& lock, Turn& turn) {
    if (token_) {
        return;
    }
    token_ = true;
    while (!turn.stop && advance(lock, turn)) {}
    drop_token();
}

/// One move of the gate. False: it is closed.
bool Sync::advance(Lock& lock, Turn& turn) {
    if (failure_ != 0) {
        return false;
    }
    if (!started_ && !options_.taker_starts) {
        const bool ready = may_start();
        if (ready) {
            start(lock, turn);
        }
        return ready;
    }
    const auto index = line_.next_to_give();
    if (index) {
        give(lock, *index, turn);
    }
    return index.has_value();
}

bool Sync::may_start() const {
    // Given before the start: what is left of a try in which others were refused.
    return streaming_ && line_.count(SlotState::Given) + line_.ready_prefix() >= options_.minimum;
}

/// Returns whether the device took it.
bool Sync::give(Lock& lock, unsigned index, Turn& turn) {
    const Job job = job_of(index);
    line_.move_to(index, SlotState::Giving);
    show(index);
    lock.unlock();
    const Taker::Answer answer = taker_.give(index);
    lock.lock();
    return settle(lock, job, answer, turn);
}

bool Sync::settle(Lock& lock, Job job, Taker::Answer answer, Turn& turn) {
    const bool own = turn.own == job;
    // A quick device, and a quick program, may have taken the job further by now.
    const bool is_here = line_.is(job, SlotState::Giving);
    if (answer.verdict == Taker::Verdict::Taken || !is_here) {
        given_any_ = true;
        turn.gave = true;
        turn.told = turn.told && !own;
        if (is_here) {
            line_.move_to(job.index, SlotState::Given);
            note(QueueEvent::Given, job);
        }
        return true;
    }
    if (answer.verdict == Taker::Verdict::Refused && !own) {
        fail_slot(job.index, answer.error);
        return false;
    }
    line_.move_to(job.index, SlotState::Held);
    show(job.index);
    if (answer.verdict == Taker::Verdict::StartFailed) {
        on_start_failed(lock, answer.error, turn);
        return false;
    }
    tell(lock, answer.error, turn);
    if (answer.verdict == Taker::Verdict::Gone) {
        break_queue(answer.error);
    }
    return false;
}

void Sync::on_start_failed(Lock& lock, int error, Turn& turn) {
    turn.stop = true;
    note(QueueEvent::StartFailed, error);
    if (!tell(lock, error, turn)) {
        break_queue(-EIO);
    }
}

/// Leaves `error` for the caller of QBUF or STREAMON, whose buffer is taken back. False: there is
/// nobody to tell.
bool Sync::tell(Lock& lock, int error, Turn& turn) {
    if (turn.told && turn.own && line_[turn.own->index].in) {
        // A report on another thread may be looking at the fence, and would go on to the next.
        turn.dropped_busy = std::exchange(line_[turn.own->index].busy, std::nullopt);
        lock.unlock();
        waits_.unwatch(turn.own->index);
        lock.lock();
    }
    if (!turn.told || (turn.own && !line_.is(*turn.own, SlotState::Held) &&
                       !line_.is(*turn.own, SlotState::Failed))) {
        return false;
    }
    turn.error = error;
    if (turn.own) {
        undo(turn.own->index, turn);
    }
    return true;
}

void Sync::start(Lock& lock, Turn& turn) {
    const bool given_before = given_any_;
    unsigned count = line_.count(SlotState::Given);
    for (auto index = line_.next_to_give(); index; index = line_.next_to_give()) {
        count += give(lock, *index, turn) ? 1 : 0;
        if (turn.stop || failure_ != 0) {
            return;
        }
    }
    if (count < options_.minimum) {
        return;
    }
    lock.unlock();
    const Taker::Answer answer = taker_.start(count);
    lock.lock();
    started_ = answer.verdict == Taker::Verdict::Taken;
    if (started_) {
        show_state();
        return;
    }
    for (auto index = line_.first(); index; index = line_.after(*index)) {
        if (line_[*index].state == SlotState::Given) {
            line_.move_to(*index, SlotState::Held);
            show(*index);
        }
    }
    given_any_ = given_before;
    turn.gave = false;
    // The own buffer was given as well, and has come back.
    turn.told = turn.told || turn.own.has_value();
    on_start_failed(lock, answer.error, turn);
}

/// Takes a QBUF back that its caller is told has failed.
void Sync::undo(unsigned index, Turn& turn) {
    Slot& slot = line_[index];
    const Job job = job_of(index);
    claimable_ -= slot.out && (slot.due || slot.state == SlotState::Failed) ? 1 : 0;
    counters_.ended.fetch_add(slot.out ? 1 : 0, std::memory_order_relaxed);
    turn.dropped_out = std::move(slot.out);
    turn.dropped_in = std::move(slot.in);
    slot.in.reset();
    if (slot.busy) {
        turn.dropped_busy = std::exchange(slot.busy, std::nullopt);
    }
    turn.own.reset();
    line_.move_to(index, SlotState::Dequeued);
    if (turn.dropped_out) {
        note(QueueEvent::OutFenceEnded, job, -ECANCELED);
    }
    note(QueueEvent::Dequeued, job);
}

/// What has to follow a step when no lock is held.
void Sync::conclude(Turn& turn) {
    end_due_fences();
    clean_up_failure();
    if (turn.gave) {
        waits_.on_given();
    }
    bool returnable = false;
    {
        const Lock lock(mutex_);
        returnable = has_returnable();
    }
    if (returnable) {
        waits_.wake();
    }
}

bool Sync::has_returnable() const {
    return streaming_ && (line_.next_failed(ordered_) || line_.next_failed_when_stalled());
}

void Sync::take_token(Lock& lock) {
    ++token_waiters_;
    token_free_.wait(lock, [this] { return !token_; });
    --token_waiters_;
    token_ = true;
}

void Sync::drop_token() {
    token_ = false;
    if (token_waiters_ > 0) {
        token_free_.notify_all();
    }
}

Sync::Pause::Pause(Sync& sync) : sync_(sync) {
    Lock lock(sync_.mutex_);
    sync_.take_token(lock);
}

Sync::Pause::~Pause() {
    Turn turn;
    {
        Lock lock(sync_.mutex_);
        sync_.drop_token();
        sync_.step(lock, turn);
    }
    sync_.conclude(turn);
}

// --- what is to be seen --------------------------------------------------------------------------

SlotView Sync::view(unsigned index) const {
    Lock lock(mutex_);
    if (index >= line_.size()) {
        return {};
    }
    if (line_[index].ending) {
        // Whoever has seen the fence end must not be told that it is pending: it is over once the
        // ledger is free.
        lock.unlock();
        { const Lock ended(ledger_); }
        lock.lock();
        if (index >= line_.size()) {
            return {};
        }
    }
    const Slot& slot = line_[index];
    return SlotView{Job{index, slot.position},   slot.state,   slot.in_pending,
                    static_cast<bool>(slot.out), slot.expired, slot.was_held};
}

QueueView Sync::view() const {
    const Lock lock(mutex_);
    QueueView view;
    view.streaming = streaming_;
    view.ordered = ordered_;
    view.degraded = degraded_;
    view.given_any = given_any_;
    view.queued_any = queued_any_;
    view.failure = failure_;
    view.held = line_.count(SlotState::Held);
    view.given = line_.count(SlotState::Giving) + line_.count(SlotState::Given);
    view.done = line_.count(SlotState::Done);
    view.failed = line_.count(SlotState::Failed);
    view.given_fences = line_.first_given_fence().has_value();
    view.generation = generation_;
    view.next_position = line_.next_position();
    return view;
}

Expiry Sync::last_expiry() const {
    const Lock lock(mutex_);
    return expiry_;
}

void Sync::forget_expiry() {
    const Lock lock(mutex_);
    expiry_ = Expiry();
}

std::optional<Job> Sync::first_given_fence() const {
    const Lock lock(mutex_);
    return line_.first_given_fence();
}

std::optional<Job> Sync::next_given_fence(Job job) const {
    const Lock lock(mutex_);
    return line_.next_given_fence(job);
}

std::optional<unsigned> Sync::next_failed() const {
    const Lock lock(mutex_);
    return streaming_ ? line_.next_failed(ordered_) : std::nullopt;
}

bool Sync::shows_failed() const {
    const Lock lock(mutex_);
    if (!streaming_) {
        return false;
    }
    const auto next = line_.next_failed(ordered_);
    const auto failed = next ? next : line_.next_failed_when_stalled();
    return failed && !line_[*failed].out && !line_[*failed].ending;
}

std::optional<unsigned> Sync::next_failed_when_stalled() const {
    const Lock lock(mutex_);
    return streaming_ ? line_.next_failed_when_stalled() : std::nullopt;
}

}  // namespace v4lfence
