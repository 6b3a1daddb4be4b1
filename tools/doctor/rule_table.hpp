// SPDX-License-Identifier: MIT
//
// The rules by which rules.hpp judges, one small function each, in the order of their priority: of
// all that is true of a wait the first is said. Some are of a state that somebody is in, whoever
// waits for it; the others are of where a chain of waits ends.

#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "tools/doctor/rule_case.hpp"

namespace v4lfence {

enum class RuleOf : std::uint8_t { State, Wait };

struct Rule {
    const char* name;
    RuleOf of;
    std::optional<Finding> (*find)(const RuleCase&);
};

std::span<const Rule> rule_table();

// Of a state.
std::optional<Finding> find_device_gone(const RuleCase& what);
std::optional<Finding> find_failed_start(const RuleCase& what);
std::optional<Finding> find_bound_expired(const RuleCase& what);
std::optional<Finding> find_deadline_expired(const RuleCase& what);
std::optional<Finding> find_stopped_program(const RuleCase& what);

// Of a wait.
std::optional<Finding> find_circle(const RuleCase& what);
std::optional<Finding> find_starvation(const RuleCase& what);
std::optional<Finding> find_display_off(const RuleCase& what);
std::optional<Finding> find_stopped_producer(const RuleCase& what);
std::optional<Finding> find_idle_producer(const RuleCase& what);
std::optional<Finding> find_waiting_display(const RuleCase& what);
std::optional<Finding> find_never_dequeued(const RuleCase& what);
std::optional<Finding> find_other_process(const RuleCase& what);
std::optional<Finding> find_this_program(const RuleCase& what);
std::optional<Finding> find_silent_device(const RuleCase& what);
std::optional<Finding> find_silent_display(const RuleCase& what);
std::optional<Finding> find_unfetched_flip(const RuleCase& what);
std::optional<Finding> find_too_few_queued(const RuleCase& what);
std::optional<Finding> find_kernel_fence(const RuleCase& what);
std::optional<Finding> find_unknown_end(const RuleCase& what);
std::optional<Finding> find_no_end(const RuleCase& what);

}  // namespace v4lfence
