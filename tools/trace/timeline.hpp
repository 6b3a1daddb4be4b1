// SPDX-License-Identifier: MIT
//
// The trace as one picture that needs no viewer.

#pragma once

#include <string>

#include "tools/failure.hpp"
#include "tools/trace/lanes.hpp"
#include "tools/trace/recording.hpp"

namespace v4lfence {

/// Draws the lanes into a PNG file, or an SVG file where the name says so, from the first thing
/// that happens to the last. It is as wide as its frames need to be legible, within limits. Fails
/// with a sentence: the file cannot be written.
Attempt<> draw_timeline(const Recording& recording, const Lanes& lanes, const std::string& path);

}  // namespace v4lfence
