// SPDX-License-Identifier: MIT
//
// Queue: videobuf2 for one buffer type of one virtual device. Start here for the vb2 layer. Its
// synchronization is a Sync whose Taker is the driver; what is here is memory, and what becomes of
// finished buffers. The life of a buffer:
//
//   1. request_buffers() makes it; it is Dequeued and the program's.
//   2. queue() takes it: its memory is prepared, its in-fence imported, its out-fence minted.
//   3. The gate hands it to Driver::buf_queue() as an ActiveBuffer, in the order of queue(), never
//      before its in-fence has ended.
//   4. The driver finishes it: what it says is published, its out-fence ends, it can be dequeued.
//   5. dequeue() gives it back.

#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "v4lfence/base/syscall.hpp"
#include "v4lfence/sync/implicit.hpp"
#include "v4lfence/sync/out_fences.hpp"
#include "v4lfence/sync/reactor_waits.hpp"
#include "v4lfence/sync/wake.hpp"
#include "v4lfence/vb2/driver.hpp"
#include "v4lfence/vb2/memory_makers.hpp"

namespace v4lfence {

/// What a QBUF asks for.
struct BufferFences {
    std::optional<int> in;  ///< Borrowed: it is duplicated.
    bool out = false;
};

/// Buffers that came to be dequeued, for whoever shows readiness.
struct ReadyCounts {
    std::uint64_t became = 0;  ///< So many since the queue exists, or more.
    unsigned now = 0;          ///< So many are there.
    bool last_taken = false;   ///< DQBUF would say EPIPE.
    int failure = 0;           ///< Negative errno of a failed queue.
    bool streaming = false;
    bool waited_for = false;  ///< A thread waits for them in DQBUF.
};

/// Looks again at ready_counts(). Called from any thread, with no lock held that ready_counts()
/// needs; DQBUF and calls that change the queue may be under way, and wait for it.
class ReadyListener {
public:
    virtual void ready_changed() = 0;

protected:
    ~ReadyListener() = default;
};

/// Thread: every member may be called from any thread. Calls that change the queue are serialized
/// here; query(), dequeue() and completions are not kept waiting by them.
class Queue final : private Taker, private ReactorWaits {
public:
    /// All are borrowed and must outlive it.
    static Result<std::unique_ptr<Queue>> create(const QueueTraits& traits, Driver& driver,
                                                 Core& core, MemoryMakers& makers,
                                                 ReadyListener& listener);
    /// As close().
    ~Queue();

    // --- buffers ---------------------------------------------------------------------------------

    /// REQBUFS: replaces all buffers by about `count` new ones; returns how many there are. 0 frees
    /// them. Errors: EINVAL `memory` is not supported; EBUSY the stream is on; ENOMEM; the
    /// driver's.
    Result<unsigned> request_buffers(MemoryKind memory, unsigned count);

    struct Created {
        unsigned index = 0;  ///< Of the first.
        unsigned count = 0;
    };
    /// CREATE_BUFS: adds buffers of `shape`; none is made when `count` is 0.
    /// Errors: EINVAL `memory` is not that of the others; ENOBUFS there are buffers_max; ENOMEM.
    Result<Created> create_buffers(MemoryKind memory, unsigned count, const BufferShape& shape);

    /// Errors: EINVAL one does not exist; EBUSY one is queued.
    Result<> remove_buffers(unsigned first, unsigned count);

    /// Errors: EINVAL no such buffer, as for all that take an index.
    Result<BufferReport> query(unsigned index) const;

    /// Errors: EINVAL it is queued or prepared already, or a plane is wrong; those of its memory
    /// and of the driver.
    Result<BufferReport> prepare(unsigned index, const BufferSettings& settings);

    struct Queued {
        BufferReport report;
        UniqueFd out_fence;  ///< The program's to own; empty unless asked for.
    };
    /// QBUF (SEMANTICS 2). Errors: as prepare(); EINVAL no fence; EMFILE, ENFILE; EIO the queue has
    /// failed; what start_streaming() says. On error nothing has changed.
    Result<Queued> queue(unsigned index, const BufferSettings& settings, const BufferFences& fences,
                         const FileOptions& options);

    // --- the way out -----------------------------------------------------------------------------

    /// DQBUF, without waiting. Errors: EAGAIN nothing yet; EINVAL the stream is not on; EIO the
    /// queue has failed; EPIPE the last one was returned; EBUSY another thread waits. `caller`,
    /// here and below: a thread of this process, or a negative number for one of another.
    Result<BufferReport> dequeue(int caller = sys::thread_id());

