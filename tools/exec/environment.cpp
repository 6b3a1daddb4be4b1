// SPDX-License-Identifier: MIT

#include "tools/exec/environment.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <utility>

#include "tools/exec/choice.hpp"

namespace v4lfence {

namespace {

constexpr std::string_view library_name = "libv4lfence-preload.so";
/// From the folder of this program: installed, and in the build tree for both bitnesses or one.
constexpr std::array<std::string_view, 3> library_folders = {
    V4LFENCE_PRELOAD_FOLDER, "../../shim/lib/x86_64-linux-gnu", "../v4lfence/shim"};
/// What glibc's $LIB stands for on Debian.
constexpr std::string_view lib_of_64bit = "/lib/x86_64-linux-gnu/";
constexpr std::array<std::string_view, 2> libs_of_32bit = {"/lib/i386-linux-gnu/", "/lib32/"};
constexpr std::string_view lib_of_either = "/$LIB/";

std::vector<std::string> split(std::string_view text, std::string_view separators) {
    std::vector<std::string> words;
    while (!text.empty()) {
        const std::string_view word = text.substr(0, text.find_first_of(separators));
        if (!word.empty()) {
            words.emplace_back(word);
        }
        text.remove_prefix(std::min(text.size(), word.size() + 1));
    }
    return words;
}

bool contains(const std::vector<std::string>& words, const std::string& word) {
    return std::find(words.begin(), words.end(), word) != words.end();
}

std::string preload_text(const std::string& ours, const std::string& before) {
    std::string text = ours;
    for (const std::string& each : split(before, ": ")) {
        if (each != ours) {
            text += ":" + each;
        }
    }
    return text;
}

std::vector<std::string> wrapped_with(const ShimSettings& settings, const std::string& before) {
    const std::vector<std::string> ours = virtual_paths(virtual_text(settings.devices));
    std::vector<std::string> all;
    for (std::string& path : split(before, ":")) {
        if (!contains(ours, path)) {
            all.push_back(std::move(path));
        }
    }
    for (const std::string& path : settings.wrapped) {
        if (!contains(all, path)) {
            all.push_back(path);
        }
    }
    return all;
}

}  // namespace

PreloadLibrary preload_library_at(const std::string& path,
                                  const std::function<bool(const std::string&)>& exists) {
    const std::size_t found = path.rfind(lib_of_64bit);
    if (found != std::string::npos) {
        const auto with = [&](std::string_view folder) {
            return std::string(path).replace(found, lib_of_64bit.size(), folder);
        };
        if (std::any_of(libs_of_32bit.begin(), libs_of_32bit.end(),
                        [&](std::string_view folder) { return exists(with(folder)); })) {
            return {with(lib_of_either), true};
        }
    }
    return {path, false};
}

Attempt<PreloadLibrary> find_preload_library() {
    namespace files = std::filesystem;
    const auto exists = [](const std::string& path) {
        std::error_code ignored;
        return files::exists(path, ignored);
    };
    std::error_code failed;
    const files::path program = files::read_symlink("/proc/self/exe", failed);
    std::vector<std::string> tried;
    for (const std::string_view folder : library_folders) {
        const std::string path = (program.parent_path() / folder / library_name).lexically_normal();
        if (!exists(path)) {
            tried.push_back(path);
            continue;
        }
        if (path.find_first_of(": $") != std::string::npos) {
            return machine_lacks(fmt::format(
                "{}: the loader cannot preload a library by a path with a space, ':' or '$' in it. "
                "Install or build v4lfence elsewhere.",
                path));
        }
        return preload_library_at(path, exists);
    }
    return machine_lacks(
        fmt::format("the library that is preloaded is not there: neither {}. It is built and "
                    "installed with this program.",
                    fmt::join(tried, " nor ")));
}

std::vector<Variable> environment_of(const ShimSettings& settings, const PreloadLibrary& library,
                                     const Outer& outer) {
    std::vector<Variable> set{{"LD_PRELOAD", preload_text(library.value, outer("LD_PRELOAD"))}};
    if (!settings.devices.empty()) {
        set.push_back({"V4LFENCE_SERVER", settings.server});
        set.push_back({"V4LFENCE_VIRTUAL", virtual_text(settings.devices)});
    }
    const std::string before = outer("V4LFENCE_WRAP");
    const std::vector<std::string> wrapped = wrapped_with(settings, before);
    if (!wrapped.empty() || !before.empty()) {
        set.push_back({"V4LFENCE_WRAP", fmt::format("{}", fmt::join(wrapped, ":"))});
    }
    if (!settings.provider.empty()) {
        set.push_back({"V4LFENCE_FENCES", settings.provider});
    }
    if (settings.rfc_caps) {
        set.push_back({"V4LFENCE_RFC_CAPS", "1"});
    }
    return set;
}

std::string shell_quoted(std::string_view text) {
    std::string quoted = "'";
    for (const char each : text) {
        quoted += each == '\'' ? std::string("'\\''") : std::string(1, each);
    }
    return quoted + "'";
}

nlohmann::ordered_json settings_json(const ShimSettings& settings,
                                     const std::vector<Variable>& environment) {
    using Json = nlohmann::ordered_json;
    Json json = {
        {"virtual", Json::array()}, {"wrap", settings.wrapped}, {"environment", Json::object()}};
    for (const HostedDevice& device : settings.devices) {
        json["virtual"].push_back(
            {{"path", device.path}, {"minor", device.minor}, {"kind", device.kind}});
    }
    for (const Variable& variable : environment) {
        json["environment"][variable.name] = variable.value;
    }
    return json;
}

}  // namespace v4lfence
