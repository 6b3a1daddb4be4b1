// SPDX-License-Identifier: MIT
//
// What a program needs in its environment so that the preloaded library finds its devices.

#pragma once

#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "tools/exec/device_host.hpp"
#include "tools/failure.hpp"

namespace v4lfence {

/// The library that is preloaded.
struct PreloadLibrary {
    std::string value;  ///< What LD_PRELOAD names it by.
    bool has_32bit = false;
};
/// Beside this program, in the build tree or where it is installed. Failures: MachineLacks.
Attempt<PreloadLibrary> find_preload_library();
/// `path` of the library; of two bitnesses that lie as Debian has them the loader is to choose.
PreloadLibrary preload_library_at(const std::string& path,
                                  const std::function<bool(const std::string&)>& exists);

struct ShimSettings {
    std::string server;  ///< With `devices` only.
    std::vector<HostedDevice> devices;
    std::vector<std::string> wrapped;
    std::string provider;  ///< Empty: as it was.
    bool rfc_caps = false;
};

struct Variable {
    std::string name;
    std::string value;
};

/// A variable as the caller's environment has it; empty where it does not.
using Outer = std::function<std::string(const char* name)>;

/// What has to be set. Where there is an outer `exec`, nodes to wrap are added to its own; virtual
/// devices take the place of all of its virtual ones, and of a node of theirs that it wraps;
/// options that are not given stay.
std::vector<Variable> environment_of(const ShimSettings& settings, const PreloadLibrary& library,
                                     const Outer& outer);

/// For a POSIX shell, whatever is in it.
std::string shell_quoted(std::string_view text);

nlohmann::ordered_json settings_json(const ShimSettings& settings,
                                     const std::vector<Variable>& environment);

}  // namespace v4lfence
