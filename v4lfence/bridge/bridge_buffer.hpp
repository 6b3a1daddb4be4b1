// SPDX-License-Identifier: MIT
//
// BridgeBuffer: what the bridge keeps per buffer index.

#pragma once

#include <linux/videodev2.h>

#include <atomic>
#include <cstdint>

#include "v4lfence/base/index_table.hpp"
#include "v4lfence/bridge/exported_planes.hpp"
#include "v4lfence/bridge/payload.hpp"

namespace v4lfence {

/// Of what QUERYBUF says: the kernel has the buffer, full or not.
constexpr bool is_kernels(std::uint32_t flags) {
    return (flags & (V4L2_BUF_FLAG_QUEUED | V4L2_BUF_FLAG_DONE)) != 0;
}

struct BridgeBuffer {
    Payload payload;      ///< Of the latest QBUF.
    BufferCopy geometry;  ///< As QUERYBUF showed it when it was made: memory, planes, offsets.
    BufferCopy taken;     ///< The kernel's answer to the latest QBUF; its own thread's to read.
    ExportedPlanes exported;          ///< While the file has implicit synchronization.
    std::atomic<bool> exists{false};  ///< The kernel has it.
};

using BufferTable = IndexTable<BridgeBuffer>;

}  // namespace v4lfence
