// SPDX-License-Identifier: MIT

#include "conformance/case.hpp"

#include <algorithm>

#include "conformance/cases/cases.hpp"

namespace v4lfence {

std::vector<Case> all_cases() {
    std::vector<Case> cases;
    for (const std::span<const Case> theme :
         {query_cases(),        input_error_cases(), call_error_cases(),     in_fence_cases(),
          fence_kind_cases(),   out_fence_cases(),   order_cases(),          readiness_cases(),
          stream_off_cases(),   error_cases(),       refusal_cases(),        deadline_cases(),
          memory_cases(),       buffer_cases(),      descriptor_cases(),     process_cases(),
          handle_cases(),       adoption_cases(),    thread_cases(),         minimum_cases(),
          device_error_cases(), provider_cases(),    provider_merge_cases(), implicit_cases(),
          vb2_request_cases(),  vb2_state_cases(),   vb2_frame_cases(),      vb2_memory_cases(),
          vb2_handle_cases(),   vb2_waiting_cases(), unplug_cases()}) {
        cases.insert(cases.end(), theme.begin(), theme.end());
    }
    return cases;
}

bool matches(std::string_view pattern, std::string_view name) {
    // A star is tried at the shortest first; only the last one seen needs to be taken back.
    std::size_t at = 0;
    std::size_t in_name = 0;
    std::size_t star = std::string_view::npos;
    std::size_t star_name = 0;
    while (in_name < name.size()) {
        if (at < pattern.size() && pattern[at] == '*') {
            star = at++;
            star_name = in_name;
        } else if (at < pattern.size() && (pattern[at] == '?' || pattern[at] == name[in_name])) {
            ++at;
            ++in_name;
        } else if (star != std::string_view::npos) {
            at = star + 1;
            in_name = ++star_name;
        } else {
            return false;
        }
    }
    return pattern.find_first_not_of('*', at) == std::string_view::npos;
}

std::vector<Case> select_cases(std::span<const Case> cases, std::span<const std::string> patterns) {
    std::vector<Case> chosen;
    for (const Case& entry : cases) {
        const auto names_it = [&](const std::string& pattern) {
            return matches(pattern, entry.name);
        };
        if (patterns.empty() || std::any_of(patterns.begin(), patterns.end(), names_it)) {
            chosen.push_back(entry);
        }
    }
    return chosen;
}

std::string list_cases(std::span<const Case> cases) {
    std::size_t name_width = 0;
    std::size_t lines_width = 0;
    for (const Case& entry : cases) {
        name_width = std::max(name_width, entry.name.size());
        lines_width = std::max(lines_width, entry.lines.size());
    }
    std::string listing;
    for (const Case& entry : cases) {
        listing +=
            fmt::format("{:{}}  {:{}}  {}{}\n", entry.name, name_width, entry.lines, lines_width,
                        entry.sentence, entry.pace == Pace::Slow ? " (slow)" : "");
    }
    return listing;
}

}  // namespace v4lfence
