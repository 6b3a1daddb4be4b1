// SPDX-License-Identifier: MIT
//
// Inside of the Reactor. One mutex guards the tables and what runs; it is never held over a
// callback. Ids of timers have their topmost bit set, so that one number names whatever callback
// runs.

#pragma once

#include <pthread.h>

#include <array>
#include <atomic>
#include <condition_variable>
#include <mutex>
#include <span>
#include <thread>

#include "v4lfence/base/syscall.hpp"
#include "v4lfence/base/unique_fd.hpp"
#include "v4lfence/fence/reactor.hpp"
#include "v4lfence/fence/slot_table.hpp"

namespace v4lfence {

class Reactor::Impl {
public:
    explicit Impl(const Clock& clock) : clock_(clock) {}
    ~Impl() { stop_thread(); }
    Impl(const Impl&) = delete;
    Impl& operator=(const Impl&) = delete;

    void close_idle();

    Result<WatchId> watch(int fd, std::uint32_t events, Listener& listener, std::uint64_t cookie);
    Result<> change(WatchId id, std::uint32_t events);
    Result<> renew(WatchId id, std::uint32_t events);
    void unwatch(WatchId id);

    Result<TimerId> add_timer(TimerListener& listener);
    void set_timer(TimerId id, Deadline deadline);
    void remove_timer(TimerId id);

    Result<> start_thread();
    void stop_thread();
    bool called_from_callback() {
        const Lock lock(mutex_);
        return on_dispatching_thread();
    }
    bool has_thread() const noexcept { return has_thread_.load(std::memory_order_acquire); }

    Result<> use_own_loop();
    int fd() const noexcept { return epoll_.get(); }
    std::size_t dispatch();
    std::uint64_t wakeups() const noexcept { return wakeups_.load(std::memory_order_relaxed); }

    void prepare_fork();
    void resume_after_fork();
    void abandon_after_fork();
    bool dead() const noexcept { return dead_.load(std::memory_order_relaxed); }

private:
    struct Watch {
        int fd = -1;
        Listener* listener = nullptr;
        std::uint64_t cookie = 0;
    };
    struct Timer {
        TimerListener* listener = nullptr;
        Deadline deadline;
    };
    using Lock = std::unique_lock<std::mutex>;

    /// How many events one system call fetches, and how many deadlines one pass handles.
    static constexpr std::size_t batch_max = 64;

    /// The descriptors, if they are not there yet; with the lock held. Errors: EMFILE, ENOMEM.
    Result<> open();
    Result<> open_locked() {
        const Lock lock(mutex_);
        return open();
    }

    static void* run_thread(void* impl);
    void run();

    /// False: another thread dispatches, or this one already does.
    bool become_dispatcher();
    void resign_dispatcher();

    /// One pass: waits up to `timeout_ms`, then runs what is due. Returns how many callbacks ran.
    Result<std::size_t> pass(int timeout_ms);
    bool run_ready(Lock& lock, const epoll_event& event);
    /// `fired`: the kernel's timer has, and has to be armed again.
    std::size_t run_due(Lock& lock, bool fired);
    /// Returns whether a deadline at or before `now` was there to be handled.
    bool run_earliest(Lock& lock, MonotonicTime now);

    /// Runs `callback` as `id` with the lock released.
    template <class Callback>
    void call(Lock& lock, std::uint64_t id, Callback callback);

    /// Until no callback of `id` runs on another thread.
    void wait_for_callback(Lock& lock, std::uint64_t id);
    bool on_dispatching_thread() const { return dispatcher_ == std::this_thread::get_id(); }

    struct Earliest {
        std::uint64_t id = 0;
        Deadline deadline;
    };
    Earliest earliest_timer();
    /// Makes the kernel's timer fire no later than `deadline`.
    void arm(MonotonicTime deadline);

    void wait_for_forks(Lock& lock);

    const Clock& clock_;
    UniqueFd epoll_;
    UniqueFd timer_;
    UniqueFd wake_;

    std::mutex thread_mutex_;  ///< For starting and stopping; taken before mutex_.
    pthread_t thread_{};
    std::atomic<bool> has_thread_{false};
    bool own_loop_ = false;

    std::mutex mutex_;  ///< For everything below.
    std::condition_variable changed_;
    SlotTable<Watch> watches_;
    SlotTable<Timer> timers_;
    Deadline armed_;             ///< When the kernel's timer fires.
    std::uint64_t running_ = 0;  ///< The registration whose callback runs.
    std::thread::id dispatcher_;
    bool dispatching_ = false;
    unsigned forks_ = 0;  ///< How many forks want quiet.

    std::atomic<bool> stop_{false};
    std::atomic<bool> dead_{false};
    std::atomic<std::uint64_t> wakeups_{0};
};

}  // namespace v4lfence
