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

    /// Borrowed; readable when a waiter should look again. -1 before open().
    int fd() const noexcept { return fd_.get(); }

    /// A thread is about to look, then to wait: what happens after its look will wake it.
    void begin() noexcept { waiters_.fetch_add(1); }
    /// It looks no more; the last one clears the mark.
    void end() noexcept;

    void notify() noexcept;

    /// For a thread that was cancelled in its wait and never came to end().
    void forget_waiters() noexcept { waiters_.store(0); }

private:
    UniqueFd fd_;
    std::atomic<int> waiters_{0};
};

}  // namespace v4lfence