    /// What a wait for the next buffer looks at: plain numbers, no object is alive while a thread
    /// waits.
    struct WaitPlan {
        int wake_fd = -1;
        std::uint64_t generation = 0;
    };
    /// `caller` is the one that waits. Errors: EBUSY; EINVAL the stream is not on.
    Result<WaitPlan> begin_wait(int caller = sys::thread_id());
    /// Errors: EINVAL the stream has ended meanwhile.
    Result<> end_wait(const WaitPlan& plan, int caller = sys::thread_id());
    /// Whoever looks at the descriptor of that caller's wait looks again. The wait goes on.
    void wake_waiter(int caller);

    ReadyCounts ready_counts() const;

    // --- the stream ------------------------------------------------------------------------------

    /// Errors: EINVAL too few buffers; what start_streaming() says, with every buffer back where it
    /// was.
    Result<> stream_on();
    /// The driver is stopped, then every fence ends; every buffer is Dequeued.
    void stream_off();
    /// The file that had it is closed: as stream_off(), and no buffer is left.
    void close();
    /// The device is gone or broken: the driver is stopped, its fences end with `error`, and the
    /// queue says so until the stream is stopped. Not from within a call of the driver.
    void fail(int error);

    // --- memory ----------------------------------------------------------------------------------

    /// Whether the memory of MMAP buffers can become dma-bufs on this machine.
    bool can_export() const;
    /// EXPBUF. Errors: EINVAL no such plane or not Mmap; what the memory says.
    Result<UniqueFd> export_plane(unsigned index, unsigned plane, int flags);

    /// A mapping of the plane whose `offset` it is. The descriptor is borrowed and lives while the
    /// memory does. Errors: EINVAL there is none.
    struct Mappable {
        std::shared_ptr<BufferMemory> memory;
        PlaneMemory* plane = nullptr;
    };
    Result<Mappable> mappable(std::uint64_t offset) const;

    // --- what is to be seen ----------------------------------------------------------------------

    bool has_buffers() const { return count_.load() > 0; }
    unsigned count() const { return count_.load(); }
    MemoryKind memory() const { return memory_.load(); }
    /// Of the buffers that were made last.
    unsigned plane_count() const { return plane_count_.load(); }
    const QueueTraits& traits() const noexcept { return traits_; }
    QueueView view() const { return sync_.view(); }
    Expiry last_expiry() const { return sync_.last_expiry(); }
    /// What mints the out-fences now. Errors: ENODEV.
    Result<const ProviderTraits*> fence_traits(const FileOptions& options);
    /// The driver gives buffers back in the order it gets them, with the format it has now.
    void set_ordered(bool ordered);
    /// The name and the type by which the board of the process shows it; before any fence.
    void show_as(std::string name, std::uint32_t type);

    /// For the fork handlers, in this order; what a ReadyListener locks may come between.
    void lock_calls_for_fork();
    void lock_sync_for_fork();
    void unlock_sync_after_fork();
    void unlock_calls_after_fork();
    /// In the child, before it is unlocked: promises are the parent's, and so is the stream.
    void abandon() noexcept;

private:
    friend class ActiveBuffer;

    /// One buffer. Guarded by mutex_ but for what says otherwise.
    struct Slot {
        std::shared_ptr<BufferMemory> memory;  ///< NULL: there is none of this index.
        BufferSettings settings;               ///< Of the latest PREPARE_BUF or QBUF.
        BufferShape shape;
        bool prepared = false;
        Handover active;             ///< The driver has it.
        std::uint64_t finished = 0;  ///< `result` and `error` are of this job's position; 0: none.
        bool dropped = false;        ///< By a driver that is starting.
        int error = 0;
        FinishedBuffer result;
        std::int32_t next_ready = -1;
    };

    Queue(const QueueTraits& traits, Driver& driver, Core& core, MemoryMakers& makers,
          ReadyListener& listener);

    Result<unsigned> allocate(MemoryKind memory, unsigned first, unsigned count, unsigned least,
                              const BufferShape& shape);
    Result<std::shared_ptr<BufferMemory>> make_memory(MemoryKind memory, unsigned index,
                                                      const BufferShape& shape);
    unsigned find_free(unsigned& count) const;
    void free_buffers(unsigned first, unsigned end);

    /// A QBUF that fails leaves a buffer as it found it (SEMANTICS 2.1).
    class Preparation {
    public:
        Preparation(Queue& queue, unsigned index);
        Preparation(const Preparation&) = delete;
        Preparation& operator=(const Preparation&) = delete;
        ~Preparation();
        BufferReport committed(const BufferSettings& settings);
        void show();
        void keep() noexcept { kept_ = true; }

