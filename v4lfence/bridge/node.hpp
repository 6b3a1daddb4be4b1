// SPDX-License-Identifier: MIT
//
// What a kernel node is: which queues it has, and whether they give their buffers back in the order
// they took them. The one source of truth for what is advertised, how fences end and what is
// printed (SEMANTICS 1.5).

#pragma once

#include <cstdint>

#include "v4lfence/base/result.hpp"

namespace v4lfence {

/// Errors: EINVAL the node has no queue of this buffer type; ENODEV it is gone; ENOTTY it is no
/// node with queues at all.
Result<> check_kernel_queue(int fd, std::uint32_t buffer_type);

/// Asks the kernel for the driver and the formats in use. Without an answer: unordered, which is
/// always safe.
bool kernel_queue_is_ordered(int fd);

/// The same for every format that a queue offers (SEMANTICS 1.3).
bool kernel_queue_is_always_ordered(int fd, std::uint32_t buffer_type);

/// QUERYBUF tells which buffers the kernel has, and which are done. v4l2loopback, which is not
/// videobuf2, says QUEUED of all of them, always: there DQBUF alone shows what is finished.
bool kernel_shows_buffer_states(int fd);

}  // namespace v4lfence
