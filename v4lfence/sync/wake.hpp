// SPDX-License-Identifier: MIT
//
// Wake: makes threads that wait in poll() look again. Costs nothing while nobody waits.

#pragma once

#include <atomic>

#include "v4lfence/base/result.hpp"
#include "v4lfence/base/unique_fd.hpp"

namespace v4lfence {

/// Thread: every member may be called from any thread.
class Wake {
public:
    /// Errors: EMFILE, ENFILE.
    Result<> open();

    /// Gives the descriptor back; nobody waits.
    void close() noexcept { fd_.reset(); }
    /// Who waits is woken, and will not call end().
    void forget_waiters() noexcept {
        notify();
        waiters_.store(0);
    }

    /// Borrowed; readable when a waiter should look again. -1 before open().
    int fd() const noexcept { return fd_.get(); }

    /// A thread is about to look, then to wait: what happens after its look will wake it. Clears
    /// what was rung before. If the look finds something and others wait, they are to be told
    /// again.
    void begin() noexcept;
    /// It looks no more.
    void end() noexcept { waiters_.fetch_sub(1); }
    bool others() const noexcept { return waiters_.load() > 1; }

    void notify() noexcept;

private:
    UniqueFd fd_;
    std::atomic<int> waiters_{0};
    std::atomic<bool> rung_{false};  ///< The descriptor is readable.
    std::atomic<int> ringing_{0};    ///< Threads that are about to make it so, or have just done.
};

}  // namespace v4lfence
