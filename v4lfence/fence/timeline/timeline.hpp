// SPDX-License-Identifier: MIT
//
// Timeline: points that fences of any kind stand behind, on a timeline of the kernel's, so that
// consumers who know nothing of those fences can wait for {syncobj, point}.
//
// A sync_file goes into its point as it is: from then on the kernel does the rest, in order, also
// when this process is gone. Any other fence is watched, and its point signalled when it has ended.
// Because a later point that is there stands for an earlier one that is not, what was promised
// behind a watched fence is held back here until that has ended.

#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>

#include "v4lfence/base/result.hpp"
#include "v4lfence/base/unique_fd.hpp"
#include "v4lfence/fence/fence.hpp"
#include "v4lfence/fence/reactor.hpp"
#include "v4lfence/fence/timeline/held_points.hpp"
#include "v4lfence/fence/timeline/kernel_timeline.hpp"

namespace v4lfence {

/// Thread: every member may be called from any thread, but for the destructor.
class Timeline final : private Reactor::Listener, private Reactor::TimerListener {
public:
    /// Points that are there already are somebody else's. `reactor` is borrowed and must outlive
    /// it. Errors: EOPNOTSUPP the device has no timelines.
    static Result<std::unique_ptr<Timeline>> create(Reactor& reactor,
                                                    std::unique_ptr<KernelTimeline> kernel);

    /// Every point promised here is reached, but for those that carry a sync_file, which are with
    /// it. When it returns nothing is watched and no callback runs.
    ~Timeline();
    Timeline(const Timeline&) = delete;
    Timeline& operator=(const Timeline&) = delete;

    /// The syncobj for others, close-on-exec. Errors: EMFILE.
    Result<UniqueFd> export_fd() const;

    /// `point` is reached when `fence`, which stays the caller's, has ended, well or badly, and all
    /// points before it are. Somebody runs the reactor's loop. System calls: 2 for a sync_file with
    /// nothing held back before it; for a pipe 6, and up to 5 when it ends.
    /// Errors: EINVAL not a fence, or not above the last point promised; EMFILE, ENFILE, ENOMEM,
    /// ENOSPC. After an error nothing has changed.
    Result<> promise(std::uint64_t point, int fence);
    /// The same where nobody has to wait for it: a sync_file, or what has ended, with nothing held
    /// back before it. Errors: EAGAIN it has to be watched: promise(); as promise().
    Result<> promise_unwatched(std::uint64_t point, int fence);

    /// The highest point reached; 0 none.
    Result<std::uint64_t> reached() const;

    /// An eventfd that ends when the point is reached, close-on-exec. Errors: ENOTTY before Linux
    /// 6.6; EMFILE.
    Result<UniqueFd> fence_of(std::uint64_t point) const;

    /// With the reactor prepared for the fork.
    void lock_for_fork() { mutex_.lock(); }
    void unlock_after_fork() { mutex_.unlock(); }
    /// In the child, locked: the points are the parent's to reach. All calls say EIO.
    void abandon() noexcept;

private:
    Timeline(Reactor& reactor, std::unique_ptr<KernelTimeline> kernel,
             std::uint64_t submitted) noexcept
        : reactor_(reactor), kernel_(std::move(kernel)), promised_(submitted) {}

    void on_ready(std::uint64_t number, std::uint32_t events) override;
    void on_deadline(MonotonicTime now) override;

    // With the lock held.
    Result<> check_alive() const;
    Result<> check(std::uint64_t point) const;
    Result<std::optional<Fence>> place(std::uint64_t point, int fence);
    Result<> hold(std::uint64_t point, std::optional<Fence> fence);
    Result<> signal_due();
    void unwatch(HeldPoint& held);
    void settle();
    Result<> hand_over();
    void give_up_waiting();

    Reactor& reactor_;

    /// Held over the calls of the kernel's timeline too, which decide on the order and do not wait.
    mutable std::mutex mutex_;
    const std::unique_ptr<KernelTimeline> kernel_;
    std::uint64_t promised_;  ///< The last point promised, here or by whoever had it before.
    std::uint64_t due_ = 0;   ///< The highest to be signalled now; 0 none.
    HeldPoints held_;         ///< Promised, and neither signalled nor carried yet.
    /// For what the kernel had no memory for. None before a point was held back.
    Reactor::TimerId retry_ = Reactor::TimerId::None;
    bool closed_ = false;
};

}  // namespace v4lfence
