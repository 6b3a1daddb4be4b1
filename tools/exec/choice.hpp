// SPDX-License-Identifier: MIT
//
// What `exec` and `serve` are asked for, checked: which virtual devices under which names, which
// nodes, which fences. Every refusal is a sentence for the person who asked.

#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "tools/exec/device_host.hpp"
#include "tools/failure.hpp"

namespace v4lfence {

/// Where a device is put that nobody has named, and the highest number a kernel gives a node.
inline constexpr unsigned first_free_number = 80;
inline constexpr unsigned number_max = 255;

/// What this machine has of video nodes.
struct NodeNumbers {
    std::function<bool(unsigned number)> has_name;  ///< A /dev/videoN, or one that udev may make.
    std::function<bool(unsigned minor)> has_minor;  ///< A node with this number of the kernel's.
};
NodeNumbers node_numbers_here();

/// "camera, camera-mplane", for a person.
std::string kinds_text();

/// "KIND=/dev/videoN" or "KIND", each: the first /dev/videoN from 80 on that is free. The minor is
/// N, or one that no node can have (256 and more) where a node of the kernel's has that one.
Attempt<std::vector<HostedDevice>> choose_virtual(const std::vector<std::string>& words,
                                                  const NodeNumbers& taken);

/// As V4LFENCE_VIRTUAL has it: "/dev/video80 80 camera:/dev/video81 81 camera-mplane".
std::string virtual_text(const std::vector<HostedDevice>& devices);
/// The paths in such a text.
std::vector<std::string> virtual_paths(std::string_view text);

/// Nodes by their own names, links followed. None may be among `virtual_names`.
Attempt<std::vector<std::string>> choose_wrapped(const std::vector<std::string>& paths,
                                                 const std::vector<std::string>& virtual_names);

/// Empty: none was named.
Attempt<> check_provider(const std::string& name);

}  // namespace v4lfence
