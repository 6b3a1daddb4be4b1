// SPDX-License-Identifier: MIT
//
// select and epoll on one file, in one call each.

#pragma once

#include <sys/epoll.h>

#include <cstdint>

#include "conformance/check.hpp"
#include "conformance/rig.hpp"
#include "v4lfence/base/unique_fd.hpp"

namespace v4lfence {

/// What select() said of a file that was in all three sets.
struct Selected {
    int count = 0;
    bool readable = false;
    bool writable = false;
    bool exceptional = false;
};
Checked<Selected> select_once(const Rig& rig, int fd, int timeout_ms);

/// The event data of the one file in an epoll of these.
inline constexpr std::uint64_t epoll_word = 0x1234567890abcdef;

/// An epoll with one file in it.
Checked<UniqueFd> epoll_with(const Rig& rig, int fd, std::uint32_t events);

/// The events of that file, 0 when there are none.
Checked<std::uint32_t> epoll_events(int epoll, int timeout_ms);

}  // namespace v4lfence
