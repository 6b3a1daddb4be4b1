// SPDX-License-Identifier: MIT

#pragma once

#include <string>

#include "tests/bench/capture.hpp"

namespace v4lfence::bench {

/// What a stopped file with buffers answers to calls that are wrong, and to a few that are odd:
/// [["name", errno], ...]. The last one drops the buffers.
std::string json_of_wrong_calls(const Capture& capture);

}  // namespace v4lfence::bench
