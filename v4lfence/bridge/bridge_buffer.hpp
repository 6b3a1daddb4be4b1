// SPDX-License-Identifier: MIT
//
// BridgeBuffer: what the bridge keeps per buffer index.

#pragma once

#include <atomic>

#include "v4lfence/base/index_table.hpp"
#include "v4lfence/bridge/payload.hpp"

namespace v4lfence {

struct BridgeBuffer {
    Payload payload;      ///< Of the latest QBUF.
    BufferCopy geometry;  ///< As QUERYBUF showed it when it was made: memory, planes, offsets.
    BufferCopy taken;     ///< The kernel's answer to the latest QBUF; its own thread's to read.
    std::atomic<bool> exists{false};  ///< The kernel has it.
};

using BufferTable = IndexTable<BridgeBuffer>;

}  // namespace v4lfence
