// SPDX-License-Identifier: MIT
//
// `v4lfence devices`: what V4L2 nodes and fence providers this machine has.

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "tools/commands.hpp"
#include "tools/devices/best.hpp"
#include "tools/devices/examine.hpp"
#include "tools/devices/find.hpp"
#include "v4lfence/v4lfence.h"

namespace v4lfence {

namespace {

using Json = nlohmann::ordered_json;

constexpr const char* footer =
    "Examples:\n"
    "  v4lfence devices                     everything, for reading\n"
    "  v4lfence devices /dev/video0         one device\n"
    "  v4lfence devices virtual:camera      one of the library's own\n"
    "  v4lfence devices --json | jq '.devices[].path'\n"
    "\n"
    "`in order` says that the queue gives buffers back in the order they were queued\n"
    "with the format it has now. No device is changed by looking. Virtual devices need\n"
    "no kernel module: each program that opens one has its own. `best` of --json is the\n"
    "camera to take when none is named.";

constexpr const char* provider_names[] = {"user", "eventfd", "vgem", "sw_sync"};

/// As many sizes as fit a line of text; --json has them all.
constexpr std::size_t sizes_shown = 4;
constexpr std::size_t fourccs_per_line = 16;

std::string rates_text(const FrameRates& rates) {
    if (!rates.discrete.empty()) {
        const auto [low, high] = std::minmax_element(rates.discrete.begin(), rates.discrete.end());
        return *low == *high ? fmt::format("@{:.4g}", *low)
                             : fmt::format("@{:.4g}-{:.4g}", *low, *high);
    }
    return rates.fastest > 0 ? fmt::format("@{:.4g}-{:.4g}", rates.slowest, rates.fastest) : "";
}

std::string size_text(const FrameSize& size) {
    if (size.width_max != 0) {
        return fmt::format("{}x{}..{}x{}{}", size.width, size.height, size.width_max,
                           size.height_max, rates_text(size.rates));
    }
    return fmt::format("{}x{}{}", size.width, size.height, rates_text(size.rates));
}

std::string sizes_text(const std::vector<FrameSize>& sizes) {
    std::vector<std::string> texts;
    for (const FrameSize& size : sizes) {
        if (texts.size() == sizes_shown) {
            texts.push_back(fmt::format("and {} more", sizes.size() - sizes_shown));
            break;
        }
        texts.push_back(size_text(size));
    }
    return fmt::format("{}", fmt::join(texts, ", "));
}

void print_formats(const std::vector<PixelFormat>& formats) {
    // Drivers list the same sizes for most of their formats: one line for each distinct list.
    std::vector<std::pair<std::string, std::vector<std::string>>> lines;
    for (const PixelFormat& format : formats) {
        const std::string sizes = sizes_text(format.sizes);
        const auto same = std::find_if(lines.begin(), lines.end(),
                                       [&](const auto& line) { return line.first == sizes; });
        if (same != lines.end()) {
            same->second.push_back(format.fourcc);
        } else {
            lines.push_back({sizes, {format.fourcc}});
        }
    }
    for (const auto& [sizes, fourccs] : lines) {
        fmt::print("      {}:\n", sizes.empty() ? "sizes unknown" : sizes);
        for (std::size_t first = 0; first < fourccs.size(); first += fourccs_per_line) {
            const auto end = std::min(first + fourccs_per_line, fourccs.size());
            fmt::print("        {}\n",
                       fmt::join(fourccs.begin() + static_cast<std::ptrdiff_t>(first),
                                 fourccs.begin() + static_cast<std::ptrdiff_t>(end), " "));
        }
    }
}

void print_node(const NodeFacts& node) {
    fmt::print("{}  {}{}", node.path, node.kind, node.is_virtual ? ", virtual" : "");
    if (!node.card.empty()) {
        fmt::print("  \"{}\"  driver {}  {}", node.card, node.driver, node.bus);
    }
    fmt::print("\n");
    if (!node.error.empty()) {
        fmt::print("    cannot be examined: {}\n", node.error);
    }
    for (const QueueFacts& queue : node.queues) {
        fmt::print("    {}: now {}, {}, memory {}\n", queue.type,
                   queue.current.empty() ? "unknown" : queue.current,
                   !queue.ordered ? "no fences"
                                  : (*queue.ordered ? "fences, in order" : "fences, any order"),
                   queue.memory.empty() ? "unknown"
                                        : fmt::format("{}", fmt::join(queue.memory, " ")));
        print_formats(queue.formats);
    }
}

void print_text(const std::vector<NodeFacts>& nodes) {
    for (const NodeFacts& node : nodes) {
        print_node(node);
    }
    fmt::print("\nFence providers:\n");
    for (const char* name : provider_names) {
        const char* reason = v4lfence_provider_reason(name);
        fmt::print("    {:8} {}\n", name, reason == nullptr ? "available" : reason);
    }
}

Json size_json(const FrameSize& size) {
    Json json = {{"width", size.width}, {"height", size.height}};
    if (size.width_max != 0) {
        json["width_max"] = size.width_max;
        json["height_max"] = size.height_max;
    }
    json["rates"] = size.rates.discrete;
    if (size.rates.fastest > 0) {
        json["rate_min"] = size.rates.slowest;
        json["rate_max"] = size.rates.fastest;
    }
    return json;
}

Json queue_json(const QueueFacts& queue) {
    Json json = {{"type", queue.type},
                 {"current", queue.current},
                 {"memory", queue.memory},
                 {"fences", queue.ordered.has_value()},
                 {"ordered", queue.ordered ? Json(*queue.ordered) : Json(nullptr)},
                 {"formats", Json::array()}};
    for (const PixelFormat& format : queue.formats) {
        Json entry = {{"fourcc", format.fourcc},
                      {"description", format.description},
                      {"compressed", format.compressed},
                      {"sizes", Json::array()}};
        for (const FrameSize& size : format.sizes) {
            entry["sizes"].push_back(size_json(size));
        }
        json["formats"].push_back(std::move(entry));
    }
    return json;
}

Json node_json(const NodeFacts& node) {
    Json json = {{"path", node.path},
                 {"kind", node.kind},
                 {"virtual", node.is_virtual},
                 {"card", node.card},
                 {"driver", node.driver},
                 {"bus", node.bus},
                 {"error", node.error.empty() ? Json(nullptr) : Json(node.error)},
                 {"queues", Json::array()}};
    for (const QueueFacts& queue : node.queues) {
        json["queues"].push_back(queue_json(queue));
    }
    return json;
}

void print_json(const std::vector<NodeFacts>& nodes) {
    Json json = {{"devices", Json::array()},
                 {"best", best_capture_device(nodes)},
                 {"providers", Json::array()}};
    for (const NodeFacts& node : nodes) {
        json["devices"].push_back(node_json(node));
    }
    for (const char* name : provider_names) {
        const char* reason = v4lfence_provider_reason(name);
        json["providers"].push_back({{"name", name},
                                     {"available", reason == nullptr},
                                     {"reason", reason == nullptr ? Json(nullptr) : Json(reason)}});
    }
    fmt::print("{}\n", json.dump(2, ' ', false, Json::error_handler_t::replace));
}

}  // namespace

Command add_devices_command(CLI::App& program) {
    struct Arguments {
        std::vector<std::string> paths;
        bool json = false;
    };
    const auto arguments = std::make_shared<Arguments>();
    CLI::App* app = program.add_subcommand(
        "devices", "Lists V4L2 devices, their formats, and the fence providers of this machine.");
    app->add_option("DEVICE", arguments->paths, "Only these (default: all)");
    app->add_flag("--json", arguments->json, "Write JSON to stdout, nothing else");
    app->footer(footer);
    return {app, [arguments] {
                if (arguments->paths.empty()) {
                    arguments->paths = find_video_nodes();
                    for (std::string& path : virtual_devices()) {
                        arguments->paths.push_back(std::move(path));
                    }
                }
                std::vector<NodeFacts> nodes;
                for (const std::string& path : arguments->paths) {
                    nodes.push_back(examine_node(path));
                }
                arguments->json ? print_json(nodes) : print_text(nodes);
                return ExitStatus::Success;
            }};
}

}  // namespace v4lfence
