// SPDX-License-Identifier: MIT
//
// The result of a stream, for a person and for a program.

#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "tools/stream/result.hpp"

namespace v4lfence {

nlohmann::ordered_json stream_json(const StreamChoices& options, const StreamResult& result);

/// A table, ending with a newline.
std::string stream_text(const StreamChoices& options, const StreamResult& result);

}  // namespace v4lfence
