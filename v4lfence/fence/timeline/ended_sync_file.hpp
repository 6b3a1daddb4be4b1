// SPDX-License-Identifier: MIT
//
// EndedSyncFile: a sync_file that has ended well, for interfaces of the kernel that take nothing
// else. It stands for the end of any fence that can no longer be pending.

#pragma once

#include "v4lfence/base/result.hpp"
#include "v4lfence/base/unique_fd.hpp"

namespace v4lfence {

/// Thread: one at a time.
class EndedSyncFile {
public:
    /// One more descriptor of it, close-on-exec. It is made at the first call, of a dma-buf without
    /// fences or of a signaled syncobj; when it says that it ended means nothing.
    /// Errors: ENODEV nothing on this machine makes sync_files; EMFILE.
    Result<UniqueFd> get();

private:
    UniqueFd made_;
};

}  // namespace v4lfence
