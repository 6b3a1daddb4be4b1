// SPDX-License-Identifier: MIT

#include "tools/exec/choice.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <linux/videodev2.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <iterator>
#include <optional>
#include <utility>

#include "v4lfence/base/syscall.hpp"
#include "v4lfence/fence/provider.hpp"
#include "v4lfence/shim/abi.h"
#include "v4lfence/v4lfence.h"

namespace v4lfence {

namespace {

constexpr std::string_view node_stem = "/dev/video";
/// As many as the preloaded library has room for (v4lfence/shim/numbers.hpp).
constexpr std::size_t virtual_max = 64;
constexpr std::array<std::string_view, 3> kinds_to_come = {"output", "m2m", "codec"};

bool exists(const std::string& path) {
    struct stat status {};
    return ::lstat(path.c_str(), &status) == 0;
}

std::optional<unsigned> node_number(std::string_view path) {
    if (!path.starts_with(node_stem)) {
        return std::nullopt;
    }
    const std::string_view digits = path.substr(node_stem.size());
    unsigned number = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
    const bool plain = error == std::errc() && end == digits.data() + digits.size() &&
                       (digits.size() == 1 || digits.front() != '0');
    return plain && number <= number_max ? std::optional(number) : std::nullopt;
}

struct Wish {
    std::string kind;
    std::optional<unsigned> number;
};

Attempt<Wish> parse_wish(const std::string& word) {
    const std::size_t equals = word.find('=');
    Wish wish{word.substr(0, equals), std::nullopt};
    if (!is_virtual_kind(wish.kind)) {
        const bool planned =
            std::find(kinds_to_come.begin(), kinds_to_come.end(), wish.kind) != kinds_to_come.end();
        return wrong_usage(
            fmt::format("--virtual {}: {} \"{}\"; there are {}.", word,
                        planned ? "this version has no virtual device of kind" : "there is no kind",
                        wish.kind, kinds_text()));
    }
    if (equals != std::string::npos) {
        wish.number = node_number(std::string_view(word).substr(equals + 1));
        if (!wish.number) {
            return wrong_usage(fmt::format(
                "--virtual {}: a virtual device is named /dev/videoN, N from 0 to {}, as in "
                "{}=/dev/video{}.",
                word, number_max, wish.kind, first_free_number));
        }
    }
    return wish;
}

std::string path_of(unsigned number) {
    return fmt::format("{}{}", node_stem, number);
}

/// The number itself where it is free, else one beyond those of the kernel's nodes.
unsigned minor_of(unsigned number, const NodeNumbers& taken) {
    return taken.has_minor(number) ? number_max + 1 + number : number;
}

}  // namespace

std::string kinds_text() {
    return fmt::format("{}", fmt::join(virtual_kind_names(), ", "));
}

NodeNumbers node_numbers_here() {
    return {[](unsigned number) {
                return exists(path_of(number)) ||
                       exists(fmt::format("/sys/class/video4linux/video{}", number));
            },
            [](unsigned minor) { return exists(fmt::format("/sys/dev/char/81:{}", minor)); }};
}

Attempt<std::vector<HostedDevice>> choose_virtual(const std::vector<std::string>& words,
                                                  const NodeNumbers& taken) {
    if (words.size() > virtual_max) {
        return wrong_usage(
            fmt::format("--virtual: a program can have {} virtual devices at most.", virtual_max));
    }
    std::vector<Wish> wishes;
    const auto wished = [&wishes](unsigned number) {
        return std::any_of(wishes.begin(), wishes.end(),
                           [&](const Wish& wish) { return wish.number == number; });
    };
    for (const std::string& word : words) {
        auto wish = parse_wish(word);
        if (!wish) {
            return tl::unexpected<Failure>(wish.error());
        }
        if (wish->number && wished(*wish->number)) {
            return wrong_usage(
                fmt::format("--virtual {}: {} is named twice.", word, path_of(*wish->number)));
        }
        wishes.push_back(std::move(*wish));
    }
    std::vector<HostedDevice> devices;
    for (Wish& wish : wishes) {
        for (unsigned free = first_free_number; !wish.number && free <= number_max; free++) {
            if (!wished(free) && !taken.has_name(free)) {
                wish.number = free;
            }
        }
        if (!wish.number) {
            return machine_lacks(fmt::format("--virtual {}: no /dev/videoN from {} on is free.",
                                             wish.kind, first_free_number));
        }
        devices.push_back({path_of(*wish.number), minor_of(*wish.number, taken), wish.kind});
    }
    return devices;
}

std::string virtual_text(const std::vector<HostedDevice>& devices) {
    std::vector<std::string> texts;
    for (const HostedDevice& device : devices) {
        texts.push_back(fmt::format("{} {} {}", device.path, device.minor, device.kind));
    }
    return fmt::format("{}", fmt::join(texts, ":"));
}

std::vector<std::string> virtual_paths(std::string_view text) {
    std::vector<std::string> paths;
    while (!text.empty()) {
        const std::string_view entry = text.substr(0, text.find(':'));
        paths.emplace_back(entry.substr(0, entry.find(' ')));
        text.remove_prefix(std::min(text.size(), entry.size() + 1));
    }
    return paths;
}

namespace {

struct Node {
    std::string path;
    dev_t number = 0;
};

Attempt<Node> find_node(const std::string& path) {
    std::error_code failed;
    const std::string real = std::filesystem::canonical(path, failed);
    if (failed) {
        return machine_lacks(fmt::format("--wrap {}: {}. `v4lfence devices` lists what there is.",
                                         path, failed.message()));
    }
    const auto fd = sys::open(real.c_str(), O_RDWR | O_NONBLOCK);
    if (!fd) {
        const bool denied = fd.error().code == -EACCES;
        return machine_lacks(fmt::format(
            "--wrap {}: cannot be opened: {}.{}", path, std::strerror(-fd.error().code),
            denied ? " Its group, `video` as a rule, may open it: are you in it?" : ""));
    }
    v4l2_capability capability{};
    const auto status = sys::fstat(fd->get());
    if (!status || !S_ISCHR(status->st_mode) ||
        !sys::ioctl_retry(fd->get(), VIDIOC_QUERYCAP, &capability)) {
        return wrong_usage(fmt::format("--wrap {}: this is no V4L2 device.", path));
    }
    return Node{real, status->st_rdev};
}

}  // namespace

Attempt<std::vector<std::string>> choose_wrapped(const std::vector<std::string>& paths,
                                                 const std::vector<std::string>& virtual_names) {
    std::vector<Node> nodes;
    for (const std::string& path : paths) {
        if (std::find(virtual_names.begin(), virtual_names.end(), path) != virtual_names.end()) {
            return wrong_usage(
                fmt::format("--wrap {}: this name stands for a virtual device, which has fences "
                            "without it; a node that is wrapped is the kernel's.",
                            path));
        }
        auto node = find_node(path);
        if (!node) {
            return tl::unexpected<Failure>(node.error());
        }
        if (std::any_of(nodes.begin(), nodes.end(),
                        [&](const Node& each) { return each.number == node->number; })) {
            return wrong_usage(fmt::format("--wrap {}: {} is named twice.", path, node->path));
        }
        nodes.push_back(std::move(*node));
    }
    if (nodes.size() > V4LFENCE_WRAPPED_MAX) {
        return wrong_usage(
            fmt::format("--wrap: at most {} devices can be wrapped.", V4LFENCE_WRAPPED_MAX));
    }
    std::vector<std::string> names;
    for (Node& node : nodes) {
        names.push_back(std::move(node.path));
    }
    return names;
}

Attempt<> check_provider(const std::string& name) {
    if (name.empty() || name == "auto") {
        return {};
    }
    if (std::find(std::begin(provider_names), std::end(provider_names), name) ==
        std::end(provider_names)) {
        return wrong_usage(
            fmt::format("--fences {}: there is no such provider; there are auto, {}.", name,
                        fmt::join(provider_names, ", ")));
    }
    const char* reason = v4lfence_provider_reason(name.c_str());
    if (reason != nullptr) {
        return machine_lacks(fmt::format("--fences {}: {}.", name, reason));
    }
    return {};
}

}  // namespace v4lfence
