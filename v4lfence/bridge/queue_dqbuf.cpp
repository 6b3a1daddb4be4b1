// SPDX-License-Identifier: MIT
//
// The way out: what the kernel has finished, DQBUF, and the wait for it.

#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>

#include <algorithm>
#include <utility>

#include "v4lfence/base/syscall.hpp"
#include "v4lfence/bridge/queue.hpp"

namespace v4lfence {

namespace {

int error_of(const v4l2_buffer& finished) {
    return finished.flags & V4L2_BUF_FLAG_ERROR ? -EIO : 0;
}

}  // namespace

/// Looks at the kernel's fenced buffers from the oldest. On an ordered queue the first that is not
/// done ends the look, unless nothing was done at all: then something else woke us, and a later one
/// may be.
unsigned BridgeQueue::scan() {
    const bool ordered = sync_.view().ordered;
    unsigned found = 0;
    for (auto job = sync_.first_given_fence(); job; job = sync_.next_given_fence(*job)) {
        const auto seen = ask_kernel(job->index);
        if (!seen) {
            break;
        }
        if (seen->buffer.flags & V4L2_BUF_FLAG_DONE) {
            sync_.finish(*job, error_of(seen->buffer), seen->buffer.sequence);
            ++found;
        } else if (ordered && found > 0) {
            break;
        }
    }
    return found;
}

bool BridgeQueue::has_fences_in_kernel() const {
    for (auto job = sync_.first_given_fence(); job; job = sync_.next_given_fence(*job)) {
        const auto seen = ask_kernel(job->index);
        if (seen && is_kernels(seen->buffer.flags)) {
            return true;
        }
    }
    return false;
}

Result<BridgeQueue::Outcome> BridgeQueue::try_dqbuf(v4l2_buffer& buffer, Look look) {
    const std::lock_guard lock(dqbuf_mutex_);
    const int waiter = waiter_tid_.load();
    if (waiter != 0 && waiter != sys::thread_id()) {
        return v4lfence::fail(-EBUSY, "another thread waits for a buffer");
    }
    const QueueView view = sync_.view();
    if (view.failure != 0) {
        return v4lfence::fail(view.failure, "the queue has failed");
    }
    if (const auto failed = sync_.next_failed()) {
        return return_failed(*failed, buffer);
    }
    if (view.done > 0 || (look.kernel_ready && look.generation == view.generation)) {
        return dqbuf_from_kernel(buffer);
    }
    if (view.failed > 0) {
        if (view.given_any && kernel_has_finished()) {
            return dqbuf_from_kernel(buffer);
        }
        if (const auto failed = sync_.next_failed_when_stalled()) {
            return return_failed(*failed, buffer);
        }
    }
    if (V4LFENCE_TRY(sys::get_status_flags(fd_)) & O_NONBLOCK) {
        return dqbuf_from_kernel(buffer);
    }
    if (!view.streaming) {
        // Asked now, the kernel might wait in a stream that another thread has just begun.
        V4LFENCE_TRY(probe_owner());
        return v4lfence::fail(-EINVAL, "the stream is not on");
    }
    return Outcome::MustWait;
}

bool BridgeQueue::kernel_has_finished() const {
    const auto ready = sys::poll_now(fd_, V4L2_TYPE_IS_OUTPUT(type_) ? POLLOUT : POLLIN);
    return ready && *ready != 0;
}

Result<BridgeQueue::Outcome> BridgeQueue::dqbuf_from_kernel(v4l2_buffer& buffer) {
    buffer.flags &= ~fence_flags;
    buffer.reserved2 = 0;
    const auto taken = sys::ioctl(fd_, VIDIOC_DQBUF, &buffer);
    if (!taken) {
        const int error = taken.error().code;
        if (error == -ENODEV || error == -EIO) {
            sync_.fail_queue(error);
        }
        return v4lfence::fail(error, "VIDIOC_DQBUF");
    }
    // The job cannot change meanwhile: the program does not have the buffer yet, and who stops the
    // queue takes the same lock.
    const SlotView slot = sync_.view(buffer.index);
    sync_.finish(slot.job, error_of(buffer), buffer.sequence);
    sync_.dequeue(buffer.index);
    if (const BridgeBuffer* known = buffers_.find(buffer.index)) {
        known->payload.restore_numbers(buffer);
    }
    if (slot.expired) {
        buffer.flags |= V4L2_BUF_FLAG_ERROR;
    }
    return Outcome::Dequeued;
}

/// A buffer that the kernel never had, or has refused.
Result<BridgeQueue::Outcome> BridgeQueue::return_failed(unsigned index, v4l2_buffer& buffer) {
    BridgeBuffer& known = *buffers_.find(index);
    if (is_multiplanar(type_) && buffer.length < known.geometry.buffer.length) {
        return v4lfence::fail(-EINVAL, "too few planes");
    }
    known.geometry.write_to(buffer);
    known.payload.show_in(buffer);
    buffer.bytesused = 0;
    buffer.sequence = 0;
    buffer.timestamp = {};
    buffer.flags &=
        ~(fence_flags | V4L2_BUF_FLAG_QUEUED | V4L2_BUF_FLAG_DONE | V4L2_BUF_FLAG_PREPARED);
    buffer.flags |= V4L2_BUF_FLAG_ERROR;
    buffer.reserved2 = 0;
    sync_.dequeue(index);
    known.payload.drop_memory();
    return Outcome::Dequeued;
}

// --- the wait ------------------------------------------------------------------------------------

Result<WaitPlan> BridgeQueue::begin_wait(int by) {
    {
        const std::lock_guard lock(dqbuf_mutex_);
        V4LFENCE_TRY(waiter_wake_.open());
        int nobody = 0;
        if (!waiter_tid_.compare_exchange_strong(nobody, sys::thread_id())) {
            return v4lfence::fail(-EBUSY, "another thread waits for a buffer");
        }
    }
    waits_for_first_.store(true);
    waiter_wake_.begin();
    const QueueView view = sync_.view();
    if (!view.streaming && view.failure == 0) {
        waiter_tid_.store(0);
        waiter_wake_.end();
        return v4lfence::fail(-EINVAL, "the stream has ended");
    }
    // What happened before begin() rang no bell.
    if (view.failure != 0 || has_returnable()) {
        wake();
    }
    if (view.given_any) {
        waits_for_first_.store(false);
    }
    sync_.show_waiting(true);
    const short events = V4L2_TYPE_IS_OUTPUT(type_) ? POLLOUT : POLLIN;
    return WaitPlan{waiter_wake_.fd(), view.given_any ? by : -1, events, view.generation};
}

Result<> BridgeQueue::end_wait(const WaitPlan& plan) {
    sync_.show_waiting(false);
    waiter_tid_.store(0);
    waiter_wake_.end();
    const QueueView view = sync_.view();
    if (view.failure == 0 && (view.generation != plan.generation || !view.streaming)) {
        return v4lfence::fail(-EINVAL, "the stream has ended");
    }
    return {};
}

}  // namespace v4lfence
