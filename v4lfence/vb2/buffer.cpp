// SPDX-License-Identifier: MIT

#include "v4lfence/vb2/buffer.hpp"

#include <utility>

#include "v4lfence/vb2/queue.hpp"

namespace v4lfence {

ActiveBuffer::ActiveBuffer(ActiveBuffer&& other) noexcept
    : queue_(std::exchange(other.queue_, nullptr)), handover_(other.handover_),
      memory_(std::move(other.memory_)), accessing_(std::exchange(other.accessing_, false)),
      access_error_(other.access_error_) {}

ActiveBuffer& ActiveBuffer::operator=(ActiveBuffer&& other) noexcept {
    // What was here goes with `other`, and ends there.
    std::swap(queue_, other.queue_);
    std::swap(handover_, other.handover_);
    std::swap(memory_, other.memory_);
    std::swap(accessing_, other.accessing_);
    std::swap(access_error_, other.access_error_);
    return *this;
}

ActiveBuffer::~ActiveBuffer() {
    if (queue_ != nullptr) {
        end_access();
        queue_->drop(handover_);
    }
}

std::span<std::byte> ActiveBuffer::plane(unsigned plane) const {
    return plane < memory_->plane_count ? memory_->planes[plane]->bytes() : std::span<std::byte>();
}

BufferSettings ActiveBuffer::settings() const {
    return queue_->settings_of(handover_);
}

Result<> ActiveBuffer::begin_access() {
    for (unsigned plane = 0; plane < memory_->plane_count; ++plane) {
        const auto begun = memory_->planes[plane]->begin_access();
        if (!begun) {
            while (plane-- > 0) {
                (void)memory_->planes[plane]->end_access();
            }
            return begun;
        }
    }
    accessing_ = true;
    access_error_ = 0;
    return {};
}

void ActiveBuffer::end_access() {
    if (std::exchange(accessing_, false)) {
        for (unsigned plane = 0; plane < memory_->plane_count; ++plane) {
            const auto ended = memory_->planes[plane]->end_access();
            access_error_ = ended ? access_error_ : ended.error().code;
        }
    }
}

void ActiveBuffer::done(const FinishedBuffer& finished) && {
    end_access();
    std::exchange(queue_, nullptr)->finish(handover_, access_error_, finished);
}

void ActiveBuffer::fail(int error, const FinishedBuffer& finished) && {
    end_access();
    std::exchange(queue_, nullptr)->finish(handover_, error, finished);
}

void ActiveBuffer::requeue() && {
    end_access();
    std::exchange(queue_, nullptr)->requeue(handover_, std::move(memory_));
}

}  // namespace v4lfence
