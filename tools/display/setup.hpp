// SPDX-License-Identifier: MIT
//
// From choices to a run: opens both sides and lets them agree on format, size, memory and fences.

#pragma once

#include <chrono>

#include "tools/display/options.hpp"
#include "tools/display/result.hpp"
#include "tools/stream/interrupt.hpp"

namespace v4lfence {

/// Which fences go where, given what each side can. `memory`: of the frames.
CycleRules plan_rules(const DisplayChoices& choices, const QueueFences& camera,
                      const ConsumerInfo& consumer, MemoryWay memory);

/// The same in words, and why. `no_vgem`: why this machine has no such fences; NULL: it has.
std::string fences_text(const CycleRules& rules, const QueueFences& camera,
                        const ConsumerInfo& consumer, MemoryWay memory, const char* no_vgem);

/// Until the commit under way is on screen. Fails with a sentence; Interrupted by Ctrl-C alone, for
/// no other signal ends it.
Attempt<> await_flip(Consumer& consumer, const Interrupt& interrupt,
                     std::chrono::milliseconds patience);

/// Fails with a sentence before anything has been shown.
Attempt<DisplayResult> run_display(const DisplayChoices& choices);

}  // namespace v4lfence
