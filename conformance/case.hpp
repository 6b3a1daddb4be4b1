// SPDX-License-Identifier: MIT
//
// Case: one promise of SEMANTICS.md as a device can show it.

#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "conformance/check.hpp"

namespace v4lfence {

class Rig;

enum class Pace : std::uint8_t {
    Quick,
    Slow,  ///< Takes ten seconds or more, because the promise does.
};

struct Case {
    std::string_view name;     ///< group@condition-outcome
    std::string_view lines;    ///< Of SEMANTICS.md, such as "2.1, 4.2"; "2" and "3" are the tables.
    std::string_view history;  ///< Of the patchset's review, such as "#14 #15"; may be empty.
    std::string_view sentence;  ///< What is promised.
    Checked<> (*run)(Rig& rig) = nullptr;
    Pace pace = Pace::Quick;
};

/// Every case, by theme.
std::vector<Case> all_cases();

/// Whether `name` is what `pattern` says: the same, or a glob with `*` (also across `@`) and `?`.
bool matches(std::string_view pattern, std::string_view name);

/// Those that one of `patterns` names, in the order of `cases`; all when there are none.
std::vector<Case> select_cases(std::span<const Case> cases, std::span<const std::string> patterns);

/// One line per case: `name  lines  sentence`.
std::string list_cases(std::span<const Case> cases);

}  // namespace v4lfence
