// SPDX-License-Identifier: MIT
//
// What the kernel tells of its own fences in another process.

#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include "tools/doctor/snapshot.hpp"
#include "v4lfence/base/result.hpp"

namespace v4lfence {

struct SyncFileFacts {
    std::string name;  ///< "vgem-unbound15-1": one fence has one name in all processes.
    bool ended = false;
    std::vector<KernelFence> pending;
};
/// Errors: EPERM forbidden; ENOTTY no sync_file; EBADF, ESRCH gone.
Result<SyncFileFacts> read_sync_file(pid_t pid, int fd);

/// The fences that a dma-buf has now. Errors: as above; ENOTTY a kernel before 6.0.
Result<SyncFileFacts> read_dma_buf(pid_t pid, int fd);

/// The driver of a DRM file, as it is in names of its fences. Empty: it cannot be asked. No lock of
/// the driver's is taken.
std::string read_drm_driver(pid_t pid, int fd);

/// A descriptor has something to read. Empty: it cannot be asked.
std::optional<bool> is_readable(pid_t pid, int fd);

}  // namespace v4lfence
