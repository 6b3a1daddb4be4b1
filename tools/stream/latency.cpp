// SPDX-License-Identifier: MIT

#include "tools/stream/latency.hpp"

#include <algorithm>

namespace v4lfence {

std::optional<LatencySummary> LatencySamples::summary() const {
    if (samples_.empty()) {
        return std::nullopt;
    }
    std::vector<std::int64_t> sorted = samples_;
    std::sort(sorted.begin(), sorted.end());
    const auto percentile = [&](std::size_t percent) {
        const std::size_t rank = (sorted.size() * percent + 99) / 100;
        return sorted[rank - 1];
    };
    return LatencySummary{sorted.size(),  percentile(50), percentile(90),
                          percentile(95), percentile(99), sorted.back()};
}

}  // namespace v4lfence
