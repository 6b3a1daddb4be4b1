// SPDX-License-Identifier: MIT
//
// What the reports of several commands have in common.

#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "tools/stream/latency.hpp"
#include "tools/stream/promises.hpp"

namespace v4lfence {

/// The machine and the camera. `provider`: null where it is empty.
nlohmann::ordered_json environment_json(const std::string& device, const std::string& driver,
                                        const std::string& card, const std::string& bus,
                                        const std::string& provider);

/// In microseconds; null without samples.
nlohmann::ordered_json latency_json(const std::optional<LatencySummary>& summary);
nlohmann::ordered_json promises_json(const std::vector<Promise>& promises);

/// A line of a table, in microseconds: p50, p90, p99, max. Empty without samples.
std::string latency_row(const char* name, const std::optional<LatencySummary>& summary);
std::string promises_text(const std::vector<Promise>& promises);

}  // namespace v4lfence
