// SPDX-License-Identifier: MIT
//
// HeldPoints: a queue whose members keep a number from end to end. It allocates only when it has
// never been so long before.

#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "v4lfence/fence/fence.hpp"
#include "v4lfence/fence/reactor.hpp"

namespace v4lfence {

/// A point that was promised and is not in the kernel's timeline yet.
struct HeldPoint {
    std::uint64_t point = 0;
    std::optional<Fence> fence;  ///< While it is pending.
    Reactor::WatchId watch = Reactor::WatchId::None;
};

class HeldPoints {
public:
    bool empty() const noexcept { return first_ == next_; }
    std::uint64_t first_number() const noexcept { return first_; }
    /// That of the next one pushed.
    std::uint64_t next_number() const noexcept { return next_; }

    /// Empty: it has gone, or never was.
    HeldPoint* find(std::uint64_t number) {
        return number - first_ < next_ - first_ ? &place(number) : nullptr;
    }
    HeldPoint& front() { return place(first_); }

    void push(HeldPoint held) {
        if (next_ - first_ == ring_.size()) {
            grow();
        }
        place(next_++) = std::move(held);
    }
    void pop() { place(first_++) = HeldPoint(); }

    void clear() {
        while (!empty()) {
            pop();
        }
    }

private:
    HeldPoint& place(std::uint64_t number) { return ring_[number & (ring_.size() - 1)]; }

    void grow() {
        constexpr std::size_t smallest = 8;
        std::vector<HeldPoint> larger(ring_.empty() ? smallest : ring_.size() * 2);
        for (std::uint64_t number = first_; number != next_; ++number) {
            larger[number & (larger.size() - 1)] = std::move(place(number));
        }
        ring_ = std::move(larger);
    }

    std::vector<HeldPoint> ring_;  ///< A power of two.
    std::uint64_t first_ = 0;
    std::uint64_t next_ = 0;
};

}  // namespace v4lfence
