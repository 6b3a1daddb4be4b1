// SPDX-License-Identifier: MIT
//
// Merging fences of any kind: the kernel does it for two sync_files; for others a fence of the user
// provider ends when the reactor has seen both end.

#pragma once

#include <string_view>

#include "v4lfence/base/result.hpp"
#include "v4lfence/base/unique_fd.hpp"

namespace v4lfence::capi {

struct Process;

/// The inputs stay the caller's. Errors: EINVAL one is no fence; EMFILE, ENOMEM.
Result<UniqueFd> merge_fences(Process& process, std::string_view name, int first, int second);

}  // namespace v4lfence::capi
