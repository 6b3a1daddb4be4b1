// SPDX-License-Identifier: MIT
//
// How the end of a user-space fence is told through its pipe. The maker writes the outcome into the
// mode bits of the pipe's inode, then one byte if all went well, then closes the only write end.
// The mark outlives the byte, so that a holder who reads it away changes nothing; neither mark nor
// byte means that the maker went without ending the fence.

#pragma once

#include <sys/types.h>

#include <cerrno>
#include <optional>

namespace v4lfence {

/// What a stream that hung up without data and without a mark failed with.
inline constexpr int maker_gone_error = -EOWNERDEAD;

/// Mode bits for `error`: 0 or a negative errno; one beyond what fits counts as -EIO.
mode_t end_mark(int error) noexcept;

/// Empty: the pipe is unmarked.
std::optional<int> marked_error(mode_t mode) noexcept;

/// Ends the fence whose write end this is: mark, byte if `error` is 0. The hang-up is the caller's.
void end_pipe(int write_end, int error) noexcept;

}  // namespace v4lfence
