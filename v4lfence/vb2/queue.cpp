// SPDX-License-Identifier: MIT
//
// The way in: preparing, QBUF, and the hand-over to the driver. What makes buffers is in
// queue_buffers.cpp, the way out in queue_done.cpp.

#include "v4lfence/vb2/queue.hpp"

#include <algorithm>
#include <utility>

#include "v4lfence/vb2/memory_dmabuf.hpp"
#include "v4lfence/vb2/memory_userptr.hpp"

namespace v4lfence {

Queue::Queue(const QueueTraits& traits, Driver& driver, Core& core, MemoryMakers& makers,
             ReadyListener& listener)
    : ReactorWaits(core.reactor(), sync_), traits_(traits), driver_(driver), core_(core),
      makers_(makers), listener_(listener), out_fences_(core),
      sync_(*this, *this, core.clock(), core.counters()) {}

Result<std::unique_ptr<Queue>> Queue::create(const QueueTraits& traits, Driver& driver, Core& core,
                                             MemoryMakers& makers, ReadyListener& listener) {
    std::unique_ptr<Queue> queue(new Queue(traits, driver, core, makers, listener));
    V4LFENCE_TRY(queue->open());
    queue->set_ordered(true);
    return queue;
}

Queue::~Queue() {
    close();
}

void Queue::set_ordered(bool ordered) {
    SyncOptions options;
    options.ordered = ordered;
    options.taker_starts = false;
    options.minimum = traits_.minimum_queued;
    sync_.set_options(options);
}

void Queue::show_as(std::string name, std::uint32_t type) {
    shown_name_ = std::move(name);
    shown_type_ = type;
}

Queue::Slot* Queue::find(unsigned index) const {
    Slot* const slot = slots_.find(index);
    return slot != nullptr && index < end_.load() && slot->memory ? slot : nullptr;
}

// --- PREPARE_BUF ---------------------------------------------------------------------------------

Result<> Queue::check(unsigned index, const BufferSettings& settings) const {
    const Slot* const slot = find(index);
    if (slot == nullptr) {
        return v4lfence::fail(-EINVAL, "no buffer of this index");
    }
    if (settings.memory != memory_.load()) {
        return v4lfence::fail(-EINVAL, "not the queue's memory type");
    }
    if (settings.plane_count < slot->shape.plane_count) {
        return v4lfence::fail(-EINVAL, "too few planes");
    }
    V4LFENCE_TRY(sync_.check_queueable(index));
    // What PREPARE_BUF was told of the planes holds.
    return slot->prepared ? Result<>() : check_planes(*slot, settings);
}

Result<> Queue::check_planes(const Slot& slot, const BufferSettings& settings) const {
    for (unsigned i = 0; i < slot.shape.plane_count; ++i) {
        const PlaneSettings& plane = settings.planes[i];
        const bool own = settings.memory == MemoryKind::Mmap;
        const bool whole_dmabuf = settings.memory == MemoryKind::Dmabuf && plane.length == 0;
        const std::uint32_t length = own ? slot.shape.sizes[i] : plane.length;
        if (!own && !whole_dmabuf && length < slot.shape.sizes[i]) {
            return v4lfence::fail(-EINVAL, "a plane is too short for the format");
        }
        if (traits_.access == DeviceAccess::Write) {
            continue;
        }
        const std::uint32_t used = plane.bytes_used != 0 ? plane.bytes_used : length;
        if (used > length || (plane.data_offset > 0 && plane.data_offset >= used)) {
            return v4lfence::fail(-EINVAL, "bytesused or data_offset of a plane");
        }
    }
    return {};
}

Result<std::unique_ptr<PlaneMemory>>
Queue::acquire_plane(const BufferSettings& settings, unsigned index, std::uint32_t size) const {
    const PlaneSettings& plane = settings.planes[index];
    if (settings.memory == MemoryKind::Dmabuf) {
        return DmabufMemory::attach(plane.fd, plane.length, traits_.access);
    }
    if (settings.program) {
        return ProgramPlane::acquire(settings.program, plane.address, plane.length, size,
                                     traits_.access);
    }
    return UserptrMemory::acquire(plane.address, plane.length, traits_.access);
}

/// The memory that the program names now; NULL where it is what the buffer has already.
Result<std::shared_ptr<BufferMemory>> Queue::acquire_memory(const Slot& slot,
                                                            const BufferSettings& settings) const {
    const auto is_same = [&](unsigned i) {
        const PlaneMemory* memory = slot.memory->planes[i].get();
        const PlaneSettings& plane = settings.planes[i];
        return settings.memory == MemoryKind::Mmap ||
               (memory != nullptr &&
                (settings.memory == MemoryKind::Userptr
                     ? memory->is_userptr(plane.address, plane.length, settings.program.get())
                     : memory->is_dmabuf(plane.fd, plane.length)));
    };
    unsigned same = 0;
    while (same < slot.shape.plane_count && is_same(same)) {
        ++same;
    }
    if (same == slot.shape.plane_count) {
        return std::shared_ptr<BufferMemory>();
    }
    auto memory = std::make_shared<BufferMemory>();
    memory->index = slot.memory->index;
    memory->plane_count = slot.shape.plane_count;
    for (unsigned i = 0; i < memory->plane_count; ++i) {
        memory->planes[i] = V4LFENCE_TRY(acquire_plane(settings, i, slot.shape.sizes[i]));
        if (memory->planes[i]->bytes().size() < slot.shape.sizes[i]) {
            return v4lfence::fail(-EINVAL, "a dma-buf is too short for the format");
        }
    }
    return memory;
}

Result<> Queue::prepare_memory(Slot& slot, const BufferSettings& settings) {
    auto acquired = V4LFENCE_TRY(acquire_memory(slot, settings));
    const BufferMemory& memory = acquired ? *acquired : *slot.memory;
    if (acquired) {
        V4LFENCE_TRY(driver_.buf_init(memory));
    }
    V4LFENCE_TRY(driver_.buf_prepare(memory, settings));
    const std::lock_guard lock(mutex_);
    if (acquired) {
        slot.memory.swap(acquired);  // What it was goes when no lock is held.
    }
    slot.settings = settings;
    for (unsigned i = 0; traits_.access == DeviceAccess::Read && i < slot.shape.plane_count; ++i) {
        PlaneSettings& plane = slot.settings.planes[i];
        const std::size_t all = slot.memory->planes[i]->bytes().size();
        plane.bytes_used =
            plane.bytes_used != 0 ? plane.bytes_used : static_cast<std::uint32_t>(all);
    }
    slot.prepared = true;
    slot.finished = 0;
    slot.error = 0;
    return {};
}

Result<BufferReport> Queue::prepare(unsigned index, const BufferSettings& settings) {
    const std::lock_guard lock(queueing_mutex_);
    V4LFENCE_TRY(check(index, settings));
    if (find(index)->prepared) {
        return v4lfence::fail(-EINVAL, "the buffer is prepared already");
    }
    V4LFENCE_TRY(prepare_memory(*find(index), settings));
    return report(index, sync_.view(index));
}

// --- QBUF ----------------------------------------------------------------------------------------

/// Steps 2 to 4 of the life of a QBUF (ARCHITECTURE.md).
Result<Queue::Queued> Queue::queue(unsigned index, const BufferSettings& settings,
                                   const BufferFences& fences, const FileOptions& options) {
    Core::LoopUse loop;  // Ends with no lock held: that may wait for a fork, which waits for us.
    const std::lock_guard lock(queueing_mutex_);
    V4LFENCE_TRY(check(index, settings));

    // 2. The in-fence becomes ours; an error so far changes nothing.
    InFence in = V4LFENCE_TRY(take_in_fence(fences));
    const bool has_in_fence = in.pending.has_value();
    Preparation preparation(*this, index);
    if (!find(index)->prepared) {
        V4LFENCE_TRY(prepare_memory(*find(index), settings));
    }
    const ImplicitFences implicit = implicit_fences(index, options);
    std::optional<Fence> busy = V4LFENCE_TRY(implicit.take());
    const QueueView view = sync_.view();
    const bool has_out_fence = fences.out || implicit.puts_out_fence(view);
    if (has_in_fence || busy || has_out_fence) {
        loop = V4LFENCE_TRY(use_loop());
        preparation.show();
    }

    // 3. The out-fence is minted, its descriptor reserved.
    OutFence out = V4LFENCE_TRY(implicit.mint(out_fences_, options, index, view, fences.out));

    // 4. Commit; the gate's step gives what is ready or leaves it to the fence's end.
    Queued queued{preparation.committed(settings), UniqueFd()};
    const auto committed = sync_.queue(
        Submission{index, std::move(in.pending), in.error, std::move(busy), std::move(out.promise),
                   options.deadline(), out.bound, queued_by(fences, out, options)});
    if (!committed) {
        out_fences_.forget(index);
        return tl::unexpected<Error>(committed.error());
    }
    preparation.keep();
    out_fences_.keep();
    if (loop) {
        loop_ = std::move(loop);
    }
    queued.report.in_fence_pending = has_in_fence;
    queued.report.out_fence_pending = fences.out;
    queued.out_fence = std::move(out.fd);
    if (failed_shown_.load()) {
        // It may have to wait now: the device does not hold all that is queued any more.
        listener_.ready_changed();
    }
    return queued;
}

/// What the buffer looks like once it is queued, whatever the driver does meanwhile.
BufferReport Queue::Preparation::committed(const BufferSettings& settings) {
    {
        const std::lock_guard lock(queue_.mutex_);
        Slot& slot = *queue_.find(index_);
        slot.settings.timestamp_ns = settings.timestamp_ns;
        slot.finished = 0;
        slot.error = 0;
    }
    SlotView view;
    view.state = SlotState::Held;
    return queue_.report(index_, view);
}

Queue::Preparation::Preparation(Queue& queue, unsigned index) : queue_(queue), index_(index) {
    const std::lock_guard lock(queue_.mutex_);
    const Slot& slot = *queue_.find(index_);
    prepared_ = slot.prepared;
    finished_ = slot.finished;
    error_ = slot.error;
    timestamp_ns_ = slot.settings.timestamp_ns;
    if (!prepared_) {
        settings_ = slot.settings;
        memory_ = slot.memory;
    }
}

/// On the board from now on, if it is not yet.
void Queue::Preparation::show() {
    TraceBoard* const board = queue_.core_.board();
    if (board != nullptr && queue_.sync_.may_show_on(*board)) {
        shows_ = queue_.sync_.show_on(*board, {queue_.shown_name_, queue_.shown_type_});
    }
}

Queue::Preparation::~Preparation() {
    if (kept_) {
        return;
    }
    if (shows_) {
        queue_.sync_.hide();
    }
    Slot& slot = *queue_.find(index_);
    if (slot.prepared && !prepared_) {
        queue_.driver_.buf_finish(index_);
    }
    const std::lock_guard lock(queue_.mutex_);
    if (!prepared_) {
        slot.memory.swap(memory_);  // What it was goes when no lock is held.
        slot.settings = settings_;
    }
    slot.settings.timestamp_ns = timestamp_ns_;
    slot.prepared = prepared_;
    slot.finished = finished_;
    slot.error = error_;
}

Result<Queue::InFence> Queue::take_in_fence(const BufferFences& fences) {
    if (!fences.in) {
        return InFence{};
    }
    ImportedFence imported = V4LFENCE_TRY(Fence::import(*fences.in, fence_access(), likely_kind_));
    if (imported.pending) {
        likely_kind_ = imported.pending->kind();
    }
    return InFence{std::move(imported.pending), imported.status.error};
}

/// Of memory that is prepared already: what it is does not change until the buffer is back.
ImplicitFences Queue::implicit_fences(unsigned index, const FileOptions& options) const {
    ImplicitFences implicit(options, fence_access());
    const BufferMemory& memory = *find(index)->memory;
    for (unsigned i = 0; implicit.wanted() && i < memory.plane_count; ++i) {
        if (const int dma_buf = memory.planes[i]->shared_dma_buf(); dma_buf >= 0) {
            implicit.dma_bufs().add(dma_buf);
        }
    }
    return implicit;
}

/// The numbers of another process's descriptors are not known here.
QueuedBy Queue::queued_by(const BufferFences& fences, const OutFence& out,
                          const FileOptions& options) const {
    QueuedBy by;
    by.fd = options.fd.load();
    by.client_pid = options.client_pid.load();
    by.provider = out.provider;
    if (by.client_pid == 0) {
        by.in_fence_fd = fences.in.value_or(-1);
        by.out_fence_fd = out.fd.get();
    }
    return by;
}

Result<Core::LoopUse> Queue::use_loop() {
    return loop_ ? Core::LoopUse() : core_.use_loop();
}

Result<const ProviderTraits*> Queue::fence_traits(const FileOptions& options) {
    return out_fences_.traits(options.maker(), sync_.view());
}

// --- the driver takes ----------------------------------------------------------------------------

Taker::Answer Queue::give(unsigned index) {
    Handover handover{sync_.view(index).job, 0};
    std::shared_ptr<BufferMemory> memory;
    {
        const std::lock_guard lock(mutex_);
        Slot& slot = *slots_.find(index);
        handover.number = ++handovers_;
        slot.active = handover;
        slot.dropped = false;
        memory = slot.memory;
    }
    driver_.buf_queue(ActiveBuffer(*this, handover, std::move(memory)));
    return {};
}

Taker::Answer Queue::start(unsigned count) {
    set_starting(true);
    const auto started = driver_.start_streaming(count);
    if (!started) {
        forget_active();
        set_starting(false);
        return {Verdict::StartFailed, started.error().code};
    }
    set_starting(false);
    started_ = true;
    end_dropped();
    return {};
}

/// Under the lock: a buffer that falls at this moment is either end_dropped()'s or its own.
void Queue::set_starting(bool starting) {
    const std::lock_guard lock(mutex_);
    starting_ = starting;
}

/// What the driver still has does nothing any more.
void Queue::forget_active() {
    const std::lock_guard lock(mutex_);
    for (unsigned index = 0; index < end_.load(); ++index) {
        slots_.find(index)->active = Handover();
    }
}

/// What the driver has let fall on its way to a good start is lost.
void Queue::end_dropped() {
    for (unsigned index = 0; index < end_.load(); ++index) {
        Handover dropped;
        {
            const std::lock_guard lock(mutex_);
            Slot& slot = *slots_.find(index);
            if (!std::exchange(slot.dropped, false)) {
                continue;
            }
            dropped = slot.active;
        }
        finish(dropped, -EIO, FinishedBuffer());
    }
}

// --- what others wait for ------------------------------------------------------------------------

void Queue::wake() {
    const bool returnable = has_returnable();
    failed_shown_.store(returnable);
    if (returnable) {
        const std::lock_guard lock(mutex_);
        ++became_ready_;
    }
    waiter_wake_.notify();
    listener_.ready_changed();
}

void Queue::abandon() noexcept {
    loop_.forget();
    sync_.abandon();
    out_fences_.abandon();
    // The driver and its threads are the parent's.
    started_ = false;
    for (unsigned index = 0; index < end_.load(); ++index) {
        slots_.find(index)->active = Handover();
    }
}

}  // namespace v4lfence
