// SPDX-License-Identifier: MIT
//
// The life of one fence in nothing but the system calls that its kind cannot do without: made,
// ended, asked for its status, closed. What the providers are measured against.

#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "v4lfence/base/unique_fd.hpp"

namespace v4lfence::bench {

/// Each returns whether the fence was seen ended.
bool bare_pipe_life();
bool bare_eventfd_life();

/// A render node of vgem and one private object on it.
class BareVgem {
public:
    /// Empty where the machine has no vgem.
    static std::optional<BareVgem> open();
    bool life();

private:
    UniqueFd node_;
    UniqueFd object_;
    std::uint32_t handle_ = 0;
};

}  // namespace v4lfence::bench
