// SPDX-License-Identifier: MIT

#pragma once

#include <cerrno>

namespace v4lfence {

/// A negative errno that tells of this process, or of this moment, and not of what was asked for:
/// it may be there the next time.
constexpr bool is_shortage(int error) noexcept {
    return error == -EMFILE || error == -ENFILE || error == -ENOMEM || error == -ENOBUFS;
}

}  // namespace v4lfence
