// SPDX-License-Identifier: MIT
//
// FixedRing: first in, first out, of things that cannot be copied; nothing is allocated.

#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <utility>

namespace v4lfence {

/// Thread: one at a time.
template <class T, std::size_t capacity>
class FixedRing {
public:
    bool empty() const { return count_ == 0; }
    bool full() const { return count_ == capacity; }
    T& front() { return *slots_[first_]; }

    /// If it is full `item` stays as it is, the caller's.
    void push(T&& item) {
        if (!full()) {
            slots_[(first_ + count_++) % capacity].emplace(std::move(item));
        }
    }

    /// It is not empty.
    T pop() {
        T item = std::move(*slots_[first_]);
        slots_[first_].reset();
        first_ = (first_ + 1) % capacity;
        --count_;
        return item;
    }

private:
    std::array<std::optional<T>, capacity> slots_;
    std::size_t first_ = 0;
    std::size_t count_ = 0;
};

}  // namespace v4lfence
