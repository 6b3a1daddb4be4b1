// SPDX-License-Identifier: MIT

#include "v4lfence/fence/own_fence.hpp"

#include <sys/stat.h>

#include <algorithm>
#include <chrono>
#include <ctime>

#include "v4lfence/base/syscall.hpp"
#include "v4lfence/fence/end_mark.hpp"

namespace v4lfence {

namespace {

/// The last but one of the real-time signals, which nobody asks for. Without O_ASYNC none is sent.
constexpr int own_mark = 63;

std::int64_t now_ns(clockid_t clock) {
    timespec now{};
    ::clock_gettime(clock, &now);
    return std::int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

bool is_marked(int fd) {
    return sys::get_io_signal(fd).value_or(0) == own_mark;
}

}  // namespace

Result<> mark_own_fence(int fd) {
    return sys::set_io_signal(fd, own_mark);
}

std::optional<OwnFence> find_own_fence(int fd) {
    const auto info = sys::fstat(fd);
    if (!info || !is_marked(fd)) {
        return std::nullopt;
    }
    if (S_ISFIFO(info->st_mode)) {
        return OwnFence{FenceKind::Stream, "user", info->st_ino};
    }
    const auto link = sys::describe_fd(fd);
    return link && *link == "anon_inode:[eventfd]"
               ? std::optional(OwnFence{FenceKind::EventFd, "eventfd", info->st_ino})
               : std::nullopt;
}

std::optional<MonotonicTime> own_fence_ended_at(int fd) {
    const auto info = sys::fstat(fd);
    if (!info || !marked_error(info->st_mode)) {
        return std::nullopt;
    }
    // The end is the last change of a pipe's inode: its mode, or its only byte.
    const std::int64_t changed =
        std::int64_t{info->st_ctim.tv_sec} * 1'000'000'000 + info->st_ctim.tv_nsec;
    const std::int64_t ago = std::max<std::int64_t>(now_ns(CLOCK_REALTIME) - changed, 0);
    return from_ns(std::max<std::int64_t>(now_ns(CLOCK_MONOTONIC) - ago, 1));
}

}  // namespace v4lfence
