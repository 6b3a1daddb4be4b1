// SPDX-License-Identifier: MIT
//
// Work beside the case that cannot hang it: a thread that is given up on after a while, and a child
// process that is killed then.

#pragma once

#include <pthread.h>
#include <sys/types.h>

#include <atomic>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>

#include "conformance/check.hpp"
#include "conformance/wait.hpp"

namespace v4lfence {

/// Runs `work` on a thread. What it uses must be owned by it, or outlive it: a thread that hangs is
/// left behind.
class BoundedThread {
public:
    explicit BoundedThread(std::function<Checked<>()> work);
    BoundedThread(BoundedThread&&) = default;
    BoundedThread& operator=(BoundedThread&&) = delete;
    ~BoundedThread();

    bool done() const;

    /// Waits until the thread sleeps in the kernel, and looks for settle_ms whether it goes on. A
    /// failure if the work returns.
    Checked<> falls_asleep(std::string_view what) const;

    /// What the work said; a failure if it does not end in time. Then its system call is
    /// interrupted and the thread gets a moment more before it is left behind.
    Checked<> finish(std::string_view what, int bound_ms = must_happen_ms);

    /// Sends a signal whose handler does nothing, without SA_RESTART.
    void interrupt();

private:
    struct State {
        mutable std::mutex mutex;
        std::condition_variable changed;
        std::optional<Checked<>> result;  // guarded by mutex
        std::atomic<int> tid{0};          // 0: it has not begun
    };
    bool wait(int ms) const;

    std::shared_ptr<State> state_;
    std::thread thread_;
};

/// A forked child that runs `work` and ends without cleaning up. Its answer comes back by its exit
/// status and a pipe. The work runs in a copy of a process that may have threads: system calls and
/// the device's calls alone.
class Child {
public:
    static Checked<Child> fork(const std::function<Checked<>()>& work);
    Child(Child&& other) noexcept;
    Child& operator=(Child&&) = delete;
    ~Child();

    pid_t pid() const { return pid_; }

    /// What the work said; killed and a failure if it does not end in time.
    Checked<> finish(std::string_view what, int bound_ms = must_happen_ms);

    /// SIGKILL, and waits for its end.
    void kill();

private:
    Child(pid_t pid, UniqueFd answer) : pid_(pid), answer_(std::move(answer)) {}

    pid_t pid_ = -1;
    UniqueFd answer_;
};

/// A descriptor to another process, and from it.
Checked<> send_descriptor(int socket, int fd);
Checked<UniqueFd> receive_descriptor(int socket);

/// One byte each way, to walk in step.
Checked<> tell(int socket);
Checked<> await_word(int socket, std::string_view what);

}  // namespace v4lfence
