// SPDX-License-Identifier: MIT
//
// Streams of which something waits for a fence of the case: how most cases begin.

#pragma once

#include <utility>

#include "conformance/check.hpp"
#include "conformance/rig.hpp"
#include "conformance/stream.hpp"

namespace v4lfence {

struct HoldOptions {
    StreamOptions stream = {};
    bool failing = false;   ///< The fence must be able to end with an error.
    bool out = true;        ///< Out-fences for the buffers that wait.
    bool rest_out = false;  ///< And for those queued behind them.
    bool start = true;
};

/// Moved by construction only: the stream's buffers are in the queue.
struct HeldStream {
    Stream stream;
    TestFence fence;
};

/// Buffer 0, painted, waits for the fence; all the others are queued behind it.
Checked<HeldStream> hold_first(Rig& rig, const HoldOptions& options = {});

/// Every buffer waits for the fence.
Checked<HeldStream> hold_all(Rig& rig, const HoldOptions& options = {});

/// Nothing comes, buffer 0 is held, and nobody wrote to it. Then the fence ends, and it comes.
Checked<Frame> release_first(HeldStream& held);

}  // namespace v4lfence
