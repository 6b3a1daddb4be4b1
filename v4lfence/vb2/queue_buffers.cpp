// SPDX-License-Identifier: MIT
//
// Buffers come and go, and their memory reaches the program.

#include <algorithm>
#include <utility>

#include "v4lfence/vb2/queue.hpp"

namespace v4lfence {

namespace {

/// mmap()'s offset of a plane: whole pages, one for each plane of each index.
constexpr unsigned page_bits = 12;
constexpr unsigned plane_bits = 3;
static_assert(1U << plane_bits == planes_max);

std::uint32_t offset_of(unsigned index, unsigned plane) {
    return (index << plane_bits | plane) << page_bits;
}

}  // namespace

Result<unsigned> Queue::request_buffers(MemoryKind memory, unsigned count) {
    const std::lock_guard lock(queueing_mutex_);
    if ((traits_.memory_kinds & memory_bit(memory)) == 0) {
        return v4lfence::fail(-EINVAL, "the queue does not take this memory type");
    }
    if (sync_.view().streaming) {
        return v4lfence::fail(-EBUSY, "the stream is on");
    }
    stop(-ECANCELED);
    free_buffers(0, end_.load());
    if (count == 0) {
        return 0U;
    }
    const unsigned least = std::max(traits_.minimum_queued, 1U);
    count = std::clamp(count, std::max(least, traits_.minimum_buffers), traits_.buffers_max);
    const BufferShape shape = V4LFENCE_TRY(driver_.queue_setup(count, nullptr));
    memory_.store(memory);
    return allocate(memory, 0, std::min(count, traits_.buffers_max), least, shape);
}

Result<Queue::Created> Queue::create_buffers(MemoryKind memory, unsigned count,
                                             const BufferShape& wanted) {
    const std::lock_guard lock(queueing_mutex_);
    if ((traits_.memory_kinds & memory_bit(memory)) == 0) {
        return v4lfence::fail(-EINVAL, "the queue does not take this memory type");
    }
    if (count == 0) {
        return Created{count_.load(), 0};
    }
    if (count_.load() >= traits_.buffers_max) {
        return v4lfence::fail(-ENOBUFS, "the queue has all the buffers it can have");
    }
    if (has_buffers() && memory != memory_.load()) {
        return v4lfence::fail(-EINVAL, "not the queue's memory type");
    }
    count = std::min(count, traits_.buffers_max - count_.load());
    const BufferShape shape = V4LFENCE_TRY(driver_.queue_setup(count, &wanted));
    memory_.store(memory);
    count = std::min(count, traits_.buffers_max - count_.load());
    const unsigned first = find_free(count);
    return Created{first, V4LFENCE_TRY(allocate(memory, first, count, 1, shape))};
}

/// The first place for `count` buffers in a row; fewer where no hole is that large.
unsigned Queue::find_free(unsigned& count) const {
    for (; count > 1; --count) {
        unsigned run = 0;
        for (unsigned index = 0; index < traits_.buffers_max; ++index) {
            run = find(index) == nullptr ? run + 1 : 0;
            if (run == count) {
                return index + 1 - count;
            }
        }
    }
    unsigned index = 0;
    while (find(index) != nullptr) {
        ++index;
    }
    return index;
}

Result<std::shared_ptr<BufferMemory>> Queue::make_memory(MemoryKind memory, unsigned index,
                                                         const BufferShape& shape) {
    auto made = std::make_shared<BufferMemory>();
    made->index = index;
    made->plane_count = shape.plane_count;
    if (memory == MemoryKind::Mmap) {
        for (unsigned plane = 0; plane < shape.plane_count; ++plane) {
            made->planes[plane] = V4LFENCE_TRY(makers_.make(shape.sizes[plane], traits_.access));
        }
        V4LFENCE_TRY(driver_.buf_init(*made));
    }
    return made;
}

/// As many as there is memory for; fewer than `least` are none.
Result<unsigned> Queue::allocate(MemoryKind memory, unsigned first, unsigned count, unsigned least,
                                 const BufferShape& shape) {
    resize(std::max(end_.load(), first + count));
    sync_.resize(std::max(end_.load(), first + count));
    plane_count_.store(shape.plane_count);
    unsigned made = 0;
    Error error{-ENOMEM, "buffers"};
    for (; made < count; ++made) {
        auto buffer = make_memory(memory, first + made, shape);
        if (!buffer) {
            error = buffer.error();
            break;
        }
        const std::lock_guard lock(mutex_);
        Slot& slot = slots_.make(first + made);
        slot.memory = std::move(*buffer);
        slot.shape = shape;
        slot.settings = BufferSettings();
        slot.result = FinishedBuffer();
        slot.active = Handover();
        slot.finished = 0;
        slot.prepared = false;
        slot.error = 0;
        end_.store(std::max(end_.load(), first + made + 1));
    }
    count_.fetch_add(made);
    if (made < least) {
        free_buffers(first, first + made);
        return tl::unexpected<Error>(error);
    }
    return made;
}

void Queue::free_buffers(unsigned first, unsigned end) {
    for (unsigned index = first; index < end; ++index) {
        Slot* const slot = find(index);
        if (slot == nullptr) {
            continue;
        }
        if (slot->prepared) {
            driver_.buf_finish(index);
        }
        std::shared_ptr<BufferMemory> freed;
        const std::lock_guard lock(mutex_);
        slot->prepared = false;
        freed.swap(slot->memory);
        count_.fetch_sub(1);
    }
    if (count_.load() == 0) {
        end_.store(0);
        sync_.resize(0);
    }
}

Result<> Queue::remove_buffers(unsigned first, unsigned count) {
    const std::lock_guard lock(queueing_mutex_);
    if (count == 0) {
        return {};
    }
    if (first >= end_.load() || count > end_.load() - first) {
        return v4lfence::fail(-EINVAL, "no buffers of these indexes");
    }
    for (unsigned index = first; index < first + count; ++index) {
        if (find(index) == nullptr) {
            return v4lfence::fail(-EINVAL, "no buffer of this index");
        }
        if (sync_.view(index).state != SlotState::Dequeued) {
            return v4lfence::fail(-EBUSY, "a buffer is queued");
        }
    }
    free_buffers(first, first + count);
    return {};
}

// --- memory for the program ----------------------------------------------------------------------

bool Queue::can_export() const {
    const auto source = makers_.source();
    return source && *source != MmapSource::Memfd;
}

Result<UniqueFd> Queue::export_plane(unsigned index, unsigned plane, int flags) {
    const std::lock_guard lock(queueing_mutex_);
    const Slot* const slot = find(index);
    if (slot == nullptr || plane >= slot->memory->plane_count) {
        return v4lfence::fail(-EINVAL, "no such plane");
    }
    if (memory_.load() != MemoryKind::Mmap) {
        return v4lfence::fail(-EINVAL, "only MMAP memory can be exported");
    }
    return slot->memory->planes[plane]->export_dmabuf(flags);
}

Result<Queue::Mappable> Queue::mappable(std::uint64_t offset) const {
    const std::uint64_t number = offset >> page_bits;
    const auto index = static_cast<unsigned>(number >> plane_bits);
    const auto plane = static_cast<unsigned>(number & (planes_max - 1));
    const std::lock_guard lock(mutex_);
    const bool plausible = memory_.load() == MemoryKind::Mmap &&
                           number >> plane_bits < IndexTable<Slot>::size_max &&
                           find(index) != nullptr && offset == offset_of(index, plane);
    if (!plausible || plane >= find(index)->memory->plane_count) {
        return v4lfence::fail(-EINVAL, "no plane at this offset");
    }
    const std::shared_ptr<BufferMemory>& memory = find(index)->memory;
    return Mappable{memory, memory->planes[plane].get()};
}

// --- what is to be seen --------------------------------------------------------------------------

Result<BufferReport> Queue::query(unsigned index) const {
    const SlotView view = sync_.view(index);
    const std::lock_guard lock(mutex_);
    if (find(index) == nullptr) {
        return v4lfence::fail(-EINVAL, "no buffer of this index");
    }
    return report_locked(index, view);
}

BufferReport Queue::report(unsigned index, const SlotView& view) const {
    const std::lock_guard lock(mutex_);
    return report_locked(index, view);
}

BufferReport Queue::report_locked(unsigned index, const SlotView& view) const {
    const Slot& slot = *slots_.find(index);
    // Seen between the end of the job and the move in line: what was published holds.
    const bool failed = view.state == SlotState::Failed && !view.out_fence_pending;
    const bool done = view.state == SlotState::Done || failed;
    BufferReport report;
    report.index = index;
    report.memory = memory_.load();
    report.state = done                                ? BufferReport::State::Done
                   : view.state == SlotState::Dequeued ? BufferReport::State::Dequeued
                                                       : BufferReport::State::Queued;
    report.prepared = slot.prepared && report.state == BufferReport::State::Dequeued;
    report.mapped = slot.memory && slot.memory->mappings.load() > 0;
    report.in_fence_pending = view.in_fence_pending;
    report.out_fence_pending = view.out_fence_pending;
    report.plane_count = slot.shape.plane_count;
    const bool with_result = report.state != BufferReport::State::Queued && slot.finished != 0;
    // What a device reads stays as the program has described it.
    const bool made = with_result && traits_.access == DeviceAccess::Write;
    for (unsigned i = 0; i < report.plane_count; ++i) {
        const PlaneSettings& asked = slot.settings.planes[i];
        const PlaneMemory* memory = slot.memory ? slot.memory->planes[i].get() : nullptr;
        BufferReport::Plane& plane = report.planes[i];
        plane.bytes_used = made ? slot.result.bytes_used[i] : asked.bytes_used;
        plane.data_offset = asked.data_offset;
        plane.length = report.memory == MemoryKind::Mmap || memory == nullptr
                           ? slot.shape.sizes[i]
                           : static_cast<std::uint32_t>(memory->bytes().size());
        plane.offset = report.memory == MemoryKind::Mmap ? offset_of(index, i) : 0;
        plane.address = asked.address;
        plane.fd = asked.program_fd;
    }
    const bool timed = made || (with_result && !traits_.copies_timestamp);
    report.timestamp_ns = timed ? slot.result.timestamp_ns : slot.settings.timestamp_ns;
    report.field = made ? slot.result.field : slot.settings.field;
    report.flags = made ? slot.result.flags : slot.settings.flags;
    if (with_result) {
        report.sequence = slot.result.sequence;
        report.error = slot.error != 0 || (done && view.expired);
        report.last = slot.result.last;
    }
    report.error = report.error || failed;
    return report;
}

}  // namespace v4lfence
