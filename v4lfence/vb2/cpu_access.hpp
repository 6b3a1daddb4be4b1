// SPDX-License-Identifier: MIT
//
// CpuAccess: the frame around a CPU's access to a mapped dma-buf, which keeps caches right where
// memory is not coherent.

#pragma once

#include "v4lfence/base/result.hpp"
#include "v4lfence/vb2/memory.hpp"

namespace v4lfence {

/// Of one plane. Thread: one at a time.
class CpuAccess {
public:
    explicit CpuAccess(DeviceAccess access) noexcept : access_(access) {}

    /// The kernel would wait here for all fences in the dma-buf. videobuf2 does not, and one of
    /// them may be the out-fence of this very frame, which the program put there for others: so
    /// while any is pending this does nothing. A fence that comes in at the same moment is waited
    /// for. Errors: what the exporter says.
    Result<> begin(int dma_buf);
    /// Of what begin() began, if it did.
    void end(int dma_buf) noexcept;

private:
    const DeviceAccess access_;
    bool begun_ = false;
};

}  // namespace v4lfence
