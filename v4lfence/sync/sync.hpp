// SPDX-License-Identifier: MIT
//
// Sync: explicit synchronization of one queue. Start here for the sync layer. It knows buffers by
// their index only; who takes them, who finishes them and what they hold is somebody else's. The
// life of one buffer:
//
//   1. queue() gives it a place in line: Held.
//   2. The gate's one step hands it to the Taker when its in-fence has ended and all before it are
//      ready: Given.
//   3. finish() ends its out-fence: Done. If its in-fence failed it skips step 2: Failed.
//   4. dequeue() gives it back to the program.
//
// The step has one owner at a time, the holder of the token; a thread that finds it taken leaves
// its work there.

#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <optional>

#include "v4lfence/base/result.hpp"
#include "v4lfence/base/time.hpp"
#include "v4lfence/fence/fence.hpp"
#include "v4lfence/fence/provider.hpp"
#include "v4lfence/sync/line.hpp"
#include "v4lfence/sync/queue_trace.hpp"
#include "v4lfence/sync/taker.hpp"

namespace v4lfence {

struct SyncOptions {
    bool ordered = true;  ///< The device finishes buffers in the order it was given them.
    /// The Taker takes buffers before the stream is on, and starts by itself.
    bool taker_starts = true;
    unsigned minimum = 1;  ///< Otherwise: how many ready buffers the start needs.
};

/// One QBUF.
struct Submission {
    unsigned index = 0;
    std::optional<Fence> in;  ///< Pending; empty when there is none or it has ended.
    int in_error = 0;         ///< Negative errno when it had failed already.
    /// Pending: of others who are not finished with the memory. Waited for too, however it ends.
    std::optional<Fence> busy;
    FencePromise out;                                   ///< Empty when none was asked for.
    std::optional<std::chrono::milliseconds> deadline;  ///< For both, from now.
    std::optional<std::chrono::milliseconds> bound;     ///< For the out-fence, from now.
    QueuedBy by;
};

/// What is to be seen of a buffer at one moment.
struct SlotView {
    Job job;
    SlotState state = SlotState::Dequeued;
    bool in_fence_pending = false;
    bool out_fence_pending = false;
    /// Its out-fence was ended by the bound: it carries ERROR when it comes.
    bool expired = false;
    bool was_held = false;  ///< It did not go to the device within its own QBUF.
};

/// What is to be seen of the queue at one moment.
struct QueueView {
    bool streaming = false;
    bool ordered = true;      ///< So far in this generation.
    bool degraded = false;    ///< A bound has expired in this generation.
    bool queued_any = false;  ///< A buffer was queued in this generation.
    bool given_any = false;   ///< The device was given a buffer in this generation.
    int failure = 0;          ///< Negative errno of a failed queue.
    unsigned held = 0;
    unsigned given = 0;
    unsigned done = 0;
    unsigned failed = 0;
    bool given_fences = false;  ///< An out-fence ends when the device is finished.
    std::uint64_t generation = 0;
    std::uint64_t next_position = 0;  ///< Of the next buffer queued, as its Job will have it.
};

/// The last time a fence was given up on. Laid out alike in 32 and 64 bits: it goes from one
/// process to another.
struct alignas(8) Expiry {
    std::uint32_t count = 0;
    unsigned index = 0;
    int error = 0;
    bool bound = false;
    MonotonicTime queued_at{};
    MonotonicTime expired_at{};
    FenceNames in_fence{};
};

/// Counted over all queues of a process.
struct FenceCounters {
    std::atomic<std::uint64_t> made{0};
    std::atomic<std::uint64_t> ended{0};
    std::atomic<std::uint64_t> in_fences{0};
};

/// Thread: every member may be called from any thread. No lock is held while the Taker is called;
/// the Taker may call back in. queue(), stream_on(), cancel() and resize() of one queue are the
/// caller's to serialize.
class Sync {
public:
    /// The references are borrowed and must outlive it.
    Sync(Taker& taker, FenceWaits& waits, const Clock& clock, FenceCounters& counters)
        : taker_(taker), waits_(waits), clock_(clock), counters_(counters) {}
    Sync(const Sync&) = delete;
    Sync& operator=(const Sync&) = delete;

    /// There are `count` buffers; those beyond must be Dequeued.
    void resize(unsigned count);
    unsigned size() const;

    /// Takes effect with the next generation, at once while nothing is queued.
    void set_options(SyncOptions options);

    /// The device owns a buffer that was queued before this Sync existed.
    void adopt_given(unsigned index);

    /// Errors: EINVAL no such buffer, or it is not Dequeued; the error of a failed queue.
    Result<> check_queueable(unsigned index) const;

    /// Commits one QBUF and runs the step. On error nothing has changed but that the fences of
    /// `submission` are gone. Errors: as check_queueable(); what the Taker says to this very
    /// buffer; a start that failed on this thread.
    Result<> queue(Submission submission);

    /// The stream is on; runs the step. Errors (without taker_starts): the start's, and the stream
    /// is off again.
    Result<> stream_on();

    /// The device has finished this job, with 0 or a negative errno. When it returns, its out-fence
    /// has ended, and all that were due with it; on an ordered queue only when the earlier ones
    /// have. Ignored unless the device owns that very job. `sequence` of the frame, where known, is
    /// only shown.
    void finish(Job job, int error, std::uint32_t sequence = 0);

    /// The program has it back, after finish() or as a Failed one: when it returns, its out-fence
    /// has ended. Ignored while the device owns it.
    void dequeue(unsigned index);

    /// The Failed buffer that DQBUF has to return next, if it is one.
    std::optional<unsigned> next_failed() const;
    /// A Failed buffer that comes before its turn because the device holds all else that is queued
    /// (SEMANTICS 5.1).
    std::optional<unsigned> next_failed_when_stalled() const;

