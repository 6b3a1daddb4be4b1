// SPDX-License-Identifier: MIT
//
// Which V4L2 devices a program can open here.

#pragma once

#include <string>
#include <vector>

namespace v4lfence {

/// Device files in natural order (/dev/video2 before /dev/video10): what udev lists, else what /dev
/// has.
std::vector<std::string> find_video_nodes();

/// The library's own, which any machine has.
std::vector<std::string> virtual_devices();

/// /dev/video2 before /dev/video10.
bool natural_less(const std::string& first, const std::string& second);

}  // namespace v4lfence
