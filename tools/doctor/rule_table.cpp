// SPDX-License-Identifier: MIT

#include "tools/doctor/rule_table.hpp"

#include <array>

namespace v4lfence {

namespace {

constexpr std::array<Rule, 21> rules{{
    {"device-gone", RuleOf::State, find_device_gone},
    {"failed-start", RuleOf::State, find_failed_start},
    {"own-cycle", RuleOf::Wait, find_circle},
    {"starvation", RuleOf::Wait, find_starvation},
    {"display-off", RuleOf::Wait, find_display_off},
    {"stopped-producer", RuleOf::Wait, find_stopped_producer},
    {"idle-producer", RuleOf::Wait, find_idle_producer},
    {"waiting-display", RuleOf::Wait, find_waiting_display},
    {"other-process", RuleOf::Wait, find_other_process},
    {"this-program", RuleOf::Wait, find_this_program},
    {"bound-expired", RuleOf::State, find_bound_expired},
    {"deadline-expired", RuleOf::State, find_deadline_expired},
    {"never-dequeued", RuleOf::Wait, find_never_dequeued},
    {"unfetched-flip", RuleOf::Wait, find_unfetched_flip},
    {"silent-device", RuleOf::Wait, find_silent_device},
    {"silent-display", RuleOf::Wait, find_silent_display},
    {"too-few-queued", RuleOf::Wait, find_too_few_queued},
    {"kernel-fence", RuleOf::Wait, find_kernel_fence},
    {"unknown-end", RuleOf::Wait, find_unknown_end},
    {"no-end", RuleOf::Wait, find_no_end},
    {"stopped-program", RuleOf::State, find_stopped_program},
}};

}  // namespace

std::span<const Rule> rule_table() {
    return rules;
}

}  // namespace v4lfence