    /// There is one of these, and its out-fence has ended: poll() may tell of it (SEMANTICS 4.8).
    bool shows_failed() const;

    /// Reports of FenceWaits.
    void on_in_fence(Job job, const FenceStatus& status);
    void on_deadline(MonotonicTime now);

    /// Holds the token: while it lives nothing is given. Waits for its owner. Its end runs the step
    /// for what came meanwhile.
    class [[nodiscard]] Pause {
    public:
        explicit Pause(Sync& sync);
        ~Pause();
        Pause(const Pause&) = delete;
        Pause& operator=(const Pause&) = delete;

    private:
        Sync& sync_;
    };

    /// The device has been stopped, and the caller holds a Pause: every fence ends with `error`,
    /// each buffer becomes Dequeued, the stream is off, a failed queue is whole again, a new
    /// generation begins. When it returns no fence end and no report is under way on another
    /// thread. Not from within a report or a call of the Taker.
    void cancel(int error);

    /// The queue is broken: its fences end with `error`, nothing more is given, and until cancel()
    /// `error` is what queue() says.
    void fail_queue(int error);

    SlotView view(unsigned index) const;
    QueueView view() const;
    Expiry last_expiry() const;
    /// The file that it was of is closed.
    void forget_expiry();

    /// From now on each step is to be seen on `board`, until hide(): before the board's end. What
    /// there is of jobs is shown as well as it is known. False: the board has no room.
    bool show_on(TraceBoard& board, const QueueOwner& owner);
    /// It is worth asking for that: it is not so yet, and was not refused, or there is room by now.
    bool may_show_on(const TraceBoard& board) const noexcept {
        const Showing now = showing_.load(std::memory_order_relaxed);
        return now == Showing::No || (now == Showing::Refused && !board.is_full());
    }
    void hide();
    /// A thread of the program begins, or ends, to wait in DQBUF.
    void show_waiting(bool waits);

    /// The device's jobs with a pending out-fence, from the oldest.
    std::optional<Job> first_given_fence() const;
    std::optional<Job> next_given_fence(Job job) const;

    /// The fork handlers: from the first until the second no other thread is inside. In the child
    /// abandon() comes between: promises are given up without being ended.
    void lock_for_fork();
    void unlock_after_fork();
    void abandon() noexcept;

private:
    using Lock = std::unique_lock<std::mutex>;

    /// On whose behalf the step runs, and what came of it.
    struct Turn {
        std::optional<Job> own;  ///< The buffer of this very QBUF.
        bool told = false;       ///< Somebody hears `error`.
        int error = 0;
        bool stop = false;
        bool gave = false;
        // What an undone QBUF leaves behind, for a moment when no lock is held.
        FencePromise dropped_out;
        std::optional<Fence> dropped_in;
        std::optional<Fence> dropped_busy;
    };

    Result<> check_slot(unsigned index) const;
    Result<> place_in_line(Submission& submission, Turn& turn);
    Result<> watch_busy(Job job);
    void step(Lock& lock, Turn& turn);
    bool advance(Lock& lock, Turn& turn);
    bool may_start() const;
    bool give(Lock& lock, unsigned index, Turn& turn);
    void start(Lock& lock, Turn& turn);
    bool settle(Lock& lock, Job job, Taker::Answer answer, Turn& turn);
    void on_start_failed(Lock& lock, int error, Turn& turn);
    bool tell(Lock& lock, int error, Turn& turn);
    void undo(unsigned index, Turn& turn);
    void conclude(Turn& turn);
    bool has_returnable() const;
    void end_visit();
    void take_token(Lock& lock);
    void drop_token();

    void fail_slot(unsigned index, int error);
    void break_queue(int error);
    void clean_up_failure();
    void drop_waits();
    void end_due_fences();
    void end_all_fences(int error);
    void end_claimed(Job job, int error);
    void expire(unsigned index, MonotonicTime now);
    void record_expiry(unsigned index, bool bound, MonotonicTime now);
    void arm(Deadline deadline);

    // For the board, with mutex_, after the change. Without a board they do nothing.
    void show(unsigned index);
    void show_state();
    void note(QueueEvent event, Job job, std::int64_t value = 0, std::uint64_t detail = 0);
    void note(QueueEvent event, std::int64_t value = 0);
    Job job_of(unsigned index) const { return Job{index, line_[index].position}; }

    Taker& taker_;
    FenceWaits& waits_;
    const Clock& clock_;
    FenceCounters& counters_;

    /// Taken before mutex_ and held over the end of fences, and over nothing else: they end in
    /// order, and whoever has taken it after a claim knows that the fence has ended.
    mutable std::mutex ledger_;
    mutable std::mutex mutex_;
    std::condition_variable token_free_;
    std::condition_variable quiet_;  ///< No visit and no clean-up is under way.

    enum class Showing : std::uint8_t { No, Yes, Refused };
    std::atomic<Showing> showing_{Showing::No};

    // Guarded by mutex_.
    Line line_;
    SyncOptions options_;
    SyncOptions next_options_;
    std::uint64_t generation_ = 1;
    /// Out-fences that have not ended though their buffers are Done, Failed or expired.
    unsigned claimable_ = 0;
    unsigned token_waiters_ = 0;
    unsigned visits_ = 0;  ///< Reports, and others that may yet call FenceWaits.
    int failure_ = 0;
    bool clean_up_due_ = false;
    bool cleaning_up_ = false;
    bool token_ = false;
    bool streaming_ = false;
    bool started_ = false;
    bool ordered_ = true;
    bool degraded_ = false;
    bool queued_any_ = false;
    bool given_any_ = false;
    Deadline armed_;
    Expiry expiry_;
    QueueTrace trace_;
};

}  // namespace v4lfence
