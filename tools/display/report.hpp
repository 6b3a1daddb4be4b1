// SPDX-License-Identifier: MIT
//
// The result of a display run, for a person and for a program.

#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "tools/display/options.hpp"
#include "tools/display/result.hpp"

namespace v4lfence {

nlohmann::ordered_json display_json(const DisplayChoices& choices, const DisplayResult& result);

/// A table, ending with a newline.
std::string display_text(const DisplayChoices& choices, const DisplayResult& result);

}  // namespace v4lfence
