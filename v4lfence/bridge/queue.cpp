// SPDX-License-Identifier: MIT
//
// The way in: what the kernel has at the start, QBUF, and the hand-over to the kernel.

#include "v4lfence/bridge/queue.hpp"

#include <sys/sysmacros.h>

#include <algorithm>
#include <string>
#include <utility>

#include "v4lfence/base/syscall.hpp"
#include "v4lfence/bridge/node.hpp"

namespace v4lfence {

namespace {

DmaBufAccess access_of(std::uint32_t type) {
    return V4L2_TYPE_IS_OUTPUT(type) ? DmaBufAccess::Read : DmaBufAccess::Write;
}

}  // namespace

BridgeQueue::BridgeQueue(Core& core, DeviceWatch& watch, const FileOptions& options,
                         const std::atomic<int>& fd, std::uint32_t type)
    : ReactorWaits(core.reactor(), sync_), core_(core), watch_(watch), options_(options), fd_(fd),
      type_(type), shows_states_(kernel_shows_buffer_states(fd)), out_fences_(core),
      sync_(*this, *this, core.clock(), core.counters()) {}

Result<std::unique_ptr<BridgeQueue>>
BridgeQueue::create(Core& core, DeviceWatch& watch, const FileOptions& options,
                    const std::atomic<int>& fd, std::uint32_t type, bool adopts, bool streaming) {
    V4LFENCE_TRY(check_kernel_queue(fd, type));
    std::unique_ptr<BridgeQueue> queue(new BridgeQueue(core, watch, options, fd, type));
    V4LFENCE_TRY(queue->open());
    queue->refresh_order(fd);
    if (!adopts || !queue->check_owner()) {
        return queue;  // Its buffers are another handle's.
    }
    V4LFENCE_TRY(queue->adopt());
    if (streaming) {
        V4LFENCE_TRY(queue->sync_.stream_on());
    }
    return queue;
}

Result<> BridgeQueue::adopt() {
    unsigned index = 0;
    while (learn(index)) {
        ++index;
    }
    return {};
}

Result<BufferCopy> BridgeQueue::ask_kernel(unsigned index) const {
    BufferCopy seen = BufferCopy::query(type_, index);
    V4LFENCE_TRY(sys::ioctl_retry(fd_, VIDIOC_QUERYBUF, &seen.buffer));
    return seen;
}

/// Makes the buffer known here. Errors: EINVAL the kernel has none of this index.
Result<> BridgeQueue::learn(unsigned index) {
    if (index >= BufferTable::size_max) {
        return v4lfence::fail(-EINVAL, "no buffer of this index");
    }
    const BufferCopy seen = V4LFENCE_TRY(ask_kernel(index));
    BridgeBuffer& buffer = buffers_.make(index);
    buffer.geometry = seen;
    buffer.exists.store(true);
    has_buffers_.store(true);
    known_ = std::max(known_, index + 1);
    if (index >= sync_.size()) {
        resize(index + 1);
        sync_.resize(index + 1);
    }
    if (shows_states_ && is_kernels(seen.buffer.flags) &&
        sync_.view(index).state == SlotState::Dequeued) {
        sync_.adopt_given(index);
    }
    return {};
}

void BridgeQueue::forget_buffers() {
    for (unsigned index = 0; index < known_; ++index) {
        if (BridgeBuffer* buffer = buffers_.find(index)) {
            buffer->exists.store(false);
            buffer->payload.drop_memory();
            buffer->exported.clear();
        }
    }
    known_ = 0;
    has_buffers_.store(false);
    sync_.resize(0);
}

void BridgeQueue::refresh_order(int by) {
    SyncOptions options;
    options.ordered = kernel_queue_is_ordered(by);
    sync_.set_options(options);
}

// --- QBUF ----------------------------------------------------------------------------------------

/// Step 1, finding the file, is the way in's. Steps 5 and 6 are scan() and try_dqbuf().
Result<> BridgeQueue::qbuf(v4l2_buffer& buffer) {
    Core::LoopUse loop;  // Ends with no lock held: that may wait for a fork, which waits for us.
    const std::lock_guard lock(queueing_mutex_);
    V4LFENCE_TRY(check(buffer));

    // 2. The in-fence becomes ours; an error so far changes nothing.
    InFence in = V4LFENCE_TRY(take_in_fence(buffer));
    const bool has_in_fence = in.pending.has_value();
    const ImplicitFences implicit = implicit_fences(buffer);
    std::optional<Fence> busy = V4LFENCE_TRY(implicit.take());
    const QueueView view = sync_.view();
    const bool will_be_held = has_in_fence || busy || view.held > 0;
    if (will_be_held || in.error != 0) {
        V4LFENCE_TRY(check_held(buffer, implicit));
    }
    Undo undo(*this, buffer.index, loop);
    BridgeBuffer& known = *buffers_.find(buffer.index);
    V4LFENCE_TRY(known.payload.assign(buffer, known.geometry.plane_count(), will_be_held));
    const bool has_out_fence =
        (buffer.flags & V4L2_BUF_FLAG_OUT_FENCE) || implicit.puts_out_fence(view);
    if (has_in_fence || busy || has_out_fence) {
        V4LFENCE_TRY(undo.prepare());
    }

    // 3. The out-fence is minted, its descriptor reserved.
    OutFence out = V4LFENCE_TRY(mint_out_fence(buffer, implicit));

    // 4. Commit; the gate's step gives what is ready or leaves it to the fence's end.
    V4LFENCE_TRY(sync_.queue(Submission{buffer.index, std::move(in.pending), in.error,
                                        std::move(busy), std::move(out.promise),
                                        options_.deadline(), out.bound, queued_by(buffer, out)}));
    undo.keep();
    if (!will_be_held && sync_.view(buffer.index).state == SlotState::Held) {
        // Another thread holds the token and gives it in a moment, from memory that is not ours to
        // keep.
        const Sync::Pause until_given(sync_);
    }
    show_queued(buffer, std::move(out.fd).release(), has_in_fence);
    return {};
}

Result<> BridgeQueue::Undo::prepare() {
    if (!queue_.watch_.keeps_loop()) {
        loop_ = V4LFENCE_TRY(queue_.core_.use_loop());
    }
    {
        const std::lock_guard lock(queue_.dqbuf_mutex_);
        opened_wake_ = queue_.waiter_wake_.fd() < 0;
        V4LFENCE_TRY(queue_.waiter_wake_.open());
    }
    began_to_show_ = queue_.show();
    return {};
}

void BridgeQueue::Undo::keep() {
    kept_ = true;
    queue_.out_fences_.keep();
    if (loop_) {
        queue_.watch_.keep_loop(std::move(loop_));
    }
}

BridgeQueue::Undo::~Undo() {
    if (kept_) {
        return;
    }
    if (began_to_show_) {
        queue_.sync_.hide();
    }
    queue_.buffers_.find(index_)->payload.drop_memory();
    queue_.out_fences_.forget(index_);
    const std::lock_guard lock(queue_.dqbuf_mutex_);
    if (opened_wake_ && queue_.waiter_tid_.load() == 0) {
        queue_.waiter_wake_.close();
    }
}

Result<> BridgeQueue::check(const v4l2_buffer& buffer) {
    if ((buffer.flags & V4L2_BUF_FLAG_REQUEST_FD) && (buffer.flags & fence_flags)) {
        return v4lfence::fail(-EINVAL, "a request and a fence on one buffer");
    }
    const auto fence_fd = static_cast<std::int32_t>(buffer.reserved2);
    if (!(buffer.flags & V4L2_BUF_FLAG_IN_FENCE) && fence_fd != 0 && fence_fd != -1) {
        return v4lfence::fail(-EINVAL, "fence_fd without IN_FENCE");
    }
    Result<> queueable = knows(buffer.index) ? Result<>() : learn(buffer.index);
    if (queueable) {
        queueable = sync_.check_queueable(buffer.index);
    }
    if (!queueable && queueable.error().code == -EINVAL) {
        // Whose queue it is comes before what is wrong with the buffer.
        owner_checked_ = false;
        V4LFENCE_TRY(check_owner());
    }
    return queueable;
}

/// What the kernel would say at once and now cannot, because it does not see the buffer yet.
Result<> BridgeQueue::check_held(const v4l2_buffer& buffer, const ImplicitFences& implicit) {
    if (buffer.flags & V4L2_BUF_FLAG_REQUEST_FD) {
        // Its request may be queued, or gone, by the time that the buffer could be given.
        return v4lfence::fail(-EINVAL, "a request's buffer behind those that are held");
    }
    V4LFENCE_TRY(check_owner());
    const v4l2_buffer& known = buffers_.find(buffer.index)->geometry.buffer;
    if (buffer.memory != known.memory) {
        return v4lfence::fail(-EINVAL, "not the queue's memory type");
    }
    if (is_multiplanar(type_) && buffer.length < known.length) {
        return v4lfence::fail(-EINVAL, "too few planes");
    }
    return buffer.memory == V4L2_MEMORY_DMABUF ? implicit.check_dma_bufs() : Result<>();
}

/// Asked once a generation: a queue that another handle streams from or reads from says EBUSY to
/// everything.
Result<> BridgeQueue::check_owner() {
    if (!owner_checked_) {
        V4LFENCE_TRY(probe_owner());
        owner_checked_ = true;
    }
    return {};
}

Result<> BridgeQueue::probe_owner() const {
    BufferCopy none = BufferCopy::query(type_, UINT32_MAX);
    none.buffer.memory = V4L2_MEMORY_MMAP;
    const auto answer = sys::ioctl_retry(fd_, VIDIOC_PREPARE_BUF, &none.buffer);
    if (!answer && (answer.error().code == -EBUSY || answer.error().code == -ENODEV)) {
        return v4lfence::fail(answer.error().code, "the queue is in use");
    }
    return {};
}

Result<BridgeQueue::InFence> BridgeQueue::take_in_fence(const v4l2_buffer& buffer) {
    if (!(buffer.flags & V4L2_BUF_FLAG_IN_FENCE)) {
        return InFence{};
    }
    const auto fd = static_cast<std::int32_t>(buffer.reserved2);
    ImportedFence imported = V4LFENCE_TRY(Fence::import(fd, access_of(type_), likely_kind_));
    if (imported.pending) {
        likely_kind_ = imported.pending->kind();
    }
    return InFence{std::move(imported.pending), imported.status.error};
}

Result<OutFence> BridgeQueue::mint_out_fence(const v4l2_buffer& buffer,
                                             const ImplicitFences& implicit) {
    return implicit.mint(out_fences_, options_, buffer.index, sync_.view(),
                         (buffer.flags & V4L2_BUF_FLAG_OUT_FENCE) != 0);
}

/// With the dma-bufs that the buffer has now: what was exported of it, or what is queued. None for
/// a request's: it is queued when the request is, which nobody here sees.
ImplicitFences BridgeQueue::implicit_fences(const v4l2_buffer& buffer) const {
    ImplicitFences implicit(options_, access_of(type_));
    if (!implicit.wanted() || (buffer.flags & V4L2_BUF_FLAG_REQUEST_FD)) {
        return implicit;
    }
    const BridgeBuffer& known = *buffers_.find(buffer.index);
    if (buffer.memory == V4L2_MEMORY_MMAP) {
        known.exported.collect(implicit.dma_bufs());
    }
    const BufferCopy asked(buffer);
    const unsigned planes = std::min(asked.plane_count(), known.geometry.plane_count());
    for (unsigned plane = 0; buffer.memory == V4L2_MEMORY_DMABUF && plane < planes; ++plane) {
        implicit.dma_bufs().add(asked.memory_fd(plane));
    }
    return implicit;
}

/// What QBUF returns: the kernel's answer where it has the buffer, its likeness where it has not.
void BridgeQueue::show_queued(v4l2_buffer& buffer, int out_fd, bool in_fence) const {
    const BridgeBuffer& known = *buffers_.find(buffer.index);
    const std::uint32_t asked = buffer.flags & fence_flags;
    if (sync_.view(buffer.index).was_held) {
        const v4l2_buffer& geometry = known.geometry.buffer;
        constexpr std::uint32_t kernels =
            V4L2_BUF_FLAG_MAPPED | V4L2_BUF_FLAG_TIMESTAMP_MASK | V4L2_BUF_FLAG_TSTAMP_SRC_MASK;
        constexpr std::uint32_t states =
            V4L2_BUF_FLAG_DONE | V4L2_BUF_FLAG_ERROR | V4L2_BUF_FLAG_PREPARED;
        buffer.flags &= ~(kernels | states | fence_flags);
        buffer.flags |= (geometry.flags & kernels) | V4L2_BUF_FLAG_QUEUED;
        if (buffer.memory == V4L2_MEMORY_MMAP && !is_multiplanar(type_)) {
            buffer.m.offset = geometry.m.offset;
            buffer.length = geometry.length;
        }
    } else {
        known.taken.write_to(buffer);
        known.payload.restore_numbers(buffer);
    }
    buffer.flags |= asked & V4L2_BUF_FLAG_OUT_FENCE;
    buffer.flags |= in_fence ? V4L2_BUF_FLAG_IN_FENCE : 0;
    v4l2_buffer_fence_fd(&buffer) = out_fd >= 0 || asked != 0 ? out_fd : 0;
}

// --- the kernel takes ----------------------------------------------------------------------------

Taker::Answer BridgeQueue::give(unsigned index) {
    BridgeBuffer& buffer = *buffers_.find(index);
    BufferCopy payload = buffer.payload.for_kernel();
    const auto answer = sys::ioctl_retry(fd_, VIDIOC_QBUF, &payload.buffer);
    if (!answer) {
        return judge(index, answer.error().code);
    }
    buffer.taken = payload;
    buffer.payload.drop_memory();
    return {};
}

/// Why the kernel did not take it. A buffer whose content was accepted reads as PREPARED
/// afterwards: what failed was the start of the stream (videobuf2 puts such a buffer back).
Taker::Answer BridgeQueue::judge(unsigned index, int error) {
    if (error == -ENODEV) {
        return {Verdict::Gone, error};
    }
    const auto now = ask_kernel(index);
    if ((starting_.load() || sync_.view().streaming) && now &&
        (now->buffer.flags & V4L2_BUF_FLAG_PREPARED)) {
        return {Verdict::StartFailed, error};
    }
    return {error == -EIO ? Verdict::Gone : Verdict::Refused, error};
}

/// Never asked: the kernel starts by itself.
Taker::Answer BridgeQueue::start(unsigned /*count*/) {
    return {};
}

// --- what is to be seen from outside -------------------------------------------------------------

/// From the first fence on, with queueing_mutex_. False: it is shown already, or cannot be.
bool BridgeQueue::show() {
    TraceBoard* const board = core_.board();
    if (board == nullptr || !sync_.may_show_on(*board)) {
        return false;
    }
    const std::string path = sys::describe_fd(fd_).value_or("?");
    const auto info = sys::fstat(fd_);
    QueueOwner owner;
    const std::string name = path + (V4L2_TYPE_IS_OUTPUT(type_) ? " output" : " capture");
    owner.name = name;
    owner.type = type_;
    owner.device_major = info ? gnu_dev_major(info->st_rdev) : 0;
    owner.device_minor = info ? gnu_dev_minor(info->st_rdev) : 0;
    return sync_.show_on(*board, owner);
}

QueuedBy BridgeQueue::queued_by(const v4l2_buffer& buffer, const OutFence& out) const {
    QueuedBy by;
    by.fd = fd_;
    by.out_fence_fd = out.fd.get();
    by.provider = out.provider;
    if (buffer.flags & V4L2_BUF_FLAG_IN_FENCE) {
        by.in_fence_fd = static_cast<std::int32_t>(buffer.reserved2);
    }
    return by;
}

// --- what others wait for ------------------------------------------------------------------------

void BridgeQueue::wake() {
    waiter_wake_.notify();
    watch_.wake_pollers();
}

void BridgeQueue::on_given() {
    watch_.on_given();
    if (waits_for_first_.exchange(false)) {
        waiter_wake_.notify();
    }
}

void BridgeQueue::abandon() noexcept {
    for (unsigned index = 0; index < known_; ++index) {
        if (BridgeBuffer* buffer = buffers_.find(index)) {
            buffer->exported.clear();
        }
    }
    sync_.abandon();
    out_fences_.abandon();
}

}  // namespace v4lfence
