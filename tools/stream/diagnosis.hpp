// SPDX-License-Identifier: MIT
//
// Who waits for whom when no frame comes.

#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "tools/stream/camera.hpp"
#include "v4lfence/v4lfence.h"

namespace v4lfence {

struct QueuedBuffer;

/// A line for each buffer: held and by whose fence, given to the driver, or done and not taken.
std::string diagnose(const Camera& camera, std::uint32_t memory,
                     std::span<const QueuedBuffer> buffers, unsigned chain_depth);

/// "is pending", "has ended", ...
const char* fence_state_text(int fence_fd);

/// Which fence was given up on; empty when none was.
std::string expiry_text(const v4lfence_expiry& expiry);

}  // namespace v4lfence
