// SPDX-License-Identifier: MIT
//
// The few DRM ioctls that vgem's fences need, with their kernel layouts: the core links no libdrm.

#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "v4lfence/base/result.hpp"
#include "v4lfence/base/unique_fd.hpp"

namespace v4lfence::drm {

/// The paths in a folder whose names begin so ("card", "renderD"), sorted; what cannot be read is
/// left out. Errors: EMFILE, ENFILE, ENOMEM.
Result<std::vector<std::string>> list_nodes(std::string_view prefix,
                                            const char* folder = "/dev/dri");

/// The name of the driver behind a DRM node. Errors: what the ioctl says.
Result<std::string> driver_name(int fd);

/// Memory of a driver that has dumb buffers, as a dma-buf that can be mapped for writing. `size` is
/// rounded up to pages of 4096. Needs a card node. Errors: EACCES on render nodes; ENOMEM.
Result<UniqueFd> create_dumb_dma_buf(int card, std::size_t size);

/// The GEM handle of a dma-buf in this DRM file.
Result<std::uint32_t> import_dma_buf(int fd, int dma_buf);

/// vgem: puts a pending fence that blocks readers and writers on the object. Errors: EBUSY one is
/// pending on it.
Result<std::uint32_t> attach_fence(int fd, std::uint32_t handle);

/// vgem: Errors: ENOENT ended before; ETIMEDOUT the kernel has ended it by itself.
Result<> signal_fence(int fd, std::uint32_t fence);

}  // namespace v4lfence::drm
