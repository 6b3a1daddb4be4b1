// SPDX-License-Identifier: MIT
//
// What a trace has to tell in a few lines.

#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "tools/stream/latency.hpp"
#include "tools/trace/lanes.hpp"
#include "tools/trace/recording.hpp"

namespace v4lfence {

/// Of one queue or display. The times are of slices that began and ended within the trace.
struct SourceSummary {
    std::size_t process = 0;
    std::string name;
    bool is_display = false;
    std::size_t frames = 0;  ///< Buffers dequeued; flips.
    std::size_t errors = 0;  ///< Slices with one.
    std::size_t expired = 0;
    std::optional<LatencySummary> held;
    std::optional<LatencySummary> given;
    std::optional<LatencySummary> done;
    std::optional<LatencySummary> commit_to_flip;
    std::optional<LatencySummary> on_screen;
};

struct ProcessSummary {
    RecordedProcess process;
    std::size_t events = 0;
};

struct TraceSummary {
    std::int64_t duration_ns = 0;
    std::vector<ProcessSummary> processes;
    std::vector<SourceSummary> sources;
    std::map<std::string, std::size_t> kernel;  ///< Events of each system.
    std::uint64_t kernel_lost = 0;
    std::string kernel_missing;
    std::vector<std::string> files;
};

TraceSummary summarize(const Recording& recording, const Lanes& lanes);
std::string summary_text(const TraceSummary& summary);
nlohmann::ordered_json summary_json(const TraceSummary& summary);

}  // namespace v4lfence
