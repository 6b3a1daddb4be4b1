// SPDX-License-Identifier: MIT
//
// Where the report of a command goes.

#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "tools/failure.hpp"

namespace v4lfence {

/// Prints one of the two to stdout, and writes the JSON to the file of `--report`. Fails with a
/// sentence: the file cannot be written.
Attempt<> publish_report(const nlohmann::ordered_json& json, const std::string& text, bool as_json,
                         const std::optional<std::string>& path);

}  // namespace v4lfence
