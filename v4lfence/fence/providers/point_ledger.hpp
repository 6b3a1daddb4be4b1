// SPDX-License-Identifier: MIT
//
// PointLedger: which points of a timeline may be reached, when they end out of order. A point waits
// for all earlier ones; it is never reached too early.

#pragma once

#include <cstdint>
#include <vector>

namespace v4lfence {

class PointLedger {
public:
    /// What the next point will be. Points count from 1.
    std::uint64_t next() const noexcept { return next_; }

    /// The next point exists now. Allocates only while the number of pending points reaches new
    /// heights.
    void commit();

    /// `point` has ended. Returns how far the timeline moves: 0 while an earlier one is pending.
    std::uint32_t end(std::uint64_t point) noexcept;

    bool all_reached() const noexcept { return reached_ + 1 == next_; }

private:
    bool is_ended(std::uint64_t point) const { return ended_[point & (ended_.size() - 1)]; }

    std::uint64_t next_ = 1;
    std::uint64_t reached_ = 0;
    /// A ring over the points after reached_; its size is a power of two.
    std::vector<bool> ended_ = std::vector<bool>(16);
};

}  // namespace v4lfence
