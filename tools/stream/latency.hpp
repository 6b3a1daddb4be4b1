// SPDX-License-Identifier: MIT
//
// Latencies and what is told of them.

#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

namespace v4lfence {

/// In nanoseconds. A capture time lies in the future with some drivers, so values may be negative.
struct LatencySummary {
    std::size_t count = 0;
    std::int64_t p50 = 0;
    std::int64_t p90 = 0;
    std::int64_t p95 = 0;
    std::int64_t p99 = 0;
    std::int64_t max = 0;
};

class LatencySamples {
public:
    /// Their memory is used at once: a long stream grows by nothing.
    explicit LatencySamples(std::size_t expected) : samples_(expected) { samples_.clear(); }

    void add(std::int64_t ns) { samples_.push_back(ns); }

    /// Nearest rank: every number shown was measured. Empty without samples.
    std::optional<LatencySummary> summary() const;

private:
    std::vector<std::int64_t> samples_;
};

}  // namespace v4lfence
