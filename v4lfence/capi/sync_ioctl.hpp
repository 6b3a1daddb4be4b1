// SPDX-License-Identifier: MIT
//
// The ioctls of a sync_file, answered for fences of ours that the kernel knows as a pipe or an
// eventfd, as it answers them for its own.

#pragma once

#include <cstdint>

#include "v4lfence/base/result.hpp"

namespace v4lfence::capi {

struct Process;

/// SYNC_IOC_FILE_INFO, SYNC_IOC_MERGE and SYNC_IOC_SET_DEADLINE, whatever this machine's headers
/// know.
bool is_sync_request(std::uint32_t request);

/// After the kernel has refused it. `argument` is the program's and may point to anything.
/// Errors: ENOTTY it is no fence of ours, nor a sync_file to be merged with one; as the kernel's:
/// EFAULT; EINVAL flags, padding, too small an array; ENOENT the other fence is none; EMFILE.
Result<> sync_ioctl(Process& process, int fd, std::uint32_t request, void* argument);

}  // namespace v4lfence::capi
