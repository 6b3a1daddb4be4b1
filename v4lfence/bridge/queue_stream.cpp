// SPDX-License-Identifier: MIT
//
// STREAMON and STREAMOFF, the calls that make and drop buffers, and the end of the file. The kernel
// comes first; what it agreed to is carried out here (SEMANTICS 5.4, 6.7).

#include <algorithm>
#include <cstring>

#include "v4lfence/base/syscall.hpp"
#include "v4lfence/bridge/queue.hpp"
#include "v4lfence/uapi/fence_query.hpp"
#include "v4lfence/uapi/remove_bufs.hpp"

namespace v4lfence {

namespace {

bool is_gone(int error) {
    return error == -ENODEV;
}

}  // namespace

Result<> BridgeQueue::streamon(int* type) {
    const std::lock_guard lock(queueing_mutex_);
    starting_.store(true);
    const auto answer = sys::ioctl(fd_, VIDIOC_STREAMON, type);
    const auto started = answer ? sync_.stream_on() : Result<>();
    starting_.store(false);
    V4LFENCE_TRY(answer);
    V4LFENCE_TRY(started);
    watch_.on_given();
    return {};
}

Result<> BridgeQueue::streamoff(int* type) {
    const std::lock_guard lock(queueing_mutex_);
    return cancel_with(VIDIOC_STREAMOFF, type, -ECANCELED);
}

/// Nothing is given while the kernel decides; what it has finished by then ends well, the rest with
/// `error`.
Result<> BridgeQueue::cancel_with(unsigned long request, void* argument, int error) {
    const Sync::Pause pause(sync_);
    watch_.pause();
    const std::lock_guard no_dqbuf(dqbuf_mutex_);
    scan();  // While the kernel still shows what is done, and how.
    const auto answer = sys::ioctl(fd_, request, argument);
    if (!answer && !is_gone(answer.error().code)) {
        watch_.resume();
        return v4lfence::fail(answer.error().code, "the kernel refused");
    }
    if (answer) {
        finish_stopped();
    }
    sync_.cancel(answer ? error : -ENODEV);
    owner_checked_ = false;
    watch_.resume();
    if (!answer) {
        return v4lfence::fail(answer.error().code, "the device is gone");
    }
    return {};
}

/// What was finished since the last look: a stopped queue shows each buffer as the program's, but
/// one that was filled has the time of its capture and its size, which videobuf2 clears at QBUF.
void BridgeQueue::finish_stopped() {
    if (!shows_states_) {
        return;  // The time is that of any earlier frame.
    }
    for (auto job = sync_.first_given_fence(); job; job = sync_.next_given_fence(*job)) {
        const auto seen = ask_kernel(job->index);
        const bool stamped =
            seen && (seen->buffer.timestamp.tv_sec != 0 || seen->buffer.timestamp.tv_usec != 0);
        const bool sized = is_multiplanar(type_) || (seen && seen->buffer.bytesused != 0);
        if (stamped && sized && !V4L2_TYPE_IS_OUTPUT(type_)) {
            sync_.finish(*job, 0, seen->buffer.sequence);
        }
    }
}

Result<> BridgeQueue::reqbufs(v4l2_requestbuffers& request) {
    const std::lock_guard lock(queueing_mutex_);
    const auto answer = cancel_with(VIDIOC_REQBUFS, &request, -ECANCELED);
    if (!answer) {
        if (known_ > 0 && !ask_kernel(0)) {
            // It has freed the old buffers before it found that it cannot have new ones.
            const Sync::Pause pause(sync_);
            sync_.cancel(-ECANCELED);
            forget_buffers();
        }
        return answer;
    }
    forget_buffers();
    refresh_order(fd_);
    V4LFENCE_TRY(adopt());
    request.capabilities |= capabilities();
    return {};
}

Result<> BridgeQueue::create_bufs(v4l2_create_buffers& request) {
    const std::lock_guard lock(queueing_mutex_);
    V4LFENCE_TRY(sys::ioctl(fd_, VIDIOC_CREATE_BUFS, &request));
    for (std::uint32_t made = 0; made < request.count; ++made) {
        V4LFENCE_TRY(learn(request.index + made));
    }
    request.capabilities |= capabilities();
    return {};
}

Result<> BridgeQueue::remove_bufs(void* range) {
    const std::lock_guard lock(queueing_mutex_);
    const auto& asked = *static_cast<const RemoveBuffers*>(range);
    const Sync::Pause pause(sync_);
    const std::size_t end = std::min<std::size_t>(std::size_t{asked.index} + asked.count, known_);
    for (std::size_t index = asked.index; index < end; ++index) {
        if (sync_.view(static_cast<unsigned>(index)).state != SlotState::Dequeued) {
            return v4lfence::fail(-EBUSY, "a buffer is queued");
        }
    }
    V4LFENCE_TRY(sys::ioctl(fd_, remove_bufs_request, range));
    for (std::size_t index = asked.index; index < end; ++index) {
        BridgeBuffer& removed = buffers_.make(static_cast<unsigned>(index));
        removed.exists.store(false);
        removed.exported.clear();
    }
    return {};
}

Result<> BridgeQueue::expbuf(v4l2_exportbuffer& request) {
    const std::lock_guard lock(queueing_mutex_);
    v4l2_exportbuffer asked = request;
    V4LFENCE_TRY(sys::ioctl(fd_, VIDIOC_EXPBUF, &asked));
    UniqueFd exported(asked.fd);
    if (!knows(asked.index)) {
        V4LFENCE_TRY(learn(asked.index));
    }
    V4LFENCE_TRY(buffers_.find(asked.index)->exported.add(asked.plane, exported.get()));
    request = asked;
    static_cast<void>(std::move(exported).release());  // The program's, by the number it was told.
    return {};
}

std::uint32_t BridgeQueue::capabilities() const {
    return V4L2_BUF_CAP_SUPPORTS_FENCES | (sync_.view().ordered ? V4L2_BUF_CAP_IS_ORDERED : 0);
}

void BridgeQueue::close() {
    int type = static_cast<int>(type_);
    const std::lock_guard lock(queueing_mutex_);
    if (!cancel_with(VIDIOC_STREAMOFF, &type, -ECANCELED)) {
        // It cannot be stopped any more, and the descriptor goes now.
        const Sync::Pause pause(sync_);
        sync_.cancel(-ENODEV);
    }
    sync_.hide();
}

void BridgeQueue::close_unreachable() {
    const std::lock_guard lock(queueing_mutex_);
    const Sync::Pause pause(sync_);
    watch_.pause();
    const std::lock_guard no_dqbuf(dqbuf_mutex_);
    sync_.cancel(-ECANCELED);
    sync_.hide();
}

// --- what is to be seen --------------------------------------------------------------------------

Result<> BridgeQueue::querybuf(int by, v4l2_buffer& buffer) {
    buffer.flags &= ~fence_flags;
    buffer.reserved2 = 0;
    const SlotView slot = sync_.view(buffer.index);
    V4LFENCE_TRY(sys::ioctl(by, VIDIOC_QUERYBUF, &buffer));
    overlay(buffer, slot);
    return {};
}

Result<> BridgeQueue::prepare_buf(v4l2_buffer& buffer) {
    const std::lock_guard lock(queueing_mutex_);
    V4LFENCE_TRY(check(buffer));
    buffer.flags &= ~fence_flags;
    buffer.reserved2 = 0;
    V4LFENCE_TRY(sys::ioctl(fd_, VIDIOC_PREPARE_BUF, &buffer));
    return {};
}

void BridgeQueue::overlay(v4l2_buffer& buffer, const SlotView& slot) const {
    buffer.flags &= ~fence_flags;
    buffer.reserved2 = 0;
    if (slot.state == SlotState::Dequeued) {
        return;
    }
    const Payload& payload = buffers_.find(buffer.index)->payload;
    const bool given = slot.state == SlotState::Given || slot.state == SlotState::Done;
    if (given) {
        payload.restore_numbers(buffer);
        const bool show_error = slot.expired && (buffer.flags & V4L2_BUF_FLAG_DONE);
        buffer.flags |= show_error ? V4L2_BUF_FLAG_ERROR : 0;
    } else {
        payload.show_in(buffer);
        buffer.flags &= ~(V4L2_BUF_FLAG_PREPARED | V4L2_BUF_FLAG_DONE | V4L2_BUF_FLAG_ERROR);
        const bool finished = slot.state == SlotState::Failed && !slot.out_fence_pending;
        buffer.flags |= finished ? V4L2_BUF_FLAG_DONE | V4L2_BUF_FLAG_ERROR : V4L2_BUF_FLAG_QUEUED;
    }
    buffer.flags |= slot.in_fence_pending ? V4L2_BUF_FLAG_IN_FENCE : 0;
    buffer.flags |= slot.out_fence_pending ? V4L2_BUF_FLAG_OUT_FENCE : 0;
    v4l2_buffer_fence_fd(&buffer) = buffer.flags & fence_flags ? -1 : 0;
}

Result<> BridgeQueue::query_fences(v4l2_query_fences& query) {
    const QueueView view = sync_.view();
    const ProviderTraits* traits = V4LFENCE_TRY(out_fences_.traits(options_.maker(), view));
    answer_fence_query(query, *traits, view.ordered, options_.deadline_ms.load());
    return {};
}

}  // namespace v4lfence
