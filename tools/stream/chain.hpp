// SPDX-License-Identifier: MIT
//
// The chain: frame N is queued with the out-fence of frame N-K as its in-fence.

#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "tools/failure.hpp"
#include "v4lfence/base/unique_fd.hpp"

namespace v4lfence {

/// Owns the out-fences that are needed: every queued frame's, and those that queued frames wait
/// for.
class ChainFences {
public:
    ChainFences(unsigned buffers, unsigned chain_depth) : ring_(buffers + chain_depth + 1) {}

    void put(std::uint64_t frame, UniqueFd fence) {
        ring_[frame % ring_.size()] = Entry{frame, std::move(fence)};
    }

    /// Borrowed. -1: not there, or not any more.
    int find(std::uint64_t frame) const {
        const Entry& entry = ring_[frame % ring_.size()];
        return entry.frame == frame ? entry.fence.get() : -1;
    }

private:
    struct Entry {
        std::uint64_t frame = 0;
        UniqueFd fence;
    };
    std::vector<Entry> ring_;
};

/// K frames at a time are with the driver: fewer than it wants would starve it. From K = `buffers`
/// on, the fence waited for has ended before its buffer is free, so nothing would ever be held.
struct ChainPlan {
    unsigned depth = 0;
    unsigned buffers = 0;
};

/// Fills in what was not asked for: K two above the driver's minimum (one frame being filled, one
/// for the time it takes to give the next), and twice as many buffers as K, so that half of them
/// are held. Errors: WrongUsage K below the minimum, or no buffer left to hold.
Attempt<ChainPlan> plan_chain(std::optional<unsigned> depth, std::optional<unsigned> buffers,
                              unsigned driver_minimum);

}  // namespace v4lfence
