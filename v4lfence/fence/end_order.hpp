// SPDX-License-Identifier: MIT
//
// The memory order of a fence's end (SEMANTICS 7.2): what its maker wrote before is visible to
// whoever saw it ended. A descriptor alone promises that to nobody but the kernel, so one atomic of
// the process carries it for all fences.

#pragma once

namespace v4lfence {

/// Before the descriptor of one of our fences ends.
void publish_before_end() noexcept;

/// After any fence has been seen ended.
void acquire_after_end() noexcept;

}  // namespace v4lfence
