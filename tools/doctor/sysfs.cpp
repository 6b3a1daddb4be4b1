// SPDX-License-Identifier: MIT

#include "tools/doctor/sysfs.hpp"

#include <fmt/format.h>

#include <filesystem>
#include <fstream>
#include <string_view>

namespace v4lfence {

namespace {

namespace fs = std::filesystem;

constexpr const char* drm_folder = "/sys/class/drm";

std::string first_line(const fs::path& path) {
    std::ifstream file(path);
    std::string line;
    std::getline(file, line);
    return line;
}

std::vector<fs::path> drm_entries() {
    std::vector<fs::path> entries;
    std::error_code error;
    fs::directory_iterator at(drm_folder, error);
    for (const fs::directory_iterator end; !error && at != end; at.increment(error)) {
        entries.push_back(at->path());
    }
    return entries;
}

/// What a link of sysfs ends in.
std::string target_name(const fs::path& link) {
    std::error_code error;
    return fs::canonical(link, error).filename().native();
}

}  // namespace

std::vector<std::string> read_vgem_nodes() {
    std::vector<std::string> nodes;
    for (const fs::path& entry : drm_entries()) {
        if (target_name(entry / "device") == "vgem") {
            nodes.push_back("/dev/dri/" + entry.filename().native());
        }
    }
    return nodes;
}

std::string read_device_name(unsigned major, unsigned minor) {
    constexpr std::string_view key = "DEVNAME=";
    std::ifstream file(fmt::format("/sys/dev/char/{}:{}/uevent", major, minor));
    for (std::string line; std::getline(file, line);) {
        if (line.starts_with(key)) {
            return "/dev/" + line.substr(key.size());
        }
    }
    return {};
}

std::optional<bool> read_connector_on(const std::string& card_node, const std::string& connector) {
    const std::string card = fs::path(card_node).filename().native();
    const fs::path entry = fs::path(drm_folder) / (card + "-" + connector);
    std::error_code error;
    if (!fs::exists(entry, error)) {
        return std::nullopt;
    }
    return first_line(entry / "enabled") == "enabled" && first_line(entry / "dpms") == "On";
}

}  // namespace v4lfence
