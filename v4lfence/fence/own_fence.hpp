// SPDX-License-Identifier: MIT
//
// How a fence of this library is known for one by its descriptor alone, in every process that has
// it: by a signal number that means nothing to it (F_SETSIG), for which making it takes one fcntl()
// more (0.23 us). What pipe2() can ask for is no mark: of its flags the read end keeps O_NONBLOCK
// alone.
//
// It is not proof against a holder who changes it: to him it is a pipe, or an eventfd, like any
// other.

#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "v4lfence/base/result.hpp"
#include "v4lfence/base/time.hpp"
#include "v4lfence/fence/fence.hpp"

namespace v4lfence {

/// A pipe's read end, or an eventfd. Errors: ENOMEM.
Result<> mark_own_fence(int fd);

struct OwnFence {
    FenceKind kind = FenceKind::Stream;
    std::string_view provider;
    std::uint64_t inode = 0;
};
/// Empty: `fd` is no fence of ours, or the kernel's own sync_file.
std::optional<OwnFence> find_own_fence(int fd);

/// When a fence of ours that has ended did, as far as its inode tells: to a tick of the kernel's
/// clock, and only while nobody sets the time of day. Empty: it is not known.
std::optional<MonotonicTime> own_fence_ended_at(int fd);

}  // namespace v4lfence
