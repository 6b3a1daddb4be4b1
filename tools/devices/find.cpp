// SPDX-License-Identifier: MIT

#include "tools/devices/find.hpp"

#include <libudev.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <memory>
#include <string_view>

#include "tools/exec/device_host.hpp"

namespace v4lfence {

namespace {

struct UdevDelete {
    void operator()(udev* context) const { udev_unref(context); }
    void operator()(udev_enumerate* list) const { udev_enumerate_unref(list); }
    void operator()(udev_device* device) const { udev_device_unref(device); }
};

template <class T>
using UdevPtr = std::unique_ptr<T, UdevDelete>;

std::vector<std::string> nodes_of_udev() {
    std::vector<std::string> nodes;
    const UdevPtr<udev> context(udev_new());
    const UdevPtr<udev_enumerate> list(context ? udev_enumerate_new(context.get()) : nullptr);
    if (!list || udev_enumerate_add_match_subsystem(list.get(), "video4linux") < 0 ||
        udev_enumerate_scan_devices(list.get()) < 0) {
        return nodes;
    }
    udev_list_entry* entry = nullptr;
    udev_list_entry_foreach(entry, udev_enumerate_get_list_entry(list.get())) {
        const UdevPtr<udev_device> device(
            udev_device_new_from_syspath(context.get(), udev_list_entry_get_name(entry)));
        const char* node = device ? udev_device_get_devnode(device.get()) : nullptr;
        if (node != nullptr) {
            nodes.emplace_back(node);
        }
    }
    return nodes;
}

std::vector<std::string> nodes_of_dev() {
    constexpr std::array<std::string_view, 6> prefixes = {"video",   "vbi",       "radio",
                                                          "swradio", "v4l-touch", "v4l-subdev"};
    std::vector<std::string> nodes;
    std::error_code ignored;
    for (const auto& entry : std::filesystem::directory_iterator("/dev", ignored)) {
        const std::string name = entry.path().filename();
        const std::size_t digits = name.find_last_not_of("0123456789") + 1;
        const bool numbered = digits < name.size();
        const std::string_view stem = std::string_view(name).substr(0, digits);
        if (numbered && std::find(prefixes.begin(), prefixes.end(), stem) != prefixes.end()) {
            nodes.push_back(entry.path());
        }
    }
    return nodes;
}

}  // namespace

bool natural_less(const std::string& first, const std::string& second) {
    const auto split = [](const std::string& text) {
        return text.find_last_not_of("0123456789") + 1;
    };
    const int stems = first.compare(0, split(first), second, 0, split(second));
    if (stems != 0) {
        return stems < 0;
    }
    if (first.size() != second.size()) {
        return first.size() < second.size();
    }
    return first < second;
}

std::vector<std::string> virtual_devices() {
    std::vector<std::string> names = virtual_kind_names();
    for (std::string& name : names) {
        name.insert(0, "virtual:");
    }
    return names;
}

std::vector<std::string> find_video_nodes() {
    std::vector<std::string> nodes = nodes_of_udev();
    if (nodes.empty()) {
        nodes = nodes_of_dev();
    }
    std::sort(nodes.begin(), nodes.end(), natural_less);
    nodes.erase(std::unique(nodes.begin(), nodes.end()), nodes.end());
    return nodes;
}

}  // namespace v4lfence
