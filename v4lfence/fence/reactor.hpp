// SPDX-License-Identifier: MIT
//
// Reactor: waits for many descriptors and for deadlines, on a thread of its own or inside the
// caller's loop.

#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "v4lfence/base/result.hpp"
#include "v4lfence/base/time.hpp"

namespace v4lfence {

/// Thread: every member may be called from any thread, also from within a callback. Callbacks run
/// one at a time, on the thread that dispatches, with no lock of the reactor held.
class Reactor {
public:
    class Listener {
    public:
        /// `events` as epoll reports them.
        virtual void on_ready(std::uint64_t cookie, std::uint32_t events) = 0;

    protected:
        ~Listener() = default;
    };

    class TimerListener {
    public:
        virtual void on_deadline(MonotonicTime now) = 0;

    protected:
        ~TimerListener() = default;
    };

    /// Never 0 for a registration that exists.
    enum class WatchId : std::uint64_t { None = 0 };
    enum class TimerId : std::uint64_t { None = 0 };

    /// `clock` is borrowed and must outlive the Reactor. It has no descriptor until it is first
    /// asked for something.
    static std::unique_ptr<Reactor> create(const Clock& clock);

    /// Stops the thread. Nothing may be registered any more.
    ~Reactor();

    /// `fd` stays the caller's and must be removed before it is closed. `events` as epoll_ctl();
    /// EPOLLET is always added, so that a descriptor that hangs up, or that nobody reads, does not
    /// spin. Errors: EPERM `fd` cannot be polled; EBADF; EEXIST; ENOMEM; ENOSPC.
    Result<WatchId> watch(int fd, std::uint32_t events, Listener& listener, std::uint64_t cookie);
    /// Looks at the descriptor again, as if it were new. Errors: ENOENT it was removed.
    Result<> change(WatchId id, std::uint32_t events);
    /// Takes it out and puts it in again, which its callback may do: for a file whose poll() gave
    /// up at the first look and so never waits for anything. Errors: those of watch(); ENOENT.
    Result<> renew(WatchId id, std::uint32_t events);

    /// When this returns, no callback of the registration runs on another thread, and none will.
    /// From within its own callback it only forbids further ones.
    void unwatch(WatchId id);

    /// A timer is made disarmed. Errors: ENOMEM.
    Result<TimerId> add_timer(TimerListener& listener);
    /// Empty disarms. A deadline is met once, after whatever was ready at the same moment. Cheap:
    /// the kernel is told only when the earliest of all deadlines moves forward.
    void set_timer(TimerId id, Deadline deadline);
    /// As unwatch().
    void remove_timer(TimerId id);

    /// Starts the thread, with every signal blocked. Idempotent. Errors: EAGAIN, EBUSY
    /// use_own_loop() was called.
    Result<> start_thread();
    /// Ends and joins it. Not from within a callback.
    void stop_thread();
    bool has_thread() const noexcept;
    /// Gives its descriptors back while nothing is watched and nobody dispatches.
    void close_idle();
    /// Is this a callback, or called from one?
    bool on_dispatching_thread() const;

    /// For the caller's loop: from now on no thread may be started. Errors: EBUSY one runs.
    Result<> use_own_loop();
    /// Borrowed; readable while dispatch() has something to do.
    int fd() const noexcept;
    /// Handles what is due without blocking; returns how many callbacks ran.
    std::size_t dispatch();

    /// How often the reactor looked for work.
    std::uint64_t wakeups() const noexcept;

    /// The fork handlers: prepare_fork() waits until no callback runs, and none starts until
    /// resume_after_fork() in the parent. Call it before taking locks that callbacks take; other
    /// threads may register and remove meanwhile. In the child abandon_after_fork() closes every
    /// descriptor of the reactor, which is dead from then on: its calls do nothing and report EIO,
    /// and its memory is never freed.
    void prepare_fork();
    void resume_after_fork();
    void abandon_after_fork();

private:
    class Impl;
    explicit Reactor(std::unique_ptr<Impl> impl) noexcept;
    std::unique_ptr<Impl> impl_;
};

}  // namespace v4lfence
