// SPDX-License-Identifier: MIT

#include "tools/stream/report_parts.hpp"

#include <fmt/format.h>
#include <sys/utsname.h>

namespace v4lfence {

namespace {

using Json = nlohmann::ordered_json;

}  // namespace

Json environment_json(const std::string& device, const std::string& driver, const std::string& card,
                      const std::string& bus, const std::string& provider) {
    utsname kernel{};
    ::uname(&kernel);
    return {{"kernel", kernel.release},
            {"machine", kernel.machine},
            {"device", device},
            {"driver", driver},
            {"card", card},
            {"bus", bus},
            {"provider", provider.empty() ? Json(nullptr) : Json(provider)},
            {"version", V4LFENCE_VERSION}};
}

Json latency_json(const std::optional<LatencySummary>& summary) {
    if (!summary) {
        return nullptr;
    }
    return {{"count", summary->count},           {"p50", double(summary->p50) / 1e3},
            {"p90", double(summary->p90) / 1e3}, {"p95", double(summary->p95) / 1e3},
            {"p99", double(summary->p99) / 1e3}, {"max", double(summary->max) / 1e3}};
}

Json promises_json(const std::vector<Promise>& promises) {
    Json list = Json::array();
    for (const Promise& promise : promises) {
        list.push_back({{"name", promise.name},
                        {"ok", promise.held()},
                        {"checked_count", promise.checked},
                        {"broken_count", promise.broken},
                        {"allowed_count", promise.forgiven},
                        {"meaning", promise.meaning},
                        {"first_break",
                         promise.first_break.empty() ? Json(nullptr) : Json(promise.first_break)}});
    }
    return list;
}

std::string latency_row(const char* name, const std::optional<LatencySummary>& summary) {
    if (!summary) {
        return {};
    }
    return fmt::format("  {:<28}{:>10.0f}{:>10.0f}{:>10.0f}{:>10.0f}\n", name,
                       double(summary->p50) / 1e3, double(summary->p90) / 1e3,
                       double(summary->p99) / 1e3, double(summary->max) / 1e3);
}

std::string promises_text(const std::vector<Promise>& promises) {
    std::string text = "promises\n";
    for (const Promise& promise : promises) {
        const char* verdict =
            promise.held() ? "ok" : (promise.checked == 0 ? "NOT SEEN" : "BROKEN");
        text += fmt::format("  {:<9}{:>6}x  {}\n", verdict, promise.checked, promise.meaning);
        if (!promise.first_break.empty()) {
            text +=
                fmt::format("{:20}{} times{}, first: {}\n", "", promise.broken + promise.forgiven,
                            promise.forgiven == 0 ? "" : " (allowed)", promise.first_break);
        }
    }
    return text;
}

}  // namespace v4lfence
