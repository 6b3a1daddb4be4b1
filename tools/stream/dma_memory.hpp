// SPDX-License-Identifier: MIT
//
// Memory as dma-bufs from a device that is not the camera.

#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "tools/failure.hpp"
#include "v4lfence/base/result.hpp"
#include "v4lfence/base/unique_fd.hpp"

namespace v4lfence {

class DmaMemory {
public:
    virtual ~DmaMemory() = default;

    /// A dma-buf that can be mapped. Errors: ENOMEM, EMFILE, what the device says.
    virtual Result<UniqueFd> allocate(std::size_t size) = 0;

    /// The first that works of the system's dma-heap, udmabuf, and the dumb buffers of a DRM
    /// device.
    static Attempt<std::unique_ptr<DmaMemory>> open();
};

/// The CPU reads or writes a dma-buf between two of these: DMA_BUF_SYNC_* of linux/dma-buf.h. Not
/// every exporter has caches to look after.
void sync_dma_buf(int dma_buf, std::uint64_t flags);

}  // namespace v4lfence
