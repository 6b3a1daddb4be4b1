// SPDX-License-Identifier: MIT
//
// What a frame's numbers must say: its place in the queue, its sequence number, its capture time.

#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "tools/stream/promises.hpp"
#include "tools/stream/result.hpp"

namespace v4lfence {

/// A frame as DQBUF returned it. `number` counts QBUFs from 0.
struct TakenFrame {
    std::uint64_t number = 0;
    unsigned index = 0;
    std::uint32_t sequence = 0;
    std::int64_t timestamp_ns = 0;
    bool error = false;
    std::size_t bytes_used = 0;  ///< Of the first plane, from its offset on.
    DataOffsets data_offsets{};
};

class NumberChecks {
public:
    /// `promises` and `counters` are borrowed and must outlive it.
    NumberChecks(Promises& promises, StreamCounters& counters, unsigned buffers);

    void queued(std::uint64_t number) { outstanding_.push_back(number); }
    /// Of a frame that was queued and has not been checked.
    void check(const TakenFrame& frame);

    /// The queue itself says that it no longer keeps the order (SEMANTICS 1.5).
    void order_was_lost() { order_lost_ = true; }

    /// Frame numbers in QBUF order that have not come back.
    const std::vector<std::uint64_t>& outstanding() const { return outstanding_; }

private:
    void check_order(const TakenFrame& frame);
    void check_sequence(const TakenFrame& frame);

    Promises& promises_;
    StreamCounters& counters_;
    std::vector<std::uint64_t> outstanding_;
    std::optional<std::uint32_t> last_sequence_;
    std::int64_t last_timestamp_ns_ = 0;
    bool order_lost_ = false;
};

}  // namespace v4lfence
