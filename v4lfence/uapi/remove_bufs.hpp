// SPDX-License-Identifier: MIT
//
// VIDIOC_REMOVE_BUFS as kernels from 6.10 on have it; headers before do not.

#pragma once

#include <linux/ioctl.h>

#include <array>
#include <cstdint>

namespace v4lfence {

struct RemoveBuffers {
    std::uint32_t index;
    std::uint32_t count;
    std::uint32_t type;
    std::array<std::uint32_t, 13> reserved;
};
static_assert(sizeof(RemoveBuffers) == 64);

inline constexpr std::uint32_t remove_bufs_request = _IOWR('V', 104, RemoveBuffers);
static_assert(remove_bufs_request == 0xC0405668);

}  // namespace v4lfence
