// SPDX-License-Identifier: MIT
//
// The capture device to take when none is named.

#pragma once

#include <span>
#include <string>

#include "tools/devices/examine.hpp"

namespace v4lfence {

/// Hardware before a test driver, each in the order given; the library's own camera where there is
/// neither.
std::string best_capture_device(std::span<const NodeFacts> nodes);

/// Of this machine.
std::string best_capture_device();

}  // namespace v4lfence
