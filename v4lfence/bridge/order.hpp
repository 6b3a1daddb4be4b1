// SPDX-License-Identifier: MIT
//
// Whether a kernel queue gives its buffers back in the order it took them: the one source of truth
// for what is advertised, how fences merge and what is printed (SEMANTICS 1.5).

#pragma once

#include <cstdint>

namespace v4lfence {

/// Asks the kernel for the driver and the formats in use. Without an answer: unordered, which is
/// always safe.
bool kernel_queue_is_ordered(int fd);

/// The same for every format that a queue offers (SEMANTICS 1.3).
bool kernel_queue_is_always_ordered(int fd, std::uint32_t buffer_type);

}  // namespace v4lfence
