// SPDX-License-Identifier: MIT
//
// Which V4L2 nodes this machine has.

#pragma once

#include <string>
#include <vector>

namespace v4lfence {

/// Device files in natural order (/dev/video2 before /dev/video10): what udev lists, else what /dev
/// has.
std::vector<std::string> find_video_nodes();

/// /dev/video2 before /dev/video10.
bool natural_less(const std::string& first, const std::string& second);

}  // namespace v4lfence
