// SPDX-License-Identifier: MIT
//
// What a stream did, in numbers.

#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "tools/failure.hpp"
#include "tools/stream/camera.hpp"
#include "tools/stream/footprint.hpp"
#include "tools/stream/latency.hpp"
#include "tools/stream/promises.hpp"

namespace v4lfence {

struct StreamCounters {
    std::uint64_t frames = 0;
    std::uint64_t lost = 0;
    std::uint64_t repeated = 0;  ///< Sequence numbers that the driver gave twice.
    std::uint64_t errors = 0;
    std::uint64_t out_of_order = 0;
    std::uint64_t out_fences_made = 0;
    std::uint64_t out_fences_ended = 0;      ///< With their frame.
    std::uint64_t out_fences_cancelled = 0;  ///< By STREAMOFF, or because the device went away.
    std::uint64_t sync_file_info_ok = 0;
    std::uint64_t in_fences = 0;
    std::uint64_t held_at_qbuf = 0;  ///< Buffers whose in-fence was pending when QBUF returned.
    std::uint64_t expired = 0;       ///< Fences given up on, by a deadline or a bound.
};

struct StreamCost {
    double user_ms = 0;
    double system_ms = 0;
    std::int64_t voluntary_switches = 0;
    std::int64_t involuntary_switches = 0;
    std::uint64_t library_wakeups = 0;
};

struct StreamLatencies {
    std::optional<LatencySummary> in_fence_to_given;
    std::optional<LatencySummary> capture_to_out_fence;
    std::optional<LatencySummary> out_fence_to_dqbuf;
};

struct StreamResult {
    CaptureFormat format;
    QueueFences fences;  ///< At the end: a provider whose bound ran out has been replaced.
    std::string card;
    std::string driver;
    std::string bus;
    unsigned buffers = 0;
    unsigned chain_depth = 0;
    double seconds = 0;  ///< From STREAMON to the last frame.
    double rate = 0;     ///< Measured between the first and the last frame.
    StreamCounters counters;
    StreamCost cost;
    StreamLatencies latencies;
    std::optional<Footprint> warm;    ///< After frame `warm_frames`; empty: it ended before.
    std::optional<Footprint> at_end;  ///< With the last frame, before anything is given back.
    std::vector<Promise> promises;
    bool all_held = false;
    bool any_broken = false;
    bool interrupted = false;
    std::optional<Failure> failure;    ///< Why the stream ended early.
    std::string last_expiry;           ///< Which fence was given up on; empty: none.
    std::optional<std::string> saved;  ///< A picture was written there.

    /// An interrupted stream is judged by what it did check.
    ExitStatus exit_status() const;
};

}  // namespace v4lfence
