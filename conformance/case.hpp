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

/// Without which a case means nothing.
enum class Needs : std::uint8_t {
    Fences,   ///< IN_FENCE and OUT_FENCE do something, whoever implements them.
    Library,  ///< They are the library's: its query, its deadlines, its rule for fork.
    Nothing,  ///< Any capture device: it is stock videobuf2 that is judged, on an unfenced file.
};

struct Case {
    std::string_view name;     ///< group@condition-outcome
    std::string_view lines;    ///< Of SEMANTICS.md, such as "2.1, 4.2"; "2" and "3" are the tables.
    std::string_view history;  ///< Of the patchset's review, such as "#14 #15"; of the contract for
                               ///< fences, such as "M07 Q01". May be empty.
    std::string_view sentence;  ///< What is promised.
    Checked<> (*run)(Rig& rig) = nullptr;
    Pace pace = Pace::Quick;
    Needs needs = Needs::Fences;
};

/// A case of stock videobuf2: SEMANTICS has no line for it but "where this page is silent".
constexpr Case plain_case(std::string_view name, std::string_view sentence,
                          Checked<> (*run)(Rig& rig)) {
    return {name, "", "", sentence, run, Pace::Quick, Needs::Nothing};
}

/// A case that asks what only the library can answer.
constexpr Case library_case(std::string_view name, std::string_view lines, std::string_view history,
                            std::string_view sentence, Checked<> (*run)(Rig& rig)) {
    return {name, lines, history, sentence, run, Pace::Quick, Needs::Library};
}

/// Every case, by theme.
std::vector<Case> all_cases();

/// Whether `name` is what `pattern` says: the same, or a glob with `*` (also across `@`) and `?`.
bool matches(std::string_view pattern, std::string_view name);

/// Those that one of `patterns` names, in the order of `cases`; all when there are none.
std::vector<Case> select_cases(std::span<const Case> cases, std::span<const std::string> patterns);

/// One line per case: `name  lines  sentence`.
std::string list_cases(std::span<const Case> cases);

}  // namespace v4lfence
