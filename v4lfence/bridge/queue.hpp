// SPDX-License-Identifier: MIT
//
// BridgeQueue: one buffer type of a fenced file. Its synchronization is a Sync whose Taker is the
// kernel; the finished buffers stay in the kernel. Start here for the bridge: qbuf() is the life of
// a QBUF in six steps.

#pragma once

#include <linux/videodev2.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string_view>

#include "v4lfence/bridge/bridge_buffer.hpp"
#include "v4lfence/sync/core.hpp"
#include "v4lfence/sync/implicit.hpp"
#include "v4lfence/sync/out_fences.hpp"
#include "v4lfence/sync/reactor_waits.hpp"
#include "v4lfence/sync/wake.hpp"
#include "v4lfence/uapi/file.hpp"
#include "v4lfence/uapi_fences.h"

namespace v4lfence {

/// Looks at the kernel's descriptor for the queues of one file.
class DeviceWatch {
public:
    /// The kernel may own buffers whose end somebody waits for.
    virtual void on_given() = 0;
    /// A queue is about to be stopped: when it returns, no look is under way on another thread, and
    /// none begins before resume().
    virtual void pause() = 0;
    virtual void resume() = 0;
    /// The file has queued a fence: it keeps the loop running until it is closed.
    virtual bool keeps_loop() const = 0;
    virtual void keep_loop(Core::LoopUse use) = 0;
    /// Whoever polls the file should look again.
    virtual void wake_pollers() = 0;

protected:
    ~DeviceWatch() = default;
};

/// Thread: every member may be called from any thread. Calls that change the queue are serialized
/// here, as videobuf2 does it; the reactor's callbacks are not, nor is view() or querybuf().
class BridgeQueue final : private Taker, private ReactorWaits {
public:
    /// `adopts`: takes over what the kernel knows of the queue, its buffers and which of them it
    /// owns, and whether it is `streaming`; no other handle does. The references are borrowed and
    /// must outlive it; `fd` is the file's number now, and changes only while a Rest lives. Errors:
    /// EINVAL no queue of this type; EMFILE, ENOMEM.
    static Result<std::unique_ptr<BridgeQueue>>
    create(Core& core, DeviceWatch& watch, const FileOptions& options, const std::atomic<int>& fd,
           std::uint32_t type, bool adopts, bool streaming);
    ~BridgeQueue() = default;

    /// Each as the ioctl of its name; errors are negative errnos as the kernel's or SEMANTICS.md's.
    /// The buffers are plausible and their planes too. `by`: the caller's number of the file.
    Result<> qbuf(v4l2_buffer& buffer);
    Result<> querybuf(int by, v4l2_buffer& buffer);
    Result<> prepare_buf(v4l2_buffer& buffer);
    Result<> streamon(int* type);
    Result<> streamoff(int* type);
    Result<> reqbufs(v4l2_requestbuffers& request);
    Result<> create_bufs(v4l2_create_buffers& request);
    /// `range` as struct v4l2_remove_buffers, which headers before 6.10 lack.
    Result<> remove_bufs(void* range);
    Result<> query_fences(v4l2_query_fences& query);
    /// What is exported takes part in implicit synchronization. Errors: EMFILE see ExportedPlanes.
    Result<> expbuf(v4l2_exportbuffer& request);

    enum class Outcome : std::uint8_t {
        Dequeued,
        MustWait,  ///< Nothing yet, and the file is a blocking one.
    };
    /// One look that never waits. Errors: as VIDIOC_DQBUF; EAGAIN nothing yet on a non-blocking
    /// file.
    Result<Outcome> try_dqbuf(v4l2_buffer& buffer, Look look);

    /// This thread is the one that waits. Errors: EBUSY another does; EINVAL the stream has ended.
    Result<WaitPlan> begin_wait(int by);
    /// Errors: EINVAL the stream has ended meanwhile.
    Result<> end_wait(const WaitPlan& plan);

    SlotView slot(unsigned index) const { return sync_.view(index); }
    /// Puts what we know of a buffer, asked before the kernel was, over what the kernel says of it,
    /// also for another handle of the node.
    void overlay(v4l2_buffer& buffer, const SlotView& slot) const;

    /// The kernel may have finished buffers: ends their fences. Returns how many it found.
    unsigned scan();
    /// Does the kernel have a buffer, full or not, that an out-fence stands for?
    bool has_fences_in_kernel() const;
    /// The device is gone or its queue broken.
    void fail(int error) { sync_.fail_queue(error); }
    /// The file is being closed and the kernel's queue has been stopped.
    void close();
    /// The same where the program's number has become another file, which must hear of nothing.
    void close_unreachable();

    QueueView view() const { return sync_.view(); }
    bool has_returnable() const { return sync_.shows_failed(); }
    bool has_buffers() const { return has_buffers_.load(); }
    Expiry last_expiry() const { return sync_.last_expiry(); }
    std::uint32_t type() const noexcept { return type_; }
    /// The current format has changed, perhaps.
    void refresh_order(int by);

