// SPDX-License-Identifier: MIT

#include "v4lfence/fence/providers/point_ledger.hpp"

#include <utility>

namespace v4lfence {

void PointLedger::commit() {
    if (next_ - reached_ > ended_.size()) {
        std::vector<bool> wider(ended_.size() * 2);
        for (std::uint64_t point = reached_ + 1; point < next_; ++point) {
            wider[point & (wider.size() - 1)] = is_ended(point);
        }
        ended_ = std::move(wider);
    }
    ++next_;
}

std::uint32_t PointLedger::end(std::uint64_t point) noexcept {
    ended_[point & (ended_.size() - 1)] = true;
    std::uint32_t moved = 0;
    while (reached_ + 1 < next_ && is_ended(reached_ + 1)) {
        ++reached_;
        ended_[reached_ & (ended_.size() - 1)] = false;
        ++moved;
    }
    return moved;
}

}  // namespace v4lfence
