// SPDX-License-Identifier: MIT

#include "tools/devices/best.hpp"

#include <algorithm>
#include <vector>

#include "tools/devices/find.hpp"

namespace v4lfence {

namespace {

constexpr const char* always_there = "virtual:camera";

bool captures(const NodeFacts& node) {
    return !node.is_virtual && (node.kind == "capture" || node.kind == "capture-mplane") &&
           !node.queues.empty();
}

bool is_test_driver(const NodeFacts& node) {
    return node.driver == "vivid" || node.driver == "vimc";
}

}  // namespace

std::string best_capture_device(std::span<const NodeFacts> nodes) {
    for (const bool test_driver : {false, true}) {
        const auto found = std::find_if(nodes.begin(), nodes.end(), [&](const NodeFacts& node) {
            return captures(node) && is_test_driver(node) == test_driver;
        });
        if (found != nodes.end()) {
            return found->path;
        }
    }
    return always_there;
}

std::string best_capture_device() {
    std::vector<NodeFacts> nodes;
    for (const std::string& path : find_video_nodes()) {
        nodes.push_back(examine_node(path));
    }
    return best_capture_device(nodes);
}

}  // namespace v4lfence
