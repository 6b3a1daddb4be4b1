// SPDX-License-Identifier: MIT
//
// The ioctls of sync_files, and of dma-bufs that give one.

#pragma once

#include <cstdint>
#include <string_view>

#include "v4lfence/base/result.hpp"
#include "v4lfence/base/unique_fd.hpp"
#include "v4lfence/fence/fence.hpp"

namespace v4lfence {

/// How far a sync_file is; with the time of its latest fence once it has ended, if it has at most
/// `sync_fences_max` of them: that takes a second call. Errors: what the ioctl says, ENOTTY no
/// sync_file.
Result<FenceStatus> query_sync_file(int fd);

/// The same without the time: one call. Errors: as above.
Result<FenceStatus> query_sync_state(int fd);

/// Names of the first fence that is pending, or of the first. Errors: as above.
Result<FenceNames> query_sync_names(int fd);

/// A sync_file for the fences that a dma-buf has now. Errors: ENOTTY no dma-buf, or a kernel
/// before 6.0; EMFILE.
Result<UniqueFd> export_sync_file(int dma_buf, DmaBufAccess access);

/// How many fences of a merged sync_file are looked at one by one.
inline constexpr std::uint32_t sync_fences_max = 64;

}  // namespace v4lfence
