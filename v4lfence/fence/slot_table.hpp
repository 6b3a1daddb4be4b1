// SPDX-License-Identifier: MIT
//
// SlotTable: values under numbers that are never used again, without an allocation per value.

#pragma once

#include <cstdint>
#include <utility>
#include <vector>

namespace v4lfence {

/// Ids are never 0; an id that was removed finds nothing, also when its place is taken again.
template <class T>
class SlotTable {
public:
    std::uint64_t add(T value) {
        std::uint32_t index = free_;
        if (index == none) {
            index = static_cast<std::uint32_t>(slots_.size());
            slots_.emplace_back();
        } else {
            free_ = slots_[index].next_free;
        }
        Slot& slot = slots_[index];
        slot.value = std::move(value);
        slot.used = true;
        return id_of(index);
    }

    /// Borrowed until the next add(); null when `id` is not there.
    T* find(std::uint64_t id) {
        const auto index = static_cast<std::uint32_t>(id);
        if (index >= slots_.size() || !slots_[index].used || id_of(index) != id) {
            return nullptr;
        }
        return &slots_[index].value;
    }

    void remove(std::uint64_t id) {
        if (find(id) == nullptr) {
            return;
        }
        const auto index = static_cast<std::uint32_t>(id);
        Slot& slot = slots_[index];
        slot.value = T{};
        slot.used = false;
        slot.generation = (slot.generation + 1) & generation_mask;
        slot.next_free = std::exchange(free_, index);
    }

    /// Calls `visit(id, value)` for each.
    template <class Visit>
    void for_each(Visit visit) {
        for (std::uint32_t index = 0; index < slots_.size(); ++index) {
            if (slots_[index].used) {
                visit(id_of(index), slots_[index].value);
            }
        }
    }

private:
    struct Slot {
        T value{};
        std::uint32_t generation = 0;
        std::uint32_t next_free = 0;
        bool used = false;
    };

    static constexpr std::uint32_t none = UINT32_MAX;
    /// The topmost bit of an id stays free for who keeps two tables.
    static constexpr std::uint32_t generation_mask = 0x3fffffff;

    std::uint64_t id_of(std::uint32_t index) const {
        return (std::uint64_t{slots_[index].generation + 1} << 32) | index;
    }

    std::vector<Slot> slots_;
    std::uint32_t free_ = none;
};

}  // namespace v4lfence