    private:
        Queue& queue_;
        const unsigned index_;
        bool kept_ = false;
        bool shows_ = false;
        // As it was.
        bool prepared_ = false;
        std::uint64_t finished_ = 0;
        int error_ = 0;
        std::int64_t timestamp_ns_ = 0;
        BufferSettings settings_;  ///< Of one that was not prepared: a prepared one keeps its own.
        std::shared_ptr<BufferMemory> memory_;
    };

    // Steps of queue().
    struct InFence {
        std::optional<Fence> pending;
        int error = 0;
    };
    Result<> check(unsigned index, const BufferSettings& settings) const;
    Result<> check_planes(const Slot& slot, const BufferSettings& settings) const;
    Result<std::unique_ptr<PlaneMemory>> acquire_plane(const BufferSettings& settings,
                                                       unsigned index, std::uint32_t size) const;
    Result<> prepare_memory(Slot& slot, const BufferSettings& settings);
    Result<std::shared_ptr<BufferMemory>> acquire_memory(const Slot& slot,
                                                         const BufferSettings& settings) const;
    Result<InFence> take_in_fence(const BufferFences& fences);
    DmaBufAccess fence_access() const noexcept {
        return traits_.access == DeviceAccess::Write ? DmaBufAccess::Write : DmaBufAccess::Read;
    }
    ImplicitFences implicit_fences(unsigned index, const FileOptions& options) const;
    QueuedBy queued_by(const BufferFences& fences, const OutFence& out,
                       const FileOptions& options) const;
    /// The loop runs from the first fence on. Empty where it runs already.
    Result<Core::LoopUse> use_loop();
    /// NULL: no buffer of this index.
    Slot* find(unsigned index) const;

    // From ActiveBuffer.
    BufferSettings settings_of(const Handover& handover) const;
    void finish(const Handover& handover, int error, const FinishedBuffer& finished);
    void drop(const Handover& handover);
    void requeue(const Handover& handover, std::shared_ptr<BufferMemory> memory);

    Result<BufferReport> try_dequeue(int caller);
    std::optional<unsigned> pop_ready();
    void push_ready(unsigned index);
    BufferReport give_back(unsigned index);
    void leave_wait(int caller);
    BufferReport report(unsigned index, const SlotView& view) const;
    BufferReport report_locked(unsigned index, const SlotView& view) const;
    void stop(int error);
    void stop_driver();
    bool driver_has_buffers() const;
    void set_starting(bool starting);
    void end_dropped();
    void forget_active();
    void finish_prepared();
    void forget_jobs();
    bool has_returnable() const { return sync_.shows_failed(); }

    Answer give(unsigned index) override;
    Answer start(unsigned count) override;
    void wake() override;
    void on_given() override {}

    const QueueTraits traits_;
    Driver& driver_;
    Core& core_;
    MemoryMakers& makers_;
    ReadyListener& listener_;

    /// Held over each call that changes the queue but DQBUF, as videobuf2's queue lock.
    std::mutex queueing_mutex_;
    /// Held over the part of DQBUF that does not wait, and while buffers are taken back.
    std::mutex dqbuf_mutex_;
    /// Held over moves of what follows and nothing else.
    mutable std::mutex mutex_;
    IndexTable<Slot> slots_;
    std::int32_t first_ready_ = -1;  ///< Finished buffers in the order in which they finished.
    std::int32_t last_ready_ = -1;
    unsigned ready_ = 0;
    std::uint64_t became_ready_ = 0;
    std::uint64_t handovers_ = 0;
    bool starting_ = false;
    std::atomic<bool> last_taken_{false};
    std::atomic<bool> failed_shown_{false};  ///< A Failed buffer was said to be there.
    std::atomic<unsigned> count_{0};
    std::atomic<unsigned> end_{0};  ///< No buffer of this index or above exists.
    std::atomic<MemoryKind> memory_{MemoryKind::Mmap};
    std::atomic<unsigned> plane_count_{1};

    // The driver's state: changed by whoever has the token.
    bool started_ = false;
    std::atomic<bool> stopping_{false};

    OutFences out_fences_;
    Core::LoopUse loop_;  ///< Since the first fence. Guarded by queueing_mutex_.
    FenceKind likely_kind_ = FenceKind::SyncFile;
    std::string shown_name_;
    std::uint32_t shown_type_ = 0;

    Wake waiter_wake_;
    std::atomic<int> waiter_{0};  ///< A thread's number, or a caller's; 0: nobody waits.
    Sync sync_;
};

}  // namespace v4lfence
