// SPDX-License-Identifier: MIT
//
// What a V4L2 node is and can do, learned without changing it: formats are enumerated, never set.

#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace v4lfence {

struct FrameRates {
    std::vector<double> discrete;  ///< Frames a second, as the driver lists them.
    double slowest = 0;            ///< With `fastest` when the driver gives a range; else both 0.
    double fastest = 0;
};

struct FrameSize {
    std::uint32_t width = 0;  ///< Of a range: the smallest.
    std::uint32_t height = 0;
    std::uint32_t width_max = 0;  ///< 0: a discrete size.
    std::uint32_t height_max = 0;
    FrameRates rates;  ///< Of a range: at its largest size.
};

struct PixelFormat {
    std::string fourcc;
    std::string description;
    bool compressed = false;
    std::vector<FrameSize> sizes;
};

/// One buffer type of a node.
struct QueueFacts {
    std::string type;  ///< "capture", "output-mplane", ...
    std::vector<PixelFormat> formats;
    std::string current;  ///< "640x360 YUYV"; empty when the node does not say.
    std::vector<std::string> memory;
    /// Fences the library would honour with the format the queue has now; empty when it does not
    /// manage the node.
    std::optional<bool> ordered;
};

struct NodeFacts {
    std::string path;
    std::string
        kind;  ///< "capture", "capture-mplane", "output", "m2m", "metadata", "subdevice", ...
    bool is_virtual = false;  ///< Of the library.
    std::string card;
    std::string driver;
    std::string bus;
    std::string error;  ///< Why the rest is missing: a permission, a busy device.
    std::vector<QueueFacts> queues;
};

/// Errors are in the facts: one node that cannot be opened says nothing about the others.
NodeFacts examine_node(const std::string& path);

/// What V4L2 capabilities make of a node.
std::string node_kind(std::uint32_t capabilities);

}  // namespace v4lfence