    /// While it lives nothing here asks the kernel, but callers by numbers of their own: the file's
    /// number may change. Whoever makes one has paused the DeviceWatch before finish().
    class Rest {
    public:
        explicit Rest(BridgeQueue& queue)
            : queueing_(queue.queueing_mutex_), nothing_given_(queue.sync_),
              no_dqbuf_(queue.dqbuf_mutex_, std::defer_lock) {}
        Rest(const Rest&) = delete;
        Rest& operator=(const Rest&) = delete;
        void finish() { no_dqbuf_.lock(); }

    private:
        const std::lock_guard<std::mutex> queueing_;
        const Sync::Pause nothing_given_;
        std::unique_lock<std::mutex> no_dqbuf_;
    };

    void lock_for_fork() {
        queueing_mutex_.lock();  // No fence is between its making and its place in line.
        sync_.lock_for_fork();
    }
    void unlock_after_fork() {
        sync_.unlock_after_fork();
        queueing_mutex_.unlock();
    }
    void abandon() noexcept;

private:
    BridgeQueue(Core& core, DeviceWatch& watch, const FileOptions& options,
                const std::atomic<int>& fd, std::uint32_t type);

    /// A QBUF that fails leaves nothing behind (SEMANTICS 2.1), be it the first with a fence, which
    /// opens what later ones use.
    class Undo {
    public:
        /// `loop` is for what prepare() takes, and outlives the locks.
        Undo(BridgeQueue& queue, unsigned index, Core::LoopUse& loop)
            : queue_(queue), index_(index), loop_(loop) {}
        Undo(const Undo&) = delete;
        Undo& operator=(const Undo&) = delete;
        ~Undo();
        /// Opens it. Errors: EMFILE, EAGAIN.
        Result<> prepare();
        /// The QBUF has succeeded.
        void keep();

    private:
        BridgeQueue& queue_;
        const unsigned index_;
        Core::LoopUse& loop_;
        bool opened_wake_ = false;
        bool began_to_show_ = false;
        bool kept_ = false;
    };

    // Steps of qbuf().
    struct InFence {
        std::optional<Fence> pending;
        int error = 0;
    };
    ImplicitFences implicit_fences(const v4l2_buffer& buffer) const;
    Result<> check(const v4l2_buffer& buffer);
    Result<> check_held(const v4l2_buffer& buffer, const ImplicitFences& implicit);
    Result<> check_owner();
    Result<> probe_owner() const;
    Result<InFence> take_in_fence(const v4l2_buffer& buffer);
    Result<OutFence> mint_out_fence(const v4l2_buffer& buffer, const ImplicitFences& implicit);
    void show_queued(v4l2_buffer& buffer, int out_fd, bool in_fence) const;
    bool show();
    QueuedBy queued_by(const v4l2_buffer& buffer, const OutFence& out) const;
    bool knows(unsigned index) const {
        const BridgeBuffer* buffer = buffers_.find(index);
        return buffer != nullptr && buffer->exists.load();
    }
    Result<> learn(unsigned index);
    Result<> adopt();
    void forget_buffers();
    Result<> cancel_with(unsigned long request, void* argument, int error);
    void finish_stopped();
    std::uint32_t capabilities() const;

    // DQBUF.
    bool kernel_has_finished() const;
    Result<Outcome> dqbuf_from_kernel(v4l2_buffer& buffer);
    Result<Outcome> return_failed(unsigned index, v4l2_buffer& buffer);

    Answer give(unsigned index) override;
    Answer start(unsigned count) override;
    Answer judge(unsigned index, int error);
    void wake() override;
    void on_given() override;

    Result<BufferCopy> ask_kernel(unsigned index) const;

    Core& core_;
    DeviceWatch& watch_;
    const FileOptions& options_;
    const std::atomic<int>& fd_;
    const std::uint32_t type_;
    const bool shows_states_;  ///< As kernel_shows_buffer_states().

    /// Held over each call that changes the queue but DQBUF, as videobuf2's queue lock.
    std::mutex queueing_mutex_;
    /// Held over the part of DQBUF that does not wait, and while the kernel's queue is stopped.
    std::mutex dqbuf_mutex_;
    BufferTable buffers_;
    unsigned known_ = 0;  ///< No buffer of this index or above was ever seen.
    OutFences out_fences_;
    bool owner_checked_ = false;
    std::atomic<bool> has_buffers_{false};

    FenceKind likely_kind_ = FenceKind::SyncFile;  ///< Of the latest in-fence.

    Wake waiter_wake_;
    std::atomic<bool> starting_{false};         ///< The kernel's STREAMON is under way.
    std::atomic<bool> waits_for_first_{false};  ///< The waiter cannot look at the kernel yet.
    std::atomic<int> waiter_tid_{0};
    Sync sync_;
};

}  // namespace v4lfence
