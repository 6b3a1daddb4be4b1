// SPDX-License-Identifier: MIT

#include "v4lfence/sync/line.hpp"

#include <cassert>
#include <utility>

namespace v4lfence {

namespace {

bool is_with_device(SlotState state) {
    return state == SlotState::Giving || state == SlotState::Given;
}

}  // namespace

void Line::resize(unsigned count) {
    counts_[static_cast<std::size_t>(SlotState::Dequeued)] += count - size();
    slots_.resize(count);
}

Job Line::append(unsigned index) {
    const auto self = static_cast<std::int32_t>(index);
    Slot& slot = slots_[index];
    slot.position = ++positions_;
    slot.before = last_;
    slot.after = -1;
    if (last_ >= 0) {
        slots_[static_cast<unsigned>(last_)].after = self;
    } else {
        first_ = self;
    }
    last_ = self;
    move_to(index, SlotState::Held);
    return Job{index, slot.position};
}

void Line::move_to(unsigned index, SlotState state) {
    Slot& slot = slots_[index];
    const SlotState old = std::exchange(slot.state, state);
    assert(is_legal(old, state));
    --counts_[static_cast<std::size_t>(old)];
    ++counts_[static_cast<std::size_t>(state)];
    const auto self = static_cast<std::int32_t>(index);
    if (old == SlotState::Held && gate_ == self) {
        do {
            gate_ = slots_[static_cast<unsigned>(gate_)].after;
        } while (gate_ >= 0 && slots_[static_cast<unsigned>(gate_)].state != SlotState::Held);
    } else if (state == SlotState::Held &&
               (gate_ < 0 || slots_[static_cast<unsigned>(gate_)].position > slot.position)) {
        gate_ = self;
    }
    if (state == SlotState::Dequeued) {
        unlink(index);
    }
}

void Line::unlink(unsigned index) {
    Slot& slot = slots_[index];
    (slot.before < 0 ? first_ : slots_[static_cast<unsigned>(slot.before)].after) = slot.after;
    (slot.after < 0 ? last_ : slots_[static_cast<unsigned>(slot.after)].before) = slot.before;
    slot = Slot();
}

std::optional<unsigned> Line::next_to_give() const {
    if (gate_ < 0 || slots_[static_cast<unsigned>(gate_)].in_pending) {
        return std::nullopt;
    }
    return static_cast<unsigned>(gate_);
}

unsigned Line::ready_prefix() const {
    unsigned ready = 0;
    for (auto index = at(gate_); index; index = after(*index)) {
        const Slot& slot = slots_[*index];
        if (slot.state == SlotState::Held && slot.in_pending) {
            break;
        }
        ready += slot.state == SlotState::Held ? 1 : 0;
    }
    return ready;
}

std::optional<unsigned> Line::next_due_fence(bool ordered) const {
    bool is_first = true;
    for (auto index = first(); index; index = after(*index)) {
        const Slot& slot = slots_[*index];
        if (!slot.out) {
            continue;
        }
        const bool in_turn = is_first || !ordered;
        if (slot.due || (slot.state == SlotState::Done && in_turn) ||
            (slot.state == SlotState::Failed && (in_turn || stalled()))) {
            return index;
        }
        is_first = false;
    }
    return std::nullopt;
}

std::optional<unsigned> Line::next_failed(bool ordered) const {
    if (count(SlotState::Failed) == 0) {
        return std::nullopt;
    }
    for (auto index = first(); index; index = after(*index)) {
        if (slots_[*index].state == SlotState::Failed) {
            return index;
        }
        if (ordered) {
            break;
        }
    }
    return std::nullopt;
}

std::optional<unsigned> Line::next_failed_when_stalled() const {
    return stalled() ? next_failed(false) : std::nullopt;
}

bool Line::is_oldest_but_failed(unsigned index) const {
    if (slots_[index].adopted) {
        return true;
    }
    auto oldest = first();
    while (oldest && (slots_[*oldest].state == SlotState::Failed || slots_[*oldest].adopted)) {
        oldest = after(*oldest);
    }
    return oldest == index;
}

std::optional<unsigned> Line::oldest_given() const {
    auto index = first();
    while (index && !is_with_device(slots_[*index].state)) {
        index = after(*index);
    }
    return index;
}

std::optional<Job> Line::next_given_fence(Job job) const {
    if (job.index < size() && slots_[job.index].position == job.position) {
        return given_fence_from(slots_[job.index].after);
    }
    // It left the line meanwhile: go on behind its place.
    auto index = first();
    while (index && slots_[*index].position < job.position) {
        index = after(*index);
    }
    return given_fence_from(index ? static_cast<std::int32_t>(*index) : -1);
}

std::optional<Job> Line::given_fence_from(std::int32_t start) const {
    for (auto index = at(start); index; index = after(*index)) {
        const Slot& slot = slots_[*index];
        if (slot.out && is_with_device(slot.state)) {
            return Job{*index, slot.position};
        }
    }
    return std::nullopt;
}

}  // namespace v4lfence
