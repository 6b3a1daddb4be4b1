// SPDX-License-Identifier: MIT
//
// EpollMute: the program's epoll registrations of one file. While the kernel would report a false
// POLLERR (SEMANTICS 6.4) they ask for no frames, and with nothing asked the kernel says nothing. A
// buffer that DQBUF returns though the kernel never had it is announced by a second descriptor,
// under the program's own data.

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
    /// epoll_ctl() for the file, by its number `fd`. Errors: its own.
    Result<> control(int epfd, int operation, int fd, epoll_event* event);

    struct State {
        bool muted = false;    ///< Frames are asked for in no registration.
        bool ringing = false;  ///< DQBUF has something that the kernel does not know of.

        bool operator==(const State&) const = default;
    };
    /// What holds for every registration of the file from now on. `look` says it, and is asked with
    /// nobody else between, so that the latest word is the last.
    template <class Look>
    void refresh(Look look) {
        const std::lock_guard lock(mutex_);
        set(look());
    }

    /// The number `fd` is about to be closed, and the file goes on by another. The kernel keeps
    /// registrations by `fd` and lets nobody change them any more: they are the program's again.
    void release(int fd);

    bool empty() const noexcept { return count_.load(std::memory_order_relaxed) == 0; }

private:
    struct Registration {
        int number;    ///< The program's name for its epoll.
        int file;      ///< By which number of the file.
        UniqueFd own;  ///< So that a number used anew is not mistaken for it.
        epoll_event event;
    };
    std::uint32_t effective(std::uint32_t events) const;
    void set(State state);
    void follow(int epfd, int operation, const epoll_event& event);
    void unfollow(int number, int epfd);

    std::mutex mutex_;
    std::vector<Registration> registrations_;
    std::atomic<std::size_t> count_{0};
    State state_;
    UniqueFd bell_;  ///< From the first state that needs it.
};

}  // namespace v4lfence
