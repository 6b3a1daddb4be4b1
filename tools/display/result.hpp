// SPDX-License-Identifier: MIT
//
// What a display run did, in numbers.

#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "tools/display/consumer.hpp"
#include "tools/display/cycle.hpp"
#include "tools/display/picture_memory.hpp"
#include "tools/failure.hpp"
#include "tools/stream/latency.hpp"
#include "tools/stream/promises.hpp"
#include "tools/stream/result.hpp"

namespace v4lfence {

struct DisplayCounters {
    std::uint64_t shown = 0;         ///< Frames.
    std::uint64_t unfinished = 0;    ///< Pictures shown whose frame never came: a bound ran out.
    std::uint64_t errors_shown = 0;  ///< Pictures whose frame turned out to have the error flag.
    std::uint64_t late = 0;          ///< Shown more than one refresh after the frame was done.
    std::uint64_t repeated = 0;      ///< Refreshes that showed the same picture again.
};

struct LastShown {
    std::uint32_t sequence = 0;  ///< The camera's.
    std::int64_t timestamp_ns = 0;
    std::int64_t flip_ns = 0;
    std::size_t bytes_used = 0;
    DataOffsets data_offsets{};
};

struct DisplayResult {
    std::string device;
    std::string card;
    std::string driver;
    std::string bus;
    CaptureFormat format;
    QueueFences fences;
    ConsumerInfo consumer;
    MemoryWay memory = MemoryWay::Mapped;
    std::vector<std::string> refusals;  ///< Why no better memory.
    unsigned buffers = 0;               ///< Of the camera.
    unsigned pictures = 0;
    CycleRules rules;        ///< As at the start.
    std::string fences_way;  ///< A sentence: which fences go where, and why.
    bool degraded = false;   ///< Began with early shows and went on without (SEMANTICS 5.7).
    StreamCounters camera;   ///< Frames taken, lost, with errors.
    DisplayCounters display;
    CycleCounters cycle;
    std::uint64_t wakeups = 0;  ///< Of the thread that runs the loop.
    double seconds = 0;         ///< From STREAMON to the last flip.
    double rate = 0;            ///< Flips a second, between the first and the last.
    StreamCost cost;
    std::optional<LatencySummary> capture_to_flip;
    std::optional<LatencySummary> done_to_flip;
    std::optional<LastShown> last;
    std::uint64_t expired = 0;
    std::string last_expiry;  ///< Which fence was given up on; empty: none.
    std::vector<Promise> promises;
    bool all_held = false;
    bool any_broken = false;
    bool interrupted = false;
    std::optional<Failure> failure;
    std::optional<std::string> saved;

    /// An interrupted run is judged by what it did check.
    ExitStatus exit_status() const;
};

}  // namespace v4lfence
