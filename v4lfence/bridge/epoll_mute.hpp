// SPDX-License-Identifier: MIT
//
// EpollMute: the program's epoll registrations of one file. While the kernel would report a false
// POLLERR (SEMANTICS 6.4) they ask for no frames, and with nothing asked the kernel says nothing.

#pragma once

#include <sys/epoll.h>

#include <atomic>
#include <cstdint>
#include <mutex>
#include <vector>

#include "v4lfence/base/result.hpp"
#include "v4lfence/base/unique_fd.hpp"

namespace v4lfence {

/// Thread: every member may be called from any thread.
class EpollMute {
public:
    /// epoll_ctl() for the file `fd`. Errors: its own.
    Result<> control(int epfd, int operation, int fd, epoll_event* event);

    /// Frames are asked for, or not, in every registration from now on.
    void set(bool muted, int fd);

    bool empty() const noexcept { return count_.load(std::memory_order_relaxed) == 0; }

private:
    struct Registration {
        int number;    ///< The program's name for its epoll.
        UniqueFd own;  ///< So that a number used anew is not mistaken for it.
        epoll_event event;
    };
    std::uint32_t effective(std::uint32_t events) const;

    std::mutex mutex_;
    std::vector<Registration> registrations_;
    std::atomic<std::size_t> count_{0};
    bool muted_ = false;
};

}  // namespace v4lfence
