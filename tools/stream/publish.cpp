// SPDX-License-Identifier: MIT

#include "tools/stream/publish.hpp"

#include <fmt/format.h>

#include <cstdio>
#include <fstream>

namespace v4lfence {

Attempt<> publish_report(const nlohmann::ordered_json& json, const std::string& text, bool as_json,
                         const std::optional<std::string>& path) {
    const std::string dumped =
        json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + '\n';
    fmt::print("{}", as_json ? dumped : text);
    std::fflush(stdout);
    if (path) {
        std::ofstream file(*path);
        file << dumped;
        if (!file.flush()) {
            return job_failed(fmt::format("--report {}: it cannot be written.", *path));
        }
    }
    return {};
}

}  // namespace v4lfence
