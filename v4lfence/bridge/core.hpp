// SPDX-License-Identifier: MIT
//
// Core: what all fenced files of a process share: the reactor, the clock, the providers this
// machine has.

#pragma once

#include <array>
#include <atomic>
#include <memory>
#include <mutex>
#include <string_view>

#include "v4lfence/base/result.hpp"
#include "v4lfence/base/time.hpp"
#include "v4lfence/fence/provider.hpp"
#include "v4lfence/fence/reactor.hpp"
#include "v4lfence/sync/sync.hpp"

namespace v4lfence {

/// Thread: every member may be called from any thread.
class Core {
public:
    /// Errors: EMFILE, ENOMEM.
    static Result<std::unique_ptr<Core>> create();

    Reactor& reactor() noexcept { return *reactor_; }
    const Clock& clock() const noexcept { return *clock_; }
    FenceCounters& counters() noexcept { return counters_; }

    /// "auto" is "user". Probed once. Errors: EINVAL no such name; ENODEV this machine lacks it,
    /// see reason().
    Result<FenceProvider*> provider(std::string_view name);
    /// Why the machine lacks a provider; NULL if it has it. Errors: EINVAL no such name.
    Result<const char*> reason(std::string_view name);

    /// Somebody has fences: while one does, the loop stays (SEMANTICS 7.3).
    void add_loop_user() noexcept { loop_users_.fetch_add(1); }
    /// The last one takes the thread with it, unless this is called on the thread itself.
    void drop_loop_user();
    /// A loop user is about to make a fence or to wait for one: whoever has no loop of its own gets
    /// the thread. Errors: EAGAIN.
    Result<> need_loop();
    /// The caller runs the loop; its descriptor. Errors: EBUSY the thread runs already.
    Result<int> use_own_loop();

    /// In a forked child, with the reactor prepared for it.
    void abandon() noexcept;

private:
    Core(std::unique_ptr<SystemClock> clock, std::unique_ptr<Reactor> reactor)
        : clock_(std::move(clock)), reactor_(std::move(reactor)) {}
    Result<ProbedProvider*> probed(std::string_view name);

    std::unique_ptr<SystemClock> clock_;
    FenceCounters counters_;
    std::mutex mutex_;
    std::array<std::unique_ptr<ProbedProvider>, std::size(provider_names)> providers_;
    std::atomic<unsigned> loop_users_{0};
    std::atomic<bool> loop_ready_{false};
    bool own_loop_ = false;
    std::unique_ptr<Reactor> reactor_;  ///< Last: its thread ends before the rest goes.
};

}  // namespace v4lfence
